"""Where a generator's mark may lie in a received picture: whole, on other planes, mirrored, re-lit, resized, cropped.

The first stage looks at all of the picture; the others at their hypotheses in a window about the centre and, where
one looks promising, at more of the picture. What it returns has all of the stage's hypotheses counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from assay.provenance.media import Samples
from assay.watermark.known.chroma import BLOCK, Plane, chroma, low_band, resampled
from assay.watermark.known.messages import DOMAINS, MESSAGES, Domain, KnownMessage
from assay.watermark.known.network import log_odds
from assay.watermark.known.statistic import Field, agreement, alignments, excesses, fields, residue

MIN_SIDE = 64
"""Shortest side of a picture."""
MOST_PIXELS = 4_000_000
"""Of larger pictures only the middle rows are examined."""
STRIP = 2_000_000
"""Most pixels converted at a time."""
WINDOW = 512
"""Side of the square on which hypotheses are compared, in pixels as marked."""
FULL = 1_500_000
"""Most pixels examined of a promising hypothesis."""
PROMISING = -2.0
"""Logarithm of the chance in the window at which a hypothesis is examined in full."""
GAINS = tuple(float(1.08**n) for n in range(-6, 7) if n)
"""Changes of contrast or saturation undone; brightness leaves U alone."""
RATIOS = (1 / 2, 5 / 8, 2 / 3, 3 / 4, 4 / 5, 5 / 4, 4 / 3, 3 / 2, 2.0)
"""Resizes undone in any picture: its side over that of the marked one."""
SIDES = (
    (512, 512), (512, 768), (768, 768), (512, 640), (512, 704), (576, 1024), (640, 960), (640, 1536), (768, 1024),
    (768, 1344), (768, 1360), (832, 1216), (896, 1152), (1024, 1024), (1024, 1536), (1080, 1920),
)  # fmt: skip
"""Sizes that generators emit, shorter side first: undone where the received picture has the shape."""
LEAST, MOST = 0.4, 2.6
"""Range of the resizes undone to reach those."""
SCORE = 5.0
"""Standard deviations at which a crop's alignment is examined in full."""
CANDIDATES = 3
"""Most such alignments."""

Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""
Planes = Callable[[KnownMessage], Sequence[Domain]]
"""Where to look for a message."""


@dataclass(frozen=True, slots=True)
class Find:
    """The best that a stage has to say for a message.

    ``log_chance`` is the logarithm (base 10) of the chance, the stage's hypotheses counted; ``how`` are JSON
    values for experts: ``domain``, and ``as`` with what was undone.
    """

    message: KnownMessage
    correlation: float
    log_chance: float
    how: dict[str, object]


def whole(pixels: Samples) -> list[Find]:
    """Look at the picture as it is, on the plane that each generator's code marks."""
    return _counted(_in_rows(pixels), len(MESSAGES))


def elsewhere(pixels: Samples) -> list[Find]:
    """Look at the picture as it is on the other planes: floats for bytes, bytes for floats, red for blue."""
    how: dict[str, object] = {"as": "whole"}
    finds = _closer(_part(pixels), pixels.shape[:2], how, _others)
    finds += _closer(_part(pixels, red=True), pixels.shape[:2], how, _swapped)
    return _counted(finds, 2 * sum(len(_others(m)) + len(_swapped(m)) for m in MESSAGES))


def _usual(message: KnownMessage) -> Sequence[Domain]:
    return message.domains[:1]


def _others(message: KnownMessage) -> Sequence[Domain]:
    return [domain for domain in DOMAINS if domain != message.domains[0]]


def _swapped(message: KnownMessage) -> Sequence[Domain]:
    return [domain for domain in message.domains if domain.red]


def mirrored(pixels: Samples) -> list[Find]:
    """Look at the mirror image."""
    finds = _closer(_part(pixels[:, ::-1]), pixels.shape[:2], {"as": "mirrored"})
    return _counted(finds, 2 * len(MESSAGES))


def relit(pixels: Samples) -> list[Find]:
    """Look for a mark whose step was stretched by a change of contrast or saturation."""
    finds: list[Find] = []
    for gain in GAINS:
        how: dict[str, object] = {"as": "re-lit", "gain": round(gain, 3)}
        finds += _closer(_part(pixels, gain=gain), pixels.shape[:2], how)
    return _counted(finds, 2 * len(GAINS) * len(MESSAGES))


def resized(pixels: Samples) -> list[Find]:
    """Look for a mark in the picture brought back to sizes that it may have had."""
    sizes = list(dict.fromkeys(_originals(*pixels.shape[:2])))
    finds: list[Find] = []
    for size in sizes:
        how: dict[str, object] = {"as": "resized", "marked_at": [size[1], size[0]]}
        finds += _closer(partial(resampled, pixels, size), size, how)
    return _counted(finds, 2 * max(1, len(sizes)) * len(MESSAGES))


