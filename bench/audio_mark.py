"""Measure the sound mark on clips of ten seconds, beside audiowmark where its program is at hand.

    python bench/audio_mark.py CLIPS [--limit N] [--peer-limit N] [--audiowmark PROGRAM] [--negatives N] [--json FILE]

CLIPS has the folders ``music`` and ``speech`` with sound files, named SOURCE-NUMBER.flac; of each kind N are taken,
from all sources in turn, of each file the first ten seconds. The sources of development and of evaluation are told
apart in bench/sounds.json; nothing was tuned on those of evaluation.

- Recovery: exact 64-bit identifiers read after each attack. Of audiowmark, 128 bits are written at its own
  strength and read with ``--detect-speed`` and, for the rows without a change of speed, without.
- Quality: ratio of sound to mark in decibels, and PESQ (ITU-T P.862.2, wide band), where the package is installed.
- Negatives: unmarked clips, each read under ten keys; any identifier is a false alarm.
- Speed: processor time of one thread against the length of the sound.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from audio_attacks import BEYOND, MUST, Sound, resampled

from assay.provenance.media import Media
from assay.watermark.sound.scheme import Soundmark

SECONDS = 10
NEGATIVE_KEYS = 10
FASTER = ("speed",)


def clips(folder: Path, limit: int) -> list[Path]:
    """Return so many files of a folder, one of each source in turn."""
    sources: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        sources[file.stem.rsplit("-", 1)[0]].append(file)
    # A source's clips follow each other in time: taking them in the order of a digest mixes them.
    for files in sources.values():
        files.sort(key=lambda file: hashlib.sha256(file.name.encode()).digest())
    chosen: list[Path] = []
    for turn in range(max(map(len, sources.values()))):
        chosen += [files[turn] for files in sources.values() if turn < len(files)]
    return chosen[:limit]


def load(file: Path) -> tuple[Sound, int]:
    sound, rate = soundfile.read(file, always_2d=True, dtype="float32", frames=-1)
    return sound[: SECONDS * rate], rate


def pesq(plain: Sound, marked: Sound, rate: int) -> float | None:
    try:
        import pesq as package
    except ImportError:
        return None
    both = [resampled(sound.mean(axis=1), rate, 16000)[0] for sound in (plain, marked)]
    try:
        return float(package.pesq(16000, *both, "wb"))
    except package.PesqError:  # no speech found in it
        return None


def ratio(plain: Sound, marked: Sound) -> float:
    spent = float(((marked - plain).astype(np.float64) ** 2).sum())
    return 10 * float(np.log10((plain.astype(np.float64) ** 2).sum() / spent))


class Ours:
    """The mark of this project."""

    name = "soundmark"

    def __init__(self) -> None:
        self.scheme = Soundmark()

    def embed(self, sound: Sound, rate: int, seed: str) -> tuple[Sound, str]:
        """Return marked sound and the identifier that a seed gives."""
        identifier = hashlib.sha256(seed.encode()).hexdigest()[:16]
        return np.concatenate(
            list(self.scheme.embed(Media.sound(sound, rate), identifier).chunks())
        ), identifier

    def read(self, sound: Sound, rate: int, attack: str) -> str | None:
        """Return the identifier that is read, None where there is none."""
        mark = self.scheme.read(Media.sound(sound, rate)).mark
        return mark.id if mark else None


class Peer:
    """The program audiowmark: it is run, never linked or copied."""

    name = "audiowmark"

    def __init__(self, program: Path) -> None:
        self.program = program

    def embed(self, sound: Sound, rate: int, seed: str) -> tuple[Sound, str]:
        """Return marked sound and the identifier that a seed gives."""
        identifier = hashlib.sha256(seed.encode()).hexdigest()[:32]
        with tempfile.TemporaryDirectory() as folder:
            plain, marked = f"{folder}/plain.wav", f"{folder}/marked.wav"
            soundfile.write(plain, sound, rate, subtype="PCM_16")
            subprocess.run([self.program, "add", plain, marked, identifier], check=True, capture_output=True)
            return soundfile.read(marked, always_2d=True, dtype="float32")[0], identifier

    def read(self, sound: Sound, rate: int, attack: str) -> str | None:
        """Return the identifier that is read, None where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            soundfile.write(f"{folder}/heard.wav", np.clip(sound, -1, 1), rate, subtype="PCM_16")
            extra = ["--detect-speed"] if attack.startswith(FASTER) else []
            done = subprocess.run(
                [self.program, "get", *extra, f"{folder}/heard.wav"], check=False, capture_output=True
            )
        # It prints patterns on unmarked sound too: the best is what it is asked for.
        found = [line.split()[2] for line in done.stdout.decode().splitlines() if line.startswith("pattern")]
        return found[0] if found else None


