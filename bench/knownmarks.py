"""Measure the reader of generators' marks: hits after publication, false alarms, calibration, speed.

python bench/knownmarks.py --log FILE [--photos DIR…] [--negatives DIR…] [--generated DIR…] [--limit N]
                           [--pieces N] [--searches N]

Marks are written by the installed invisible-watermark's own code, on floats where the generator does so, into
photographs brought to the sizes that generators emit and at their own size; each photograph carries one message at each
size, in turn. Beside some rates stands the library's own decoder, which counts a hit at 11 of 12 bits right.

Negatives are unmarked pictures: random pieces of photographs, enlarged, shrunk and re-encoded at random. Each is
decoded at its own place and at three random pixel offsets. One decoding compares one message, as written and
at one random shift (a message that nobody writes), with one plane at one offset. Of each plane also the best alignment
of each message is taken, its chance times the alignments tried: this is what the search for crops rests on. Both
are counted against what their p-values promise. The first ``--searches`` pieces are read in full.

Each line of the log is one photograph or one piece; what it holds is not measured again. What is printed is
computed from it.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.provenance.media import Media
from assay.watermark.known import MESSAGES, GeneratorMarks, KnownMessage
from assay.watermark.known.chroma import chroma, low_band
from assay.watermark.known.messages import DOMAINS, FLOATS
from assay.watermark.known.network import log_odds
from assay.watermark.known.statistic import agreement, alignments, fields

Picture = np.ndarray
SIDE = 512
"""Square that generators emit."""
PIXELS = 2**20
"""At most so many, as generators emit, has the photograph in its own shape."""
LEVELS = tuple(range(1, 10))
"""Negative logarithms of the p-values counted."""
GROUP = 50
"""Pieces taken from the same eight photographs."""
LIBRARY_HIT = 11 / 12
COMPARED = ("none", "jpeg90")
"""After these the library's own decoder is tried too."""
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
    "webp80": lambda a: saved(a, "WEBP", 80),
    "noise 5": noisy,
    "contrast 0.8": lambda a: levels((a - 128.0) * 0.8 + 128),
    "crop 75 %": lambda a: cropped(a, 0.75),
    "crop 50 %": lambda a: cropped(a, 0.5),
    "crop 75 % + jpeg90": lambda a: saved(cropped(a, 0.75), "JPEG", 90),
    "resize 0.5": lambda a: resized(a, 0.5),
    "resize 0.75": lambda a: resized(a, 0.75, Image.Resampling.BICUBIC),
    "resize 1.5": lambda a: resized(a, 1.5),
    "resize 0.75 + jpeg90": lambda a: saved(resized(a, 0.75), "JPEG", 90),
}


def files(folders: list[Path], limit: int) -> Iterator[Path]:
    """Yield pictures of each folder by their digest, which follows the source in their names: any prefix is fair."""
    for folder in folders:
        paths = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES]
        paths.sort(key=lambda p: p.name.rpartition("__")[2])
        yield from paths[:limit] if limit else paths


def opened(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def shapes(path: Path) -> dict[str, Picture]:
    """Return the photograph as a square that generators emit and in its own shape."""
    with Image.open(path) as opened_image:
        image = opened_image.convert("RGB")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.crop((left, top, left + short, top + short))
    share = min(1.0, (PIXELS / (image.width * image.height)) ** 0.5)
    size = round(image.width * share), round(image.height * share)
    return {
        "own shape": np.asarray(image.resize(size, Image.Resampling.LANCZOS)),
        "512 square": np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)),
    }


def written(method: Any, picture: Picture, message: KnownMessage) -> Picture:
    """Return the picture as the generator's code leaves it."""
    kind = np.float32 if message.domains[0] == FLOATS else np.uint8
    frame = picture[..., ::-1].astype(kind).copy()
    bits = [int(b) for b in message.bits]
    return levels(method(bits, wmLen=len(bits)).encode(frame)[..., ::-1])


def hits(path: Path, number: int) -> dict[str, Any]:
    """Return for one photograph [shape, generator, change, read, another name read, library read] of each reading."""
    method, reader, rows = library("maxDct").EmbedMaxDct, GeneratorMarks(), []
    for turn, (shape, picture) in enumerate(shapes(path).items()):
        message = MESSAGES[(number + 2 * turn) % len(MESSAGES)]
        marked = written(method, picture, message)
        for name, attack in ATTACKS.items():
            received = attack(marked)
            found = [r.scheme for r in reader.read(Media.still(received)) if r.found]
            same = None
            if name in COMPARED:
                bits = method(wmLen=len(message.bits)).decode(received[..., ::-1].copy())
                same = bool(np.mean(np.asarray(bits).astype(int) == message.bits) >= LIBRARY_HIT)
            wrong = any(s != message.scheme for s in found)
            rows.append([shape, message.generator, name, message.scheme in found, wrong, same])
    return {"photograph": path.name, "readings": rows}


def shrunk(path: Path) -> Picture:
    """Return a photograph at 2 megapixels at most."""
    with Image.open(path) as image:
        image.draft("RGB", (1600, 1600))
        picture = image.convert("RGB")
    share = min(1.0, (2e6 / (picture.width * picture.height)) ** 0.5)
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def unmarked(paths: list[Path], group: int) -> Iterator[Picture]:
    """Yield a group of pictures without a mark: pieces of photographs, resized and re-encoded at random."""
    rng = np.random.default_rng([20260101, group])
    photographs = [shrunk(paths[i]) for i in rng.integers(len(paths), size=8)]
    for _ in range(GROUP):
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


