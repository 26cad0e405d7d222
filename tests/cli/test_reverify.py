"""``assay reverify``: what changes about past reports, and what is not even looked at."""

from __future__ import annotations

import contextlib
import datetime as dt
import json

import pytest

from assay.provenance import past as reading
from assay.provenance import reverify
from assay.provenance.errors import MalformedError

from ..people import person

DAY = dt.timedelta(days=1)
CHECKS = ("--checks", "manifest,receipt")


def lines(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def first_of(reports):
    return json.loads(reports.read_text().splitlines()[0])


def look(desk, report):
    (past,) = reading.read_reports(desk.file(json.dumps(report).encode(), ".json"))
    return reverify.Reverification(desk.workspace).look(past)


@pytest.fixture
def past(desk, terminal):
    """Three files, each with its report in one JSON Lines file: of the agency, of a stranger, and unsigned."""
    studio = desk.studio
    files = {
        "agency": desk.sign(desk.picture(), by=studio.agency, mark=False),
        "stranger": desk.sign(desk.picture(name="chelsea"), by=studio.stranger, mark=False, ledger=False),
        "unsigned": desk.picture(name="chelsea"),
    }
    out = terminal("verify", *files.values(), *CHECKS, "--json", expect=3).out
    return files, desk.file(out.encode(), ".jsonl")


def test_nothing_changed_and_nothing_is_examined(past, terminal, monkeypatch):
    _, reports = past
    monkeypatch.setattr(reverify.Reverification, "_examined", None)
    answer = terminal("reverify", reports)
    assert answer.out == ""
    assert "3 as it was" in answer.err
    every = lines(terminal("reverify", reports, "--all", "--json"))
    assert [(a["changed"], a["examined"], a["inputs"]) for a in every] == [(False, "", [])] * 3


def test_a_new_list_makes_a_stranger_known(past, desk, terminal):
    files, reports = past
    desk.workspace.trust.add(
        desk.studio.stranger.issuer.pem, name="new", kind="signer", source="x", date=desk.now.date()
    )
    (again,) = lines(terminal("reverify", reports, "--json", expect=1))
    assert again["path"] == str(files["stranger"])
    assert (again["before"]["verdict"], again["after"]["verdict"]) == ("inconclusive", "source-confirmed")
    assert again["inputs"] == ["signer list new: new"]
    shown = terminal("reverify", reports, expect=1)
    assert "verdict: inconclusive → source-confirmed" in shown.out
    assert "1 changed" in shown.err


def test_a_revocation_finds_the_reports_of_that_signer_only(past, desk, terminal):
    _, reports = past
    terminal("trust", "revoke", str(desk.studio.agency.certificate.serial_number))
    every = lines(terminal("reverify", reports, "--all", "--json", expect=1))
    assert [a["examined"] for a in every] == ["file", "", ""]
    assert (every[0]["after"]["verdict"], every[0]["after"]["revocation"]) == ("conflict", "revoked")
    assert every[0]["inputs"] == ["the deny-list: the signer is on it now"]


def test_a_revocation_taken_back(past, desk, terminal):
    files, _ = past
    serial = str(desk.studio.agency.certificate.serial_number)
    terminal("trust", "revoke", serial)
    report = desk.file(terminal("verify", files["agency"], *CHECKS, "--json", expect=1).out.encode(), ".json")
    terminal("reverify", report)
    terminal("trust", "revoke", serial, "--undo")
    (again,) = lines(terminal("reverify", report, "--json", expect=1))
    assert (again["before"]["verdict"], again["after"]["verdict"]) == ("conflict", "source-confirmed")


def test_a_file_that_is_gone_is_judged_by_the_manifest_that_the_ledger_kept(past, desk, terminal):
    files, reports = past
    for path in files.values():
        path.unlink()
    terminal("trust", "revoke", str(desk.studio.agency.certificate.serial_number))
    (again,) = lines(terminal("reverify", reports, "--json", expect=1))
    assert again["examined"] == "manifest"
    assert (again["before"]["origin"], again["after"]["origin"]) == ("trusted", "untrusted")
    assert (again["after"]["revocation"], again["after"]["verdict"]) == ("revoked", "")


def test_the_kept_manifest_alone_changes_nothing_where_nothing_changed(past, desk, terminal):
    """A new list that has nothing to do with the signer: the signer stands, though its file is gone."""
    files, reports = past
    files["agency"].unlink()
    other = person("Others", desk.now, authority=True)
    desk.workspace.trust.add(other.pem, name="others", kind="signer", source="x", date=desk.now.date())
    every = lines(terminal("reverify", reports, "--all", "--json"))
    assert [(a["examined"], a["changed"]) for a in every] == [
        ("manifest", False),
        ("file", False),
        ("", False),
    ]


def test_a_file_that_is_gone_and_of_which_nothing_was_kept_is_named(past, desk, terminal):
    files, reports = past
    files["stranger"].write_bytes(files["unsigned"].read_bytes())  # another file under the same name
    desk.workspace.trust.add(
        desk.studio.stranger.issuer.pem, name="new", kind="signer", source="x", date=desk.now.date()
    )
    answer = terminal("reverify", reports, expect=4)
    assert "no manifest of it was kept" in answer.out
    assert "1 not examined" in answer.err


def test_engines_policies_and_certificates_that_expired_are_inputs(past, desk):
    _, reports = past
    report = first_of(reports)
    report["engines"] = {**report["engines"], "c2pa": "c2pa-python 0.1"}
    report["policy"] = "newsroom/1#0"
    desk.now = desk.studio.now + 800 * DAY
    again = look(desk, report)
    said = " ".join(again.inputs)
    assert "c2pa: c2pa-python 0.1 then" in said
    assert "policy: newsroom 1 then" in said
    assert "has expired since" in said
    assert (again.after.verdict, again.after.origin) == ("source-recovered", "untrusted")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1", b"\xff\n", b"[" * 100_000, b'{"type": "assay.report/v1"}',
        b'{"type": "assay.report/v1", "verdict": 1}\n{}',
    ],
    ids=["nothing", "open", "open array", "bytes", "deep", "bare", "lines"],
)  # fmt: skip
def test_what_is_no_report_is_said_and_never_a_fault(desk, terminal, content):
    answer = terminal("reverify", desk.file(content, ".json"), expect=None)
    assert answer.code == (4 if content else 0)


