"""Measure the sound mark on clips of ten seconds, beside audiowmark where its program is at hand.

    python bench/audio_mark.py CLIPS [--limit N] [--peer-limit N] [--audiowmark PROGRAM] [--negatives N] [--json FILE]

CLIPS has the folders ``music`` and ``speech`` with sound files, named SOURCE-NUMBER.flac; of each kind N are taken,
from all sources in turn, of each file the first ten seconds. The sources of development and of evaluation are told
apart in bench/sounds.json; nothing was tuned on those of evaluation.

- Recovery: exact 64-bit identifiers read after each attack. Of audiowmark, 128 bits are written at its own
  strength and read with ``--detect-speed`` and, for the rows without a change of speed, without.
- Quality: ratio of sound to mark in decibels, and PESQ (ITU-T P.862.2, wide band), where the package is installed.
- Negatives: unmarked clips, each read under ten keys; any identifier is a false alarm.
- Gaps: clips of which three seconds are another recording; how well what is reported as not marked covers them.
- Speed: processor time of one thread against the length of the sound.

``--report`` prints what several runs have written with ``--json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
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
GAP_SECONDS = 3.0
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
    except (package.PesqError, ValueError):  # no speech found in it
        return None


def ratio(plain: Sound, marked: Sound) -> float:
    spent = float(((marked - plain).astype(np.float64) ** 2).sum())
    return 10 * float(np.log10((plain.astype(np.float64) ** 2).sum() / spent))


def spent() -> float:
    """Return the processor time of this process and of the programs it ran, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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

    def read(self, sound: Sound, rate: int, attack: str) -> list[str]:
        """Return the identifiers that are read."""
        mark = self.scheme.read(Media.sound(sound, rate)).mark
        return [mark.id] if mark else []


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

    def read(self, sound: Sound, rate: int, attack: str) -> list[str]:
        """Return the identifiers that are read."""
        with tempfile.TemporaryDirectory() as folder:
            soundfile.write(f"{folder}/heard.wav", np.clip(sound, -1, 1), rate, subtype="PCM_16")
            extra = ["--detect-speed"] if attack.startswith(FASTER) else []
            done = subprocess.run(
                [self.program, "get", *extra, f"{folder}/heard.wav"], check=False, capture_output=True
            )
        # It prints patterns on unmarked sound too, and has no check: any that is right counts as right.
        return [line.split()[2] for line in done.stdout.decode().splitlines() if line.startswith("pattern")]


def measure(method: Ours | Peer, files: list[Path], attacks: dict) -> Iterator[dict]:
    """Yield one method's figures for each clip."""
    for file in files:
        plain, rate = load(file)
        start = spent()
        marked, identifier = method.embed(plain, rate, file.name)
        clip: dict = {"clip": file.name, "embed": spent() - start}
        clip |= {"snr": ratio(plain, marked), "pesq": pesq(plain, marked, rate), "read": [], "found": {}}
        for name, attack in attacks.items():
            heard, at = attack(marked, rate)
            start = spent()
            found = method.read(heard, at, name)
            clip["read"].append(spent() - start)
            clip["found"][name] = "right" if identifier in found else "wrong" if found else "none"
        yield clip
        print(".", end="", file=sys.stderr, flush=True)


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


def gaps(files: list[Path]) -> list[float]:
    """Return, of foreign passages of GAP_SECONDS in marked clips, how well what is not marked covers them.

    Intersection over union in time, 0 where no mark is read. The foreigner is another source's clip, as loud.
    """
    shares = []
    for number, file in enumerate(files):
        plain, rate = load(file)
        plain = plain.mean(axis=1, keepdims=True)
        marked, identifier = Ours().embed(plain, rate, file.name)
        other, at = load(files[(number + 1) % len(files)])
        foreign = resampled(other.mean(axis=1, keepdims=True), at, rate)[0][: int(GAP_SECONDS * rate)]
        foreign *= np.sqrt((plain**2).mean() / max(1e-12, float((foreign**2).mean())))
        begin = 2.0 + 4.5 * number / len(files)
        start = int(begin * rate)
        marked[start : start + len(foreign)] = foreign
        reading = Soundmark().read(Media.sound(marked, rate))
        carried = np.zeros(100 * SECONDS, bool)
        for first, last in reading.details["intervals"] if reading.mark else []:
            carried[round(100 * first) : round(100 * last)] = True
        true = np.zeros(carried.size, bool)
        true[round(100 * begin) : round(100 * (begin + GAP_SECONDS))] = True
        found = reading.mark is not None and reading.mark.id == identifier
        shares.append(float((true & ~carried).sum() / (true | ~carried).sum()) if found else 0.0)
    return shares


