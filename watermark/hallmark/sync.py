"""Find how a marked picture was cropped, scaled, turned and mirrored, from tones that only the key knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from assay.watermark.hallmark.pattern import PERIOD, TONE_BAND, Pattern, Placement
from assay.watermark.hallmark.spectrum import ANGLES, STEP, Matrix, Spectrum

REACH = 0.36
"""Natural logarithm of the largest change of scale that one rendering is searched for, either way."""
UPRIGHT, CANDIDATES = 8, 10
"""Places of the polar map whose phases are compared: of pictures that were not turned, and of all."""
CERTAIN = 8.0
"""Score at which no other candidate is looked at."""
_GRID = PERIOD // 2  # side of the grid of offsets: the tones lie below half its Nyquist frequency
_NEARBY = np.stack(np.meshgrid(*(np.arange(-1.25, 1.5, 0.25),) * 2), -1).reshape(
    -1, 2
)  # fractions of its pixels
Waves = NDArray[np.complex128]
_STEPS = (0.003, 0.0015, 0.0007)

STRETCHES = tuple(n * 0.012 for n in range(-17, 18) if n)
"""Natural logarithms of the changes of aspect searched for."""
_LEAST = TONE_BAND[0] * math.exp(-REACH)  # the polar map's first radius
_SHIFTS = int(2 * REACH / STEP)  # scales compared
_RADII = math.ceil((math.log(TONE_BAND[1] / TONE_BAND[0]) + 2 * REACH) / STEP) + 1
_LENGTH = fft.next_fast_len(_RADII + _SHIFTS)  # radii of the padded map, so that no scale wraps round


@dataclass(frozen=True, slots=True)
class Pose:
    """How the canonical canvas lies in a rendered plane: place in the plane = matrix @ place on the canvas + offset.

    Places are rows and columns in pixels about the plane's centre; ``score`` is the height of the correlation's
    peak over its root mean square.
    """

    matrix: Matrix
    offset: NDArray[np.float64]
    score: float

    @property
    def centre(self) -> NDArray[np.float64]:
        """The place on the canvas at which the plane's centre lies."""
        return _solved(self.matrix, -self.offset)


