"""What blocks of evidence may weigh, from files whose sources are known; and what joining them does on other sources.

    python bench/blocks.py calibrate train.csv --said STATISTICS --said VIEW --into provenance/data/blocks.json
    python bench/blocks.py evaluate held.csv --limit 15

``calibrate`` reads the structure of each file in the index (columns path, label, source) and what trainings said of
sources that they had not learned from (held-out.csv of ``assay detect train``); it weighs the classes of structure, all
sources alike, by rules that stand in docs/formats/blocks.md, measures how the blocks are correlated, and writes the
calibration. ``evaluate`` asks the shipped panel and the metadata of each file as found, and prints the figures of the
detectors alone and of all blocks joined, with 95 % intervals over sources. Nothing is learned from its files.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.fuse import fuse
from assay.detect.measure.collection import collect
from assay.detect.measure.figures import Column, Value
from assay.detect.measure.run import Answer
from assay.detect.measure.witnesses import panel
from assay.detect.panels import read_fusion
from assay.detect.store import PANEL_FILE, SHIPPED
from assay.detect.train.run import HELD_OUT
from assay.detect.train.way import read_held_out
from assay.provenance.blocks import (
    DETECTORS,
    METADATA,
    MOST_METADATA,
    BlockCalibration,
    ClassWeight,
    FormatCalibration,
    Pair,
    read_blocks,
    shipped,
    write_blocks,
)
from assay.provenance.checks.metadata import MetadataCheck
from assay.provenance.errors import AssayError
from assay.provenance.evidence import Evidence, Status
from assay.provenance.files.camera import CLASSES, PLAIN, REWRITTEN, camera_record
from assay.provenance.files.sniff import sniff_stream
from assay.provenance.limits import DEFAULT_LIMITS
from assay.provenance.opinion import MOST_OF_WORST, Answered
from assay.provenance.subject import Subject
from assay.provenance.weighing import weigh

FEWEST_SOURCES = 4
"""Sources of either label in a format, and of the label that a class speaks for, below which it weighs nothing."""
FEWEST_FILES = 20
"""Files of one source from which it can be the worst."""
SILENT = {REWRITTEN: "rewritten", PLAIN: "no-camera-record"}
JOURNEY = "raw"
CAP = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One file of the index: the class and format of its structure, its label and its source."""

    path: str
    found: str
    format: str
    fake: bool
    source: str


Shares = Mapping[tuple[bool, str], Mapping[str, float]]
"""Share of each class among the files of one format, by label and source."""


