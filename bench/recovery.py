"""Sign photographs, lose their credentials, and count how often the truth comes back: the main job, end to end.

    python bench/recovery.py --photos DIR… [--limit 50] [--strangers DIR…] [--forged 200] [--poses 50000] [--json FILE]

Each photograph is signed with mark and ledger, then changed as a platform would, then verified as a stranger's
file. ``recovered`` counts verdicts source-recovered that name the photograph's own entry; ``wrong`` those that name
another. ``--strangers`` are photographs never signed: any verdict but inconclusive is counted as wrong. ``--forged``
writes so many times a signed photograph's identifier into another photograph, with the public encoder, whole or
turned and cropped, and verifies that. ``--poses`` compares so many pairs of different photographs where a frame says,
in random poses that show 8 to 100 % of the original: what a copied mark would have to get past. ``--only`` names the
changes by a part of their titles, ``--skip`` leaves out the first photographs.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from assay.ledger.likeness.align import to_planes
from assay.ledger.likeness.compare import compare_framed
from assay.ledger.likeness.fingerprint import PdqFingerprinter, canonical, decode_sketch
from assay.ledger.likeness.framed import Received
from assay.provenance.claim import Claim
from assay.provenance.errors import AssayError
from assay.provenance.mark import Frame
from assay.provenance.media import Media
from assay.provenance.report import Report, Verdict
from assay.provenance.workspace import Workspace

SEED = 1
LEAST_SHARE = 0.08
"""Least share of the original that a random pose shows."""
CLASSES = (0.12, 0.25, 0.5, 1.0)
"""Upper ends of the classes of shares that are counted."""
PICTURES = 120
"""Photographs among which the pairs are drawn."""
POSED_SIDE = 640
"""Longest side at which they are posed, in pixels."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
Change = Callable[[Image.Image], bytes]


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Write a picture without any metadata."""
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return target.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize both sides."""
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, keep: float) -> Image.Image:
    """Keep a part of each side, off the centre."""
    width, height = round(image.width * keep), round(image.height * keep)
    left, top = (image.width - width) // 3, (image.height - height) // 4
    return image.crop((left, top, left + width, top + height))


def turned(image: Image.Image, degrees: float, keep: float = 1.0) -> Image.Image:
    """Turn anticlockwise, corners black, and keep a part of each side."""
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), keep)


