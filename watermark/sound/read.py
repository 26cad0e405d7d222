"""Reading a passage: its lattice, its words, the stretches that carry them. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.watermark.sound.lattice import BANDS, HOP, PERIOD, RATE, SLOT, SLOTS, Reals
from assay.watermark.sound.listener import Levels
from assay.watermark.sound.search import AS_IS, Passage, Place, paces
from assay.watermark.sound.spectrum import canonical, power, tame
from assay.watermark.sound.voice import Voice, p_value
from assay.watermark.sound.words import ID_BITS

WINDOW_FRAMES = 4 * PERIOD + SLOT
"""Frames of a window in which a word is looked for: 10.3 s."""
ADVANCE = 2 * PERIOD
"""Frames between the beginnings of two windows."""
P_FOUND = 1e-9
"""A word is believed below this p-value, and where its check bits agree."""
LEAST_FRAMES = PERIOD // 2
"""Fewer frames than these are not looked at: 1.3 s."""
NOTICED = 5.0
"""Agreement of the known tiles, in deviations, from which a place of the lattice is decoded."""
DECODED = 4
"""Most places that are decoded in a window with one key, as it was, and at other paces."""
PHASED = 4.5
"""Agreement from which a window's offset counts as one at which the lattice lies."""
MOST_PHASES = 6
"""Most offsets that are followed in a passage: each cut may make a new one."""
SWITCH = 7.0
"""Evidence, a natural logarithm, without which a stretch is not begun, ended or cut."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word that was read: identifier, agreement T in deviations, the place of the lattice and its window."""

    id: str
    agreement: float
    place: Place
    voice: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds [start, stop) of a passage that carry the mark."""

    start: float
    stop: float


def summed(odds: Reals, first: int) -> Reals:
    """Return the sum over periods, (SLOTS, BANDS), of odds (slots, BANDS) whose first slot has number ``first``."""
    ahead = first % SLOTS
    rows = -(-(ahead + len(odds)) // SLOTS) * SLOTS
    padded = np.zeros((rows, BANDS), np.float32)
    padded[ahead : ahead + len(odds)] = odds
    total: Reals = padded.reshape(-1, SLOTS, BANDS).sum(axis=0)
    return total


def window_starts(frames: int) -> list[int]:
    """Return where the windows of so many frames begin; the last one ends with them."""
    last = max(0, frames - WINDOW_FRAMES)
    return [*range(0, last, ADVANCE), last] if last > SLOTS else [0]


class Listener:
    """Reads passages one after another; remembers the first word found, and the pace at which it was."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self._voices = voices
        self.heard: Heard | None = None
        self._windows = 0
        self.score = 0.0

    def listen(self, samples: Reals, rate: int) -> list[Stretch]:
        """Look for a word in a passage (n, channels), and return which of its seconds carry the one found."""
        spectrogram = power(canonical(tame(samples), rate))
        if len(spectrogram) < LEAST_FRAMES:
            return []
        if self.heard is None:
            for start in window_starts(len(spectrogram)):
                self.heard = self._word(spectrogram[start : start + WINDOW_FRAMES], start)
                if self.heard is not None:
                    break
        if self.heard is None:
            return []
        return self._stretches(spectrogram, self.heard, len(samples) / rate)

    def _word(self, window: Reals, start: int) -> Heard | None:
        """Return the word of a window whose first frame is ``start`` of its passage, None where there is none."""
        passage = Passage(window)
        self._windows += 1
        for tried in ((AS_IS,), paces()[1:]):
            for number, voice in enumerate(self._voices):
                places = passage.find(voice.finder, tried, DECODED)
                self.score = max(self.score, places[0].score)
                for place in places:
                    if place.score < NOTICED:
                        break
                    heard = self._decoded(window, place, number)
                    # A place beside the right one may give the right word faintly: the search goes on.
                    if heard is not None and self.p_value(heard) < P_FOUND:
                        moved = Place(place.pace, place.start + start, place.score)
                        return Heard(heard.id, heard.agreement, moved, number)
        return None

    def p_value(self, heard: Heard) -> float:
        """Return a bound on the chance of so high an agreement in any decoding of any window.

        The k-th window has a share of 1 / 2 k^2 of the false alarms, and those shares sum to less than one.
        """
        decodings = 2 * DECODED * len(self._voices)
        return p_value(heard.agreement, decodings * 2 * max(1, self._windows) ** 2)

    def _decoded(self, window: Reals, place: Place, number: int) -> Heard | None:
        """Return the word that a window carries at a place, None where the check bits deny it."""
        voice = self._voices[number]
        first, middles = place.places(0, len(window))
        soft = summed(Levels(window, place.pace.pitch).odds(middles), first).reshape(-1)
        soft = soft[voice.pattern.data] * voice.pattern.signs[voice.pattern.data]
        (word,) = voice.payload.decode(soft[None])
        if word is None:
            return None
        agreement = word.correlation * float(np.sqrt(soft.size))
        return Heard(word.id[: ID_BITS // 4], agreement, place, number)

    def _stretches(self, spectrogram: Reals, heard: Heard, duration: float) -> list[Stretch]:
        """Return the stretches of a passage that carry a word, whatever cuts lie between them."""
        voice = self._voices[heard.voice]
        expected = voice.pattern.tiles(voice.payload.sure(heard.id))
        levels = Levels(spectrogram, heard.place.pace.pitch)
        slot = SLOT * heard.place.pace.length
        count = max(1, int(len(spectrogram) / slot))
        evidence = [np.zeros(count, np.float32)]
        for place in self._phases(spectrogram, heard):
            first, middles = place.places(0, len(spectrogram))
            rows = np.arange(first, first + len(middles)) % SLOTS
            toward = levels.odds(middles) * expected[rows]
            # The logarithm of how much likelier the odds' signs are with the mark than without it.
            said = np.where(expected[rows] != 0, np.log(2) - np.logaddexp(0, -toward), 0).sum(axis=1)
            at = np.clip((middles / slot).astype(np.intp), 0, count - 1)
            row = np.zeros(count, np.float32)
            np.add.at(row, at, said.astype(np.float32))
            evidence.append(row)
        states = _followed(np.stack(evidence))
        return _runs(states > 0, slot * HOP / RATE, duration)

    def _phases(self, spectrogram: Reals, heard: Heard) -> list[Place]:
        """Return the places at which the lattice lies in some window of a passage, at the pace that is known."""
        finder = self._voices[heard.voice].finder
        found = []
        for start in range(0, max(1, len(spectrogram) - PERIOD), PERIOD):
            passage = Passage(spectrogram[max(0, start - PERIOD // 2) : start + 3 * PERIOD // 2])
            for place in passage.find(finder, (heard.place.pace,), 1):
                if place.score > PHASED:
                    begins = place.start + max(0, start - PERIOD // 2)
                    found.append(Place(heard.place.pace, begins, place.score))
        found.sort(key=lambda place: -place.score)
        kept: list[Place] = []
        period = PERIOD * heard.place.pace.length
        for place in found:
            distances = [abs((place.start - k.start + period / 2) % period - period / 2) for k in kept]
            if all(d > SLOT / 2 for d in distances) and len(kept) < MOST_PHASES:
                kept.append(place)
        return kept or [heard.place]


def _followed(evidence: Reals) -> NDArray[np.intp]:
    """Return the likeliest state (slots,) of evidence (states, slots), each change of state costing SWITCH."""
    states, slots = evidence.shape
    total = evidence[:, 0].copy()
    came = np.zeros((slots, states), np.intp)
    for slot in range(1, slots):
        top = int(total.argmax())
        stay = total >= total[top] - SWITCH
        came[slot] = np.where(stay, np.arange(states), top)
        total = np.where(stay, total, total[top] - SWITCH) + evidence[:, slot]
    path = np.empty(slots, np.intp)
    path[-1] = int(total.argmax())
    for slot in range(slots - 1, 0, -1):
        path[slot - 1] = came[slot, path[slot]]
    return path


def _runs(present: NDArray[np.bool_], slot: float, duration: float) -> list[Stretch]:
    """Return the runs of slots of so many seconds that are present, no further than ``duration``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]])))
    ends = zip(edges[::2], edges[1::2], strict=True)
    count = len(present)
    return [
        Stretch(float(start) * slot, duration if stop == count else min(duration, float(stop) * slot))
        for start, stop in ends
    ]
