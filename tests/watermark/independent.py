"""A reader of the hallmark written from docs/formats/mark.md alone: NumPy, Pillow, cryptography, nothing of Assay.

It is slow and plain on purpose. It reads upright, turned by quarters and mirrored pictures at a scale it is told.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import hypot, log, pi, sqrt

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from PIL import Image

PUBLIC = b"assay public mark key, version 1"
SCHEMES = {64: "io.assay.hallmark.1", 128: "io.assay.hallmark128.1", 256: "io.assay.hallmark256.1"}
GENERATORS = (0o46321, 0o51271, 0o63667, 0o70535, 0o73277, 0o76513)
PERIOD, TILE, TILES, NUMBERS, MEMORY = 1024, 32, 32, 176, 14
DECODINGS = 4  # of the eight poses, each at its highest peak, those that are decoded


@dataclass(frozen=True, slots=True)
class Key:
    """One secret for identifiers of one length, and every table that the page derives from it."""

    secret: bytes = PUBLIC
    bits: int = 64

    @property
    def key(self) -> bytes:
        return HKDF(SHA256(), 32, None, SCHEMES[self.bits].encode()).derive(self.secret)

    def octets(self, label: str, count: int) -> bytes:
        return hashlib.shake_256(label.encode() + b"\0" + self.key).digest(count)

    def words(self, label: str, count: int) -> np.ndarray:
        return np.frombuffer(self.octets(label, 8 * count), ">u8").astype(np.uint64)

    def turns(self, label: str, count: int) -> np.ndarray:
        return (self.words(label, count) >> np.uint64(11)).astype(float) / 2.0**53

    def check(self, identifier: bytes) -> bytes:
        secret = self.octets("assay mark check", 32)
        return hashlib.blake2b(identifier, digest_size=4, key=secret, person=b"assay.mark.1").digest()

    def placement(self, identifier: bytes) -> tuple[int, int, int]:
        seed = b"assay hallmark placement\0" + self.key + identifier
        k, row, column = np.frombuffer(hashlib.shake_256(seed).digest(24), ">u8")
        return int(k % 8), int(row % PERIOD), int(column % PERIOD)

    @lru_cache  # noqa: B019
    def signs(self) -> np.ndarray:
        octets = self.octets("assay hallmark signs", TILES * TILES * NUMBERS // 8)
        return 1.0 - 2.0 * np.unpackbits(np.frombuffer(octets, np.uint8)).reshape(-1, NUMBERS)

    @lru_cache  # noqa: B019
    def places(self) -> np.ndarray:
        words = self.words("assay hallmark places", TILES * TILES * NUMBERS).reshape(-1, NUMBERS)
        tiles = np.arange(TILES * TILES)[:, None]
        return (np.argsort(words, axis=1, kind="stable") + NUMBERS * tiles) % (6 * (self.bits + 32))

    @lru_cache  # noqa: B019
    def directions(self) -> np.ndarray:
        angle = 2 * pi * self.turns("assay hallmark directions", TILES * TILES)
        return np.stack([np.sin(angle), np.cos(angle)], axis=1)

    @lru_cache  # noqa: B019
    def tones(self) -> tuple[np.ndarray, np.ndarray]:
        every = [
            (u, v) for u in range(-256, 256) for v in range(1, 256) if 0.05 <= hypot(u, v) / PERIOD <= 0.215
        ]
        order = np.argsort(self.words("assay hallmark tones", len(every)), kind="stable")[:200]
        return np.array(every)[order], 2 * pi * self.turns("assay hallmark phases", 200)


def bins() -> list[tuple[int, int]]:
    """The (u mod 32, v) of a tile's numbers, in their order."""
    every = [((row + 16) % 32 - 16, row, v) for row in range(32) for v in range(16)]
    return [(row, v) for u, row, v in every if 0.045 <= hypot(u, v) / TILE <= 0.24 and (v or u > 0)]


