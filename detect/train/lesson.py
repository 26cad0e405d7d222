"""Batches for crop networks: each cutting makes a journey of its own, the same for a picture and its reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import NATIVE, WHOLE
from assay.detect.crops import FILTERS, Crops, encoded, resized
from assay.detect.train.augment import Rng
from assay.detect.train.cuttings import Cuttings
from assay.provenance.media import Samples

AHEAD = 4
"""Batches made ahead."""
MARGIN = 16
"""Pixels of a cutting that travel beside the crop, so that it can lie in either phase of the encoders' blocks."""
ENCODERS = ("JPEG", "JPEG", "JPEG", "JPEG", "WEBP")
"""Encoders as often as they are drawn."""
AVIF = 0.03
"""Share of passes that are AVIF's, which is slow to write."""
KEEP, ONCE = 0.35, 0.7
"""Share of cuttings that keep their size; share of encoded ones that are encoded once, the others twice."""


@dataclass(frozen=True, slots=True)
class Draw:
    """How crops are drawn: their ``side``, the ``least`` scale, the share left ``raw``, the equaliser's ``quality``.

    ``quality`` 0 is no equaliser. ``light`` is how far brightness and contrast are changed, as a share. With ``scale``
    ``whole`` crops are squares of the whole picture's view instead of its cuttings.
    """

    side: int = 128
    least: float = 0.5
    raw: float = 0.2
    quality: int = 90
    light: float = 0.1
    scale: str = NATIVE


@dataclass(frozen=True)
class Batch:
    """Crops uint8 (n, side, side, 3) and their labels float32 (n,), 1 = synthetic."""

    crops: Crops
    labels: NDArray[np.float32]


Again = Callable[[int, int], Samples | None]
"""Gives a cutting (picture, number) as an autoencoder makes it again, None where there is none."""


def travelled(cutting: Samples, draw: Draw, rng: Rng) -> Samples:
    """Return one crop of a cutting after a journey, uint8 (side, side, 3)."""
    wanted = draw.side + MARGIN
    least = max(draw.least, wanted / len(cutting))
    scale = 1.0 if rng.random() < KEEP else float(np.exp(rng.uniform(np.log(least), 0)))
    side = min(len(cutting), int(np.ceil(wanted / scale)))
    top, left = (int(rng.integers(0, len(cutting) - side + 1)) for _ in range(2))
    crop = cutting[top : top + side, left : left + side]
    crop = np.rot90(crop, int(rng.integers(4)))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    end = crop if side == wanted else resized(crop, wanted, wanted, FILTERS[int(rng.integers(len(FILTERS)))])
    if draw.light and rng.random() < 0.3:
        gain, lift = 1 + draw.light * rng.uniform(-1, 1), 255 * draw.light * rng.uniform(-0.5, 0.5)
        end = np.clip(end * np.float32(gain) + np.float32(lift), 0, 255).astype(np.uint8)
    if rng.random() >= draw.raw:
        for _ in range(1 if rng.random() < ONCE else 2):
            encoder = "AVIF" if rng.random() < AVIF else str(rng.choice(ENCODERS))
            end = encoded(end, encoder, int(np.clip(100 - rng.gamma(2.0, 8.0), 40, 99)))
    # Mostly the blocks of the last encoder and of the equaliser coincide, as they do in a file that is examined.
    top, left = (8 * int(rng.integers(3)) if rng.random() < 0.8 else int(rng.integers(17)) for _ in range(2))
    end = end[top : top + draw.side, left : left + draw.side]
    return encoded(end, "JPEG", draw.quality) if draw.quality else np.ascontiguousarray(end)


def seen(view: Samples, draw: Draw, rng: Rng) -> Samples:
    """Return one square of a view after a journey: most of its shorter side, mirrored, lighter or darker."""
    height, width = view.shape[:2]
    side = max(1, round(min(height, width) * rng.uniform(0.7, 1.0)))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    crop = view[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    end = resized(crop, draw.side, draw.side, "bicubic")
    if draw.light and rng.random() < 0.5:
        gain, lift = 1 + draw.light * rng.uniform(-1, 1, 3), 255 * draw.light * rng.uniform(-0.5, 0.5)
        end = np.clip(end * gain.astype(np.float32) + np.float32(lift), 0, 255).astype(np.uint8)
    if rng.random() >= draw.raw:
        end = encoded(end, "JPEG", int(rng.integers(60, 96)))
    return encoded(end, "JPEG", draw.quality) if draw.quality else np.ascontiguousarray(end)


def batches(
    cuttings: Cuttings,
    fake: NDArray[np.bool_],
    weight: NDArray[np.float64],
    draw: Draw,
    size: int,
    seed: tuple[int, ...],
    start: int,
    stop: int,
    again: Again | None = None,
) -> Iterator[Batch]:
    """Yield the batches of steps ``start`` … ``stop`` - 1: the same ones whenever they are asked for.

    Items are drawn by ``weight``. A real cutting that ``again`` has is followed by what an autoencoder makes of it,
    on the same journey, labelled synthetic.
    """
    chance = weight / weight.sum()

    def made(step: int) -> Batch:
        rng = np.random.default_rng((*seed, step))
        crops: list[Samples] = []
        labels: list[float] = []
        while len(crops) < size:
            item = int(rng.choice(len(chance), p=chance))
            way = int(rng.integers(1 << 31))
            if draw.scale == WHOLE:
                crops.append(seen(cuttings.view(item), draw, np.random.default_rng(way)))
                labels.append(float(fake[item]))
                continue
            number = int(rng.integers(cuttings.counts[item]))
            crops.append(travelled(cuttings.one(item, number), draw, np.random.default_rng(way)))
            labels.append(float(fake[item]))
            if again is not None and not fake[item] and len(crops) < size:
                made_again = again(item, number)
                if made_again is not None:
                    crops.append(travelled(made_again, draw, np.random.default_rng(way)))
                    labels.append(1.0)
        return Batch(np.stack(crops), np.array(labels, np.float32))

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(made, step) for step in range(start, min(stop, start + AHEAD))]
        for step in range(start, stop):
            batch = waiting.pop(0).result()
            if step + AHEAD < stop:
                waiting.append(pool.submit(made, step + AHEAD))
            yield batch
