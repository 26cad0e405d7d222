"""Near look-up: the index answers what brute force and others' index answer, and never more than is kept."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.likeness.bands import MAX_DISTANCE, SPACES, bands, distance, probes
from assay.ledger.likeness.hamming import HEADER_BYTES, Covered, HammingIndex
from assay.ledger.likeness.near import NearSearch, prints_of, recovery_bands
from assay.provenance.entry import Fingerprint, Recovery

ORIGIN = "example.org/ledger"
COUNT = 3000
ISCC = "ISCC:EED4GQZQTY6J5DTHQ2DWCPDZHQOM6QZQTY6J5DTFZ2DWCPDZHQOMXDI"


def flipped(value: bytes, bits) -> bytes:
    number = int.from_bytes(value, "big")
    for bit in bits:
        number ^= 1 << (255 - bit)
    return number.to_bytes(32, "big")


def covered(size: int, alg: str = "pdq") -> Covered:
    return Covered(alg, ORIGIN, size, root(size).hex())


def root(size: int) -> bytes:
    """Return what stands for a ledger's root at a size."""
    return hashlib.sha256(b"%d" % size).digest()


def random_values(count: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(32) for _ in range(count)]


@pytest.fixture(scope="module")
def values() -> list[bytes]:
    """Random values; some far apart, some near each other, some the same, some all zeros or ones."""
    found = random_values(COUNT - 300, 1)
    rng = random.Random(2)
    found += [flipped(rng.choice(found), rng.sample(range(256), rng.randint(0, 40))) for _ in range(290)]
    return found + [bytes(32)] * 5 + [b"\xff" * 32] * 5


@pytest.fixture(scope="module")
def index(values) -> HammingIndex:
    return HammingIndex.build(covered(2 * COUNT), ((2 * at, value) for at, value in enumerate(values)))


@pytest.fixture(scope="module")
def code_index(values) -> HammingIndex:
    pairs = ((2 * at, value) for at, value in enumerate(values))
    return HammingIndex.build(covered(2 * COUNT, "io.iscc.v0"), pairs)


def brute(values: list[bytes], query: bytes, bits: int = MAX_DISTANCE) -> list[int]:
    return [2 * at for at, value in enumerate(values) if distance(value, query) <= bits]


# ------------------------------------------------------------------------------------------- exactness


@given(st.integers(0, COUNT - 1), st.integers(0, 60), st.integers(0, 10_000))
@settings(max_examples=300)
def test_the_index_answers_as_brute_force_does(values, index, at, count, seed):
    query = flipped(values[at], random.Random(seed).sample(range(256), count))
    assert index.near(query) == brute(values, query)


@given(st.integers(0, COUNT - 1), st.sampled_from((0, 20, 38, 39, 40, 41, 42)), st.integers(0, 10_000))
@settings(max_examples=150)
def test_the_index_of_codes_answers_as_brute_force_does(values, code_index, at, count, seed):
    query = flipped(values[at], random.Random(seed).sample(range(256), count))
    assert code_index.near(query) == brute(values, query, 40)
    assert code_index.near(flipped(values[at], spread(count))) == brute(
        values, flipped(values[at], spread(count)), 40
    )


def spread(count: int) -> list[int]:
    """As even over the bands as can be: the hardest for an index by bands."""
    return [16 * (bit % 16) + bit // 16 for bit in range(count)]


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        (spread(31), True),  # two in every band but one, which has one
        (spread(32), False),
        ([*spread(30), 255], True),
        (list(range(31)), True),  # all in two bands
        (list(range(225, 256)), True),
        (list(range(32)), False),  # two bands wholly changed: the other fourteen agree, and yet too far
        ([16 * band + 15 for band in range(16)], True),
        ([16 * band for band in range(16)] + [16 * band + 1 for band in range(15)], True),
    ],
)
def test_the_last_bit_counts_wherever_it_lies(index, values, bits, found):
    for at in range(0, 200, 7):
        assert (2 * at in index.near(flipped(values[at], bits))) is found
        assert bool(set(probes(flipped(values[at], bits))) & set(bands(values[at]))) >= found


def test_another_s_index_answers_the_same(values, index):
    faiss = pytest.importorskip("faiss")
    peer = faiss.IndexBinaryMultiHash(256, 16, 16)
    peer.nflip = 1
    peer.add(np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32))
    rng = random.Random(3)
    for _ in range(150):
        query = flipped(rng.choice(values), rng.sample(range(256), rng.choice((0, 15, 30, 31, 32))))
        _, _, found = peer.range_search(np.frombuffer(query, np.uint8)[None], MAX_DISTANCE + 1)
        assert index.near(query) == sorted(2 * int(at) for at in found)


