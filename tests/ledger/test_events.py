"""Events in a real ledger: beside entries of files, on mirrors and servers, in bundles, and through every death."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from assay.ledger.custody.bundle import Item, export
from assay.ledger.custody.events import (
    DETAILS_SUFFIX,
    FAILED,
    NOT_CHECKED,
    OK,
    beside,
    check,
    record,
)
from assay.ledger.custody.statement import Envelope, VerifyingKey, event_entry, sign_event
from assay.ledger.log import SqlLog
from assay.ledger.lookup import key_of, leaf_keys, stored
from assay.ledger.remote.guard import LOOPBACK_NAMES
from assay.ledger.remote.mirror import mirror
from assay.ledger.remote.plugin import HttpLedger
from assay.ledger.remote.server import Terms, application
from assay.ledger.remote.source import FolderSource
from assay.ledger.remote.static import publish
from assay.ledger.remote.tokens import Tokens
from assay.ledger.remote.wire import MAX_APPEND_BYTES
from assay.ledger.serving import Server
from assay.ledger.tlog.layout import pack
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, sign_note
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.tlog.proof import verify_receipt
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry
from assay.provenance.errors import LedgerError, NetworkError, UsageError
from assay.provenance.event import Details, Event, EventEntry, EventSubject
from assay.provenance.keys.signers import KeySigner
from assay.provenance.net import Net
from assay.provenance.receipt import RECEIPT_SUFFIX

from ..people import person
from .custody.bundles import by_python, by_shell, unpack
from .worlds import ORIGIN, entry, recovery

SOMEBODY = person("A desk", dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
SIGNER = KeySigner(SOMEBODY.private, SOMEBODY.chain, "a desk", lambda what: None)
KEY = VerifyingKey.from_pem(SOMEBODY.pem)
WHY = {"source": "asked not to be named", "fee": 12.5}


def event(number: int, *files: bytes, **change) -> Event:
    """Return what somebody says happened to imaginary files."""
    made = Event(
        id=f"{number:032x}",
        kind="published",
        actor=KEY.digest,
        role="desk",
        subjects=tuple(EventSubject(Digest.of(data)) for data in files or (b"file 0",)),
        time="2026-11-21T10:00:00+00:00",
        software="Assay/test",
    )
    return replace(made, **change)


def leaf(number: int, *files: bytes) -> EventEntry:
    return event_entry(sign_event(event(number, *files), SIGNER))


def tamper(url: str, *statements: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TRIGGER IF EXISTS entries_no_update")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def graft(key: int, index: int) -> list[str]:
    """Return what makes another key lead to a leaf, placed as the leaf's own are."""
    copy = f"CREATE TEMP TABLE copy AS SELECT * FROM keys WHERE idx = {index} LIMIT 1"
    return [copy, f"UPDATE copy SET key = {key}", "INSERT INTO keys SELECT * FROM copy", "DROP TABLE copy"]


@pytest.fixture
def mixed(log):
    """A log in which entries of files and events alternate; events are about the file before and the next one."""
    leaves = [
        (entry(n), None) if n % 2 == 0 else (leaf(n, b"file %d" % (n - 1), b"file %d" % (n + 1)), None)
        for n in range(300)
    ]
    log.append_many(leaves[:120])
    for item, _ in leaves[120:124]:
        log.append(item)
    log.append_many(leaves[124:])
    return log


# ------------------------------------------------------------------------------------------ in the log


def test_events_and_entries_share_a_log(mixed, signer):
    assert mixed.check() == []
    assert [type(found) for _, found in mixed.entries(0, 4)] == [Entry, EventEntry, Entry, EventEntry]
    about = mixed.find_events(Digest.of(b"file 120"))
    assert [receipt.index for receipt in about] == [119, 121]
    for receipt in about:
        assert verify_receipt(receipt.text, [signer.vkey]) == ""
        assert mixed.verify_receipt(receipt) == ""
        assert receipt.leaf == leaf(receipt.index, *[b"file %d" % (receipt.index + d) for d in (-1, 1)])
        with pytest.raises(LedgerError, match="is an event, not a file"):
            receipt.entry  # noqa: B018
    assert [found.receipt.index for found in mixed.find_digest(Digest.of(b"file 120"))] == [120]
    assert mixed.find_events(Digest.of(b"file 121")) == []


