"""Witnesses over real HTTP on loopback: the protocol as its specification says it, and what our client makes of it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.log import SqlLog
from assay.ledger.serving import Server
from assay.ledger.tlog.cosignature import ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, Cosigner
from assay.ledger.tlog.merkle import EMPTY_ROOT, Frontier, consistency_proof, leaf_hash, root
from assay.ledger.tlog.note import Checkpoint, NoteSigner, open_note, sign_note
from assay.ledger.tlog.policy import KnownLog, TlogPolicy, parse_log_key
from assay.ledger.tlog.proof import verify_receipt
from assay.ledger.witness.client import ask
from assay.ledger.witness.memory import Memory, Witnessed
from assay.ledger.witness.server import application
from assay.ledger.witness.witness import MAX_REQUEST_BYTES, Witness
from assay.provenance.errors import LedgerError, UsageError
from assay.provenance.net import Net

from .worlds import ORIGIN, entry

LOG = NoteSigner.from_seed(ORIGIN, b"test seed of the ledger room 123")
NOW = 1_763_700_000
LEAVES = [leaf_hash(b"leaf %d" % n) for n in range(64)]


@dataclass
class Running:
    """A witness of ours behind a real server, with what a test wants to look at."""

    url: str
    cosigner: Cosigner
    memory: Memory


class Street:
    """Starts witnesses and stops them all at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()

    def witness(self, number: int, *, logs=(LOG.vkey,), algorithm=ED25519_COSIGNATURE) -> Running:
        cosigner = Cosigner.from_seed(f"witness.example/{number}", algorithm, bytes([number]) * 32)
        path = self.folder / f"{number}.sqlite"
        memory = self.stack.enter_context(Memory.open(path) if path.exists() else Memory.create(path))
        known = [KnownLog(parse_log_key(vkey)) for vkey in logs]
        app = application(Witness(cosigner, known, memory, lambda: NOW + number))
        server = self.stack.enter_context(Server(app, max_body=MAX_REQUEST_BYTES))
        return Running(server.url, cosigner, memory)

    def stop(self) -> None:
        self.stack.close()
        self.stack = ExitStack()


@pytest.fixture
def street(tmp_path):
    (tmp_path / "street").mkdir()
    street = Street(tmp_path / "street")
    yield street
    street.stop()


# ------------------------------------------------------------------ the protocol, by a client typed from its text


def post(url: str, body: bytes, path: str = "/add-checkpoint") -> SimpleNamespace:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return SimpleNamespace(
            status=answer.status, type=answer.getheader("Content-Type"), body=answer.read().decode()
        )
    finally:
        connection.close()


def tree_root(size: int, leaves=LEAVES) -> bytes:
    frontier = Frontier()
    for leaf in leaves[:size]:
        frontier.append(leaf)
    return frontier.root()


def node(level: int, index: int, leaves=LEAVES) -> bytes:
    return tree_root(1 << level, leaves[index << level :])


def note(size: int, *, signer=LOG, leaves=LEAVES, origin=ORIGIN) -> str:
    return sign_note(Checkpoint(origin, size, tree_root(size, leaves)).to_text(), signer)


def request(old: int, new: int, *, checkpoint: str = "", proof: list[bytes] | None = None) -> bytes:
    hashes = consistency_proof(node, old, new) if proof is None else proof
    lines = "".join(base64.b64encode(item).decode() + "\n" for item in hashes)
    return f"old {old}\n{lines}\n{checkpoint or note(new)}".encode()


