"""Chromaprint: 32 bits for every eighth of a second of a sound, by the melody that is heard there.

After Chromaprint by L. Lalinský (MIT licence), its default algorithm (``CHROMAPRINT_ALGORITHM_TEST2``): the constants
and every step but the resampling are its own, so that its fingerprints and these differ in few bits. The library
itself has no wheel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from assay.provenance.media import Media

RATE = 11_025
"""Samples a second that are analysed."""
FRAME, HOP = 4096, 4096 // 3
"""Samples a frame, and from one frame to the next."""
STEP = HOP / RATE
"""Seconds from one fingerprint to the next."""
REACH = 16 + 4
"""Frames that one fingerprint is made of."""
LOW, HIGH = 28, 3520
"""Frequencies in hertz between which notes are told apart."""
NOTES = 12
SMOOTH = np.array([0.25, 0.75, 1.0, 0.75, 0.25])
LEAST_NORM = 0.01
"""Frames fainter than this are silence."""
_FULL = 32768 / 32767  # the original divides samples of 16 bits by the largest

# Each of the sixteen: filter, first note, notes, frames, and the three thresholds of its two bits.
CLASSIFIERS = (
    (0, 4, 3, 15, 1.98215, 2.35817, 2.63523), (4, 4, 6, 15, -1.03809, -0.651211, -0.282167),
    (1, 0, 4, 16, -0.298702, 0.119262, 0.558497), (3, 8, 2, 12, -0.105439, 0.0153946, 0.135898),
    (3, 4, 4, 8, -0.142891, 0.0258736, 0.200632), (4, 0, 3, 5, -0.826319, -0.590612, -0.368214),
    (1, 2, 2, 9, -0.557409, -0.233035, 0.0534525), (2, 7, 3, 4, -0.0646826, 0.00620476, 0.0784847),
    (2, 6, 2, 16, -0.192387, -0.029699, 0.215855), (2, 1, 3, 2, -0.0397818, -0.00568076, 0.0292026),
    (5, 10, 1, 15, -0.53823, -0.369934, -0.190235), (3, 6, 2, 10, -0.124877, 0.0296483, 0.139239),
    (2, 1, 1, 14, -0.101475, 0.0225617, 0.231971), (3, 5, 6, 4, -0.0799915, -0.00729616, 0.063262),
    (1, 9, 2, 12, -0.272556, 0.019424, 0.302559), (3, 4, 2, 14, -0.164292, -0.0321188, 0.0846339),
)  # fmt: skip
_GRAY = np.array([0, 1, 3, 2], np.uint32)


def prints(media: Media) -> NDArray[np.uint32]:
    """Return the fingerprints of a sound in one pass, uint32 (n,); none of one shorter than 2.8 seconds."""
    assert media.rate is not None
    chroma = [*_chroma(_resampled(media.chunks(), int(media.rate)))]
    if not chroma:
        return np.empty(0, np.uint32)
    return of_chroma(np.concatenate(chroma))


def of_chroma(chroma: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return the fingerprints of the energies of notes, float64 (frames, 12), frame by frame."""
    count = len(chroma) - REACH + 1
    if count < 1:
        return np.empty(0, np.uint32)
    smooth = np.stack([np.convolve(chroma[:, note], SMOOTH, "valid") for note in range(NOTES)], axis=1)
    norm = np.sqrt((smooth**2).sum(axis=1, keepdims=True))
    image = np.where(norm < LEAST_NORM, 0.0, smooth / np.maximum(norm, LEAST_NORM))
    total = np.zeros((len(image) + 1, NOTES + 1))
    total[1:, 1:] = image.cumsum(axis=0).cumsum(axis=1)
    at = np.arange(count)
    bits = np.zeros(count, np.uint32)
    for kind, note, notes, frames, *thresholds in CLASSIFIERS:
        value = _filtered(total, at, kind, note, notes, frames)
        bits = (bits << np.uint32(2)) | _GRAY[np.searchsorted(thresholds, value, side="right")]
    return bits


def _filtered(
    total: NDArray[np.float64], at: NDArray[np.int64], kind: int, note: int, notes: int, frames: int
) -> NDArray[np.float64]:
    """Return log((1 + a) / (1 + b)) of the areas of a filter, at each frame."""

    def area(x1: int, y1: int, x2: int, y2: int) -> NDArray[np.float64]:
        low, high, left, right = at + x1, at + x2, note + y1, note + y2
        found: NDArray[np.float64] = (
            total[high, right] - total[low, right] - total[high, left] + total[low, left]
        )
        return found

    w, h = frames, notes
    if kind == 0:
        a, b = area(0, 0, w, h), np.zeros(len(at))
    elif kind == 1:
        a, b = area(0, h // 2, w, h), area(0, 0, w, h // 2)
    elif kind == 2:
        a, b = area(w // 2, 0, w, h), area(0, 0, w // 2, h)
    elif kind == 3:
        a = area(0, h // 2, w // 2, h) + area(w // 2, 0, w, h // 2)
        b = area(0, 0, w // 2, h // 2) + area(w // 2, h // 2, w, h)
    elif kind == 4:
        a, b = area(0, h // 3, w, 2 * (h // 3)), area(0, 0, w, h // 3) + area(0, 2 * (h // 3), w, h)
    else:
        a, b = area(w // 3, 0, 2 * (w // 3), h), area(0, 0, w // 3, h) + area(2 * (w // 3), 0, w, h)
    return np.log((1 + a) / (1 + b))


def _notes() -> NDArray[np.float64]:
    """Return the matrix (bins, 12) that adds each frequency's energy to its note."""
    low, high = max(1, round(FRAME * LOW / RATE)), min(FRAME // 2, round(FRAME * HIGH / RATE))
    matrix = np.zeros((FRAME // 2 + 1, NOTES))
    for n in range(low, high):
        octave = math.log2(n * RATE / FRAME / (440 / 16))
        matrix[n, int(NOTES * (octave - math.floor(octave)))] = 1
    return matrix


def _chroma(pieces: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float64]]:
    """Yield the energies of the notes, (frames, 12), of a sound that comes in pieces."""
    window = (0.54 - 0.46 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))) * _FULL
    notes = _notes()
    held = np.empty(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        count = (len(held) - FRAME) // HOP + 1
        if count < 1:
            continue
        frames = np.lib.stride_tricks.sliding_window_view(held, FRAME)[::HOP][:count]
        yield np.abs(np.fft.rfft(frames * window)) ** 2 @ notes
        held = held[count * HOP :]


def _resampled(blocks: Iterable[NDArray[np.float32]], rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield a sound in mono at 11,025 samples a second; ``blocks`` are of a second each, but for the last."""
    up, down = RATE // math.gcd(RATE, rate), rate // math.gcd(RATE, rate)
    before = np.zeros(rate, np.float32)
    now: NDArray[np.float32] | None = None

    def made(now: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
        # A second on either side is far more than the filter reaches, and ends at whole samples of both rates.
        joined = np.concatenate([before, now, after])
        count = -(-len(now) * RATE // rate)
        out: NDArray[np.float32] = signal.resample_poly(joined, up, down)[RATE : RATE + count].astype(
            np.float32
        )
        return out

    for block in blocks:
        mono = block.mean(axis=1, dtype=np.float32)
        if now is not None:
            yield made(now, mono)
            before = now
        now = mono
    if now is not None:
        yield made(now, np.zeros(rate, np.float32))
