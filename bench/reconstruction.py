"""Whether the errors of four tiny autoencoders tell generated pictures from real ones, alone and beside the statistics.

    python bench/reconstruction.py --index train.csv --weights DIR --cache DIR [--held-out held-out.csv]

Takes --each pictures of a source, and of each the middle crop of 192 pixels after the standard journeys. Prints the AUC
on sources left out, with the 95 % interval over sources of what the errors add. --held-out is what the training of the
statistics wrote: what the whole detector said of these pictures. Pictures kept under --cache are not computed again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from assay.detect.crops import cut, places, telling
from assay.detect.measure.metrics import auc
from assay.detect.networks.autoencoder import KINDS, Autoencoder
from assay.detect.statistics import describe, names
from assay.detect.train.augment import STANDARD
from assay.detect.train.data import Item, allowed, capped, load, read_index, weights
from assay.detect.train.folds import folds
from assay.detect.train.judge import Course, taught
from assay.detect.train.reconstruct import read_autoencoders
from assay.detect.train.vectors import SIDE
from assay.provenance.media import Samples

RINGS = 6
TWICE = 96
"""Side of the middle of a reconstruction that is reconstructed again: a quarter of the cost."""
FOLDS, ROUNDS = 5, 3
COURSE = Course(hidden=24, steps=400, batch=128)
PENALTY = 30.0
RESAMPLES = 1000

Floats = NDArray[np.float64]


def errors(crop: Samples, autoencoders: Mapping[str, Autoencoder]) -> dict[str, float]:
    """Return what the autoencoders lose of one crop, 52 numbers by name."""
    found: dict[str, float] = {}
    low = (SIDE - TWICE) // 2
    middle = slice(low, low + TWICE)
    for kind, autoencoder in autoencoders.items():
        once = autoencoder.reconstructed(crop[None])[0]
        inner = np.ascontiguousarray(once[middle, middle])
        twice = autoencoder.reconstructed(inner[None])[0]
        found[f"{kind} error"] = distance(crop, once)
        found[f"{kind} fine"] = fine(crop, once)
        found |= {f"{kind} ring {n + 1}": v for n, v in enumerate(rings(crop, once))}
        found[f"{kind} again"] = distance(inner, twice)
        found[f"{kind} again, to once"] = found[f"{kind} again"] - distance(crop[middle, middle], inner)
    for one, other in combinations(autoencoders, 2):
        for what in ("error", "fine"):
            found[f"{what} {one}/{other}"] = found[f"{one} {what}"] - found[f"{other} {what}"]
    return found


def distance(one: Samples, other: Samples) -> float:
    """Return the logarithm of the mean difference in grey levels."""
    return float(np.log(np.abs(one.astype(np.float32) - other).mean() + 0.1))


def light(picture: Samples) -> Floats:
    return picture @ np.array([0.299, 0.587, 0.114])


def fine(one: Samples, other: Samples) -> float:
    """Return the logarithm of the part of the high-pass residual that is lost."""

    def high(picture: Samples) -> Floats:
        return np.diff(np.diff(light(picture), axis=0), axis=1)

    return float(np.log(((high(one) - high(other)).std() + 0.1) / (high(one).std() + 0.1)))


def rings(one: Samples, other: Samples) -> list[float]:
    """Return the logarithm of error over picture in rings of the spectrum, from coarse to fine."""
    side = len(one)
    window = np.hanning(side)[:, None] * np.hanning(side)
    planes = light(one), light(one) - light(other)
    power = [np.abs(np.fft.rfft2((p - p.mean()) * window)) ** 2 for p in planes]
    away = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    ring = np.minimum((away / 0.5 * RINGS).astype(int), RINGS - 1)
    picture, error = (np.bincount(ring.ravel(), p.ravel(), RINGS) for p in power)
    return [float(v) for v in np.log((error + 1) / (picture + 1))]


def examined(item: Item, autoencoders: Mapping[str, Autoencoder], cache: Path) -> dict[str, Floats] | None:
    """Return errors and statistics of the middle crop by journey, None where there is none that tells anything."""
    # Other statistics are another examination.
    told = f"{item.path} {names()}"
    place = cache / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
    if not place.exists():
        found: dict[str, Floats] = {}
        picture = load(item.path)
        for name, journey in STANDARD.items() if picture is not None else ():
            end = journey.travelled(picture)
            boxes = places(end.shape[0], end.shape[1], SIDE, 1)
            crops = cut(end, boxes) if boxes else np.zeros((0, SIDE, SIDE, 3), np.uint8)
            if not telling(crops).any():
                break
            found[f"{name} errors"] = np.array(list(errors(crops[0], autoencoders).values()))
            found[f"{name} statistics"] = describe(crops)[0].astype(np.float64)
        np.savez(place, allow_pickle=False, **found)
    with np.load(place, allow_pickle=False) as kept:
        return dict(kept) if len(kept) == 2 * len(STANDARD) else None


# ------------------------------------------------------------------------------------------- judging


def logistic(values: Floats, fake: NDArray[np.bool_], weight: Floats, asked: Floats) -> Floats:
    """Return logits of ``asked`` by a ridge logistic regression on standardised values (Newton's method)."""
    mean, spread = values.mean(0), values.std(0) + 1e-6
    table, query = (
        np.column_stack([np.clip((v - mean) / spread, -4, 4), np.ones(len(v))]) for v in (values, asked)
    )
    ridge = np.full(table.shape[1], PENALTY)
    ridge[-1] = 1e-6
    weight = weight / weight.mean()
    beta = np.zeros(table.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-np.clip(table @ beta, -30, 30)))
        slope = table.T @ (weight * (chance - fake)) + ridge * beta
        bend = (table * (weight * chance * (1 - chance))[:, None]).T @ table + np.diag(ridge)
        beta -= np.linalg.solve(bend, slope)
    said: Floats = query @ beta
    return said


