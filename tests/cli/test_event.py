from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import stat
from contextlib import closing

import pytest

from assay.ledger.custody.statement import Envelope, VerifyingKey, verify_event
from assay.provenance.asset import Digest
from assay.provenance.event import Details
from assay.provenance.settings import LEDGER_FILE

from ..people import person


@pytest.fixture
def picture(desk):
    return desk.picture()


@pytest.fixture
def record(terminal, picture):
    """Record an event about the picture and return what --json says."""

    def made(kind="published", *options, out="one.dsse.json", expect=0):
        answer = terminal(
            "ledger", "event", "record", kind, picture, "-o", out, *options, "--json", expect=expect
        )
        return json.loads(answer.out) if expect == 0 else answer

    return made


@pytest.fixture
def details(terminal):
    path = terminal.folder / "why.json"
    path.write_text('{"source": "the minister\'s driver", "fee": 12.5}')
    return path


def layers(answer):
    return {layer["name"]: layer["state"] for layer in json.loads(answer.out)["layers"]}


def check(terminal, *arguments, expect=0):
    return layers(terminal("ledger", "event", "check", *arguments, "--json", expect=expect))


def test_an_event_is_signed_logged_and_checked(terminal, desk, picture, record, details):
    said = record("edited", "--details", details, "--role", "picture desk")
    out = terminal.folder / "one.dsse.json"
    key = VerifyingKey.from_pem((desk.workspace.home / desk.workspace.settings.chain).read_bytes())
    event = verify_event(Envelope.from_bytes(out.read_bytes()), [key])
    digest = Digest.of(picture.read_bytes())
    assert (event.kind, event.role, event.subjects[0].digest) == ("edited", "picture desk", digest)
    assert said["event"]["id"] == event.id
    assert said["actor"] == str(key.digest)
    kept = terminal.folder / "one.dsse.json.details.json"
    assert Details.from_bytes(kept.read_bytes()).digest == event.details
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert b"minister" not in out.read_bytes() + out.with_name(out.name + ".tlog-proof").read_bytes()
    assert check(terminal, out, "--file", picture) == dict.fromkeys(
        ("signature", "receipt", "details", "files"), "ok"
    )
    assert "holds" in terminal("ledger", "receipt", "one.dsse.json.tlog-proof", "--file", picture).out
    assert "all as they were signed" in terminal("ledger", "check").out


def test_events_of_a_file_are_listed_oldest_first(terminal, desk, picture, record):
    first = record("captured")
    second = record("published", "--previous", "one.dsse.json", out="two.dsse.json")
    assert second["event"]["previous"] == first["statement"]
    digest = str(Digest.of(picture.read_bytes()))
    for what in (picture, digest):
        lines = terminal("ledger", "event", "list", what, "--json").out.splitlines()
        assert [json.loads(line)["statement"] for line in lines] == [first["statement"], second["statement"]]
    shown = terminal("ledger", "event", "list", picture).out
    assert shown.startswith(f"entry {first['index']}: {first['statement']} signed by {first['actor']}")
    other = desk.picture(name="chelsea")
    assert "no event" in terminal("ledger", "event", "list", other, expect=3).err
    terminal("ledger", "event", "list", "sha256:" + "0" * 64, expect=3)
    terminal("ledger", "event", "list", "sha256:" + "AB" * 32, expect=2)
    # A file's entry and its events are apart: look-up by digest does not answer with an event.
    terminal("ledger", "find", digest, expect=3)


def test_a_signed_file_is_named_by_its_manifest_too(terminal, desk, picture):
    signed = desk.sign(picture)
    terminal("ledger", "event", "record", "published", signed, picture, "-o", "e.dsse.json")
    shown = json.loads(terminal("ledger", "event", "check", "e.dsse.json", "--json").out)["event"]["subjects"]
    entry = json.loads(terminal("ledger", "find", signed, "--json").out.splitlines()[0])
    assert shown == [
        {"digest": entry["digest"], "uri": entry["manifest_label"]},
        {"digest": str(Digest.of(picture.read_bytes())), "uri": None},
    ]
    assert str(picture.name) not in (terminal.folder / "e.dsse.json").read_text()


