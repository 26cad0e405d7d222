"""Writing: blocks of four periods, each marked by itself, added to the sound as it passes by.

Format: docs/formats/mark-audio.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from assay.provenance.errors import LimitError
from assay.provenance.media import Timed
from assay.watermark.sound.lattice import BAND, BANDS, HOP, PERIOD, RATE, SLOT, SLOTS, Reals
from assay.watermark.sound.listener import Levels
from assay.watermark.sound.read import summed
from assay.watermark.sound.search import AS_IS, Place
from assay.watermark.sound.spectrum import (
    canonical,
    gain,
    power_of,
    restored,
    sound_of,
    spectra,
    tame,
    tile_power,
)
from assay.watermark.sound.voice import Voice

BLOCK_PERIODS = 4
"""Periods that share a code word."""
BLOCK_SECONDS = Fraction(BLOCK_PERIODS * PERIOD * HOP, RATE)
"""10.24 s."""
SLOT_SAMPLES = SLOT * HOP
LEAST_SECONDS = 4
"""Sound shorter than this is not marked."""
CONTEXT = 6 * SLOT_SAMPLES
"""Samples at RATE on each side of a block that are looked at, and may be touched a little."""
LOUDEST, USUAL, FAINTEST = 27.0, 31.0, 34.0
"""Ratios in decibels of the sound's energy to the mark's: bounds, and the first trial, in every block."""
DEEPEST = 0.7
"""Largest change of a tile, in nepers: 6.1 dB."""
EVENNESS = 1.2
"""The power of the mark in a tile goes with the tile's own to the power of one less this."""
TRIAL_NOISE = 20.0
"""Ratio in decibels of the sound's energy to that of the white noise after which it must still be heard."""
GOAL_NOISE, GOAL_HALF = 25.0, 23.5
"""Agreements of all tiles that suffice: in a block under that noise, and in either half of a block."""
YIELDING = 0.3
"""How much less a tile is changed that agrees already, in deviations of how much tiles agree."""
LEAST_SHARE, MOST_SHARE = 0.2, 2.5
"""Bounds of what YIELDING makes of a tile's share."""
TRIAL_SEED = 1
HARD = 1.1
"""Shortness of the first trial from which another shape of the mark is tried."""
SILENCE = 1e-9
"""Mean square of the samples, full scale 1, below which a block is left alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of canonical sound (n, channels) with its surroundings: the block proper is [start, stop)."""

    sound: Reals
    start: int
    stop: int

    @property
    def slots(self) -> int:
        """Whole slots of the block proper, of which the last may be cut."""
        return -(-(self.stop - self.start) // SLOT_SAMPLES)


def change(block: Block, voice: Voice, id: str, rate: int) -> Reals:
    """Return what is to be added to a block's sound, float32 (n, channels), nothing where it is silent."""
    sound = block.sound
    proper = sound[block.start : block.stop]
    if proper.size == 0 or float((proper**2).mean()) < SILENCE:
        return np.zeros_like(sound)
    frames = [spectra(channel) for channel in sound.T]
    heard = power_of(frames)
    ahead, slots = block.start // SLOT_SAMPLES, block.slots
    shares = _signs(heard, ahead, slots, voice, id)
    energy = float((proper.astype(np.float64) ** 2).sum())

    def added(ratio: float, noise: float) -> Reals:
        """Return what is added at a ratio of the sound's energy to it, in decibels, as far as there is room."""
        factor = np.float32(1.0)
        depth = _depth(heard, ahead, shares, ratio, noise)
        # The cost of a change is counted, not foretold: once at a guess, once at what the first try asks for.
        for _ in range(2):
            drawn = np.zeros((-(-len(heard) // SLOT), BANDS), np.float32)
            drawn[ahead : ahead + slots] = np.clip(depth * factor, -DEEPEST, DEEPEST)
            grown = np.expm1(gain(drawn, len(heard)))
            extra = np.stack([sound_of(frame * grown, len(sound)) for frame in frames], axis=1)
            spent = float((extra.astype(np.float64) ** 2).sum())
            factor *= np.float32(np.sqrt(energy / (10 ** (ratio / 10) * spent + 1e-30)))
        return extra

    hiss = _hiss(sound.shape, energy / proper.size, rate)
    # Spectra add up as sounds do: what is known of the sound and of the noise is not computed again.
    noises = [spectra(channel) for channel in hiss.T]

    def short(noise: float) -> float:
        extra = added(USUAL, noise)
        marked = [own + spectra(channel) for own, channel in zip(frames, extra.T, strict=True)]
        noisy = [own + other for own, other in zip(marked, noises, strict=True)]
        return _shortness(power_of(marked), power_of(noisy), ahead, np.sign(shares))

    # Where much of the sound would drown in noise, what drowns gets less, and the rest more.
    spread = 10 ** (-TRIAL_NOISE / 10) * RATE / max(rate, RATE) * BAND / (RATE / 2)
    needed, noise = short(0.0), 0.0
    if needed > HARD and (other := short(spread)) < needed:
        needed, noise = other, spread
    return added(min(FAINTEST, max(LOUDEST, USUAL - 20 * float(np.log10(needed)))), noise)


def _hiss(shape: tuple[int, ...], loud: float, rate: int) -> Reals:
    """Return white noise TRIAL_NOISE below a mean square, as much of it as lies below 4 kHz at a rate."""
    deviation = np.sqrt(loud / 10 ** (TRIAL_NOISE / 10) * RATE / max(rate, RATE))
    noise: Reals = np.random.default_rng(TRIAL_SEED).standard_normal(shape, np.float32) * np.float32(
        deviation
    )
    return noise


def _shortness(plain: Reals, noisy: Reals, ahead: int, signs: Reals) -> float:
    """Return by what factor a marked block falls short of the goals, in its hardest trial; below 1 it exceeds them.

    ``plain`` and ``noisy`` are its powers as it is and under noise, ``signs`` (slots, BANDS) those of its tiles.
    """
    _, middles = Place(AS_IS, float(ahead * SLOT), 0.0).places(ahead * SLOT, (ahead + len(signs)) * SLOT)
    half = len(signs) // 2
    clear = Levels(plain, 1.0).odds(middles) * signs
    dim = Levels(noisy, 1.0).odds(middles) * signs
    halves = min(_agreement(clear[:half]), _agreement(clear[half:]))
    return max(GOAL_NOISE / max(1.0, _agreement(dim)), GOAL_HALF / max(1.0, halves))


def _agreement(toward: Reals) -> float:
    """Return in deviations how far tiles' odds speak for their signs."""
    return float(toward.sum() / (np.sqrt((toward**2).sum()) + 1e-9))


def _signs(heard: Reals, ahead: int, slots: int, voice: Voice, id: str) -> Reals:
    """Return the signed shares (slots, BANDS) of the tiles: the word chosen, tiles that agree already spared."""
    place = Place(AS_IS, float(ahead * SLOT), 0.0)
    _, middles = place.places(ahead * SLOT, (ahead + slots) * SLOT)
    soft = summed(Levels(heard, 1.0).odds(middles), 0).reshape(-1)
    pattern = voice.pattern
    word = voice.payload.chosen(id, soft[pattern.data] * pattern.signs[pattern.data])
    signs = pattern.tiles(word).reshape(-1)
    agreeing = signs * soft / (soft.std() + 1e-9)
    shares = signs * np.clip(1 - YIELDING * agreeing, LEAST_SHARE, MOST_SHARE)
    return np.resize(shares.reshape(SLOTS, BANDS), (slots, BANDS))


def _depth(heard: Reals, ahead: int, shares: Reals, ratio: float, noise: float) -> Reals:
    """Return logarithmic gains (slots, BANDS) whose mark has about ``ratio`` decibels less energy than the sound.

    ``noise`` is the share of a slot's power that noise has in each of its tiles, 0 where none is expected.
    """
    tiles = tile_power(heard)
    middles = np.minimum((ahead + np.arange(len(shares))) * SLOT + SLOT // 2, len(tiles) - 1)
    own = tiles[middles]
    whole = float(heard[ahead * SLOT : (ahead + len(shares)) * SLOT].sum()) / SLOT
    mean = whole / own.size + 1e-20
    drowned = own / (own + np.float32(noise * whole / len(shares) + 1e-9 * mean))
    depth = shares * (mean / (own + 1e-6 * mean)) ** (EVENNESS / 2) * drowned**EVENNESS
    low, high = 1e-3, 1e3
    for _ in range(22):
        middle = float(np.sqrt(low * high))
        if float((np.clip(depth * middle, -DEEPEST, DEEPEST) ** 2 * own).sum()) > whole / 10 ** (ratio / 10):
            high = middle
        else:
            low = middle
    return np.clip(depth * np.float32(low), -DEEPEST, DEEPEST)


def too_short(seconds: float) -> LimitError:
    """Return what is raised of sound that lasts no longer than this."""
    return LimitError(
        f"the sound is too small for a mark: it lasts {seconds:.1f} s", hint=f"it needs {LEAST_SECONDS} s"
    )


class Writer:
    """Marks sound that passes by, block by block, a block and its surroundings at a time in memory."""

    def __init__(self, voice: Voice, id: str, rate: int) -> None:
        self._voice, self._id, self._rate = voice, id, rate

    def marked(self, timed: Iterator[Timed]) -> Iterator[Timed]:
        """Return the chunks with the mark in them, at the same times and of the same lengths."""
        margin = CONTEXT * self._rate // RATE + 1
        waiting: list[tuple[Fraction, Reals]] = []
        held = np.zeros((0, 1), np.float32)
        first = done = given = number = 0  # samples: where ``held`` begins, marked up to, handed on up to
        added = np.zeros((0, 1), np.float32)

        def mark(stop: int) -> None:
            nonlocal held, added, first, done, number
            start, end = max(first, done - margin), min(first + len(held), stop + margin)
            extra = self._extra(held[start - first : end - first], done - start, stop - start)
            added[start - first : end - first] += extra
            done, number = stop, number + 1

        for at, chunk in timed:
            waiting.append((at, chunk))
            held = chunk if not len(held) else np.concatenate([held, chunk])
            added = np.concatenate([added.reshape(-1, held.shape[1]), np.zeros_like(chunk)])
            while first + len(held) >= (stop := self._border(number + 1)) + margin:
                mark(stop)
            while waiting and given + len(waiting[0][1]) <= done - margin:
                when, piece = waiting.pop(0)
                yield when, self._sum(held, added, given - first, len(piece))
                given += len(piece)
            drop = max(0, min(given, done - 2 * margin) - first)
            held, added, first = held[drop:], added[drop:], first + drop
        if first + len(held) < LEAST_SECONDS * self._rate:
            raise too_short((first + len(held)) / self._rate)
        while done < first + len(held):
            mark(min(self._border(number + 1), first + len(held)))
        for when, piece in waiting:
            yield when, self._sum(held, added, given - first, len(piece))
            given += len(piece)

    def _border(self, number: int) -> int:
        """Return the sample before which a block begins."""
        return int(number * BLOCK_SECONDS * self._rate)

    def _extra(self, samples: Reals, start: int, stop: int) -> Reals:
        """Return what to add to some samples of which [start, stop) are a block."""
        # Slots begin with the block: what lies before it is cut to whole slots.
        slots = int(start * RATE / self._rate) // SLOT_SAMPLES
        lead = start - round(slots * SLOT_SAMPLES * self._rate / RATE)
        sound = canonical(tame(samples[lead:]), self._rate)
        begin = slots * SLOT_SAMPLES
        end = min(len(sound), begin + round((stop - start) * RATE / self._rate))
        extra = restored(change(Block(sound, begin, end), self._voice, self._id, self._rate), self._rate)
        whole = np.zeros_like(samples)
        count = min(len(extra), len(samples) - lead)
        whole[lead : lead + count] = extra[:count]
        return whole

    @staticmethod
    def _sum(held: Reals, added: Reals, start: int, count: int) -> Reals:
        own = held[start : start + count]
        # Sound that is beyond full scale already, as decoders give it, is not cut to it.
        peak = max(1.0, float(np.abs(own).max(initial=0)))
        total: Reals = np.clip(own + added[start : start + count], -peak, peak)
        return total
