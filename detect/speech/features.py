"""Numbers of a few seconds of speech: what recordings have and vocoders rebuild only nearly.

Everything is brought to 13,000 samples a second first: sources at 16,000 betray themselves just below 8 kHz, and a
detector would learn that before anything else. Cepstra after Sahidullah, Kinnunen, Hanilçi 2015 (Interspeech); residual
of linear prediction after Janicki 2015 (Interspeech); modulation after Wu et al. 2013 (ICASSP).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

RATE = 13_000
"""Samples a second of what is measured."""
SIZE, HOP, LONG = 512, 130, 1024
"""Samples of a frame, from one frame to the next (10 ms), and of its transform."""
FRAMES = RATE // HOP
"""Frames a second."""
BANDS, CEPSTRA, TAPS, FINE = 40, 30, 20, 4096
"""Bands of the spectrum, coefficients, order of linear prediction, samples of the transform that shows lines."""
ACTIVE = 35.0
"""Decibels below the loudest frames to which a frame counts as sound."""
LEAST_ACTIVE = 60
"""Frames of sound below which a passage is not described."""
PITCH = (32, 216)
"""Lags of the pitch, in samples: 406 down to 60 Hz."""
VOICED = 0.5
"""Autocorrelation at the pitch's lag from which a frame is voiced."""
COMBS = ((4, 64), (64, 128), (128, 256), (256, 384), (384, 512))
"""Bands, in bins of LONG, in which the pitch's comb is measured."""
_MODULATION = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 50.1)
_TINY = 1e-12

Vector = NDArray[np.float32]
Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Frames:
    """A recording cut into frames of 10 ms: power spectra, levels, cepstra, pitch, residuals, one row a frame."""

    sound: Vector
    power: Vector
    level: Vector
    bands: Vector
    cepstra: Vector
    phase: Vector
    lag: NDArray[np.intp]
    voicing: Vector
    comb: Vector
    flatness: Vector
    residual: Vector

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.level)


