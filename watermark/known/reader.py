"""The reader of generators' marks: whole pictures, then mirrored, re-lit, resized and cropped ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Media, Samples
from assay.watermark.known import search
from assay.watermark.known.messages import MESSAGES, KnownMessage
from assay.watermark.known.search import Find

ALARM = 1e-9
"""Largest p-value, all hypotheses counted, at which a mark is reported."""
MIN_PIXELS = 256 * 256
"""The library marks nothing smaller."""

STAGES: tuple[tuple[Callable[[Samples], list[Find]], float], ...] = (
    (search.whole, 0.5),
    (search.elsewhere, 0.1),
    (search.mirrored, 0.1),
    (search.relit, 0.1),
    (search.resized, 0.1),
    (search.cropped, 0.1),
)
"""Looked at in turn until a mark is found, each with its share of the false alarms."""


class GeneratorMarks:
    """Reader of ``MESSAGES``; conforms to the KnownMarks protocol. Format: docs/formats/mark.md."""

    def read(self, media: Media) -> Sequence[Reading]:
        """Return one Reading a known message, the strongest first; ``Mark.id`` is the generator's name.

        ``p_value`` is the bound of ``statistic.agreement`` times the hypotheses of the stage that found it
        (messages, planes, gains, sizes, or offsets, strides and shifts), over the stage's share: it holds for
        directions without preference, a model which the benchmark tries on unmarked pictures. Raises
        ConfigurationError where the network's weights are not those published.
        """
        pixels = media.frame()
        if pixels.shape[0] * pixels.shape[1] < MIN_PIXELS or min(pixels.shape[:2]) < search.MIN_SIDE:
            return [Reading(m.scheme, None, None, "too small") for m in MESSAGES]
        best: dict[str, _Answer] = {}
        for stage, share in STAGES:
            finds = stage(pixels)
            if stage is search.whole and not finds:
                break
            for find in finds:
                answer = _Answer(find, min(0.0, find.log_chance - float(np.log10(share))))
                if answer.log_p < best.get(find.message.scheme, _NOTHING).log_p:
                    best[find.message.scheme] = answer
            if any(10**a.log_p < ALARM for a in best.values()):
                break
        readings = [_reading(m, best.get(m.scheme)) for m in MESSAGES]
        order = {m.scheme: best[m.scheme].log_p if m.scheme in best else 1.0 for m in MESSAGES}
        readings.sort(key=lambda r: order[r.scheme])
        # A picture carries one mark; messages made of ASCII resemble each other enough to echo the strongest.
        return readings[:1] + [
            replace(r, mark=None, reason="echo of a stronger mark") if r.found else r for r in readings[1:]
        ]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A find and the logarithm of its p-value."""

    find: Find | None
    log_p: float


_NOTHING = _Answer(None, 1.0)


def _reading(message: KnownMessage, answer: _Answer | None) -> Reading:
    if answer is None or answer.find is None:
        return Reading(message.scheme, None, None, "no colour to read in")
    p_value = 10**answer.log_p
    details = {"correlation": round(answer.find.correlation, 4), "bits": len(message.bits), **answer.find.how}
    if p_value < ALARM:
        whole = answer.find.how.get("as") == "whole"
        return Reading(
            message.scheme, Mark(message.scheme, message.generator), p_value, "", details, aligned=whole
        )
    return Reading(message.scheme, None, p_value, "no mark", details)
