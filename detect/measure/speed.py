"""Seconds and memory: one witness on one large picture, alone in a process of its own."""

from __future__ import annotations

import io
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from assay.detect.measure.conditions import QUALITY, scaled, written
from assay.detect.measure.run import Opener
from assay.provenance.files.picture import decode
from assay.provenance.subject import Subject

PIXELS = 12_000_000
"""Size to which a picture is brought for the clock."""
ROUNDS = 3
"""Times that a step is timed; the least counts."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Speed:
    """What one witness needs at ``megapixels``: to open, to decode the JPEG before, and to examine.

    ``wall`` are seconds as they pass, ``cpu`` seconds of all its threads together: on a busy machine only these
    mean something. ``peak_mib`` is the most memory that the process ever held, ``idle_mib`` what it held with the
    picture decoded and the witness open; ``refused`` says why there is nothing to time.
    """

    witness: str
    megapixels: float
    opening: float = 0.0
    decoding: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    peak_mib: float = 0.0
    idle_mib: float = 0.0
    refused: str = ""


def alone(name: str, opener: Opener, path: Path, pixels: int = PIXELS) -> Speed:
    """Time one witness in a fresh process; raises what opening it or the picture raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(timed, name, opener, path, pixels).result()
        except BrokenProcessPool:
            return Speed(name, 0.0, refused="the process ended abruptly, probably for want of memory")


def timed(name: str, opener: Opener, path: Path, pixels: int) -> Speed:
    """Time one witness in this process."""
    with Subject.open(path) as subject:
        small = subject.picture().pixels
    data = written(scaled(small, (pixels / (small.shape[0] * small.shape[1])) ** 0.5), "JPEG", QUALITY)
    picture = decode(io.BytesIO(data))
    start = time.perf_counter()
    witness = opener()
    opening = time.perf_counter() - start
    idle = peak_mib()
    clocks = [_clocks(lambda: witness(picture)) for _ in range(ROUNDS)]
    return Speed(
        name,
        picture.pixels.shape[0] * picture.pixels.shape[1] / 1e6,
        opening,
        min(_clocks(lambda: decode(io.BytesIO(data)))[0] for _ in range(ROUNDS)),
        min(wall for wall, _ in clocks),
        min(cpu for _, cpu in clocks),
        peak_mib(),
        idle,
    )


def _clocks(step: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mib() -> float:
    """Return the most memory this process has held, in MiB.

    Linux carries a parent's peak over into ``ru_maxrss`` of a process it starts; its own is in /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        return next(float(line.split()[1]) * 1024 / _MIB for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / _MIB if sys.platform == "darwin" else peak * 1024 / _MIB
