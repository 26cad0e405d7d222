"""The ledger over HTTP: it does what a log on this machine does, and every lie of its server is named."""

from __future__ import annotations

import json
import re
import threading

import pytest

from assay.ledger.log import SqlLog
from assay.ledger.lookup import key_of
from assay.ledger.remote import wire
from assay.ledger.tlog.note import NoteSigner
from assay.ledger.tlog.proof import Proof
from assay.provenance.entry import Fingerprint
from assay.provenance.errors import (
    ConfigurationError,
    CredentialError,
    LedgerError,
    LimitError,
    NetworkError,
    UsageError,
)
from assay.provenance.net import Net
from assay.provenance.protocols import Log

from ..worlds import ORIGIN, entry, recovery


def grow(log, start, stop, kept=True):
    items = [(n, recovery(n) if kept else None) for n in range(start, stop)]
    log.append_many([(entry(n, r), r) for n, r in items])


# What a log does


def test_a_remote_log_answers_as_the_log_itself(log, station):
    grow(log, 0, 700)
    with station.client() as remote:
        typed: Log = remote
        assert typed.size == 700
        for n in (0, 255, 256, 699):
            wanted = entry(n, recovery(n))
            assert remote.find_digest(wanted.digest) == log.find_digest(wanted.digest)
            assert remote.find_manifest(wanted.manifest_label) == log.find_manifest(wanted.manifest_label)
            assert remote.find_mark(wanted.mark) == log.find_mark(wanted.mark)
            near = bytearray(recovery(n).fingerprint.value)
            near[0] ^= 0xFF
            fingerprint = Fingerprint("pdq", bytes(near), 100)
            assert remote.find_fingerprint(fingerprint) == log.find_fingerprint(fingerprint) != []
            assert remote.receipt(n) == log.receipt(n)
            assert remote.verify_receipt(remote.receipt(n)) == ""
        assert remote.find_digest(entry(700).digest) == []
        assert remote.find_fingerprint(Fingerprint("pdq", bytes(32), 100)) == []
        assert remote.checkpoint() == log.checkpoint()
        assert remote.check() == []
        with pytest.raises(UsageError, match="no entry 700"):
            remote.receipt(700)


def test_an_empty_log_is_a_log(station):
    with station.client() as remote:
        assert remote.size == 0
        assert remote.find_digest(entry(1).digest) == []
        assert remote.check() == []


def test_appending_gives_a_receipt_that_holds_offline(log, station):
    with station.client(token=station.token()) as remote:
        for n in range(3):
            kept = recovery(n)
            receipt = remote.append(entry(n, kept), kept)
            assert (receipt.index, receipt.entry) == (n, entry(n, kept))
            assert log.verify_receipt(receipt) == ""
        assert remote.find_digest(entry(1).digest)[0].recovery == recovery(1)
    assert log.check() == []


def test_many_clients_append_at_once(log, station):
    token = station.token()

    def work(who):
        with station.client(name=f"client-{who}", token=token) as remote:
            got.extend(remote.append(entry(n)).index for n in range(who * 100, who * 100 + 12))

    got: list[int] = []
    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(96))
    assert log.check() == []


def test_opening_asks_nothing(station, tmp_path):
    with station.client():
        assert station.seen.asked == []
    assert not (tmp_path / "client").exists()


# Tokens and limits


@pytest.mark.parametrize("token", ["", "wrong", "assay_", "\u00e9", "two\nlines"])
def test_without_the_right_token_nothing_is_appended(log, station, token):
    station.token()
    with station.client(token=token) as remote, pytest.raises(CredentialError):
        remote.append(entry(1))
    assert log.size == 0
    assert not any(token and token in line for line in station.lines)


def test_a_removed_token_is_worth_nothing_at_once(log, station):
    with station.client(token=station.token("desk")) as remote:
        remote.append(entry(1))
        station.tokens.remove("desk")
        with pytest.raises(CredentialError, match="401 to an entry to append: the token is not known here"):
            remote.append(entry(2))
    assert log.size == 1


