"""Do faults to a ledger on purpose and count what they cost: nothing that was acknowledged may be lost.

    python bench/faults.py --kills 1000        kill -9 a writer, at random moments and at random system calls
    python bench/faults.py --syscalls          EIO, ENOSPC and kill at each call that changes the ledger's files
    python bench/faults.py --syscalls --sample 60
    python bench/faults.py --power             the power fails after each call: what was not synced may be gone
    python bench/faults.py --postgres 1000     kill -9 round a real server: nine clients, then the server itself, …

Prints tables and ends with 1 if anything was lost. ``--syscalls``, ``--power`` and half of the kills need strace. A
kill ends the process, not the machine: what the kernel has taken it keeps. What a failure of power may leave is put
together from a recorded run (injection/power.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from injection import kills, power, syscalls
from injection.judge import Judge
from injection.tracing import refusal
from injection.workload import Broker, create

BAD = ("lost", "wrong roots", "failed checks", "not opened", "phantom rows", "foreign exceptions", "hung")
"""What must not happen, as the judge counts it."""


def ticker() -> Callable[[], None]:
    """Return a function that shows on a terminal that something goes on."""
    started = time.monotonic()
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if sys.stderr.isatty():
            print(f"\r{count}  {time.monotonic() - started:.0f} s ", end="", file=sys.stderr, flush=True)

    return tick


def killing(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill so often: half by the clock, half by the call where strace can be had."""
    url = create(folder / "kills.db")
    judge = Judge(url)
    why_not = refusal()
    by_call = 0 if why_not else count // 2
    started = time.monotonic()
    broker = Broker()
    tick = ticker()
    kills.by_clock(url, count - by_call, seed, judge, tick)
    if by_call:
        kills.by_call(url, by_call, seed, judge, broker, tick)
    broker.close()
    judge.go_on()
    figures = {"by the clock": count - by_call, "by the call": by_call, **judge.counts}
    figures["seconds"] = round(time.monotonic() - started, 1)
    if why_not:
        figures["no kills by the call"] = why_not
    return {"figures": figures, "words": judge.words, "troubles": judge.troubles}


def killing_postgres(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill so often round a PostgreSQL server."""
    from injection import postgres  # needs psycopg and the package that carries a server

    started = time.monotonic()
    judge = postgres.campaign(folder / "postgres", count, seed, Judge, ticker())
    figures = {**judge.counts, "seconds": round(time.monotonic() - started, 1)}
    return {"figures": figures, "words": judge.words, "troubles": judge.troubles}


def failing_power(folder: Path, sample: int, seed: int) -> dict[str, Any]:
    """Let the power fail; return figures."""
    started = time.monotonic()
    counts, troubles = power.campaign(folder, sample, seed, ticker())
    figures = {**counts, "seconds": round(time.monotonic() - started, 1)}
    return {"figures": figures, "words": Counter(), "troubles": troubles}


def injecting(folder: Path, sample: int, seed: int, jobs: int) -> dict[str, Any]:
    """Make the calls fail; return figures by call and fault, and the words in which failures were reported."""
    started = time.monotonic()
    results = syscalls.campaign(folder, sample, seed, jobs, ticker())
    figures: Counter[str] = Counter()
    table: dict[str, Counter[str]] = {}
    words: dict[str, Counter[str]] = {}
    for result in results:
        name = f"{result.point.name} {result.fault}"
        row = table.setdefault(name, Counter())
        row.update({"runs": 1, "hit": result.hit, "reported": bool(result.reports)})
        row.update({bad: result.counts[bad] for bad in BAD})
        for report in set(result.reports):
            words.setdefault(name, Counter())[report] += 1
        figures.update(result.counts)
        figures.update({"runs": 1, "hit": result.hit})
    troubles = [f"{r.point} {r.fault}: {line}" for r in results for line in r.troubles]
    return {
        "figures": {**figures, "seconds": round(time.monotonic() - started, 1)},
        "table": table,
        "words": words,
        "troubles": troubles,
    }


def show(title: str, found: dict[str, Any]) -> None:
    print(title)
    for name, value in {**dict.fromkeys(BAD, 0), **found["figures"]}.items():
        print(f"  {name:<24} {value:>10,}" if not isinstance(value, str) else f"  {name}: {value}")
    if table := found.get("table"):
        print(
            f"\n  {'call and fault':<18}{'runs':>6}{'hit':>6}{'reported':>10}"
            + "".join(f"{b:>20}" for b in BAD)
        )
        for name, row in sorted(table.items()):
            print(
                f"  {name:<18}{row['runs']:>6}{row['hit']:>6}{row['reported']:>10}"
                + "".join(f"{row[b]:>20}" for b in BAD)
            )
        print("\n  reported in these words (runs)")
        for name, said in sorted(found["words"].items()):
            for words, times in said.most_common():
                print(f"    {name:<18} {times:>5}  {words}")
    else:
        for words, times in found["words"].most_common(20):
            print(f"    {times:>5}  {words}")
    for line in found["troubles"][:50]:
        print(f"  ! {line}")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill -9 so often")
    parser.add_argument(
        "--postgres", type=int, default=0, metavar="N", help="kill -9 so often with PostgreSQL"
    )
    parser.add_argument("--syscalls", action="store_true", help="make system calls fail")
    parser.add_argument("--power", action="store_true", help="let the power fail")
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="only so many of the faults of --syscalls, the moments of --power, of the power's moments",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    parser.add_argument("--jobs", type=int, default=2, help="cores for --syscalls (default 2)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if not (options.kills or options.syscalls or options.power or options.postgres):
        parser.error("nothing to do: --kills N, --syscalls, --power or --postgres N")
    if (options.syscalls or options.power) and (why_not := refusal()):
        parser.exit(2, f"{why_not}\n")
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        if options.kills:
            found["kill -9, SQLite"] = killing(folder, options.kills, options.seed)
        if options.postgres:
            found["kill -9, PostgreSQL"] = killing_postgres(folder, options.postgres, options.seed)
        if options.syscalls:
            (folder / "calls").mkdir()
            found["system calls, SQLite"] = injecting(
                folder / "calls", options.sample, options.seed, options.jobs
            )
        if options.power:
            (folder / "power").mkdir()
            found["power failures, SQLite"] = failing_power(folder / "power", options.sample, options.seed)
    for title, part in found.items():
        show(title, part)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(any(part["troubles"] for part in found.values()))


if __name__ == "__main__":
    main()