def decoded(picture: Picture, rng: np.random.Generator, search: bool) -> dict[str, Any]:
    """Return the logarithms of the p-values of one unmarked piece, by kind."""
    plane, stride = chroma(picture), picture.shape[1] // 8
    values: dict[str, list[float]] = {"decodings": [], "alignments": []}
    for offset in [(0, 0), *rng.integers(0, 8, (3, 2))]:
        heard = fields(log_odds(low_band(plane, *(int(o) for o in offset))))
        for message in MESSAGES:
            shifted = replace(message, bits=np.roll(message.bits, int(rng.integers(1, len(message.bits)))))
            for domain in DOMAINS:
                answers = [agreement(heard[domain.head], m, stride) for m in (message, shifted)]
                values["decodings"] += [answer[1] for answer in answers if answer]
            here = heard[message.domains[0].head]
            scores = alignments(here.values, message)
            best = agreement(here, message, *divmod(int(scores.argmax()), len(message.bits)))
            if best:
                values["alignments"].append(min(0.0, best[1] + 2 * float(np.log10(len(message.bits)))))
    if search:
        found = [r.p_value for r in GeneratorMarks().read(Media.still(picture)) if r.p_value is not None]
        values["searches"] = [float(np.log10(min(found)))] if found else []
    return {
        kind: {"n": len(v), "least": min(v, default=0.0), "below": [sum(x < -k for x in v) for k in LEVELS]}
        for kind, v in values.items()
    }


def calibration(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up how often unmarked pieces fell below each level, beside how often they should at most."""
    table: dict[str, Any] = {"pieces": len(lines)}
    for kind in ("decodings", "alignments", "searches"):
        parts = [line[kind] for line in lines if kind in line]
        count = sum(part["n"] for part in parts)
        below = np.sum([part["below"] for part in parts], 0) if parts else np.zeros(len(LEVELS))
        table[kind] = {
            "n": count,
            "least p": 10 ** min((part["least"] for part in parts), default=0.0),
            **{
                f"p < 1e-{k}": f"{int(n)} ({count * 10.0**-k:.3g})"
                for k, n in zip(LEVELS, below, strict=True)
            },
        }
    return table


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
    """Time the full search of an unmarked photograph brought to several sizes: processor seconds, least of three."""
    reader, times = GeneratorMarks(), {}
    picture = next(opened(p) for p in files(folders, 0))
    sizes = {"0.4 MP": (768, 520), "1 MP": (1024, 1000), "3 MP": (2048, 1500), "12 MP": (4000, 3000)}
    for name, size in sizes.items():
        media = Media.still(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)))
        spent = []
        for _ in range(3):
            start = time.process_time()
            reader.read(media)
            spent.append(time.process_time() - start)
        times[name] = round(min(spent), 2)
    return times


def show(lines: list[dict[str, Any]]) -> None:
    """Print how many of how many were read, by size and by message, and in brackets by the library."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    rows = [row for line in lines for row in line["readings"]]
    for shape, generator, name, read, _, same in rows:
        for key in (shape, generator, "all"):
            table[key][f"{name}: n"] += 1
            table[key][f"{name}: read"] += read
            table[key][f"{name}: library"] += bool(same)
    print(f"{len(lines)} photographs, {len(rows)} readings, wrong name: {sum(row[4] for row in rows)}\n")
    print("| | " + " | ".join(table) + " |\n|---|" + "---|" * len(table))
    for name in ATTACKS:
        cells = [
            f"{c[f'{name}: read']}/{c[f'{name}: n']}"
            + (f" ({c[f'{name}: library']})" if name in COMPARED else "")
            for c in table.values()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def measured(options: argparse.Namespace) -> None:
    """Append to the log what it lacks."""
    done = read(options.log)
    names = {line.get("photograph") for line in done}
    numbers = {line.get("piece") for line in done}
    with options.log.open("a") as log:
        for number, path in enumerate(files(options.photos, options.limit)):
            if path.name not in names:
                log.write(json.dumps(hits(path, number)) + "\n")
                log.flush()
        paths = list(files(options.negatives, 0))
        for group in range(-(-options.pieces // GROUP) if paths else 0):
            if set(range(group * GROUP, (group + 1) * GROUP)) <= numbers:
                continue
            for number, piece in enumerate(unmarked(paths, group), group * GROUP):
                if number not in numbers:
                    rng = np.random.default_rng([20260102, number])
                    line = {"piece": number, **decoded(piece, rng, number < options.searches)}
                    log.write(json.dumps(line) + "\n")
                    log.flush()


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--negatives", type=Path, nargs="*", default=[])
    parser.add_argument("--generated", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=0, help="most pictures of each folder (0: all)")
    parser.add_argument("--pieces", type=int, default=1300, help="unmarked pieces")
    parser.add_argument("--searches", type=int, default=400, help="how many of them are searched in full")
    options = parser.parse_args()
    measured(options)
    lines = read(options.log)
    show([line for line in lines if "photograph" in line])
    print(json.dumps(calibration([line for line in lines if "piece" in line]), indent=1))
    if options.photos:
        print("processor seconds:", speed(options.photos))
    if options.generated:
        print(json.dumps(generated(options.generated, options.limit), indent=1))


if __name__ == "__main__":
    main()
