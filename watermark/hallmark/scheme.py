"""The mark of our own, whole: hide an identifier in a picture, and find it again. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from assay.provenance.errors import LimitError
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Media, Samples
from assay.watermark.hallmark.canvas import SIDE, Plane, canonical_shape, luma, side_of
from assay.watermark.hallmark.hearing import Heard, laid_out
from assay.watermark.hallmark.listener import by_network, by_rule
from assay.watermark.hallmark.mask import amplitude
from assay.watermark.hallmark.pattern import TILE, Pattern, Placement
from assay.watermark.hallmark.spectrum import Spectrum
from assay.watermark.hallmark.sync import Finder, Pose
from assay.watermark.hallmark.write import added, drawn, worn
from assay.watermark.payload import PUBLIC_KEY, RATE_SIXTH, Bits, Payload

ALARM = 1e-9
"""Largest p-value at which an identifier is reported."""
RENDERINGS = (0.71, 0.5, 0.35, 1.41)
"""Sizes, in canonical sides, at which a picture is searched: crops are rendered smaller, borders larger."""
LOUD = 3.0
"""Standard deviations of excess energy below which a pose is not decoded."""
CLEAR = 5.6
"""Score of a pose above which it is refined and decoded."""
TRIES = 64
"""Most decodings of one reading, counted in every p-value."""
LOUDEST, FAINTEST = 43.3, 49.0
"""Peak signal-to-noise ratios in decibels between which the mark's strength is chosen."""
GOAL = 28.0
"""Statistic at which no more strength is needed, after the trial passage."""
LEAST_SIDE = 128
"""Fewest pixels of a picture's shorter side."""


@dataclass(frozen=True)
class Attempt:
    """One hypothesis: tiles as heard, and how they were found."""

    heard: Heard
    details: dict[str, object]


@dataclass(frozen=True)
class Rendering:
    """A picture at one size, in canonical sides, what is heard under it, and that spectrum."""

    size: float
    plane: Plane
    heard: Plane
    spectrum: Spectrum


class Hallmark:
    """Watermark for images: 64 bits that survive platforms, found by hidden tones and a small network.

    ``key`` draws the pattern and the check bits; readers need the same one. Conforms to
    ``assay.provenance.protocols.Watermark``.
    """

    scheme = "io.assay.hallmark.1"
    id_bits = 64

    def __init__(self, key: bytes = PUBLIC_KEY) -> None:
        self.key = key
        self.payload = Payload(self.id_bits, 32, RATE_SIXTH, key)
        self.pattern = Pattern(key, self.payload.coded_bits)
        self.finder = Finder(self.pattern)

    def embed(self, media: Media, id: str) -> Media:
        """Return the picture with the identifier, 16 hexadecimal digits, in its luma.

        Raises LimitError where the picture is too small or too flat (nothing to hide in, as on a blank page),
        UsageError on a malformed identifier.
        """
        code = self.payload.encode(id)
        pixels = media.frame()
        if min(pixels.shape[:2]) < LEAST_SIDE:
            raise LimitError(
                f"the picture is too small for a mark ({pixels.shape[1]} x {pixels.shape[0]})",
                hint=f"its shorter side needs {LEAST_SIDE} pixels",
            )
        plane = luma(pixels, canonical_shape(*pixels.shape[:2], side_of(*pixels.shape[:2])))
        placement = Placement.of(self.key, self.payload.parse(id))
        change = amplitude(plane) * drawn(self.pattern, code, plane, placement)
        change *= np.float32(self._strength(plane, change, code, placement, pixels.shape[:2]))
        return Media.still(added(pixels, change))

    def _strength(
        self, plane: Plane, change: Plane, code: Bits, placement: Placement, shape: tuple[int, int]
    ) -> float:
        """Return the factor at which the mark would outlast a hard passage, within the bounds of visibility."""
        loud = math.sqrt(float((change * change).mean()))
        least, most = (255 / 10 ** (decibels / 20) / loud for decibels in (FAINTEST, LOUDEST))
        tried = math.sqrt(least * most)
        passed = worn(plane + np.float32(tried) * change, shape)
        agreed = self._agreement(by_rule(passed), passed, code, placement)
        return min(most, max(least, tried * GOAL / max(agreed, 1e-3)))

    def _agreement(self, heard: Plane, light: Plane, code: Bits, placement: Placement) -> float:
        """Return the statistic of a code word whose placement is known."""
        planes = [placement.to_pattern(p) for p in (heard, light, np.ones_like(light))]
        ahead = tuple(n % TILE for n in placement.corner)
        padded = [np.pad(p, [(a, 0) for a in ahead]) for p in planes]
        first = (placement.corner[0] // TILE, placement.corner[1] // TILE)
        soft, spread = Heard.of(self.pattern, padded[0], padded[1], padded[2], first).soft()
        return float((1 - 2.0 * code) @ soft) / spread

    def read(self, media: Media) -> Reading:
        """Look for an identifier."""
        pixels = media.frame()
        if min(pixels.shape[:2]) < LEAST_SIDE // 2:
            return Reading(self.scheme, None, None, "too small")
        for attempt in self._attempts(pixels):
            if attempt.heard.loudness() < LOUD:
                continue
            soft, spread = attempt.heard.soft()
            (word,) = self.payload.decode(soft[None])
            if word is None:
                continue
            agreed = float((1 - 2.0 * self.payload.encode(word.id)) @ soft) / spread
            p_value = self._p_value(agreed)
            if p_value < ALARM:
                details = {"statistic": round(agreed, 2), **attempt.details}
                return Reading(self.scheme, Mark(self.scheme, word.id), p_value, "", details)
        return Reading(self.scheme, None, 1.0, "no mark")

    def _p_value(self, agreed: float) -> float:
        if agreed <= 0:
            return 1.0
        return min(1.0, math.exp(math.log(TRIES) + self.id_bits * math.log(2) - agreed**2 / 2))

    def _attempts(self, pixels: Samples) -> Iterator[Attempt]:
        plane = luma(pixels, canonical_shape(*pixels.shape[:2], side_of(*pixels.shape[:2])))
        heard = by_rule(plane)
        yield from self._posed(Rendering(1.0, plane, heard, Spectrum.of(heard)), self.finder.search_upright, "rule")
        plane = luma(pixels, canonical_shape(*pixels.shape[:2], SIDE))
        heard = by_network(plane)
        renderings = [Rendering(1.0, plane, heard, Spectrum.of(heard))]
        yield from self._posed(renderings[0], self.finder.search)
        for size in RENDERINGS:
            plane = luma(pixels, canonical_shape(*pixels.shape[:2], SIDE * size))
            heard = by_network(plane)
            renderings.append(Rendering(size, plane, heard, Spectrum.of(heard)))
            yield from self._posed(renderings[-1], self.finder.search)
        for rendering in renderings[:3]:
            yield from self._posed(rendering, self.finder.search_stretched)

    def _posed(
        self, rendering: Rendering, search: Callable[[Spectrum], list[Pose]], by: str = "network"
    ) -> Iterator[Attempt]:
        for pose in search(rendering.spectrum)[:2]:
            if pose.score < CLEAR:
                break
            pose = self.finder.refined(rendering.spectrum, pose)
            planes = (rendering.heard, rendering.plane, np.ones_like(rendering.plane))
            (heard, light, cover), first = laid_out(pose, planes)
            details: dict[str, object] = {
                "pose": (pose.matrix / rendering.size).round(4).tolist(), "sync": round(pose.score, 1), "by": by
            }
            yield Attempt(Heard.of(self.pattern, heard, light, cover, first), details)