def check_cosigned(running: Running, answer, size: int, *, leaves=LEAVES) -> None:
    """The answer is one signature line, and openssl's Ed25519 agrees with the message that the text prescribes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    assert answer.status == 200, answer.body
    dash, name, data = answer.body.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", running.cosigner.key.name)
    raw = base64.b64decode(data)
    public = running.cosigner.key.public
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    stamp = int.from_bytes(raw[4:12], "big")
    assert abs(stamp - NOW) < 100
    body = f"{ORIGIN}\n{size}\n{base64.b64encode(tree_root(size, leaves)).decode()}\n"
    message = f"cosignature/v1\ntime {stamp}\n{body}".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], message)


def test_a_witness_follows_a_log_and_never_goes_back(street):
    w = street.witness(1)
    check_cosigned(w, post(w.url, request(0, 0)), 0)
    check_cosigned(w, post(w.url, request(0, 5)), 5)
    check_cosigned(w, post(w.url, request(5, 13)), 13)
    check_cosigned(w, post(w.url, request(13, 13)), 13)
    for old, new in ((0, 5), (5, 13), (5, 5), (0, 64)):
        answer = post(w.url, request(old, new))
        assert (answer.status, answer.type, answer.body) == (409, "text/x.tlog.size", "13\n")
    check_cosigned(w, post(w.url, request(13, 64)), 64)


def test_monitors_see_the_last_checkpoint_with_both_signatures(street):
    w = street.witness(1)
    with Net() as net:
        place = f"{w.url}/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
        assert net.request("GET", place).status == 404
        stranger = sign_note(note(7).rpartition("\n\n")[0] + "\n", NoteSigner.from_seed("s", bytes(32)))
        more = note(7) + stranger.rpartition("\n\n")[2]
        assert post(w.url, request(0, 7, checkpoint=more)).status == 200
        shown = net.request("GET", place)
        assert shown.headers["content-type"] == "text/plain; charset=utf-8"
        policy = TlogPolicy.parse(f"log {LOG.vkey}\nwitness w {w.cosigner.key.vkey}\nquorum w\n".encode())
        seen = policy.examine(shown.body.decode())
        assert (seen.checkpoint, seen.problem) == (Checkpoint(ORIGIN, 7, tree_root(7)), "")
        assert b"\xe2\x80\x94 s " not in shown.body  # what the witness did not verify it does not repeat
        for wrong in (
            place.upper().replace("HTTP://", "http://").replace("CHECKPOINT", "checkpoint"),
            w.url + "/x/checkpoint",
        ):
            assert net.request("GET", wrong).status == 404
        assert net.request("GET", w.url + "/add-checkpoint").status == 405
        assert net.request("POST", place).status == 405


def bad_requests() -> dict[str, tuple[int, bytes]]:
    impostor = NoteSigner.from_seed(ORIGIN, bytes(32))
    other = NoteSigner.from_seed("example.org/other", bytes(32))
    good = request(5, 13)
    proof = consistency_proof(node, 5, 13)
    forged = [leaf_hash(b"forged"), *LEAVES[1:]]
    flipped = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
    empty_lie = sign_note(Checkpoint(ORIGIN, 0, bytes(32)).to_text(), LOG)
    known_broken = note(13).replace("\n13\n", "\n14\n")
    return {
        "unknown origin": (404, request(5, 13, checkpoint=note(13, signer=other, origin=other.name))),
        "unknown origin, known key": (404, request(5, 13, checkpoint=note(13, origin="example.org/other"))),
        "stranger's signature": (403, request(5, 13, checkpoint=note(13, signer=impostor))),
        "broken signature of a known key": (403, request(5, 13, checkpoint=known_broken)),
        "one good, one broken line": (
            403,
            request(5, 13, checkpoint=known_broken + note(14).rpartition("\n\n")[2].replace("A", "B", 1)),
        ),
        "old over new": (400, request(13, 13).replace(b"old 13", b"old 14")),
        "proof of another tree": (
            422,
            request(5, 13, proof=consistency_proof(lambda lv, i: node(lv, i, forged), 5, 13)),
        ),
        "fork": (422, request(5, 13, checkpoint=note(13, leaves=forged))),
        "fork at the same size": (422, request(5, 5, checkpoint=note(5, leaves=forged))),
        "flipped bit": (422, request(5, 13, proof=flipped)),
        "no proof": (422, request(5, 13, proof=[])),
        "proof too short": (422, request(5, 13, proof=proof[:-1])),
        "proof too long": (422, request(5, 13, proof=[*proof, proof[0]])),
        "proof between equal sizes": (422, request(5, 5, proof=proof)),
        "shrinking": (400, request(5, 3, proof=[])),
        "root of nothing": (409, b"old 0\n\n" + empty_lie.encode()),
        "no old line": (400, good.partition(b"\n")[2]),
        "empty": (400, b""),
        "not UTF-8": (400, b"old 5\n\n\xff"),
        "leading zero": (400, good.replace(b"old 5", b"old 05")),
        "negative": (400, good.replace(b"old 5", b"old -5")),
        "spaces": (400, good.replace(b"old 5", b"old  5")),
        "windows lines": (400, good.replace(b"\n", b"\r\n")),
        "no empty line": (400, good.replace(b"\n\n", b"\n", 1)),
        "short hash": (400, request(5, 13, proof=[bytes(31)])),
        "hash with stray bits": (400, good.replace(base64.b64encode(proof[0])[-3:], b"/x=", 1)),
        "64 hashes": (400, request(5, 13, proof=[bytes(32)] * 64)),
        "63 hashes": (422, request(5, 13, proof=[bytes(32)] * 63)),
        "no signature": (400, good[: good.rindex(b"\n\n") + 2]),
        "no checkpoint": (400, b"old 5\n\n" + sign_note("hello\n", LOG).encode()),
        "size with sign": (400, good.replace(b"\n13\n", b"\n+13\n")),
        "size of 2^64": (400, good.replace(b"\n13\n", b"\n18446744073709551616\n")),
        "oversize": (413, good + b"x" * MAX_REQUEST_BYTES),
    }


def test_every_bad_request_has_its_status_and_moves_nothing(street):
    w = street.witness(1)
    assert post(w.url, request(0, 5)).status == 200
    wrong = {}
    for name, (status, body) in bad_requests().items():
        answer = post(w.url, body)
        if answer.status != status or "—" in answer.body:
            wrong[name] = (status, answer.status, answer.body)
        if answer.status == 409:
            assert (answer.type, answer.body) == ("text/x.tlog.size", "5\n")
    assert wrong == {}
    check_cosigned(w, post(w.url, request(5, 13)), 13)


def test_before_the_first_checkpoint_nothing_needs_proof_and_proof_is_refused(street):
    w = street.witness(1)
    assert post(w.url, request(0, 5, proof=[bytes(32)])).status == 422
    lie = sign_note(Checkpoint(ORIGIN, 0, bytes(32)).to_text(), LOG)
    assert post(w.url, request(0, 0, checkpoint=lie)).status == 422
    assert post(w.url, request(3, 5)).body == "0\n"
    check_cosigned(w, post(w.url, request(0, 5)), 5)


GOOD = request(5, 13)


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=4)).map(
            lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[0] + cut[1] :]
        ),
    )
)
def test_hostile_bytes_are_answered_and_only_the_right_ones_cosigned(body):
    with tempfile.TemporaryDirectory() as folder, Memory.create(Path(folder) / "m.sqlite") as memory:
        w = Witness(
            Cosigner.from_seed("w", 4, bytes(32)), TlogPolicy.of_logs([LOG.vkey]).logs, memory, lambda: 1
        )
        assert w.add_checkpoint(request(0, 5)).status == 200
        reply = w.add_checkpoint(body)
        assert reply.status in (200, 400, 403, 404, 409, 422)
        assert (reply.status == 200) == (
            body.startswith(GOOD.rpartition("—".encode())[0]) and "—" in reply.body
        )
        assert reply.body.replace("\n", "").isprintable()
        assert memory.last(ORIGIN).size == (13 if reply.status == 200 else 5)


def test_of_two_submissions_at_once_one_wins(street):
    """The race of the specification: both proofs start at the old size, only one may be cosigned."""
    w = street.witness(1)
    for old in range(1, 30, 2):
        if old == 1:
            assert post(w.url, request(0, 1)).status == 200
        answers = []
        gate = threading.Barrier(2)

        def submit(new: int, old: int = old, answers: list = answers, gate: threading.Barrier = gate) -> None:
            gate.wait()
            answers.append((new, post(w.url, request(old, new))))

        threads = [threading.Thread(target=submit, args=(new,)) for new in (old + 1, old + 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = sorted(answer.status for _, answer in answers)
        assert statuses == [200, 409]
        winner = next(new for new, answer in answers if answer.status == 200)
        assert next(answer.body for _, answer in answers if answer.status == 409) == f"{winner}\n"
        assert w.memory.last(ORIGIN).size == winner
        if winner == old + 1:
            assert post(w.url, request(old + 1, old + 2)).status == 200


def test_two_witness_processes_on_one_memory_do_not_fork_either(street):
    """The second sees what the first has stored, for the memory is asked anew each time."""
    one, two = street.witness(1), street.witness(1)
    assert post(one.url, request(0, 5)).status == 200
    assert post(two.url, request(0, 6)).body == "5\n"
    assert post(two.url, request(5, 6)).status == 200
    assert post(one.url, request(5, 7)).body == "6\n"


def test_a_restarted_witness_remembers(street):
    w = street.witness(1)
    assert post(w.url, request(0, 13)).status == 200
    street.stop()
    w = street.witness(1)
    assert post(w.url, request(0, 5)).body == "13\n"
    check_cosigned(w, post(w.url, request(13, 20)), 20)


def test_a_witness_without_its_memory_does_not_start(tmp_path):
    with pytest.raises(LedgerError):
        Memory.open(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    with Memory.create(tmp_path / "one.sqlite"), pytest.raises(LedgerError, match="already"):
        Memory.create(tmp_path / "one.sqlite")
    (tmp_path / "junk.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(LedgerError, match="cannot be used"):
        Memory.open(tmp_path / "junk.sqlite")


def test_the_memory_itself_refuses_to_go_back(tmp_path):
    with Memory.create(tmp_path / "one.sqlite") as memory:
        memory.update(ORIGIN, lambda last: Witnessed(5, tree_root(5), "note"))
        for worse in (Witnessed(4, tree_root(4), "note"), Witnessed(5, bytes(32), "note")):
            with pytest.raises(LedgerError, match="never goes back"):
                memory.update(ORIGIN, lambda last, worse=worse: worse)
        assert memory.last(ORIGIN) == Witnessed(5, tree_root(5), "note")
        assert memory.last("example.org/other") == Witnessed(0, EMPTY_ROOT, "")


def test_a_disk_that_refuses_answers_503_and_cosigns_nothing(street):
    w = street.witness(1)
    assert post(w.url, request(0, 5)).status == 200
    with Memory.open(street.folder / "1.sqlite") as locked:
        locked._connection.execute("BEGIN IMMEDIATE")
        w.memory._connection.execute("PRAGMA busy_timeout = 50")
        answer = post(w.url, request(5, 13))
        locked._connection.execute("ROLLBACK")
    assert (answer.status, "—" in answer.body) == (503, False)
    check_cosigned(w, post(w.url, request(5, 13)), 13)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from assay.ledger.serving import Server
from assay.ledger.tlog.cosignature import Cosigner
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.witness.memory import Memory
from assay.ledger.witness.server import application
from assay.ledger.witness.witness import Witness

class Doomed(Memory):
    def update(self, origin, decide):
        before = super().update(origin, decide)
        if before.size == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return before

cosigner = Cosigner.from_seed("witness.example/1", 4, bytes([1]) * 32)
memory = Doomed.open(Path(sys.argv[1]))
logs = TlogPolicy.of_logs([sys.argv[2]]).logs
app = application(Witness(cosigner, logs, memory, lambda: 1763700000))
Server(app, max_body=65536).run(lambda url: print(url, flush=True))
"""


