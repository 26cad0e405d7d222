"""Whatever others wrote, a parser of ours returns or says in its own words why not, and soon.

Long runs: python bench/fuzz.py --rounds 100000
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from assay.provenance.errors import AssayError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import SEEDS, targets

ROUNDS = 150
LONGEST = 2.0
"""Seconds that one document may take."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return {target.name: target for target in targets(tmp_path_factory.mktemp("ledger"))}


NAMES = (
    "policy", "card", "panel", "graph", "receipt", "tlog-policy", "add-checkpoint", "leaf", "event", "details",
    "envelope", "xmp", "settings", "denials", "certificates",
)  # fmt: skip


def harmless(target, data):
    start = time.monotonic()
    try:
        target.read(data)
    except AssayError as error:
        assert str(error)
        assert "\x1b" not in str(error)
    assert time.monotonic() - start < LONGEST


def test_every_target_is_tried(found):
    assert set(found) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_document_does_harm(found, name):
    target = found[name]
    rng = np.random.default_rng(sum(name.encode()))
    for document in target.documents:
        harmless(target, document)
    for _ in range(ROUNDS):
        harmless(target, mutated(target.documents[int(rng.integers(len(target.documents)))], rng))
    for seed in sorted((SEEDS / name).glob("*")):
        harmless(target, seed.read_bytes())
