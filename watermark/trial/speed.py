"""Seconds and memory: one method on one large picture, alone in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from assay.provenance.errors import LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.attacks import generator
from assay.watermark.trial.changes import at_most, cropped, to_size
from assay.watermark.trial.methods import Answer, open_method
from assay.watermark.trial.photographs import load, seed_of
from assay.watermark.trial.robustness import random_payload

PIXELS = 12_000_000
"""Size to which a photograph is brought for the clock; a method that takes less gets what it takes."""
ROUNDS = 3
"""Times that each step is timed; the least counts."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds at ``megapixels``: to embed, to read a whole picture, one cropped to half, and an unmarked one.

    ``peak_mib`` is the most memory that the process ever held, ``idle_mib`` what it held with the picture and
    the method loaded; ``refused`` says why there is nothing to time.
    """

    method: str
    megapixels: float
    embed: float = 0.0
    read: float = 0.0
    read_crop: float = 0.0
    read_unmarked: float = 0.0
    peak_mib: float = 0.0
    idle_mib: float = 0.0
    refused: str = ""


def alone(method: str, path: Path, seed: int = 0, pixels: int = PIXELS) -> Speed:
    """Time one method in a fresh process; raises what opening it or the photograph raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(timed, method, path, seed, pixels).result()
        except BrokenProcessPool:
            return Speed(method, 0.0, refused="the process ended abruptly, probably for want of memory")


def timed(name: str, path: Path, seed: int, pixels: int) -> Speed:
    """Time one method in this process."""
    method = open_method(name)
    picture = enlarged(load(path), min(pixels, method.most_pixels or pixels))
    size = picture.shape[0] * picture.shape[1] / 1e6
    idle = peak_mib()
    payload = random_payload(method, seed_of(picture, seed))
    try:
        marked = method.embed(picture, payload)
    except LimitError as error:
        return Speed(name, size, refused=error.message)
    crop = cropped(0.5)(marked, generator(b"", "speed"))
    return Speed(
        name,
        size,
        least(lambda: method.embed(picture, payload)),
        least(lambda: method.extract(marked)),
        least(lambda: method.extract(crop)),
        least(lambda: method.extract(picture)),
        peak_mib(),
        idle,
    )


def enlarged(picture: Samples, pixels: int) -> Samples:
    """Return the picture at so many pixels, of its own shape."""
    factor = (pixels / (picture.shape[0] * picture.shape[1])) ** 0.5
    if factor <= 1:
        return at_most(picture, pixels)
    return to_size(picture, picture.shape[1] * factor, picture.shape[0] * factor)


def least(step: Callable[[], Samples | Answer]) -> float:
    """Return the least of ROUNDS times, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


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
