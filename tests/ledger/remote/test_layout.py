"""Paths, bundles and what a tree consists of, against the specification's examples and Go's own files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.ledger.tlog.layout import ENTRIES, MAX_LEAF_BYTES, Resource, pack, resources, unpack
from assay.provenance.errors import MalformedError


def test_the_paths_of_the_specification():
    assert Resource(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Resource(ENTRIES, 273, 112).path == "tile/entries/273.p/112"
    assert Resource.parse("tile/63/x001/x234/067.p/8") == Resource(63, 1234067, 8)


@given(st.integers(-1, 63), st.integers(0, 2**55), st.integers(1, 256))
def test_every_resource_has_one_path(level, number, width):
    resource = Resource(level, number, width)
    assert Resource.parse(resource.path) == resource


@pytest.mark.parametrize(
    "path",
    [
        "checkpoint",
        "tile/0/67",
        "tile/00/067",
        "tile/64/067",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/067.p/0",
        "tile/0/067.p/256",
        "tile/0/067.p/08",
        "tile/0/067.p",
        "tile/0/067/",
        "tile/0/067\n",
        "tile/0/٠٦٧",
        "tile/data/067",
        "tile/0/../../etc/passwd",
        "/tile/0/067",
    ],
)
def test_other_spellings_are_no_paths(path):
    with pytest.raises(MalformedError):
        Resource.parse(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts():
    found = list(resources(70_000))
    for level in (ENTRIES, 0):
        assert [r.width for r in found if r.level == level] == [256] * 273 + [112]
    assert [r.width for r in found if r.level == 1] == [256, 17]
    assert [r.width for r in found if r.level == 2] == [1]
    assert max(r.level for r in found) == 2
    assert {(r.level, r.width) for r in resources(256)} == {(ENTRIES, 256), (0, 256), (1, 1)}
    assert list(resources(0)) == []


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_what_is_new_and_what_was_there_is_the_whole(one, other):
    old, new = sorted((one, other))
    whole, there, fresh = set(resources(new)), set(resources(old)), set(resources(new, old))
    assert fresh == whole - there
    # a tile that was there and is whole no more was partial, and its full or wider form is new
    assert all(r.width < 256 for r in there - whole)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_read_back(leaves):
    assert unpack(pack(leaves), len(leaves)) == leaves
    if leaves:
        with pytest.raises(MalformedError):
            unpack(pack(leaves)[:-1], len(leaves))
    with pytest.raises(MalformedError):
        unpack(pack(leaves), len(leaves) + 1)


def test_the_largest_leaf_fits_and_one_byte_more_does_not():
    assert len(pack([bytes(MAX_LEAF_BYTES)])) == 2 + MAX_LEAF_BYTES
    with pytest.raises(ValueError, match="no place"):
        pack([bytes(MAX_LEAF_BYTES + 1)])
