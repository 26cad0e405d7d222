"""Where a generator's mark may lie in a received picture: whole, mirrored, re-lit, resized, cropped.

Each stage looks at all its hypotheses in a window about the centre and, where one looks promising, at more of the
picture. What it returns has all of the stage's hypotheses counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assay.provenance.media import Samples
from assay.watermark.known.chroma import BLOCK, Plane, chroma, low_band, resampled
from assay.watermark.known.messages import DOMAINS, MESSAGES, SWAPPED, Domain, KnownMessage
from assay.watermark.known.network import log_odds
from assay.watermark.known.statistic import agreement, alignments, field

MIN_SIDE = 64
"""Shortest side of a picture."""
MOST_PIXELS = 16_000_000
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
    """Look at the picture as it is: every message on bytes and on floats, some with red for blue."""
    finds = _in_rows(pixels, DOMAINS, {"as": "whole"}) + _in_rows(pixels, (SWAPPED,), {"as": "whole"})
    return _counted(finds, sum(len({*DOMAINS, *m.domains}) for m in MESSAGES))


def mirrored(pixels: Samples) -> list[Find]:
    """Look at the mirror image."""
    return _counted(_in_rows(pixels[:, ::-1], None, {"as": "mirrored"}), len(MESSAGES))


def _in_rows(pixels: Samples, domains: Sequence[Domain] | None, how: dict[str, object]) -> list[Find]:
    """Return the finds in all rows of blocks, or in the middle ones of a picture above ``MOST_PIXELS``."""
    first, last = _middle_rows(pixels)
    stride = pixels.shape[1] // BLOCK
    step = max(1, STRIP // (BLOCK * BLOCK * stride))
    red = domains is not None and any(domain.red for domain in domains)
    strips = [_strip(pixels, top, min(last, top + step), red) for top in range(first, last, step)]
    fields = [field(odds) for odds in np.concatenate(strips, 1)]
    return _each(fields, domains, stride, how, first * stride)


def _middle_rows(pixels: Samples) -> tuple[int, int]:
    """Return the first and last row of blocks examined."""
    rows = pixels.shape[0] // BLOCK
    most = max(1, MOST_PIXELS // (BLOCK * pixels.shape[1]))
    first = max(0, rows - most) // 2
    return first, min(rows, first + most)


def _strip(pixels: Samples, top: int, bottom: int, red: bool) -> Plane:
    """Return the log odds of rows of blocks, heard with the rows round them."""
    first, last = max(0, top - 1), min(pixels.shape[0] // BLOCK, bottom + 1)
    low = low_band(chroma(pixels[first * BLOCK : last * BLOCK], red))
    return log_odds(low)[:, top - first : bottom - first]


def _each(
    fields: list[Plane], domains: Sequence[Domain] | None, stride: int, how: dict[str, object], shift: int = 0
) -> list[Find]:
    """Return the finds of the messages in fields, chance of one test; ``domains`` None means each one's usual."""
    finds = []
    for message in MESSAGES:
        for domain in message.domains[:1] if domains is None else domains:
            if domain.red and domain not in message.domains:
                continue
            answer = agreement(fields[domain.head], message, stride, shift)
            if answer is not None:
                finds.append(Find(message, *answer, {"domain": domain.name, **how}))
    return finds


def _counted(finds: list[Find], tests: int) -> list[Find]:
    """Return the finds with so many tests counted."""
    more = math.log10(tests)
    return [Find(f.message, f.correlation, f.log_chance + more, f.how) for f in finds]


def relit(pixels: Samples) -> list[Find]:
    """Look for a mark whose step was stretched by a change of contrast or saturation."""
    top, left, height, width = _window(pixels.shape[0], pixels.shape[1], WINDOW**2)
    near = low_band(chroma(pixels[top : top + height, left : left + width]))
    stride = pixels.shape[1] // BLOCK
    finds: list[Find] = []
    for gain in GAINS:
        how: dict[str, object] = {"as": "re-lit", "gain": round(gain, 3)}
        found = _each(_heard(near, gain), None, stride, how, _number(top, left, stride))
        if _promising(found):
            at = _window(pixels.shape[0], pixels.shape[1], FULL)
            low = low_band(chroma(pixels[at[0] : at[0] + at[2], at[1] : at[1] + at[3]]))
            found = _each(_heard(low, gain), None, stride, how, _number(at[0], at[1], stride))
        finds += found
    return _counted(finds, 2 * len(GAINS) * len(MESSAGES))


