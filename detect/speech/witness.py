"""The detector of speech at work: passages of four seconds, the gate, the network, calibration, silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay.detect.card import Card
from assay.detect.fuse import Alarm, Fusion, share
from assay.detect.speech.features import HOP, RATE, SIZE, Vector, describe, framed, resampled
from assay.detect.speech.gate import NO_SPEECH, TOO_SHORT, WORDS, looked
from assay.detect.witness import Clock, Network
from assay.provenance.media import Media
from assay.provenance.opinion import LEANS, Answered, Calibration, Moment, Opinion

SECONDS = 4
"""Seconds of a passage."""
LEAST = 2
"""Seconds of a passage below which it is not judged."""
MOST = 60
"""Most passages that are judged; of a longer recording they lie evenly in it, where its length is declared."""
WIDE = "wide-band"
"""The one condition: more than a telephone's band, coded or not."""
HALF = 0.5
"""Share of the passages that must be fit to be judged; else the most frequent reason against it is the answer."""
COUNTED = "real recordings of speech"
"""Among what false alarms were counted."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of sound in seconds of the whole, its vector, or why it has none, as a code."""

    start: float
    stop: float
    vector: Vector | None
    reason: str = ""


@dataclass(frozen=True)
class SpeechWitness:
    """A card, what runs it, and how its logit is weighed. ``clock`` gives seconds."""

    card: Card
    network: Network
    fusion: Fusion
    clock: Clock

    def examine(self, media: Media) -> Opinion:
        """Return what it thinks of a sound; one pass in bounded memory, which may raise MalformedError, LimitError."""
        start = self.clock()
        passages = list(heard(media))
        fit = [p for p in passages if p.vector is not None]
        conditions: dict[str, object] = {"condition": WIDE, "passages": [len(fit), len(passages)]}
        against = Counter(p.reason for p in passages if p.vector is None)
        if not fit or len(fit) < HALF * len(passages):
            code = against.most_common(1)[0][0] if against else TOO_SHORT
            conditions["reason_code"] = code
            return Opinion(
                self.card.name, self.card.version, Answered.NOT_APPLICABLE, reason=WORDS[code],
                conditions=conditions, ms=1000 * (self.clock() - start),
            )  # fmt: skip
        logits = self.network.run(np.stack([p.vector for p in fit if p.vector is not None])).astype(
            np.float64
        )
        line = self.fusion.lines[WIDE]
        logit = float(logits.mean())
        ratio = line.log10(logit)
        alarm = self.fusion.alarm(ratio)
        moments = [
            Moment(p.start, p.stop, share(line.log10(float(v)))) for p, v in zip(fit, logits, strict=True)
        ]
        return Opinion(
            self.card.name,
            self.card.version,
            Answered.OK,
            logit=logit,
            score=share(ratio),
            llr=-ratio,
            conditions=conditions,
            says=(said(ratio, alarm),),
            ms=1000 * (self.clock() - start),
            calibration=Calibration(
                self.fusion.id, COUNTED, WIDE, line.n, line.bound,
                alarm.per_1000 if alarm else None, alarm.worst_per_1000 if alarm else None,
            ),
            moments=tuple(moments),
        )  # fmt: skip


def said(ratio: float, alarm: Alarm | None) -> str:
    """Say what a log10 ratio for synthetic means, with its false alarms."""
    if abs(ratio) < LEANS:
        return "The detector of speech leans neither way."
    if ratio < 0:
        return (
            "The voice is more like recordings than like the synthetic speech that the detector knows of. Synthesisers "
            "and vocoders that it does not know can sound the same to it."
        )
    wrong = (
        f" Of 1,000 real recordings about {alarm.per_1000:.0f} sound as much so, of the worst source measured "
        f"{alarm.worst_per_1000:.0f}."
        if alarm
        else ""
    )
    return f"The voice is more like synthetic or converted speech than like recordings.{wrong}"


def heard(media: Media, most: int = MOST) -> Iterator[Passage]:
    """Yield the passages of a sound that are to be judged, ``most`` of them, in their order, in one pass over it."""
    for start, sound, rate in _cut(media, most):
        stop = start + len(sound) / rate
        vector, reason = numbers(sound, rate)
        yield Passage(start, stop, vector, reason)


def numbers(sound: Vector, rate: int) -> tuple[Vector | None, str]:
    """Return the vector of a passage, mono float32 (n,), or None and the code of the reason against it."""
    if len(sound) < LEAST * rate:
        return None, TOO_SHORT
    if not np.isfinite(sound).all() or not np.abs(sound).max(initial=0.0) > 0:
        return None, NO_SPEECH
    x = resampled(sound, rate)
    found = describe(framed(x), 0, (len(x) - SIZE) // HOP + 1)
    if found is None:
        return None, NO_SPEECH
    reason = looked(found).reason
    vector = np.concatenate([values for _, values in found])
    return (None, reason) if reason else (vector, "")


def _cut(media: Media, most: int) -> Iterator[tuple[float, Vector, int]]:
    """Yield (seconds, mono float32, samples a second) of the passages to be judged; what is short comes last."""
    rate = int(media.rate or RATE)
    size = SECONDS * rate
    every = 1 if media.seconds is None else max(1, -int(-(media.seconds / SECONDS) // most))
    held: list[Vector] = []
    length, number, judged = 0, 0, 0
    for _, chunk in media.timed():
        held.append(np.asarray(chunk, np.float32).mean(1))
        length += len(held[-1])
        while length >= size:
            whole = np.concatenate(held)
            if number % every == 0:
                judged += 1
                yield number * SECONDS, whole[:size], rate
            held, length = [whole[size:]], length - size
            number += 1
            if judged >= most:
                return
    # A rest that is too short counts only where it is all there is.
    if number % every == 0 and (length >= LEAST * rate or not number):
        yield number * SECONDS, np.concatenate([np.zeros(0, np.float32), *held]), rate
