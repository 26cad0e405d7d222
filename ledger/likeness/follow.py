"""Laying one trail over another: which seconds of an original a received film or sound shows, and where they differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness import chroma
from assay.ledger.likeness.trail import Trail
from assay.provenance.media import Kind
from assay.provenance.protocols import Comparison

NEAR = 48
"""Bits in which two frames' PDQ may differ to show the same; of unlike frames fewer than one in 10^15 do."""
SLACK = 0.3
"""Seconds by which the times of frames may differ once the trails are laid over each other."""
SAME_SHARE = 0.6
"""Share of what overlaps that must agree."""
LEAST_FRAMES = 3
"""Fewest frames that must agree."""
WINDOW = 16
"""Fingerprints of a sound that are judged together: two seconds."""
NEAR_SOUND = 0.32
"""Share of the bits of a window that may differ; of unlike sounds it is 0.35 or more in all but a few."""
LEAST_SOUND = 12
"""Fewest fingerprints of a sound that must agree: four seconds of it with their reach."""
ROUGH_BITS = np.uint32(0xFFFFF000)
"""Bits of a sound's fingerprint that are compared to find where it may lie."""
OFFSETS = 8
"""Most offsets that are tried."""
LEAST_GAP = 1.0
"""Shortest difference that is told, in seconds."""


def follow(received: Trail, original: Trail) -> Comparison:
    """Lay a received film or sound over an original and say how alike they are, and where."""
    if received.kind is not original.kind or not len(received.prints) or not len(original.prints):
        return _nothing()
    return _films(received, original) if received.kind is Kind.VIDEO else _sounds(received, original)


def _nothing(similarity: float = 0.0) -> Comparison:
    return Comparison(similarity, same=False, changed=1.0, regions=(), alignment="no place of the original")


