"""From a listened plane to soft bits of the code, and what chance would give. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.pattern import TILE, TILES, Coefficients, Pattern, analysed, tiled, tiles_at
from assay.watermark.hallmark.polarity import polarity
from assay.watermark.hallmark.sync import Pose

MOST_TILES = 4096
"""Most tiles that a pose lays out: those of a square of 2048 canonical pixels, or of the longest strip."""


@dataclass(frozen=True)
class Fold:
    """Numbers of one period, (TILES, TILES, DIMENSIONS): those that share a sign of the key are summed."""

    pattern: Pattern
    numbers: Coefficients

    @classmethod
    def of(cls, pattern: Pattern, parts: Iterable[Heard]) -> Fold:
        """Sum what the tiles of some pictures say, period by period."""
        folded = np.zeros(pattern.signs.shape, np.float32)
        for heard in parts:
            rows, columns = heard.numbers.shape[:2]
            for top in range(0, rows, TILES):
                for left in range(0, columns, TILES):
                    part = heard.numbers[top : top + TILES, left : left + TILES]
                    folded[tiles_at(part.shape[:2], heard.start)] += part
        return cls(pattern, folded)

    def __add__(self, other: Fold) -> Fold:
        return Fold(self.pattern, self.numbers + other.numbers)

    def soft(self) -> tuple[NDArray[np.float32], float]:
        """Return soft code bits (length,), positive for 0, and the root of the sum of squared numbers.

        Under the hypothesis that the picture is not marked with this key the signs of the numbers are fair
        coins, so that for any code word c in {-1, 1} the sum c . soft is sub-Gaussian with that root as its
        standard deviation (Hoeffding 1963; Khinchine's inequality).
        """
        places = self.pattern.places.reshape(-1)
        soft = np.bincount(places, self.numbers.reshape(-1), self.pattern.length)
        return soft.astype(np.float32), math.sqrt(float((self.numbers.astype(np.float64) ** 2).sum()))

    def agreement(self, code: NDArray[np.uint8]) -> float:
        """Return how well a code word agrees, in standard deviations of fair coins."""
        soft, spread = self.soft()
        return float((1 - 2.0 * code) @ soft) / (spread + 1e-12)

    def loudness(self) -> float:
        """Return in standard deviations how much more energy the soft bits have than fair coins would give."""
        places = self.pattern.places.reshape(-1)
        soft = np.bincount(places, self.numbers.reshape(-1), self.pattern.length)
        energy = np.bincount(places, (self.numbers * self.numbers).reshape(-1), self.pattern.length)
        ratio = soft**2 / np.maximum(energy, 1e-12)
        return float((ratio.sum() - np.count_nonzero(energy)) / math.sqrt(2 * self.pattern.length))


@dataclass(frozen=True)
class Heard:
    """What the tiles of one pose say.

    ``numbers`` (tile rows, tile columns, DIMENSIONS) have the key's signs and the content's taken off; the tile at
    the upper left is number ``start`` of the unbounded pattern; ``covered`` is the share of each tile that lies
    in the picture.
    """

    pattern: Pattern
    numbers: Coefficients
    start: tuple[int, int]
    covered: NDArray[np.float32]

    @classmethod
    def of(
        cls, pattern: Pattern, heard: Plane, light: Plane | None, cover: Plane, start: tuple[int, int]
    ) -> Heard:
        """Analyse a listened plane, its luma, and where there is a picture, all in canonical pose.

        Without luma the content's signs are not taken off: the mark is one that does not follow them.
        """
        numbers = analysed(heard * cover)
        at = tiles_at(numbers.shape[:2], start)
        numbers *= pattern.signs[at]
        # Frequencies at which pictures are loud are turned down: the noise becomes white.
        numbers /= np.sqrt((numbers * numbers).mean((0, 1))) + np.float32(1e-9)
        if light is not None:
            numbers *= polarity(light, cover, pattern.directions, start)[..., None]
        return cls(pattern, numbers, start, tiled(cover).mean((2, 3)))

    @property
    def fold(self) -> Fold:
        """The sum over periods."""
        return Fold.of(self.pattern, (self,))

    def soft(self) -> tuple[NDArray[np.float32], float]:
        """Return what ``Fold.soft`` says of these numbers."""
        return self.fold.soft()

    def agreement(self, code: NDArray[np.uint8]) -> float:
        """Return how well a code word agrees, in standard deviations of fair coins."""
        return self.fold.agreement(code)

    def loudness(self) -> float:
        """Return in standard deviations how much more energy the soft bits have than fair coins would give."""
        return self.fold.loudness()

    def by_tile(self, code: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return each tile's agreement with a code word and the energy of its numbers, (tile rows, tile columns)."""
        at = tiles_at(self.numbers.shape[:2], self.start)
        signs = 1 - 2 * code.astype(np.float32)
        agreed = (self.numbers * signs[self.pattern.places[at]]).sum(-1)
        return agreed, (self.numbers**2).sum(-1)


def laid_out(pose: Pose, planes: tuple[Plane, ...]) -> tuple[tuple[Plane, ...], tuple[int, int]]:
    """Return planes turned back into canonical pose, cut at tiles, and the number of the first tile.

    Of a region of more than MOST_TILES, which is a long strip that lies slantwise, the middle is returned.
    """
    rows, columns = planes[0].shape
    centre = np.array((rows // 2, columns // 2), np.float64)
    inverse = np.linalg.inv(pose.matrix)
    corners = np.array([(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)], np.float64)
    places = (corners - centre - pose.offset) @ inverse.T
    start = np.floor(places.min(0) / TILE).astype(int)
    tiles = np.ceil((places.max(0) + 1) / TILE).astype(int) - start
    kept = np.minimum(tiles, MOST_TILES // min(int(tiles.min()), math.isqrt(MOST_TILES)))
    start += (tiles - kept) // 2
    shape = tuple(int(n) for n in kept * TILE)
    # Pillow's places are of pixels' corners, and columns come first.
    shift = pose.matrix @ (start * TILE - 0.5) + pose.offset + centre + 0.5
    (a, b), (c, d) = pose.matrix
    data = (d, c, shift[1], b, a, shift[0])
    turned = tuple(
        np.asarray(
            Image.fromarray(plane, "F").transform(
                (shape[1], shape[0]), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
            ),
            np.float32,
        )
        for plane in planes
    )
    return turned, (int(start[0]), int(start[1]))
