"""The detector of generated films: its clips, what it learns, and how it fares on sources that it never saw.

bench/clips_list.csv names every clip by repository, commit and path; nothing of them is kept here.

    python bench/clips.py collect --mirrors DIR --into CLIPS          # bare clones of the repositories, OWNER+NAME/repo
    python bench/clips.py describe --clips CLIPS --into vectors.npz
    python bench/clips.py train --vectors vectors.npz --models detect/models --made 2026-11-22
    python bench/clips.py score --vectors vectors.npz [--json FILE]
    python bench/clips.py squares --clips CLIPS --into squares.npz
    python bench/clips.py network --vectors squares.npz --steps 200
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import hashlib
import json
import subprocess
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from assay.detect.calibrate import COARSE, SMALL, Line
from assay.detect.card import NATIVE, VECTORS, Calibration, Card, Input, Source, Weights
from assay.detect.film.bursts import LEAST_SIDE, MOST, seen
from assay.detect.film.detector import CHANGES_MODEL, CONDITION, KIND, PANEL
from assay.detect.film.features import CHANGES, changes
from assay.detect.film.votes import MODEL, vote
from assay.detect.fuse import Fusion, fuse, lined
from assay.detect.gate import SMALL_PIXELS
from assay.detect.measure.metrics import auc, bootstrap, by_source
from assay.detect.panels import open_witness, write_fusion
from assay.detect.store import Store
from assay.detect.witness import Witness, disagree
from assay.provenance.errors import AssayError
from assay.provenance.media import Media
from assay.provenance.subject import Subject

LIST = Path(__file__).with_name("clips_list.csv")
STRENGTHS = (0.03, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""Weights of the squared weights that are tried, on sources left out of learning."""
NEAR = 5
"""Bits of 64 up to which two middle frames count as the same picture."""
LEARN, HELD = "learn", "held"
LENGTH = len(CHANGES) + 1
SIDE = 96
"""Pixels of the side of the squares that the network is given."""


@dataclass
class Clips:
    """What was measured of clips: one row a burst in ``values``, of clip ``of``; one entry a clip in the others.

    The last number of a row is the vote of the detector of pictures on the burst's middle frame.
    """

    values: np.ndarray
    of: np.ndarray
    name: np.ndarray
    fake: np.ndarray
    part: np.ndarray
    source: np.ndarray
    condition: np.ndarray
    reason: np.ndarray
    look: np.ndarray

    def chosen(self, keep: np.ndarray) -> Clips:
        """Return some of the clips, ``keep`` a truth value a clip."""
        rows = keep[self.of]
        names = [n for n in self.__dataclass_fields__ if n not in ("values", "of")]
        renumbered = (np.cumsum(keep) - 1)[self.of[rows]]
        return Clips(self.values[rows], renumbered, *(getattr(self, n)[keep] for n in names))

    def pooled(self, said: np.ndarray) -> np.ndarray:
        """Return the mean of what was said of each clip's bursts."""
        return np.array([said[self.of == n].mean() for n in range(len(self.name))])