def test_the_file_holds_no_token_and_nobody_else_reads_it(station):
    secret = station.token()
    text = station.tokens.file.read_text()
    assert secret not in text
    assert secret.removeprefix("assay_") not in text
    assert station.tokens.file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="there is a token named 'desk'"):
        station.token()
    assert station.tokens.holder(secret) == "desk"
    assert station.tokens.holder(secret[:-1]) is None
    assert station.tokens.holder("") is None
    station.tokens.file.write_text("{}")
    with pytest.raises(ConfigurationError):
        station.tokens.holder(secret)


def test_a_server_without_tokens_takes_no_entries(log, serve):
    with (
        serve(log, tokens=None).client(token="x") as remote,
        pytest.raises(CredentialError, match=r"403 .*this server takes no entries"),
    ):
        remote.append(entry(1))


def test_a_token_never_travels_in_the_clear(station):
    refused = pytest.raises(CredentialError, match="not sent over plain http")
    with station.client(token="secret", url="http://ledger.example") as remote, refused:
        remote.append(entry(1))


def test_a_record_too_large_to_travel_is_not_sent(log, station, monkeypatch):
    monkeypatch.setattr(wire, "MAX_RECORD_BYTES", 200)
    kept = recovery(1)
    with station.client(token=station.token()) as remote:
        with pytest.raises(LimitError, match="more than 200"):
            remote.append(entry(1, kept), kept)
        log.append(entry(2, recovery(2)), recovery(2))
        assert remote.find_digest(entry(2).digest)[0].recovery is None  # it can be had only where it lies
    assert log.size == 1


def test_recovery_can_be_kept_to_oneself(log, serve):
    station = serve(log, recovery=False)
    grow(log, 0, 3)
    with station.client() as remote:
        (found,) = remote.find_digest(entry(1).digest)
        assert found.receipt.index == 1
        assert found.recovery is None
        assert remote.find_fingerprint(recovery(1).fingerprint) == []


def test_fingerprints_come_page_by_page(log, station, monkeypatch):
    from assay.ledger.remote import server

    monkeypatch.setattr(server, "PAGE_FINGERPRINTS", 7)
    grow(log, 0, 20)
    with station.client() as remote:
        for n in (0, 6, 7, 13, 19):
            assert [f.receipt.index for f in remote.find_fingerprint(recovery(n).fingerprint)] == [n]
        grow(log, 20, 21)
        assert [f.receipt.index for f in remote.find_fingerprint(recovery(20).fingerprint)] == [20]
    pages = [request for request, _, _ in station.seen.asked if "fingerprints" in request]
    assert pages[:4] == [f"/v1/fingerprints?start={n}" for n in (0, 6, 12, 18)]
    assert pages[-1] == "/v1/fingerprints?start=20"


def test_an_erased_record_is_gone_for_those_who_saw_its_fingerprint(log, station):
    grow(log, 0, 20)
    with station.client() as remote:
        assert remote.find_fingerprint(recovery(7).fingerprint)[0].receipt.index == 7
        log.erase_recovery(7)
        assert remote.find_fingerprint(recovery(7).fingerprint) == []
        assert remote.find_digest(entry(7).digest)[0].recovery is None
    with station.client() as again:  # from the file that the first left
        assert again.find_fingerprint(recovery(8).fingerprint)[0].receipt.index == 8


# Answers that do not come


def test_an_append_without_an_answer_is_looked_up_before_it_is_sent_again(log, station):
    dropped = []

    def drop(path):
        if path == "/v1/append" and not dropped:
            dropped.append(path)
            return True
        return False

    station.seen.drop = drop
    with station.client(token=station.token()) as remote:
        receipt = remote.append(entry(1), None)
    assert receipt.index == 0
    assert log.size == 1  # it had been appended; it was found, and not sent again
    assert [path for path, _, _ in station.seen.asked if "append" in path] == ["/v1/append?"]