def test_odd_questions_have_no_answer(index):
    assert index.near(b"") == index.near(bytes(31)) == index.near(bytes(33)) == []
    assert HammingIndex.build(covered(0), []).near(bytes(32)) == []
    with pytest.raises(ValueError, match="31 bytes"):
        HammingIndex.build(covered(1), [(0, bytes(31))])


def test_the_spaces_of_two_algorithms_do_not_meet():
    keys = [set(bands(bytes(32), alg)) | set(bands(b"\xff" * 32, alg)) for alg in SPACES]
    assert not keys[0] & keys[1]
    assert [len(set(probes(bytes(32), alg))) for alg in SPACES] == [272, 2192]
    assert bands(bytes(32), "other") == bands(bytes(31)) == probes(bytes(33)) == []


# ------------------------------------------------------------------------------------------- the file


def test_a_saved_index_answers_as_before_and_only_its_owner_reads_it(values, index, tmp_path):
    path = tmp_path / "near"
    index.save(path)
    again = HammingIndex.load(path)
    assert again.covered == index.covered
    assert len(again) == COUNT
    rng = random.Random(4)
    for _ in range(100):
        query = flipped(rng.choice(values), rng.sample(range(256), 31))
        assert again.near(query) == index.near(query)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_not_used(index, tmp_path):
    path = tmp_path / "near"
    index.save(path)
    data = path.read_bytes()
    rng = random.Random(5)
    for _ in range(60):
        broken = bytearray(data)
        broken[rng.choice((rng.randrange(300), rng.randrange(HEADER_BYTES, len(data))))] ^= (
            1 << rng.randrange(8)
        )
        path.write_bytes(broken)
        found = HammingIndex.load(path)
        # a header may still be one, of a ledger that is not ours
        assert found is None or found.covered != index.covered
    path.write_bytes(b"[" * HEADER_BYTES + data[HEADER_BYTES:])
    assert HammingIndex.load(path) is None
    for cut in (0, 10, HEADER_BYTES, HEADER_BYTES + 1, len(data) - 1):
        path.write_bytes(data[:cut])
        assert HammingIndex.load(path) is None
    path.write_bytes(data + b"\0")
    assert HammingIndex.load(path) is None
    assert HammingIndex.load(tmp_path / "missing") is None
    assert HammingIndex.load(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("type", "assay.near/v2"), ("count", -1), ("count", 0), ("count", 1 << 40), ("count", "3"), ("size", "1"),
     ("alg", "md5"), ("count", None), ("root", 5), ("sha256", None), ("alg", ["pdq"])],
)  # fmt: skip
def test_a_lying_header_is_not_used(index, tmp_path, name, value):
    path = tmp_path / "near"
    index.save(path)
    data = path.read_bytes()
    header = {**json.loads(data[:HEADER_BYTES]), name: value}
    path.write_bytes(json.dumps(header).encode().ljust(HEADER_BYTES) + data[HEADER_BYTES:])
    assert HammingIndex.load(path) is None


def test_tables_that_lead_outside_themselves_are_not_used(index, tmp_path):
    """Whoever can write the file can also write its digest; it must not crash us."""
    path = tmp_path / "near"
    index.save(path)
    data = path.read_bytes()
    starts = HEADER_BYTES + COUNT * 40
    for at in (starts, starts + 4 * 70_000, len(data) - 4):
        body = bytearray(data)
        body[at : at + 4] = b"\xff\xff\xff\xff"
        header = json.loads(body[:HEADER_BYTES])
        header["sha256"] = hashlib.sha256(body[HEADER_BYTES:]).hexdigest()
        path.write_bytes(json.dumps(header).encode().ljust(HEADER_BYTES) + body[HEADER_BYTES:])
        assert HammingIndex.load(path) is None


# ------------------------------------------------------------------------------------------- in a ledger


class Kept:
    """A ledger's fingerprints, and a count of what was asked of them."""

    def __init__(self, values: dict[str, dict[int, bytes]]) -> None:
        self.values = values
        self.asked: list[str] = []

    def by_bands(self, alg, keys, since):
        self.asked.append(f"bands since {since}")
        wanted = set(keys)
        return [(at, v) for at, v in self.values[alg].items() if at >= since and wanted & set(bands(v, alg))]

    def prints(self, alg):
        self.asked.append("all")
        return sorted(self.values[alg].items())

    def prints_of(self, alg, indices):
        return [(at, self.values[alg][at]) for at in indices if at in self.values[alg]]


@pytest.fixture
def kept(values) -> Kept:
    return Kept({"pdq": dict(enumerate(values)), "io.iscc.v0": dict(enumerate(reversed(values)))})


def query(value: bytes, alg: str = "pdq") -> Fingerprint:
    return Fingerprint(alg, value, 100)


def test_a_small_ledger_is_searched_by_bands_alone(kept, values, tmp_path):
    search = NearSearch(ORIGIN, tmp_path / "ledger.db", indexed_from=COUNT + 1)
    assert search.find(kept, query(values[5]), COUNT, root)[0] == (0, 5)
    assert kept.asked == ["bands since 0"]
    assert list(tmp_path.iterdir()) == []