def main() -> None:
    """Calibrate or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("calibrate")
    one.add_argument("index", type=Path)
    one.add_argument(
        "--said", type=Path, action="append", required=True, help="a folder of assay detect train"
    )
    one.add_argument("--id", default="blocks-1")
    one.add_argument("--into", type=Path, required=True)
    other = commands.add_parser("evaluate")
    other.add_argument("index", type=Path)
    other.add_argument("--limit", type=int, default=0, help="most files of each source")
    given = parser.parse_args()
    if given.command == "evaluate":
        evaluate(given.index, given.limit)
        return
    rows = structure(given.index)
    formats = weighed(rows)
    found = BlockCalibration(given.id, formats, (paired(rows, formats, given.id, given.said),))
    data = write_blocks(found)
    read_blocks(data, str(given.into))
    given.into.write_bytes(data)
    show(found)


# ------------------------------------------------------------------------------------------------ structure


def structure(index: Path) -> list[Row]:
    """Return the structure of every file that can be read."""
    rows = []
    with index.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            try:
                with (index.parent / line["path"]).open("rb") as stream:
                    record = camera_record(stream, sniff_stream(stream)[1], DEFAULT_LIMITS)
            except (OSError, AssayError) as error:
                print(f"{line['path']}: {error}", file=sys.stderr)
                continue
            rows.append(
                Row(line["path"], record.found, record.format, line["label"] == "fake", line["source"])
            )
    return rows


def weighed(rows: Sequence[Row]) -> dict[str, FormatCalibration]:
    """Return what each class weighs in each format; a format with FEWEST_SOURCES of neither label is left out."""
    found = {}
    for name in sorted({row.format for row in rows} - {""}):
        mine = [row for row in rows if row.format == name]
        counts = _counts(mine)
        labels = Counter(fake for fake, _ in counts)
        if min(labels[False], labels[True]) < FEWEST_SOURCES:
            continue
        shares = {
            key: {c: n / sum(count.values()) for c, n in count.items()} for key, count in counts.items()
        }
        classes = {c: _class(c, shares, counts) for c in CLASSES}
        cost = cllr(shares, counts)
        off = "misleads" if cost > 1 + 1e-9 else ""
        found[name] = FormatCalibration(labels[False], labels[True], len(mine), cost, off, classes)
    return found


def _counts(rows: Iterable[Row]) -> dict[tuple[bool, str], Counter[str]]:
    counts: dict[tuple[bool, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.fake, row.source][row.found] += 1
    return dict(counts)


def _class(name: str, shares: Shares, counts: Mapping[tuple[bool, str], Counter[str]]) -> ClassWeight:
    real, fake = (
        (sum(1 for key in counts if key[0] is label and counts[key][name]),
         sum(counts[key][name] for key in counts if key[0] is label))
        for label in (False, True)
    )  # fmt: skip
    value, reason = weight(name, shares, counts)
    return ClassWeight(value, reason, real, fake)


def weight(name: str, shares: Shares, counts: Mapping[tuple[bool, str], Counter[str]]) -> tuple[float, str]:
    """Return a class's log10 ratio, the least that is left whichever source is taken out, or 0 and why."""
    if name in SILENT:
        return 0.0, SILENT[name]
    full = ratio(name, shares)
    fewer = [ratio(name, {k: v for k, v in shares.items() if k != key}) for key in shares]
    speaks_for = full < 0  # the label: generated
    if sum(1 for key, found in shares.items() if key[0] is speaks_for and found.get(name)) < FEWEST_SOURCES:
        return 0.0, "few-sources"
    against = [
        1000 * found.get(name, 0.0)
        for key, found in shares.items()
        if key[0] is not speaks_for and sum(counts[key].values()) >= FEWEST_FILES
    ]
    if max(against, default=0.0) > MOST_OF_WORST:
        return 0.0, "worst-source"
    if min(fewer) <= 0 <= max(fewer):
        return 0.0, "one-source"
    labels = Counter(key[0] for key in shares)
    carried = math.log10(max(1.0, min(labels[False], labels[True]) / 3))
    most = min(MOST_METADATA, carried)
    value = max(-most, min(most, min(fewer, key=abs)))
    return (round(value, 4), "") if round(value, 4) else (0.0, "too-few-to-carry")


def ratio(name: str, shares: Shares) -> float:
    """Return log10 of the class's mean share among real sources to that among generated ones, half a source added."""
    found = {}
    for label in (False, True):
        mine = [v.get(name, 0.0) for key, v in shares.items() if key[0] is label]
        found[label] = (sum(mine) + 0.5) / (len(mine) + 1)
    return math.log10(found[False] / found[True])


def cllr(shares: Shares, counts: Mapping[tuple[bool, str], Counter[str]]) -> float:
    """Return the cost in bits of each source's classes by weights made without that source, all sources alike."""
    costs: dict[bool, list[float]] = {False: [], True: []}
    for key, found in shares.items():
        rest = {k: v for k, v in shares.items() if k != key}
        sign = 1 if key[0] else -1
        cost = sum(
            share * math.log2(1 + 10 ** (sign * weight(name, rest, counts)[0]))
            for name, share in found.items()
        )
        costs[key[0]].append(cost)
    return float(np.mean(costs[False]) + np.mean(costs[True])) / 2


# -------------------------------------------------------------------------------------------------- pairs


def paired(
    rows: Sequence[Row], formats: Mapping[str, FormatCalibration], id: str, said: Sequence[Path]
) -> Pair:
    """Measure detectors and metadata on the files of which the shipped panel's trainings spoke unlearned."""
    calibration = BlockCalibration(id, formats)
    panel_fusion = read_fusion(SHIPPED / PANEL_FILE)
    heard = [read_held_out(folder / HELD_OUT) for folder in said]
    logits = dict(zip(panel_fusion.weights, heard, strict=True))
    known = []
    for row in rows:
        key = (row.path, JOURNEY)
        if not all(key in h.logit for h in heard):
            continue
        line = panel_fusion.lines.get(heard[0].condition[key])
        logit = panel_fusion.logit({name: h.logit[key] for name, h in logits.items()})
        if line is not None and logit is not None:
            known.append((row, -line.log10(logit), calibration.structure(row.found, row.format)[0]))
    table = np.array([(pixels, built) for _, pixels, built in known], np.float64)
    fake = np.array([row.fake for row, _, _ in known], np.bool_)
    return pair((DETECTORS, METADATA), table, fake, [row.source for row, _, _ in known])


