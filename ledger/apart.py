"""Parts of an audit in processes of their own: Python hashes on one processor a process.

A child is a new interpreter that is given jobs, and the database's URL, on its standard input, one JSON value a line,
and answers in the same way. multiprocessing would run the caller's main module again in each child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any

from assay.ledger.store.database import Store
from assay.ledger.sweep import KeySum, Stretch, Subtrees, sweep
from assay.provenance.errors import AssayError, LedgerError

Job = tuple[int, int, int | None]
"""First entry, end and seed, as ``sweep`` takes them."""
_COMMAND = (sys.executable, "-P", "-m", "assay.ledger.apart")


def run_apart(url: str, jobs: Iterable[Job]) -> Iterator[Stretch]:
    """Run jobs on all processors; yield what they came to in order. Raises LedgerError where a child fails."""
    idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            pipe = subprocess.PIPE
            child = stack.enter_context(subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, text=True))  # noqa: S603
            stack.callback(_end, child)
            _ask(child, url)
            idle.put(child)

        def run(job: Job) -> Stretch:
            child = idle.get()
            try:
                return _read(_answer(child, job))
            finally:
                idle.put(child)

        pool = stack.enter_context(ThreadPoolExecutor(idle.qsize()))
        yield from pool.map(run, jobs)


def _ask(child: subprocess.Popen[str], question: object) -> None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(question) + "\n")
    child.stdin.flush()


def _answer(child: subprocess.Popen[str], job: Job) -> dict[str, Any]:
    assert child.stdout is not None
    try:
        _ask(child, job)
        line = child.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise LedgerError("a process of the audit died", hint="run the audit again; it changes nothing")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise LedgerError(answer["error"], hint=answer["hint"])
    return answer


def _end(child: subprocess.Popen[str]) -> None:
    """Let a child go that waits for a job; a busy one, left behind by an error, is stopped."""
    child.kill()


def _read(answer: dict[str, Any]) -> Stretch:
    def subtrees(rows: list[list[Any]]) -> Subtrees:
        return [(level, bytes.fromhex(node)) for level, node in rows]

    found = Stretch(
        subtrees(answer["rows"]),
        subtrees(answer["tiles"]),
        [(index, own, kept) for index, own, kept in answer["unlike"]],
    )
    found.keys, found.kept = KeySum(*answer["keys"]), KeySum(*answer["kept"])
    found.problems.extend(answer["problems"])
    found.problems.more = answer["more"]
    return found


def _write(found: Stretch) -> dict[str, Any]:
    return {
        "rows": [(level, node.hex()) for level, node in found.rows],
        "tiles": [(level, node.hex()) for level, node in found.tiles],
        "unlike": found.unlike,
        "keys": (found.keys.count, found.keys.total),
        "kept": (found.kept.count, found.kept.total),
        "problems": list(found.problems),
        "more": found.problems.more,
    }


def _do(store: Store, job: Job) -> dict[str, Any]:
    try:
        with store.reading() as tx:
            return _write(sweep(tx, *job))
    except AssayError as error:
        return {"error": error.message, "hint": error.hint}


def main() -> None:
    """Answer the parent's questions until it stops asking."""
    store = Store.open(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_do(store, json.loads(line))) + "\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