def _distances(one: NDArray[np.generic], other: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the Hamming distances (n, m) of fingerprints uint8 (n, 32) and (m, 32)."""
    a, b = (np.unpackbits(p.astype(np.uint8), axis=1).astype(np.float32) for p in (one, other))
    found: NDArray[np.int64] = np.rint(a.sum(1)[:, None] + b.sum(1)[None] - 2 * (a @ b.T)).astype(np.int64)
    return found


def _films(received: Trail, original: Trail) -> Comparison:
    far = _distances(original.prints, received.prints)
    i, j = np.nonzero(far <= NEAR)
    if not len(i):
        return _nothing()
    offsets = original.times[i] - received.times[j]
    best: tuple[float, int, Comparison] | None = None
    for offset in _peaks(offsets, SLACK):
        candidate = _films_at(received, original, far, offset)
        if candidate and (best is None or candidate[:2] > best[:2]):
            best = candidate
    return best[2] if best else _nothing()


def _films_at(
    received: Trail, original: Trail, far: NDArray[np.int64], offset: float
) -> tuple[float, int, Comparison] | None:
    """Compare at one offset: each frame kept of the original with those received within SLACK of its time."""
    apart = np.abs(original.times[:, None] - offset - received.times[None])
    covered = apart.min(axis=1) <= SLACK
    if not covered.any():
        return None
    best = np.where(apart <= SLACK, far, 256).min(axis=1)[covered]
    times = original.times[covered] - offset
    agree = best <= NEAR
    return _told(agree, 1 - best / 256, times, offset, LEAST_FRAMES, received, original)


def _sounds(received: Trail, original: Trail) -> Comparison:
    one, other = original.prints.astype(np.uint32), received.prints.astype(np.uint32)
    order = np.argsort(one & ROUGH_BITS, kind="stable")
    rough = (one & ROUGH_BITS)[order]
    low, high = (np.searchsorted(rough, other & ROUGH_BITS, side) for side in ("left", "right"))
    usual = high - low <= max(4, len(one) // 200)  # what is heard all the time says nothing of where
    shifts = [order[a:b] - n for n, (a, b) in enumerate(zip(low, high, strict=True)) if usual[n] and b > a]
    if not shifts:
        return _nothing()
    best: tuple[float, int, Comparison] | None = None
    for shift in _peaks(np.concatenate(shifts).astype(np.float64), 1.0):
        candidate = _sounds_at(received, original, round(shift))
        if candidate and (best is None or candidate[:2] > best[:2]):
            best = candidate
    return best[2] if best else _nothing()


def _sounds_at(received: Trail, original: Trail, shift: int) -> tuple[float, int, Comparison] | None:
    start = max(0, -shift)
    stop = min(len(received.prints), len(original.prints) - shift)
    if stop - start < LEAST_SOUND:
        return None
    one = received.prints[start:stop].astype(np.uint32)
    other = original.prints[start + shift : stop + shift].astype(np.uint32)
    wrong = np.unpackbits((one ^ other).view(np.uint8).reshape(-1, 4), axis=1).mean(axis=1)
    kernel = np.ones(min(WINDOW, len(wrong)))
    smooth = np.convolve(wrong, kernel, "same") / np.convolve(np.ones(len(wrong)), kernel, "same")
    times: NDArray[np.float64] = (np.arange(start, stop, dtype=np.float64) + chroma.REACH / 2) * chroma.STEP
    return _told(smooth <= NEAR_SOUND, 1 - wrong, times, shift * chroma.STEP, LEAST_SOUND, received, original)


def _peaks(offsets: NDArray[np.float64], width: float) -> list[float]:
    """Return the offsets that most votes lie at, the strongest first."""
    steps = np.rint(offsets / width * 2).astype(np.int64)
    values, counts = np.unique(steps, return_counts=True)
    votes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    near = {v: votes.get(v - 1, 0) + votes[v] + votes.get(v + 1, 0) for v in votes}
    peaks = []
    for value in sorted(near, key=lambda v: (-near[v], v))[:OFFSETS]:
        peaks.append(float(np.median(offsets[np.abs(steps - value) <= 1])))
    return peaks


def _told(
    agree: NDArray[np.bool_],
    likeness: NDArray[np.floating],
    times: NDArray[np.float64],
    offset: float,
    least: int,
    received: Trail,
    original: Trail,
) -> tuple[float, int, Comparison]:
    """Return what sorts comparisons, and the comparison: ``times`` are those of the received, ascending."""
    share, count = float(agree.mean()), int(agree.sum())
    same = share >= SAME_SHARE and count >= least
    begin = max(0.0, offset)
    end = min(original.seconds, offset + received.seconds)
    cut = begin > 1 or original.seconds - end > 1
    said = f"seconds {begin:.1f} to {end:.1f} of its {original.seconds:.1f}" if cut else "its whole length"
    changes = _joined(agree, times, offset, received, original) if same else ()
    likeness_ = float(np.clip(likeness, 0, 1).mean())
    comparison = Comparison(
        round(likeness_, 4), same, round(1 - share, 4), (), said, span=(begin, end), changes=changes
    )
    return share * min(1.0, count / 10), count, comparison


def _joined(
    agree: NDArray[np.bool_], times: NDArray[np.float64], offset: float, received: Trail, original: Trail
) -> tuple[tuple[float, float], ...]:
    """Return the stretches without agreement, and what lies before the original's start or after its end."""
    before = (0.0, round(min(received.seconds, max(0.0, -offset)), 2))
    after = (round(max(0.0, min(received.seconds, original.seconds - offset)), 2), round(received.seconds, 2))
    outside = [stretch for stretch in (before, after) if stretch[1] - stretch[0] >= LEAST_GAP]
    found = sorted([*_gaps(agree, times, received.seconds), *outside])
    joined: list[tuple[float, float]] = []
    for start, stop in found:
        if joined and start - joined[-1][1] < LEAST_GAP:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return tuple(joined)


def _gaps(
    agree: NDArray[np.bool_], times: NDArray[np.float64], seconds: float
) -> tuple[tuple[float, float], ...]:
    """Return the stretches of the received in which nothing agrees, in seconds."""
    gaps: list[tuple[float, float]] = []
    edges = [*np.flatnonzero(agree).tolist()]
    for before, after in zip([-1, *edges], [*edges, len(agree)], strict=True):
        if after - before < 2:
            continue
        start = float(times[before]) if before >= 0 else max(0.0, float(times[0]))
        stop = float(times[after]) if after < len(agree) else min(seconds, float(times[-1]))
        if stop - start >= LEAST_GAP:
            gaps.append((round(start, 2), round(stop, 2)))
    return tuple(gaps)
