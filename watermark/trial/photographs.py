"""The photographs of a trial: found, read, and worked on in several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from assay.provenance.errors import InputError, LimitError
from assay.provenance.media import Samples
from assay.provenance.subject import Subject

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".bmp"})
"""Files that are taken from a folder; one that is named itself may have any suffix."""
MIN_SIDE = 32
"""Shortest side of a photograph on which attacks make sense."""

Answer = TypeVar("Answer")


def find(paths: Iterable[Path], limit: int = 0) -> list[Path]:
    """Return files, and the pictures in folders by name, at most ``limit`` of each folder, evenly spread.

    Raises InputError where a path is missing or a folder holds no picture.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.is_file():
                raise InputError("there is no such file or folder", path=path)
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not inside:
            raise InputError("holds no picture", hint=f"looked for {' '.join(sorted(SUFFIXES))}", path=path)
        few = min(limit, len(inside)) if limit else len(inside)
        found += [inside[number * len(inside) // few] for number in range(few)]
    return found


def load(path: Path) -> Samples:
    """Return a photograph's pixels; raises what decoding raises, LimitError below MIN_SIDE; each names the file."""
    try:
        with Subject.open(path) as subject:
            pixels = subject.picture().pixels
        if min(pixels.shape[:2]) < MIN_SIDE:
            raise LimitError(f"has a side of fewer than {MIN_SIDE} pixels")
    except InputError as error:
        error.path = error.path or str(path)
        raise
    return pixels


def seed_of(picture: Samples, seed: int) -> bytes:
    """Return what moves a photograph's random numbers: the same on every machine, whatever it is called."""
    digest = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=32)
    digest.update(repr((picture.shape, seed)).encode())
    return digest.digest()


def work(jobs: Sequence[Callable[[], Answer]], processes: int) -> Iterator[Answer]:
    """Call jobs, which must be picklable, in so many processes; yield their answers in order.

    Raises LimitError where the system ends a process, which is how memory runs out.
    """
    if processes < 2 or len(jobs) < 2:
        for job in jobs:
            yield job()
        return
    # Spawned, not forked: the libraries on trial have threads of their own.
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn"))
    try:
        yield from pool.map(_call, jobs)
    except BrokenProcessPool as error:
        raise LimitError(
            "a process ended abruptly, probably for want of memory", hint="fewer --jobs, or no rivaGan"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _call(job: Callable[[], Answer]) -> Answer:
    return job()
