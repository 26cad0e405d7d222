"""Look for a mark, the likeliest places first, and say how sure it is. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assay.provenance.mark import Extent, Frame, Mark, Reading
from assay.provenance.media import Samples
from assay.watermark.hallmark.canvas import SIDE, Plane, canonical_shape, luma, side_of
from assay.watermark.hallmark.hearing import Heard, laid_out
from assay.watermark.hallmark.listener import by_network, by_rule
from assay.watermark.hallmark.pattern import PERIOD
from assay.watermark.hallmark.spectrum import Spectrum
from assay.watermark.hallmark.sync import Finder, Pose
from assay.watermark.hallmark.voice import Voice
from assay.watermark.hallmark.where import extent, ground

ALARM = 1e-9
"""Largest p-value at which an identifier is reported."""
SIZES = (1.0, 0.6, 0.36)
"""Sides, in canonical ones, at which a picture is searched: each covers scales within sync.REACH, small ones crops."""
POSES = 2
"""Poses decoded of one search."""
CLEAR = 5.6
"""Score of a pose below which it is not decoded."""
SURE, OFF = 6.3, 0.05
"""Score of a pose from which a picture is listened to again, and natural logarithm of the scale it is off by."""
LOUD = 1.5
"""Standard deviations of excess energy below which what was heard is not decoded."""
LEAST_SIDE = 64
"""Fewest pixels of the shorter side in which anything is looked for."""
STRAIGHT, NEAR = 0.005, 2.0
"""Errors of matrix and place, in canonical pixels, up to which a picture counts as whole."""


@dataclass(frozen=True)
class Rendering:
    """A picture at one size, in canonical sides, what a listener hears under it, and the spectrum of that."""

    size: float
    plane: Plane
    heard: Plane
    by: str

    @classmethod
    def of(cls, pixels: Samples, side: float, listen: Callable[[Plane], Plane], by: str) -> Rendering:
        """Render a picture and listen."""
        height, width = pixels.shape[:2]
        plane = luma(pixels, canonical_shape(height, width, side))
        return cls(side / SIDE, plane, listen(plane), by)


@dataclass(frozen=True)
class Attempt:
    """One hypothesis: whose voice, in which pose of which rendering."""

    voice: Voice
    pose: Pose
    rendering: Rendering
    heard: Heard

    def describe(self) -> dict[str, object]:
        """Return JSON values for experts."""
        return {
            "scale_rotation": (self.pose.matrix / self.rendering.size).round(4).tolist(),
            "sync": round(self.pose.score, 1),
            "listener": self.rendering.by,
        }


@dataclass(frozen=True)
class Finding:
    """An identifier that was read, by which attempt, how well it agrees, and the chance of that."""

    id: str
    attempt: Attempt
    agreement: float
    p_value: float


@dataclass(frozen=True)
class Reader:
    """Reads the marks of some voices, all of the same scheme."""

    voices: Sequence[Voice]

    def read(self, pixels: Samples, *, locate: bool = False) -> Reading:
        """Return what is found in uint8 (height, width, 3) pixels, and in which parts of them if asked to locate it."""
        scheme = self.voices[0].scheme
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return Reading(scheme, None, None, "too small")
        found = self.find(pixels)
        if not found:
            return Reading(scheme, None, 1.0, "no mark")
        details = {"agreement": round(found.agreement, 2), **found.attempt.describe()}
        height, width = pixels.shape[:2]
        whole = _whole(found.attempt, found.id, (height, width))
        frame, where = _frame(found, height, width), _extent(found) if locate else None
        return Reading(scheme, Mark(scheme, found.id), found.p_value, "", details, whole, frame, where)

    def find(self, pixels: Samples) -> Finding | None:
        """Return the first identifier that chance does not explain."""
        for attempt in self._attempts(pixels):
            if attempt.heard.loudness() < LOUD:
                continue
            voice = attempt.voice
            soft, _ = attempt.heard.soft()
            (word,) = voice.payload.decode(soft[None])
            if word is None:
                continue
            agreement = attempt.heard.agreement(voice.payload.encode(word.id))
            p_value = voice.p_value(agreement, len(self.voices))
            if p_value < ALARM:
                return Finding(word.id, attempt, agreement, p_value)
        return None

    def _attempts(self, pixels: Samples) -> Iterator[Attempt]:
        """Yield hypotheses, the likeliest and cheapest first."""
        side = side_of(*pixels.shape[:2])
        yield from self._posed(pixels, Rendering.of(pixels, side, by_rule, "rule"), Finder.search_upright)
        spectra: list[tuple[Rendering, Spectrum]] = []
        for size in SIZES:
            shape = canonical_shape(pixels.shape[0], pixels.shape[1], size * SIDE)
            if any(rendering.plane.shape == shape for rendering, _ in spectra):
                continue  # a strip: the longest canvas again
            rendering = Rendering.of(pixels, size * SIDE, by_network, "network")
            spectra.append((rendering, Spectrum.of(rendering.heard)))
            yield from self._posed(pixels, rendering, Finder.search, spectra[-1][1])
        for rendering, spectrum in spectra:
            yield from self._posed(pixels, rendering, Finder.search_stretched, spectrum)

    def _posed(
        self,
        pixels: Samples,
        rendering: Rendering,
        search: Callable[[Finder, Spectrum], list[Pose]],
        spectrum: Spectrum | None = None,
    ) -> Iterator[Attempt]:
        spectrum = spectrum or Spectrum.of(rendering.heard)
        for voice in self.voices:
            for pose in search(voice.finder, spectrum)[:POSES]:
                if pose.score < CLEAR:
                    break
                if search is not Finder.search_upright:
                    pose = voice.finder.refined(spectrum, pose)
                yield _attempt(voice, pose, rendering)
                if pose.score > SURE:
                    yield from _closer(voice, pose, rendering, pixels)


def _closer(voice: Voice, pose: Pose, rendering: Rendering, pixels: Samples) -> Iterator[Attempt]:
    """Listen again at the size at which the picture was marked, where a pose says that it is another."""
    growth = math.sqrt(abs(float(np.linalg.det(pose.matrix))))
    if abs(math.log(growth)) < OFF:
        return
    nearer = Rendering.of(pixels, rendering.size * SIDE / growth, by_network, "network")
    spectrum = Spectrum.of(nearer.heard)
    yield _attempt(voice, voice.finder.followed(spectrum, pose.matrix / growth), nearer)


def _attempt(voice: Voice, pose: Pose, rendering: Rendering) -> Attempt:
    said = _laid_out(voice, pose, rendering.heard, rendering.plane, np.ones_like(rendering.plane))
    return Attempt(voice, pose, rendering, said)


def _laid_out(voice: Voice, pose: Pose, heard: Plane, plane: Plane, cover: Plane) -> Heard:
    """Return what the tiles say in a pose; ``cover`` is 1 where there is a picture, 0 elsewhere."""
    (turned, light, cover), start = laid_out(pose, (heard, plane, cover))
    return Heard.of(voice.pattern, turned, light, cover, start)


def _extent(found: Finding) -> Extent:
    """Return where in the picture the mark is heard, by the network."""
    voice, pose, rendering = found.attempt.voice, found.attempt.pose, found.attempt.rendering
    heard = rendering.heard if rendering.by == "network" else by_network(rendering.plane)
    said = _laid_out(voice, pose, heard, rendering.plane, ground(rendering.plane))
    return extent(said, voice.payload.encode(found.id), pose, rendering.plane.shape)


def _frame(found: Finding, height: int, width: int) -> Frame:
    """Return how a received picture lies on the canvas on which it was marked."""
    pose, plane = found.attempt.pose, found.attempt.rendering.plane
    placement = found.attempt.voice.placement(found.id)
    back = np.linalg.inv(pose.matrix)
    share = np.array((plane.shape[0] / height, plane.shape[1] / width))
    # Centres of pixels: (received + 1/2) * share - 1/2 is the place in the plane.
    shift = (share - 1) / 2 - np.array(plane.shape) // 2 - pose.offset
    (a, b), (c, d) = (back * share).tolist()
    row, column = (back @ shift - placement.corner).tolist()
    return Frame((SIDE, SIDE // 2), placement.turn, ((a, b), (c, d)), (row, column), PERIOD)


def _whole(attempt: Attempt, id: str, shape: tuple[int, ...]) -> bool:
    """Say whether the mark lies where embedding puts it in a picture of this shape."""
    side = side_of(*shape[:2])
    if attempt.rendering.size != side / SIDE:
        return False
    placement = attempt.voice.placement(id)
    canvas = canonical_shape(shape[0], shape[1], side)
    expected = placement.place((canvas[0] // 2, canvas[1] // 2), canvas)
    apart = (attempt.pose.centre - expected + PERIOD / 2) % PERIOD - PERIOD / 2
    bent = np.abs(attempt.pose.matrix - placement.matrix).max()
    return bool(np.abs(apart).max() < NEAR and bent < STRAIGHT)
