"""What a film says to one key, look by look: where the pattern lies, which word it carries, and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from assay.watermark.film.follow import Look, Track, scaled, stepped, tracked
from assay.watermark.film.listen import SLOTS, Glance
from assay.watermark.film.voice import SECONDS, SIDE, FilmVoice
from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.hearing import Fold, Heard, laid_out
from assay.watermark.hallmark.spectrum import Matrix, Spectrum
from assay.watermark.hallmark.sync import Finder, Pose
from assay.watermark.payload import Bits

ALARM = 1e-9
"""Largest p-value at which an identifier is reported."""
CLEAR = 5.6
"""Score of a track below which what is heard on it is not decoded."""
HEARD = 6.0
"""Score of a pose of another scale below which a look is not listened to again: chance gives 5.7 often."""
SURE = 6.5
"""Score of a track from which its matrix is tried first in the looks that follow."""
LOUD = 1.0
"""Standard deviations of excess energy below which what was heard is not decoded."""
POSES = 2
"""Poses decoded of one search."""
OFF = 0.05
"""Natural logarithm of a change of scale from which on a look is listened to again at its own."""
SMALLER = 0.6
"""Second size, in canvases, at which films are searched: of deeper crops."""
SEARCHES = 2
"""Looks without a track that are searched at the second size and for changes of aspect; the later ones are not."""
SLOT_SURE, PREDICTED = 4.0, 5.0
"""Agreement in standard deviations of chance from which a slot carries the mark, and a look without a track."""

KEPT = 60
"""Most looks kept until a word is known: earlier ones are then not said to carry it."""
TOUCHING = 0.15
"""Seconds apart up to which two stretches count as one: a frame's length."""

Search = Callable[[Finder, Spectrum], list[Pose]]


@dataclass(frozen=True)
class Said:
    """What the tiles of one slot say, and when."""

    start: float
    stop: float
    heard: Heard


@dataclass(frozen=True)
class Found:
    """An identifier, its code word, how well it agrees, the chance of that, and the look and track it was read from."""

    id: str
    code: Bits
    agreement: float
    p_value: float
    look: Look
    track: Track