def pair(between: tuple[str, str], table: Floats, fake: NDArray[np.bool_], sources: Sequence[str]) -> Pair:
    """Return how two blocks' log10 ratios, (n, 2), are correlated given the class, and their fusion where they are."""
    found = [correlation(table[fake == label], np.array(sources)[fake == label]) for label in (False, True)]
    r = max(found, key=abs)
    measured = Pair(between, r, len(table), len(set(zip(sources, fake.tolist(), strict=True))))
    if not measured.correlated:
        return measured
    logits = {name: -math.log(10) * table[:, n] for n, name in enumerate(between)}
    fusion = fuse("pair", logits, fake, sources, ["fine"] * len(table))
    weights = (fusion.weights[between[0]], fusion.weights[between[1]])
    return Pair(between, r, measured.n, measured.sources, weights, -fusion.intercept / math.log(10))


def correlation(table: Floats, sources: NDArray[np.str_]) -> float:
    """Return the correlation of two columns of one class, each source weighing the same; 0 where one never varies."""
    counted = Counter(sources.tolist())
    each = np.array([1 / counted[s] for s in sources.tolist()])
    each /= each.sum()
    centred = table - each @ table
    spread = np.sqrt(each @ centred**2)
    return float(each @ (centred[:, 0] * centred[:, 1]) / spread.prod()) if spread.min() > 1e-9 else 0.0


def show(found: BlockCalibration) -> None:
    """Print a calibration."""
    for name, known in found.formats.items():
        sources = f"{known.real_sources} real and {known.fake_sources} generated sources"
        print(f"{name}: {known.n} files of {sources}, Cllr {known.cllr:.4f} {known.off}")
        for kind, w in known.classes.items():
            seen = f"real {w.real[1]} files of {w.real[0]}, generated {w.fake[1]} of {w.fake[0]}"
            print(f"  {kind:15s} log10 LR {w.log10_lr:+.3f} {w.reason:18s} {seen}")
    for both in found.pairs:
        joint = "fused" if both.correlated else "added"
        weights = f", weights {both.weights}, intercept {both.intercept:+.3f}" if both.weights else ""
        over = f"{both.n} files of {both.sources} sources"
        print(f"{' and '.join(both.between)}: r {both.r:+.3f} over {over}: {joint}{weights}")


# ----------------------------------------------------------------------------------------------- evaluating


def evaluate(index: Path, limit: int) -> None:
    """Print the figures of the detectors alone and of all blocks joined."""
    samples = collect(index, limit)
    ask = panel(Path())()
    check, calibration = MetadataCheck(), shipped()
    alone, together, kept, spoke = [], [], [], Counter[str]()
    for sample in samples:
        try:
            with Subject.open(sample.path) as subject:
                built = check(subject, ())
                opinion = ask(subject.picture())
        except AssayError as error:
            print(f"{sample.path}: {error}", file=sys.stderr)
            continue
        kept.append(sample)
        ratio_of = opinion.llr if opinion.answered is Answered.OK else None
        bound = {"bound": opinion.calibration.bound} if opinion.calibration else {}
        pixels = Evidence(
            "detector:image",
            "",
            Status.ABSENT if ratio_of is None else Status.PASS,
            "",
            ratio_of,
            details={"calibration": bound},
        )
        weight_of = weigh((built, pixels), CAP, calibration, decided=False)
        alone.append(_answer(ratio_of))
        together.append(_answer(weight_of.log10_lr if weight_of else None))
        if built.llr:
            spoke["fake" if sample.synthetic else "real"] += 1
    print(f"{len(kept)} files; the metadata spoke of {spoke['real']} real and {spoke['fake']} generated ones")
    for name, answers in (("detectors alone", alone), ("blocks joined", together)):
        column = Column(kept, answers)
        figures = column.headline(1000)
        said = ", ".join(
            f"{key} {_said(figures[key])}" for key in ("auc", "auc_all", "cllr", "cllr_all", "ece")
        )
        print(f"{name}: {sum(a.llr is not None for a in answers)} answered, {said}")


def _answer(llr: float | None) -> Answer:
    if llr is None:
        return Answer(Answered.NOT_APPLICABLE, "", None, None, 0.0)
    return Answer(Answered.OK, "", 1 / (1 + 10**llr), llr, 0.0)


def _said(value: Value) -> str:
    return f"{value.value:.4f} ({value.low:.3f}–{value.high:.3f})"


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