def test_a_witness_killed_between_storing_and_answering_has_lost_nothing(street):
    Memory.create(street.folder / "1.sqlite").close()
    command = [sys.executable, "-c", PROGRAM, str(street.folder / "1.sqlite"), LOG.vkey]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        url = child.stdout.readline().strip()
        assert post(url, request(0, 5)).status == 200
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            post(url, request(5, 13))
        assert child.wait(10) == -signal.SIGKILL
    w = street.witness(1)
    assert post(w.url, request(5, 13)).body == "13\n"
    forged = [leaf_hash(b"forged"), *LEAVES[1:]]
    assert post(w.url, request(13, 13, checkpoint=note(13, leaves=forged))).status == 422
    check_cosigned(w, post(w.url, request(13, 13)), 13)


def test_a_witness_killed_at_any_moment_never_goes_back(street):
    """Kills at twelve moments under load: what was answered is remembered, and every later size is refused less."""
    Memory.create(street.folder / "1.sqlite").close()
    command = [sys.executable, "-c", PROGRAM.replace("before.size == 5", "False")]
    command += [str(street.folder / "1.sqlite"), LOG.vkey]
    known = 0
    for number in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            url = child.stdout.readline().strip()
            killer = threading.Timer(0.01 + 0.012 * number, os.kill, (child.pid, signal.SIGKILL))
            killer.start()
            try:
                last = int(post(url, request(64, 64, proof=[])).body)
                assert last >= known
                known = last
                while known < 63:
                    answer = post(url, request(known, known + 1))
                    assert answer.status == 200, answer
                    known += 1
            except (http.client.HTTPException, ConnectionError, ValueError):
                pass
            killer.join()
            child.wait(10)
    with Memory.open(street.folder / "1.sqlite") as memory:
        last = memory.last(ORIGIN)
        assert known <= last.size <= known + 1
        assert last.root == tree_root(last.size)


