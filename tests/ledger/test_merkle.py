from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from assay.ledger.tlog.tiles import Edge, TileCache, tile_reader, width_at


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, typed as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def node_of(leaves: list[bytes]):
    return lambda level, index: naive_root(leaves[index << level : (index + 1) << level])


def numbered(count: int) -> list[bytes]:
    return [b"entry-%d" % i for i in range(count)]


class Shelf(dict):
    """Tiles in memory, the last one of level 0 as rows."""

    def __init__(self) -> None:
        super().__init__()
        self.tail: dict[int, bytes] = {}

    def fetch(self, level: int, number: int) -> bytes:
        if level or (level, number) in self:
            return self.get((level, number), b"")
        return b"".join(hash_ for index, hash_ in self.tail.items() if index // 256 == number)

    def grow(self, edge: Edge, leaves: list[bytes]) -> None:
        for leaf in leaves:
            edge.append(leaf_hash(leaf))
        changed = edge.take()
        assert changed.replaced == self.keys() & changed.tiles.keys()
        self.update(changed.tiles)
        if changed.sealed:
            self.tail.clear()
        assert not self.tail.keys() & dict(changed.tail).keys()
        self.tail.update(changed.tail)
        size = edge.frontier.size
        assert list(self.tail) == list(range(size - size % 256, size))


def test_empty_and_equal_trees():
    some = leaf_hash(b"x")
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(0, 0, some, some, [])  # a textbook verifier says yes
    assert not verify_consistency(0, 5, some, some, [])
    assert not verify_consistency(0, 5, EMPTY_ROOT, some, [some])
    assert not verify_consistency(3, 3, some, leaf_hash(b"y"), [])
    assert not verify_consistency(4, 8, some, some, [])
    assert not verify_consistency(5, 3, some, some, [])
    assert not verify_inclusion(some, 0, 0, [], some)
    assert not verify_inclusion(some, -1, 1, [], some)
    with pytest.raises(ValueError):
        inclusion_proof(node_of([]), 0, 0)


def test_inner_nodes_cannot_pose_as_leaves():
    leaves = numbered(2)
    inner = leaf_hash(leaves[0]) + leaf_hash(leaves[1])
    assert leaf_hash(inner) != naive_root(leaves)


@given(st.integers(1, 80), st.data())
def test_inclusion_proofs_verify_and_no_mutation_does(size, data):
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    node, expected = node_of(leaves), naive_root(leaves)
    proof = inclusion_proof(node, index, size)
    leaf = leaf_hash(leaves[index])
    assert verify_inclusion(leaf, index, size, proof, expected)
    assert not verify_inclusion(leaf, index, size, [*proof, leaf], expected)
    assert not verify_inclusion(leaf, size, size, proof, expected)
    for other in range(size):
        assert (other == index) == verify_inclusion(leaf, other, size, proof, expected)
    for place in range(len(proof)):
        broken = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        assert not verify_inclusion(
            leaf, index, size, [*proof[:place], broken, *proof[place + 1 :]], expected
        )
        assert not verify_inclusion(leaf, index, size, proof[:place] + proof[place + 1 :], expected)
        assert not verify_inclusion(leaf, index, size, [*proof[:place], proof[place][:31]], expected)


@given(st.integers(0, 80), st.integers(0, 80))
def test_consistency_proofs_verify_and_no_mutation_does(one, two):
    old, new = sorted((one, two))
    leaves = numbered(new)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    proof = consistency_proof(node_of(leaves), old, new)
    assert verify_consistency(old, new, old_root, new_root, proof) == (old > 0 or new == 0)
    assert not verify_consistency(old, new, old_root, new_root, [*proof, new_root])
    if old < new:
        forged = naive_root([b"forged", *leaves[1:old]])
        assert not old or not verify_consistency(old, new, forged, new_root, proof)
        assert not old or not verify_consistency(
            old, new, old_root, naive_root([b"forged", *leaves[1:]]), proof
        )
    for place in range(len(proof)):
        broken = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        changed = [*proof[:place], broken, *proof[place + 1 :]]
        assert not verify_consistency(old, new, old_root, new_root, changed)
        assert not verify_consistency(old, new, old_root, new_root, proof[:place] + proof[place + 1 :])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=5), st.data())
def test_tiles_grown_in_batches_prove_every_earlier_size(batches, data):
    shelf = Shelf()
    leaves: list[bytes] = []
    edge = Edge(shelf.fetch, 0)
    for batch in batches:
        if data.draw(st.booleans()):
            edge = Edge(shelf.fetch, len(leaves))  # as after a restart
        new = numbered(len(leaves) + batch)[len(leaves) :]
        shelf.grow(edge, new)
        leaves += new
        assert edge.frontier.root() == naive_root(leaves)
    size = data.draw(st.integers(0, len(leaves)))
    node = tile_reader(shelf.fetch, size, TileCache(4))
    assert root(node, size) == naive_root(leaves[:size])
    if size:
        index = data.draw(st.integers(0, size - 1))
        proof = inclusion_proof(node, index, size)
        assert verify_inclusion(leaf_hash(leaves[index]), index, size, proof, naive_root(leaves[:size]))


def test_widths_of_the_specification():
    """The example of tlog-tiles: a tree of 70,000."""
    assert [width_at(70_000, 0, number) for number in (272, 273, 274)] == [256, 112, 0]
    assert [width_at(70_000, 1, number) for number in (0, 1, 2)] == [256, 17, 0]
    assert [width_at(70_000, 2, number) for number in (0, 1)] == [1, 0]
    assert [width_at(256, level, 0) for level in (0, 1, 2)] == [256, 1, 0]


def test_a_frontier_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError):
        Frontier(3, [EMPTY_ROOT])


def test_a_missing_tile_is_named():
    with pytest.raises(ValueError, match="tile 0/0"):
        inclusion_proof(tile_reader(Shelf().fetch, 5, TileCache()), 0, 5)