def resampled(sound: Floats, rate: int) -> Vector:
    """Return mono float (n,) at ``rate`` as float32 at RATE, without its mean, its peak a half."""
    divisor = np.gcd(RATE, rate)
    x = signal.resample_poly(np.asarray(sound, np.float64), RATE // divisor, rate // divisor)
    x = x - x.mean() if len(x) else x
    found: Vector = (x * (0.5 / max(float(np.abs(x).max(initial=0.0)), 1e-9))).astype(np.float32)
    return found


def framed(sound: Vector) -> Frames:
    """Cut float32 (n,) at RATE, n at least SIZE, into frames and measure each."""
    count = (len(sound) - SIZE) // HOP + 1
    cut = np.lib.stride_tricks.sliding_window_view(sound, SIZE)[: count * HOP : HOP]
    spectrum = fft.rfft(cut * _window(), LONG, axis=1).astype(np.complex64)
    power = (spectrum.real**2 + spectrum.imag**2 + np.float32(_TINY)).astype(np.float32)
    half = power[:, ::2]
    level = (10 * np.log10(half.sum(1))).astype(np.float32)
    logs = np.log(half)
    bands = np.log(half[:, 1 : 1 + 6 * BANDS].reshape(count, BANDS, 6).mean(2))
    cepstra = fft.dct(bands, axis=1, norm="ortho")[:, :CEPSTRA]
    sixteen = half[:, 1:].reshape(count, 16, 16)
    flatness = np.exp(logs[:, 1:].reshape(count, 16, 16).mean(2)) / sixteen.mean(2)
    turned = spectrum[:, ::2]
    steps = turned[:, 1:] * turned[:, :-1].conj()
    steps = steps / (np.abs(steps) + np.float32(_TINY))
    straight = np.abs(steps[:, :256].reshape(count, 8, 32).mean(2))
    bends = steps[:, 1:] * steps[:, :-1].conj()
    bent = bends[:, :248].reshape(count, 8, 31).mean(2).real
    waves = fft.irfft(power, axis=1)[:, : LONG // 2]
    waves = waves / (waves[:, :1] + np.float32(_TINY))
    lag = waves[:, PITCH[0] : PITCH[1]].argmax(1) + PITCH[0]
    voicing = waves[np.arange(count), lag]
    product = power * _cosines()[lag]
    comb = np.stack([product[:, a:b].sum(1) / power[:, a:b].sum(1) for a, b in COMBS], 1)
    return Frames(
        sound, power, level, bands.astype(np.float32), cepstra.astype(np.float32),
        np.concatenate([straight, bent], 1).astype(np.float32), lag, voicing.astype(np.float32),
        comb.astype(np.float32), flatness.astype(np.float32), _residuals(waves, spectrum),
    )  # fmt: skip


def _residuals(waves: Floats, spectrum: Floats) -> Vector:
    """Return gain, kurtosis and skew of what linear prediction leaves of every third frame, (n, 3)."""
    r = waves[::3, : TAPS + 1].astype(np.float64)
    r[:, 0] = r[:, 0] * 1.0001 + 1e-6
    index = np.abs(np.arange(TAPS)[:, None] - np.arange(TAPS)[None])
    taps = np.linalg.solve(r[:, index], -r[:, 1:, None])[..., 0]
    whitening = fft.rfft(np.concatenate([np.ones((len(r), 1)), taps], 1), LONG, axis=1)
    left = fft.irfft(whitening * spectrum[::3], LONG, axis=1)[:, : SIZE + TAPS]
    spread = left.std(1) + 1e-12
    whole = np.sqrt((np.abs(spectrum[::3]) ** 2).mean(1) / LONG) + 1e-12
    z = (left - left.mean(1, keepdims=True)) / spread[:, None]
    found: Vector = np.stack([np.log(whole / spread), np.log((z**4).mean(1)), (z**3).mean(1)], 1).astype(
        np.float32
    )
    return found


def describe(frames: Frames, start: int, stop: int) -> list[tuple[str, Vector]] | None:
    """Return the numbers of frames ``start`` to ``stop`` by family; None where too few of them hold sound."""
    level = frames.level[start:stop]
    top = float(np.percentile(level, 95))
    on = level > top - ACTIVE
    if on.sum() < LEAST_ACTIVE:
        return None
    bands, flat = frames.bands[start:stop], frames.flatness[start:stop][on]
    about = bands[on] - bands[on].mean(1, keepdims=True)
    found: list[tuple[str, Any]] = [("spectrum", [about.mean(0), about.std(0)])]
    found.append(("cepstra", _cepstral(frames.cepstra[start:stop], on)))
    found.append(("flatness", [flat.mean(0), flat.std(0), np.percentile(flat, 10, axis=0)]))
    z = (bands[on] - bands[on].mean(0)) / (bands[on].std(0) + 1e-6)
    alike = z.T @ z / len(z)
    found.append(("bands alike", [np.diag(alike, 1), np.diag(alike, 2)[::2], np.diag(alike, 5)[::3]]))
    found.append(("modulation", [_modulation(bands)]))
    found.append(("pauses", _pauses(bands, level, on, top)))
    phase = frames.phase[start:stop][on]
    found.append(("phase", [phase.mean(0), phase.std(0)]))
    left = frames.residual[-(-start // 3) : -(-stop // 3)][on[(-start) % 3 :: 3]]
    found.append(
        ("residual", [left.mean(0), left.std(0), [np.abs(left[:, 2].mean()), np.abs(left[:, 2]).mean()]])
    )
    found.append(("pitch", _pitch(frames, start, stop, on)))
    found.append(("lines", _lines(frames.sound[start * HOP : (stop - 1) * HOP + SIZE])))
    return [
        (name, np.concatenate([np.asarray(v, np.float32).ravel() for v in values])) for name, values in found
    ]


def _cepstral(cepstra: Floats, on: NDArray[np.bool_]) -> list[Any]:
    own = cepstra[on]
    first = np.diff(cepstra, axis=0)[on[1:]]
    second = np.diff(cepstra, 2, axis=0)[on[2:]]
    z = (own - own.mean(0)) / (own.std(0) + 1e-6)
    swift = first.std(0) + 1e-9
    return [
        own.std(0)[1:], first.std(0), second.std(0), (z**3).mean(0), (z**4).mean(0),
        np.abs(first).mean(0) / swift, second.std(0) / swift,
    ]  # fmt: skip


def _modulation(bands: Floats) -> Vector:
    """Return how strongly groups of five bands swing at each pace, about the mean of its logarithm, (8, 10)."""
    groups = bands.reshape(len(bands), 8, 5).mean(2)
    swing = (groups - groups.mean(0)) * np.hanning(len(groups))[:, None]
    power = np.abs(fft.rfft(swing, axis=0)) ** 2 / len(groups)
    pace = fft.rfftfreq(len(groups), 1 / FRAMES)
    rows = [np.log(power[(pace >= a) & (pace < b)].mean(0) + 1e-9) for a, b in pairwise(_MODULATION)]
    table = np.stack(rows, 1)
    found: Vector = (table - table.mean(1, keepdims=True)).astype(np.float32)
    return found


def _pauses(bands: Floats, level: Floats, on: NDArray[np.bool_], top: float) -> list[Any]:
    shape = [np.percentile(level, 5) - top, np.percentile(level, 50) - top, on.mean()]
    if (~on).sum() <= 10:
        return [np.zeros(30), [-60.0, 0.0], shape]
    quiet = bands[~on]
    about = quiet - quiet.mean(1, keepdims=True)
    return [about.mean(0)[::2], quiet.std(0)[::4], [np.median(level[~on]) - top, 1.0], shape]


def _pitch(frames: Frames, start: int, stop: int, on: NDArray[np.bool_]) -> list[Any]:
    lag, voicing, comb = (v[start:stop][on] for v in (frames.lag, frames.voicing, frames.comb))
    voiced = voicing > VOICED
    if voiced.sum() < 20:
        return [[voiced.mean()], np.zeros(5 + 3 * comb.shape[1])]
    tone = np.log(RATE / lag)
    steps = np.abs(np.diff(tone)[voiced[1:] & voiced[:-1]])
    steps = steps if len(steps) else np.zeros(1)
    own = comb[voiced]
    return [
        [voiced.mean(), voicing[voiced].mean(), voicing[voiced].std()],
        [tone[voiced].std(), np.median(steps), steps.mean()],
        own.mean(0), own.std(0), comb[~voiced].mean(0) if (~voiced).any() else np.zeros(comb.shape[1]),
    ]  # fmt: skip


def _lines(sound: Floats) -> list[Any]:
    """Return how far lines stand out of the mean spectrum in each of eight bands, and how sharp the waveform is."""
    count = max(1, (len(sound) - FINE) // (FINE // 2) + 1)
    padded = np.pad(sound, (0, max(0, FINE - len(sound))))
    cut = np.lib.stride_tricks.sliding_window_view(padded, FINE)[:: FINE // 2][:count]
    mean = np.log(np.abs(fft.rfft(cut * np.hanning(FINE).astype(np.float32), axis=1)) ** 2 + 1e-9).mean(0)
    above = mean - ndimage.median_filter(mean, 31)
    eight = above[: FINE // 2].reshape(8, -1)
    steep = np.diff(sound)
    z = steep / (steep.std() + 1e-9)
    return [eight.std(1), np.percentile(eight, 99.5, axis=1), [np.log((z**4).mean()), np.abs((z**3).mean())]]


@cache
def _window() -> Vector:
    window: Vector = signal.get_window("hann", SIZE).astype(np.float32)
    return window


@cache
def _cosines() -> Vector:
    """Return the cosines that sum a power spectrum to its autocorrelation, (lags, LONG // 2 + 1)."""
    lags = np.arange(PITCH[1])[:, None]
    table: Vector = np.cos(2 * np.pi * lags * np.arange(LONG // 2 + 1)[None] / LONG).astype(np.float32)
    return table