def test_an_event_s_receipt_is_not_for_another_event(mixed, signer):
    receipt = mixed.receipt(121)
    other = replace(receipt, leaf=leaf(122, b"file 0"))
    assert "differ" in verify_receipt(other, [signer.vkey])
    assert "does not lead" in verify_receipt(receipt.text.replace("index 121", "index 123"), [signer.vkey])


def test_a_grafted_key_leads_nowhere_and_is_named(url, mixed):
    """Keys are a way to find leaves, never what is believed about them; nor do the kinds mix."""
    digest = Digest.of(b"file 1000")
    (by_file,), (by_event,) = (stored([key_of(kind, str(digest))]) for kind in ("digest", "event"))
    tamper(url, *graft(by_file, 1), *graft(by_event, 2), *graft(by_event, 3))
    assert list(mixed.find_digest(digest)) == list(mixed.find_events(digest)) == []
    assert mixed.check() == ["3 look-up keys lead to entries that do not have them"]


def test_a_lost_key_and_a_changed_leaf_are_named(url, mixed):
    key = stored(leaf_keys(leaf(121, b"file 120", b"file 122")))[0]
    tamper(url, f"DELETE FROM keys WHERE key = {key} AND idx = 121")
    assert mixed.check() == ["entry 121: 1 of its look-up keys are missing; it may not be found"]
    other = "CAST(replace(CAST(data AS TEXT), 'event/v1', 'event/v2') AS BLOB)"
    tamper(url, f"UPDATE entries SET data = {other} WHERE idx = 125")
    problems = "\n".join(mixed.check())
    assert "entry 125" in problems
    with pytest.raises(LedgerError, match="entry 125"):
        mixed.receipt(125)


def test_a_recovery_record_has_no_place_beside_an_event(url, mixed, log):
    with pytest.raises(UsageError, match="does not name the digest"):
        log.append(leaf(9), recovery(1))
    log.append(entry(500, recovery(500)), recovery(500))
    tamper(url, "UPDATE recoveries SET idx = 121")
    assert any("recovery record of entry 121 was changed" in line for line in mixed.check())


def test_duplicates_are_files_not_events(log):
    log.append_many(
        [(item, None) for item in (leaf(1), leaf(2), leaf(1), entry(0), leaf(3), entry(0), entry(1))]
    )
    assert log.duplicates() == [(entry(0).digest, 2)]
    assert [receipt.index for receipt in log.find_events(Digest.of(b"file 0"))] == [0, 1, 2, 4]
    assert log.check() == []


def test_an_event_about_many_files_is_found_by_each(log):
    files = [b"file %d" % n for n in range(512)]
    log.append(leaf(1, *files))
    assert all(len(log.find_events(Digest.of(files[n]))) == 1 for n in (0, 255, 511))
    assert log.check() == []


# ------------------------------------------------------------------------------------ mirrors and servers


def test_a_mirror_knows_the_events_too(mixed, signer, tmp_path):
    folder, file = tmp_path / "public", tmp_path / "mirror.db"
    publish(mixed, folder)
    mirror(FolderSource(folder), file, TlogPolicy.of_logs([signer.vkey]))
    with SqlLog.open(f"sqlite:///{file}", ORIGIN, vkeys=[signer.vkey]) as copy:
        assert copy.check() == []
        assert list(copy.leaves()) == list(mixed.leaves())
        wanted = Digest.of(b"file 120")
        assert copy.find_events(wanted) == mixed.find_events(wanted)
        assert copy.find_events(wanted)


