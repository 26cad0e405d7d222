"""Measure near look-up: our two ways beside faiss and brute force, and what PDQ and ISCC find of edited photographs.

    python bench/lookup.py                      10,000, 100,000 and 1,000,000 fingerprints
    python bench/lookup.py --sizes 10000        fewer
    python bench/lookup.py --photographs        also recall on photographs

Fingerprints are random, the hardest case for any index; each is asked for with exactly 31 of its 256 bits
flipped. SQL is SQLite with the tables and the query of ledger/store. faiss is measured where it is installed.
``--photographs`` reads real pictures from ASSAY_CORPUS (its ``detect/image/images.json``).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.ledger.likeness.bands import DISTANCES, MAX_DISTANCE, bands, distance, probes
from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.ledger.likeness.hamming import Covered, HammingIndex
from assay.ledger.likeness.iscc import ALG, code_of_grey, image_code, read_code
from assay.provenance.media import Media, Samples

QUERIES = 100
PHOTOGRAPHS = 40

Search = Callable[[bytes], Iterable[int]]


# Searching


def asked(values: list[bytes], rng: np.random.Generator) -> list[tuple[int, bytes]]:
    """Return (place, value with exactly 31 bits flipped) of some values."""
    found = []
    for place in rng.integers(0, len(values), QUERIES):
        flips = sum(1 << int(bit) for bit in rng.choice(256, MAX_DISTANCE, replace=False))
        number = int.from_bytes(values[int(place)], "big") ^ flips
        found.append((int(place), number.to_bytes(32, "big")))
    return found


def sql(values: list[bytes], folder: Path) -> Search:
    """Fill the two tables of ledger/store in a file and return its query."""
    connection = sqlite3.connect(folder / "bands.db")
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"
        "CREATE TABLE prints (idx INTEGER PRIMARY KEY, pdq BLOB, iscc BLOB);"
        "CREATE TABLE bands (band INTEGER, idx BIGINT, PRIMARY KEY (band, idx)) WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO prints (idx, pdq) VALUES (?, ?)", enumerate(values))
    rows = sorted((band, at) for at, value in enumerate(values) for band in bands(value))
    connection.executemany("INSERT INTO bands VALUES (?, ?)", rows)
    connection.commit()
    query = (
        "SELECT bands.idx, prints.pdq FROM bands JOIN prints ON prints.idx = bands.idx "
        f"WHERE bands.band IN ({', '.join('?' * len(probes(bytes(32))))}) "
        "AND bands.idx >= ? AND prints.pdq IS NOT NULL"
    )

    def search(value: bytes) -> Iterable[int]:
        found = dict(connection.execute(query, (*probes(value), 0)))
        return {at for at, other in found.items() if distance(value, other) <= MAX_DISTANCE}

    return search


def index(values: list[bytes], folder: Path) -> Search:
    """Make our index, keep it in a file, and map it from there."""
    path = folder / "near"
    HammingIndex.build(Covered("pdq", "bench", len(values), ""), enumerate(values)).save(path)
    found = HammingIndex.load(path)
    assert found is not None
    return found.near


def brute(values: list[bytes], _: Path) -> Search:
    """Compare with all values by NumPy."""
    table = np.frombuffer(b"".join(values), np.uint64).reshape(-1, 4)

    def search(value: bytes) -> Iterable[int]:
        bits = np.bitwise_count(table ^ np.frombuffer(value, np.uint64)).sum(axis=1)
        return [int(at) for at in np.flatnonzero(bits <= MAX_DISTANCE)]

    return search


def multi_hash(values: list[bytes], folder: Path) -> Search:
    """Make faiss' multi-hash index of 16 × 16 bits, each probed with one bit flipped: exact within 31 bits."""
    import faiss

    found = faiss.IndexBinaryMultiHash(256, 16, 16)
    found.nflip = 1
    found.add(np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32))
    faiss.write_index_binary(found, str(folder / "faiss"))
    return ranged(faiss.read_index_binary(str(folder / "faiss")))


def flat(values: list[bytes], _: Path) -> Search:
    """Make faiss' index without structure."""
    import faiss

    found = faiss.IndexBinaryFlat(256)
    found.add(np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32))
    return ranged(found)


def ranged(found: Any) -> Search:
    def search(value: bytes) -> Iterable[int]:
        return found.range_search(np.frombuffer(value, np.uint8)[None], MAX_DISTANCE + 1)[2].tolist()

    return search


WAYS = {
    "bands in SQL": sql,
    "our index, mapped": index,
    "NumPy, all compared": brute,
    "faiss MultiHash 16 × 16, nflip 1": multi_hash,
    "faiss BinaryFlat": flat,
}


