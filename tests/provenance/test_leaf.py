"""Leaves to the letter: what a reader takes, what it refuses, and what an audit may read off without parsing."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assay.ledger.lookup import leaf_keys, usual_names
from assay.provenance.asset import Digest
from assay.provenance.entry import MAX_ENTRY_BYTES, MAX_SIZE, Entry
from assay.provenance.errors import AssayError, LedgerError, UsageError
from assay.provenance.event import MAX_SUBJECTS, EventEntry
from assay.provenance.leaf import Leaf, read_leaf
from assay.provenance.mark import Mark

HASH = "sha256:" + "5a" * 32
PLAIN = "".join(c for c in string.printable if c.isprintable() and c not in '"\\')
GOOD = {
    "type": "assay.entry/v1",
    "digest": HASH,
    "media_type": "image/png",
    "size": 7,
    "time": "2026-11-21T08:00:00+00:00",
    "mark": {"scheme": "org.example.1", "id": "00ff"},
    "manifest": HASH,
    "manifest_label": "urn:c2pa:1",
    "signer": HASH,
    "recovery": HASH,
    "source_type": "digitalCapture",
    "generator": "Camera/1",
}
EVENT = {"type": "assay.event/v1", "statement": HASH, "subjects": [HASH], "actor": HASH}

digests = st.binary(min_size=32, max_size=32).map(lambda value: Digest("sha256", value))


def entries(text: st.SearchStrategy[str], ids: st.SearchStrategy[str], most: int) -> st.SearchStrategy[Entry]:
    """Entries whose strings are of one kind."""
    return st.builds(
        Entry,
        digest=digests,
        media_type=text,
        size=st.integers(0, most),
        time=text,
        mark=st.none() | st.builds(Mark, text.filter(bool), ids),
        manifest=st.none() | digests,
        manifest_label=text,
        signer=st.none() | digests,
        recovery=st.none() | digests,
        source_type=text,
        generator=text,
    )


plain_entries = entries(
    st.text(PLAIN, max_size=12), st.text("0123456789abcdef", min_size=1, max_size=16), 10**15 - 1
)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(PLAIN, max_size=12)
any_entries = entries(any_text, any_text, MAX_SIZE - 1)


events = st.builds(
    EventEntry,
    digests,
    st.lists(digests, min_size=1, max_size=4).map(lambda few: tuple(few + few[:1])),
    digests,
)


def named(entry: Leaf) -> tuple[bytes, ...]:
    return tuple(f"{kind}:{value}".encode() for kind, value in entry.names())


# ------------------------------------------------------------------------- what is read without parsing


@settings(max_examples=300)
@given(plain_entries)
def test_every_plain_entry_is_known_by_sight(entry):
    assert usual_names(entry.to_bytes()) == named(entry)


@given(events)
def test_every_event_is_known_by_sight(leaf):
    assert read_leaf(leaf.to_bytes()) == leaf
    assert usual_names(leaf.to_bytes()) == named(leaf)


@pytest.mark.parametrize("count", [1, 2, MAX_SUBJECTS])
def test_an_event_about_as_many_files_as_may_be_is_known_by_sight(count):
    leaf = EventEntry(Digest.of(b""), tuple(Digest.of(b"%d" % n) for n in range(count)), Digest.of(b""))
    assert usual_names(leaf.to_bytes()) == named(leaf)


@settings(max_examples=300)
@given(any_entries)
def test_by_sight_an_entry_is_named_rightly_or_not_at_all(entry):
    leaf = entry.to_bytes()
    assert read_leaf(leaf) == entry
    assert usual_names(leaf) in (None, named(entry))


PIECES = [
    b"0", b"00", b"-1", b"1.0", b"1e3", b"true", b"null", b'""', b"{}", b'"', b"\\", b"\\u0041", b",", b" ", b"\n",
    b"\xff", b"\xc3\xa9", b"\x7f", b"A", b'"size":1,', b',"mark":null', b'"mark":{"id":"00","scheme":"x"},', b"}",
    b'"manifest_label":"",', b'"digest":"md5:00",', b'"type":"assay.event/v1",', b"\xef\xbb\xbf",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A leaf, changed in one to three places."""
    leaf = draw(plain_entries | any_entries | events).to_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(leaf)))
        stop = draw(st.integers(start, min(len(leaf), start + 4)) | st.integers(start, len(leaf)))
        leaf = leaf[:start] + draw(st.sampled_from([b"", *PIECES]) | st.binary(max_size=3)) + leaf[stop:]
    return leaf


