"""Measure recovery by fingerprint: false matches, and recompressed photographs led back to their originals.

    ASSAY_CORPUS=… python bench/fingerprint.py              some minutes

Reads pictures from ASSAY_CORPUS (its ``detect/image/images.json``) and from scikit-image. The pictures logged and
the unrelated pictures asked for share no source: corpus pictures are split by repository, scikit-image's are only
logged, synthetic ones have separate seeds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from entries import new_entry, new_log, show
from PIL import Image, ImageEnhance

from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.ledger.log import SqlLog
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Recovery
from assay.provenance.media import Media, Samples


def synthetic(seed: int) -> Samples:
    """Return a picture of random clouds and shapes, unlike any other seed's."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(256, 512, 2))
    picture = np.zeros((height, width, 3))
    for octave in range(2, 7):
        grid = rng.normal(size=(1 << octave, 1 << octave, 3)) * 90 / octave
        layers = [Image.fromarray(grid[..., c].astype(np.float32)).resize((width, height)) for c in range(3)]
        picture += np.stack([np.asarray(layer) for layer in layers], axis=-1)
    picture += 128
    down, across = np.mgrid[0:height, 0:width]
    for _ in range(int(rng.integers(2, 8))):
        y, x, radius = rng.integers(0, height), rng.integers(0, width), rng.integers(20, 120)
        picture[np.hypot(down - y, (across - x) * rng.uniform(0.4, 2.5)) < radius] = rng.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def varied(picture: Samples, rng: np.random.Generator) -> Samples:
    """Return a crop of 60 to 100 % a side, perhaps mirrored, in another light."""
    height, width = picture.shape[:2]
    tall, wide = (int(side * rng.uniform(0.6, 1.0)) for side in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    part = picture[top : top + tall, left : left + wide]
    image = Image.fromarray(np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part))
    return np.asarray(ImageEnhance.Brightness(image).enhance(rng.uniform(0.8, 1.2)))


def recompressed(picture: Samples) -> Samples:
    """Return the picture at half size through JPEG at quality 75."""
    image = Image.fromarray(picture)
    buffer = io.BytesIO()
    image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=75
    )
    return np.asarray(Image.open(buffer))


def load(file: Path) -> Samples:
    image = Image.open(file).convert("RGB")
    image.thumbnail((640, 640))
    return np.asarray(image)


def sources(corpus: Path) -> tuple[list[Path], list[Path]]:
    """Return (pictures to log, pictures to ask for), split by repository."""
    import skimage

    index = json.loads((corpus / "detect" / "image" / "images.json").read_text())
    sides: tuple[list[Path], list[Path]] = ([], [])
    for item in index:
        side = Digest.of(item["repo"].encode()).value[0] & 1
        file = corpus / "detect" / "image" / item["file"]
        if file.is_file():
            sides[side].append(file)
    data = Path(skimage.__file__).parent / "data"
    sides[0].extend(sorted(file for file in data.iterdir() if file.suffix in (".png", ".jpg")))
    return sides


def variations(files: list[Path], count: int, seed: int) -> Iterator[Samples]:
    """Yield pictures: three in four varied from the files, one in four synthetic."""
    rng = np.random.default_rng(seed)
    pictures: dict[int, Samples] = {}
    for number in range(count):
        if number % 4 == 3:
            yield synthetic(seed * 1_000_000 + number)
            continue
        place = number % len(files)
        if place not in pictures:
            pictures[place] = load(files[place])
        yield varied(pictures[place], rng)


def painted(picture: Samples, box: tuple[float, float, float, float]) -> Samples:
    """Return the picture with something striped painted over a part (left, top, width, height)."""
    height, width = picture.shape[:2]
    rows = slice(int(box[1] * height), int((box[1] + box[3]) * height))
    columns = slice(int(box[0] * width), int((box[0] + box[2]) * width))
    edited = picture.copy()
    down, across = np.indices(edited[rows, columns].shape[:2])
    edited[rows, columns] = np.array([40, 110, 190]) + (20 * np.sin(across / 7 + down / 5))[..., None]
    return recompressed(edited)