HASH = "sha256:" + "0" * 64
UNREADABLE = {
    "about nothing": {"type": "assay.event/v1", "statement": HASH, "subjects": [], "actor": HASH},
    "not SHA-256": {"type": "assay.event/v1", "statement": "md5:00", "subjects": [HASH], "actor": HASH},
    "half a surrogate pair": {
        "type": "assay.entry/v1", "digest": HASH, "media_type": "", "size": 1, "time": "", "manifest_label": "\ud800",
    },
    "of tomorrow": {"type": "assay.tomorrow/v1"},
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_published_leaf_that_cannot_be_read_is_kept_and_named(name, signer, tmp_path):
    """A log's holder may sign what he likes; whoever mirrors it has the very bytes, and stays whole."""
    data = json.dumps(UNREADABLE[name]).encode()
    folder, file = tmp_path / "public", tmp_path / "mirror.db"
    for kind, content in (("0", leaf_hash(data)), ("entries", pack([data]))):
        (folder / f"tile/{kind}/000.p").mkdir(parents=True)
        (folder / f"tile/{kind}/000.p/1").write_bytes(content)
    (folder / "checkpoint").write_text(sign_note(Checkpoint(ORIGIN, 1, leaf_hash(data)).to_text(), signer))
    mirror(FolderSource(folder), file, TlogPolicy.of_logs([signer.vkey]))
    with SqlLog.open(f"sqlite:///{file}", ORIGIN, vkeys=[signer.vkey]) as copy:
        assert list(copy.leaves()) == [data]
        (problem,) = copy.check()
        assert problem.startswith("entry 0 cannot be read: ")
        with pytest.raises(LedgerError, match="ledger entry"):
            copy.receipt(0)
        assert list(copy.find_events(Digest.parse(HASH))) == list(copy.find_digest(Digest.parse(HASH))) == []


@pytest.fixture
def elsewhere(log, tmp_path):
    """A log on a server, as those see it who may append; ``drop`` breaks off the answers to so many appends."""
    tokens = Tokens(tmp_path / "append.tokens")
    secret = tokens.new("desk", "2026-11-21", random.Random(1).randbytes)
    app = application(log, Terms(hosts=LOOPBACK_NAMES, tokens=tokens))
    state = {"drop": 0}

    async def front(scope, receive, send):
        async def unheard(message):
            pass

        if scope["path"] != "/v1/append" or not state["drop"]:
            await app(scope, receive, send)
            return
        state["drop"] -= 1
        await app(scope, receive, unheard)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b""})  # the server then breaks off

    with Server(front, max_body=MAX_APPEND_BYTES) as server:
        client = HttpLedger.open(
            server.url, origin=ORIGIN, folder=tmp_path / "client", vkeys=[log.vkey], policies=[],
            token=secret.encode, net=Net(seconds=10),
        )  # fmt: skip
        with client:
            yield client, state, server.url, secret


def test_a_ledger_elsewhere_takes_and_finds_events(elsewhere, mixed):
    client, state, _, _ = elsewhere
    made = client.append(leaf(1000, b"file 120"))
    assert (made.index, made.leaf) == (300, leaf(1000, b"file 120"))
    assert [r.index for r in client.find_events(Digest.of(b"file 120"))] == [119, 121, 300]
    assert list(client.find_events(Digest.of(b"nothing"))) == []
    assert [f.receipt.index for f in client.find_digest(Digest.of(b"file 120"))] == [120]
    # An answer that is lost costs no second entry.
    state["drop"] = 1
    assert client.append(leaf(1001, b"file 120")).index == 301
    state["drop"] = 2
    assert client.append(leaf(1002, b"file 120")).index == 302
    assert mixed.size == 303
    assert mixed.check() == client.check() == []


