"""Mirrors: what they can do, and every way in which a published log may lie to them."""

from __future__ import annotations

import base64

import pytest

from assay.ledger.log import SqlLog
from assay.ledger.remote.mirror import mirror
from assay.ledger.remote.source import FolderSource, WebSource
from assay.ledger.remote.static import publish
from assay.ledger.tlog.layout import pack
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, sign_note
from assay.ledger.tlog.policy import TlogPolicy
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.net import Net

from ..worlds import ORIGIN, entry


@pytest.fixture
def policy(signer):
    return TlogPolicy.of_logs([signer.vkey])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "public"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "mirror.db"


def grow(log, start, stop):
    log.append_many([(entry(n), None) for n in range(start, stop)])


def opened(file, signer):
    return SqlLog.open(f"sqlite:///{file}", ORIGIN, vkeys=[signer.vkey])


def test_a_mirror_follows_its_log_and_answers_like_it(log, folder, file, policy, signer):
    size = 0
    for more in (3, 0, 250, 10, 600):
        grow(log, size, size + more)
        publish(log, folder)
        done = mirror(FolderSource(folder), file, policy if size == 0 else None)
        assert (done.before, done.size, done.vkey) == (size, size + more, log.vkey)
        size += more
        with opened(file, signer) as copy:
            assert copy.check() == []
            assert copy.checkpoint() == log.checkpoint()
    with opened(file, signer) as copy:
        assert list(copy.leaves()) == list(log.leaves())
        wanted = entry(258)
        for found in (
            copy.find_digest(wanted.digest),
            copy.find_manifest(wanted.manifest_label),
            copy.find_mark(wanted.mark),
        ):
            assert [f.receipt.index for f in found] == [258]
            assert log.verify_receipt(found[0].receipt) == ""
        assert copy.receipt(0) == log.receipt(0)
        assert copy.consistency(100) == log.consistency(100)
        with pytest.raises(UsageError, match="opened for reading"):
            copy.append(entry(1))


def test_an_empty_log_can_be_mirrored(log, folder, file, policy):
    publish(log, folder)
    assert mirror(FolderSource(folder), file, policy).size == 0
    assert mirror(FolderSource(folder), file).size == 0
    grow(log, 0, 1)
    publish(log, folder)
    assert mirror(FolderSource(folder), file).size == 1


def test_a_mirror_comes_over_the_network_too(log, folder, file, policy, web):
    grow(log, 0, 300)
    publish(log, folder)
    with Net() as net:
        assert mirror(WebSource(web(folder), net), file, policy).size == 300


def test_a_partial_tile_that_was_outgrown_meanwhile_is_cut_from_the_full_one(
    log, folder, file, policy, signer
):
    """A slow reader holds a checkpoint whose partial tiles the publisher has removed since."""
    grow(log, 0, 200)
    publish(log, folder)
    old = (folder / "checkpoint").read_bytes()
    grow(log, 200, 300)
    publish(log, folder)
    assert not (folder / "tile/0/000.p").exists()

    class Slow(FolderSource):
        def get(self, path, limit):
            return old if path == "checkpoint" else super().get(path, limit)

    assert mirror(Slow(folder), file, policy).size == 200
    with opened(file, signer) as copy:
        assert copy.check() == []


def test_nobody_is_mirrored_on_their_own_word(log, folder, file, signer):
    publish(log, folder)
    with pytest.raises(UsageError, match="must be known from elsewhere"):
        mirror(FolderSource(folder), file)
    stranger = type(signer).from_seed(ORIGIN, bytes(32))
    with pytest.raises(LedgerError, match="cannot be trusted"):
        mirror(FolderSource(folder), file, TlogPolicy.of_logs([stranger.vkey]))
    with pytest.raises(LedgerError, match="no ledger is published"):
        mirror(FolderSource(folder / "elsewhere"), file, TlogPolicy.of_logs([signer.vkey]))
    assert not file.exists()


def test_a_quorum_of_witnesses_that_is_not_there_is_missed(log, folder, file, quorum, cosigned):
    grow(log, 0, 3)
    publish(log, folder)
    with pytest.raises(LedgerError, match="quorum of witnesses is not reached"):
        mirror(FolderSource(folder), file, quorum)
    note = cosigned()
    publish(log, folder)
    assert mirror(FolderSource(folder), file, quorum).witnesses == ("w",)
    with SqlLog.open(f"sqlite:///{file}", ORIGIN, vkeys=[log.vkey]) as copy:
        assert copy.checkpoint() == copy.kept_checkpoint() == note


@pytest.mark.parametrize(
    "name", ["tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/1/000.p/1"]
)
@pytest.mark.parametrize("fault", ["flipped", "missing", "short", "empty"])
def test_a_published_file_that_was_tampered_with_stops_the_mirror(
    log, folder, file, policy, name, fault, signer
):
    grow(log, 0, 100)
    publish(log, folder)
    mirror(FolderSource(folder), file, policy)
    grow(log, 100, 300)
    publish(log, folder)
    path = folder / name
    data = bytearray(path.read_bytes())
    data[-20 if "entries" in name else 30] ^= 1
    changed = {"flipped": bytes(data), "short": bytes(data[:-1]), "empty": b""}
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(changed[fault])
    with pytest.raises((LedgerError, MalformedError)):
        mirror(FolderSource(folder), file)
    with opened(file, signer) as copy:
        assert copy.size == 100
        assert copy.check() == []


