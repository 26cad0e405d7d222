"""What is looked at of a film: a few bursts of three frames, evenly spread, an eighth of a second apart."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from assay.provenance.media import Media, Samples

MOST = 4
"""Bursts of a film, however long it is."""
FRAMES = 3
"""Frames of a burst: the fewest that have a second difference."""
APART = Fraction(1, 9)
"""Least seconds from one frame of a burst to the next: films differ in their rates, and rates betray sources."""
LONGEST = Fraction(2)
"""Seconds of a film from the start of a burst in which its frames are looked for."""
LEAST_SECONDS = 1.0
"""Seconds of a film below which the detector is silent."""
LEAST_SIDE = 128
"""Pixels of the shorter side below which the detector is silent."""
STILL = 0.15
"""Mean difference of two frames, in levels of 255, up to which they count as the same picture."""
UNKNOWN = Fraction(10)
"""Seconds of a film that are looked at where its container does not declare its length."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Three frames, uint8 (3, height, width, 3), and the stretch of the film that they stand for, in seconds."""

    frames: Samples
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The bursts of a film; ``reason`` begins with a code, and says why there is nothing to judge, else is empty."""

    bursts: tuple[Burst, ...]
    reason: str = ""


def seen(media: Media, most: int = MOST) -> Seen:
    """Return what is looked at of a film, at most ``most`` bursts; raises what its passes raise."""
    height, width = media.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return Seen(
            (), f"too-small: the shorter side has {min(height, width)} pixels, {LEAST_SIDE} are needed"
        )
    if media.seconds is not None and media.seconds < LEAST_SECONDS:
        return Seen((), _short(float(media.seconds)))
    length = media.seconds or UNKNOWN
    share = length / most
    found = []
    for n in range(most):
        # The middle of a share: films fade in and out.
        start = max(Fraction(0), share * n + share / 2 - APART)
        frames = _burst(media, start)
        if frames is not None:
            found.append(Burst(frames, float(share * n), float(share * (n + 1))))
    if not found:
        return Seen((), "no-frames: no three frames could be decoded one after the other")
    if all(_still(burst.frames) for burst in found):
        return Seen((), "still: its frames are one picture; ask the detector of pictures")
    return Seen(tuple(found))


def _burst(media: Media, start: Fraction) -> Samples | None:
    """Return three frames from ``start`` on, each APART or more after the one before; None where there are fewer."""
    kept: list[Samples] = []
    last = start - APART
    for at, frame in media.part(start, start + LONGEST).timed():
        if at - last < APART and kept:
            continue
        kept.append(frame)
        last = at
        if len(kept) == FRAMES:
            return np.stack(kept)
    return None


def _still(frames: Samples) -> bool:
    small = frames[:, ::4, ::4].astype(np.float32)
    return all(float(np.abs(b - a).mean()) <= STILL for a, b in pairwise(small))


def _short(seconds: float) -> str:
    return f"too-short: it lasts {seconds:.1f} s, {LEAST_SECONDS:.0f} s are needed"
