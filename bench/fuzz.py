"""Fuzz every parser of ours that reads what others wrote; keep what does harm.

    python bench/fuzz.py --rounds 100000 --seed 7
    python bench/fuzz.py --manifests 600
    python bench/fuzz.py --strings --corpus $ASSAY_CORPUS

An input that raises anything but an AssayError, or takes more than two seconds, is written to tests/fuzz/seeds/TARGET/
and tried in every run of the tests from then on. With --manifests, signed files whose boxes were damaged go through
`verify` for so many seconds of processor time, and tests/fuzz/manifests.py judges what came of each. With --strings,
every hostile string (with --corpus, those of c2pa-attacks too) is signed into every field of credentials, and what
`verify` and `inspect` print of it is looked at.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
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


def spent() -> float:
    """Return the seconds of processor time of this process and of the children that ended."""
    return sum(os.times()[:4])


def damage(seconds: float, seed: int) -> int:
    """Verify damaged files for so many seconds of processor time; print what was said of them, return the findings."""
    from tests.fuzz.manifests import KEPT, damaged, drawn, seeds, tried
    from tests.studio import Studio

    said: Counter[str] = Counter()
    findings, longest, number, start = 0, 0.0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        desk = studio.desk()
        files = seeds(desk)
        while spent() < seconds and findings < 20:
            rng = drawn(number, seed)
            chosen = files[int(rng.integers(len(files)))]
            case = damaged(chosen, rng)
            outcome = tried(desk, chosen, case, page=number % 20 == 0)
            said[outcome.said] += 1
            longest, number = max(longest, outcome.seconds), number + 1
            if outcome.finding:
                findings += 1
                place = KEPT / (hashlib.sha256(case.data).hexdigest()[:16] + case.suffix)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(case.data)
                print(
                    f"run {number - 1}, {chosen.carrier.name}: {place.name}\n{outcome.finding}",
                    file=sys.stderr,
                )
        studio.close()
    print(
        f"{number} damaged files, {findings} findings, {spent():.0f} s of processor time, "
        f"{time.monotonic() - start:.0f} s, longest {longest:.1f} s, load {os.getloadavg()[0]:.1f}"
    )
    for answer, count in said.most_common():
        print(f"  {count:7} {answer}")
    return findings


def hostile(corpus: Path | None) -> int:
    """Sign every string into every field and read the answers; print a line a field, return the findings."""
    from tests.cli.conftest import Terminal
    from tests.fuzz.strings import lists, signed, told
    from tests.studio import Studio

    files: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    findings, strings = 0, lists(corpus)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        for text in strings:
            desk = studio.desk()
            terminal = Terminal(desk.folder, desk.workspace.home)
            for field, made in signed(desk, text):
                if isinstance(made, str):
                    refused[field] += 1
                    continue
                files[field] += 1
                try:
                    found = told(terminal, made, text)
                except AssertionError as error:
                    found = [str(error)[:300]]
                findings += bool(found)
                for what in found:
                    print(f"{field}: {text[:60]!r}: {what}", file=sys.stderr)
            desk.close()
        studio.close()
    for field in sorted(files.keys() | refused.keys()):
        print(f"  {field:24} {files[field]:4} signed and read, {refused[field]:4} refused by the engine")
    print(f"{len(strings)} strings, {files.total()} files, {findings} findings")
    return findings


def main() -> None:
    """Print a line a target: inputs, how many were read, harms, inputs a second."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers.")
    parser.add_argument("--rounds", type=int, default=10_000, help="inputs of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="one target")
    parser.add_argument("--manifests", type=float, help="damage signed files for so many seconds instead")
    parser.add_argument(
        "--strings", action="store_true", help="sign hostile strings into every field instead"
    )
    parser.add_argument("--corpus", type=Path, help="the folder of other people's files, for their strings")
    options = parser.parse_args()
    if options.strings:
        raise SystemExit(1 if hostile(options.corpus) else 0)
    if options.manifests:
        raise SystemExit(1 if damage(options.manifests, options.seed) else 0)
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
