"""The trail of a film: PDQ of frames along it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness.bands import FINGERPRINT_BYTES
from assay.ledger.likeness.trail import MAX_FRAMES, Trail, trail_seconds
from assay.provenance.media import Kind, Media, Samples, Timed

KEPT_STEP = Fraction(1, 2)
"""Seconds from one frame that is kept to the next."""
ASKED_STEP = Fraction(1, 10)
"""The same of a film that is looked for: its times need not be those of what is kept."""
WHOLE_SECONDS = 600
"""Length up to which a film is decoded whole for its trail; of a longer one key frames alone are decoded."""
ASKED_WHOLE_SECONDS = 120
"""The same of a film that is looked for."""
KEY_STEP = Fraction(1)
"""Least seconds from one key frame to the next."""


def trail(media: Media, hashed: Callable[[Samples], bytes | None], *, asked: bool = False) -> Trail:
    """Return the trail of a film in one pass; ``asked`` of one that is looked for.

    ``hashed`` returns a frame's PDQ, 32 bytes, or None where it is too flat to tell apart.
    """
    times: list[float] = []
    prints: list[NDArray[np.uint8]] = []
    last = 0.0
    for at, frame in _frames(media, asked):
        last = float(at)
        value = hashed(frame)
        if value is not None and len(prints) < MAX_FRAMES:
            times.append(round(last, 3))
            prints.append(np.frombuffer(value, np.uint8))
    held = np.stack(prints) if prints else np.empty((0, FINGERPRINT_BYTES), np.uint8)
    return Trail(Kind.VIDEO, trail_seconds(media.seconds, last), held, np.array(times))


def _frames(media: Media, asked: bool) -> Iterator[Timed]:
    whole = ASKED_WHOLE_SECONDS if asked else WHOLE_SECONDS
    if media.keys is not None and media.seconds is not None and media.seconds > whole:
        yield from media.keys(max(KEY_STEP, media.seconds / MAX_FRAMES))
        return
    step = ASKED_STEP if asked else KEPT_STEP
    if media.spaced is not None:
        yield from media.spaced(step)
        return
    due = Fraction(-1)
    for at, frame in media.timed():
        if at >= due:
            yield at, frame
            due = at + step
