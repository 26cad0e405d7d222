"""Paste strangers into marked photographs and count the holes that the mark shows, and those that it should not.

    python bench/holes.py --photos FILE-OR-DIR… [--limit N] [--scheme NAME] [--json FILE]

Each photograph is marked. Intact it then goes through the passages of INTACT, and every hole is false. With an
ellipse the shape of a face pasted into it, of another photograph of the list, at one of SHARES of the side of a square
of the picture's area, it goes through those of PASTED: a hit is a hole that covers at least COVERED of the ellipse's
box, a stray hole one that does not touch it. What is pasted shows something: its luma has a standard deviation of at
least DETAIL, as faces have; a plain patch is silent to the mark, and no hole. Rates stand with their 95 % intervals
(Wilson). A photograph whose mark is no longer read after a passage is counted as lost, not as intact or missed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from assay.provenance.errors import AssayError
from assay.provenance.mark import Box, Extent
from assay.provenance.media import Media, Samples
from assay.provenance.plugins import load_plugin
from assay.provenance.protocols import LocatingWatermark
from assay.watermark.trial.attacks import ATTACKS, generator
from assay.watermark.trial.changes import at_most, jpeg, to_size
from assay.watermark.trial.figures import Rate
from assay.watermark.trial.filters import luma
from assay.watermark.trial.photographs import find, load, seed_of

CHANGES = {name: attack.change for name, attack in ATTACKS.items()} | {
    "jpeg60": jpeg(60),
}
INTACT = ("none", "jpeg60", "resize0.5", "crop50", "rot5", "social")
PASTED = ("jpeg75", "social")
SHARES = (0.15, 0.2, 0.25, 0.3)
COVERED = 0.25
DETAIL, LOOKS = 12.0, 20
"""Least standard deviation in grey levels of what is pasted, and places looked at to find it (else the best)."""
PIXELS = 1_500_000
"""Photographs are reduced to so many pixels, that the passages take less time; the mark's canvas is 0.4 million."""
_ASPECT = 1.4  # a face is higher than wide


@dataclass
class Count:
    """What happened to some pictures."""

    pictures: int = 0
    lost: int = 0
    hits: int = 0
    stray: int = 0
    covered: list[float] = field(default_factory=list)

    @property
    def rate(self) -> Rate:
        """The share of pictures with a hit, among those whose mark was read."""
        return Rate(self.hits, self.pictures - self.lost)


def pasted(
    picture: Samples, stranger: Samples, share: float, rng: np.random.Generator
) -> tuple[Samples, Box]:
    """Return a picture with an ellipse of a stranger somewhere in it, and the ellipse's box."""
    height, width = picture.shape[:2]
    side = share * math.sqrt(height * width)
    tall, wide = min(height, int(side * math.sqrt(_ASPECT))), min(width, int(side / math.sqrt(_ASPECT)))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    if stranger.shape[0] < tall or stranger.shape[1] < wide:
        stranger = to_size(stranger, max(wide, stranger.shape[1]), max(tall, stranger.shape[0]))
    part = _detailed(stranger, tall, wide, rng)
    down, across = np.ogrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    inside = (down**2 + across**2 <= 1)[..., None]
    changed = picture.copy()
    covered = changed[top : top + tall, left : left + wide]
    covered[:] = np.where(inside, part, covered)
    return changed, (left / width, top / height, wide / width, tall / height)


def _detailed(picture: Samples, tall: int, wide: int, rng: np.random.Generator) -> Samples:
    """Return the first of some parts of a picture that shows something, or the one that shows most."""
    parts = []
    for _ in range(LOOKS):
        row = int(rng.integers(0, picture.shape[0] - tall + 1))
        column = int(rng.integers(0, picture.shape[1] - wide + 1))
        part = picture[row : row + tall, column : column + wide]
        parts.append((float(luma(part).std()), part))
        if parts[-1][0] >= DETAIL:
            break
    return max(parts, key=lambda found: found[0])[1]


def shared(one: Box, other: Box) -> float:
    """Return the area that two boxes have in common, in shares of the picture."""
    sides = (
        min(one[side] + one[side + 2], other[side] + other[side + 2]) - max(one[side], other[side])
        for side in (0, 1)
    )
    return math.prod(max(0.0, side) for side in sides)


def judge(count: Count, extent: Extent | None, place: Box | None) -> None:
    """Add one picture to a count; without a place every hole is a false one, and counts as a hit."""
    count.pictures += 1
    if extent is None:
        count.lost += 1
    elif place is None:
        count.hits += bool(extent.holes)
        count.stray += len(extent.holes)
    else:
        area = place[2] * place[3]
        best = max((shared(hole, place) for hole in extent.holes), default=0.0) / area
        count.hits += best >= COVERED
        count.stray += sum(shared(hole, place) == 0 for hole in extent.holes)
        count.covered.append(best)


def tries(
    scheme: LocatingWatermark, paths: list[Path]
) -> Iterator[tuple[str, str, Extent | None, Box | None]]:
    """Mark each photograph; yield what was pasted, the passage, the extent that was read, and where the paste is."""
    for number, path in enumerate(paths):
        try:
            picture = at_most(load(path), PIXELS)
            stranger = at_most(load(paths[(number + 1) % len(paths)]), PIXELS)
            seed = seed_of(picture, 0)
            identifier = seed[: scheme.id_bits // 8].hex()
            marked = scheme.embed(Media.still(picture), identifier).frame()
        except AssayError as error:
            print(f"  left out: {path.name}: {error.message}", file=sys.stderr)
            continue
        rng = generator(seed, "holes")
        for name in INTACT:
            yield "nothing", name, scheme.locate(Media.still(CHANGES[name](marked, rng))).extent, None
        for share in SHARES:
            changed, place = pasted(marked, stranger, share, rng)
            for name in PASTED:
                yield (
                    f"{share:g}",
                    name,
                    scheme.locate(Media.still(CHANGES[name](changed, rng))).extent,
                    place,
                )
        print(f"  {number + 1} of {len(paths)}: {path.name}", file=sys.stderr, flush=True)


def show(counts: dict[tuple[str, str], Count]) -> None:
    """Print the table."""
    print(
        f"{'pasted':8} {'then':18} {'pictures':>8} {'lost':>5}  {'with a hole there':24} {'stray holes':>11}"
    )
    for (kind, name), count in sorted(counts.items(), key=lambda item: item[0][0] != "nothing"):
        low, high = count.rate.interval
        rate = f"{count.hits} ({count.rate.share:.1%}, {low:.1%} to {high:.1%})"
        print(f"{kind:8} {name:18} {count.pictures:8} {count.lost:5}  {rate:30} {count.stray:5}")


def main() -> None:
    """Print the table, and write it as JSON where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=0, help="photographs taken of each folder (all)")
    parser.add_argument("--scheme", default="hallmark")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    scheme = load_plugin("assay.watermarks", arguments.scheme)()
    if not isinstance(scheme, LocatingWatermark):
        sys.exit(f"{arguments.scheme} cannot say where its mark is")
    counts: dict[tuple[str, str], Count] = {}
    for kind, name, extent, place in tries(scheme, find(arguments.photos, arguments.limit)):
        judge(counts.setdefault((kind, name), Count()), extent, place)
    show(counts)
    if arguments.json:
        rows = [
            {
                "pasted": kind,
                "passage": name,
                "pictures": c.pictures,
                "lost": c.lost,
                "hits": c.hits,
                "stray": c.stray,
            }
            for (kind, name), c in counts.items()
        ]
        arguments.json.write_text(json.dumps({"scheme": scheme.scheme, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
