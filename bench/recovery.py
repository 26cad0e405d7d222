"""Sign photographs, lose their credentials, and count how often the truth comes back: the main job, end to end.

    python bench/recovery.py --photos DIR… [--limit 50] [--strangers DIR…] [--json FILE]

Each photograph is signed with mark and ledger, then changed as a platform would, then verified as a stranger's
file. ``recovered`` counts verdicts source-recovered that name the photograph's own entry; ``wrong`` those that name
another. ``--strangers`` are photographs never signed: any verdict but inconclusive is counted as wrong.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from assay.provenance.claim import Claim
from assay.provenance.errors import AssayError
from assay.provenance.report import Report, Verdict
from assay.provenance.workspace import Workspace

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


CHANGES: dict[str, Change] = {
    "stripped, JPEG q75": lambda i: jpeg(i, 75),
    "stripped, half size, JPEG q90": lambda i: jpeg(scaled(i, 0.5), 90),
    "stripped, JPEG q50": lambda i: jpeg(i, 50),
    "stripped, 0.37 of the size, JPEG q75": lambda i: jpeg(scaled(i, 0.37), 75),
    "stripped, cropped to 80 % a side, JPEG q85": lambda i: jpeg(cropped(i, 0.8), 85),
    "stripped, mirrored, JPEG q85": lambda i: jpeg(i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--strangers", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {name: Counter() for name in CHANGES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = Workspace.init(folder / "workspace", origin="bench.example/ledger")
        signed: list[tuple[Path, int]] = []
        unmarked = 0
        for number, path in enumerate(photographs(arguments.photos, arguments.limit)):
            target = folder / f"{number}{path.suffix}"
            try:
                done = workspace.sign_file(path, target, Claim(source_type="digitalCapture"))
            except AssayError as error:
                print(f"  not signed: {path.name}: {error.message}")
                continue
            unmarked += done.mark is None
            signed.append((target, done.receipt.index if done.receipt else -1))
        start, verified = time.perf_counter(), 0
        for target, index in signed:
            with Image.open(target) as image:
                pixels = image.convert("RGB")
            for title, change in CHANGES.items():
                changed = folder / "changed.jpg"
                changed.write_bytes(change(pixels))
                counts[title][outcome(workspace.verify(changed), index)] += 1
                verified += 1
        seconds = (time.perf_counter() - start) / max(1, verified)
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
    if arguments.json:
        document = {"signed": len(signed), "unmarked": unmarked, "changes": counts, "strangers": strangers}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
