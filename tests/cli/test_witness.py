"""The ledger and its witnesses from the command line, with witnesses that are processes of their own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack

import pytest

from .test_commands import lines


def running(stack: ExitStack, terminal, folder, logs) -> str:
    """Start ``assay ledger witness serve`` and return its URL."""
    command = [sys.executable, "-c", "from assay.cli.main import run; run()", "--quiet"]
    command += ["ledger", "witness", "serve", str(folder), "--logs", str(logs), "--port", "0"]
    child = stack.enter_context(
        subprocess.Popen(command, cwd=terminal.folder, stdout=subprocess.PIPE, text=True)
    )
    stack.callback(lambda: os.kill(child.pid, signal.SIGINT))
    assert child.stdout
    return child.stdout.readline().strip()


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def town(desk, terminal, stack):
    """A workspace whose settings name two witnesses of which both are needed; returns the policy's file."""
    logs = desk.path(".policy")
    logs.write_text(f"log {desk.workspace.log.vkey}\nquorum none\n")
    policy = ["# who has seen our ledger", f"log {desk.workspace.log.vkey}"]
    for name, algorithm in (("ours", "ed25519"), ("theirs", "ml-dsa-44")):
        made = terminal(
            "ledger", "witness", "new", name, "--name", f"{name}.example", "--algorithm", algorithm
        )
        url = running(stack, terminal, name, logs)
        policy.append(f"witness {name} {made.out.strip()} {url}")
    policy += ["group both all ours theirs", "quorum both", ""]
    path = desk.workspace.home / "witnesses.policy"
    path.write_text("\n".join(policy))
    with (desk.workspace.home / "assay.toml").open("a") as settings:
        settings.write('witnesses = "witnesses.policy"\n')
    return path


def test_asked_witnesses_cosign_and_their_word_travels_with_the_receipt(desk, terminal, nowhere, town):
    picture = desk.picture()
    terminal("ledger", "append", picture)
    (asked,) = lines(terminal("ledger", "witness", "ask", "--json"))
    assert (asked["size"], asked["quorum"], asked["problem"]) == (1, True, None)
    assert [w["name"] for w in asked["witnesses"]] == ["ours", "theirs"]
    assert all(w["time"].endswith("Z") and w["problem"] is None for w in asked["witnesses"])
    assert (desk.workspace.home / "witnessed.note").read_text() == asked["checkpoint"]
    shown = terminal("ledger", "witness", "ask").out
    assert "ours" in shown
    assert "cosigned at size 1: the quorum of witnesses is reached" in shown

    receipt = desk.file(terminal("ledger", "receipt", "0").out.encode(), ".tlog-proof")
    assert receipt.read_text().count("\n— ") == 3
    said = nowhere("ledger", "receipt", receipt, "--policy", town, "--file", picture).out
    assert "the receipt holds: entry 0" in said
    assert "cosigned by ours (20" in said
    bare = desk.file("".join(receipt.read_text().partition("\n— theirs")[0]).encode() + b"\n", ".tlog-proof")
    (answer,) = lines(nowhere("ledger", "receipt", bare, "--policy", town, "--json", expect=1))
    assert answer["problem"].startswith("the quorum of witnesses is not reached: both has 1 of the 2")
    terminal("ledger", "receipt", bare)  # the workspace's own key needs no witness
    nowhere("ledger", "receipt", receipt, expect=5)  # no policy, no workspace


def test_a_foreign_ledger_is_believed_once_a_trust_list_names_it(desk, terminal, nowhere, town):
    picture = desk.picture()
    terminal("ledger", "append", picture)
    terminal("ledger", "witness", "ask")
    receipt = desk.file(terminal("ledger", "receipt", "0").out.encode(), ".tlog-proof")
    nowhere("init")
    assert "nor in a trust list" in nowhere("ledger", "receipt", receipt, expect=1).out
    added = nowhere("trust", "add", town, "--kind", "log", "--name", "agency").out
    assert "1 logs, 2 witnesses" in added
    (answer,) = lines(nowhere("ledger", "receipt", receipt, "--file", picture, "--json"))
    assert (answer["valid"], answer["by"]) == (True, "agency")
    assert [w["name"] for w in answer["witnesses"]] == ["ours", "theirs"]
    report = lines(nowhere("verify", picture, "--json", expect=None))[0]
    assert report["trust"] == []  # the C2PA engine never sees it
    (listed,) = lines(nowhere("trust", "list", "--json"))
    assert (listed["kind"], listed["anchors"], listed["end_entities"]) == ("log", 1, 2)
    nowhere("trust", "remove", "agency", "--kind", "log")
    nowhere("ledger", "receipt", receipt, expect=1)
    junk = desk.file(b"quorum none\n", ".policy")
    assert "names no log" in nowhere("trust", "add", junk, "--kind", "log", expect=5).err
    nowhere("trust", "add", desk.file(b"log x\n", ".policy"), "--kind", "log", expect=5)


