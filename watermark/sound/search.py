"""Finding the lattice: where the known tiles agree best, at any pace. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from assay.watermark.sound.lattice import BANDS, PERIOD, SLOT, SLOTS, TILES, Pattern, Reals
from assay.watermark.sound.rule import STRIDE, hear

FURTHEST, STEP = 0.05, 0.005
"""Largest change of speed or of tempo that is looked for, and the step."""
FINER = (-0.0025, -0.00125, 0.0, 0.00125, 0.0025)
"""Changes of length that are tried about a good place of the grid."""
PLACES = PERIOD // STRIDE
"""Offsets tried in a period."""
APART = 4
"""Places within which two offsets are taken for one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done to the sound: all pitches times ``pitch``, all lengths times ``length``."""

    pitch: float = 1.0
    length: float = 1.0


AS_IS = Pace()


def paces() -> tuple[Pace, ...]:
    """Return the paces that are looked for: as it was, then played faster or slower, then stretched at one pitch."""
    steps = round(FURTHEST / STEP)
    factors = [1 + STEP * step for step in range(-steps, steps + 1) if step]
    played = [Pace(factor, 1 / factor) for factor in factors]
    return (AS_IS, *played, *(Pace(1.0, 1 / factor) for factor in factors))


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the lattice: a period begins at frame ``start`` (modulo a period); ``score`` in deviations."""

    pace: Pace
    start: float
    score: float

    def places(self, first: float, stop: float) -> tuple[int, Reals]:
        """Return the slots whose middles lie in these frames: the first one's number, and the middles.

        Slot 0 begins a period, as does every SLOTS-th.
        """
        slot = SLOT * self.pace.length
        low = int(np.ceil((first - self.start) / slot - 0.5))
        high = int(np.ceil((stop - self.start) / slot - 0.5))
        return low, (self.start + (np.arange(low, max(low, high)) + 0.5) * slot).astype(np.float32)


class Finder:
    """Looks for one key's known tiles."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern

    @cached_property
    def _template(self) -> np.ndarray[tuple[int, int], np.dtype[np.complex64]]:
        """Return the conjugate transform (PLACES / 2 + 1, BANDS) of the known tiles, each at its slot's middle."""
        drawn = np.zeros((PLACES, BANDS), np.float32)
        drawn[SLOT // STRIDE // 2 :: SLOT // STRIDE] = self._pattern.known()
        return np.conj(np.fft.rfft(drawn, axis=0)).astype(np.complex64)

    def scores(self, folded: Reals) -> Reals:
        """Return the agreement (PLACES,) at each offset of what was heard in a folded period (PLACES, BANDS)."""
        transform = (np.fft.rfft(folded, axis=0) * self._template).sum(axis=1)
        energy = float((folded**2).sum()) * len(self._pattern.sync) / TILES * SLOTS / PLACES
        found: Reals = (np.fft.irfft(transform, PLACES) / np.sqrt(energy + 1e-12)).astype(np.float32)
        return found


def fold(said: Reals, length: float) -> Reals:
    """Return the sum over periods, (PLACES, BANDS), of what the rule said, (places, BANDS), lengths undone."""
    count = int((len(said) - 1) / length)
    at = np.arange(count) * length
    low = at.astype(np.intp)
    part = (at - low).astype(np.float32)[:, None]
    even = said[low] * (1 - part) + said[np.minimum(low + 1, len(said) - 1)] * part
    padded = np.zeros((-(-count // PLACES) * PLACES, BANDS), np.float32)
    padded[:count] = even
    total: Reals = padded.reshape(-1, PLACES, BANDS).sum(axis=0)
    return total


def best(scores: Reals, pace: Pace, count: int) -> list[Place]:
    """Return the ``count`` best offsets of a pace, best first."""
    found: list[Place] = []
    for index in np.argsort(scores)[::-1][: 4 * count * APART]:
        start = float(index) * STRIDE * pace.length
        distances = [
            abs((start - p.start) / (STRIDE * pace.length) + PLACES / 2) % PLACES - PLACES / 2 for p in found
        ]
        if all(abs(d) > APART for d in distances):
            found.append(Place(pace, start, float(scores[index])))
        if len(found) == count:
            break
    return found


class Passage:
    """What the rule says of a passage at each pitch, kept while several keys and paces are tried."""

    def __init__(self, power: Reals) -> None:
        self.power = power
        self._said: dict[float, Reals] = {}
        self._folded: dict[Pace, Reals] = {}

    def said(self, pitch: float) -> Reals:
        """Return what the rule says at a pitch."""
        if pitch not in self._said:
            self._said[pitch] = hear(self.power, pitch)
        return self._said[pitch]

    def folded(self, pace: Pace) -> Reals:
        """Return what the rule says at a pace, folded to a period."""
        if pace not in self._folded:
            self._folded[pace] = fold(self.said(pace.pitch), pace.length)
        return self._folded[pace]

    def find(self, finder: Finder, tried: Sequence[Pace], count: int) -> list[Place]:
        """Return the ``count`` best places of the lattice under these paces, best first, their lengths refined."""
        found = [place for pace in tried for place in best(finder.scores(self.folded(pace)), pace, 2)]
        found.sort(key=lambda place: -place.score)
        kept: list[Place] = []
        for place in (self._finer(finder, place) for place in found[: 2 * count]):
            if all(_apart(place, other) for other in kept):
                kept.append(place)
        return sorted(kept, key=lambda place: -place.score)[:count]

    def _finer(self, finder: Finder, place: Place) -> Place:
        """Return the best place about one: of a few lengths, at an offset between those of the grid."""
        champion = place
        for change in FINER:
            pace = replace(place.pace, length=place.pace.length * (1 + change))
            scores = finder.scores(self.folded(pace))
            # The pattern may drift from one end of the passage to the other, but no further than that.
            near = round(place.start / (STRIDE * pace.length))
            reach = np.arange(-2 * APART, 2 * APART + 1)
            top = int(reach[scores[(near + reach) % PLACES].argmax()]) + near
            left, middle, right = (float(scores[(top + side) % PLACES]) for side in (-1, 0, 1))
            if middle >= champion.score:
                bend = left - 2 * middle + right
                between = min(0.5, max(-0.5, 0.5 * (left - right) / bend)) if bend < 0 else 0.0
                champion = Place(pace, (top + between) * STRIDE * pace.length, middle)
        return champion


def _apart(one: Place, other: Place) -> bool:
    """Say whether two places are more than a little apart."""
    if abs(one.pace.length - other.pace.length) > STEP / 4 or one.pace.pitch != other.pace.pitch:
        return True
    period = PERIOD * one.pace.length
    distance = abs(one.start - other.start) % period
    return min(distance, period - distance) > APART * STRIDE