def screenshot(image: Image.Image) -> bytes:
    """Set into a page with bars, at 0.8 of the size."""
    small = scaled(image, 0.8)
    page = Image.new("RGB", (round(small.width * 1.3), round(small.height * 1.5)), (244, 245, 247))
    page.paste((32, 36, 44), (0, 0, page.width, page.height // 12))
    page.paste((190, 196, 205), (page.width // 10, round(page.height * 0.9), page.width // 2, page.height))
    page.paste(small, (round(small.width * 0.15), round(small.height * 0.2)))
    return jpeg(page, 80)


def social(image: Image.Image) -> bytes:
    """Reduce to 1,080 pixels, sharpen, JPEG q60, reduce to 720, JPEG q70."""
    first = scaled(image, min(1.0, 1080 / max(image.size))).filter(ImageFilter.SHARPEN)
    with Image.open(io.BytesIO(jpeg(first, 60))) as again:
        return jpeg(scaled(again, 720 / 1080), 70)


CHANGES: dict[str, Change] = {
    "stripped, JPEG q75": lambda i: jpeg(i, 75),
    "stripped, half size, JPEG q90": lambda i: jpeg(scaled(i, 0.5), 90),
    "stripped, JPEG q50": lambda i: jpeg(i, 50),
    "stripped, 0.37 of the size, JPEG q75": lambda i: jpeg(scaled(i, 0.37), 75),
    "stripped, cropped to 80 % a side, JPEG q85": lambda i: jpeg(cropped(i, 0.8), 85),
    "stripped, mirrored, JPEG q85": lambda i: jpeg(i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
    "turned by 3°, JPEG q75": lambda i: jpeg(turned(i, 3), 75),
    "turned by 17°, JPEG q85": lambda i: jpeg(turned(i, 17), 85),
    "turned by 45°, JPEG q85": lambda i: jpeg(turned(i, 45), 85),
    "turned by 17°, cropped to 25 %, JPEG q85": lambda i: jpeg(turned(i, 17, 0.5), 85),
    "cropped to 25 %, JPEG q85": lambda i: jpeg(cropped(i, 0.5), 85),
    "cropped to 10 %, JPEG q85": lambda i: jpeg(cropped(i, 0.1**0.5), 85),
    "width times 0.9, JPEG q85": lambda i: jpeg(i.resize((round(i.width * 0.9), i.height)), 85),
    "screenshot of a page, JPEG q80": screenshot,
    "1,080, sharpened, q60, 720, q70": social,
}


def photographs(folders: list[Path], limit: int) -> list[Path]:
    """Return up to ``limit`` pictures, taken from the folders in turn."""
    lists = [sorted(p for p in f.iterdir() if p.suffix.lower() in SUFFIXES) for f in folders]
    turns = [paths[n] for n in range(max(map(len, lists), default=0)) for paths in lists if n < len(paths)]
    return turns[:limit]


def outcome(report: Report, index: int | None) -> str:
    """Say whether a report leads to the right entry, to a wrong one, or to none."""
    if report.verdict is Verdict.INCONCLUSIVE or not (report.recovered and report.recovered.matches):
        return "open" if report.verdict is Verdict.INCONCLUSIVE else "wrong"
    right = report.verdict is Verdict.SOURCE_RECOVERED and report.recovered.receipt.index == index
    return "recovered" if right else "wrong"


def pose(share: float, height: int, width: int, rng: random.Random) -> Frame:
    """Return the frame of a picture of this size that shows a share of an original of this shape, anyhow turned."""
    rows, columns = (POSED_SIDE * math.sqrt(n) for n in (height / width, width / height))
    angle, aspect = rng.uniform(0, 2 * math.pi), rng.uniform(0.95, 1.05)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    steps = np.diag((aspect, rng.choice((-1, 1)) / aspect)) * math.sqrt(
        share * rows * columns / (height * width)
    )
    matrix = turn @ steps
    reach = np.abs(matrix @ np.diag((height, width))).sum(axis=1) / 2
    middle = [rng.uniform(*sorted((r, n - r))) for r, n in zip(reach, (rows, columns), strict=True)]
    row, column = np.array(middle) - matrix @ (np.array((height, width)) / 2)
    (a, b), (c, d) = matrix.tolist()
    return Frame((POSED_SIDE,), 0, ((a, b), (c, d)), (float(row), float(column)), 1024)


def posed(paths: list[Path], count: int) -> dict[str, Counter[str]]:
    """Compare pairs of different photographs where random frames say, and count which are called the same."""
    rng, reader = random.Random(SEED), PdqFingerprinter()
    found: dict[str, Counter[str]] = {f"up to {top:.0%} shown": Counter() for top in CLASSES}
    received, sketches = [], []
    for path in rng.sample(paths, min(PICTURES, len(paths))):
        with Image.open(path) as image:
            image.draft("RGB", (2 * POSED_SIDE, 2 * POSED_SIDE))
            small = np.asarray(image.convert("RGB").resize(_within(image, POSED_SIDE), Image.Resampling.BOX))
        received.append((Received(to_planes(canonical(small))), small.shape))
        sketches.append(decode_sketch(reader.sketch(Media.still(small))))
    for _ in range(count):
        one, two = rng.sample(range(len(received)), 2)
        share = math.exp(rng.uniform(math.log(LEAST_SHARE), 0))
        picture, (height, width, _) = received[one]
        same = compare_framed(picture, sketches[two], pose(share, height, width, rng), (height, width))
        title = next(name for name, top in zip(found, CLASSES, strict=True) if share <= top)
        found[title]["attached" if same else "not attached"] += 1
    return found


def _within(image: Image.Image, side: int) -> tuple[int, int]:
    share = side / max(image.size)
    return max(1, round(image.width * share)), max(1, round(image.height * share))


def forged(
    workspace: Workspace, signed: list[tuple[Path, int, str]], folder: Path, count: int
) -> Counter[str]:
    """Write identifiers of signed photographs into others and count what verifying says."""
    found: Counter[str] = Counter()
    rng, scheme = random.Random(SEED), workspace.watermark()
    marked = [item for item in signed if item[2]]
    for number in range(count if len(marked) > 1 else 0):
        (_, _, borrowed), (other, _, _) = rng.sample(marked, 2)
        with Image.open(other) as image:
            bare = np.asarray(scaled(image.convert("RGB"), 0.8))
        try:
            forgery = Image.fromarray(scheme.embed(Media.still(bare), borrowed).frame())
        except AssayError:
            found["not marked"] += 1
            continue
        changed = folder / "forged.jpg"
        changed.write_bytes(jpeg(turned(forgery, 17, 0.7) if number % 2 else forgery, 90))
        report = workspace.verify(changed)
        entry = report.recovered
        led = bool(entry and entry.entry.mark and entry.entry.mark.id == borrowed)
        found["attached" if led and entry and entry.matches else str(report.verdict)] += 1
        print(f"  forged {number + 1}: {dict(found)}", file=sys.stderr)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--strangers", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--forged", type=int, default=0)
    parser.add_argument("--poses", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in CHANGES if any(part in name for part in arguments.only)
    }
    chosen = photographs(arguments.photos, arguments.skip + arguments.limit)[arguments.skip :]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = Workspace.init(folder / "workspace", origin="bench.example/ledger")
        signed: list[tuple[Path, int, str]] = []
        unmarked = 0
        for number, path in enumerate(chosen):
            target = folder / f"{number}{path.suffix}"
            try:
                done = workspace.sign_file(path, target, Claim(source_type="digitalCapture"))
            except AssayError as error:
                print(f"  not signed: {path.name}: {error.message}")
                continue
            unmarked += done.mark is None
            signed.append(
                (target, done.receipt.index if done.receipt else -1, done.mark.id if done.mark else "")
            )
        start, verified = time.perf_counter(), 0
        for target, index, _ in signed:
            with Image.open(target) as image:
                pixels = image.convert("RGB")
            for title in counts:
                changed = folder / "changed.jpg"
                changed.write_bytes(CHANGES[title](pixels))
                counts[title][outcome(workspace.verify(changed), index)] += 1
                verified += 1
            print(f"  {target.name}: {[dict(found) for found in counts.values()]}", file=sys.stderr)
        seconds = (time.perf_counter() - start) / max(1, verified)
        forgeries = forged(workspace, signed, folder, arguments.forged)
        strangers = Counter(
            outcome(workspace.verify(p), None) for p in photographs(arguments.strangers, 10_000)
        )
    print(f"{len(signed)} photographs signed ({unmarked} without a mark); {seconds:.2f} s a verification")
    for title, found in counts.items():
        share = found["recovered"] / max(1, len(signed))
        print(
            f"  {title:45} recovered {found['recovered']:3} ({share:.0%}), "
            f"open {found['open']:3}, wrong {found['wrong']}"
        )
    if arguments.strangers:
        print(
            f"  never signed: {sum(strangers.values())}, of which wrongly attached or accused: {strangers['wrong']}"
        )
    if arguments.forged:
        print(f"  identifiers written into other photographs: {dict(forgeries)}")
    poses = posed(photographs(arguments.photos, 10_000), arguments.poses) if arguments.poses else {}
    for title, found in poses.items():
        print(
            f"  other photographs in random poses, {title:17} attached {found['attached']} of {found.total():,}"
        )
    if arguments.json:
        document = {
            "signed": len(signed),
            "unmarked": unmarked,
            "changes": counts,
            "strangers": strangers,
            "forged": forgeries,
            "poses": poses,
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
