"""Fuzz every parser of ours that reads what others wrote; keep what does harm.

    python bench/fuzz.py --rounds 100000 --seed 7

An input that raises anything but an AssayError, or takes more than two seconds, is written to tests/fuzz/seeds/TARGET/
and tried in every run of the tests from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from assay.provenance.errors import AssayError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import SEEDS, Target, targets

LONGEST = 2.0


def tried(target: Target, data: bytes) -> str:
    """Return what harm an input does, "" for none."""
    start = time.monotonic()
    try:
        target.read(data)
    except AssayError:
        pass
    except Exception:
        return traceback.format_exc(limit=-3)
    took = time.monotonic() - start
    return f"{took:.1f} s" if took > LONGEST else ""


def main() -> None:
    """Print a line a target: inputs, how many were read, harms, inputs a second."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers.")
    parser.add_argument("--rounds", type=int, default=10_000, help="inputs of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="one target")
    options = parser.parse_args()
    harmed = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in targets(Path(folder)):
            if options.only not in ("", target.name):
                continue
            rng, harms, start = np.random.default_rng((options.seed, len(target.name))), 0, time.monotonic()
            for _ in range(options.rounds):
                data = mutated(target.documents[int(rng.integers(len(target.documents)))], rng)
                if harm := tried(target, data):
                    harms += 1
                    place = SEEDS / target.name / hashlib.sha256(data).hexdigest()[:16]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
                    print(f"{target.name}: {place.name}\n{harm}", file=sys.stderr)
                    if harms >= 5:
                        break
            took = time.monotonic() - start
            harmed += harms
            print(
                f"{target.name:16} {options.rounds:8} inputs, {harms} harms, {options.rounds / took:7.0f} a second"
            )
    raise SystemExit(1 if harmed else 0)


if __name__ == "__main__":
    main()
