"""What a detector may learn from: an index of pictures by source, without what is reserved for measuring."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.detect.gate import condition, jpeg_quality
from assay.provenance.errors import InputError, MalformedError
from assay.provenance.media import Samples

RESERVED_GENERATORS = ("midjourney", "kolors", "vqgan", "muse", "infinity", "seedream")
"""Generators that only measure: a picture whose generator names one of them is never learned from."""
RESERVED_BITS = 5
"""Bits by which a difference hash may differ from a reserved one and still be that picture."""
MOST_PIXELS = 100_000_000
"""Pixels above which a picture is left out."""
LEAST_SIDE = 128
"""Fewest pixels of the shorter side."""
COLUMNS = ("path", "label", "source")


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to learn from: ``fake`` or not, its ``source`` (the group that is never split), its generator."""

    path: Path
    fake: bool
    source: str
    generator: str = ""
    kind: str = ""

    @property
    def seed(self) -> int:
        """A number that stays the same wherever the file lies."""
        return int.from_bytes(hashlib.sha256(f"{self.source}/{self.path.name}".encode()).digest()[:4], "big")


def read_index(path: Path) -> list[Item]:
    """Read a CSV with the columns path, label (real or fake), source, and optionally generator and kind.

    Paths are relative to the index. Raises InputError where it cannot be read, MalformedError where it is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(
            f"{path} is not a CSV file in UTF-8", hint="write one with a header line"
        ) from error
    if rows and (lacking := [c for c in COLUMNS if not rows[0].get(c)]):
        raise MalformedError(
            f"{path} lacks {', '.join(lacking)}", hint="its first line names path, label, source"
        )
    items = []
    for number, row in enumerate(rows, 2):
        if row["label"] not in ("real", "fake"):
            raise MalformedError(
                f"{path}, line {number}: label {row['label'][:20]!r}", hint="write real or fake"
            )
        items.append(
            Item(
                path.parent / row["path"],
                row["label"] == "fake",
                row["source"],
                row.get("generator") or "",
                row.get("kind") or "",
            )
        )
    return items


def allowed(items: Iterable[Item]) -> tuple[list[Item], Counter[str]]:
    """Return the items of generators that may be learned from, and how many were left out for which reason."""
    kept, left = [], Counter[str]()
    for item in items:
        if any(name in item.generator.lower() for name in RESERVED_GENERATORS):
            left["of a generator reserved for measuring"] += 1
        else:
            kept.append(item)
    return kept, left


def is_reserved(hashes: NDArray[np.uint64], reserved: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Say of each difference hash whether it is within RESERVED_BITS of a reserved one."""
    near = np.zeros(len(hashes), np.bool_)
    for hashed in reserved:
        near |= np.bitwise_count(hashes ^ hashed) <= RESERVED_BITS
    return near


def capped(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most ``most`` items of each source and label, chosen by their seeds."""
    taken: Counter[tuple[str, bool]] = Counter()
    chosen = set()
    for number in sorted(range(len(items)), key=lambda n: items[n].seed):
        key = items[number].source, items[number].fake
        taken[key] += 1
        if taken[key] <= most:
            chosen.add(number)
    return [item for number, item in enumerate(items) if number in chosen]


def read_reserved(path: Path) -> NDArray[np.uint64]:
    """Return the difference hashes of a list of reserved pictures, uint64."""
    hashes = json.loads(path.read_text(encoding="utf-8"))["dhash"]
    return np.array([int(h, 16) for h in hashes], np.uint64)


def difference_hash(picture: Samples) -> np.uint64:
    """Return the 64-bit difference hash: grey, 9 x 8 bilinear, row by row, 1 where the right one is lighter."""
    small = np.asarray(
        Image.fromarray(picture).convert("L").resize((9, 8), Image.Resampling.BILINEAR), np.int16
    )
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return np.uint64(int("".join("1" if bit else "0" for bit in bits), 2))


def load(path: Path) -> Samples | None:
    """Return a picture as uint8 (height, width, 3), None where it cannot be read or is outside the limits.

    For training only: incoming files are decoded in a worker, under limits.
    """
    try:
        with Image.open(path) as image:
            if not min(image.size) >= LEAST_SIDE or image.width * image.height > MOST_PIXELS:
                return None
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def condition_of(path: Path, most: int = 0) -> str:
    """Return the condition of a file as found, or, with ``most``, its size's once its longer side is at most that."""
    with Image.open(path) as image:
        scale = min(1.0, most / max(image.size)) if most else 1.0
        tables = getattr(image, "quantization", None)
        quality = jpeg_quality({"qtables": [tables[0]]}) if tables and 0 in tables else None
        return condition(int(image.width * image.height * scale**2), image.format or "", quality)


def weights(items: Sequence[Item], power: float = 0.5) -> NDArray[np.float64]:
    """Return how often each item is drawn: labels equally often, sources by the ``power`` of their size."""
    sizes = Counter((item.fake, item.source) for item in items)
    each = np.array([sizes[item.fake, item.source] ** (power - 1) for item in items])
    for fake in (False, True):
        mine = np.array([item.fake == fake for item in items])
        if mine.any():
            each[mine] /= 2 * each[mine].sum()
    return each
