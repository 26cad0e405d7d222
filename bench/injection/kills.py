"""Kill -9 at random: by the clock, and by the count of system calls; the same log all the time."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable, Sequence

from .judge import Judge
from .tracing import Tracer
from .workload import BURN_AT, Broker, Job, fork, messages

FULL_CHECK_EVERY = 10
"""Each judgement derives the root anew; every tenth, and the last, also re-reads all that is stored."""
_WEIGHTS = {"pwrite64": 12, "fdatasync": 4, "ftruncate": 2, "unlink": 2}
_MOST = {"pwrite64": BURN_AT, "fdatasync": 40, "ftruncate": 20, "unlink": 4}


def by_clock(url: str, kills: int, seed: int, judge: Judge, tick: Callable[[], object]) -> None:
    """Kill writers at random moments, in half the rounds two of them that write to the log at once.

    One moment in five lies anywhere from the fork on, so that opening is hit too; the others lie within 40 ms after
    the first acknowledgement.
    """
    rng = random.Random(seed)
    done = 0
    while done < kills:
        writers = [seed * 100_000 + done + number for number in range(min(kills - done, rng.choice((1, 2))))]
        children = [(writer, *fork(Job(url, writer))) for writer in writers]
        for _, pid, answers in children:
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0, 0.03))
            else:
                select.select([answers], [], [], 60)
                time.sleep(rng.uniform(0, 0.04))
            os.kill(pid, signal.SIGKILL)
        for writer, pid, answers in children:
            judge.hear(writer, messages(answers))
            judge.ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        done += len(writers)
        tenth = done // FULL_CHECK_EVERY > (done - len(writers)) // FULL_CHECK_EVERY
        judge.judge(full=tenth or done >= kills)
        tick()


def by_call(
    url: str, kills: int, seed: int, judge: Judge, broker: Broker, tick: Callable[[], object]
) -> None:
    """Kill writers at their n-th call of a kind by which files are changed; kind and n at random."""
    rng = random.Random(seed)
    names: Sequence[str] = list(_WEIGHTS)
    with Tracer(broker.pid, "signal=KILL") as tracer:
        for done in range(1, kills + 1):
            name = rng.choices(names, list(_WEIGHTS.values()))[0]
            writer = seed * 100_000 + 50_000 + done
            said, status = broker.run(Job(url, writer, burn=name, call=rng.randint(1, _MOST[name])))
            judge.hear(writer, said)
            judge.ended(status)
            tracer.calls()  # keeps the file's end near
            judge.judge(full=not done % FULL_CHECK_EVERY or done == kills)
            tick()