def encode(information: np.ndarray) -> np.ndarray:
    """The code word of bits, 0 or 1."""
    register = sum(np.roll(information, lag).astype(int) << (MEMORY - lag) for lag in range(MEMORY + 1))
    return outputs()[register].ravel()


@lru_cache
def outputs() -> np.ndarray:
    """The six output bits of every register."""
    register = np.arange(2 << MEMORY)[:, None] & np.array(GENERATORS)
    for shift in (16, 8, 4, 2, 1):
        register = register ^ (register >> shift)
    return (register & 1).astype(np.uint8)


def decode(soft: np.ndarray) -> np.ndarray:
    """The likeliest information bits of soft code bits, positive for 0: Viterbi, three times round, the middle kept."""
    steps = soft.reshape(-1, 6)
    patterns = 1.0 - 2.0 * ((np.arange(64)[:, None] >> np.arange(5, -1, -1)) & 1)
    label = outputs() @ (1 << np.arange(5, -1, -1))  # of register 2 s' + j, s' the state after the step
    metric, choices = np.zeros(1 << MEMORY), []
    for step in np.tile(steps, (3, 1)):
        branch = (patterns @ step)[label].reshape(-1, 2)
        both = (
            np.tile(metric.reshape(-1, 2), (2, 1)) + branch
        )  # of the earlier states 2 s' and 2 s' + 1, modulo 2^14
        choices.append(both[:, 1] > both[:, 0])
        metric = np.maximum(both[:, 0], both[:, 1])
    best, bits = int(metric.argmax()), []
    for choice in reversed(choices):
        bits.append(best >> (MEMORY - 1))
        best = (2 * best) % (1 << MEMORY) + int(choice[best])
    count = len(steps)
    return np.array(bits[::-1][count : 2 * count], np.uint8)


