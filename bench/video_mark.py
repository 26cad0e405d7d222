"""Measure the film mark: what passages leave of it, how visible and fast it is, and false alarms.

    python bench/video_mark.py --clips DIR [--fold held] [--results FILE] [--attacks …]
    python bench/video_mark.py --clips DIR --speed | --alarms

``bench/video_mark.json`` names the clips by SHA-256; DIR holds their files under any names. A clip that is not there is
named and left out. From each one cut of two seconds is taken, at a place that its digest chooses; the film mark's own
clock is set to a time that the digest chooses too, for its pattern moves on every 8 seconds. Frames are reduced to
``--side`` pixels of the longer side first: smaller frames are harder.

An attack is a chain: geometry and frame rate first, then codecs, as a file is published and published again. With
``--results`` every reading is kept as a line of JSON, and a run that is started again goes on where the last stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from assay.provenance.media import Media, Samples
from assay.watermark.film.scheme import FilmMark

CLIPS = Path(__file__).with_name("video_mark.json")
SECONDS = 2.0
"""Length of a cut."""
LEAD = 0.5
"""Seconds marked before it."""
LATEST = 5.0
"""Seconds of a clip within which its cut lies."""
SMALL = 150_000
"""Pixels below which a clip counts as small."""
KEYS = 8
"""Keys tried on each unmarked cut."""
X265 = {"preset": "fast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
VP9 = {"b": "0", "cpu-used": "5", "deadline": "good"}
CODECS = {
    "h264-crf32": ("libx264", {"crf": "32"}),
    "h264-crf36": ("libx264", {"crf": "36"}),
    "h264-crf40": ("libx264", {"crf": "40"}),
    "h265-crf32": ("libx265", {"crf": "32", **X265}),
    "vp9-crf40": ("libvpx-vp9", {"crf": "40", **VP9}),
}
SHAPES = ("scale0.5", "crop50", "fps10")
NAMED = ("h264-crf32", "h265-crf32", "vp9-crf40", *SHAPES)
"""What the goal names; the pairs are all pairs of these."""

Frames = list[tuple[float, Samples]]


@dataclass(frozen=True)
class Clip:
    """One clip of the list: its name, its file, and the numbers that its digest draws."""

    name: str
    path: Path
    digest: str

    def drawn(self, number: int) -> float:
        """Return a number in 0..1."""
        return int.from_bytes(hashlib.sha256(f"{self.digest} {number}".encode()).digest()[:6], "big") / 2**48


def clips(folder: Path, fold: str) -> list[Clip]:
    """Return the clips of a fold that are in a folder, ordered by digest."""
    present = {
        hashlib.sha256(p.read_bytes()).hexdigest(): p for p in sorted(folder.rglob("*")) if p.is_file()
    }
    found = []
    for entry in json.loads(CLIPS.read_text())["clips"]:
        if entry["fold"] != fold:
            continue
        if entry["sha256"] in present:
            found.append(
                Clip(
                    f"{entry['source']}/{Path(entry['path']).name}", present[entry["sha256"]], entry["sha256"]
                )
            )
        else:
            print(f"missing: {entry['source']} {entry['path']}", file=sys.stderr)
    return sorted(found, key=lambda clip: clip.digest)


def frames_of(path: Path, stop: float, side: int) -> Frames:
    """Return the frames of a file up to a time, reduced to a longest side."""
    frames: Frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        first = None
        for frame in container.decode(stream):
            first = frame.time if first is None else first
            at = frame.time - first
            if at >= stop:
                break
            scale = min(1.0, side / max(frame.width, frame.height))
            width, height = (int(n * scale) // 2 * 2 for n in (frame.width, frame.height))
            frames.append((at, frame.to_ndarray(format="rgb24", width=width, height=height)))
    return frames


def cut_of(clip: Clip, side: int) -> Frames:
    """Return a clip's cut with its lead, times from the lead's beginning."""
    frames = frames_of(clip.path, LATEST, side)
    length = frames[-1][0] + (frames[-1][0] - frames[0][0]) / max(1, len(frames) - 1)
    start = clip.drawn(0) * max(0.0, length - SECONDS - LEAD)
    return [(at - start, frame) for at, frame in frames if start - 1e-6 <= at < start + SECONDS + LEAD - 1e-6]


def film(frames: Frames, shift: float = 0.0) -> Media:
    """Wrap frames as media, their times moved."""
    exact = [(Fraction(at + shift).limit_denominator(90_000), frame) for at, frame in frames]
    return Media.film(exact, Fraction(25))


def marked(clip: Clip, frames: Frames, scheme: FilmMark) -> tuple[Frames, str, float]:
    """Return the marked cut without its lead, times from 0, its identifier, and its PSNR in decibels."""
    identifier, shift = clip.digest[:16], round(clip.drawn(1) * 8, 3)
    after = [
        (float(at) - shift, frame) for at, frame in scheme.embed(film(frames, shift), identifier).timed()
    ]
    errors = [
        float(((new.astype(np.float32) - old) ** 2).mean())
        for (_, new), (_, old) in zip(after, frames, strict=True)
    ]
    kept = [(at - LEAD, frame) for at, frame in after if at >= LEAD - 1e-6]
    return kept, identifier, 10 * math.log10(255**2 / float(np.mean(errors)))


def coded(frames: Frames, codec: str, options: dict[str, str]) -> Frames:
    """Return frames after a codec, at their own average rate."""
    memory = io.BytesIO()
    rate = Fraction((len(frames) - 1) / (frames[-1][0] - frames[0][0])).limit_denominator(1001)
    height, width = (n // 2 * 2 for n in frames[0][1].shape[:2])
    with av.open(memory, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for _, frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [(at, frame) for (at, _), frame in zip(frames, decoded, strict=False)]


def passed(frames: Frames, step: str) -> Frames:
    """Return frames after one step of an attack."""
    if step in CODECS:
        return coded(frames, *CODECS[step])
    height, width = frames[0][1].shape[:2]
    if step == "scale0.5":
        size = (width // 4 * 2, height // 4 * 2)
        return [
            (at, np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BICUBIC))) for at, f in frames
        ]
    if step == "crop50":  # half of the area, a third of what is cut off lies above and left
        rows, columns = (int(n * math.sqrt(0.5)) // 2 * 2 for n in (height, width))
        top, left = (height - rows) // 3, (width - columns) // 3
        return [(at, f[top : top + rows, left : left + columns]) for at, f in frames]
    if step == "fps10":
        kept: Frames = []
        for at, frame in frames:
            if not kept or math.floor(at * 10 + 1e-6) > math.floor(kept[-1][0] * 10 + 1e-6):
                kept.append((at, frame))
        return kept
    raise ValueError(step)


def chains() -> list[tuple[str, ...]]:
    """Return all attacks: nothing, what the goal names, its pairs, and beyond."""
    order = (*SHAPES, *CODECS)
    pairs = [tuple(sorted(pair, key=order.index)) for pair in itertools.combinations(NAMED, 2)]
    beyond = [("h264-crf36",), ("scale0.5", "h264-crf36"), ("h264-crf40",)]
    return [(), *((name,) for name in NAMED), *pairs, *beyond]


def measured(clip: Clip, todo: list[tuple[str, ...]], side: int) -> Iterator[dict[str, Any]]:
    """Yield one line a reading of a clip's marked cut."""
    scheme = FilmMark()
    cut, identifier, decibels = marked(clip, cut_of(clip, side), scheme)
    height, width = cut[0][1].shape[:2]
    kept: dict[tuple[str, ...], Frames] = {(): cut}
    for chain in todo:
        for count in range(1, len(chain) + 1):
            if chain[:count] not in kept:
                kept[chain[:count]] = passed(kept[chain[: count - 1]], chain[count - 1])
        reading = scheme.read(film(kept[chain]))
        read = reading.mark.id if reading.mark else ""
        details = reading.details or {}
        yield {
            "clip": clip.name,
            "width": width,
            "height": height,
            "frames": len(cut),
            "psnr": round(decibels, 2),
            "attack": "+".join(chain) or "none",
            "exact": read == identifier,
            "wrong": bool(read) and read != identifier,
            "agreement": details.get("agreement"),
        }
        if len(chain) > 1:
            del kept[chain]


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as a table in Markdown."""
    rows = []
    classes = {"all": lambda n: True, "larger": lambda n: n >= SMALL, "small": lambda n: n < SMALL}
    for chain in chains():
        name = "+".join(chain) or "none"
        cells = []
        for fits in classes.values():
            here = [x for x in lines if x["attack"] == name and fits(x["width"] * x["height"])]
            share = f"{100 * sum(x['exact'] for x in here) / len(here):.1f}" if here else "–"
            cells.append(f"{share} ({sum(x['exact'] for x in here)} of {len(here)})" if here else share)
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    films = {x["clip"]: x for x in lines}.values()
    heads = []
    for fits in classes.values():
        here = [x["psnr"] for x in films if fits(x["width"] * x["height"])]
        heads.append(f"{np.mean(here):.1f} ({min(here):.1f}), n = {len(here)}" if here else "–")
    wrong = sum(x["wrong"] for x in lines)
    top = [
        "| | all | larger | small |",
        "|---|---|---|---|",
        "| PSNR mean (least), dB | " + " | ".join(heads) + " |",
    ]
    return "\n".join([*top, *rows]) + f"\n\nwrong identifiers: {wrong} of {len(lines)} readings"


def attacks(arguments: argparse.Namespace) -> None:
    """Measure what passages leave, and print the table."""
    results = Path(arguments.results) if arguments.results else None
    lines = [json.loads(x) for x in results.read_text().splitlines()] if results and results.exists() else []
    done = {(x["clip"], x["attack"]) for x in lines}
    wanted = chains()
    if arguments.attacks:
        wanted = [chain for chain in wanted if ("+".join(chain) or "none") in arguments.attacks]
    for clip in clips(arguments.clips, arguments.fold)[: arguments.limit]:
        todo = [chain for chain in wanted if (clip.name, "+".join(chain) or "none") not in done]
        for line in measured(clip, todo, arguments.side) if todo else ():
            lines.append(line)
            if results:
                with results.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    print(table(lines))


def alarms(arguments: argparse.Namespace) -> None:
    """Read unmarked cuts under the public key and under keys of nobody, and count what is found."""
    nobody = [f"key number {number} of nobody".encode() for number in range(1, arguments.keys)]
    scheme = FilmMark().with_keys([b"", *nobody])
    read = found = 0
    for clip in clips(arguments.clips, arguments.fold)[: arguments.limit]:
        frames = frames_of(clip.path, 60.0, arguments.side)
        for number in range(int(frames[-1][0] // SECONDS)):
            cut = [(at - number * SECONDS, f) for at, f in frames if 0 <= at - number * SECONDS < SECONDS]
            if len(cut) > 1:
                read += 1
                found += scheme.read(film(cut)).found
        told = (
            f"{found} alarms in {read} unmarked cuts of {SECONDS:g} s, {len(nobody) + 1} keys tried on each"
        )
        print(f"{clip.name}: {told} so far", file=sys.stderr, flush=True)
    print(told)


def speed(arguments: argparse.Namespace) -> None:
    """Time writing and reading at 1280 x 720, decoding and encoding left out."""
    scheme = FilmMark()
    for clip in clips(arguments.clips, arguments.fold):
        frames = frames_of(clip.path, 4.0, 1280)
        if frames[0][1].shape[:2] != (720, 1280) or len(frames) < 48:
            continue
        list(scheme.embed(film(frames[:2]), "00" * 8).timed())  # the tables are drawn, the network is loaded
        length = frames[-1][0]
        wall, own = time.perf_counter(), time.process_time()
        after = [(float(at), frame) for at, frame in scheme.embed(film(frames), "00" * 8).timed()]
        middle, middle_own = time.perf_counter(), time.process_time()
        reading = scheme.read(film(after))
        end, end_own = time.perf_counter(), time.process_time()
        for name, seconds, busy in (
            ("writing", middle - wall, middle_own - own),
            ("reading", end - middle, end_own - middle_own),
        ):
            print(
                f"{clip.name}: {name} {len(frames)} frames, {length:.1f} s: {seconds:.2f} s on the clock "
                f"({length / seconds:.1f} x real time), {busy:.2f} s of processors ({length / busy:.1f} x)"
            )
        print(f"found: {reading.found}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--fold", choices=("development", "held"), default="held")
    parser.add_argument("--results", default="")
    parser.add_argument("--attacks", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--keys", type=int, default=KEYS)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--speed", action="store_true")
    kind.add_argument("--alarms", action="store_true")
    arguments = parser.parse_args()
    (speed if arguments.speed else alarms if arguments.alarms else attacks)(arguments)


if __name__ == "__main__":
    main()