def test_hostile_reports_stay_words(past, desk, terminal):
    _, reports = past
    report = first_of(reports)
    report["policy"] = "\x1b[2K<script>/1#0"
    report["asset"] = {**report["asset"], "path": "/dev/zero"}
    terminal("reverify", desk.file(json.dumps(report).encode(), ".json"), expect=None)
    report["asset"] = {"path": "x\0y", "digest": {"alg": "sha256", "value": "0"}}
    terminal("reverify", desk.file(json.dumps(report).encode(), ".json"), expect=None)
    for field in report.keys() - {"type"}:
        for value in (None, 7, [], "x"):
            with_it = {**report, field: value}
            with contextlib.suppress(MalformedError):
                look(desk, with_it)


def test_a_name_that_is_no_utf8_and_a_report_of_many_lines_are_read_alike(past, desk):
    """JSON spells such a name as half of a surrogate pair, which the fast reader refuses."""
    _, reports = past
    report = first_of(reports)
    report["asset"] = {**report["asset"], "path": "caf\udce9.jpg"}
    assert look(desk, report).path == "caf\udce9.jpg"
    spaced = desk.file(json.dumps(report, indent=2).encode(), ".json")
    array = desk.file(json.dumps([report, {"type": "other"}, report]).encode(), ".json")
    assert [len(list(reading.read_reports(p))) for p in (spaced, array)] == [1, 2]


def test_what_other_programs_wrote_between_the_reports_is_passed_over(past, desk):
    _, reports = past
    lines = [*reports.read_text().splitlines(), '{"type": "assay.error/v1"}', "7", '"x"', "null", ""]
    mixed = desk.file("\n".join(lines).encode(), ".jsonl")
    assert len(list(reading.read_reports(mixed))) == 3


def test_deep_lines_are_refused_however_deep_the_interpreter_may_go(past, desk):
    import sys

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        for depth in (60_000, 3_000_000):
            with pytest.raises(MalformedError):
                list(reading.read_reports(desk.file(b'{"x":' + b"[" * depth, ".jsonl")))
    finally:
        sys.setrecursionlimit(limit)