def test_the_same_leaf_is_appended_once_however_often_it_is_sent(log, station, witness, quorum, cosigned):
    """A client that cannot look it up, since what is new is not cosigned, may send it twice."""
    log.append(entry(0))
    cosigned()
    dropped = []
    station.seen.drop = lambda path: path == "/v1/append" and not dropped and not dropped.append(path)
    with station.client(token=station.token(), policy=quorum) as remote:
        assert remote.append(entry(1), None).index == 1
    assert log.size == 2
    assert len([1 for path, _, _ in station.seen.asked if "append" in path]) == 2


def test_an_append_that_stays_unanswered_is_not_called_a_failure(log, station):
    station.seen.drop = lambda path: path == "/v1/append"
    station.seen.lie = lambda path, status, body: (
        (status, json.dumps({"checkpoint": "", "receipts": [], "next": None}).encode())
        if "find" in path
        else (status, body)
    )
    with (
        station.client(token=station.token()) as remote,
        pytest.raises(NetworkError, match="whether the entry was appended is not known") as caught,
    ):
        remote.append(entry(1), None)
    assert str(entry(1).digest) in caught.value.hint


def test_a_server_that_is_not_there_is_said_to_be(station):
    with station.client(url="http://127.0.0.1:9") as remote:
        for question in (lambda: remote.size, lambda: remote.find_digest(entry(1).digest), remote.check):
            with pytest.raises(NetworkError, match=r"http://127.0.0.1:9 cannot be reached"):
                question()


# Lies


def altered(receipt_text, change):
    proof = Proof.from_text(receipt_text)
    fields = {"leaf": proof.leaf, "index": proof.index, "path": proof.path, "note": proof.note}
    return Proof(**{**fields, **change(proof)}).to_text()


LIES = {
    "another leaf": lambda p: {"leaf": p.leaf.replace(b"image/png", b"image/gif")},
    "another index": lambda p: {"index": p.index ^ 1},
    "another path": lambda p: {"path": (p.path[0][::-1], *p.path[1:])},
    "a shorter path": lambda p: {"path": p.path[:-1]},
    "another root": lambda p: {"note": p.note.replace(p.note.split("\n")[2][:6], "AAAAAA")},
    "another size": lambda p: {"note": p.note.replace("\n300\n", "\n301\n")},
    "another log": lambda p: {"note": p.note.replace(ORIGIN, "example.org/other")},
    "no signature": lambda p: {"note": p.note.rpartition("—")[0]},
}


@pytest.mark.parametrize("name", LIES)
def test_an_altered_receipt_is_never_returned(log, station, name):
    grow(log, 0, 300)

    def lie(path, status, body):
        if path.startswith("/v1/receipt"):
            return status, altered(body.decode(), LIES[name]).encode()
        if path.startswith("/v1/find"):
            document = json.loads(body)
            document["receipts"] = [altered(text, LIES[name]) for text in document["receipts"]]
            return status, json.dumps(document).encode()
        return status, body

    with station.client() as remote:
        assert remote.size == 300
        station.seen.lie = lie
        for question in (lambda: remote.receipt(7), lambda: remote.find_digest(entry(7).digest)):
            with pytest.raises(LedgerError):
                question()
        station.seen.lie = lambda path, status, body: (status, body)
        assert remote.receipt(7).index == 7


def test_the_receipt_of_another_entry_is_no_answer(log, station):
    grow(log, 0, 10)
    other = log.receipt(4).text.encode()
    station.seen.lie = lambda path, status, body: (status, other if "receipt" in path else body)
    with (
        station.client() as remote,
        pytest.raises(LedgerError, match="answered with entry 4 where 3 was asked for"),
    ):
        remote.receipt(3)


def test_an_append_answered_with_another_entry_s_receipt_is_no_append(log, station):
    grow(log, 0, 10)
    station.seen.lie = lambda path, status, body: (
        status,
        log.receipt(4).text.encode() if "append" in path else body,
    )
    with (
        station.client(token=station.token()) as remote,
        pytest.raises(LedgerError, match="receipt of another entry"),
    ):
        remote.append(entry(99), None)


