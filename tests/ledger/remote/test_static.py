"""The published folder: Go's own bytes, a reader typed from the specification, and what publishing refuses."""

from __future__ import annotations

import base64
import hashlib
import urllib.error
import urllib.request

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assay.ledger.log import SqlLog
from assay.ledger.remote.static import publish
from assay.ledger.tlog.merkle import Frontier, leaf_hash, node_hash
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.errors import LedgerError, UsageError

from ..worlds import ORIGIN, entry


class RawLog:
    """A log of raw leaves, as Go's has them: nothing of the database's code is in the way."""

    def __init__(self, leaves, note, vkey):
        self._leaves, self._note, self.vkey = leaves, note, vkey
        self.origin = note.split("\n")[0]
        self._levels = [[leaf_hash(leaf) for leaf in leaves]]
        while len(self._levels[-1]) >= 256:
            below = self._levels[-1]
            self._levels.append(
                [self._top(below[i : i + 256]) for i in range(0, len(below) // 256 * 256, 256)]
            )

    @staticmethod
    def _top(row):
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        return row[0]

    def checkpoint(self):
        return self._note

    def kept_checkpoint(self, size=0):
        return None

    def root(self, size):
        frontier = Frontier()
        for leaf in self._levels[0][:size]:
            frontier.append(leaf)
        return frontier.root()

    def tile(self, level, number):
        return b"".join(self._levels[level][number * 256 : (number + 1) * 256])

    def leaves(self, start=0, stop=None):
        yield from self._leaves[start:stop]


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_folder_is_go_s_folder_byte_for_byte(corpus, tmp_path):
    oracle = corpus / "ledger" / "go-tlog-oracle"
    vkey = (oracle / "vkey").read_text().strip()
    log = RawLog([b"entry-%d" % i for i in range(70_000)], (oracle / "checkpoint").read_text(), vkey)
    done = publish(log, tmp_path / "log")
    theirs = {name: data for name, data in tree(oracle).items() if name.startswith(("tile/", "checkpoint"))}
    ours = tree(tmp_path / "log")
    assert ours.pop("vkey").decode().strip() == vkey
    assert len(theirs) == 552 == done.files + 1
    assert ours == theirs


# A reader typed from C2SP signed-note, tlog-checkpoint and tlog-tiles; it shares no line with what it checks.


def read_log(get, vkey):
    """Return a published log's leaves after checking signature, tiles, entries and root."""
    name, _, key = vkey.split("+", 2)
    public = base64.b64decode(key)[1:]
    text, signatures = get("checkpoint").decode().split("\n\n")
    origin, size, root, *_ = text.split("\n")
    line = next(s for s in signatures.splitlines() if s.startswith(f"— {name} "))
    signature = base64.b64decode(line.rpartition(" ")[2])
    assert signature[:4] == hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], (text + "\n").encode())
    assert origin == name

    def mth(hashes):
        if len(hashes) == 1:
            return hashes[0]
        k = 1
        while k * 2 < len(hashes):
            k *= 2
        return hashlib.sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()

    def path(n):
        text = f"{n % 1000:03d}"
        while n >= 1000:
            n //= 1000
            text = f"x{n % 1000:03d}/" + text
        return text

    def whole(level, count, size_of):
        for n in range((count + 255) // 256):
            width = min(256, count - n * 256)
            data = get(f"tile/{level}/{path(n)}" + (f".p/{width}" if width < 256 else ""))
            yield size_of(data, width)

    def hashes_of(data, width):
        assert len(data) == 32 * width
        return [data[i : i + 32] for i in range(0, len(data), 32)]

    def leaves_of(data, width):
        found = []
        while data:
            length = int.from_bytes(data[:2], "big")
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
        assert len(found) == width
        return found

    leaves = [leaf for part in whole("entries", int(size), leaves_of) for leaf in part]
    level, below = 0, [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    assert base64.b64decode(root) == (mth(below) if below else hashlib.sha256(b"").digest())
    while below:
        assert [h for part in whole(level, len(below), hashes_of) for h in part] == below
        below = [mth(below[i : i + 256]) for i in range(0, len(below) // 256 * 256, 256)]
        level += 1
    return leaves


@pytest.fixture
def served(tmp_path, web):
    """A folder that is served, and a getter."""
    folder = tmp_path / "public"
    folder.mkdir()
    url = web(folder)

    def get(path):
        with urllib.request.urlopen(f"{url}/{path}") as answer:
            return answer.read()

    return folder, get


def test_a_plain_web_server_serves_it_to_a_reader_typed_from_the_specification(served, log):
    folder, get = served
    total = 0
    for more in (0, 1, 254, 1, 300, 0, 12):
        log.append_many([(entry(n), None) for n in range(total, total + more)])
        total += more
        done = publish(log, folder)
        assert (done.size, done.before, done.waiting) == (total, total - more, 0)
        assert read_log(get, log.vkey) == list(log.leaves())
        # outgrown partial tiles go; those of the last tile stay for readers of earlier checkpoints
        assert not (folder / "tile/0/000.p").exists() or total < 256
    assert publish(log, folder).files == 0


def test_no_checkpoint_is_ever_visible_before_its_tiles(served, log, monkeypatch):
    """Publishing is stopped before each of its files in turn; readers see the old state whole, or the new."""
    from assay.ledger.remote import static

    folder, get = served
    log.append_many([(entry(n), None) for n in range(250)])
    publish(log, folder)
    log.append_many([(entry(n), None) for n in range(250, 520)])
    write, stop = static._write, 0

    def failing(path, data):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(static, "_write", failing)
    while True:
        left = stop
        try:
            publish(log, folder)
        except KeyboardInterrupt:
            assert len(read_log(get, log.vkey)) == 250
            stop += 1
        else:
            break
    assert (
        stop == 8
    )  # two full and one partial bundle, the same of level 0, one tile of level 1, the checkpoint
    assert len(read_log(get, log.vkey)) == 520


def test_a_folder_of_another_history_is_left_alone(tmp_path, log, signer):
    folder = tmp_path / "public"
    log.append_many([(entry(n), None) for n in range(5)])
    publish(log, folder)
    before = tree(folder)
    with SqlLog.create(f"sqlite:///{tmp_path / 'fork.db'}", ORIGIN, signer) as fork:
        fork.append_many([(entry(n), None) for n in range(3)])
        with pytest.raises(LedgerError, match="the folder shows 5 entries, this ledger has 3"):
            publish(fork, folder)
        fork.append_many([(entry(n), None) for n in range(30, 33)])
        with pytest.raises(LedgerError, match="first 5 entries published here are not those of this ledger"):
            publish(fork, folder)
    other = NoteSigner.from_seed("example.org/other", bytes(32))
    url = f"sqlite:///{tmp_path / 'other.db'}"
    with (
        SqlLog.create(url, other.name, other) as stranger,
        pytest.raises(LedgerError, match="not of this ledger"),
    ):
        publish(stranger, folder)
    assert tree(folder) == before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        publish(log, tmp_path / "home")


def test_a_changed_row_is_never_published(tmp_path, log, url, signer):
    import sqlite3

    log.append_many([(entry(n), None) for n in range(300)])
    log.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("DROP TRIGGER entries_no_update")
        database.execute("UPDATE entries SET data = ? WHERE idx = 17", (entry(999).to_bytes(),))
    changed = pytest.raises(LedgerError, match="an entry from 0 on was changed")
    with SqlLog.open(url, ORIGIN, signer) as log, changed:
        publish(log, tmp_path / "public")
    assert not (tmp_path / "public" / "checkpoint").exists()


def test_witnessed_checkpoints_are_published_when_they_are_asked_for(served, log, cosigned):
    folder, get = served
    log.append_many([(entry(n), None) for n in range(3)])
    with pytest.raises(LedgerError, match="no witness has cosigned"):
        publish(log, folder, cosigned=True)
    kept = cosigned()
    log.append_many([(entry(n), None) for n in range(3, 5)])
    done = publish(log, folder, cosigned=True, policy="quorum none\n")
    assert (done.size, done.waiting) == (3, 2)
    assert get("checkpoint").decode() == kept
    assert get("policy") == b"quorum none\n"
    assert len(read_log(get, log.vkey)) == 3
    assert publish(log, folder).size == 5
    with pytest.raises(LedgerError, match="the folder shows 5 entries, this ledger has 3 to publish"):
        publish(log, folder, cosigned=True)
    assert publish(log, folder).files == 0
    again = cosigned()
    publish(log, folder)
    assert get("checkpoint").decode() == again


def test_the_reader_of_this_test_is_no_yes_man(served, log):
    folder, get = served
    log.append_many([(entry(n), None) for n in range(300)])
    publish(log, folder)
    for name in ("checkpoint", "tile/entries/000", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
        with pytest.raises(Exception):  # noqa: B017  (whichever check notices it first)
            read_log(get, log.vkey)
        (folder / name).write_bytes(data)
    (folder / "tile/0/000").unlink()
    with pytest.raises(urllib.error.HTTPError):
        read_log(get, log.vkey)