@dataclass
class Ear:
    """Hears one voice in the looks of one film, in order; ``keys`` is how many voices are tried."""

    voice: FilmVoice
    keys: int = 1
    found: Found | None = None
    _fold: Fold | None = None
    _said: list[Said] = field(default_factory=list)
    _agreed: list[tuple[float, float, float]] = field(default_factory=list)
    _lost: list[Look] = field(default_factory=list)
    _known: list[tuple[float, Matrix]] = field(default_factory=list)
    _decoded: int = 0

    def take(self, glance: Glance, look: Look) -> None:
        """Hear one look; ``look`` is the glance as it is heard at the canvas' own size."""
        best: tuple[Look, Track] | None = None
        for candidate in self._candidates(glance, look):
            if best is None or candidate[1].pose.score > best[1].pose.score:
                best = candidate
            if self.found or self._reads(self._summed(self._slots(*candidate)), *candidate):
                best = candidate
                break
        if best is None:
            self._lost = [*self._lost[-KEPT:], look]
            return
        if best[1].pose.score > SURE or self.found:
            self._remember(*best)
        self._keep(self._slots(*best))
        if not self.found and self._fold is not None:
            self._reads(self._fold, *best)

    def _keep(self, slots: list[Said]) -> None:
        """Add slots to what was heard so far; of those before a word is known, the last ones are kept to be judged."""
        heard = self._summed(slots)
        self._fold = heard if self._fold is None else self._fold + heard
        self._said = [*self._said, *slots][-KEPT * SLOTS :]
        if self.found is not None:
            code = self.found.code
            self._agreed += [(said.start, said.stop, said.heard.agreement(code)) for said in self._said]
            self._said.clear()

    def _candidates(self, glance: Glance, look: Look) -> Iterator[tuple[Look, Track]]:
        """Yield how the pattern may lie in a look, the likeliest and cheapest first."""
        finder = self.voice.finder
        for side, matrix in [*self._known, (SIDE, np.eye(2))]:
            near = look if side == SIDE else glance.listened(side)
            track = tracked(finder, near, matrix)
            if track.pose.score >= CLEAR:
                yield near, track
                if track.pose.score >= SURE:
                    return
        first = len(self._lost) < SEARCHES and not self.found
        if first:
            yield from self._searched(glance, look, scaled, HEARD)
        yield from self._searched(glance, look, Finder.search)
        if first:
            small = glance.listened(SIDE * SMALLER)
            yield from self._searched(glance, small, Finder.search)
            yield from self._searched(glance, look, Finder.search_stretched)

    def _searched(
        self, glance: Glance, look: Look, search: Search, least: float = CLEAR
    ) -> Iterator[tuple[Look, Track]]:
        finder = self.voice.finder
        for pose in search(finder, look.whole)[:POSES]:
            if pose.score < least:
                return
            track = tracked(finder, look, pose.matrix, refine=True)
            growth = math.sqrt(abs(float(np.linalg.det(track.pose.matrix))))
            if abs(math.log(growth)) < OFF:
                yield look, track
                continue
            nearer = glance.listened(look.side / growth)
            yield nearer, tracked(finder, nearer, track.pose.matrix / growth, refine=True)

    def _remember(self, look: Look, track: Track) -> None:
        known = (look.side, track.pose.matrix)
        same = [k for k in self._known if k[0] == known[0] and np.allclose(k[1], known[1])]
        if not same:
            self._known = [known, *self._known[:1]]

    def _summed(self, slots: list[Said]) -> Fold:
        return Fold.of(self.voice.pattern, (said.heard for said in slots))

    def _slots(self, look: Look, track: Track) -> list[Said]:
        return [
            Said(start, stop, self._heard(plane, track.at(number)))
            for number, ((start, stop), plane) in enumerate(zip(look.times, look.heard, strict=True))
        ]

    def _heard(self, plane: Plane, pose: Pose) -> Heard:
        (turned, cover), first = laid_out(pose, (plane, np.ones_like(plane)))
        return Heard.of(self.voice.pattern, turned, None, cover, first)

    def _reads(self, fold: Fold, look: Look, track: Track) -> bool:
        """Try to decode what some slots say together."""
        if self._decoded >= self.voice.tries - 1 or fold.loudness() < LOUD:
            return False
        self._decoded += 1
        (word,) = self.voice.payload.decode(fold.soft()[0][None])
        if word is None:
            return False
        code = self.voice.payload.encode(word.id)
        agreement = fold.agreement(code)
        p_value = self.voice.p_value(agreement, self.keys)
        if p_value >= ALARM:
            return False
        self.found = Found(word.id, code, agreement, p_value, look, track)
        return True

    def finish(self) -> None:
        """With the word known, hear again what was lost: where the tones are too faint, the word may be loud enough."""
        if self.found is None:
            return
        for look in self._lost:
            slots = self._predicted(self.found, look)
            if slots:
                self._keep(slots)
        self._lost.clear()
        self._keep([])
        self._agreed.sort()
        assert self._fold is not None
        agreement = self._fold.agreement(self.found.code)
        if agreement > self.found.agreement:
            p_value = self.voice.p_value(agreement, self.keys)
            self.found = replace(self.found, agreement=agreement, p_value=p_value)

    def _predicted(self, found: Found, look: Look) -> list[Said]:
        """Return what a look says where the pattern should lie in it by the time that has passed, or the next best."""
        if look.heard[0].shape != found.look.heard[0].shape:
            return []  # listened to before its size was known
        pose = found.track.pose
        passed = round((look.times[0][0] - found.look.times[0][0]) / SECONDS)
        best: list[Said] = []
        most = PREDICTED
        for count in (passed - 1, passed, passed + 1):
            there = stepped(pose, count)
            place: NDArray[np.float64] = np.linalg.solve(there.matrix, there.offset).astype(np.float64)
            near = self.voice.finder.near(
                self.voice.finder.waves(look.whole, pose.matrix), pose.matrix, place
            )
            slots = self._slots(look, Track(near, len(look.heard)))
            agreement = self._summed(slots).agreement(found.code)
            if agreement > most:
                best, most = slots, agreement
        return best

    def carried(self) -> list[tuple[float, float]]:
        """Return the stretches that carry the word, (start, stop) in seconds, ascending."""
        agreed = [agreement for _, _, agreement in self._agreed]
        around = [sum(agreed[max(0, n - 1) : n + 2]) / math.sqrt(3) for n in range(len(agreed))]
        return joined(
            (start, stop)
            for (start, stop, alone), near in zip(self._agreed, around, strict=True)
            if alone >= SLOT_SURE or (alone >= SLOT_SURE / 2 and near >= SLOT_SURE)
        )


def joined(times: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return stretches with those that touch made one; ``times`` are ascending."""
    stretches: list[tuple[float, float]] = []
    for start, stop in times:
        if stretches and start - stretches[-1][1] < TOUCHING:
            stretches[-1] = (stretches[-1][0], max(stop, stretches[-1][1]))
        else:
            stretches.append((start, stop))
    return stretches
