"""The speech detector on sources that it never learned from, beside published peers on the same files.

    python bench/speech.py score --clips DIR --results FILE.jsonl [--peer KIND=FILE.pth …] [--condition opus24]
    python bench/speech.py table --results FILE.jsonl

``DIR/INDEX.csv`` (file, label, source, part, …) is made by bench/make_speech.py. ``score`` goes on where it ended.
Of peers, which hear one clip in half a second of one core, at most ``--most`` clips of a source are asked for.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from assay.detect.measure.metrics import auc, bootstrap, by_source, cllr, eer

RATE = 16_000
SECONDS = 30
PEERS = {
    "aasist": {},
    "aasist-asvspoof5": {},
    "aasist-l": {"width": 24, "spectral": 0.4, "temporal": 0.5, "later": 0.7},
}
LEAST = 10
"""Real clips of a source from which its false alarms are shown."""

Sound = NDArray[np.float32]


def decoded(data: bytes, form: str | None = None) -> Sound:
    """Return the first 30 seconds as mono float32 at 16,000 samples a second."""
    found, count = [np.zeros(0, np.float32)], 0
    with av.open(io.BytesIO(data), format=form) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        for frame in container.decode(container.streams.audio[0]):
            for made in resampler.resample(frame):
                found.append(made.to_ndarray()[0])
                count += len(found[-1])
            if count > RATE * SECONDS:
                break
    return np.concatenate(found)[: RATE * SECONDS]


def opus(sound: Sound, bits: int = 24_000) -> Sound:
    """Return what is left after Opus at so many bits a second."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.bit_rate, stream.layout = bits, "mono"
        resampler = av.AudioResampler(
            stream.format.name, "mono", 48_000, frame_size=stream.codec_context.frame_size or None
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for frames in ([frame], [None]):
            for made in resampler.resample(frames[0]):
                container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return decoded(memory.getvalue(), "ogg")


CONDITIONS: dict[str, Callable[[Sound], Sound]] = {"raw": lambda sound: sound, "opus24": opus}


def peer(kind: str, path: Path) -> Callable[[Sound], float]:
    """Open an AASIST with the weights that its authors publish; it hears the first 4.04 s, short clips repeated."""
    import tempfile
    import warnings

    import onnxruntime
    import torch

    from assay.detect.speech.graphs import LENGTH, Graphs

    model = Graphs(**PEERS[kind]).eval()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "peer.onnx"
        torch.onnx.export(
            model,
            (torch.zeros(1, LENGTH),),
            str(file),
            input_names=["sounds"],
            opset_version=17,
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file.read_bytes(), options)

    def score(sound: Sound) -> float:
        heard = np.resize(sound, LENGTH).astype(np.float32)
        return float(session.run(None, {"sounds": heard[None]})[0][0])

    return score


def ours() -> Callable[[Sound], Any]:
    """Open the shipped detector."""
    from assay.detect.speech.plugin import SpeechDetector
    from assay.provenance.media import Media

    detector = SpeechDetector(Path("/nonexistent"), lambda: 0.0)
    return lambda sound: detector.examine_media(Media.sound(sound[:, None], RATE))


def _some(rows: list[dict[str, str]], most: int) -> list[dict[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    kept = []
    for row in sorted(rows, key=lambda r: hashlib.sha256(r["file"].encode()).digest()):
        counted[row["label"], row["source"]] += 1
        # Real sources are fewer, and their false alarms are counted.
        if counted[row["label"], row["source"]] <= most * (2 if row["label"] == "real" else 1):
            kept.append(row)
    return kept


def score(options: argparse.Namespace) -> None:
    """Score clips of the held-out part and append a line each to the results."""
    with (options.clips / "INDEX.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "held"]
    done = {(r["detector"], r["condition"], r["file"]) for r in _results(options.results)}
    change = CONDITIONS[options.condition]
    jobs: list[tuple[str, Callable[[Sound], Any], list[dict[str, str]]]] = []
    for named in options.peer:
        kind, _, path = named.partition("=")
        jobs.append((kind, peer(kind, Path(path)), _some(rows, options.most)))
    if not options.peer:
        part, of = (int(n) for n in options.share.split("/"))
        jobs.append(("speech", ours(), _some(rows, options.most or len(rows))[part::of]))
    with options.results.open("a") as out:
        for name, ask, chosen in jobs:
            for row in chosen:
                if (name, options.condition, row["file"]) in done:
                    continue
                said = ask(change(decoded((options.clips / row["file"]).read_bytes())))
                line = {
                    "detector": name,
                    "condition": options.condition,
                    **{k: row[k] for k in ("file", "label", "source")},
                }
                if isinstance(said, float):
                    line |= {"logit": said}
                else:
                    line |= {
                        "logit": said.logit, "llr": said.llr, "reason": said.reason, "leaning": said.leaning,
                        "heard": said.conditions.get("condition"),
                    }  # fmt: skip
                out.write(json.dumps(line) + "\n")
                out.flush()


def _results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    heard = [r for r in rows if r["logit"] is not None]
    fake = np.array([r["label"] == "fake" for r in heard])
    logits = np.array([r["logit"] for r in heard], np.float64)
    sources = [r["source"] for r in heard]

    def both(real: Any, made: Any) -> tuple[float, float]:
        return auc(logits[real], logits[made]), eer(logits[real], logits[made])

    real, made = np.flatnonzero(~fake), np.flatnonzero(fake)
    (a, e), spread = (
        both(real, made),
        bootstrap(both, by_source(sources, ~fake), by_source(sources, fake), rounds=300),
    )
    ratios = np.array([r["llr"] if r.get("llr") is not None else np.nan for r in heard])
    weighed = ~np.isnan(ratios)
    cost = f"{cllr(ratios[weighed & ~fake], ratios[weighed & fake]):.3f}" if weighed.any() else "-"
    return (
        f"| {name} | {len(real)}/{len(made)} | {a:.3f} ({spread[0][0]:.2f} to {spread[0][1]:.2f}) "
        f"| {100 * e:.1f} ({100 * spread[1][0]:.0f} to {100 * spread[1][1]:.0f}) | {cost} |"
    )


def table(options: argparse.Namespace) -> None:
    """Print the figures: all files, the peers' files, false alarms by real source, generators."""
    every: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in _results(options.results):
        every[row["detector"], row["condition"]].append(row)
    print("| detector, condition | real/generated | AUC | EER % | Cllr |\n|---|---|---|---|---|")
    for (name, condition), rows in every.items():
        own = every.get(("speech", condition))
        if name == "speech" or not own:
            print(_line(f"{name}, {condition}", rows))
            continue
        judged, asked = {r["file"] for r in own if r["logit"] is not None}, {r["file"] for r in rows}
        print(_line(f"{name}, {condition}", rows))
        print(_line(f"{name}, {condition}, what speech judges", [r for r in rows if r["file"] in judged]))
        print(_line(f"speech, {condition}, the same files", [r for r in own if r["file"] in asked]))
    for condition in CONDITIONS:
        if rows := every.get(("speech", condition)):
            _alarms(condition, rows)
            _generators(condition, rows)


def _alarms(condition: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{condition}: real clips by source: clips, silent, log10 ratio above 0, above .3, leaning to AI")
    for source, mine in sorted(_grouped(rows, "real")):
        ratios = [-r["llr"] for r in mine if r["llr"] is not None]
        if len(mine) >= LEAST:
            above = [sum(v > least for v in ratios) for least in (0.0, 0.3)]
            leans = sum(r["leaning"] == "ai" for r in mine)
            print(
                f"| {source} | {len(mine)} | {len(mine) - len(ratios)} | {above[0]} | {above[1]} | {leans} |"
            )
    for label in ("real", "fake"):
        mine = [r for r in rows if r["label"] == label]
        leans, silent = sum(r["leaning"] == "ai" for r in mine), sum(r["llr"] is None for r in mine)
        print(
            f"all {label}: {len(mine)}, {silent} silent, {leans} leaning to AI; {Counter(r['reason'] for r in mine)}"
        )


def _generators(condition: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{condition}: AUC of each generator against all real clips")
    real = np.array([r["logit"] for r in rows if r["label"] == "real" and r["logit"] is not None])
    for source, mine in sorted(_grouped(rows, "fake")):
        logits = np.array([r["logit"] for r in mine if r["logit"] is not None])
        if len(logits):
            print(f"| {source} | {len(logits)} | {auc(real, logits):.2f} |")


def _grouped(rows: list[dict[str, Any]], label: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["label"] == label:
            found[row["source"]].append(row)
    return iter(found.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    scoring = verbs.add_parser("score")
    scoring.add_argument("--clips", type=Path, required=True)
    scoring.add_argument("--results", type=Path, required=True)
    scoring.add_argument("--peer", action="append", default=[], metavar="KIND=FILE.pth")
    scoring.add_argument("--condition", choices=CONDITIONS, default="raw")
    scoring.add_argument(
        "--most", type=int, default=4, help="clips of a source, twice as many real ones; 0: all"
    )
    scoring.add_argument(
        "--share", default="0/1", metavar="K/N", help="only every N-th clip, from the K-th on"
    )
    scoring.set_defaults(run=score)
    showing = verbs.add_parser("table")
    showing.add_argument("--results", type=Path, required=True)
    showing.set_defaults(run=table)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