def searching(sizes: list[int]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    rows = []
    for size in sizes:
        data = rng.bytes(32 * size)
        values = [data[at : at + 32] for at in range(0, len(data), 32)]
        queries = asked(values, rng)
        for name, make in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                try:
                    search = make(values, Path(folder))
                except ImportError:
                    continue
                build = time.perf_counter() - start
                size_on_disk = sum(file.stat().st_size for file in Path(folder).iterdir())
                search(queries[0][1])
                times, found = [], 0
                for place, value in queries:
                    start = time.perf_counter()
                    answer = search(value)
                    times.append(time.perf_counter() - start)
                    found += place in answer
                rows.append(
                    {
                        "fingerprints": size,
                        "way": name,
                        "recall": found / len(queries),
                        "ms": 1000 * statistics.median(times),
                        "ms, 95 of 100": 1000 * sorted(times)[int(0.95 * len(times))],
                        "build s": build,
                        "file MB": size_on_disk / 1e6,
                    }
                )
                del search
    return rows


# Photographs


def jpeg(picture: Image.Image, quality: int = 85) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def edit(picture: Image.Image) -> Image.Image:
        left, top = round(share * picture.width), round(share * picture.height)
        return picture.crop((left, top, picture.width - left, picture.height - top))

    return edit


def framed(picture: Image.Image) -> Image.Image:
    left, top = round(0.05 * picture.width), round(0.05 * picture.height)
    page = Image.new("RGB", (picture.width + 2 * left, picture.height + 2 * top), "white")
    page.paste(picture, (left, top))
    return page


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG q30": lambda p: jpeg(p, 30),
    "a quarter of each side": lambda p: jpeg(p.resize((max(1, p.width // 4), max(1, p.height // 4)))),
    "crop 2 % a side": lambda p: jpeg(cropped(0.02)(p)),
    "crop 5 % a side": lambda p: jpeg(cropped(0.05)(p)),
    "white border 5 %, lossless": framed,
    "white border 5 %, JPEG": lambda p: jpeg(framed(p)),
    "turned by 2°": lambda p: jpeg(p.rotate(2, Image.Resampling.BICUBIC)),
}


def untrimmed(picture: Samples) -> str:
    """Return the code of a picture whose border is left on."""
    grey = Image.fromarray(picture).convert("L").resize((32, 32), Image.Resampling.BICUBIC)
    return code_of_grey(np.asarray(grey).tobytes())


def codes(picture: Image.Image) -> dict[str, bytes]:
    samples = np.asarray(picture)
    found = PdqFingerprinter().fingerprint(Media.still(samples))
    return {
        "PDQ": found.value if found else b"",
        "ISCC": read_code(image_code(samples))[1],
        "ISCC, border left on": read_code(untrimmed(samples))[1],
    }


def near(one: bytes, other: bytes, bits: int) -> bool:
    return bool(one and other) and distance(one, other) <= bits


def photographs(corpus: Path) -> list[dict[str, Any]]:
    listed = json.loads((corpus / "detect" / "image" / "images.json").read_text())
    files = [corpus / "detect" / "image" / item["file"] for item in listed if item["label"] == "real"]
    there = [file for file in files if file.is_file()]
    chosen = there[:: max(1, len(there) // PHOTOGRAPHS)][:PHOTOGRAPHS]
    pictures = [Image.open(file).convert("RGB") for file in chosen]
    originals = [codes(picture) for picture in pictures]
    readings = {name: [codes(edit(picture)) for picture in pictures] for name, edit in EDITS.items()}
    rows = []
    for way, bits in (
        ("PDQ", MAX_DISTANCE),
        ("ISCC", MAX_DISTANCE),
        ("ISCC, border left on", MAX_DISTANCE),
        ("ISCC", DISTANCES[ALG]),
    ):
        row: dict[str, Any] = {"way": way, "bits": bits}
        for name, found in readings.items():
            hits = [near(o[way], f[way], bits) for o, f in zip(originals, found, strict=True)]
            row[name] = sum(hits) / len(hits)
        pairs = [
            distance(one[way], two[way])
            for at, one in enumerate(originals)
            for two in originals[:at]
            if one[way] and two[way]
        ]
        row |= {"pairs": len(pairs), "false pairs": sum(d <= bits for d in pairs), "nearest": min(pairs)}
        rows.append(row)
    both: dict[str, Any] = {"way": "PDQ or ISCC, as used", "bits": ""}
    for name, found in readings.items():
        hits = [
            near(o["PDQ"], f["PDQ"], MAX_DISTANCE) or near(o["ISCC"], f["ISCC"], DISTANCES[ALG])
            for o, f in zip(originals, found, strict=True)
        ]
        both[name] = sum(hits) / len(hits)
    return [*rows, both]


def table(rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        [f"{v:.3g}" if isinstance(v, float) else str(v) for v in (r.get(n, "") for n in names)] for r in rows
    ]
    widths = [max(len(line[at]) for line in [names, *lines]) for at in range(len(names))]
    for line in [names, *lines]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--photographs", action="store_true", help="also measure recall on photographs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "searching": searching(options.sizes)}
    print(f"load {figures['load']:.1f}, {os.cpu_count()} processors")
    table(figures["searching"])
    if options.photographs:
        corpus = os.environ.get("ASSAY_CORPUS")
        if not corpus:
            parser.error("--photographs needs ASSAY_CORPUS")
        figures["photographs"] = photographs(Path(corpus))
        table(figures["photographs"])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