def test_a_restored_backup_is_stopped_by_the_witnesses_and_then_by_memory(desk, terminal, town):
    home = desk.workspace.home
    for _ in range(2):
        terminal("ledger", "append", desk.picture())
    backup = home / "backup.sqlite"
    with sqlite3.connect(home / "ledger.sqlite") as old, sqlite3.connect(backup) as new:
        old.backup(new)
    old.close()
    new.close()
    terminal("ledger", "append", desk.picture(name="coffee"))
    terminal("ledger", "witness", "ask")
    desk.workspace.log.close()
    for suffix in ("-wal", "-shm"):
        (home / f"ledger.sqlite{suffix}").unlink(missing_ok=True)
    backup.replace(home / "ledger.sqlite")
    refused = terminal("ledger", "append", desk.picture(name="chelsea"), expect=5).err
    assert "holds 2 entries, but the ledger had 3 when it was last seen from outside" in refused
    unasked = terminal("ledger", "witness", "ask", expect=5).err
    assert "an older copy was restored" in unasked
    (home / "witnessed.note").unlink()  # a whole workspace restored: only the witnesses remember
    stopped = terminal("ledger", "witness", "ask", expect=5).err
    assert "this database holds 2 entries, but witness" in stopped
    assert "has cosigned 3" in stopped
    assert "an older copy of the ledger was restored" in stopped


def test_a_dead_witness_is_named_and_a_missed_quorum_exits_1(desk, terminal, town):
    text = town.read_text()
    url = text.split("witness ours ")[1].split("\n")[0].split(" ")[1]
    town.write_text(text.replace(url, "http://127.0.0.1:1"))
    (asked,) = lines(terminal("ledger", "witness", "ask", "--json", expect=1))
    assert asked["quorum"] is False
    assert asked["checkpoint"] is None
    assert "cannot be reached" in asked["witnesses"][0]["problem"]
    assert asked["witnesses"][1]["time"]
    assert "without ours" in terminal("ledger", "witness", "ask", expect=1).out
    assert not (desk.workspace.home / "witnessed.note").exists()
    town.write_text(town.read_text().replace("group both all", "group both any"))
    terminal("ledger", "witness", "ask")


def test_a_witness_is_made_once_with_a_key_that_only_its_owner_reads(desk, terminal, nowhere):
    made = json.loads(nowhere("ledger", "witness", "new", "w", "--name", "w.example", "--json").out)
    assert made["vkey"].startswith("w.example+")
    seed = nowhere.folder / "w" / "witness.seed"
    assert stat.S_IMODE(seed.stat().st_mode) == 0o400
    assert len(seed.read_bytes()) == 32
    nowhere("ledger", "witness", "new", "w", "--name", "w.example", expect=5)
    nowhere("ledger", "witness", "new", "v", "--name", "a b", expect=4)
    assert not (nowhere.folder / "v").exists()
    logs = nowhere.folder / "logs.policy"
    logs.write_text("quorum none\n")
    assert "names no log" in nowhere("ledger", "witness", "serve", "w", "--logs", logs, expect=5).err
    logs.write_text(f"log {desk.workspace.log.vkey}\nquorum none\n")
    assert "no witness here" in nowhere("ledger", "witness", "serve", "v", "--logs", logs, expect=5).err
    seed.chmod(0o644)
    assert "other users" in nowhere("ledger", "witness", "serve", "w", "--logs", logs, expect=5).err
    seed.write_bytes(bytes(32))
    seed.chmod(0o400)
    assert (
        "not the one it is known by"
        in nowhere("ledger", "witness", "serve", "w", "--logs", logs, expect=5).err
    )
    assert "name no witnesses" in terminal("ledger", "witness", "ask", expect=5).err