@dataclass(frozen=True)
class Finder:
    """Searches planes for the tones of one pattern."""

    pattern: Pattern

    def search(self, spectrum: Spectrum) -> list[Pose]:
        """Return the likeliest poses of any rotation, mirroring and scale within REACH, best first."""
        return self._best(spectrum, self._turned(spectrum))

    def search_upright(self, spectrum: Spectrum) -> list[Pose]:
        """Return the likeliest poses of a picture that was neither turned nor scaled, best first."""
        poses = [self.placed(spectrum, Placement(turn, (0, 0)).matrix) for turn in range(8)]
        return sorted(poses, key=lambda pose: pose.score, reverse=True)

    def search_stretched(self, spectrum: Spectrum) -> list[Pose]:
        """Return the likeliest poses whose aspect was changed, in quarter turns and mirrored, best first."""
        return self._best(spectrum, self._stretched(spectrum))

    def _best(self, spectrum: Spectrum, matrices: Sequence[Matrix]) -> list[Pose]:
        # Power is the same after half a turn; phases are not.
        poses = []
        for matrix in matrices:
            poses += [self.placed(spectrum, m) for m in (matrix, -matrix)]
            if max(pose.score for pose in poses[-2:]) > CERTAIN:
                break
        return sorted(poses, key=lambda pose: pose.score, reverse=True)

    @cached_property
    def _templates(self) -> NDArray[np.complex64]:
        """The conjugate transforms of the tones on the polar map, as they are and mirrored."""
        radius, angle = _polar(self.pattern.tones[0] / PERIOD)
        templates = []
        for turn in (1, -1):
            template = np.zeros((_LENGTH, ANGLES), np.float32)
            np.add.at(template, (np.rint(radius).astype(int), np.rint(turn * angle).astype(int) % ANGLES), 1)
            templates.append(np.conj(fft.rfft2(template)))
        return np.stack(templates)

    def _turned(self, spectrum: Spectrum) -> list[Matrix]:
        """Return the matrices at which most power lies where the tones would be, the likeliest first.

        Most pictures were not turned: among the few places of the map that say so, fainter tones stand out.
        """
        ours = fft.rfft2(spectrum.polar(_LEAST, _RADII), (_LENGTH, ANGLES), workers=2)
        score = fft.irfft2(ours * self._templates, (_LENGTH, ANGLES), workers=2)[:, :_SHIFTS]
        straight = np.zeros_like(score)
        straight[..., :: ANGLES // 2] = score[..., :: ANGLES // 2]
        found = []
        for places, most in ((straight, UPRIGHT), (score, CANDIDATES)):
            for _ in range(most):
                mirrored, shift, turned = np.unravel_index(int(places.argmax()), score.shape)
                if places[mirrored, shift, turned] <= 0:
                    break
                found.append(_matrix(shift * STEP - REACH, turned * STEP, bool(mirrored)))
                near = np.arange(turned - 2, turned + 3) % ANGLES
                for taken in (straight, score):
                    taken[mirrored, max(0, shift - 2) : shift + 3, near] = 0
        return found

    @cached_property
    def _stretches(self) -> tuple[list[Matrix], NDArray[np.intp], NDArray[np.intp]]:
        """Matrices of stretches, quarter turns and mirrorings, and the places of their tones on the polar map."""
        quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
        matrices = [
            np.diag(np.exp((-stretch / 2, stretch / 2))) @ turn @ flip
            for stretch in STRETCHES
            for turn in (np.eye(2), quarter)
            for flip in (np.eye(2), np.diag((1.0, -1.0)))
        ]
        places = [_polar(self.pattern.tones[0] / PERIOD @ np.linalg.inv(m)) for m in matrices]
        radius = np.rint([p[0] for p in places]).astype(np.intp)
        angle = np.rint([p[1] for p in places]).astype(np.intp) % ANGLES
        return matrices, radius, angle

    def _stretched(self, spectrum: Spectrum) -> list[Matrix]:
        """Return the stretches at which most power lies where the tones would be."""
        polar = spectrum.polar(_LEAST, _RADII)
        matrices, radius, angle = self._stretches
        scores = np.stack(
            [polar[np.clip(radius + shift, 0, _RADII - 1), angle].sum(1) for shift in range(_SHIFTS)]
        )
        best = np.argsort(scores, axis=None)[::-1][:CANDIDATES]
        return [
            matrices[number] * np.exp(REACH - shift * STEP)
            for shift, number in zip(*np.unravel_index(best, scores.shape), strict=True)
        ]

    @cached_property
    def _nearby(self) -> NDArray[np.complex64]:
        """What each tone is turned by between a peak and the places near it."""
        turns: NDArray[np.complex64] = np.exp(
            2j * np.pi / PERIOD * (_NEARBY @ self.pattern.tones[0].T)
        ).astype(np.complex64)
        return turns

    def placed(self, spectrum: Spectrum, matrix: Matrix) -> Pose:
        """Return the best offset for a matrix, by correlating phases."""
        return self.settled(self.waves(spectrum, matrix), matrix)

    def waves(self, spectrum: Spectrum, matrix: Matrix) -> Waves:
        """Return the spectrum where a matrix puts the tones, (TONES,) complex128, their own phases taken off."""
        tones, phases = self.pattern.tones
        places = tones / PERIOD @ np.linalg.inv(matrix)
        waves: Waves = spectrum.at(places) * np.exp(-1j * phases)
        return waves

    def settled(self, waves: Waves, matrix: Matrix) -> Pose:
        """Return the best pose of a matrix, from what ``waves`` heard at its tones."""
        tones = self.pattern.tones[0]
        grid = np.zeros((_GRID, _GRID // 2 + 1), np.complex64)
        grid[tones[:, 0] % _GRID, tones[:, 1]] = waves
        match = fft.irfft2(grid, (_GRID, _GRID), workers=2)
        peak = np.array(np.unravel_index(int(match.argmax()), match.shape), np.float64) * (PERIOD // _GRID)
        return self.near(waves, matrix, peak)

    def near(self, waves: Waves, matrix: Matrix, place: NDArray[np.float64]) -> Pose:
        """Return the best pose whose centre lies near a place on the canvas."""
        turned = waves * np.exp(2j * np.pi / PERIOD * (self.pattern.tones[0] @ place))
        heights = (self._nearby @ turned.astype(np.complex64)).real
        best = int(heights.argmax())
        score = float(heights[best] / (np.sqrt((np.abs(waves) ** 2).sum() / 2) + 1e-12))
        return Pose(matrix, matrix @ (place + _NEARBY[best]), score)

    def followed(self, spectrum: Spectrum, matrix: Matrix) -> Pose:
        """Return the best pose near a matrix that another rendering gave."""
        return self.refined(spectrum, self.placed(spectrum, matrix))

    def refined(self, spectrum: Spectrum, pose: Pose) -> Pose:
        """Return the pose after small changes of scale, aspect, angle and shear, as long as they raise the score."""
        return self.bettered(lambda matrix: self.waves(spectrum, matrix), pose)

    def bettered(self, heard: Callable[[Matrix], Waves], pose: Pose) -> Pose:
        """Refine a pose by what ``heard`` says of the tones under a matrix."""
        for step in _STEPS:
            for _ in range(4):
                place = _solved(pose.matrix, pose.offset)
                matrices = [pose.matrix @ change for change in _changes(step)]
                better = max((self.near(heard(m), m, place) for m in matrices), key=lambda p: p.score)
                if better.score <= pose.score:
                    break
                pose = better
        return pose


def _changes(step: float) -> Sequence[Matrix]:
    kinds = (
        np.eye(2),
        np.array([[1.0, 0], [0, -1]]),
        np.array([[0, 1.0], [-1, 0]]),
        np.array([[0, 1.0], [1, 0]]),
    )
    return [np.eye(2) + sign * step * kind for kind in kinds for sign in (1, -1)]


def _polar(frequencies: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return radius and angle of frequencies in steps of the polar map at no change of scale, which is REACH."""
    radius = np.log(np.hypot(*frequencies.T) / TONE_BAND[0]) / STEP
    return radius, np.arctan2(frequencies[:, 1], frequencies[:, 0]) / STEP


def _solved(matrix: Matrix, place: NDArray[np.float64]) -> NDArray[np.float64]:
    solution: NDArray[np.float64] = np.linalg.solve(matrix, place).astype(np.float64)
    return solution


def _matrix(growth: float, turn: float, mirrored: bool) -> Matrix:
    """Return the matrix that moves a tone at (radius, angle) to (radius * exp(growth), ±angle + turn)."""
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s], [s, c]])
    flip = np.diag((1.0, -1.0 if mirrored else 1.0))
    # Frequencies move by the inverse transpose: what is enlarged has longer waves.
    matrix: Matrix = rotation @ flip * np.exp(-growth)
    return matrix
