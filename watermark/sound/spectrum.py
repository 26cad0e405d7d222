"""From samples to a spectrogram below 4 kHz and back. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import uniform_filter1d
from scipy.signal import resample_poly

from assay.watermark.sound.lattice import BAND, BANDS, HOP, LOWEST, RATE, SLOT, WINDOW, Reals

Spectra = NDArray[np.complex64]
BINS = WINDOW // 2 + 1
FIERCEST = 16.0
"""Largest sample that is believed, full scale being 1."""
FADE = 3
"""Frames over which one slot's gain goes over into the next's."""


@cache
def _window() -> Reals:
    """Return the periodic Hann window."""
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def tame(samples: Reals) -> Reals:
    """Return samples without what is no number, and none beyond FIERCEST."""
    tamed: Reals = np.clip(np.nan_to_num(samples, posinf=FIERCEST, neginf=-FIERCEST), -FIERCEST, FIERCEST)
    return tamed


def canonical(samples: Reals, rate: int) -> Reals:
    """Return sound (n, channels) at RATE samples a second."""
    return _resampled(samples, rate, RATE)


def restored(sound: Reals, rate: int) -> Reals:
    """Return sound (n, channels) that is at RATE at another rate."""
    return _resampled(sound, RATE, rate)


def _resampled(samples: Reals, old: int, new: int) -> Reals:
    if old == new:
        return samples
    shared = gcd(old, new)
    resampled: Reals = resample_poly(samples, new // shared, old // shared, axis=0).astype(np.float32)
    return resampled


def spectra(sound: Reals) -> Spectra:
    """Return the spectra (frames, BINS) of one channel (n,); frame k is centred on sample k HOP."""
    padded = np.pad(sound, (WINDOW // 2, WINDOW // 2 + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    transformed: Spectra = rfft(frames * _window(), axis=1).astype(np.complex64, copy=False)
    return transformed


def sound_of(frames: Spectra, count: int) -> Reals:
    """Return the ``count`` samples whose spectra these are: windowed again, overlapped and added."""
    pieces = irfft(frames, WINDOW, axis=1) * _window()
    overlap = WINDOW // HOP
    sound = np.zeros((len(pieces) + overlap, HOP), np.float32)
    for part in range(overlap):
        sound[part : part + len(pieces)] += pieces[:, part * HOP : (part + 1) * HOP]
    # Squared Hann windows a quarter apart sum to one and a half.
    whole: Reals = sound.reshape(-1)[WINDOW // 2 : WINDOW // 2 + count] / np.float32(1.5)
    return whole


def power(sound: Reals) -> Reals:
    """Return the power (frames, BINS) of canonical sound (n, channels), summed over its channels."""
    return power_of([spectra(channel) for channel in sound.T])


def power_of(channels: Sequence[Spectra]) -> Reals:
    """Return the power (frames, BINS) of the spectra of one channel or more, summed over them."""
    total: Reals = np.zeros(channels[0].shape, np.float32)
    for frames in channels:
        total += frames.real**2 + frames.imag**2
    return total


@cache
def bands(first: float, width: float, count: int, pitch: float = 1.0) -> Reals:
    """Return how much of each bin lies in each band, (BINS, count), all bands moved up by a factor ``pitch``.

    The last bin ends at the Nyquist frequency, so that bands beyond it are empty.
    """
    lower = (first + width * np.arange(count)) * pitch
    upper = np.minimum(lower + width * pitch, RATE / 2)
    step = RATE / WINDOW
    centres = np.arange(BINS)[:, None] * step
    shared = np.minimum(upper, centres + step / 2) - np.maximum(lower, centres - step / 2)
    parts: Reals = (np.clip(shared, 0, None) / step).astype(np.float32)
    return parts


def moving(values: Reals, width: int, axis: int = 0) -> Reals:
    """Return the moving mean over ``width`` entries, the ends repeated; an even one begins half its width before."""
    mean: Reals = uniform_filter1d(values, width, axis=axis, mode="nearest")
    return mean


def moving_power(powers: Reals, width: int) -> Reals:
    """Return the moving mean of powers over time: never below zero, where a running sum may come out after a bang."""
    return np.maximum(moving(powers, width), 0)


def tile_power(power: Reals, pitch: float = 1.0) -> Reals:
    """Return the mean power over a slot's length of each band, (frames, BANDS)."""
    return moving_power(power @ bands(LOWEST, BAND, BANDS, pitch), SLOT)


def gain(tiles: Reals, frames: int) -> Reals:
    """Return the logarithmic gain (frames, BINS) of tiles (slots, BANDS), faded from slot to slot."""
    drawn = moving(np.repeat(tiles, SLOT, axis=0), FADE)[:frames]
    return drawn @ bands(LOWEST, BAND, BANDS).T
