"""Measure the reader of generators' marks: hits after publication, false alarms, calibration, speed.

python bench/knownmarks.py [--photos DIR…] [--negatives DIR…] [--generated DIR…] [--json OUT] [--limit N]
                           [--crops N] [--searches N]

Marks are written by the installed invisible-watermark's own code, on floats where the generator does so, into
photographs brought to the sizes that generators emit and at their own size; each photograph carries one message at each
size, in turn. Beside each rate stands the library's own decoder, which counts a hit at 11 of 12 bits right.
Negatives are unmarked pictures: random pieces of photographs, enlarged, shrunk and re-encoded at random. Of each the
p-values of whole pictures are counted against what they promise, for each message and for each of its cyclic
shifts, which are messages that nobody writes; the full search (crops, sizes, gains) runs on ``--searches`` of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from assay.provenance.media import Media
from assay.watermark.known import ALARM, MESSAGES, GeneratorMarks, KnownMessage
from assay.watermark.known.chroma import chroma, low_band
from assay.watermark.known.messages import DOMAINS, FLOATS
from assay.watermark.known.network import log_odds
from assay.watermark.known.statistic import agreement, field

Picture = np.ndarray
SIDES = (1024, 512)
"""Squares that generators emit; each photograph is also marked at its own size."""
MOST_PIXELS = 4e6
"""Larger photographs are marked at this size: no generator emits more."""
LEVELS = tuple(10.0**-n for n in range(1, 9))
LIBRARY_HIT = 11 / 12
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def library(module: str) -> Any:
    """Load one module of invisible-watermark by file, so that its torch is not needed."""
    path = metadata.distribution("invisible-watermark").locate_file(f"imwatermark/{module}.py")
    spec = importlib.util.spec_from_file_location(module, str(path))
    if not spec or not spec.loader:
        raise ImportError(module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def saved(picture: Picture, form: str, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def resized(picture: Picture, scale: float, kernel: int = Image.Resampling.LANCZOS) -> Picture:
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling(kernel)))


def cropped(picture: Picture, share: float) -> Picture:
    height, width = (int(side * share**0.5) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) * 2 // 5, (picture.shape[1] - width) * 3 // 5
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def levels(picture: Picture) -> Picture:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def noisy(picture: Picture) -> Picture:
    return levels(picture + np.random.default_rng(0).normal(0, 5, picture.shape))


ATTACKS: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda a: a,
    "jpeg95": lambda a: saved(a, "JPEG", 95),
    "jpeg90": lambda a: saved(a, "JPEG", 90),
    "jpeg75": lambda a: saved(a, "JPEG", 75),
    "jpeg60": lambda a: saved(a, "JPEG", 60),
    "webp80": lambda a: saved(a, "WEBP", 80),
    "noise 5": noisy,
    "brightness 1.3": lambda a: levels(a * 1.3),
    "contrast 0.8": lambda a: levels((a - 128.0) * 0.8 + 128),
    "blur 1": lambda a: cv2.GaussianBlur(a, (0, 0), 1.0),
    "mirror": lambda a: np.ascontiguousarray(a[:, ::-1]),
    "crop 75 %": lambda a: cropped(a, 0.75),
    "crop 50 %": lambda a: cropped(a, 0.5),
    "crop 75 % + jpeg90": lambda a: saved(cropped(a, 0.75), "JPEG", 90),
    "crop 75 % + jpeg75": lambda a: saved(cropped(a, 0.75), "JPEG", 75),
    "resize 0.5": lambda a: resized(a, 0.5),
    "resize 0.625": lambda a: resized(a, 0.625),
    "resize 0.75": lambda a: resized(a, 0.75, Image.Resampling.BICUBIC),
    "resize 1.25": lambda a: resized(a, 1.25),
    "resize 1.5": lambda a: resized(a, 1.5),
    "resize 2": lambda a: resized(a, 2.0, Image.Resampling.BICUBIC),
    "width 1080": lambda a: resized(a, 1080 / a.shape[1]),
    "resize 0.75 + jpeg90": lambda a: saved(resized(a, 0.75), "JPEG", 90),
    "resize 0.5 + jpeg90": lambda a: saved(resized(a, 0.5), "JPEG", 90),
}


def files(folders: list[Path], limit: int) -> Iterator[Path]:
    for folder in folders:
        paths = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
        yield from paths[:: max(1, len(paths) // limit)][:limit] if limit else paths


def opened(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def shapes(path: Path) -> dict[str, Picture]:
    """Return the photograph as squares that generators emit, where it is as large, and at its own size."""
    with Image.open(path) as opened_image:
        image = opened_image.convert("RGB")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.crop((left, top, left + short, top + short))
    made = {
        f"{side} square": np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))
        for side in SIDES
        if short >= 0.6 * side
    }
    share = min(1.0, (MOST_PIXELS / (image.width * image.height)) ** 0.5)
    if share < 1:
        image = image.resize(
            (round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS
        )
    if image.width * image.height >= 65_536:
        made["own size"] = np.asarray(image)
    return made


def written(method: Any, picture: Picture, message: KnownMessage) -> Picture:
    """Return the picture as the generator's code leaves it."""
    kind = np.float32 if message.domains[0] == FLOATS else np.uint8
    frame = picture[..., ::-1].astype(kind).copy()
    bits = [int(b) for b in message.bits]
    return levels(method(bits, wmLen=len(bits)).encode(frame)[..., ::-1])


