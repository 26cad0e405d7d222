"""Measure the ledger against the disk's own fsync and a peer: appends, proofs, audit, bytes a leaf, cost by size.

    python bench/ledger.py                       rates at 100,000 entries, about a minute
    python bench/ledger.py --curve 7             the same at 10^3 … 10^7 entries (ten minutes, 8 GB of disk)
    python bench/ledger.py --curve 7 --plot docs/ledger-cost.png     … drawn (needs matplotlib)

pymerkle is measured beside it where it is installed. It keeps a Merkle tree alone: no signed head, no look-ups,
and its database does not wait for the disk. The fsync probe appends 4 KiB and waits for it, before and after
each row; a ratio of 1 would be a ledger that costs nothing but the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from entries import ORIGIN, SCHEME, SIGNER, new_entry, new_log, show

from assay.ledger.log import SqlLog
from assay.ledger.tlog.proof import verify_receipt
from assay.provenance.asset import Digest
from assay.provenance.entry import Fingerprint, Recovery
from assay.provenance.mark import Mark

BATCHES = (1, 10, 100, 256, 1000, 4096)
FILL = 4096


def per_second(action: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    for number in range(count):
        action(number)
    return count / (time.perf_counter() - start)


def fsync_rate(folder: str, count: int = 300) -> float:
    """Return how often a second this disk makes 4 KiB more durable."""
    with (Path(folder) / "probe").open("wb", buffering=0) as file:

        def once(_: int) -> None:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())

        return per_second(once, count)


def appending(log: SqlLog, folder: str, at: int) -> dict[str, float]:
    """Measure commits of several sizes, the probe before and after each."""
    result: dict[str, float] = {}
    for batch in BATCHES:
        rounds = max(8, min(1000, 40_000 // batch))
        groups = [[(new_entry(at + r * batch + n), None) for n in range(batch)] for r in range(rounds)]
        at += batch * rounds
        before = fsync_rate(folder)
        times = []
        for group in groups:
            start = time.perf_counter()
            log.append_many(group)
            times.append(time.perf_counter() - start)
        probe = (before + fsync_rate(folder)) / 2
        commits = rounds / sum(times)
        result[f"{batch} a commit: entries/s"] = commits * batch
        result[f"{batch} a commit: p99 ms"] = float(np.percentile(times, 99)) * 1000
        if batch == 1:
            result["1 a commit: commits per fsync of the probe"] = commits / probe
            result["fsync/s of the probe"] = probe
    return result


def group_commit(log: SqlLog, at: int, writers: int = 8, each: int = 2000) -> float:
    """Return entries a second when threads submit one by one and wait for each hundred."""
    entries = [[new_entry(at + w * each + n) for n in range(each)] for w in range(writers)]

    def work(mine: int) -> None:
        waiting = []
        for entry in entries[mine]:
            waiting.append(log.submit(entry))
            if len(waiting) == 100:
                for pending in waiting:
                    pending.index()
                waiting = []

    threads = [threading.Thread(target=work, args=(w,)) for w in range(writers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return writers * each / (time.perf_counter() - start)


def with_recovery(log: SqlLog, at: int) -> dict[str, float]:
    rng = np.random.default_rng(1)
    kept = [
        Recovery(rng.bytes(16), Fingerprint("pdq", rng.bytes(32), 100), rng.bytes(6000), rng.bytes(20_000))
        for _ in range(500)
    ]
    items = [(new_entry(at + number, record), record) for number, record in enumerate(kept)]
    start = time.perf_counter()
    log.append_many(items)
    result = {"append/s with recovery records, 500 a commit": len(items) / (time.perf_counter() - start)}
    result["append/s with recovery record and receipt, 1 a commit"] = per_second(
        lambda number: log.append(*items[number]), 200
    )
    prints = [record.fingerprint for record in kept if record.fingerprint]
    result["find fingerprint/s"] = per_second(lambda number: log.find_fingerprint(prints[number]), 300)
    return result


def reading(log: SqlLog, url: str, count: int = 2000) -> dict[str, float]:
    """Measure proofs at random places, cold (a log just opened) and warm, and look-ups."""
    rng = np.random.default_rng(2)
    size = log.size
    places = [int(place) for place in rng.integers(0, size, count)]
    result: dict[str, float] = {}
    with SqlLog.open(url, ORIGIN, SIGNER) as cold:
        result["receipt/s, the first 100 of a log just opened"] = per_second(
            lambda number: cold.receipt(places[number]), 100
        )
    for place in places[:500]:
        log.receipt(place)
    times = []
    receipts = []
    for place in places:
        start = time.perf_counter()
        receipts.append(log.receipt(place))
        times.append(time.perf_counter() - start)
    result["receipts/s, warm (proof, verified, with checkpoint and entry)"] = 1 / statistics.mean(times)
    result["… p99 ms"] = float(np.percentile(times, 99)) * 1000
    result["inclusion proofs/s, warm"] = per_second(lambda number: log.inclusion(places[number]), count)
    olds = [int(place) for place in rng.integers(1, size, 300)]
    result["consistency proofs/s"] = per_second(lambda number: log.consistency(olds[number]), 300)
    result["receipt bytes"] = statistics.mean(len(r.text) for r in receipts[:100])
    result["verify receipt/s, other checkpoint each time"] = per_second(
        lambda number: verify_receipt(receipts[number], [SIGNER.vkey]), count
    )
    result["find digest/s"] = per_second(
        lambda number: log.find_digest(Digest.of(b"%d" % places[number])), 500
    )
    result["find mark/s"] = per_second(
        lambda number: log.find_mark(Mark(SCHEME, f"{places[number]:016x}")), 500
    )
    return result


def weight(file: Path, size: int) -> dict[str, float]:
    """Return bytes a leaf: of the tree, of the look-up keys, of the entries, and of the whole file."""
    with sqlite3.connect(file) as db:
        pages = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    db.close()
    tree = sum(pages.get(name, 0) for name in ("tiles", "sqlite_autoindex_tiles_1", "tail"))
    return {
        "bytes a leaf: tree": tree / size,
        "bytes a leaf: look-up keys": pages.get("keys", 0) / size,
        "bytes a leaf: entries": pages.get("entries", 0) / size,
        "bytes a leaf: the whole file": sum(pages.values()) / size,
    }


def auditing(log: SqlLog) -> dict[str, float]:
    size = log.size
    start = time.perf_counter()
    problems = log.check()
    whole = time.perf_counter() - start
    start = time.perf_counter()
    problems += log.check(lookups=False)
    return {
        "audit entries/s (rows, tiles, root, keys, notes, database)": size / whole,
        "audit entries/s, look-up keys left out": size / (time.perf_counter() - start),
        "audit problems": len(problems),
    }


def fill(log: SqlLog, size: int) -> float:
    """Fill a log up to a size; return entries a second."""
    start, began = log.size, time.perf_counter()
    for at in range(start, size, FILL):
        log.append_many([(new_entry(number), None) for number in range(at, min(size, at + FILL))])
    return (size - start) / (time.perf_counter() - began) if size > start else 0.0


def at_size(folder: str, log: SqlLog, size: int) -> dict[str, float]:
    """Fill a log up to a size and measure it there."""
    url = f"sqlite:///{folder}/ledger.db"
    result = {"entries": float(size), "filling, 4096 a commit: entries/s": fill(log, size)}
    result |= weight(Path(folder) / "ledger.db", size)
    result |= auditing(log)
    result |= reading(log, url)
    probe = fsync_rate(folder)
    times = []
    for number in range(20):
        group = [(new_entry(size + number * 256 + n), None) for n in range(256)]
        start = time.perf_counter()
        log.append_many(group)
        times.append(time.perf_counter() - start)
    result["256 a commit: entries/s"] = 256 / statistics.mean(times)
    result["fsync/s of the probe"] = probe
    return result


def peer(size: int) -> dict[str, float]:
    """Measure pymerkle at a size; {} where it is not installed."""
    try:
        from pymerkle import InmemoryTree, SqliteTree
    except ImportError:
        return {}
    rng = np.random.default_rng(2)
    places = [int(place) + 1 for place in rng.integers(0, size, 200)]
    leaves = [new_entry(number).to_bytes() for number in range(size)]
    tree = InmemoryTree()
    result = {
        "pymerkle in memory: append/s": per_second(lambda number: tree.append_entry(leaves[number]), size)
    }
    tree.get_root()
    result["pymerkle in memory: inclusion proofs/s"] = per_second(
        lambda number: tree.prove_inclusion(places[number]), 200
    )
    with tempfile.TemporaryDirectory() as folder:
        kept = SqliteTree(f"{folder}/tree.db")
        start = time.perf_counter()
        kept.append_entries(leaves, chunksize=10_000)
        result["pymerkle in SQLite: append/s"] = size / (time.perf_counter() - start)
        result["pymerkle in SQLite: inclusion proofs/s"] = per_second(
            lambda number: kept.prove_inclusion(places[number]), 20
        )
        kept.close()
    return result


def plot(curve: list[dict[str, float]], file: Path) -> None:
    """Draw what each thing costs by the size of the log."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = {
        "append an entry (256 a commit)": "256 a commit: entries/s",
        "prove an entry (warm)": "inclusion proofs/s, warm",
        "find an entry by digest": "find digest/s",
        "audit an entry": "audit entries/s (rows, tiles, root, keys, notes, database)",
    }
    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=130)
    for label, name in lines.items():
        axes.plot([row["entries"] for row in curve], [1e6 / row[name] for row in curve], "o-", label=label)
    axes.set(xscale="log", yscale="log", xlabel="entries in the log", ylabel="microseconds each")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title("What the ledger costs by its size (SQLite, fsync at each commit)", fontsize=10)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=100_000, help="entries in the log when it is read")
    parser.add_argument("--curve", type=int, default=0, help="measure at 10^3 … 10^N entries instead")
    parser.add_argument("--folder", help="where the log is made (default: the system's temporary folder)")
    parser.add_argument("--plot", type=Path, help="draw the curve into this file")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, new_log(folder) as log:
        if options.curve:
            curve = []
            for power in range(3, options.curve + 1):
                curve.append(at_size(folder, log, 10**power))
                show({f"10^{power} entries": curve[-1]}, None)
            if options.json:
                options.json.write_text(json.dumps(curve, indent=2) + "\n")
            if options.plot:
                plot(curve, options.plot)
            return
        figures = {"appending": appending(log, folder, 0)}
        figures["appending"]["submitted by 8 threads: entries/s"] = group_commit(log, log.size)
        figures["appending"] |= with_recovery(log, log.size)
        fill(log, options.size)
        figures[f"at {log.size:,} entries"] = (
            weight(Path(folder) / "ledger.db", log.size)
            | auditing(log)
            | reading(log, f"sqlite:///{folder}/ledger.db")
        )
        if found := peer(min(options.size, 100_000)):
            figures["peer"] = found
    show(figures, options.json)


if __name__ == "__main__":
    main()