def test_a_server_refuses_an_event_about_nothing(elsewhere):
    import base64
    import urllib.error
    import urllib.request

    _, _, url, secret = elsewhere
    data = leaf(1).to_bytes()
    for bad in (
        data.replace(b'["sha256:' + Digest.of(b"file 0").hex.encode() + b'"]', b"[]"),
        data.replace(b"sha256:", b"sha512:"),
        data.replace(b"{", b"{ ", 1),
    ):
        assert bad != data
        body = json.dumps({"entry": base64.b64encode(bad).decode(), "recovery": None}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
        request = urllib.request.Request(f"{url}/v1/append", data=body, headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 400
        refused.value.close()


# --------------------------------------------------------------------------------------------- bundles


def test_an_event_goes_into_a_bundle_like_any_entry(mixed, tmp_path):
    out = tmp_path / "out.zip"
    policy = f"log {mixed.vkey}\nquorum none\n"
    export(mixed, out, [Item(120), Item(121)], policy=policy, software="Assay/test", recovery=True)
    place = unpack(out, tmp_path / "unpacked")
    assert EventEntry.from_bytes((place / "data/entries/121.json").read_bytes()) == next(
        found for _, found in mixed.entries(121, 122)
    )
    for said in (by_python(place), by_shell(place)):
        assert said.code == 0, said.text
        assert said.states["entries"] == OK


def test_no_file_is_exported_as_the_one_of_an_event(url, mixed, tmp_path):
    out, media = tmp_path / "out.zip", tmp_path / "file.jpg"
    media.write_bytes(b"file 120")
    options = {"policy": f"log {mixed.vkey}\nquorum none\n", "software": "Assay/test"}
    with pytest.raises(LedgerError, match="entry 121 is an event, not a file"):
        export(mixed, out, [Item(121, media)], **options)
    mixed.append(entry(500, recovery(500)), recovery(500))
    tamper(url, "UPDATE recoveries SET idx = 121")
    with pytest.raises(LedgerError, match="recovery record of entry 121 was changed"):
        export(mixed, out, [Item(121)], recovery=True, **options)
    assert not out.exists()


# --------------------------------------------------------------------------------- recorded through deaths


def details(salt: bytes = bytes(range(16))) -> Details:
    return Details(salt, WHY)


def states(log, out: Path, **given):
    """Check what is on the disk, as the command does."""
    kept = {name: path.read_bytes() if path.exists() else None for name, path in (
        ("receipt", beside(out, RECEIPT_SUFFIX)), ("details", beside(out, DETAILS_SUFFIX)),
    )}  # fmt: skip

    def judge(receipt):
        problem = log.verify_receipt(receipt)
        return (FAILED, problem) if problem else (OK, "")

    given = {"files": [("a file", Digest.of(b"file 0"))], **kept, **given}
    layers, _ = check(out.read_bytes(), [KEY], judge, **given)
    return {layer.name: layer.state for layer in layers}


ALL_OK = {"signature": OK, "receipt": OK, "details": OK, "files": OK}


def killed_at(step: int, url: str, signer, out: Path) -> bool:
    """Record in a child that is killed when it touches the outside for the ``step``-th time; say whether it was."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(30)
            count = 0

            def hook(name, arguments):
                nonlocal count
                count += name == "open" or name.startswith(("os.", "sqlite3."))
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            with SqlLog.open(url, ORIGIN, signer) as log:
                # Between file operations a database's steps are what another process can be killed in.
                with log._store.reading() as tx:
                    statements = tx._connection.connection.driver_connection
                statements.set_trace_callback(lambda text: hook("sqlite3.statement", ()))
                sys.addaudithook(hook)
                record(log, event(step), SIGNER, out, details())
            os._exit(0)
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_at_any_step_the_next_run_finishes_it_and_logs_it_once(url, log, signer, tmp_path):
    step, deaths = 0, Counter()
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        out, size = folder / "e.dsse.json", log.size
        if not killed_at(step, url, signer, out):
            break
        envelope = out.read_bytes() if out.exists() else b""
        deaths[(beside(out, DETAILS_SUFFIX).exists(), bool(envelope), log.size - size)] += 1
        if beside(out, RECEIPT_SUFFIX).exists():  # it had done all, and was killed while it tidied up
            with pytest.raises(UsageError, match="exists already"):
                record(log, event(step), SIGNER, out, details())
        else:
            # The clock has gone on, and other random bytes are drawn.
            later = event(1000 + step, time="2026-11-22T10:00:00+00:00")
            done = record(log, later, SIGNER, out, details(bytes(16)))
            assert done.resumed == bool(envelope)
        assert out.read_bytes().startswith(envelope)
        assert states(log, out) == ALL_OK
        assert log.size == size + 1
    # (details, envelope, leaf): each of the four states that there may be was met, and no other.
    assert set(deaths) == {(False, False, 0), (True, False, 0), (True, True, 0), (True, True, 1)}, deaths
    assert log.check() == []


def test_what_is_finished_or_another_s_is_never_touched(log, tmp_path):
    out = tmp_path / "e.dsse.json"
    record(log, event(1), SIGNER, out, details())
    written = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="exists already"):
        record(log, event(1), SIGNER, out, details())
    stray = beside(tmp_path / "x.dsse.json", RECEIPT_SUFFIX)
    stray.write_bytes(b"somebody's")
    with pytest.raises(UsageError, match="exists already"):
        record(log, event(1), SIGNER, tmp_path / "x.dsse.json")
    assert stray.read_bytes() == b"somebody's"
    beside(out, RECEIPT_SUFFIX).unlink()
    for other in (
        event(1, kind="retracted"),
        event(1, b"other"),
        event(1, role="x"),
        event(1, previous=KEY.digest),
    ):
        with pytest.raises(UsageError, match="another event"):
            record(log, other, SIGNER, out, details())
    for others in (None, Details(bytes(16), {})):
        with pytest.raises(UsageError, match="another event"):
            record(log, event(1), SIGNER, out, others)
    out.unlink()
    for others in (None, Details(bytes(16), {})):  # details whose envelope is gone
        with pytest.raises(UsageError, match="other details"):
            record(log, event(1), SIGNER, out, others)
    assert all(
        path.read_bytes() == written[path]
        for path in tmp_path.iterdir()
        if path.is_file() and path in written
    )
    assert log.size == 1


def test_erased_details_leave_everything_else_checkable(log, tmp_path):
    out = tmp_path / "e.dsse.json"
    record(log, event(1), SIGNER, out, details())
    assert states(log, out) == ALL_OK
    beside(out, DETAILS_SUFFIX).unlink()
    assert states(log, out) == {**ALL_OK, "details": NOT_CHECKED}
    assert log.check() == []
    # What remains confirms no guess, not even a right one, without the salt.
    assert states(log, out, details=details(bytes(16)).to_bytes())["details"] == FAILED
    remains = out.read_bytes() + Envelope.from_bytes(out.read_bytes()).payload + b"".join(log.leaves())
    assert b"named" not in remains
    assert details().salt.hex().encode() not in remains


def test_each_layer_stands_for_itself(log, tmp_path):
    one, two = tmp_path / "1.dsse.json", tmp_path / "2.dsse.json"
    record(log, event(1), SIGNER, one, details())
    record(log, event(2), SIGNER, two)
    other = beside(two, RECEIPT_SUFFIX).read_bytes()
    assert states(log, one, receipt=other) == {**ALL_OK, "receipt": FAILED}
    assert states(log, one, receipt=log.append(entry(0)).text.encode())["receipt"] == FAILED
    assert states(log, one, receipt=b"\xff")["receipt"] == FAILED
    assert states(log, one, receipt=None)["receipt"] == NOT_CHECKED
    assert states(log, one, files=[("x", Digest.of(b"x"))])["files"] == FAILED
    assert states(log, one, files=[])["files"] == NOT_CHECKED
    assert states(log, two)["details"] == NOT_CHECKED
    assert states(log, two, details=details().to_bytes())["details"] == FAILED
    one.write_bytes(one.read_bytes().replace(b'"payload": "', b'"payload": "AAAA'))
    assert states(log, one) == {**dict.fromkeys(ALL_OK, NOT_CHECKED), "signature": FAILED}


def test_a_log_that_does_not_answer_leaves_a_signed_event_behind(log, tmp_path):
    out = tmp_path / "e.dsse.json"
    with HttpLedger.open(
        "http://127.0.0.1:9", origin=ORIGIN, folder=tmp_path / "c", vkeys=[log.vkey], policies=[],
        token=b"secret".ljust(40, b"x").__str__().encode, net=Net(seconds=2),
    ) as away, pytest.raises(NetworkError):  # fmt: skip
        record(away, event(1), SIGNER, out)
    assert states(log, out) == {**ALL_OK, "receipt": NOT_CHECKED, "details": NOT_CHECKED}
    assert record(log, event(2), SIGNER, out).resumed
    assert states(log, out)["receipt"] == OK
