"""Say what the sandbox costs a file, warm: the same work in this process, in a child under limits, and in a sealed one.

    python bench/sandbox.py
    python bench/sandbox.py --runs 200

The three take turns, so that what else the machine does meets all of them alike. ``least`` is the fastest run, which
other work disturbs least, and ``CPU`` the median of processor time with the child's. ``sandbox costs`` is a sealed
child less this process: of the least by subtraction, of the others the median difference between neighbours in turn.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from assay.provenance.files.picture import decode, decode_isolated
from assay.provenance.files.worker import Answer, run, sandbox
from assay.provenance.limits import Limits

SEALED, LIMITED = Limits(), Limits(sandbox=())
SIZES = ((640, 480), (2560, 1600))
"""Width and height of the pictures: one of a page, and one of 4 megapixels."""


def picture(width: int, height: int) -> bytes:
    """Return a JPEG of smooth noise, about as hard to decode as a photograph."""
    small = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def processor() -> float:
    """Return the seconds of processor time that this process and its ended children have taken."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def turns(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Time each way so often, one after the other; milliseconds on the clock and of processor time."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(runs + 2):
        for name, way in ways.items():
            start, busy = time.perf_counter(), processor()
            way()
            if number >= 2:  # the first two warm up
                taken[name].append(((time.perf_counter() - start) * 1000, (processor() - busy) * 1000))
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=60)
    runs = parser.parse_args().runs
    start = time.perf_counter()
    held = sandbox(SEALED)
    print(f"sandbox: {held}; found out once a process, in {(time.perf_counter() - start) * 1000:.1f} ms")
    works: dict[str, dict[str, Callable[[], object]]] = {
        "nothing": {
            "in this process": lambda: None,
            "in a child under limits": lambda: run(lambda _: Answer({}), BytesIO(), LIMITED),
            "in a sealed child": lambda: run(lambda _: Answer({}), BytesIO(), SEALED),
        },
        **{f"decode {width} x {height}": decoding(picture(width, height)) for width, height in SIZES},
    }
    print(f"{'work':20}{'where':26}{'least ms':>10}{'median ms':>11}{'CPU ms':>9}")
    for work, ways in works.items():
        times = turns(ways, runs)
        for name, taken in times.items():
            clock, busy = zip(*taken, strict=True)
            row(work, name, min(clock), statistics.median(clock), statistics.median(busy))
        here, child = times["in this process"], times["in a sealed child"]
        pairs = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(here, child, strict=True)]
        clock, busy = (statistics.median(column) for column in zip(*pairs, strict=True))
        row(work, "sandbox costs", min(child)[0] - min(here)[0], clock, busy)


def decoding(data: bytes) -> dict[str, Callable[[], object]]:
    """Return the three ways to decode a picture."""
    return {
        "in this process": lambda: decode(BytesIO(data)),
        "in a child under limits": lambda: decode_isolated(BytesIO(data), LIMITED),
        "in a sealed child": lambda: decode_isolated(BytesIO(data), SEALED),
    }


def row(work: str, name: str, least: float, middle: float, busy: float) -> None:
    """Print one line of the table."""
    print(f"{work:20}{name:26}{least:10.2f}{middle:11.2f}{busy:9.2f}")


if __name__ == "__main__":
    main()