def _heard(low: Plane, gain: float = 1.0) -> list[Plane]:
    return [field(odds) for odds in log_odds(low if gain == 1.0 else low / np.float32(gain))]


def _promising(finds: list[Find]) -> bool:
    return any(f.log_chance < PROMISING for f in finds)


def _number(top: int, left: int, stride: int) -> int:
    """Return the number of the block at a pixel."""
    return top // BLOCK * stride + left // BLOCK


def _window(height: int, width: int, most: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the whole blocks about the centre, at most so many pixels of them."""
    rows, columns = height // BLOCK, width // BLOCK
    share = min(1.0, math.sqrt(most / max(1, rows * columns * BLOCK * BLOCK)))
    tall, wide = max(1, int(rows * share)), max(1, int(columns * share))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    return top * BLOCK, left * BLOCK, tall * BLOCK, wide * BLOCK


def resized(pixels: Samples) -> list[Find]:
    """Look for a mark in the picture brought back to sizes that it may have had."""
    sizes = list(dict.fromkeys(_originals(*pixels.shape[:2])))
    finds: list[Find] = []
    for size in sizes:
        how: dict[str, object] = {"as": "resized", "marked_at": [size[1], size[0]]}
        found = _restored(pixels, size, WINDOW**2, how)
        if _promising(found):
            found = _restored(pixels, size, FULL, how)
        finds += found
    return _counted(finds, 2 * max(1, len(sizes)) * len(MESSAGES))


def _restored(pixels: Samples, size: tuple[int, int], most: int, how: dict[str, object]) -> list[Find]:
    window = _window(*size, most)
    low = low_band(resampled(pixels, size, window))
    stride = size[1] // BLOCK
    return _each(_heard(low), None, stride, how, _number(window[0], window[1], stride))


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
    candidates = _alignments(pixels)
    finds = []
    area = _window(pixels.shape[0] - BLOCK, pixels.shape[1] - BLOCK, FULL)
    for _, message, (down, right), stride, shift in candidates:
        part = pixels[area[0] + down :, area[1] + right :][: area[2], : area[3]]
        fields = _heard(low_band(chroma(part)))
        how: dict[str, object] = {
            "domain": message.domains[0].name,
            "as": "cropped",
            "offset": [down, right],
            "stride": stride,
        }
        first = shift + _number(area[0], area[1], stride)
        answer = agreement(fields[message.domains[0].head], message, stride, first)
        if answer is not None:
            finds.append(Find(message, *answer, how))
    return _counted(finds, BLOCK * BLOCK * sum(len(m.bits) ** 2 for m in MESSAGES))


def _alignments(pixels: Samples) -> list[tuple[float, KnownMessage, tuple[int, int], int, int]]:
    """Return the best (score, message, offset, stride, shift) in a window, the shift that of the first block."""
    top, left, height, width = _window(pixels.shape[0] - BLOCK, pixels.shape[1] - BLOCK, WINDOW**2)
    plane = chroma(pixels[top : top + height + BLOCK, left : left + width + BLOCK])
    found: list[tuple[float, KnownMessage, tuple[int, int], int, int]] = []
    for down, right in np.ndindex(BLOCK, BLOCK):
        heads = _heard(low_band(plane[down : down + height, right : right + width]))
        for message in MESSAGES:
            for score, stride, shift in alignments(heads[message.domains[0].head], message, 1):
                if score >= SCORE:
                    first = (shift - _number(top, left, stride)) % len(message.bits)
                    found.append((score, message, (down, right), stride, first))
    return sorted(found, key=lambda f: f[0], reverse=True)[:CANDIDATES]