@settings(max_examples=1000)
@given(mutated())
@example(Entry(Digest.of(b""), "", 7, "").to_bytes().replace(b":7,", b":07,"))
@example(Entry(Digest.of(b""), "", 7, "").to_bytes().replace(b":7,", b":7.0,"))
@example(Entry(Digest.of(b""), "", 7, "").to_bytes() + b"\n")
@example(Entry(Digest.of(b""), "", 7, "").to_bytes().decode().encode("utf-16"))
def test_what_is_known_by_sight_is_what_a_parser_reads(leaf):
    names = usual_names(leaf)
    try:
        read = read_leaf(leaf)
    except AssayError:
        assert names is None
    else:
        assert names in (None, named(read))


@settings(max_examples=300)
@given(mutated())
def test_a_leaf_that_is_read_can_be_looked_up_or_is_refused(leaf):
    try:
        keys = leaf_keys(read_leaf(leaf))
    except AssayError:
        return
    assert keys
    assert all(0 <= key < 1 << 64 for key in keys)


# ---------------------------------------------------------------------------------------- entries of files


def spelt(document: dict) -> bytes:
    kept = {name: value for name, value in document.items() if value is not ...}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()


def text(**change) -> bytes:
    """Return a leaf spelt as one is when it is made, but for what was changed."""
    return spelt({**GOOD, **change})


def test_a_leaf_is_read_in_any_order_and_with_what_is_not_yet_known():
    entry = read_leaf(text(tomorrow={"a": [1, None]}))
    assert entry == Entry.from_bytes(text())
    assert entry.size == 7
    assert entry.mark == Mark("org.example.1", "00ff")
    assert Entry.from_bytes(entry.to_bytes()) == entry


UPPER = "sha256:" + "5A" * 32
BAD_DIGESTS = {
    "MD5": "md5:" + "00" * 16,
    "SHA-512": "sha512:" + "00" * 64,
    "too short": "sha256:" + "00" * 31,
    "in capitals": UPPER,
    "with spaces": "sha256:" + "00 " * 31 + "00",
    "without an algorithm": "00" * 32,
    "null": None,
    "a number": 0,
    "an object": {"alg": "sha256", "value": "00" * 32},
    "with a line feed": HASH + "\n",
    "in other digits": "sha256:" + "\u0661" * 64,
}
BROKEN = {
    **{f"{name} {how}": text(**{name: value}) for how, value in BAD_DIGESTS.items()
       for name in ("digest", "manifest", "signer", "recovery")},
    **{f"without {name}": text(**{name: ...}) for name in ("digest", "media_type", "size", "time", "type")},
    **{f"size {value!r}": text(size=value) for value in (-1, 1.0, 7.5, True, "7", None, [7], MAX_SIZE, 10**400)},
    **{f"{name} {value!r}": text(**{name: value}) for value in (None, 5, ["x"], {"a": "b"}, "\ud800")
       for name in ("media_type", "time", "manifest_label", "source_type", "generator")},
    "mark null": text(mark=None),
    "mark a string": text(mark="org.example.1:00ff"),
    "mark a list": text(mark=["org.example.1", "00ff"]),
    "mark without an id": text(mark={"scheme": "x"}),
    "mark with a number for an id": text(mark={"scheme": "x", "id": 5}),
    "mark with half a surrogate pair": text(mark={"scheme": "\udfff", "id": "00"}),
    "type unknown": text(type="assay.entry/v2"),
    "type a list": text(type=["assay.entry/v1"]),
    "size in exponents": text().replace(b'"size":7', b'"size":7e0'),
    "size with a zero before it": text().replace(b'"size":7', b'"size":07'),
    "size infinite": text().replace(b'"size":7', b'"size":Infinity'),
    "an unknown field that is no number": text().replace(b'"size":7', b'"size":7,"x":NaN'),
    "a name twice": text().replace(b'"size":7', b'"size":7,"size":7'),
    "a name twice, once escaped": text().replace(b'"size":7', b'"size":7,"s\\u0069ze": 7'),
    "a name twice inside": text().replace(b'"id":"00ff"', b'"id":"00ff", "id":"00ff"'),
    "a list": b"[" + text() + b"]",
    "two objects": text() + text(),
    "nothing": b"",
    "null": b"null",
    "a comment": text() + b" // true",
    "UTF-16": text().decode().encode("utf-16"),
    "UTF-16 without a mark": text().decode().encode("utf-16-le"),
    "UTF-32": text().decode().encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + text(),
    "Latin-1": text().replace(b"Camera", b"Cam\xe9ra"),
    "a raw surrogate": text().replace(b"Camera", b"\xed\xa0\x80"),
    "a raw line feed in a string": text().replace(b"Camera", b"Cam\nera"),
    "without an end": b'{"a":' * 50_000,
}  # fmt: skip