def network(values: Floats, fake: NDArray[np.bool_], weight: Floats, asked: Floats) -> Floats:
    """Return logits of ``asked`` by the same small network as the statistics have."""
    judge = taught(values.astype(np.float32), fake, weight, COURSE, lambda _step, _loss: None)
    return judge.logits(asked.astype(np.float32))


def left_out(items: Sequence[Item], tables: Mapping[str, Floats], how: object) -> dict[str, Floats]:
    """Return each picture's logit by condition, from models of all conditions that did not see its source."""
    fake, each = np.array([item.fake for item in items]), weights(items)
    said = {name: np.zeros(len(items)) for name in tables}
    for seed in range(ROUNDS):
        number = folds(items, FOLDS, seed)
        for fold in range(FOLDS):
            mine = number != fold
            known = np.concatenate([table[mine] for table in tables.values()])
            labels, share = np.tile(fake[mine], len(tables)), np.tile(each[mine], len(tables))
            asked = np.concatenate([table[~mine] for table in tables.values()])
            logits = how(known, labels, share, asked)  # type: ignore[operator]
            for name, part in zip(tables, np.split(logits, len(tables)), strict=True):
                said[name][~mine] += part / ROUNDS
    return said


def gained(items: Sequence[Item], before: Floats, after: Floats) -> tuple[float, float, float]:
    """Return what ``after`` has more AUC than ``before``, and the 95 % interval over sources."""
    fake, source = np.array([i.fake for i in items]), np.array([i.source for i in items])
    groups = [np.flatnonzero(source == s) for s in sorted(set(source))]
    rng = np.random.default_rng(0)

    def difference(chosen: NDArray[np.intp]) -> float:
        is_fake = fake[chosen]
        one, other = (auc(s[chosen][~is_fake], s[chosen][is_fake]) for s in (before, after))
        return other - one

    drawn = [
        difference(np.concatenate([groups[n] for n in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return difference(np.arange(len(items))), float(low), float(high)


def compared(
    items: Sequence[Item],
    before: Mapping[str, Floats],
    errors_: Mapping[str, Floats],
    how: object,
    title: str,
) -> dict[str, object]:
    """Print and return the AUC of the errors, of what was there before, and of both, by condition."""
    fake = np.array([item.fake for item in items])
    both = {name: np.column_stack([before[name], errors_[name]]) for name in before}
    said = [left_out(items, tables, how) for tables in (errors_, before, both)]
    table: dict[str, object] = {}
    for name in STANDARD:
        alone, old, new = (auc(s[name][~fake], s[name][fake]) for s in said)
        gain, low, high = gained(items, said[1][name], said[2][name])
        print(
            f"| {title} | {name} | {alone:.3f} | {old:.3f} | {new:.3f} | {gain:+.3f} ({low:+.3f} … {high:+.3f}) |"
        )
        table[name] = {"errors": alone, "before": old, "both": new, "gain": gain, "interval": [low, high]}
    return table


def heard(path: Path) -> dict[str, Floats]:
    """Return what the whole detector said held out, by path: one logit a standard journey."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in STANDARD)]
    return {row["path"]: np.array([float(row[name]) for name in STANDARD]) for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--each", type=int, default=2, help="pictures of a source and label")
    parser.add_argument("--seconds", type=float, default=600, help="processor time for new pictures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.cache.mkdir(parents=True, exist_ok=True)
    known = heard(options.held_out) if options.held_out else None
    items, _ = allowed(read_index(options.index))
    items = capped([i for i in items if known is None or str(i.path) in known], options.each)
    # Whatever the time allows is a fair draw of the sources, not the head of a list.
    items = [items[n] for n in np.random.default_rng(0).permutation(len(items))]
    autoencoders = dict(zip(KINDS, read_autoencoders(options.weights), strict=True))
    kept, rows, start = [], [], time.process_time()
    for item in items:
        if time.process_time() - start > options.seconds:
            break
        if (row := examined(item, autoencoders, options.cache)) is not None:
            kept.append(item)
            rows.append(row)
    spent = time.process_time() - start
    count = sum(item.fake for item in kept)
    print(
        f"{len(kept) - count} real and {count} generated pictures of {len({i.source for i in kept})} sources, "
        f"{spent:.0f} s of one core\n"
    )
    print("| beside, judged by | condition | errors alone | without errors | with errors | gain (95 %) |")
    print("|---|---|---|---|---|---|")
    tables = {
        part: {name: np.stack([row[f"{name} {part}"] for row in rows]) for name in STANDARD}
        for part in ("errors", "statistics")
    }
    document: dict[str, object] = {"real": len(kept) - count, "generated": count}
    for title, how in (("logistic", logistic), ("network", network)):
        document[title] = compared(
            kept, tables["statistics"], tables["errors"], how, f"{len(names())} statistics, {title}"
        )
    if known is not None:
        logits = np.stack([known[str(item.path)] for item in kept])
        whole = {name: logits[:, [n]] for n, name in enumerate(STANDARD)}
        document["whole"] = compared(kept, whole, tables["errors"], logistic, "the whole detector, logistic")
        ten = {name: table[:, :10] for name, table in tables["errors"].items()}
        document["one"] = compared(kept, whole, ten, logistic, "the whole detector, taesd alone")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