def test_the_same_command_finishes_what_was_interrupted_and_then_refuses(
    terminal, desk, picture, record, details
):
    made = record("approved", "--details", details)
    envelope = (terminal.folder / "one.dsse.json").read_bytes()
    proof = terminal.folder / "one.dsse.json.tlog-proof"
    proof.unlink()
    again = record("approved", "--details", details)
    assert again["resumed"]
    assert (again["index"], again["event"]) == (made["index"], made["event"])
    assert (terminal.folder / "one.dsse.json").read_bytes() == envelope
    assert proof.exists()
    assert "exists already" in record("approved", "--details", details, expect=2).err
    proof.unlink()
    role = ("approved", "--role", "x", "--details", details)
    for change in (("retracted", "--details", details), ("approved",), role):
        assert "another event" in record(*change, expect=2).err
    details.write_text("{}")
    assert "another event" in record("approved", "--details", details, expect=2).err
    assert desk.workspace.log.size == made["index"] + 1


def test_what_could_not_be_logged_waits_signed_for_the_next_run(terminal, desk, picture, record):
    ledger = desk.workspace.home / LEDGER_FILE
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("CREATE TRIGGER no BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END")
    assert "same command again" in record(expect=5).err
    assert (terminal.folder / "one.dsse.json").exists()
    assert not (terminal.folder / "one.dsse.json.tlog-proof").exists()
    assert check(terminal, "one.dsse.json")["receipt"] == "not checked"
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("DROP TRIGGER no")
    said = record()
    assert (said["resumed"], said["index"]) == (True, 0)
    assert check(terminal, "one.dsse.json")["receipt"] == "ok"


def test_without_a_ledger_nothing_is_signed(terminal, desk, record):
    (desk.workspace.home / LEDGER_FILE).unlink()
    record(expect=5)
    assert not list(terminal.folder.glob("one.dsse*"))


def test_each_layer_fails_for_itself(terminal, desk, picture, record, details, tmp_path):
    record("published", "--details", details)
    record("published", out="two.dsse.json")
    folder = terminal.folder
    other = desk.picture(name="chelsea")
    assert check(terminal, "one.dsse.json", "--file", picture, "--file", other, expect=1)["files"] == "failed"
    # Another event's receipt, another event's details, details of an event that has none.
    shutil.copy(folder / "two.dsse.json.tlog-proof", folder / "one.dsse.json.tlog-proof")
    assert check(terminal, "one.dsse.json", expect=1) == {
        "signature": "ok", "receipt": "failed", "details": "ok", "files": "not checked",
    }  # fmt: skip
    wrong = folder / "wrong.json"
    wrong.write_bytes(Details(bytes(16), json.loads(details.read_text())).to_bytes())
    assert check(terminal, "one.dsse.json", "--details", wrong, expect=1)["details"] == "failed"
    assert check(terminal, "two.dsse.json", "--details", wrong, expect=1)["details"] == "failed"
    # A receipt that proves nothing.
    proof = folder / "two.dsse.json.tlog-proof"
    text = proof.read_text()
    proof.write_text(text.replace("\nindex ", "\nindex 1", 1))
    assert check(terminal, "two.dsse.json", expect=1)["receipt"] == "failed"
    proof.write_bytes(b"\xff")
    assert check(terminal, "two.dsse.json", expect=1)["receipt"] == "failed"
    proof.unlink()
    assert check(terminal, "two.dsse.json")["receipt"] == "not checked"
    # A signature of nobody we know.
    data = json.loads((folder / "one.dsse.json").read_text())
    data["signatures"][0]["sig"] = "MEUCIQ=="
    (folder / "one.dsse.json").write_text(json.dumps(data))
    answer = terminal("ledger", "event", "check", "one.dsse.json", "--json", "--file", picture, expect=1)
    assert json.loads(answer.out)["event"] is None
    assert set(layers(answer).values()) == {"failed", "not checked"}
    (folder / "one.dsse.json").write_bytes(b"[]")
    assert "not DSSE" not in terminal("ledger", "event", "check", "one.dsse.json", expect=1).err


def test_erased_details_leave_the_rest_checkable(terminal, picture, record, details):
    record("note", "--details", details)
    (terminal.folder / "one.dsse.json.details.json").unlink()
    assert check(terminal, "one.dsse.json", "--file", picture) == {
        "signature": "ok", "receipt": "ok", "details": "not checked", "files": "ok",
    }  # fmt: skip