def test_candidates_that_do_not_match_are_left_out(log, station):
    """The server may answer with whatever is in its log; only what was looked for is found."""
    grow(log, 0, 10)

    def lie(path, status, body):
        if "find" not in path:
            return status, body
        receipts = [log.receipt(i).text for i in (2, 5)]
        return status, json.dumps({"receipts": receipts, "next": None}).encode()

    station.seen.lie = lie
    with station.client() as remote:
        assert remote.find_digest(entry(7).digest) == []
        assert [f.receipt.index for f in remote.find_digest(entry(5).digest)] == [5]


def test_a_recovery_record_of_another_entry_is_refused(log, station):
    grow(log, 0, 10)

    def lie(path, status, body):
        if "recoveries" in path:
            rows = json.loads(body)["recoveries"]
            rows[2]["record"] = rows[1]["record"]
            return status, json.dumps({"recoveries": rows}).encode()
        return status, body

    station.seen.lie = lie
    with (
        station.client() as remote,
        pytest.raises(LedgerError, match="recovery record that entry 2 does not commit to"),
    ):
        remote.find_digest(entry(2).digest)


def test_false_fingerprints_lead_to_nothing(log, station):
    grow(log, 0, 10)
    target = recovery(3).fingerprint.value

    def lie(path, status, body):
        if "fingerprints" not in path:
            return status, body
        rows = [[i, "pdq", target.hex()] for i in (1, 5)]
        return status, json.dumps({"fingerprints": rows, "next": 10, "more": False}).encode()

    station.seen.lie = lie
    with station.client() as remote:
        assert remote.find_fingerprint(Fingerprint("pdq", target, 100)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        b'{"receipts": [1]}',
        b'{"receipts": {}}',
        b'{"recoveries": [1]}',
        b'{"fingerprints": [[1,2]], "next": 1, "more": true}',
        b'{"proof": ["zz"]}',
    ],
)
def test_nonsense_is_called_nonsense(log, station, body):
    grow(log, 0, 40)
    with station.client() as remote:
        assert remote.size == 40
        station.seen.lie = lambda path, status, _: (status, body)
        grow(log, 40, 41)
        questions = (
            lambda: remote.size,
            lambda: remote.receipt(1),
            lambda: remote.find_digest(entry(1).digest),
            lambda: remote.find_fingerprint(recovery(1).fingerprint),
            remote.check,
        )
        for question in questions:
            try:
                question()
            except Exception as error:
                assert (
                    isinstance(error, NetworkError | LedgerError) or type(error).__name__ == "MalformedError"
                )
            else:
                raise AssertionError("nonsense was believed")


def test_words_of_the_server_are_shown_safely(station):
    words = {"error": "\x1b]0;owned\x07" + "\u202e" * 9 + "x" * 9999, "hint": "rm -rf /"}
    station.seen.lie = lambda path, status, body: (418, json.dumps(words).encode())
    with station.client() as remote, pytest.raises(NetworkError) as caught:
        _ = remote.size
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "rm -rf" not in str(caught.value)


# Other histories


@pytest.fixture
def fork(tmp_path, signer):
    """Make another database of the same log and key: fork(entries to keep, entries in all)."""
    made = []

    def make(keep, size):
        other = SqlLog.create(f"sqlite:///{tmp_path / f'fork-{len(made)}.db'}", ORIGIN, signer)
        made.append(other)
        grow(other, 0, keep)
        grow(other, 1000 + keep, 1000 + size)
        return other

    yield make
    for other in made:
        other.close()