# ------------------------------------------------------------------ our log and its witnesses


def policy_of(*witnesses: Running | tuple[Cosigner, str], quorum: str) -> TlogPolicy:
    pairs = [(w.cosigner, w.url) if isinstance(w, Running) else w for w in witnesses]
    lines = [f"witness w{n} {c.key.vkey} {url}" for n, (c, url) in enumerate(pairs, start=1)]
    names = " ".join(f"w{n}" for n in range(1, len(pairs) + 1))
    return TlogPolicy.parse("\n".join([*lines, f"group all {quorum} {names}", "quorum all", ""]).encode())


def dead(number: int) -> tuple[Cosigner, str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Cosigner.from_seed(
        "dead.example", ED25519_COSIGNATURE, bytes([number]) * 32
    ), f"http://127.0.0.1:{port}"


@pytest.fixture
def net():
    with Net(seconds=10) as net:
        yield net


def fill(log: SqlLog, count: int) -> None:
    log.append_many([(entry(log.size + n), None) for n in range(count)])


def test_two_of_three_with_one_dead(street, log, net):
    fill(log, 300)
    one, two = street.witness(1), street.witness(2, algorithm=ML_DSA_44_COSIGNATURE)
    policy = policy_of(one, two, dead(9), quorum="2")
    asked = ask(log, policy, net)
    assert asked.problem == ""
    assert [a.time for a in asked.answers] == [NOW + 1, NOW + 2, 0]
    assert "cannot be reached" in asked.answers[2].problem
    full = TlogPolicy.parse(f"log {LOG.vkey}\n".encode() + policy.to_bytes())
    receipt = log.receipt(123, log.kept_checkpoint())
    assert verify_receipt(receipt, full) == ""
    fill(log, 50)
    assert "quorum" in verify_receipt(log.receipt(123), full)
    again = ask(log, policy, net)
    assert again.checkpoint.size == 350
    assert verify_receipt(log.receipt(340, log.kept_checkpoint()), full) == ""
    assert one.memory.last(ORIGIN).size == two.memory.last(ORIGIN).size == 350


def test_a_missed_quorum_keeps_nothing_and_says_who_is_missing(street, log, net):
    fill(log, 3)
    asked = ask(log, policy_of(street.witness(1), dead(8), dead(9), quorum="2"), net)
    assert asked.problem == (
        "the quorum of witnesses is not reached: all has 1 of the 2 it needs, without w2, w3"
    )
    assert log.kept_checkpoint() is None


class Counting(Net):
    """The client, counting."""

    count = 0

    def request(self, *args, **options):
        self.count += 1
        return super().request(*args, **options)


def test_asking_again_costs_one_request(street, log):
    fill(log, 5)
    w = street.witness(1)
    policy = policy_of(w, quorum="all")
    with Counting() as net:
        for size in (5, 5, 5, 12, 300):
            fill(log, size - log.size)
            before = net.count
            assert ask(log, policy, net).problem == ""
            assert net.count == before + 1
            assert w.memory.last(ORIGIN).size == size
        (street.folder / "2.sqlite").unlink(missing_ok=True)
        before, two = net.count, street.witness(2)
        ask(log, policy_of(w, two, quorum="all"), net)
        assert net.count == before + 2  # to one that has seen nothing, nothing need be proven


def copy(tmp_path: Path, name: str) -> str:
    """A consistent copy of the database as it is now."""
    with sqlite3.connect(tmp_path / "ledger.db") as old, sqlite3.connect(tmp_path / name) as new:
        old.backup(new)
    old.close()
    new.close()
    return f"sqlite:///{tmp_path / name}"


def test_a_restored_backup_is_named(street, log, signer, net, tmp_path):
    fill(log, 10)
    one, two = street.witness(1), street.witness(2)
    policy = policy_of(one, two, dead(9), quorum="2")
    ask(log, policy, net)
    backup = copy(tmp_path, "backup.db")
    fill(log, 10)
    ask(log, policy, net)
    with SqlLog.open(backup, ORIGIN, signer) as restored:
        assert restored.check() == []  # sound in itself: only a memory elsewhere can tell
        with pytest.raises(
            LedgerError, match=r"holds 10 entries, but witness w\d has cosigned 20, and shows"
        ) as caught:
            ask(restored, policy, net)
        assert "signature at size 20: an older copy of the ledger was restored" in caught.value.message
        assert Checkpoint.peek(restored.kept_checkpoint() or "").size == 10
        restored.append_many([(entry(1000 + n), None) for n in range(5)])
        with pytest.raises(LedgerError, match="holds 15 entries"):
            ask(restored, policy, net)
        restored.append_many([(entry(2000 + n), None) for n in range(30)])  # overtakes the first
        with pytest.raises(LedgerError, match="forked") as caught:
            ask(restored, policy, net)
        for root_ in (log.root(20), restored.root(20)):
            assert base64.b64encode(root_).decode() in caught.value.message
        assert "size 20" in caught.value.message
        assert Checkpoint.peek(restored.kept_checkpoint() or "").size == 10
    assert one.memory.last(ORIGIN).size == two.memory.last(ORIGIN).size == 20


def test_another_process_that_is_ahead_is_no_restored_backup(street, log, signer, net, url):
    fill(log, 5)
    w = street.witness(1)
    policy = policy_of(w, quorum="all")

    class Overtaken:
        """The log, on which another process appends and asks between our reading the head and our asking."""

        def __init__(self) -> None:
            self.calls = 0

        def __getattr__(self, name):
            return getattr(log, name)

        def offered(self):
            note_ = log.checkpoint()
            self.calls += 1
            if self.calls == 1:
                with SqlLog.open(url, ORIGIN, signer) as other:
                    fill(other, 5)
                    ask(other, policy, net)
            return note_

    asked = ask(Overtaken(), policy, net)
    assert (asked.checkpoint.size, asked.problem) == (10, "")


class Liar:
    """A witness that answers whatever it is told, typed as an application of its own."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)

    async def __call__(self, scope, receive, send):
        status, body = self.answers.pop(0) if self.answers else (404, b"")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


def lines_of(cosigner: Cosigner, text: str, time: int = NOW) -> bytes:
    return cosigner.cosign(text, time).encode()


def test_what_a_bad_witness_answers_does_no_harm(street, log, net):
    fill(log, 5)
    good = street.witness(1)
    bad = Cosigner.from_seed("bad.example", ED25519_COSIGNATURE, bytes(32))
    impostor = Cosigner.from_seed("bad.example", ED25519_COSIGNATURE, bytes(range(32)))
    text = log.checkpoint().rpartition("\n\n")[0] + "\n"
    other = text.replace("\n5\n", "\n6\n")
    cases = [
        ((200, lines_of(bad, other)), "is wrong"),
        ((200, lines_of(impostor, text)), "no known key"),
        ((200, lines_of(bad, text, 0)), "does not say when"),
        ((200, b""), ""),
        ((200, b"\xff\xfe"), "not text"),
        ((200, b"<html>\n"), "signature line"),
        ((200, b"x" * (1 << 20)), "more than"),
        ((409, b"many\n"), "decimal"),
        ((409, b""), "decimal"),
        ((404, b"who?\x1b[31m\n"), "does not know this ledger"),
        ((403, b""), "does not know the ledger's key"),
        ((500, b"oops"), "answered 500 (oops)"),
        ((302, b""), "answered 302"),
    ]
    for answer, words in cases:
        with Server(Liar(answer), max_body=1 << 20) as server:
            asked = ask(log, policy_of(good, (bad, server.url), quorum="any"), net)
            assert asked.problem == ""
            assert asked.answers[0].time == NOW + 1
            assert asked.answers[1].problem, answer
            assert words in asked.answers[1].problem, answer
            assert asked.answers[1].problem.isprintable()
            assert "bad.example" not in asked.note
    with Server(Liar((200, lines_of(impostor, text) + lines_of(bad, text))), max_body=1 << 20) as server:
        asked = ask(log, policy_of(good, (bad, server.url), quorum="all"), net)
        assert asked.problem == ""
        signed = open_note(asked.note, [bad.key, impostor.key])[1]
        assert set(signed) == {bad.key}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([(409, b"9\n")], "though it shows no such checkpoint"),
        ([(409, b"3\n"), (422, b"no")], "does not extend what it cosigned at size 3"),
        ([(409, b"3\n"), (409, b"9\n")], "though it shows no such checkpoint"),
    ],
)
def test_an_unproven_claim_stops_the_asking_and_is_called_a_claim(answers, words, street, log, net):
    fill(log, 5)
    bad = Cosigner.from_seed("bad.example", ED25519_COSIGNATURE, bytes(32))
    with Server(Liar(*answers), max_body=1 << 20) as server:
        policy = policy_of(street.witness(1), (bad, server.url), quorum="any")
        with pytest.raises(LedgerError, match=words) as caught:
            ask(log, policy, net)
    assert "the witness is wrong" in str(caught.value)
    assert log.kept_checkpoint() is None


def test_a_policy_without_urls_asks_nobody(log, net):
    with pytest.raises(UsageError, match="no witness with a URL"):
        ask(log, TlogPolicy.parse(b"quorum none\n"), net)


def test_the_root_and_node_helpers_agree():
    assert root(node, 13) == tree_root(13)