def test_far_from_the_workspace_a_key_and_a_policy_are_enough(terminal, nowhere, desk, picture, record):
    record()
    for name in ("one.dsse.json", "one.dsse.json.tlog-proof"):
        shutil.copy(terminal.folder / name, nowhere.folder / name)
    chain = desk.workspace.home / desk.workspace.settings.chain
    key, policy = nowhere.folder / "desk.pem", nowhere.folder / "agency.policy"
    shutil.copy(chain, key)
    policy.write_text(f"log {desk.workspace.log.vkey}\nquorum none\n")
    assert check(nowhere, "one.dsse.json", "--key", key, "--policy", policy, "--file", picture) == {
        "signature": "ok", "receipt": "ok", "details": "not checked", "files": "ok",
    }  # fmt: skip
    assert check(nowhere, "one.dsse.json", "--key", key)["receipt"] == "not checked"
    stranger = nowhere.folder / "stranger.pem"
    stranger.write_bytes(person("Somebody", desk.now).pem)
    assert (
        check(nowhere, "one.dsse.json", "--key", stranger, "--policy", policy, expect=1)["signature"]
        == "failed"
    )
    assert check(nowhere, "one.dsse.json", "--key", stranger, "--key", key)["signature"] == "ok"
    policy.write_text("log nonsense\nquorum none\n")
    nowhere("ledger", "event", "check", "one.dsse.json", "--key", key, "--policy", policy, expect=4)
    nowhere("ledger", "event", "check", "one.dsse.json", expect=5)


def test_another_s_key_signs_as_itself(terminal, desk, picture, record):
    desk_editor = person("Editor", desk.now)
    key, chain = terminal.folder / "editor.key", terminal.folder / "editor.pem"
    key.write_bytes(desk_editor.private)
    key.chmod(0o400)
    chain.write_bytes(desk_editor.chain)
    said = record("approved", "--key", f"file:{key}", "--chain", chain, "--role", "editor")
    assert said["actor"] == str(VerifyingKey.from_pem(desk_editor.pem).digest)
    assert check(terminal, "one.dsse.json", expect=1)["signature"] == "failed"
    assert check(terminal, "one.dsse.json", "--key", chain)["signature"] == "ok"
    # Somebody else's unfinished event is not taken for one's own.
    (terminal.folder / "one.dsse.json.tlog-proof").unlink()
    assert "another key" in record("approved", "--role", "editor", expect=2).err


def test_what_is_no_event_is_refused_before_anything_is_written(terminal, desk, picture, record, details):
    size = desk.workspace.log.size
    assert "one of captured" in record("eaten", expect=2).err
    for text in (
        "[1]",
        "{",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": 36028797018963969}',
    ):
        details.write_text(text)
        assert "why.json" in record("note", "--details", details, expect=4).err
    details.write_bytes(b" " * (1 << 20) + b"{}")
    record("note", "--details", details, expect=4)
    record("note", "--details", terminal.folder / "missing.json", expect=4)
    record("note", "--previous", picture, expect=4)
    other = desk.picture(name="chelsea")
    terminal("ledger", "event", "record", "note", other, "-o", "other.dsse.json")
    assert "none of these files" in record("note", "--previous", "other.dsse.json", expect=2).err
    terminal("ledger", "event", "record", "note", "missing.jpg", "-o", "x.dsse.json", expect=4)
    terminal("ledger", "event", "record", "note", picture, "-o", "no/where.dsse.json", expect=2)
    before = hashlib.sha256(picture.read_bytes()).digest()
    terminal("ledger", "event", "record", "note", picture, "-o", picture, expect=4)
    assert hashlib.sha256(picture.read_bytes()).digest() == before
    assert not list(terminal.folder.glob("one.dsse*"))
    assert desk.workspace.log.size == size + 1


def test_hostile_text_in_an_envelope_is_shown_safely(terminal, desk, picture, record):
    record("published", "--role", "a\x1b[31mb\u202ec")
    assert "\\u{1b}" in terminal("ledger", "event", "check", "one.dsse.json").out
