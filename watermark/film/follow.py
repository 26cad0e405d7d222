"""Find where a film's pattern lies, though it may move on within the seconds that are heard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assay.watermark.film.voice import STEP
from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.pattern import PERIOD
from assay.watermark.hallmark.spectrum import Matrix, Spectrum
from assay.watermark.hallmark.sync import REACH, Finder, Pose, Waves

GROWTH = 0.012
"""Natural logarithm of the step between two scales that are compared."""


@dataclass(frozen=True)
class Look:
    """A few seconds of a film as a listener heard them, slot by slot.

    ``times`` are (start, stop) of the slots in seconds; ``heard`` one plane each, the mean over its frames, all of one
    shape; ``side`` that of a square of their area, in pixels.
    """

    times: tuple[tuple[float, float], ...]
    heard: tuple[Plane, ...]
    side: float

    @cached_property
    def spectra(self) -> list[Spectrum]:
        """The spectrum of each slot."""
        return [Spectrum.of(plane) for plane in self.heard]

    @cached_property
    def whole(self) -> Spectrum:
        """The spectrum of the mean of all slots."""
        mean: Plane = np.mean(self.heard, axis=0, dtype=np.float32)
        return Spectrum.of(mean)


@dataclass(frozen=True)
class Track:
    """Where the pattern lies in a look: in ``pose`` before slot ``moves``, one STEP further on from that slot on."""

    pose: Pose
    moves: int

    def at(self, slot: int) -> Pose:
        """Return the pose in a slot."""
        return self.pose if slot < self.moves else stepped(self.pose, 1)


def stepped(pose: Pose, count: int) -> Pose:
    """Return a pose after the pattern moved on ``count`` times."""
    return Pose(pose.matrix, pose.offset - pose.matrix @ (np.array(STEP, np.float64) * count), pose.score)


def tracked(finder: Finder, look: Look, matrix: Matrix, *, refine: bool = False) -> Track:
    """Return the likeliest track of a matrix, or of one near it: all moves that the slots allow are compared."""
    count = len(look.heard)
    tracks = [
        Track(finder.settled(_joined(finder, look.spectra, matrix, moves), matrix), moves)
        for moves in range(count, 0, -1)
    ]
    best = max(tracks, key=lambda track: track.pose.score)
    if not refine:
        return best
    pose = finder.bettered(lambda near: _joined(finder, look.spectra, near, best.moves), best.pose)
    return Track(pose, best.moves)


def scaled(finder: Finder, spectrum: Spectrum) -> list[Pose]:
    """Return the likeliest poses that only change the scale, within REACH, best first: what cutting off edges does.

    All tones are summed with their phases, which hears fainter ones than the map of powers that any turn is sought in.
    """
    count = math.ceil(REACH / GROWTH)
    matrices = [np.eye(2) * math.exp(GROWTH * number) for number in range(-count, count + 1)]
    poses = [finder.settled(finder.waves(spectrum, matrix), matrix) for matrix in matrices]
    return sorted(poses, key=lambda pose: pose.score, reverse=True)


def _joined(finder: Finder, spectra: Sequence[Spectrum], matrix: Matrix, moves: int) -> Waves:
    """Return what all slots together say of the tones, those from slot ``moves`` on brought back by one STEP."""
    back = np.exp(-2j * np.pi / PERIOD * (finder.pattern.tones[0] @ np.array(STEP)))
    waves = [finder.waves(spectrum, matrix) for spectrum in spectra]
    joined: Waves = sum(waves[:moves], np.zeros_like(back)) + back * sum(waves[moves:], np.zeros_like(back))
    return joined
