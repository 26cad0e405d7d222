"""The anchor check in the verify line: proven, neutral, contradicted; and the commands that publish and list."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from assay.provenance.anchor import Anchored, AnchorRecord, Judgement, Standing
from assay.provenance.checks.anchor import AnchorCheck
from assay.provenance.evidence import Status
from assay.provenance.policy import NEWSROOM
from assay.provenance.report import Verdict
from assay.provenance.settings import SETTINGS

from ..authority import authority
from ..cli.conftest import Terminal
from ..ledger.anchors.calendar import Calendar
from ..people import TIME_STAMPING, person
from ..reports import found

CHECKS = ("manifest", "receipt", "anchor", "agreement")


def anchored(standing: Standing, time: str = "", size: int = 60, name: str = "tsa", says: str = "so it is"):
    record = AnchorRecord(name, "rfc3161", "http://tsa", size, bytes(32), "note", "stamped", "then", "then")
    return Anchored(record, Judgement(standing, says, time))


class Kept:
    """A keeper with given records."""

    def __init__(self, *items: Anchored) -> None:
        self.items, self.asked = items, []

    def standing(self, index, *, online):
        self.asked.append((index, online))
        return list(self.items)


def ask(*items: Anchored, online: bool = False):
    return AnchorCheck(lambda: Kept(*items), online=online)(None, (found(),))


EARLY, LATE = "2026-11-18T10:00:00Z", "2026-11-19T10:00:00Z"


def test_the_earliest_proof_counts():
    evidence = ask(
        anchored(Standing.PENDING, name="ots"),
        anchored(Standing.OK, LATE, 90),
        anchored(Standing.OK, EARLY, 64, "chain"),
        anchored(Standing.BROKEN, name="old"),
    )
    assert evidence.status is Status.PASS
    assert EARLY in evidence.summary
    assert "64 entries, which is anchored at chain" in evidence.summary
    assert evidence.details["time"] == EARLY
    assert [a["standing"] for a in evidence.details["anchors"]] == ["pending", "ok", "ok", "broken"]
    assert (evidence.facts, evidence.llr, evidence.conflicts) == (frozenset(), None, ())


@pytest.mark.parametrize("standing", [Standing.PENDING, Standing.UNCHECKED, Standing.BROKEN])
def test_what_proves_nothing_is_neutral(standing):
    evidence = ask(anchored(standing))
    assert (evidence.status, evidence.conflicts, evidence.facts) == (Status.ABSENT, (), frozenset())
    assert f"tsa is {standing}" in evidence.summary
    assert evidence.details["time"] is None
    assert ask().status is Status.ABSENT


def test_only_a_contradiction_is_a_conflict_and_it_outweighs_a_proof():
    evidence = ask(
        anchored(Standing.OK, EARLY), anchored(Standing.CONTRADICTED, name="chain", says="it lost")
    )
    assert evidence.status is Status.FAIL
    (conflict,) = evidence.conflicts
    assert (conflict.rule, conflict.between) == ("ledger-rewritten", ("receipt", "anchor"))
    assert "it lost" in conflict.says[1]


def test_no_entry_no_question():
    def never():
        raise AssertionError("nothing was found, so no keeper is needed")

    evidence = AnchorCheck(never)(None, ())
    assert evidence.status is Status.ABSENT
    assert AnchorCheck(lambda: None)(None, (found(),)).status is Status.ABSENT


def test_names_and_sayings_are_made_safe():
    evidence = ask(anchored(Standing.CONTRADICTED, name="\x1b[2J", says="\u202egpj"))
    said = " ".join((evidence.summary, *evidence.reasons, *evidence.conflicts[0].says))
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_the_network_is_asked_only_when_told():
    for online in (False, True):
        kept = Kept()
        AnchorCheck(lambda kept=kept: kept, online=online)(None, (found(),))
        assert kept.asked == [(41, online)]


def test_the_policy_that_asks_it_is_a_new_one():
    assert NEWSROOM.id.startswith("newsroom/3#")
    assert NEWSROOM.checks.index("anchor") == NEWSROOM.checks.index("receipt") + 1


# ------------------------------------------------------------------------------------- a whole desk


@pytest.fixture
def stamped(desk):
    """A desk with a time-stamp authority on loopback in its settings."""
    root = person("Clocks", desk.now, authority=True)
    clock = person("Clockwork", desk.now, issuer=root, usages=(TIME_STAMPING,))
    home = desk.workspace.home
    (home / "tsa.pem").write_bytes(clock.pem)
    (home / "roots.pem").write_bytes(root.pem)
    server = authority(clock, lambda: desk.now)
    with (home / SETTINGS).open("a") as settings:
        settings.write(
            f'\n[anchors.tsa]\nkind = "rfc3161"\nurl = "{server.url}"\n'
            'certificate = "tsa.pem"\nroots = "roots.pem"\n'
        )
    desk.server = server
    yield desk
    server.close()


@pytest.fixture
def told(stamped):
    return Terminal(stamped.folder, stamped.workspace.home)


def lines(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def test_a_file_s_entry_is_proven_by_a_time_stamp_and_the_commands_say_so(stamped, told):
    signed = stamped.sign(stamped.picture())
    assert told("ledger", "anchors").err.strip() == "nothing was anchored"
    (made,) = lines(told("ledger", "anchor", "--json"))
    assert (made["name"], made["size"], made["standing"], made["problem"]) == ("tsa", 1, "ok", None)
    (listed,) = lines(told("ledger", "anchors", "--json", "--size", "1"))
    assert listed == {k: v for k, v in made.items() if k != "problem"}
    assert lines(told("ledger", "anchors", "--json", "--size", "2")) == []
    assert "tsa" in told("ledger", "anchors").out

    (report,) = lines(told("verify", signed, "--json", "--checks", ",".join(CHECKS), expect=None))
    (item,) = [e for e in report["evidence"] if e["check"] == "anchor"]
    assert item["status"] == "pass"
    assert item["details"]["time"] == stamped.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert report["recovered"]["anchors"] == [listed]
    shown = told("verify", signed, "--checks", ",".join(CHECKS), expect=None).out
    assert "Outside anchor" in shown
    assert "anchored at tsa" in " ".join(shown.replace("│", " ").split())


def test_before_it_is_anchored_and_while_the_authority_is_down_nothing_is_held_against_the_file(
    stamped, told
):
    signed = stamped.sign(stamped.picture())
    (before,) = lines(told("verify", signed, "--json", "--checks", ",".join(CHECKS), expect=None))
    stamped.server.close()
    answer = told("ledger", "anchor", expect=5)
    assert "cannot be reached" in answer.err
    (after,) = lines(told("verify", signed, "--json", "--online", "--checks", ",".join(CHECKS), expect=None))
    assert after["verdict"] == before["verdict"] != "conflict"
    (item,) = [e for e in after["evidence"] if e["check"] == "anchor"]
    assert (item["status"], after["conflicts"]) == ("absent", [])
    assert "tsa is pending" in item["summary"]


def test_an_anchor_whose_settings_are_broken_is_could_not_look(stamped):
    signed = stamped.sign(stamped.picture())
    (stamped.workspace.home / "tsa.pem").unlink()
    fresh = type(stamped.workspace).open(stamped.workspace.home, now=lambda: stamped.now)
    report = fresh.verify(signed, checks=CHECKS)
    (item,) = [e for e in report.evidence if e.check == "anchor"]
    assert item.status is Status.ERROR
    assert report.verdict is not Verdict.CONFLICT
    fresh.log.close()


def test_a_rewritten_ledger_is_a_conflict_and_exits_1(stamped, told):
    """The operator signs a second history over the first and keeps its anchors."""
    from assay.provenance.plugins import load_plugin

    home = stamped.workspace.home
    stamped.sign(stamped.picture())
    told("ledger", "anchor")
    stamped.workspace.log.close()
    seed, settings = (home / "keys/ledger.seed").read_bytes(), stamped.workspace.settings
    url = f"sqlite:///{home / 'forged.sqlite'}"
    load_plugin("assay.logs", "sql").create(url, origin=settings.origin, seed=seed).close()
    with closing(sqlite3.connect(home / "forged.sqlite", isolation_level=None)) as database:
        database.execute("ATTACH ? AS old", (str(home / "ledger.sqlite"),))
        database.execute("INSERT INTO main.anchors SELECT * FROM old.anchors")
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "forged.sqlite").rename(home / "ledger.sqlite")
    told("ledger", "append", stamped.picture(name="chelsea"))
    other = stamped.picture(name="chelsea")
    (report,) = lines(told("verify", other, "--json", "--checks", ",".join(CHECKS), expect=1))
    assert report["verdict"] == "conflict"
    assert [c["rule"] for c in report["conflicts"]] == ["ledger-rewritten"]
    assert "tampered" not in json.dumps(report)
    assert told("ledger", "anchors", expect=1).out
    assert "contradicted" in told("ledger", "anchor", expect=1).out


def test_calls_that_make_no_sense_are_refused(stamped, told):
    assert "empty" in told("ledger", "anchor", expect=2).err
    stamped.sign(stamped.picture())
    assert "moon" in told("ledger", "anchor", "moon", expect=2).err
    settings = stamped.workspace.home / SETTINGS
    settings.write_text(settings.read_text().partition("\n[anchors")[0] + "\n")
    assert "no anchor is configured" in told("ledger", "anchor", expect=5).err


def test_secrets_are_read_by_uri(stamped):
    from assay.provenance.errors import CredentialError, UsageError
    from assay.provenance.keys.signers import read_secret

    home, environ = stamped.folder, {"KEY": "hush"}
    (home / "key").write_bytes(b"hush")
    (home / "key").chmod(0o400)
    assert {
        read_secret(uri, home, environ) for uri in ("file:key", "key", "env:KEY", f"file:{home}/key")
    } == {b"hush"}
    (home / "key").chmod(0o444)
    for uri, error in (
        ("key", CredentialError),
        ("file:absent", CredentialError),
        ("env:ABSENT", CredentialError),
        ("pkcs11:x", UsageError),
    ):
        with pytest.raises(error):
            read_secret(uri, home, environ)


def test_waiting_ends_when_nothing_is_pending_or_the_time_is_up(stamped, told):
    stamped.sign(stamped.picture())
    told("ledger", "anchor", "--wait", "600")  # stamped at once: no need to wait
    home = stamped.workspace.home
    with closing(Calendar()) as calendar:
        with (home / SETTINGS).open("a") as settings:
            settings.write(f'[anchors.ots]\nkind = "opentimestamps"\ncalendars = ["{calendar.url}"]\n')
        answer = told("ledger", "anchor", "ots", "--wait", "1")
        assert "pending" in answer.out
        assert [line.split()[0] for line in calendar.asked] == ["POST", "GET"]
        calendar.mine(100)
        assert "upgraded" in told("ledger", "anchor", "ots").out