def hits(folders: list[Path], limit: int) -> dict[str, Any]:
    """Return for each shape and message, each attack, how many of how many were read, by us and by the library."""
    method, reader = library("maxDct").EmbedMaxDct, GeneratorMarks()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = 0
    for number, path in enumerate(files(folders, limit)):
        for turn, (shape, picture) in enumerate(shapes(path).items()):
            message = MESSAGES[(number + 2 * turn) % len(MESSAGES)]
            marked = written(method, picture, message)
            for name, attack in ATTACKS.items():
                received = attack(marked)
                found = [r.scheme for r in reader.read(Media.still(received)) if r.found]
                bits = method(wmLen=len(message.bits)).decode(received[..., ::-1].copy())
                same = np.mean(np.asarray(bits).astype(int) == message.bits) >= LIBRARY_HIT
                wrong += any(s != message.scheme for s in found)
                for key in (shape, message.generator, "all"):
                    table[key][f"{name}: n"] += 1
                    table[key][f"{name}: read"] += message.scheme in found
                    table[key][f"{name}: library"] += bool(same)
    return {"wrong name": wrong, "counts": table}


def unmarked(folders: list[Path], limit: int, count: int) -> Iterator[Picture]:
    """Yield pictures without a mark: pieces of photographs, resized and re-encoded at random."""
    rng = np.random.default_rng(20260101)
    paths = list(files(folders, limit))
    for number in range(count):
        if number % 50 == 0:
            chosen = rng.integers(len(paths), size=8)
            photographs = [opened(paths[i]) for i in chosen]
        photograph = photographs[rng.integers(len(photographs))]
        height, width = (min(size, int(rng.integers(256, 640))) for size in photograph.shape[:2])
        top = int(rng.integers(0, photograph.shape[0] - height + 1))
        left = int(rng.integers(0, photograph.shape[1] - width + 1))
        piece = photograph[top : top + height, left : left + width]
        if rng.random() < 0.3 or min(piece.shape[:2]) < 256:
            piece = resized(piece, max(rng.uniform(0.5, 2.0), 256 / min(piece.shape[:2])))
        # Widths that are multiples of 256 give every row of blocks the same bits of some messages.
        if rng.random() < 0.3:
            side = int(rng.choice([256, 512]))
            piece = np.asarray(Image.fromarray(piece).resize((side, side), Image.Resampling.LANCZOS))
        chance = rng.random()
        if chance < 0.4:
            piece = saved(piece, "JPEG", int(rng.integers(40, 98)))
        elif chance < 0.5:
            piece = saved(piece, "WEBP", int(rng.integers(40, 98)))
        yield np.ascontiguousarray(piece)