def measure(method: Ours | Peer, files: list[Path], attacks: dict, log: Iterator[str] | None = None) -> dict:
    """Return counts and figures of one method over clips."""
    right: dict[str, int] = defaultdict(int)
    wrong: dict[str, int] = defaultdict(int)
    tried: dict[str, int] = defaultdict(int)
    missed: list[str] = []
    ratios, marks, embedding, reading = [], [], [], []
    for file in files:
        plain, rate = load(file)
        start = time.process_time()
        marked, identifier = method.embed(plain, rate, file.name)
        embedding.append(time.process_time() - start)
        ratios.append(ratio(plain, marked))
        marks.append(pesq(plain, marked, rate))
        for name, attack in attacks.items():
            heard, at = attack(marked, rate)
            start = time.process_time()
            found = method.read(heard, at, name)
            reading.append(time.process_time() - start)
            tried[name] += 1
            right[name] += found == identifier
            wrong[name] += found not in (identifier, None)
            if found != identifier:
                missed.append(f"{name}: {file.name}")
        print(".", end="", file=sys.stderr, flush=True)
    scored = [mark for mark in marks if mark is not None]
    return {
        "clips": len(files),
        "snr_mean": float(np.mean(ratios)),
        "snr_least": float(np.min(ratios)),
        "pesq_mean": float(np.mean(scored)) if scored else None,
        "pesq_least": float(np.min(scored)) if scored else None,
        "embed_seconds": float(np.mean(embedding)),
        "read_seconds": float(np.mean(reading)),
        "read_most": float(np.max(reading)),
        "right": dict(right),
        "wrong": dict(wrong),
        "tried": dict(tried),
        "missed": missed,
    }


def alarms(folders: list[Path], limit: int) -> dict:
    """Read unmarked clips under NEGATIVE_KEYS keys each; return how many readings there were and what was found."""
    keys = [b""] + [f"negative key number {number:02d}".encode() for number in range(1, NEGATIVE_KEYS)]
    scheme = Soundmark().with_keys(keys)
    files = [file for folder in folders for file in clips(folder, 10**6)]
    readings, found, files_read = 0, [], 0
    for file in files:
        if readings >= limit:
            break
        plain, rate = load(file)
        reading = scheme.read(Media.sound(plain, rate))
        readings, files_read = readings + len(keys), files_read + 1
        if reading.mark is not None:
            found.append(f"{file.name}: {reading.mark}")
        if files_read % 50 == 0:
            print(f"{readings} readings, {len(found)} alarms", file=sys.stderr, flush=True)
    return {"clips": files_read, "keys": len(keys), "readings": readings, "alarms": found}


def table(results: dict) -> str:
    """Return Markdown: a row an attack, a column a method and kind of sound."""
    columns = list(results)
    lines = [
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
        "| clips | " + " | ".join(str(results[c]["clips"]) for c in columns) + " |",
        "| sound to mark, dB: mean (least) | "
        + " | ".join(f"{results[c]['snr_mean']:.1f} ({results[c]['snr_least']:.1f})" for c in columns)
        + " |",
        "| PESQ: mean (least) | "
        + " | ".join(
            f"{r['pesq_mean']:.2f} ({r['pesq_least']:.2f})" if (r := results[c])["pesq_mean"] else "-"
            for c in columns
        )
        + " |",
    ]
    for name in next(iter(results.values()))["tried"]:
        cells = []
        for column in columns:
            result = results[column]
            share = 100 * result["right"].get(name, 0) / max(1, result["tried"].get(name, 0))
            wrong = result["wrong"].get(name, 0)
            cells.append(f"{share:.1f}" + (f" ({wrong} wrong)" if wrong else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--peer-limit", type=int, default=10)
    parser.add_argument("--audiowmark", type=Path)
    parser.add_argument("--negatives", type=int, default=0, help="readings of unmarked clips")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    attacks = MUST | BEYOND
    results: dict[str, dict] = {}
    methods: list[tuple[Ours | Peer, int]] = [(Ours(), arguments.limit)]
    if arguments.audiowmark:
        methods.append((Peer(arguments.audiowmark), arguments.peer_limit))
    for method, limit in methods:
        for kind in ("music", "speech"):
            if limit and (arguments.clips / kind).is_dir():
                results[f"{method.name}, {kind}"] = measure(
                    method, clips(arguments.clips / kind, limit), attacks
                )
    print()
    if results:
        print(table(results))
        for column, result in results.items():
            print(
                f"{column}: {SECONDS / max(result['embed_seconds'], 1e-9):.0f} times real time to write, "
                f"{SECONDS / max(result['read_seconds'], 1e-9):.0f} to read "
                f"({SECONDS / max(result['read_most'], 1e-9):.0f} at the slowest)"
            )
            print(f"{column}, not read: {'; '.join(result['missed']) or 'none'}")
    if arguments.negatives:
        unmarked = alarms([arguments.clips / kind for kind in ("music", "speech")], arguments.negatives)
        print(f"unmarked: {unmarked['readings']} readings of {unmarked['clips']} clips, {unmarked['alarms']}")
        results["unmarked"] = unmarked
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
