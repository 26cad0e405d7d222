"""Lay out the clips that the detector of speech learns from and is measured on, from git copies of public repositories.

    python bench/make_speech.py --mirror DIR --out DIR

``--mirror`` holds bare git folders ``OWNER+NAME/repo`` of the repositories in bench/speech_sources.toml. Written are
the clips, ``INDEX.csv`` of all, and ``TRAIN.csv`` for ``assay detect train bench/recipes/speech.toml``: what may be
learned from, and of a dozen clips of each source a copy through Opus at 24 kbit/s and one through another journey. The
shipped weights come from such journeys, some of which had MP3 or AAC where these have Opus (docs/measured.md).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import subprocess
import tomllib
import wave
from collections import Counter
from pathlib import Path

import av
import numpy as np
from scipy import signal
from speech import RATE, Sound, decoded, opus

MOST, COPIES, SECONDS = 60, 12, 5.2
SOUNDS = re.compile(r"\.(wav|flac|mp3|ogg|opus|m4a)$", re.IGNORECASE)
CORPORA = ("ljspeech", "vctk", "librispeech", "librivox", "tortoise-voices")
OTHERS = {"fastspeech2-gt": "ljspeech"}
COLUMNS = ("file", "label", "source", "repository", "commit", "path", "seconds", "part", "sha256")


def corpus(row: dict[str, str]) -> str:
    """Return the independent source of a clip: recordings of one corpus count once, whoever shows them."""
    if row["label"] == "fake":
        return row["source"]
    return OTHERS.get(row["source"]) or next(
        (c for c in CORPORA if row["source"].startswith(c)), row["source"]
    )


def journey(sound: Sound, rng: np.random.Generator) -> Sound:
    """Return a clip through a random equaliser, perhaps noise and a room, then perhaps a codec or a low pass."""
    x = sound.astype(np.float64)
    spectrum = np.fft.rfft(x)
    gain = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 7), rng.normal(0, 4, 7))
    x = np.fft.irfft(spectrum * 10 ** (gain / 20), len(x))
    if rng.random() < 0.3:
        x = x + rng.normal(0, x.std() * 10 ** (-rng.uniform(12, 35) / 20), x.shape)
    if rng.random() < 0.25:
        n = int(RATE * rng.uniform(0.05, 0.3))
        room = rng.normal(size=n) * np.exp(-np.arange(n) / n * 6.9) * rng.uniform(0.02, 0.15)
        room[0] = 1
        x = signal.fftconvolve(x, room)[: len(x)]
    x = x / max(float(np.abs(x).max()), 1e-9) * 0.5
    kind = rng.choice(["opus", "opus", "narrower", "none"])
    if kind == "opus":
        return opus(x.astype(np.float32), int(rng.choice([16_000, 24_000, 32_000, 48_000])))
    if kind == "narrower":
        x = signal.sosfilt(signal.butter(6, rng.uniform(3300, 6400), fs=RATE, output="sos"), x)
    return x.astype(np.float32)


def write(path: Path, sound: Sound) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def clips(
    git: Path, entry: dict[str, object], held: set[str], out: Path, seen: set[str]
) -> list[dict[str, str]]:
    """Write the clips of one repository; return their rows of the index."""

    def run(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(git), *words], capture_output=True, check=True).stdout

    commit, rows, count = str(entry["commit"]), [], Counter[tuple[str, str]]()
    names = [
        n for n in run("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0") if SOUNDS.search(n)
    ]
    for name in names:
        found = next(
            (
                (re.search(rx, name), label, source)
                for rx, label, source in entry["rules"]
                if re.search(rx, name)
            ),
            None,
        )  # type: ignore[attr-defined]
        if not found or not found[1]:
            continue
        match, label, source = found
        source = match.expand(source) if "\\" in source else source
        if count[label, source] >= MOST:
            continue
        data = run("cat-file", "blob", f"{commit}:{name}")
        digest = hashlib.sha256(data).hexdigest()
        try:
            sound = decoded(data)
        except (av.FFmpegError, ValueError, IndexError):
            continue
        if digest in seen or len(sound) < 1.5 * RATE or np.abs(sound).max() < 0.01:
            continue
        seen.add(digest)
        count[label, source] += 1
        path = (
            out
            / label
            / f"{str(entry['name']).split('/')[0]}_{source}"
            / (digest[:16] + Path(name).suffix.lower())
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        part = "held" if entry["held"] or source in held else "learn"
        values = (
            path.relative_to(out),
            label,
            source,
            entry["name"],
            commit,
            name,
            f"{len(sound) / RATE:.2f}",
            part,
            digest,
        )
        rows.append({c: str(v) for c, v in zip(COLUMNS, values, strict=True)})
    return rows


def copies(rows: list[dict[str, str]], out: Path) -> list[dict[str, str]]:
    """Write coded copies of some clips that may be learned from; return the training index."""
    made, count = [], Counter[tuple[str, str]]()
    (out / "copies").mkdir(exist_ok=True)
    for row in rows:
        if row["part"] != "learn":
            continue
        line = {
            "label": row["label"],
            "source": corpus(row),
            "repository": row["repository"],
            "commit": row["commit"],
        }
        made.append({"path": row["file"], **line})
        count[row["label"], row["source"]] += 1
        if count[row["label"], row["source"]] > COPIES:
            continue
        sound = decoded((out / row["file"]).read_bytes())
        rng = np.random.default_rng(int(row["sha256"][:8], 16))
        for name, copy in (("opus", opus(sound)), ("journey", journey(sound[: int(RATE * SECONDS)], rng))):
            path = out / "copies" / f"{row['sha256'][:16]}-{name}.wav"
            write(path, copy)
            made.append({"path": str(path.relative_to(out)), **line})
    return made


def table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sources = tomllib.loads(Path(__file__).with_name("speech_sources.toml").read_text("utf-8"))
    held, seen, rows = set(sources["held_sources"]), set[str](), []
    for entry in sources["repository"]:
        git = options.mirror / entry["name"].replace("/", "+") / "repo"
        if not git.exists():
            print(f"not here: {entry['name']}")
            continue
        rows += clips(git, entry, held, options.out, seen)
        print(entry["name"], len(rows), flush=True)
    table(options.out / "INDEX.csv", rows)
    table(options.out / "TRAIN.csv", copies(rows, options.out))


if __name__ == "__main__":
    main()