def test_what_the_broken_ones_are_made_of_is_whole():
    for whole, broken in ((text(), BROKEN), (event(), BROKEN_EVENTS)):
        assert usual_names(whole) == named(read_leaf(whole))
        assert whole == read_leaf(whole).to_bytes()
        assert whole not in broken.values()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_leaf_is_refused_in_words(name):
    with pytest.raises(LedgerError, match="ledger entry"):
        read_leaf(BROKEN[name])
    assert usual_names(BROKEN[name]) is None


@pytest.mark.parametrize("size", [0, 1, 10**15 - 1, 10**15, MAX_SIZE - 1])
def test_sizes_to_the_byte(size):
    entry = Entry(Digest.of(b""), "", size, "")
    assert read_leaf(entry.to_bytes()).size == size


def test_what_cannot_be_read_cannot_be_written():
    for change in ({"size": MAX_SIZE + 1}, {"generator": "\ud800"}, {"time": float("nan")}):
        with pytest.raises(UsageError):
            Entry(**{"digest": Digest.of(b""), "media_type": "", "size": 0, "time": "", **change}).to_bytes()
    with pytest.raises(LedgerError, match="more than 65535"):
        Entry(Digest.of(b""), "", 0, "", generator="x" * MAX_ENTRY_BYTES).to_bytes()


# ------------------------------------------------------------------------------------- entries of events


def event(**change) -> bytes:
    return spelt({**EVENT, **change})


def test_the_leaf_of_an_event_is_no_leaf_of_a_file():
    leaf = read_leaf(event(tomorrow=1))
    assert isinstance(leaf, EventEntry)
    assert list(leaf.names()) == [("event", HASH)]
    assert leaf.recovery is None
    with pytest.raises(LedgerError, match="unknown type"):
        Entry.from_bytes(leaf.to_bytes())
    with pytest.raises(LedgerError, match="unknown type"):
        EventEntry.from_bytes(text())


def test_a_file_named_twice_by_an_event_has_one_key():
    assert len(leaf_keys(read_leaf(event(subjects=[HASH, HASH])))) == 1


BROKEN_EVENTS = {
    **{f"{name} {how}": event(**{name: value})
       for how, value in BAD_DIGESTS.items() for name in ("statement", "actor")},
    **{f"subject {how}": event(subjects=[HASH, value]) for how, value in BAD_DIGESTS.items()},
    **{f"without {name}": event(**{name: ...}) for name in EVENT},
    "about nothing": event(subjects=[]),
    "about a string": event(subjects=HASH),
    "about an object": event(subjects={HASH: 1}),
    "about too many files": event(subjects=[HASH] * (MAX_SUBJECTS + 1)),
    "a name twice": event().replace(b'"actor"', b'"statement"', 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_EVENTS)
def test_a_broken_leaf_of_an_event_is_refused_in_words(name):
    with pytest.raises(LedgerError, match="ledger entry"):
        read_leaf(BROKEN_EVENTS[name])
    assert usual_names(BROKEN_EVENTS[name]) is None