def canvas(picture: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Luma, (h, w) in 0..255, at the canvas scale of a picture of that many rows and columns."""
    rows, columns = size or picture.shape[:2]
    scale = (640 if rows * columns >= 130_000 else 320) / sqrt(rows * columns)
    scale = min(scale, 4096 / max(rows, columns))
    luma = picture[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    height, width = (max(1, round(side * scale)) for side in luma.shape)
    return np.asarray(Image.fromarray(luma).resize((width, height), Image.Resampling.LANCZOS))


def mean(plane: np.ndarray, radius: int) -> np.ndarray:
    """The mean of the square about each pixel, (h, w)."""
    side = 2 * radius + 1
    for axis in (0, 1):
        plane = np.pad(plane, [(radius + 1, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        total = np.cumsum(plane, axis=axis, dtype=float)
        far, near = (slice(side, None), slice(None)), (slice(None, -side), slice(None))
        plane = (total[far[:: 1 - 2 * axis]] - total[near[:: 1 - 2 * axis]]) / side
    return plane


def listen(luma: np.ndarray) -> np.ndarray:
    """An estimate of the pattern, (h, w): what is fine, in units of how much there is about it."""
    fine = luma - mean(mean(luma, 2), 2)
    return np.clip(fine / np.sqrt(mean(fine**2, 4) + 1.0), -2.0, 2.0)


def fold(plane: np.ndarray) -> np.ndarray:
    """Sum over periods, from the origin."""
    out = np.zeros((PERIOD, PERIOD))
    for top in range(0, plane.shape[0], PERIOD):
        for left in range(0, plane.shape[1], PERIOD):
            part = plane[top : top + PERIOD, left : left + PERIOD]
            out[: part.shape[0], : part.shape[1]] += part
    return out


def corner(estimate: np.ndarray, key: Key) -> tuple[float, int, int]:
    """Where the upper left pixel lies on the pattern, by the tones' phases: (height of the peak, row, column)."""
    tones, phases = key.tones()
    at = (tones[:, 0] % PERIOD, tones[:, 1])
    spectrum = np.zeros((PERIOD, PERIOD), complex)
    spectrum[at] = np.fft.fft2(fold(estimate))[at] * np.exp(-1j * phases)
    peak = np.fft.fft2(spectrum).real
    return float(peak.max()), *divmod(int(peak.argmax()), PERIOD)


def spread(plane: np.ndarray, row: int, column: int) -> np.ndarray:
    """The tiles of the plane that a canvas laid at this corner touches, (rows, columns, 32, 32); 0 where it is not."""
    top, left = row % TILE, column % TILE
    bottom, right = -(top + plane.shape[0]) % TILE, -(left + plane.shape[1]) % TILE
    wide = np.pad(plane, ((top, bottom), (left, right)))
    return wide.reshape(wide.shape[0] // TILE, TILE, -1, TILE).swapaxes(1, 2)


def polarity(luma: np.ndarray, tile: np.ndarray, row: int, column: int, key: Key) -> np.ndarray:
    """Sign and trust of every touched tile, (rows, columns), in -1..1."""
    there = spread(np.ones(luma.shape), row, column)
    pixels = there.sum((2, 3))
    tiles = spread(luma.astype(float), row, column)
    tiles = (tiles - (tiles.sum((2, 3)) / pixels)[..., None, None]) * there
    ramp = (np.arange(TILE) - 15.5) / 16
    down, across = tiles.sum(3) @ ramp * 3 / pixels, tiles.sum(2) @ ramp * 3 / pixels
    sine, cosine = np.moveaxis(key.directions()[tile], -1, 0)
    p = down * sine + across * cosine
    return pixels / TILE**2 * p / (abs(p) + 1.5)


def numbers(luma: np.ndarray, estimate: np.ndarray, row: int, column: int, key: Key) -> np.ndarray:
    """x: the numbers of all 1024 tiles without their key's signs, (1024, 176)."""
    tiles = spread(estimate, row, column)
    down, across = (
        np.arange(count) + at // TILE for count, at in zip(tiles.shape, (row, column), strict=False)
    )
    tile = (down % TILES)[:, None] * TILES + across % TILES
    rows, columns = np.array(bins()).T
    values = np.fft.fft2(tiles)[..., rows, columns]
    values = np.concatenate([values.real, values.imag], axis=-1)
    values *= polarity(luma, tile, row, column, key)[..., None]
    out = np.zeros((TILES * TILES, NUMBERS))
    np.add.at(out, tile.ravel(), values.reshape(-1, NUMBERS))
    return out / np.sqrt((out**2).mean(axis=0) + 1e-12) * key.signs()


@dataclass(frozen=True, slots=True)
class Found:
    """A mark: the identifier, the statistic T, the natural logarithm of the p-value's bound, k and corner."""

    identifier: str
    statistic: float
    log_p: float
    placement: tuple[int, int, int]


def read(picture: np.ndarray, key: Key, size: tuple[int, int] | None = None) -> Found | None:
    """The mark of RGB samples; `size` is the rows and columns that the picture had before it was cropped."""
    luma = canvas(picture, size)
    estimate = listen(luma)
    poses = []
    for k in range(8):
        lain = [np.rot90(plane, k % 4)[:, :: -1 if k > 3 else 1] for plane in (luma, estimate)]
        poses.append((*corner(lain[1], key), k, lain))
    poses.sort(key=lambda pose: -pose[0])
    for _, row, column, k, lain in poses[:DECODINGS]:
        x, places = numbers(*lain, row, column, key), key.places()
        bits = decode(np.bincount(places.ravel(), x.ravel(), 6 * (key.bits + 32)))
        octets = np.packbits(bits).tobytes()
        word = 1.0 - 2.0 * encode(bits)
        statistic = float((word[places] * x).sum() / np.sqrt((x**2).sum()))
        log_p = log(DECODINGS) + key.bits * log(2) - max(statistic, 0.0) ** 2 / 2
        if log_p < log(1e-9) and octets[-4:] == key.check(octets[:-4]):
            return Found(octets[:-4].hex(), statistic, log_p, (k, row, column))
    return None
