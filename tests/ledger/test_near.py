"""Near look-up through a whole ledger: by bands, by the index beside it, after erasures and edits."""

from __future__ import annotations

import random

import pytest

from assay.ledger.likeness.bands import DISTANCES, bands, distance
from assay.ledger.likeness.iscc import ALG, code_of_grey, read_code
from assay.ledger.likeness.near import NearSearch
from assay.ledger.log import SqlLog
from assay.ledger.view import MAX_FOUND
from assay.provenance.entry import Fingerprint, Recovery

from .test_log import flipped, tamper
from .worlds import ORIGIN, entry

COUNT = 300


def kept(number: int) -> Recovery:
    """Return a record with a fingerprint and an ISCC, both random."""
    rng = random.Random(number)
    code = code_of_grey(rng.randbytes(1024))
    return Recovery(rng.randbytes(16), Fingerprint("pdq", rng.randbytes(32), 100), b"", b"", ((ALG, code),))


def value_of(record: Recovery, alg: str) -> bytes:
    return record.fingerprint.value if alg == "pdq" else read_code(record.bindings[0][1])[1]


@pytest.fixture(params=["by bands", "by the index"])
def log(request, url, signer):
    with SqlLog.create(url, ORIGIN, signer) as log:
        if request.param == "by the index":
            log._near = NearSearch(ORIGIN, log._store.file, indexed_from=100)
        yield log


@pytest.fixture
def records(log) -> list[Recovery]:
    found = [kept(number) for number in range(COUNT)]
    for at in range(0, COUNT, 50):
        log.append_many([(entry(n, r), r) for n, r in enumerate(found[at : at + 50], start=at)])
        log.find_fingerprint(found[0].fingerprint)
    return found


@pytest.mark.parametrize("alg", ["pdq", ALG])
def test_what_is_near_is_found_up_to_the_last_bit(log, records, alg):
    rng = random.Random(9)
    for at in rng.sample(range(COUNT), 15):
        value = value_of(records[at], alg)
        for count in (0, DISTANCES[alg], DISTANCES[alg] + 1):
            query = flipped(value, count, at)
            expected = sorted(
                (d, n)
                for n, r in enumerate(records)
                if (d := distance(query, value_of(r, alg))) <= DISTANCES[alg]
            )
            found = [
                (f.distance, f.receipt.index) for f in log.find_fingerprint(Fingerprint(alg, query, 100))
            ]
            assert found == expected
            assert ((count, at) in found) == (count <= DISTANCES[alg])
    assert log.check() == []


def test_all_values_are_listed_in_order_and_a_limit_is_kept(log, records):
    assert log.erase_recovery(2)
    both = [(n, alg, value_of(r, alg)) for n, r in enumerate(records) for alg in ("pdq", ALG) if n != 2]
    assert log.fingerprints() == both
    assert log.fingerprints(1, 3) == both[2:5]
    assert log.fingerprints(COUNT) == []


@pytest.mark.parametrize("alg", ["pdq", ALG])
def test_what_was_erased_is_not_found_by_anything(log, records, alg, tmp_path):
    query = Fingerprint(alg, value_of(records[7], alg), 100)
    assert [f.receipt.index for f in log.find_fingerprint(query)] == [7]
    assert log.erase_recovery(7)
    assert [p.name for p in tmp_path.iterdir() if ".near-" in p.name] == []
    assert log.find_fingerprint(query) == []
    assert log.check() == []
    assert not any(query.value in p.read_bytes() for p in tmp_path.iterdir() if ".near-" in p.name)


def test_an_erasure_by_another_process_is_seen_through_a_held_index(log, records, url, signer):
    query = records[7].fingerprint
    assert log.find_fingerprint(query)[0].receipt.index == 7
    with SqlLog.open(url, ORIGIN, signer) as other:
        other.erase_recovery(7)
    assert log.find_fingerprint(query) == []


def test_many_alike_are_answered_by_the_nearest_and_oldest(log, records):
    value = records[0].fingerprint.value
    alike = [
        Recovery(bytes(16), Fingerprint("pdq", flipped(value, count % 20, count), 100), b"", b"")
        for count in range(40)
    ]
    log.append_many([(entry(COUNT + n, r), r) for n, r in enumerate(alike)])
    found = [(f.distance, f.receipt.index) for f in log.find_fingerprint(records[0].fingerprint)]
    everything = [(distance(value, r.fingerprint.value), n) for n, r in enumerate([*records, *alike])]
    assert found == sorted(item for item in everything if item[0] <= 31)[:MAX_FOUND]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prints SET pdq = x'{zeros}' WHERE idx = 3",
        "UPDATE prints SET iscc = NULL WHERE idx = 3",
        "DELETE FROM prints WHERE idx = 3",
    ],
)
def test_an_edited_look_up_table_is_named(log, records, url, statement):
    log.close()
    tamper(url, statement.format(zeros="00" * 32))
    with SqlLog.open(url, ORIGIN, vkeys=(log._vkeys[0],)) as again:
        assert again.check() == [
            "entry 3: the fingerprints to find it by are not those of its recovery record"
        ]


def test_an_edited_look_up_table_leads_to_nothing_that_is_not_near(log, records, url):
    far = flipped(records[3].fingerprint.value, 90, 1)
    log.close()
    tamper(url, f"UPDATE prints SET pdq = x'{far.hex()}' WHERE idx = 3", "DELETE FROM bands WHERE idx = 3")
    tamper(url, *(f"INSERT INTO bands (band, idx) VALUES ({band}, 3)" for band in bands(far)))
    with SqlLog.open(url, ORIGIN, vkeys=(log._vkeys[0],)) as again:
        assert again.find_fingerprint(Fingerprint("pdq", far, 100)) == []


def test_a_stray_row_in_the_look_up_table_is_counted(log, records, url):
    assert log.erase_recovery(5)
    log.close()
    tamper(url, f"INSERT INTO prints (idx, pdq) VALUES (5, x'{'00' * 32}')")
    with SqlLog.open(url, ORIGIN, vkeys=(log._vkeys[0],)) as again:
        assert again.check() == ["fingerprints of 1 entries follow from no recovery record"]