def listed() -> list[dict[str, str]]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def collect(mirrors: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    missing = 0
    for row in listed():
        place = into / row["file"]
        if place.exists():
            continue
        clone = mirrors / row["repository"].replace("/", "+") / "repo"
        data = subprocess.run(
            ["git", "--git-dir", clone, "cat-file", "blob", f"{row['commit']}:{row['path']}"],
            capture_output=True,
        ).stdout
        if hashlib.sha256(data).hexdigest() == row["sha256"]:
            place.write_bytes(data)
        else:
            missing += 1
            print(f"not there: {row['repository']} {row['path']}")
    print(f"{missing} of {len(listed())} are missing")


def animation(path: Path) -> Media:
    """Return an animated WebP as a film: some generators' pages show their films so."""
    frames, at = [], Fraction(0)
    with Image.open(path) as image:
        for n in range(min(getattr(image, "n_frames", 1), 120)):
            image.seek(n)
            frames.append((at, np.array(image.convert("RGB"))))
            at += Fraction(int(image.info.get("duration", 0) or 100), 1000)
            if at > 6:
                break
    return Media.film(frames, Fraction(10))


def measured(witness: Witness, path: Path, most: int) -> tuple[np.ndarray, str, np.ndarray, str]:
    """Return numbers and vote (bursts, length + 1), a frame's 64 bits, the condition, and why there are no vectors."""
    try:
        if path.suffix == ".webp":
            media = animation(path)
            found = seen(media, most)
        else:
            with Subject.open(path) as subject:
                media = subject.media()
                found = seen(media, most)
    except AssayError as error:
        return np.zeros((0, LENGTH), np.float32), "", np.zeros(64, np.bool_), str(error)
    condition = SMALL if media.shape[0] * media.shape[1] < SMALL_PIXELS else COARSE
    if found.reason:
        return np.zeros((0, LENGTH), np.float32), condition, np.zeros(64, np.bool_), found.reason
    middle = Image.fromarray(found.bursts[len(found.bursts) // 2].frames[1]).convert("L")
    grey = np.asarray(middle.resize((9, 8), Image.Resampling.BILINEAR), np.int16)
    votes = [vote(witness, burst.frames[1]) for burst in found.bursts]
    if None in votes:
        return np.zeros((0, LENGTH), np.float32), condition, np.zeros(64, np.bool_), "too-narrow"
    rows = [np.append(changes(b.frames), v) for b, v in zip(found.bursts, votes, strict=True)]
    values = np.stack(rows).astype(np.float32)
    return values, condition, (grey[:, 1:] > grey[:, :-1]).ravel(), ""


def describe(clips: Path, into: Path, most: int) -> None:
    rows = [row for row in listed() if (clips / row["file"]).exists()]
    kept, witness = [], open_witness(Store(), MODEL, time.perf_counter)
    for n, row in enumerate(rows):
        kept.append(measured(witness, clips / row["file"], most))
        if n % 20 == 0:
            print(f"{n} of {len(rows)}", flush=True)
    saved(rows, kept, into)


def saved(rows: list[dict[str, str]], kept: list, into: Path) -> None:
    np.savez(
        into,
        values=np.concatenate([k[0] for k in kept]),
        of=np.repeat(np.arange(len(kept)), [len(k[0]) for k in kept]),
        name=[r["file"] for r in rows],
        fake=[r["label"] == "fake" for r in rows],
        part=[r["part"] for r in rows],
        source=[r["source"] for r in rows],
        condition=[k[1] for k in kept],
        reason=[k[3] for k in kept],
        look=[k[2] for k in kept],
    )


def read(path: Path) -> Clips:
    with np.load(path, allow_pickle=False) as data:
        return Clips(**{name: data[name] for name in data.files})


def parted(clips: Clips) -> tuple[Clips, Clips, int]:
    """Return the clips to learn from and those held out, and how many were left out for looking like another."""
    answered = clips.reason == ""
    held = answered & (clips.part == HELD) & ~voted(clips)
    keep = answered & (clips.part == LEARN)
    before = int(keep.sum())
    seen_looks = list(clips.look[held])
    for n in np.flatnonzero(keep):
        if any(int((clips.look[n] != look).sum()) <= NEAR for look in seen_looks):
            keep[n] = False
        else:
            seen_looks.append(clips.look[n])
    return clips.chosen(keep), clips.chosen(held), before - int(keep.sum())


def voted(clips: Clips) -> np.ndarray:
    """Say of each clip whether the detector of pictures that votes learned from pictures of its repository."""
    learned = {source.repository for source in Store().find(MODEL).card.sources}
    theirs = {row["source"] for row in listed() if row["repository"] in learned}
    return np.isin(clips.source, sorted(theirs))


def train(vectors: Path, models: Path, made: dt.date) -> None:
    from assay.detect.film.lesson import export_ridge, held_out, ridge, weights

    learn, _, near = parted(read(vectors))
    fake, sources = learn.fake[learn.of], learn.source[learn.of].tolist()
    print(
        f"{len(learn.name)} clips of {len(set(sources))} sources; {near} looked like others and were left out"
    )
    values = learn.values[:, :-1]
    tried = {}
    for strength in STRENGTHS:
        out = held_out(values, fake, sources, strength)
        tried[strength] = (balanced_area(learn.pooled(out), learn.fake, learn.source), out)
    best = max(tried, key=lambda s: tried[s][0])
    print("AUC by strength", {s: round(a, 3) for s, (a, _) in tried.items()}, "->", best)
    folder = models / CHANGES_MODEL
    folder.mkdir(parents=True, exist_ok=True)
    export_ridge(ridge(values, fake, weights(fake, sources), best), folder / "weights.onnx")
    said = {CHANGES_MODEL: learn.pooled(tried[best][1]), MODEL: learn.pooled(learn.values[:, -1])}
    # What votes must not have learned from the repositories on which its weight is found.
    mine = ~voted(learn)
    fair, said = learn.chosen(mine), {name: values[mine] for name, values in said.items()}
    fusion = fuse(
        f"film-{made:%Y.%m.%d}", said, fair.fake, fair.source.tolist(), [CONDITION] * len(fair.name)
    )
    digest = hashlib.sha256((folder / "weights.onnx").read_bytes()).hexdigest()
    digests = {CHANGES_MODEL: digest, MODEL: Store().find(MODEL).card.weights.sha256}
    write_fusion(models / PANEL, replace(fusion, digests=digests), KIND)
    lines = lined(said[CHANGES_MODEL], fair.fake, fair.source.tolist(), [CONDITION] * len(fair.name))
    write_card(folder, best, learn, lines, made)
    print(
        f"fused on {len(fair.name)} clips of {len(set(fair.source.tolist()))} sources, {int(fair.fake.sum())} generated"
    )
    print("weights", {k: round(v, 3) for k, v in fusion.weights.items()}, fusion.lines)
    for name, values in {**said, "film": fused(fusion, said)}.items():
        print(f"{name}: sources left out within learning {balanced_area(values, fair.fake, fair.source):.3f}")
    for alarm in fusion.alarms:
        print(asdict(alarm))


def write_card(folder: Path, strength: float, learn: Clips, lines: dict[str, Line], made: dt.date) -> None:
    data = (folder / "weights.onnx").read_bytes()
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for source, is_fake in zip(learn.source.tolist(), learn.fake.tolist(), strict=True):
        counted[source][is_fake] += 1
    where = {row["source"]: (row["repository"], row["commit"]) for row in listed()}
    sources = tuple(Source(s, *where[s], "", c[False], c[True]) for s, c in sorted(counted.items()))
    card = Card(
        name=CHANGES_MODEL,
        version=f"{made:%Y.%m.%d}",
        kind=KIND,
        family="changes",
        architecture="ridge",
        settings={"strength": strength},
        weights=Weights("weights.onnx", "onnx", hashlib.sha256(data).hexdigest(), len(data)),
        input=Input(VECTORS, LEAST_SIDE, MOST, LEAST_SIDE, NATIVE, length=len(CHANGES)),
        calibration=Calibration(f"{CHANGES_MODEL}-{made:%Y.%m.%d}", lines) if lines else None,
        sources=sources,
        licence="Apache-2.0",
        fails=("It learned from few clips, of few sources: generators and cameras that it does not know move it.",),
        measured=(),
        made=f"{made:%Y-%m-%d}",
    )  # fmt: skip
    (folder / "card.json").write_bytes(card.to_bytes())


def fused(fusion: Fusion, said: dict[str, np.ndarray]) -> np.ndarray:
    return fusion.intercept + sum(fusion.weights[name] * values for name, values in said.items())


def balanced_area(said: np.ndarray, fake: np.ndarray, source: np.ndarray) -> float:
    """Return the AUC in which every source of a label counts the same."""
    real = [said[(source == s) & ~fake] for s in sorted(set(source[~fake]))]
    made = [said[(source == s) & fake] for s in sorted(set(source[fake]))]
    return float(
        np.mean([[area(np.append(r, f), np.arange(len(r) + len(f)) >= len(r)) for f in made] for r in real])
    )


def area(said: np.ndarray, fake: np.ndarray) -> float:
    return auc(said[~fake], said[fake])


def interval(said: np.ndarray, fake: np.ndarray, source: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the AUC over sources and their clips, drawn with replacement."""
    names = source.tolist()
    ((low, high),) = bootstrap(
        lambda real, made: [auc(said[real], said[made])], by_source(names, ~fake), by_source(names, fake)
    ).tolist()
    return low, high


def score(vectors: Path, out: Path | None) -> None:
    from assay.detect.film.detector import open_films

    every = read(vectors)
    _, held, _ = parted(every)
    panel = open_films(Store(), time.perf_counter)
    by_burst = {CHANGES_MODEL: panel.follower.run(held.values[:, :-1]).astype(np.float64)}
    by_burst[MODEL] = held.values[:, -1].astype(np.float64)
    said = {name: held.pooled(values) for name, values in by_burst.items()}
    said["film"] = fused(panel.fusion, said)
    bursts, line = fused(panel.fusion, by_burst), panel.fusion.lines[CONDITION]
    ratio = np.array([line.log10(v) for v in said["film"].tolist()])
    silent = [disagree(line.slope * bursts[held.of == n] + line.intercept) for n in range(len(held.name))]
    real, made = (len(set(held.source[held.fake == label])) for label in (False, True))
    unseen = every.reason[(every.reason != "") & (every.part == HELD)].tolist()
    print(
        f"held: {int((~held.fake).sum())} real clips of {real} sources, {int(held.fake.sum())} generated of {made}"
    )
    print(f"not examined: {dict(Counter(reason.split(':')[0] for reason in unseen))}")
    figures = {name: figure(name, values, held) for name, values in said.items()}
    for condition in sorted(set(held.condition.tolist())):
        mine = held.chosen(held.condition == condition)
        if len(set(mine.fake.tolist())) == 2:
            figures[condition] = figure(condition, said["film"][held.condition == condition], mine)
    spoke = ~np.array(silent)
    figures["answered"] = figure("answered", said["film"][spoke], held.chosen(spoke))
    decisions(ratio, spoke, held)
    table = sources(said["film"], ratio, spoke, held)
    if out:
        out.write_text(json.dumps({"figures": figures, "by_source": table}, indent=1) + "\n")


def figure(name: str, said: np.ndarray, clips: Clips) -> list[float]:
    """Print and return an AUC, its interval over sources, and the AUC in which sources count alike."""
    found = [area(said, clips.fake), *interval(said, clips.fake, clips.source)]
    found.append(balanced_area(said, clips.fake, clips.source))
    counts = f"{int((~clips.fake).sum())} real, {int(clips.fake.sum())} generated"
    print("{:13} AUC {:.3f} ({:.2f} to {:.2f}), sources alike {:.3f};".format(name, *found), counts)
    return found


def decisions(ratio: np.ndarray, spoke: np.ndarray, held: Clips) -> None:
    """Print how many clips are decided from a ratio on, and how many of those wrongly."""
    for least in (0.0, 0.3, 0.6):
        decided = spoke & (np.abs(ratio) >= least) & (ratio != 0)
        wrong = decided & ((ratio > 0) != held.fake)
        alarms, found = int((wrong & ~held.fake).sum()), int((decided & held.fake & ~wrong).sum())
        print(
            f"from log10 LR {least}: {decided.mean():.0%} decided, {wrong.sum() / max(1, decided.sum()):.0%} wrong; "
            f"false alarms {alarms} of {int((~held.fake).sum())}, found {found} of {int(held.fake.sum())}"
        )


def sources(said: np.ndarray, ratio: np.ndarray, spoke: np.ndarray, held: Clips) -> dict[str, list[float]]:
    """Print and return by source: generated or not, clips, AUC against the other label, share that leans to it."""
    table = {}
    print("by source: clips, AUC against the other label, share with log10 LR of 0.3 and more for synthetic")
    for name in sorted(set(held.source.tolist())):
        mine = held.source == name
        label = bool(held.fake[mine][0])
        both = mine | (held.fake != label)
        leans = float((spoke & (ratio >= 0.3))[mine].mean())
        table[name] = [float(label), int(mine.sum()), area(said[both], held.fake[both]), leans]
        print(
            f"  {'fake' if label else 'real'} {name:14} {int(mine.sum()):3} {table[name][2]:.2f} {leans:.2f}"
        )
    return table


def squares(clips: Path, into: Path) -> None:
    """Keep a square of the middle burst of each clip: the network learns in a process that decodes nothing."""
    films, kept = [], []
    for row in listed():
        path = clips / row["file"]
        if not path.exists() or path.suffix == ".webp":
            continue
        try:
            with Subject.open(path) as subject:
                found = seen(subject.media(), 1)
        except AssayError:
            continue
        for burst in found.bursts:
            top, left = ((n - SIDE) // 2 for n in burst.frames.shape[1:3])
            films.append(burst.frames[:, top : top + SIDE, left : left + SIDE])
            kept.append(row)
    names = {key: [row[key] for row in kept] for key in ("label", "part", "source")}
    np.savez(into, films=np.stack(films), **names)


def network(vectors: Path, steps: int) -> None:
    """Teach the cnn-lstm what ``squares`` kept, and print its AUC on sources held out."""
    import torch

    from assay.detect.film.lesson import Drill, taught, weights

    with np.load(vectors, allow_pickle=False) as data:
        films, fake, learn, source = (
            data["films"],
            data["label"] == "fake",
            data["part"] == LEARN,
            data["source"],
        )
    weight = weights(fake[learn], source[learn].tolist())
    model = taught(
        films[learn], fake[learn], weight, Drill(steps=steps), lambda step, loss: print(step, round(loss, 3))
    )
    with torch.no_grad():
        batches = torch.from_numpy(films[~learn]).permute(0, 1, 4, 2, 3).float().div(255).split(16)
        said = torch.cat([model(batch) for batch in batches]).numpy().astype(np.float64)
    print(f"cnn-lstm after {steps} steps, held: AUC {area(said, fake[~learn]):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("collect", "describe", "train", "score", "squares", "network"))
    for name in ("mirrors", "clips", "into", "vectors", "models", "json"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--made", type=dt.date.fromisoformat)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--bursts", type=int, default=MOST)
    given = parser.parse_args()
    {
        "collect": lambda: collect(given.mirrors, given.into),
        "describe": lambda: describe(given.clips, given.into, given.bursts),
        "train": lambda: train(given.vectors, given.models, given.made),
        "score": lambda: score(given.vectors, given.json),
        "squares": lambda: squares(given.clips, given.into),
        "network": lambda: network(given.vectors, given.steps),
    }[given.what]()


if __name__ == "__main__":
    main()
