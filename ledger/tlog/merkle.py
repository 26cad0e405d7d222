"""Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1): hashes, roots, proofs, and a compact frontier.

Everything is pure. Trees are read through a ``Node`` function: nothing here knows where hashes are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""``node(level, index)``: hash of the complete subtree of leaves [index · 2^level, (index + 1) · 2^level)."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data), 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Return the largest power of two smaller than ``size`` (RFC 6962's k); ``size`` is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(node: Node, start: int, stop: int) -> bytes:
    """Return MTH(D[start:stop]) for a range that RFC 6962's recursion reaches; reads O(log n) nodes."""
    width = stop - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(width)
    return node_hash(_range_hash(node, start, middle), _range_hash(node, middle, stop))


def root(node: Node, size: int) -> bytes:
    """Return the root of the first ``size`` leaves; the empty tree has SHA-256 of nothing."""
    return _range_hash(node, 0, size) if size else EMPTY_ROOT


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling up.

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_range_hash(node, middle, stop))
            stop = middle
        else:
            proof.append(_range_hash(node, start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(node: Node, old: int, new: int) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2; empty for equal sizes and for an empty old tree.

    Raises ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves has no earlier tree of {old}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, stop = 0, new
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(_range_hash(node, middle, stop))
            stop = middle
        else:
            proof.append(_range_hash(node, start, middle))
            start = middle
    if start:  # the old tree's root is known to the verifier, an inner subtree's is not
        proof.append(_range_hash(node, start, stop))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Say whether the proof binds the leaf hash at ``index`` to the root ``expected`` of ``size`` leaves.

    Follows RFC 9162 section 2.1.3.2; any malformed input is simply False.
    """
    if not 0 <= index < size or any(len(item) != HASH_SIZE for item in (leaf, expected, *proof)):
        return False
    fn, sn, result = index, size - 1, leaf
    for item in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            result = node_hash(item, result)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node_hash(result, item)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and result == expected


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the proof shows that the tree of ``new`` leaves extends the tree of ``old`` leaves.

    Follows RFC 9162 section 2.1.4.2, and settles what it leaves open: equal sizes need equal roots and no
    proof; two empty trees have the empty root; that a tree extends the empty one says nothing and is False.
    """
    if not 0 <= old <= new or any(len(item) != HASH_SIZE for item in proof):
        return False
    if old == new:
        return not proof and old_root == new_root and (new > 0 or new_root == EMPTY_ROOT)
    if old == 0:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for item in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = node_hash(item, first), node_hash(item, second)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, item)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and first == old_root and second == new_root


class Frontier:
    """The roots of the complete subtrees that make up a tree, largest first: all that appending needs.

    ``size`` is the number of leaves; O(log size) hashes are kept.
    """

    __slots__ = ("_nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._nodes = list(nodes)
        if len(self._nodes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees")

    @classmethod
    def load(cls, node: Node, size: int) -> Frontier:
        """Read the frontier of the first ``size`` leaves."""
        levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
        return cls(size, [node(level, (size >> level) - 1) for level in levels])

    def append(self, node: bytes, level: int = 0) -> list[bytes]:
        """Add a leaf hash, or the root of 2^level further leaves; return the nodes it completes, itself first.

        Raises ValueError where a subtree of that level cannot begin at the present size.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"no subtree of level {level} begins at leaf {self.size}")
        done = [node]
        above = self.size >> level
        while above & 1:
            done.append(node_hash(self._nodes.pop(), done[-1]))
            above >>= 1
        self._nodes.append(done[-1])
        self.size += 1 << level
        return done

    def root(self) -> bytes:
        """Return the root of all leaves so far."""
        if not self._nodes:
            return EMPTY_ROOT
        result = self._nodes[-1]
        for left in reversed(self._nodes[:-1]):
            result = node_hash(left, result)
        return result