def test_a_large_ledger_s_index_is_made_once_kept_and_caught_up_by_bands(kept, values, tmp_path):
    file = tmp_path / "ledger.db"
    search = NearSearch(ORIGIN, file, indexed_from=1000)
    near = flipped(values[7], spread(31))
    assert (31, 7) in search.find(kept, query(near), COUNT, root)
    newest = flipped(values[7], [3])
    kept.values["pdq"][COUNT] = newest
    assert search.find(kept, query(values[7]), COUNT + 1, root)[:2] == [(0, 7), (1, COUNT)]
    again = NearSearch(ORIGIN, file, indexed_from=1000)
    assert again.find(kept, query(values[7]), COUNT + 1, root)[:2] == [(0, 7), (1, COUNT)]
    assert kept.asked == ["all", f"bands since {COUNT}", f"bands since {COUNT}", f"bands since {COUNT}"]
    assert again.find(kept, query(values[7]), COUNT + 1000, root)[:2] == [(0, 7), (1, COUNT)]
    assert kept.asked[-2:] == ["all", f"bands since {COUNT + 1000}"]


def test_each_algorithm_has_an_index_of_its_own(kept, values, tmp_path):
    search = NearSearch(ORIGIN, tmp_path / "ledger.db", indexed_from=1000)
    assert search.find(kept, query(values[7]), COUNT, root)[0] == (0, 7)
    assert search.find(kept, query(values[7], "io.iscc.v0"), COUNT, root)[0] == (0, COUNT - 8)
    assert search.find(kept, query(values[7], "other"), COUNT, root) == []
    assert search.find(kept, query(b"short"), COUNT, root) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db.near-0", "ledger.db.near-1"]


def test_an_index_of_another_ledger_a_fork_or_an_older_copy_is_made_again(kept, values, tmp_path):
    file = tmp_path / "ledger.db"
    NearSearch(ORIGIN, file, indexed_from=1000).find(kept, query(values[7]), COUNT, root)
    for origin, size, roots in (
        ("example.org/another", COUNT, root),
        (ORIGIN, COUNT - 1, root),
        (ORIGIN, COUNT, lambda size: bytes(32)),
    ):
        kept.asked.clear()
        assert NearSearch(origin, file, indexed_from=1000).find(kept, query(values[7]), size, roots)[0] == (
            0,
            7,
        )
        assert kept.asked[0] == "all"
        NearSearch(ORIGIN, file, indexed_from=1000).find(kept, query(values[7]), COUNT, root)


def test_a_view_from_before_the_index_was_made_is_searched_by_bands(kept, values):
    search = NearSearch(ORIGIN, None, indexed_from=1000)
    search.find(kept, query(values[7]), COUNT, root)
    kept.asked.clear()
    assert search.find(kept, query(values[7]), COUNT - 10, root)[0] == (0, 7)
    assert kept.asked == ["bands since 0"]


def test_what_was_erased_is_never_found_and_leaves_the_disk(kept, values, tmp_path):
    file = tmp_path / "ledger.db"
    search = NearSearch(ORIGIN, file, indexed_from=1000)
    elsewhere = NearSearch(ORIGIN, file, indexed_from=1000)
    for one in (search, elsewhere):
        assert one.find(kept, query(values[7]), COUNT, root)[0] == (0, 7)
    del kept.values["pdq"][7]
    search.forget()
    assert list(tmp_path.iterdir()) == []
    for one in (search, elsewhere):
        assert 7 not in [at for _, at in one.find(kept, query(values[7]), COUNT, root)]
    assert values[7] not in file.with_name("ledger.db.near-0").read_bytes()


def test_a_folder_that_cannot_be_written_does_not_stop_a_look_up(kept, values, tmp_path):
    search = NearSearch(ORIGIN, tmp_path / "missing" / "ledger.db", indexed_from=1000)
    assert search.find(kept, query(values[7]), COUNT, root)[0] == (0, 7)
    search.forget()
    assert search.find(kept, query(values[7]), COUNT, root)[0] == (0, 7)


def test_a_recovery_record_is_looked_up_by_its_fingerprint_and_its_code():
    kept = Recovery(bytes(16), query(b"\x01" * 32), b"", b"", (("io.iscc.v0", ISCC), ("org.example", "x")))
    found = prints_of(kept)
    assert sorted(found) == ["io.iscc.v0", "pdq"]
    assert recovery_bands(kept) == bands(found["pdq"]) + bands(found["io.iscc.v0"], "io.iscc.v0")
    for value in ("", "ISCC:EEA4GQZQTY6J5DTH", "x" * 500):
        odd = Recovery(bytes(16), query(b"short"), b"", b"", (("io.iscc.v0", value),))
        assert recovery_bands(odd) == []
