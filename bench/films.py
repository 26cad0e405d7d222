"""How long an hour of 1080p takes to be verified, and in how much memory.

    python bench/films.py --minutes 60 [--json FILE] [--keep FOLDER]

Twelve seconds of moving shapes under grain are coded as H.264 at 1920 x 1080 and 30 frames a second, with a sound, and
their packets are repeated for as long as is asked: what follows reads a file as long and as large as a real one. It is
signed without a mark (--mark signs it with one, which codes it all again) and verified, as signed and as it was before,
which leads to the entry by its frames; each step's wall-clock and CPU
time, children included, and the largest resident set of this process and of a child are printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT, RATE = 1920, 1080, 30
SECONDS = 12
"""Length of what is coded and repeated."""
SCENE = 4
"""Seconds from one scene to the next."""


def coded(path: Path) -> None:
    """Write the film that is repeated."""
    import av

    rng = np.random.default_rng(1)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    grain = rng.integers(0, 4, (4, HEIGHT, WIDTH, 3), np.uint8)
    with av.open(str(path), "w", format="mp4") as sink:
        video = sink.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "28"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        voice = sink.add_stream("aac", rate=48_000, layout="stereo")
        for n in range(SECONDS * RATE):
            if n % (RATE * SCENE) == 0:
                waves = zip(rng.uniform(20, 160, 3), rng.uniform(0, 6, 3), strict=True)
                scene = np.stack(
                    [128 + 90 * np.sin(x / s + p) * np.cos(y / (s + 9) - p) for s, p in waves], axis=2
                )
                base = scene.astype(np.uint8)
            moved = np.roll(base, 4 * (n % (RATE * SCENE)), axis=1) + grain[n % 4]
            sink.mux(video.encode(av.VideoFrame.from_ndarray(moved, "rgb24")))
        sink.mux(video.encode(None))
        sound = rng.normal(0, 0.05, (1, SECONDS * 48_000 * 2)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound, "flt", "stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        sink.mux(voice.encode(frame))
        sink.mux(voice.encode(None))


def repeated(piece: Path, path: Path, minutes: int) -> None:
    """Write its packets again and again."""
    import av

    with av.open(str(path), "w", format="mp4") as sink:
        outs: list[Any] = []
        last: dict[int, int] = {}
        for turn in range(minutes * 60 // SECONDS):
            with av.open(str(piece)) as source:
                outs = outs or [sink.add_stream_from_template(s, opaque=True) for s in source.streams]
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * SECONDS / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    if packet.dts <= last.get(packet.stream_index, -(1 << 60)):
                        continue  # a packet of sound reaches over the end of the piece
                    last[packet.stream_index] = packet.dts
                    packet.stream = outs[packet.stream_index]
                    sink.mux(packet)


@contextmanager
def timed(name: str, rows: list[dict[str, Any]]) -> Iterator[None]:
    """Note what a block costs."""

    def cpu() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    start, before = time.monotonic(), cpu()
    yield
    own, child = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    row = {
        "step": name,
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(cpu() - before, 1),
        "process_mb": round(own),
        "child_mb": round(child),
    }
    rows.append(row)
    print(
        "{step:34} {seconds:8.1f} s  {cpu_seconds:8.1f} s CPU  {process_mb:6} MB  {child_mb:6} MB child".format(
            **row
        )
    )
    sys.stdout.flush()


def main() -> None:
    """Make the file, sign it, verify it check by check, and print what each costs."""
    from assay.provenance.claim import Claim
    from assay.provenance.subject import Subject
    from assay.provenance.workspace import SignOptions, Workspace

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--mark", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = asked.keep or Path(folder)
        place.mkdir(exist_ok=True)
        piece, film, signed = place / "piece.mp4", place / f"{asked.minutes}.mp4", place / "signed.mp4"
        if not piece.exists():
            coded(piece.with_suffix(".part"))
            piece.with_suffix(".part").rename(piece)
        if not film.exists():
            repeated(piece, film, asked.minutes)
        print(
            f"{asked.minutes} minutes, {film.stat().st_size / 1e6:.0f} MB, {WIDTH} x {HEIGHT}, {RATE} a second"
        )
        workspace = Workspace.init(Path(folder) / "home")
        with timed("sign", rows):
            options = SignOptions(mark=asked.mark, overwrite=True)
            workspace.sign_file(film, signed, Claim(source_type="digitalCapture"), options)
        for check in ("manifest", "mark", "receipt"):
            with timed(f"verify --checks {check}", rows):
                report = workspace.verify(signed, checks=(check,))
        with timed("verify the unsigned one, all checks", rows):
            report = workspace.verify(film)
        recovered = report.recovered
        print(f"verdict {report.verdict}, found by {recovered.by if recovered else 'nothing'}")
        with Subject.open(film) as subject, timed("decode 60 seconds", rows):
            for _ in subject.media().part(Fraction(0), Fraction(60)).timed():
                pass
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
