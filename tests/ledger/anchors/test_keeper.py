"""The keeper over real ledgers: what it publishes, what covers an entry, and how a rewritten ledger is caught."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace

import pytest

from assay.ledger.anchors.keeper import MAX_JUDGED, AnchorKeeper, open_anchors
from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.provenance.anchor import Standing, checkpoint_text, earliest
from assay.provenance.errors import ConfigurationError, NetworkError, UsageError

from ...authority import Server, time_stamp
from ...people import TIME_STAMPING, person
from ..worlds import ORIGIN, entry
from .calendar import Calendar
from .worlds import NOW, context


class World:
    """A ledger in SQLite, a time-stamp authority and a calendar on loopback, and a keeper over them."""

    def __init__(self, folder, signer: NoteSigner) -> None:
        self.folder, self.signer, self.up = folder, signer, True
        self.now = NOW
        root = person("Clocks", NOW, authority=True)
        clock = person("Clockwork", NOW, issuer=root, usages=(TIME_STAMPING,))
        self.tsa = Server(lambda body: (200, time_stamp(body, clock, self.now)) if self.up else (503, b""))
        self.calendar = Calendar()
        (folder / "tsa.pem").write_bytes(clock.pem)
        (folder / "roots.pem").write_bytes(root.pem)
        self.settings = {
            "tsa": {"kind": "rfc3161", "url": self.tsa.url, "certificate": "tsa.pem", "roots": "roots.pem"},
            "ots": {"kind": "opentimestamps", "calendars": [self.calendar.url]},
        }
        SqlLog.create(self.url("ledger.db"), ORIGIN, signer).close()
        self.logs: list[SqlLog] = []

    def url(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}"

    def log(self, name: str = "ledger.db") -> SqlLog:
        self.logs.append(SqlLog.open(self.url(name), ORIGIN, self.signer))
        return self.logs[-1]

    def keeper(self, log: SqlLog, *names: str) -> AnchorKeeper:
        chosen = {n: s for n, s in self.settings.items() if n in (names or self.settings)}
        made = open_anchors(chosen, context(self.folder))
        return AnchorKeeper(log, made, log.journal(lambda: self.now))

    def close(self) -> None:
        for log in self.logs:
            log.close()
        self.tsa.close()
        self.calendar.close()


@pytest.fixture
def world(tmp_path, signer):
    made = World(tmp_path, signer)
    yield made
    made.close()


def standings(found):
    return {(a.record.name, a.record.size): a.judgement.standing for a in found}


def test_a_checkpoint_is_published_to_every_anchor_once(world):
    log = world.log()
    log.append_many([(entry(n), None) for n in range(3)])
    keeper = world.keeper(log)
    first = keeper.publish()
    assert [(o.name, o.anchored.record.size, o.problem) for o in first] == [
        ("tsa", 3, None),
        ("ots", 3, None),
    ]
    assert [o.anchored.judgement.standing for o in first] == [Standing.OK, Standing.PENDING]
    keeper.publish()
    assert len(world.tsa.requests) == 1, "what is stamped already is not stamped again"
    assert len(keeper.listing(online=False)) == 2
    log.append(entry(3))
    (outcome,) = keeper.publish(["tsa"])
    assert outcome.anchored.record.size == 4
    assert standings(keeper.listing(4, online=False)) == {("tsa", 4): Standing.OK}


def test_an_entry_s_earliest_proof_is_found_and_an_entry_of_today_has_none(world):
    log = world.log()
    log.append(entry(0))
    keeper = world.keeper(log, "tsa")
    keeper.publish()
    world.now = NOW.replace(hour=12)
    log.append(entry(1))
    keeper.publish()
    log.append(entry(2))
    proofs = {index: earliest(keeper.standing(index, online=False)) for index in range(3)}
    assert {i: p and (p.record.size, p.judgement.time) for i, p in proofs.items()} == {
        0: (1, "2026-11-21T10:00:00Z"),
        1: (2, "2026-11-21T12:00:00Z"),
        2: None,
    }


def test_the_records_survive_the_process(world):
    log = world.log()
    log.append(entry(0))
    world.keeper(log).publish()
    again = world.keeper(world.log())
    assert standings(again.standing(0, online=False)) == {
        ("tsa", 1): Standing.OK,
        ("ots", 1): Standing.PENDING,
    }
    world.calendar.mine(100)
    moved = again.advance()
    assert [(o.name, o.anchored.record.state) for o in moved] == [("ots", "upgraded")]
    assert standings(again.standing(0, online=False))["ots", 1] is Standing.UNCHECKED


def test_one_anchor_s_fault_is_told_and_the_other_goes_on(world):
    log = world.log()
    log.append(entry(0))
    world.up = False
    keeper = world.keeper(log)
    failed, fine = keeper.publish()
    assert isinstance(failed.problem, NetworkError)
    assert failed.anchored.judgement.standing is Standing.PENDING
    assert fine.problem is None
    world.up = True
    (after, _) = keeper.publish()
    assert (after.problem, after.anchored.judgement.standing) == (None, Standing.OK)
    assert len(log.journal(lambda: NOW).records("tsa")) == 1, "the waiting request was sent, not a second one"


def test_a_cosigned_checkpoint_is_the_one_that_is_anchored(world):
    log = world.log()
    log.append(entry(0))
    witness = NoteSigner.from_seed("witness.example", b"seed of a witness, of 32 bytes..")
    cosigned = (
        log.checkpoint()
        + sign_note(log.checkpoint().rpartition("\n\n")[0] + "\n", witness).rpartition("\n\n")[2]
    )
    log.keep_checkpoint(cosigned)
    (outcome,) = world.keeper(log, "tsa").publish()
    assert outcome.anchored.record.checkpoint == cosigned
    assert outcome.anchored.judgement.standing is Standing.OK
    log.append(entry(1))
    (outcome,) = world.keeper(log, "tsa").publish()
    assert outcome.anchored.record.checkpoint == log.checkpoint(), "the newest, though nobody has cosigned it"


def test_a_restored_backup_is_named(world):
    log = world.log()
    log.append(entry(0))
    log.close()
    shutil.copy(world.folder / "ledger.db", world.folder / "backup.db")
    log = world.log()
    log.append(entry(1))
    world.keeper(log, "tsa").publish()
    older = world.log("backup.db")
    _carry_anchors(world.folder / "ledger.db", world.folder / "backup.db")
    keeper = world.keeper(older, "tsa")
    (found,) = keeper.standing(0, online=False)
    assert found.judgement.standing is Standing.CONTRADICTED
    assert "holds 1 entries, but held 2 then" in found.judgement.says
    assert [o.anchored.judgement.standing for o in keeper.advance()] == [Standing.CONTRADICTED]


def test_a_rewritten_ledger_is_named_whatever_the_anchor_says(world, signer):
    """The operator has the key, writes another history of the same length, and keeps the table of anchors."""
    log = world.log()
    log.append_many([(entry(n), None) for n in range(4)])
    world.keeper(log).publish()
    forged = SqlLog.create(world.url("forged.db"), ORIGIN, signer)
    forged.append_many([(entry(n), None) for n in (0, 1, 2, 30)])
    forged.append(entry(4))
    forged.close()
    _carry_anchors(world.folder / "ledger.db", world.folder / "forged.db")
    keeper = world.keeper(world.log("forged.db"))
    found = keeper.standing(0, online=False)
    assert {a.judgement.standing for a in found} == {Standing.CONTRADICTED}
    assert all("rewritten after it was anchored" in a.judgement.says for a in found)
    assert earliest(found) is None
    # Entry 4 came after the anchored checkpoint: nothing covers it, and nothing is said of it.
    assert keeper.standing(4, online=False) == []
    # The records gone, there is nothing left to compare: this is what witnesses and chains are for.
    with sqlite3.connect(world.folder / "forged.db") as database:
        database.execute("DELETE FROM anchors")
    assert keeper.standing(0, online=False) == []


def _carry_anchors(source, target) -> None:
    with sqlite3.connect(target) as database:
        database.execute("ATTACH ? AS old", (str(source),))
        database.execute("DELETE FROM main.anchors")
        database.execute("INSERT INTO main.anchors SELECT * FROM old.anchors")


def test_a_record_that_was_edited_proves_nothing_and_accuses_nobody(world):
    log = world.log()
    log.append_many([(entry(n), None) for n in range(4)])
    keeper = world.keeper(log, "tsa")
    (outcome,) = keeper.publish()
    record = outcome.anchored.record
    stranger = NoteSigner.from_seed(ORIGIN, b"somebody else's seed of 32 bytes")
    other = Checkpoint(ORIGIN, 4, bytes(32))
    journal = log.journal(lambda: NOW)
    for changed, words in (
        ({"size": 3}, "was changed"),
        ({"root": bytes(32)}, "was changed"),
        ({"root": bytes(32), "checkpoint": sign_note(other.to_text(), stranger)}, "not one of this ledger"),
        ({"checkpoint": "nonsense"}, "not one of this ledger"),
    ):
        journal.records()
        journal.save(replace(record, **changed))
        (found,) = keeper.standing(0, online=False)
        assert found.judgement.standing is Standing.BROKEN, changed
        assert words in found.judgement.says
    # A damaged record does not keep the checkpoint from being anchored anew.
    (again,) = keeper.publish()
    assert again.anchored.record.id != record.id
    assert earliest(keeper.standing(0, online=False)).record.id == again.anchored.record.id


def test_a_stamp_of_another_checkpoint_does_not_stand_in(world):
    """A record whose checkpoint is genuine, with the token of an earlier one: an earlier time cannot be borrowed."""
    log = world.log()
    log.append(entry(0))
    keeper = world.keeper(log, "tsa")
    (early,) = keeper.publish()
    world.now = NOW.replace(hour=20)
    log.append(entry(1))
    (late,) = keeper.publish()
    journal = log.journal(lambda: NOW)
    journal.records()
    journal.save(replace(late.anchored.record, detail=early.anchored.record.detail))
    (found,) = keeper.standing(1, online=False)
    assert (found.judgement.standing, found.judgement.time) == (Standing.BROKEN, "")


def test_an_anchor_that_left_the_settings_is_not_checked(world):
    log = world.log()
    log.append(entry(0))
    world.keeper(log).publish()
    found = world.keeper(log, "ots").standing(0, online=False)
    assert standings(found) == {("tsa", 1): Standing.UNCHECKED, ("ots", 1): Standing.PENDING}
    world.settings["tsa"] = world.settings["ots"]  # the same name, another kind
    assert standings(world.keeper(log).standing(0, online=False))["tsa", 1] is Standing.UNCHECKED


def test_not_every_checkpoint_of_ten_years_is_judged_for_one_entry(world):
    log = world.log()
    log.append(entry(0))
    keeper = world.keeper(log, "ots")
    (first,) = keeper.publish()
    journal = log.journal(lambda: NOW)
    for _ in range(MAX_JUDGED + 20):
        journal.save(replace(first.anchored.record, id=0))
    assert len(keeper.standing(0, online=False)) == MAX_JUDGED


def test_what_cannot_be_published_is_said(world):
    log = world.log()
    with pytest.raises(UsageError, match="empty"):
        world.keeper(log).publish()
    with pytest.raises(UsageError, match="there is no anchor 'moon'"):
        world.keeper(log).publish(["moon"])
    bare = AnchorKeeper(log, (), log.journal(lambda: NOW))
    with pytest.raises(ConfigurationError, match="no anchor is configured"):
        bare.publish()
    assert bare.standing(0, online=True) == []
    for table in ({}, {"kind": ""}, {"kind": 3}):
        with pytest.raises(ConfigurationError, match="lacks kind"):
            open_anchors({"x": table}, context(world.folder))
    with pytest.raises(UsageError, match="carrier-pigeon"):
        open_anchors({"x": {"kind": "carrier-pigeon"}}, context(world.folder))


def test_anchors_commit_to_the_text_without_signatures():
    signer = NoteSigner.from_seed(ORIGIN, bytes(32))
    text = Checkpoint(ORIGIN, 1, bytes(32)).to_text()
    assert checkpoint_text(sign_note(text, signer)) == text.encode()