def _in_rows(pixels: Samples) -> list[Find]:
    """Return the finds in all rows of blocks, or in the middle ones of a picture above ``MOST_PIXELS``."""
    stride = pixels.shape[1] // BLOCK
    rows = pixels.shape[0] // BLOCK
    most = max(1, MOST_PIXELS // (BLOCK * BLOCK * stride))
    first = max(0, rows - most) // 2
    last = min(rows, first + most)
    step = max(1, STRIP // (BLOCK * BLOCK * stride))
    strips = [_strip(pixels, top, min(last, top + step)) for top in range(first, last, step)]
    return _each(fields(np.concatenate(strips, 1)), _usual, stride, first * stride, {"as": "whole"})


def _strip(pixels: Samples, top: int, bottom: int) -> Plane:
    """Return the log odds of rows of blocks, heard with the rows round them."""
    first, last = max(0, top - 1), min(pixels.shape[0] // BLOCK, bottom + 1)
    low = low_band(chroma(pixels[first * BLOCK : last * BLOCK]))
    return log_odds(low)[:, top - first : bottom - first]


def _part(pixels: Samples, red: bool = False, gain: float = 1.0) -> Callable[[Window], Plane]:
    """Return what gives the chroma of a window of the picture, with the gain undone."""

    def plane(at: Window) -> Plane:
        top, left, height, width = at
        found: Plane = chroma(pixels[top : top + height, left : left + width], red) / np.float32(gain)
        return found

    return plane


def _closer(
    plane: Callable[[Window], Plane],
    size: tuple[int, int],
    how: dict[str, object],
    domains: Planes = _usual,
) -> list[Find]:
    """Return the finds in a window of a picture of a size or, where one is promising, in more of it."""
    stride, finds = size[1] // BLOCK, list[Find]()
    for most in (WINDOW**2, FULL):
        at = _window(*size, most)
        heard = fields(log_odds(low_band(plane(at))))
        finds = _each(heard, domains, stride, _number(at[0], at[1], stride), how)
        if not any(find.log_chance < PROMISING for find in finds):
            break
    return finds


def _each(heard: list[Field], domains: Planes, stride: int, shift: int, how: dict[str, object]) -> list[Find]:
    """Return the finds of the messages in fields, chance of one test."""
    finds = []
    for message in MESSAGES:
        for domain in domains(message):
            answer = agreement(heard[domain.head], message, stride, shift)
            if answer is not None:
                finds.append(Find(message, *answer, {"domain": domain.name, **how}))
    return finds


def _counted(finds: list[Find], tests: int) -> list[Find]:
    """Return the finds with so many tests counted."""
    more = math.log10(tests)
    return [Find(f.message, f.correlation, f.log_chance + more, f.how) for f in finds]


def _number(top: int, left: int, stride: int) -> int:
    """Return the number of the block at a pixel."""
    return top // BLOCK * stride + left // BLOCK


def _window(height: int, width: int, most: int) -> Window:
    """Return top, left, height and width of the whole blocks about the centre, at most so many pixels of them."""
    rows, columns = height // BLOCK, width // BLOCK
    share = min(1.0, math.sqrt(most / max(1, rows * columns * BLOCK * BLOCK)))
    tall, wide = max(1, int(rows * share)), max(1, int(columns * share))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    return top * BLOCK, left * BLOCK, tall * BLOCK, wide * BLOCK


def _originals(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the sizes (height, width) from which the picture may have been resized."""
    for short, long in SIDES:
        tall, wide = (short, long) if height < width else (long, short)
        scale = width / wide
        if LEAST <= scale <= MOST and abs(tall * scale - height) <= 1 and (tall, wide) != (height, width):
            yield tall, wide
    for ratio in RATIOS:
        size = round(height / ratio), round(width / ratio)
        if min(size) >= MIN_SIDE:
            yield size


def cropped(pixels: Samples) -> list[Find]:
    """Look for a mark whose picture lost rows and columns: any pixel offset, any stride, any shift."""
    finds = []
    top, left, height, width = _window(pixels.shape[0] - BLOCK, pixels.shape[1] - BLOCK, FULL)
    for _, message, (down, right), stride, shift in _alignments(pixels):
        part = pixels[top + down :, left + right :][:height, :width]
        head = message.domains[0].head
        heard = fields(log_odds(low_band(chroma(part)))[head : head + 1])
        how: dict[str, object] = {
            "domain": message.domains[0].name,
            "as": "cropped",
            "offset": [down, right],
            "stride": stride,
        }
        answer = agreement(heard[0], message, stride, shift + _number(top, left, stride))
        if answer is not None:
            finds.append(Find(message, *answer, how))
    return _counted(finds, BLOCK * BLOCK * sum(len(m.bits) ** 2 for m in MESSAGES))


def _alignments(pixels: Samples) -> list[tuple[float, KnownMessage, tuple[int, int], int, int]]:
    """Return the best (score, message, offset, stride, shift) in a window, the shift that of the first block.

    Scores are in standard deviations: of independent blocks, and of blocks that resemble each other as they do
    at the first offset.
    """
    top, left, height, width = _window(pixels.shape[0] - BLOCK, pixels.shape[1] - BLOCK, WINDOW**2)
    plane = chroma(pixels[top : top + height + BLOCK, left : left + width + BLOCK])
    found: list[tuple[float, KnownMessage, tuple[int, int], int, int]] = []
    spreads: list[Plane] = []
    for down, right in np.ndindex(BLOCK, BLOCK):
        odds = log_odds(low_band(plane[down : down + height, right : right + width]))
        if not spreads:
            near = [heard.near for heard in fields(odds)]
            spreads = [np.sqrt(excesses(near[m.domains[0].head], m))[:, None] for m in MESSAGES]
        values = residue(odds)
        for message, spread in zip(MESSAGES, spreads, strict=True):
            scores = alignments(values[message.domains[0].head], message) / spread
            stride, shift = divmod(int(scores.argmax()), len(message.bits))
            if scores[stride, shift] >= SCORE:
                first = (shift - _number(top, left, stride)) % len(message.bits)
                found.append((float(scores[stride, shift]), message, (down, right), stride, first))
    return sorted(found, key=lambda f: f[0], reverse=True)[:CANDIDATES]