def calibration(folders: list[Path], limit: int, count: int, searches: int) -> dict[str, Any]:
    """Count how often unmarked pictures fall below each level: single tests, whole pictures, full searches."""
    reader = GeneratorMarks()
    tests, below = Counter[str](), {"messages": Counter[float](), "shifts": Counter[float]()}
    search, least, alarms = Counter[float](), 1.0, 0
    for number, picture in enumerate(unmarked(folders, limit, count)):
        heard = [field(odds) for odds in log_odds(low_band(chroma(picture)))]
        stride = picture.shape[1] // 8
        for message in MESSAGES:
            for domain in DOMAINS:
                for shift in range(len(message.bits)):
                    bits = np.roll(message.bits, shift)
                    answer = agreement(heard[domain.head], replace(message, bits=bits), stride)
                    if answer is None:
                        continue
                    kind = "shifts" if shift else "messages"
                    tests[kind] += 1
                    for level in LEVELS:
                        below[kind][level] += answer[1] < np.log10(level)
        if number < searches:
            values = [r.p_value for r in reader.read(Media.still(picture)) if r.p_value is not None]
            tests["searches"] += 1
            least = min([least, *values])
            alarms += any(v < ALARM for v in values)
            for level in LEVELS:
                search[level] += bool(values) and min(values) < level
    bound = 1 - 0.05 ** (1 / max(1, tests["searches"])) if alarms == 0 else None
    return {
        "pictures": count,
        "single tests": {
            kind: {"n": tests[kind], **{f"p < {level:g}": below[kind][level] for level in LEVELS}}
            for kind in below
        },
        "searches": {
            "n": tests["searches"],
            "alarms": alarms,
            "alarms upper bound (95 %)": bound,
            "least p": least,
            **{f"p < {level:g}": search[level] for level in LEVELS},
        },
    }


def generated(folders: list[Path], limit: int) -> dict[str, Any]:
    """Return what is read in pictures that generators made and others published."""
    reader, found = GeneratorMarks(), defaultdict[str, list[str]](list)
    counts = Counter[str]()
    for path in files(folders, limit):
        counts[path.parent.name] += 1
        best = reader.read(Media.still(opened(path)))[0]
        if best.mark:
            found[path.parent.name].append(f"{path.name}: {best.mark.id} p={best.p_value:.1e} {best.details}")
    return {"pictures": counts, "read": found}


def speed(folders: list[Path]) -> dict[str, float]:
    """Time the full search of unmarked photographs brought to one and to 12 megapixels: processor seconds."""
    reader, times = GeneratorMarks(), {}
    picture = next(opened(p) for p in files(folders, 0))
    for name, size in (("1 MP", (1024, 1024)), ("12 MP", (4000, 3000)), ("100 MP", (10_000, 10_000))):
        media = Media.still(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)))
        start = time.process_time()
        reader.read(media)
        times[name] = round(time.process_time() - start, 2)
    return times


def show(result: dict[str, Any]) -> None:
    counts = result["counts"]
    print(
        f"wrong name: {result['wrong name']}\n\n| | "
        + " | ".join(counts)
        + " |\n|---|"
        + "---|" * len(counts)
    )
    for name in ATTACKS:
        cells = [f"{c[f'{name}: read']}/{c[f'{name}: n']} ({c[f'{name}: library']})" for c in counts.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--negatives", type=Path, nargs="*", default=[])
    parser.add_argument("--generated", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=0, help="most pictures of each folder (0: all)")
    parser.add_argument("--crops", type=int, default=20_000, help="unmarked pictures")
    parser.add_argument("--searches", type=int, default=1000, help="how many of them are searched in full")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    document: dict[str, Any] = {"command": sys.argv}
    if options.photos:
        document["seconds"] = speed(options.photos)
        print("processor seconds:", document["seconds"])
        document["hits"] = hits(options.photos, options.limit)
        show(document["hits"])
    if options.negatives:
        document["false alarms"] = calibration(
            options.negatives, options.limit, options.crops, options.searches
        )
        print(json.dumps(document["false alarms"], indent=1))
    if options.generated:
        document["generated"] = generated(options.generated, options.limit)
        print(json.dumps(document["generated"], indent=1))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
