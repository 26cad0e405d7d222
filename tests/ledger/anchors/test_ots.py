"""OpenTimestamps: others' proofs, a real Bitcoin header, and a calendar on loopback that promises and delivers."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.ledger.anchors.headers import HeaderFile
from assay.ledger.anchors.ots import OpenTimestampsAnchor, judge_attestations
from assay.ledger.anchors.ots_proof import MAX_ANSWER_BYTES, Attestation, OtsProof
from assay.provenance.anchor import Standing, checkpoint_digest
from assay.provenance.errors import ConfigurationError, CredentialError, MalformedError, NetworkError

from .calendar import EASY, TIME, Calendar, chain, lines, mine
from .journal import MemoryJournal
from .worlds import checkpoint, context

HEIGHT = 100
# Block 358391 of Bitcoin, as every node has it; its own work shows that nobody made it up.
BLOCK_358391 = (
    "02000000b96394585a281b7e5f438fd1c9ed492645a1fd61cb3802040000000000000000007ee445d23ad061af4a36b809501fab"
    "1ac4f2d7e7a739817dd0cbb7ec661b8a1e376755f58616186272def6"
)


@pytest.fixture
def calendars():
    made = [Calendar(), Calendar()]
    yield made
    for calendar in made:
        calendar.close()


def anchor(home, *calendars: Calendar | str, headers: str = "", network: str = "regtest"):
    urls = [c if isinstance(c, str) else c.url for c in calendars]
    settings = {"kind": "opentimestamps", "calendars": urls}
    return OpenTimestampsAnchor(
        "ots", settings | ({"headers": headers, "network": network} if headers else {}), context(home)
    )


# ------------------------------------------------------------------------------------- others' proofs

BITCOIN = {
    "bad-stamp.txt.ots": [358391],
    "bitcoin.pdf.ots": [465751],
    "different-blockchains.txt.ots": [455605],
    "empty.ots": [129405],
    "gdp2q25-2nd.pdf.ots": [912095],
    "hello-world.txt.ots": [358391],
    "sha1/a-or-b.ots": [466906],
}
PENDING = (
    "incomplete.txt.ots",
    "merkle1.txt.ots",
    "merkle2.txt.ots",
    "merkle3.txt.ots",
    "two-calendars.txt.ots",
)
OTHER = {"known-and-unknown-notary.txt.ots": "unknown", "unknown-notary.txt.ots": "unknown"}


def others(corpus, name):
    return OtsProof.parse((corpus / "ledger/opentimestamps" / name).read_bytes())


@pytest.mark.parametrize("name", BITCOIN)
def test_others_upgraded_proofs_name_their_block_and_are_not_checked_without_headers(corpus, name):
    attested = others(corpus, name).attestations()
    assert [a.height for a in attested if a.kind == "bitcoin"] == BITCOIN[name]
    judged = judge_attestations(attested, None)
    assert (judged.standing, judged.time) == (Standing.UNCHECKED, "")
    assert f"upgraded: the proof names Bitcoin block {BITCOIN[name][0]}" in judged.says


@pytest.mark.parametrize("name", PENDING)
def test_a_promise_is_not_a_time_stamp(corpus, name):
    judged = judge_attestations(others(corpus, name).attestations(), None)
    assert (judged.standing, judged.time) == (Standing.PENDING, "")
    assert "calendar.opentimestamps.org" in judged.says


@pytest.mark.parametrize("name", OTHER)
def test_a_notary_that_nobody_knows_proves_nothing(corpus, name):
    attested = others(corpus, name).attestations()
    assert OTHER[name] in {a.kind for a in attested}
    assert judge_attestations(attested, None).standing is Standing.UNCHECKED


def test_other_chains_are_named_and_not_believed(corpus):
    attested = others(corpus, "different-blockchains.txt.ots").attestations()
    assert {a.kind for a in attested} == {"bitcoin", "ethereum", "pending"}
    rest = [a for a in attested if a.kind != "bitcoin"]
    judged = judge_attestations(rest, None)
    assert judged.standing is Standing.UNCHECKED
    assert "Ethereum block 3283713" in judged.says
    judged = judge_attestations([Attestation("litecoin", bytes(32), 1000)], None)
    assert (judged.standing, "Litecoin block 1000" in judged.says) == (Standing.UNCHECKED, True)


def test_every_proof_of_the_corpus_is_read_or_refused(corpus):
    folder = corpus / "ledger/opentimestamps"
    named = {*BITCOIN, *PENDING, *OTHER}
    assert {str(p.relative_to(folder)) for p in folder.rglob("*.ots") if "invalid" not in p.parts} == named
    for name in named:
        data = (folder / name).read_bytes()
        assert OtsProof.parse(data).to_bytes() == data
    invalid = sorted((folder / "invalid").glob("*.ots"))
    assert len(invalid) == 3
    for path in invalid:
        with pytest.raises(MalformedError):
            OtsProof.parse(path.read_bytes())


def test_the_bad_stamp_parses_and_fails_the_real_header(corpus, tmp_path):
    (tmp_path / "headers.txt").write_text(f"# Bitcoin\n\n358391 {BLOCK_358391}\n")
    headers = HeaderFile(tmp_path / "headers.txt")
    good = judge_attestations(others(corpus, "hello-world.txt.ots").attestations(), headers)
    assert (good.standing, good.time) == (Standing.OK, "2015-05-28T15:41:18Z")
    assert good.says.startswith("checked: Bitcoin block 358391")
    bad = judge_attestations(others(corpus, "bad-stamp.txt.ots").attestations(), headers)
    assert (bad.standing, bad.time) == (Standing.BROKEN, "")
    absent = judge_attestations(others(corpus, "empty.ots").attestations(), headers)
    assert absent.standing is Standing.UNCHECKED
    assert "not among those given" in absent.says


def test_mangled_proofs_are_refused_in_words(corpus):
    data = (corpus / "ledger/opentimestamps/different-blockchains.txt.ots").read_bytes()

    @given(st.integers(0, len(data) - 1), st.integers(1, 255), st.integers(0, len(data)))
    def mangle(place, flip, length):
        broken = bytearray(data)
        broken[place] ^= flip
        for candidate in (bytes(broken), data[:length], data + data[:length]):
            with contextlib.suppress(MalformedError):
                judge_attestations(OtsProof.parse(candidate).attestations(), None)

    mangle()
    with pytest.raises(MalformedError):
        OtsProof.parse(bytes(70_000))
    # A height of 8,000 bytes is no height, and too long to print.
    head, tag = data[:65], bytes.fromhex("000588960d73d71901")
    absurd = OtsProof.parse(head + tag + b"\x81\x3f" + b"\xff" * 8064 + b"\x01")
    assert [a.kind for a in absurd.attestations()] == ["unknown"]


# ------------------------------------------------------------------------------------- a calendar of our own


def test_pending_then_upgraded_then_checked(tmp_path, calendars):
    journal, first = MemoryJournal(), calendars[0]
    plain = anchor(tmp_path, *calendars)
    record = plain.publish(checkpoint(), journal)
    assert (record.state, record.size) == ("pending", 7)
    assert plain.judge(record, online=True).standing is Standing.PENDING
    assert plain.advance(record, journal) == record, "a calendar that has no more yet is no fault"
    assert checkpoint_digest(checkpoint()) not in first.commitments, "a nonce keeps the digest to ourselves"

    (root,) = first.mine(HEIGHT)
    record = plain.advance(record, journal)
    judged = plain.judge(record, online=True)
    assert (record.state, judged.standing, judged.time) == ("upgraded", Standing.UNCHECKED, "")
    asked = len(first.asked)
    assert plain.advance(record, journal) == record
    assert len(first.asked) == asked, "what has its block is not asked for again"

    made = chain([bytes(32), root, bytes(32)])
    (tmp_path / "headers.txt").write_text(lines(made, HEIGHT - 1))
    checking = anchor(tmp_path, *calendars, headers="headers.txt")
    record = checking.advance(record, journal)
    judged = checking.judge(record, online=False)
    assert (record.state, judged.standing) == ("checked", Standing.OK)
    time = dt.datetime.fromtimestamp(TIME + 600, dt.UTC)
    assert judged.time == time.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [r.state for r in journal.history] == ["pending", "upgraded", "checked"]


def test_one_calendar_is_enough_and_the_other_s_fault_is_kept(tmp_path, calendars):
    calendars[0].status = 500
    journal = MemoryJournal()
    record = anchor(tmp_path, *calendars).publish(checkpoint(), journal)
    assert "HTTP 500" in record.detail["unanswered"][calendars[0].url]
    calendars[1].status = 500
    with pytest.raises(NetworkError, match="no calendar answered"):
        anchor(tmp_path, *calendars).publish(checkpoint(), journal)
    assert len(journal.records()) == 1


def test_a_calendar_that_is_down_leaves_the_record_as_it_was(tmp_path, calendars):
    journal, only = MemoryJournal(), calendars[0]
    record = anchor(tmp_path, only).publish(checkpoint(), journal)
    only.mine(HEIGHT)
    for fault in ({"status": 502}, {"status": 200, "garbage": b"<html>"}):
        vars(only).update(fault)
        with pytest.raises(NetworkError):
            anchor(tmp_path, only).advance(record, journal)
    assert journal.records() == [record]


def test_only_calendars_of_the_settings_are_ever_asked(tmp_path, calendars):
    inner, outer = calendars
    outer.owner = inner.url  # its promise names a machine that the settings do not
    journal = MemoryJournal()
    asked = anchor(tmp_path, outer)
    record = asked.publish(checkpoint(), journal)
    assert asked.advance(record, journal) == record
    assert inner.asked == []
    assert "no calendar of the settings" in asked.judge(record, online=True).says


def test_answers_that_are_too_large_are_not_taken(tmp_path, calendars):
    calendars[0].garbage = b"\xff" * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(NetworkError):
        anchor(tmp_path, calendars[0]).publish(checkpoint(), MemoryJournal())


def test_a_lying_calendar_is_refused_and_another_one_still_counts(tmp_path, calendars):
    liar, honest = calendars
    journal = MemoryJournal()
    record = anchor(tmp_path, liar, honest).publish(checkpoint(), journal)
    liar.mine(HEIGHT)  # names a block …
    (root,) = honest.mine(HEIGHT + 1)
    made = chain([bytes(32), root])  # … that commits to something else
    (tmp_path / "headers.txt").write_text(lines(made, HEIGHT))
    checking = anchor(tmp_path, liar, honest, headers="headers.txt")
    judged = checking.judge(record, online=False)
    assert judged.standing is Standing.PENDING
    assert checking.advance(record, journal).state == "checked"

    alone = anchor(tmp_path, liar, headers="headers.txt")
    refused = alone.advance(alone.publish(checkpoint(8), journal), journal)
    liar.mine(HEIGHT)
    refused = alone.advance(refused, journal)
    assert alone.judge(refused, online=False).standing is Standing.BROKEN
    assert "does not commit" in alone.judge(refused, online=False).says


def test_a_proof_is_of_one_checkpoint_only(tmp_path, calendars):
    asked = anchor(tmp_path, *calendars)
    record = asked.publish(checkpoint(7), MemoryJournal())
    moved = replace(record, checkpoint=checkpoint(8), size=8)
    assert "other bytes" in asked.judge(moved, online=False).says
    sha1 = base64.b64decode(record.detail["proof"]).replace(b"\x01\x08", b"\x01\x02", 1)
    for proof in ("", "no base64!", base64.b64encode(sha1).decode()):
        broken = replace(record, detail={"proof": proof})
        assert asked.judge(broken, online=False).standing is Standing.BROKEN


# ------------------------------------------------------------------------------------- headers


def found(tmp_path, text, height=HEIGHT, network="regtest"):
    (tmp_path / "h.txt").write_text(text)
    return HeaderFile(tmp_path / "h.txt", network).find([height])


def test_a_header_must_have_its_work_and_its_place(tmp_path):
    made = chain([bytes([n]) * 32 for n in range(3)])
    assert found(tmp_path, lines(made, HEIGHT - 1))[HEIGHT].merkle_root == bytes([1]) * 32
    assert found(tmp_path, "", HEIGHT) == {}
    stranger = mine(bytes(32), bytes([9]) * 32, TIME)
    for text, words in (
        (lines([made[0], stranger], HEIGHT - 1), "does not follow"),
        (lines([stranger, made[1]], HEIGHT), "does not follow"),
        (lines(made[:1], HEIGHT) + lines([stranger], HEIGHT), "another header at height 100"),
    ):
        with pytest.raises(MalformedError, match=words):
            found(tmp_path, text)


def test_easy_headers_are_not_bitcoin_s(tmp_path):
    made = chain([bytes(32)])
    assert made[0].nBits == EASY
    with pytest.raises(MalformedError, match="proof of work"):
        found(tmp_path, lines(made, HEIGHT), network="bitcoin")
    assert found(tmp_path, f"358391 {BLOCK_358391}\n", 358391, "bitcoin")[358391].time.year == 2015
    flipped = BLOCK_358391.replace("1e376755", "1f376755")
    with pytest.raises(MalformedError, match="proof of work"):
        found(tmp_path, f"358391 {flipped}\n", 358391, "bitcoin")


@pytest.mark.parametrize(
    "line",
    [
        "100 zz",
        "100",
        "hundred 00",
        f"100 {'00' * 79}",
        f"100 {'00' * 81}",
        "100 " + " 00" * 80,
        "99999999999 00",
        "100 " + "0" * 400,
        "\x1b[31m",
    ],
)
def test_header_files_are_read_strictly(tmp_path, line):
    with pytest.raises(MalformedError, match="1"):
        found(tmp_path, line + "\n")


def test_bad_headers_are_not_the_proof_s_fault(tmp_path, calendars):
    journal, only = MemoryJournal(), calendars[0]
    record = anchor(tmp_path, only).publish(checkpoint(), journal)
    only.mine(HEIGHT)
    record = anchor(tmp_path, only).advance(record, journal)
    (tmp_path / "headers.txt").write_text("nonsense\n")
    for file in ("headers.txt", "absent.txt"):
        judged = anchor(tmp_path, only, headers=file).judge(record, online=False)
        assert judged.standing is Standing.UNCHECKED
        assert "of no use" in judged.says


def test_settings_that_cannot_work_are_refused_at_once(tmp_path):
    for settings in (
        {},
        {"calendars": []},
        {"calendars": "http://127.0.0.1"},
        {"calendars": [5]},
        {"calendars": ["http://127.0.0.1"] * 9},
        {"calendars": ["http://127.0.0.1"], "pool": "x"},
        {"calendars": ["http://127.0.0.1"], "headers": "h", "network": "dogecoin"},
    ):
        with pytest.raises(ConfigurationError):
            OpenTimestampsAnchor("ots", settings, context(tmp_path))
    with pytest.raises(CredentialError):
        HeaderFile(tmp_path / "absent").find([1])


def test_a_machine_without_the_extra_is_told_what_to_install(tmp_path, monkeypatch):
    from assay.ledger.anchors.rfc3161 import TimestampAuthority

    for module in ("opentimestamps.core", "bitcoin", "rfc3161_client"):
        monkeypatch.setitem(sys.modules, module, None)
    for attempt in (
        lambda: OtsProof.begin(bytes(32), bytes(16)),
        lambda: HeaderFile(tmp_path / "h"),
        lambda: TimestampAuthority(b"", b"", "tsa"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            attempt()
        assert "assay[timestamp]" in raised.value.hint