def overlap(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Return intersection over union of (left, top, width, height)."""
    wide = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    tall = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    both = max(0.0, wide) * max(0.0, tall)
    return both / (one[2] * one[3] + two[2] * two[3] - both)


def comparison(corpus: Path) -> dict[str, float]:
    """Compare edited photographs with their originals, and look-alikes: pictures of one repository."""
    reader = PdqFingerprinter()
    index = json.loads((corpus / "detect" / "image" / "images.json").read_text())
    files = [item for item in index if (corpus / "detect" / "image" / item["file"]).is_file()]
    photographs = [item for item in files if item["label"] == "real"][::6][:50]
    result: dict[str, float] = {"photographs": len(photographs)}
    for name, box in (("5 %", (0.3, 0.4, 0.25, 0.2)), ("20 %", (0.5, 0.1, 0.4, 0.5))):
        same = located = 0
        for item in photographs:
            picture = load(corpus / "detect" / "image" / item["file"])
            sketch = reader.sketch(Media.still(picture))
            answer = reader.compare(Media.still(painted(picture, box)), sketch)
            same += answer.same
            located += max((overlap(region, box) for region in answer.regions), default=0.0) >= 0.6
        result[f"{name} painted over, half size, q75: the same"] = same
        result[f"{name} painted over: region found, IoU >= 0.6"] = located
    rng = np.random.default_rng(3)
    for label in ("real", "fake"):
        side = [item for item in files if item["label"] == label]
        alike = pairs = 0
        for place in rng.permutation(len(side))[:150]:
            one = side[int(place)]
            others = [item for item in side if item["repo"] == one["repo"] and item is not one]
            if others:
                two = others[int(rng.integers(len(others)))]
                first, second = (
                    Media.still(load(corpus / "detect" / "image" / i["file"])) for i in (one, two)
                )
                alike += reader.compare(first, reader.sketch(second)).same
                pairs += 1
        result[f"pairs of different pictures of one {label} source"] = pairs
        result[f"… called the same ({label})"] = alike
    return result


def recovery(corpus: Path, entries: int, queries: int) -> dict[str, float]:
    reader = PdqFingerprinter()
    logged, asked = sources(corpus)
    photographs = [file for file in logged if "real_" in str(file)][:50]
    whole = [load(file) for file in photographs]
    result: dict[str, float] = {"sources logged": len(logged), "sources asked for": len(asked)}

    def item(number: int, picture: Samples) -> tuple[Entry, Recovery]:
        media = Media.still(picture)
        record = Recovery(b"%016d" % number, reader.fingerprint(media), reader.sketch(media), b"")
        return new_entry(number, record), record

    def ask(log: SqlLog, picture: Samples) -> tuple[bool, bool, set[int]]:
        media = Media.still(picture)
        found = {f.receipt.index: f for key in reader.fingerprints(media) for f in log.find_fingerprint(key)}
        records = {index: f.recovery for index, f in found.items() if f.recovery}
        same = {index for index, record in records.items() if reader.compare(media, record.sketch).same}
        return bool(found), bool(same), same

    with tempfile.TemporaryDirectory() as folder, new_log(folder) as log:
        log.append_many([item(number, picture) for number, picture in enumerate(whole)])
        rest = variations(logged, entries - len(whole), 1)
        batch = []
        for number, picture in enumerate(rest, start=len(whole)):
            batch.append(item(number, picture))
            if len(batch) == 500:
                log.append_many(batch)
                batch = []
        log.append_many(batch)
        result["entries"] = log.size
        answers = [ask(log, picture) for picture in variations(asked, queries, 2)]
        result["unrelated pictures asked for"] = len(answers)
        result["unrelated pictures with a fingerprint match"] = sum(found for found, _, _ in answers)
        result["unrelated pictures attached to an original"] = sum(same for _, same, _ in answers)
        answers = [ask(log, recompressed(picture)) for picture in whole]
        result["photographs at half size, JPEG q75"] = len(answers)
        result["found by fingerprint"] = sum(found for found, _, _ in answers)
        result["called the same as their own original"] = sum(
            number in same for number, (_, _, same) in enumerate(answers)
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=10_000, help="entries logged (default 10,000)")
    parser.add_argument("--queries", type=int, default=2_000, help="unrelated pictures asked for")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    corpus = os.environ.get("ASSAY_CORPUS")
    if not corpus:
        parser.error("needs ASSAY_CORPUS")
    figures = {
        "comparison": comparison(Path(corpus)),
        "recovery": recovery(Path(corpus), options.entries, options.queries),
    }
    show(figures, options.json)


if __name__ == "__main__":
    main()