@pytest.mark.parametrize("when", ["in one run", "in the next run"])
@pytest.mark.parametrize("size", [300, 310])
def test_a_fork_is_named_and_both_checkpoints_are_kept(log, serve, fork, size, when, tmp_path):
    grow(log, 0, 300)
    honest, false = serve(log), serve(fork(299, size))
    with honest.client() as remote:
        remote.find_digest(entry(1).digest)
        seen = remote.checkpoint()
        if when == "in one run":
            remote._remote._url = false.url
            questions = [remote]
        else:
            questions = [false.client()]
        with questions[0] as other:
            for question in (
                lambda: other.size,
                lambda: other.find_digest(entry(1).digest),
                lambda: other.receipt(1),
            ):
                with pytest.raises(
                    LedgerError, match="shows another history than before: its first 300 entries"
                ):
                    question()
    (proof,) = (tmp_path / "client").glob("*.contradiction-*")
    assert seen in proof.read_text()
    with honest.client() as remote:
        assert remote.size == 300


def test_a_rolled_back_server_is_named(log, serve, fork):
    grow(log, 0, 300)
    with serve(log).client() as remote:
        assert remote.size == 300
    for size in (299, 256, 0):
        with (
            serve(fork(size, size)).client() as remote,
            pytest.raises(
                LedgerError, match=f"shows {size} entries, but showed 300 before: it was rolled back"
            ),
        ):
            _ = remote.size


def test_an_earlier_answer_that_comes_late_is_no_rollback(log, station):
    grow(log, 0, 300)
    early = log.checkpoint().encode()
    grow(log, 300, 310)
    with station.client() as remote:
        assert remote.size == 310
        station.seen.lie = lambda path, status, body: (
            status,
            early if path.startswith("/checkpoint") else body,
        )
        assert remote.size == 300  # the server proves that it still has the later tree
        station.seen.lie = lambda path, status, body: (status, body)
        assert remote.size == 310


def test_a_server_that_will_not_prove_its_growth_is_not_followed(log, station):
    grow(log, 0, 300)
    with station.client() as remote:
        assert remote.size == 300
        grow(log, 300, 310)
        station.seen.lie = lambda path, status, body: (503, b"") if "consistency" in path else (status, body)
        with pytest.raises(NetworkError, match="503 to a consistency proof"):
            _ = remote.size
        station.seen.lie = lambda path, status, body: (
            (status, b'{"proof": []}') if "consistency" in path else (status, body)
        )
        with pytest.raises(LedgerError, match="another history"):
            _ = remote.size


def test_what_was_seen_is_guarded(log, station, tmp_path):
    grow(log, 0, 3)
    with station.client() as remote:
        assert remote.size == 3
    (file,) = (tmp_path / "client").glob("seen-*.note")
    file.write_text(file.read_text().replace("\n3\n", "\n2\n"))
    with (
        station.client() as remote,
        pytest.raises(LedgerError, match="what was seen of the ledger before cannot be trusted"),
    ):
        _ = remote.size


def test_another_log_or_key_at_the_same_address_is_not_taken_for_it(tmp_path, serve, log, station):
    stranger = NoteSigner.from_seed(ORIGIN, bytes(32))
    refused = pytest.raises(LedgerError, match="cannot be trusted: no known key signed this note")
    with SqlLog.create(f"sqlite:///{tmp_path / 'x.db'}", ORIGIN, stranger) as other:
        url = serve(other).url
        with station.client(url=url) as remote, refused:
            _ = remote.size


# Witnesses


def test_with_a_quorum_only_what_is_cosigned_counts(log, station, quorum, cosigned):
    grow(log, 0, 3)
    with station.client(policy=quorum) as remote:
        with pytest.raises(NetworkError, match="no witness has cosigned this ledger yet"):
            _ = remote.size
        cosigned()
        grow(log, 3, 5)
        assert remote.size == 3
        (found,) = remote.find_digest(entry(2).digest)
        assert remote.verify_receipt(found.receipt) == ""
        assert remote.find_digest(entry(4).digest) == []
        assert remote.find_fingerprint(recovery(4).fingerprint) == []
        assert "quorum" in remote.verify_receipt(log.receipt(4))
        cosigned()
        assert remote.find_digest(entry(4).digest)[0].receipt.index == 4