def table(results: dict[str, list[dict]]) -> str:
    """Return Markdown: a row an attack, a column a method and kind of sound."""
    columns = {name: clips for name, clips in results.items() if clips}

    def row(title: str, cells: list[str]) -> str:
        return "| " + " | ".join([title, *cells]) + " |"

    def spread(name: str) -> list[str]:
        values = [[clip[name] for clip in clips if clip[name] is not None] for clips in columns.values()]
        return [f"{np.mean(v):.2f} ({np.min(v):.2f})" if v else "-" for v in values]

    lines = [row("", list(columns)), "|---|" + "---|" * len(columns)]
    lines.append(row("clips", [str(len(clips)) for clips in columns.values()]))
    lines.append(row("sound to mark, dB: mean (least)", spread("snr")))
    lines.append(row("PESQ: mean (least)", spread("pesq")))
    for name in dict.fromkeys(name for clips in columns.values() for name in clips[0]["found"]):
        cells = []
        for clips in columns.values():
            found = [clip["found"][name] for clip in clips if name in clip["found"]]
            wrong = found.count("wrong")
            right = f"{found.count('right')} of {len(found)}" if found else "-"
            cells.append(right + (f" ({wrong} wrong)" if wrong else ""))
        lines.append(row(name, cells))
    for name, clips in columns.items():
        reads = [seconds for clip in clips for seconds in clip["read"]]
        lines.append(
            f"\n{name}: {SECONDS / max(1e-9, np.mean([clip['embed'] for clip in clips])):.0f} times real time to "
            f"write, {SECONDS / max(1e-9, np.mean(reads)):.0f} to read, "
            f"{SECONDS / max(1e-9, max(reads)):.0f} at the slowest"
        )
        missed = [
            f"{key}: {clip['clip']}" for clip in clips for key, how in clip["found"].items() if how != "right"
        ]
        lines.append(f"{name}, not read: {'; '.join(missed) or 'none'}")
    return "\n".join(lines)


def merged(files: list[Path]) -> dict[str, list[dict]]:
    """Return the results of several runs as one; of an attack on a clip that was run twice, the later file's."""
    results: dict[str, dict[str, dict]] = defaultdict(dict)
    for file in files:
        for name, clips in json.loads(file.read_text()).items():
            for clip in clips if name != "unmarked" else []:
                known = results[name].setdefault(clip["clip"], clip)
                known["found"] |= clip["found"]
    return {name: list(clips.values()) for name, clips in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="?")
    parser.add_argument("--limit", type=int, default=50, help="clips of each kind")
    parser.add_argument("--skip", type=int, default=0, help="clips of each kind to leave to another run")
    parser.add_argument("--only", default="", help="attacks whose names begin so")
    parser.add_argument("--peer-limit", type=int, default=10)
    parser.add_argument("--audiowmark", type=Path)
    parser.add_argument("--negatives", type=int, default=0, help="readings of unmarked clips")
    parser.add_argument("--gaps", type=int, default=0, help="clips of each kind with a foreign passage")
    parser.add_argument("--json", type=Path, help="kept up to date after every clip")
    parser.add_argument(
        "--report", type=Path, nargs="+", help="print the results of earlier runs, and do nothing else"
    )
    arguments = parser.parse_args()
    if arguments.report:
        print(table(merged(arguments.report)))
        return
    attacks = {name: done for name, done in (MUST | BEYOND).items() if name.startswith(arguments.only)}
    results: dict = {}

    def keep() -> None:
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1))

    methods: list[tuple[Ours | Peer, int]] = [(Ours(), arguments.limit)]
    if arguments.audiowmark:
        methods.append((Peer(arguments.audiowmark), arguments.peer_limit))
    for method, limit in methods:
        for kind in ("music", "speech"):
            if limit and (arguments.clips / kind).is_dir():
                chosen = clips(arguments.clips / kind, limit)[arguments.skip :]
                column = results.setdefault(f"{method.name}, {kind}", [])
                # The peer is slow: it is held to what a mark must outlast.
                for clip in measure(method, chosen, attacks if method.name == Ours.name else MUST):
                    column.append(clip)
                    keep()
    if results:
        print(f"\n{table(results)}")
    for kind in ("music", "speech") if arguments.gaps else ():
        shares = gaps(clips(arguments.clips / kind, arguments.gaps))
        print(
            f"foreign passages of {GAP_SECONDS:g} s, {kind}: overlap {np.mean(shares):.2f} on average, "
            f"0.5 or more in {sum(share >= 0.5 for share in shares)} of {len(shares)}, {np.round(shares, 2).tolist()}"
        )
    if arguments.negatives:
        unmarked = alarms([arguments.clips / kind for kind in ("music", "speech")], arguments.negatives)
        print(f"unmarked: {unmarked['readings']} readings of {unmarked['clips']} clips, {unmarked['alarms']}")
        results["unmarked"] = unmarked
        keep()


if __name__ == "__main__":
    main()
