"""``assay trust``: editions that replace one another, certificates that no longer count, and what is amiss."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.keys.health import check_trust
from assay.provenance.keys.trust import INDEX
from assay.provenance.keys.update import fetch_list, find_list, update_list

from ..people import person
from ..provenance.test_net import peer, says
from .test_models import publisher

DAY = dt.timedelta(days=1)


def lines(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def entry(workspace, name):
    return next(e for e in workspace.trust.lists() if e.name == name)


def test_an_update_shows_what_changes_and_counts_at_once(desk, terminal):
    studio = desk.studio
    other = person("Newcomers", desk.now, authority=True)
    edition = desk.file(studio.agencies.pem + other.pem, ".pem")
    by = person("Newcomer", desk.now, issuer=other)
    signed = desk.sign(desk.picture(), by=by, mark=False, ledger=False)
    assert desk.verify(signed, checks=("manifest",)).verdict == "inconclusive"
    (change,) = lines(terminal("trust", "update", edition, "--name", "agencies", "--json"))
    assert [m["name"] for m in change["added"]] == ["O=Newcomers"]
    assert (change["removed"], change["kept"]) == ([], 1)
    assert change["before"]["sha256"] != change["after"]["sha256"]
    assert desk.verify(signed, checks=("manifest",)).verdict == "source-confirmed"
    folder = desk.workspace.home / "trust"
    assert len([p for p in folder.iterdir() if p.name.startswith("signer-agencies")]) == 1
    back = desk.file(studio.agencies.pem, ".pem")
    assert "- " in terminal("trust", "update", back, "--name", "agencies").out
    assert desk.verify(signed, checks=("manifest",)).verdict == "inconclusive"


def test_an_edition_that_would_lose_everybody_is_refused(desk, terminal):
    strangers = desk.file(desk.studio.stranger.issuer.pem, ".pem")
    before = entry(desk.workspace, "agencies")
    refused = terminal("trust", "update", strangers, "--name", "agencies", expect=2)
    assert "none of the 1 members" in refused.err
    assert entry(desk.workspace, "agencies") == before
    terminal("trust", "update", strangers, "--name", "agencies", "--force")
    assert entry(desk.workspace, "agencies") != before


def test_older_and_frozen_editions_are_refused(desk, terminal):
    pem = desk.file(desk.studio.agencies.pem + desk.studio.stranger.issuer.pem, ".pem")
    older = terminal("trust", "update", pem, "--name", "agencies", "--date", "2001-01-01", expect=2)
    assert "it is older than" in older.err
    first = desk.file(desk.studio.agencies.pem, ".pem")
    terminal("trust", "add", first, "--kind", "signer", "--name", "itl", "--standing", "interim")
    assert entry(desk.workspace, "itl").frozen
    assert "frozen by its keeper" in terminal("trust", "update", pem, "--name", "itl", expect=2).err
    assert "[interim] [frozen]" in terminal("trust", "list").out


def test_what_is_not_a_list_changes_nothing(desk, terminal):
    before = (desk.workspace.home / "trust" / INDEX).read_bytes()
    terminal("trust", "update", desk.file(b"nothing"), "--name", "agencies", expect=5)
    terminal("trust", "update", desk.folder / "none.pem", "--name", "agencies", expect=4)
    terminal("trust", "update", desk.file(desk.studio.agencies.pem), "--name", "nobody", expect=2)
    terminal("trust", "update", desk.file(desk.studio.agencies.pem), expect=2)
    assert (desk.workspace.home / "trust" / INDEX).read_bytes() == before


def test_an_update_cut_off_leaves_the_former_edition_in_force(desk, monkeypatch):
    """The index is replaced last: until then the new file is one that nothing names."""
    trust = desk.workspace.trust
    before = entry(desk.workspace, "agencies")
    data = desk.studio.agencies.pem + desk.studio.stranger.issuer.pem

    def cut(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trust, "_write", cut)
    with pytest.raises(KeyboardInterrupt):
        update_list(trust, before, data, source="x", date=desk.now.date())
    monkeypatch.undo()
    assert entry(desk.workspace, "agencies") == before
    assert trust.content(before) == desk.studio.agencies.pem


def test_files_of_older_workspaces_are_found_and_give_way(desk):
    trust = desk.workspace.trust
    before = entry(desk.workspace, "agencies")
    trust.path(before).rename(trust.folder / "signer-agencies.pem")
    assert trust.content(before) == desk.studio.agencies.pem
    data = desk.studio.agencies.pem + desk.studio.stranger.issuer.pem
    update_list(trust, before, data, source="x", date=desk.now.date())
    assert not (trust.folder / "signer-agencies.pem").exists()
    assert trust.content(entry(desk.workspace, "agencies")) == data


def test_a_url_is_fetched_only_online_over_https_and_from_public_addresses(desk, terminal, monkeypatch):
    with peer(says(b"")) as (url, seen):
        for options, code, words in (
            ((), 2, "only with --online"),
            (("--online",), 2, "not an https URL"),
        ):
            answer = terminal("trust", "update", url, "--name", "agencies", *options, expect=code)
            assert words in answer.err
        secure = url.replace("http:", "https:")
        answer = terminal("trust", "update", secure, "--name", "agencies", "--online", expect=5)
        assert "not a public address" in answer.err
    assert seen == []
    data = desk.studio.agencies.pem + desk.studio.stranger.issuer.pem
    with publisher(desk.folder, {"/list.pem": data}) as (url, trusted):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        fetcher = Fetcher(seconds=5, allow={"127.0.0.1"})
        assert fetch_list(f"{url}/list.pem", fetcher) == data
        with pytest.raises(NetworkError, match="status 404"):
            fetch_list(f"{url}/other.pem", fetcher)


def test_a_list_is_found_by_where_it_came_from(desk):
    trust = desk.workspace.trust
    trust.add(
        desk.studio.agencies.pem, name="x", kind="signer", source="https://e.org/l.pem", date=desk.now.date()
    )
    assert find_list(trust, "https://e.org/l.pem").name == "x"
    with pytest.raises(UsageError, match="several"):
        find_list(trust, "the studio")


# ------------------------------------------------------------------------------------------- revoke


def test_a_certificate_is_revoked_and_believed_again(desk, terminal):
    agency = desk.studio.agency
    signed = desk.sign(desk.picture(), by=agency, mark=False, ledger=False)
    (report,) = lines(terminal("verify", signed, "--checks", "manifest", "--json"))
    serial = report["manifest"]["signer"]["serial"]
    terminal("trust", "revoke", serial, "--reason", "stolen \x1b[2K")
    report = lines(terminal("verify", signed, "--checks", "manifest", "--json", expect=1))[0]
    assert report["conflicts"][0]["rule"] == "revoked-signer"
    assert report["manifest"]["revocation"]["source"] == "deny-list"
    (listed,) = lines(terminal("trust", "revoke", "--json"))
    assert (listed["serial"], listed["reason"]) == (serial, "stolen \x1b[2K")
    assert "stolen" in terminal("trust", "revoke").out
    terminal("trust", "revoke", f"0x{int(serial):x}", "--undo")
    terminal("verify", signed, "--checks", "manifest")
    terminal("trust", "revoke", serial, "--undo", expect=2)


def test_a_deny_list_of_others_is_taken_over(desk, terminal):
    serial = desk.studio.agency.certificate.serial_number
    text = f'type = "assay.revoked/v1"\n[[revoked]]\nserial = "{serial}"\nreason = "agency\'s word"\n'
    terminal("trust", "revoke", "--file", desk.file(text.encode(), ".toml"))
    assert lines(terminal("trust", "revoke", "--json"))[0]["serial"] == str(serial)
    terminal("trust", "revoke", "--file", desk.folder / "none.toml", expect=2)
    terminal("trust", "revoke", "--file", desk.file(b"\xff", ".toml"), expect=5)
    for wrong in ("12", "xyz", ""):
        terminal("trust", "revoke", wrong, expect=2)


# ------------------------------------------------------------------------------------------- check


def test_a_desk_in_order_has_nothing_amiss(desk, terminal):
    assert check_trust(desk.workspace.trust, desk.now) == ()
    assert terminal("trust", "check").out == ""
    signed = desk.sign(desk.picture(), by=desk.studio.agency, mark=False, ledger=False)
    assert "trust:" not in terminal("verify", signed, "--checks", "manifest").err


def test_what_lists_cannot_do_is_said_before_a_verdict(desk, terminal):
    trust, studio = desk.workspace.trust, desk.studio
    for name in ("clocks", "agencies", "desk"):
        trust.remove(name)
    old = person("Old", desk.now, authority=True, since=20 * DAY, until=-2 * DAY)
    day = desk.now.date()
    trust.add(old.pem, name="gone", kind="cawg", source="x", date=day)
    said = " ".join(f.says for f in check_trust(trust, desk.now))
    assert "No list of signers" in said
    assert "No list of time-stamp authorities" in said
    assert "only certificates that have expired" in said
    trust.add(studio.agencies.pem + old.pem, name="part", kind="signer", source="x", date=day - 400 * DAY)
    trust.add(studio.agencies.pem, name="itl", kind="signer", source="x", date=day, standing="interim")
    trust.add(studio.agencies.pem, name="soon", kind="signer", source="x", date=day + 9 * DAY)
    said = " ".join(f.says for f in check_trust(trust, desk.now))
    for words in ("1 certificates of 2", "400 days old", "itl is an interim one", "in the future"):
        assert words in said
    err = terminal("verify", desk.picture(), "--checks", "manifest", expect=3).err
    assert "trust: The signer list part is 400 days old" in err
    assert {f["name"] for f in lines(terminal("trust", "check", "--json"))} >= {"part", "itl", "gone"}


def test_a_list_that_cannot_be_read_stops_with_its_name(desk, terminal):
    trust = desk.workspace.trust
    trust.path(entry(desk.workspace, "agencies")).write_bytes(b"?")
    answer = terminal("verify", desk.picture(), expect=5)
    assert "signer-agencies" in answer.err
    assert "changed outside Assay" in answer.err


def test_an_interim_list_is_told_from_the_official_one(desk):
    trust, studio = desk.workspace.trust, desk.studio
    trust.remove("agencies")
    trust.add(
        studio.agencies.pem, name="itl", kind="signer", source="x", date=desk.now.date(), standing="interim"
    )
    signed = desk.sign(desk.picture(), by=studio.agency, mark=False, ledger=False)
    report = desk.verify(signed, checks=("manifest",))
    assert report.verdict == "source-confirmed"
    assert any("interim one" in reason for reason in report.manifest.reasons)
    assert {t["name"]: t["standing"] for t in report.trust}["itl"] == "interim"
