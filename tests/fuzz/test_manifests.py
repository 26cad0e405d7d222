"""Damaged boxes of signed files, through `verify`: no fault of ours, and nothing becomes more than it was.

Long runs: python bench/fuzz.py --manifests 600
"""

from __future__ import annotations

from collections import Counter

import cbor2
import pytest

from .boxes import essence, parsed
from .damage import RAW
from .manifests import KEPT, Case, damaged, drawn, seeds, tried

RUNS = 64


@pytest.fixture(scope="module")
def signed(studio):
    desk = studio.desk()
    yield desk, seeds(desk)
    desk.close()


def test_the_seeds_are_what_they_are_called(signed):
    _, made = signed
    assert Counter(str(s.report.verdict) for s in made) == {
        "source-confirmed": 6,
        "inconclusive": 1,
        "conflict": 1,
    }
    assert {s.carrier.suffix for s in made} == {".jpg", ".png", ".webp", ".avif"}


def test_undamaged_files_stay_what_they_are(signed):
    desk, made = signed
    for seed in made:
        beside = seed.carrier.store if seed.beside else b""
        case = Case(
            seed.carrier.with_store(seed.carrier.store),
            seed.carrier.suffix,
            intact=True,
            own=True,
            sidecar=beside,
        )
        outcome = tried(desk, seed, case, page=True)
        assert not outcome.finding
        assert outcome.said.startswith(str(seed.report.verdict))


def test_damage_makes_nothing_more_than_it_was(signed):
    desk, made = signed
    said = Counter()
    for number in range(RUNS):
        rng = drawn(number, 20261122)
        seed = made[number % len(made)]
        outcome = tried(desk, seed, damaged(seed, rng), page=number % 20 == 0)
        assert not outcome.finding, (number, outcome.finding)
        said[outcome.said] += 1
    # That the damage is neither all fatal nor all harmless.
    assert len(said) >= 3, said
    assert said["conflict, invalid"] > 5


def test_what_once_did_harm_does_none(signed):
    desk, _ = signed
    for path in sorted(KEPT.glob("*")):
        assert not tried(desk, None, Case(path.read_bytes(), path.suffix), page=True).finding, path.name


def test_the_law_sees_what_breaks_it(signed):
    """A signed file passed off as one whose claim was lost, or whose picture was changed, is a finding."""
    desk, made = signed
    seed = made[1]
    whole = seed.carrier.with_store(seed.carrier.store)
    assert "not all there" in tried(desk, seed, Case(whole, ".jpg", intact=False)).finding
    assert "was changed" in tried(desk, seed, Case(whole, ".jpg", touched=True)).finding
    (root,) = parsed(seed.carrier.store)
    assert len(essence(root)) == 5
    assert all(part in whole for part in essence(root))


def test_the_raw_values_are_what_no_encoder_writes():
    assert len(set(RAW)) == len(RAW) > 25
    with pytest.raises(Exception):  # noqa: B017  each of them is refused or read back as something
        cbor2.loads(b"\x9b" + b"\xff" * 8)