def test_a_first_run_that_fails_leaves_no_file(log, folder, file, policy):
    grow(log, 0, 300)
    publish(log, folder)
    path = folder / "tile/entries/000"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(LedgerError, match=r"entries of .* do not have the root that its checkpoint signs"):
        mirror(FolderSource(folder), file, policy)
    assert list(file.parent.glob("mirror*")) == []


def forked(tmp_path, signer, folder, *, keep, stop):
    """Publish another history of the same log, signed with its own key."""
    with SqlLog.create(f"sqlite:///{tmp_path / 'fork.db'}", ORIGIN, signer) as fork:
        grow(fork, 0, keep)
        grow(fork, 1000 + keep, 1000 + stop)
        return publish(fork, folder)


@pytest.mark.parametrize("stop", [300, 301, 700])
@pytest.mark.parametrize("keep", [0, 256, 299])
def test_a_fork_is_named_and_the_proof_kept(log, folder, file, policy, tmp_path, signer, keep, stop):
    grow(log, 0, 300)
    publish(log, folder)
    mirror(FolderSource(folder), file, policy)
    note = log.checkpoint()
    other = tmp_path / "other"
    forked(tmp_path, signer, other, keep=keep, stop=stop)
    with pytest.raises(LedgerError, match="shows another history") as caught:
        mirror(FolderSource(other), file)
    proof = next(file.parent.glob("mirror.db.contradiction-*"))
    assert proof.name in caught.value.hint
    text = proof.read_text()
    assert note in text
    assert (other / "checkpoint").read_text() in text
    with opened(file, signer) as copy:
        assert copy.checkpoint() == note
    assert mirror(FolderSource(folder), file).size == 300  # the honest log goes on


def test_a_rolled_back_log_is_named(log, folder, file, policy, tmp_path, signer):
    grow(log, 0, 300)
    publish(log, folder)
    mirror(FolderSource(folder), file, policy)
    forked(tmp_path, signer, tmp_path / "old", keep=299, stop=299)
    with pytest.raises(LedgerError, match="shows 299 entries, but showed 300 before: it was rolled back"):
        mirror(FolderSource(tmp_path / "old"), file)


def test_a_log_that_signs_a_root_its_entries_do_not_have_is_refused(log, folder, file, policy, signer):
    """The operator signs a tree with a changed entry and publishes the original entry beside it."""
    grow(log, 0, 5)
    publish(log, folder)
    leaves = list(log.leaves())
    (folder / "tile/entries/000.p/5").write_bytes(pack([*leaves[:4], entry(99).to_bytes()]))
    with pytest.raises(LedgerError, match="entries of"):
        mirror(FolderSource(folder), file, policy)
    wrong = sign_note(Checkpoint(ORIGIN, 5, leaf_hash(b"")).to_text(), signer)
    (folder / "checkpoint").write_text(wrong)
    with pytest.raises(LedgerError, match=r"tiles of .* do not have the root"):
        mirror(FolderSource(folder), file, policy)


def test_the_mirror_of_another_log_is_not_overwritten(log, folder, file, policy, tmp_path, signer):
    grow(log, 0, 5)
    publish(log, folder)
    mirror(FolderSource(folder), file, policy)
    other = type(signer).from_seed("example.org/other", bytes(32))
    with SqlLog.create(f"sqlite:///{tmp_path / 'other.db'}", other.name, other) as stranger:
        publish(stranger, tmp_path / "other")
    with pytest.raises(LedgerError, match="cannot be trusted"):
        mirror(FolderSource(tmp_path / "other"), file)
    with pytest.raises(LedgerError, match=f"the file mirrors the log {ORIGIN}, not example.org/other"):
        mirror(FolderSource(tmp_path / "other"), file, TlogPolicy.of_logs([other.vkey]))


def test_entries_of_a_type_not_known_here_are_mirrored_as_bytes(folder, file, tmp_path, signer):
    """A log of another program's leaves: nothing can be found in it by digest, but it is verified whole."""
    from .test_static import RawLog

    leaves = [b'{"type":"org.example.other/v1"}', b"\xff\x00", b"", b"not json"]
    note = sign_note(Checkpoint(ORIGIN, 4, RawLog(leaves, ORIGIN, "").root(4)).to_text(), signer)
    publish(RawLog(leaves, note, signer.vkey), folder)
    assert mirror(FolderSource(folder), file, TlogPolicy.of_logs([signer.vkey])).size == 4
    with opened(file, signer) as copy:
        assert list(copy.leaves()) == leaves


def test_the_go_log_is_mirrored(corpus, file):
    """70,000 entries published by somebody else's program."""
    oracle = corpus / "ledger" / "go-tlog-oracle"
    done = mirror(FolderSource(oracle), file, TlogPolicy.of_logs([(oracle / "vkey").read_text().strip()]))
    assert done.size == 70_000
    with SqlLog.open(f"sqlite:///{file}", "example.com/newsroom-log", vkeys=[done.vkey]) as copy:
        assert base64.b64encode(copy.root(70_000)).decode() == "pipUvjMpT/1aXExjf9dUYwtxqJLoNW46Zmpcin/9FRg="
