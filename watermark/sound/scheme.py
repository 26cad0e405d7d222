"""The sound mark, whole: hide an identifier in sound, and find it again. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Self

import numpy as np

from assay.provenance.errors import LimitError, UsageError
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind, Media, Timed
from assay.watermark.payload import PUBLIC_KEY
from assay.watermark.sound.lattice import Reals
from assay.watermark.sound.read import Listener, Stretch
from assay.watermark.sound.voice import SCHEME, Voice
from assay.watermark.sound.words import FREE_BITS, ID_BITS
from assay.watermark.sound.write import LEAST_SECONDS, Writer, too_short

LEAST_RATE, MOST_RATE = 8000, 192_000
"""Samples a second that are marked and read."""
PASSAGE_SECONDS = 60
"""Seconds that are read at a time."""


class Soundmark:
    """Watermark for sound: 64 bits every ten seconds, found at any offset, at changed speed or tempo.

    ``keys`` are secrets of 16 bytes or more: the first one writes, all are tried on reading. Conforms to
    ``assay.provenance.protocols.KeyedWatermark``.
    """

    scheme = SCHEME
    id_bits = ID_BITS
    kinds = frozenset({Kind.AUDIO})

    def __init__(self, keys: Sequence[bytes] = (PUBLIC_KEY,)) -> None:
        if not keys:
            raise UsageError("a mark needs a key", hint="give one, or leave it out for the public key")
        self._voices = [Voice(key) for key in keys]

    def with_keys(self, keys: Sequence[bytes]) -> Self:
        """Return the scheme under these secrets, the empty one standing for the public key."""
        return type(self)([key or PUBLIC_KEY for key in keys])

    def embed(self, media: Media, id: str) -> Media:
        """Return sound that carries the identifier, in hexadecimal, and is marked as it passes by.

        Raises UsageError on a malformed identifier, LimitError where the sound is too short or its rate is not
        between LEAST_RATE and MOST_RATE samples a second.
        """
        voice = self._voices[0]
        voice.payload.parse(id + "0" * (FREE_BITS // 4))
        rate = _rate(media)
        if media.seconds is not None and media.seconds < LEAST_SECONDS:
            raise too_short(float(media.seconds))
        return media.changed(lambda timed: Writer(voice, id.lower(), rate).marked(timed))

    def read(self, media: Media) -> Reading:
        """Look for an identifier, at any offset, speed and tempo of ±5 %.

        ``p_value`` bounds, over the choice of the key, the probability that sound not marked with it agrees as well
        with any word, all that are decoded counted. ``details["intervals"]`` are the seconds that carry the mark.
        """
        try:
            rate = _rate(media)
        except LimitError as error:
            return Reading(SCHEME, None, None, str(error))
        listener = Listener(self._voices)
        intervals: list[list[float]] = []
        heard: list[list[float]] = []
        for at, passage in passages(media.timed(), rate):
            begin = float(at)
            _append(heard, [Stretch(begin, begin + len(passage) / rate)])
            found = listener.listen(passage, rate)
            _append(intervals, [Stretch(begin + s.start, begin + s.stop) for s in found])
        word = listener.heard
        p = listener.p_value(word) if word else 1.0
        details = {"heard": heard, "intervals": intervals, "score": round(listener.score, 2)}
        if word is None:
            return Reading(SCHEME, None, p, "no mark", {**details, "intervals": []})
        pace = word.place.pace
        details |= {
            "agreement": round(word.agreement, 2),
            "pitch": round(pace.pitch, 4),
            "length": round(pace.length, 4),
            "key": word.voice,
        }
        return Reading(SCHEME, Mark(SCHEME, word.id), p, details=details)


def passages(timed: Iterator[Timed], rate: int) -> Iterator[tuple[Fraction, Reals]]:
    """Join the chunks of a pass to passages of PASSAGE_SECONDS: (seconds, samples), the last one as long as is left."""
    waiting: list[Reals] = []
    begin, count = Fraction(0), 0
    for at, chunk in timed:
        if not waiting:
            begin = at
        waiting.append(chunk)
        count += len(chunk)
        if count >= PASSAGE_SECONDS * rate:
            yield begin, np.concatenate(waiting)
            waiting, count = [], 0
    if waiting:
        yield begin, np.concatenate(waiting)


def _append(intervals: list[list[float]], found: Sequence[Stretch]) -> None:
    """Append stretches, joined to the last one where they follow it at once."""
    for stretch in found:
        if intervals and stretch.start - intervals[-1][1] < 0.01:
            intervals[-1][1] = round(stretch.stop, 3)
        else:
            intervals.append([round(stretch.start, 3), round(stretch.stop, 3)])


def _rate(media: Media) -> int:
    """Return the samples a second; raise LimitError where they are outside the limits or not whole."""
    rate = media.rate or Fraction(0)
    if rate.denominator != 1 or not LEAST_RATE <= rate <= MOST_RATE:
        raise LimitError(
            f"sound at {float(rate):g} samples a second carries no mark",
            hint=f"resample it to between {LEAST_RATE} and {MOST_RATE}",
        )
    return int(rate)