def test_a_server_cannot_pass_the_head_off_as_cosigned(log, station, quorum, cosigned):
    grow(log, 0, 3)
    cosigned()
    grow(log, 3, 5)
    station.seen.lie = lambda path, status, body: (
        (status, log.checkpoint().encode()) if path.startswith("/checkpoint") else (status, body)
    )
    with (
        station.client(policy=quorum) as remote,
        pytest.raises(LedgerError, match="quorum of witnesses is not reached"),
    ):
        _ = remote.size


# What the server learns


def test_a_look_up_gives_away_a_prefix_that_dozens_of_entries_share(log, station):
    grow(log, 0, 2100)
    wanted = entry(1234, recovery(1234))
    station.seen.asked.clear()
    with station.client() as remote:
        assert remote.find_digest(wanted.digest)[0].recovery == recovery(1234)
        assert remote.find_mark(wanted.mark) != []
        assert remote.find_manifest(wanted.manifest_label) != []
        assert remote.find_digest(entry(99_999).digest) == []
        assert remote.find_fingerprint(recovery(1234).fingerprint) != []
    seen = " ".join(request for request, _, _ in station.seen.asked) + " ".join(station.lines)
    for secret in (
        wanted.digest.hex,
        wanted.mark.id,
        wanted.manifest_label,
        recovery(1234).fingerprint.value.hex(),
        *(str(key_of(*key)) for key in (("digest", str(wanted.digest)), ("mark", str(wanted.mark)))),
    ):
        assert secret not in seen
    looked = [re.search(r"bits=(\d+)&prefix=(\d+)", request) for request, _, _ in station.seen.asked]
    pairs = {(int(m[1]), int(m[2])) for m in looked if m}
    assert len(pairs) == 4  # one each; what is not there looks like what is
    for bits, prefix in pairs:
        assert bits == 6
        assert len(log.find_prefix(prefix, bits)) >= 64
    # the record itself is asked for in company, and by the fingerprint in a fixed group of eight
    groups = [
        re.findall(r"index=(\d+)", request) for request, _, _ in station.seen.asked if "recoveries" in request
    ]
    assert groups
    assert all(len(group) == 8 for group in groups)
    assert [str(n) for n in range(1232, 1240)] in groups


def test_asking_twice_tells_no_more_than_asking_once(log, station):
    grow(log, 0, 2100)
    asked = []
    for _ in range(2):
        station.seen.asked.clear()
        with station.client() as remote:
            remote.find_digest(entry(777).digest)
        asked.append(
            [request for request, _, _ in station.seen.asked if "find" in request or "recover" in request]
        )
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("size", "bits"),
    [(0, 0), (31, 0), (63, 0), (64, 1), (2100, 6), (10**6, 14), (10**15, 24), (2**63 - 1, 24)],
)
def test_the_prefix_grows_with_the_log_and_no_further_than_an_honest_one_needs(size, bits):
    assert wire.prefix_bits(size) == bits


def test_the_server_refuses_to_learn_a_whole_key(station):
    with Net() as net:
        for query in (
            "bits=41&prefix=0",
            "bits=64&prefix=1",
            "bits=3&prefix=8",
            "bits=3",
            "prefix=1&bits=-1",
        ):
            assert net.request("GET", f"{station.url}/v1/find?{query}").status == 400


def test_a_key_that_thousands_share_is_found_page_by_page(log, station, monkeypatch):
    from assay.ledger.remote import client, server

    monkeypatch.setattr(server, "PAGE_RECEIPTS", 10)
    grow(log, 0, 25, kept=False)
    log.append_many([(entry(7), None)] * 3)
    with station.client() as remote:
        assert [f.receipt.index for f in remote.find_digest(entry(7).digest)] == [7, 25, 26, 27]
        monkeypatch.setattr(client, "MAX_PAGES", 2)
        assert [f.receipt.index for f in remote.find_digest(entry(7).digest)] == [7]
