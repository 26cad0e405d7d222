"""Forge and remove marks as an enemy without the key would, and ask the whole verifier about every forgery.

    python bench/watermark_forgery.py --photos DIR… [--scheme NAME] [--tries 200] [--removals 40] [--json FILE]

Photographs are brought to one size and signed with mark and ledger; their marks are put on other photographs,
never signed, and each forgery goes through ``assay verify``. Accepted is one that gets anything but conflict or
inconclusive: credentials on a picture that their signer never saw. Of removal the least strength is looked for at
which the reader says no.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from assay.provenance.claim import Claim
from assay.provenance.errors import AssayError, UsageError
from assay.provenance.media import Media, Samples
from assay.provenance.plugins import load_plugin
from assay.provenance.report import Verdict
from assay.provenance.workspace import SignOptions, Workspace
from assay.watermark.trial import forgery
from assay.watermark.trial.attacks import ATTACKS, generator
from assay.watermark.trial.changes import Rng, covering
from assay.watermark.trial.figures import Rate, upper_bound
from assay.watermark.trial.filters import psnr
from assay.watermark.trial.forgery import Plane, Removal
from assay.watermark.trial.methods import FOREIGN_KEY, under_key
from assay.watermark.trial.photographs import find, load, work
from assay.watermark.trial.table import Table

MANY = 16
"""Marked pictures of one signer that the enemy averages."""
REFUSED = {Verdict.CONFLICT, Verdict.INCONCLUSIVE}
CHECKS = ("manifest", "metadata", "mark", "receipt", "agreement")
"""All that could attach a signer's credentials; generators' marks, slow to look for, could not."""
OVER = "a second mark, another key"
_NOTHING = "–"
REGENERATION = ("nlm", "bilateral", "jpeg_x10", "blur2+sharpen", "vae_like")


@dataclass(frozen=True, slots=True)
class Signed:
    """A photograph, and what its signer published of it."""

    original: Samples
    marked: Samples
    id: str


@dataclass(slots=True)
class Row:
    """What became of one kind of forgery."""

    tries: int = 0
    read: int = 0
    same: int = 0
    accepted: int = 0
    second: int = 0
    psnr: list[float] = field(default_factory=list)


class Stage:
    """A signer with a ledger, the signed photographs, and somebody's eye on forgeries."""

    def __init__(self, folder: Path, scheme: str, size: tuple[int, int]) -> None:
        self.folder, self.scheme, self.size = folder, scheme, size
        self.workspace = Workspace.init(folder / "workspace", origin="bench.example/ledger")
        # A verifier that does not look for the mark would refuse every forgery.
        self.workspace.settings = replace(self.workspace.settings, watermark=scheme, read_marks=(scheme,))
        self.mark = load_plugin("assay.watermarks", scheme)()
        other = under_key(scheme, FOREIGN_KEY)
        if other is None:
            raise UsageError(f"{scheme} has no key that an enemy could lack")
        self.other = other
        self.rng = generator(b"", "forgery")

    def sign(self, path: Path, number: int) -> Signed | None:
        """Sign one photograph at the stage's size; None where it cannot be read or marked."""
        try:
            original = covering(load(path), *self.size)
            source, target = self.folder / f"{number}.png", self.folder / f"{number}-signed.png"
            Image.fromarray(original).save(source)
            done = self.workspace.sign_file(
                source, target, Claim(source_type="digitalCapture"), SignOptions(watermark=self.scheme)
            )
            return Signed(original, load(target), done.mark.id) if done.mark else None
        except AssayError as error:
            print(f"  not signed: {error}", file=sys.stderr)
            return None

    def judge(self, row: Row, forged: Samples, clean: Samples, identifier: str) -> None:
        """Read a forgery under the true key, verify it as a stranger's file, and count."""
        reading = self.mark.read(Media.still(forged))
        path = self.folder / "forged.png"
        Image.fromarray(forged).save(path, compress_level=1)
        report = self.workspace.verify(path, checks=CHECKS)
        row.tries += 1
        row.read += reading.found
        row.same += bool(reading.mark and reading.mark.id == identifier)
        row.accepted += report.verdict not in REFUSED
        row.psnr.append(psnr(clean, forged))

    def marked_again(self, picture: Samples, identifier: str, key: bool) -> Samples:
        """Mark a picture, under the true key or another."""
        scheme: Any = self.mark if key else self.other
        marked: Samples = scheme.embed(Media.still(picture), identifier).frame()
        return marked

    def random_id(self) -> str:
        """Return an identifier that nobody asked for."""
        return self.rng.bytes(self.mark.id_bits // 8).hex()


# ------------------------------------------------------------------------------------------------ forgery


Forgery = tuple[str, Samples]


def copies(stage: Stage, source: Signed, others: list[Signed], clean: Samples) -> Iterator[Forgery]:
    """Yield what one picture's mark makes of another: known exactly, or as a denoiser sees it."""
    seen = forgery.suspected(source.marked)
    for gain in (1, 2):
        yield f"exact residual x {gain}", forgery.transplanted(clean, source.marked, source.original, gain)
        yield f"denoised residual x {gain}", forgery.added(clean, seen, gain, stage.rng)


def averages(stage: Stage, source: Signed, others: list[Signed], clean: Samples) -> Iterator[Forgery]:
    """Yield what many marks of one signer make; that all say the same a ledger would never allow."""
    chosen = [others[k] for k in stage.rng.permutation(len(others))[: MANY - 1]]
    own = [(s.original, s.marked) for s in (source, *chosen)]
    same = [(s.original, stage.marked_again(s.original, source.id, True)) for s in chosen]
    for told, pairs in (("one identifier", [own[0], *same]), ("each its own", own)):
        means = {
            "exact": forgery.mean(forgery.exact(marked, original) for original, marked in pairs),
            "denoised": forgery.mean(forgery.suspected(marked) for _, marked in pairs),
        }
        for kind, residual in means.items():
            for gain in (1, 2):
                forged = forgery.added(clean, residual, gain, stage.rng)
                yield f"mean of {MANY} {kind} residuals, {told}, x {gain}", forged


def folds(stage: Stage, source: Signed, others: list[Signed], clean: Samples) -> Iterator[Forgery]:
    """Yield what the repeating part of one picture's residual makes."""
    seen = forgery.suspected(source.marked)
    for told, period in (("likeliest period", forgery.likely_period(seen)), ("period 64", 64)):
        tile = forgery.folded(seen, period)
        for gain in (1, 2):
            # Scaled to the strength that a mark has: folding a denoised residual leaves a fraction.
            scale = forgery.NOISE / max(1e-3, float(tile.std())) * gain
            yield f"{told}, x {gain}", forgery.added(clean, tile, scale, stage.rng)


def encoded_anew(stage: Stage, source: Signed, others: list[Signed], clean: Samples) -> Iterator[Forgery]:
    """Yield what the public encoder makes of an identifier that was read, or guessed."""
    yield "public encoder, another key", stage.marked_again(clean, source.id, False)
    yield "public encoder, the true key", stage.marked_again(clean, source.id, True)


FAMILIES = {"copy": copies, "average": averages, "fold": folds, "re-encode": encoded_anew}


def forged(
    stage: Stage, signed: list[Signed], targets: list[Samples], tries: int
) -> dict[tuple[str, str], Row]:
    """Judge so many forgeries of each family, every one on a picture that was never signed."""
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    for family, make in FAMILIES.items():
        count = 0
        for number in itertools.count():
            source, clean = signed[number % len(signed)], targets[number % len(targets)]
            others = [s for s in signed if s is not source]
            for told, picture in itertools.islice(make(stage, source, others, clean), tries - count):
                stage.judge(rows[family, told], picture, clean, source.id)
                count += 1
            print(f"\r{family}: {count}   ", end="", file=sys.stderr, flush=True)
            if count >= tries:
                break
    return rows


def honest(stage: Stage, signed: list[Signed]) -> Row:
    """Judge stripped and recompressed copies of the signed pictures themselves: these must be accepted."""
    row = Row()
    for one in signed:
        stage.judge(row, ATTACKS["jpeg75"](one.marked, b"platform"), one.original, one.id)
    return row


# ------------------------------------------------------------------------------------------------ removal


@dataclass(frozen=True, slots=True)
class Enemy:
    """One marked picture, what a denoiser sees of it, and the mean of that over it and others of its signer."""

    scheme: str
    one: Signed
    seen: Plane
    average: Plane

    def __call__(self) -> dict[str, Removal]:
        """Take the mark off in every way: from the whole picture, and so that a crop of it does not read."""
        mark = load_plugin("assay.watermarks", self.scheme)()
        crop = ATTACKS["crop75"]

        def reads(picture: Samples) -> bool:
            return bool(mark.read(Media.still(picture)).found)

        found = {}
        for told, attack in self.ways():
            found[told] = forgery.removed(self.one.marked, self.one.original, attack, reads)
            found[f"{told}; read after a crop to 75 %"] = forgery.removed(
                self.one.marked, self.one.original, attack, lambda p: reads(crop(p, b"enemy"))
            )
        return found

    def ways(self) -> Iterator[tuple[str, Callable[[float], Samples]]]:
        """Yield ways to take the mark off, each a function of its gain."""
        seen, rng = self.seen, generator(b"", "removal")
        period = forgery.likely_period(seen)
        yield "fold at the likeliest period, subtract", self._subtract(forgery.folded(seen, period), rng)
        yield "fold at period 64, subtract", self._subtract(forgery.folded(seen, 64), rng)
        yield "denoised residual, subtract", self._subtract(seen, rng)
        yield f"mean of {MANY} denoised residuals, subtract", self._subtract(self.average, rng)
        own, common = (forgery.lines(residual) for residual in (seen, self.average))
        yield f"loudest {forgery.LINES} lines of the spectrum, subtract", self._subtract(own, rng)
        yield f"loudest {forgery.LINES} lines of {MANY} pictures, subtract", self._subtract(common, rng)
        noise = rng.standard_normal(seen.shape, np.float32)
        yield "noise in the mark's place, for comparison", self._subtract(noise, rng)

    def _subtract(self, residual: Plane, rng: Rng) -> Callable[[float], Samples]:
        # A unit of gain is a mark's own strength.
        unit = forgery.NOISE / max(1e-3, float(residual.std()))
        return lambda gain: forgery.added(self.one.marked, residual, -gain * unit, rng)


def taken_off(scheme: str, signed: list[Signed], count: int, jobs: int) -> dict[str, list[Removal]]:
    """Remove marks from so many pictures, each in every way."""
    seen = [forgery.suspected(s.marked) for s in signed]
    enemies = []
    for number, one in enumerate(signed[:count]):
        others = [seen[k % len(seen)] for k in range(number, number + MANY)]
        enemies.append(Enemy(scheme, one, seen[number], forgery.mean(others)))
    rows: dict[str, list[Removal]] = defaultdict(list)
    for number, found in enumerate(work(enemies, jobs), 1):
        for told, removal in found.items():
            rows[told].append(removal)
        print(f"\rremoval: {number}   ", end="", file=sys.stderr, flush=True)
    return rows


def redrawn(stage: Stage, signed: list[Signed]) -> dict[str, Row]:
    """Count marks that outlive stand-ins for regeneration, and a second mark over the first."""
    rows: dict[str, Row] = defaultdict(Row)
    for number, one in enumerate(signed):
        second = stage.random_id()
        pictures = {name: ATTACKS[name](one.marked, bytes([number % 256])) for name in REGENERATION}
        pictures[OVER] = stage.marked_again(one.marked, second, False)
        pictures["a second mark, the same key"] = stage.marked_again(one.marked, second, True)
        for told, picture in pictures.items():
            row, reading = rows[told], stage.mark.read(Media.still(picture))
            row.tries += 1
            row.read += reading.found
            row.same += bool(reading.mark and reading.mark.id == one.id)
            row.psnr.append(psnr(one.original, picture))
            if told == OVER:
                under_other = stage.other.read(Media.still(picture))
                row.second += bool(under_other.mark and under_other.mark.id == second)
    return rows


# ------------------------------------------------------------------------------------------------- output


def forgery_table(rows: dict[tuple[str, str], Row]) -> Table:
    """Return what was forged, in families, with the sum of each."""
    cells: list[tuple[str, ...]] = []
    for family in dict.fromkeys(family for family, _ in rows):
        own = {told: row for (of, told), row in rows.items() if of == family}
        for told, row in own.items():
            least = f"{np.mean(row.psnr):.1f} dB"
            cells.append((family, told, *map(str, (row.tries, row.read, row.same, row.accepted)), least))
        tries, read, same, accepted = (
            sum(getattr(row, name) for row in own.values()) for name in ("tries", "read", "same", "accepted")
        )
        bound = f"{accepted} (below {100 * upper_bound(Rate(accepted, tries)):.2g} %)"
        cells.append((f"**{family}**", "all", str(tries), str(read), str(same), bound, ""))
    header = ("forgery", "", "tries", "read", "same identifier", "accepted by the verifier", "PSNR")
    return Table("Forgery without the key", header, tuple(cells))


def removal_table(signed: list[Signed], rows: dict[str, list[Removal]]) -> Table:
    """Return what it took to take marks off: medians over those that came off."""
    marks = float(np.mean([psnr(s.original, s.marked) for s in signed]))
    cells: list[tuple[str, ...]] = []
    for told, tried in rows.items():
        gone = [r for r in tried if r.gain is not None]
        count = f"{len(gone)} of {len(tried)}"
        if not gone:
            least = min(r.cost for r in tried)
            cells.append((told, count, _NOTHING, f"still read at {least:.1f} dB", _NOTHING, _NOTHING))
            continue
        gain, cost, change = (median(getattr(r, name) for r in gone) for name in ("gain", "cost", "change"))
        cells.append(
            (told, count, f"{gain:g}", f"{cost:.1f} dB", f"{marks - cost:+.1f} dB", f"{change:.1f} dB")
        )
    header = (
        "removal",
        "gone",
        "gain",
        "PSNR against the original",
        "beyond the mark",
        "PSNR against the marked",
    )
    return Table(f"Removal without the key; the mark itself: {marks:.1f} dB", header, tuple(cells))


def redrawn_table(rows: dict[str, Row]) -> Table:
    """Return what outlived another mark, or a stand-in for regeneration."""
    cells = []
    for told, row in rows.items():
        second = str(row.second) if told == OVER else _NOTHING
        cells.append(
            (told, *map(str, (row.tries, row.read, row.same)), second, f"{np.mean(row.psnr):.1f} dB")
        )
    header = (
        "done to a marked picture",
        "tries",
        "read",
        "the first mark",
        "the second, under its key",
        "PSNR",
    )
    return Table("Marked again, drawn anew", header, tuple(cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--scheme", default="hallmark")
    parser.add_argument("--signed", type=int, default=40, help="photographs signed (at least 17)")
    parser.add_argument("--targets", type=int, default=40, help="further photographs, never signed")
    parser.add_argument("--tries", type=int, default=200, help="forgeries of each family")
    parser.add_argument("--removals", type=int, default=40, help="photographs whose mark is taken off")
    parser.add_argument("--size", type=int, nargs=2, default=(1536, 1024), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="removals at a time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = find(options.photos)[: options.signed + options.targets]
    with tempfile.TemporaryDirectory() as name:
        stage = Stage(Path(name), options.scheme, tuple(options.size))
        marked = (stage.sign(path, number) for number, path in enumerate(paths[: options.signed]))
        signed = [s for s in marked if s]
        targets = [covering(load(path), *stage.size) for path in paths[options.signed :]]
        if len(signed) <= MANY or not targets:
            parser.error(f"needs more than {MANY} photographs to sign and some never signed")
        rows = {("honest copy", "stripped, JPEG 75"): honest(stage, signed)}
        rows |= forged(stage, signed, targets, options.tries)
        taken = taken_off(stage.scheme, signed, options.removals, options.jobs)
        again = redrawn(stage, signed[: options.removals])
    print(file=sys.stderr)
    print(f"{options.scheme}: {len(signed)} photographs of {options.size[0]} x {options.size[1]}\n")
    for table in (forgery_table(rows), removal_table(signed, taken), redrawn_table(again)):
        print(table.markdown())
    if options.json:
        values = {
            "scheme": options.scheme,
            "photographs": len(signed),
            "mark_psnr": [psnr(s.original, s.marked) for s in signed],
            "forgery": [{"family": f, "told": t, **asdict(row)} for (f, t), row in rows.items()],
            "removal": {told: [asdict(r) for r in tried] for told, tried in taken.items()},
            "redrawn": {told: asdict(row) for told, row in again.items()},
        }
        options.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
