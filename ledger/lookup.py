"""Look-up keys: 64 bits of a hash of what an entry is asked for by. Format: docs/formats/ledger.md.

One index serves every exact look-up, and a prefix of a key asks for many entries at once, so that whoever
answers does not learn which of them was meant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from assay.ledger.likeness.trail import words_in
from assay.provenance.entry import Recovery
from assay.provenance.event import MAX_SUBJECTS
from assay.provenance.leaf import Leaf

KEY_BITS = 64
RUN = 4096
"""Entries whose keys are kept together while their span is not full."""
RUNS_SPAN = 65_536
"""Entries whose keys are kept together once there are so many: their runs are made one."""
_SHIFT = 1 << (KEY_BITS - 1)


def key_of(kind: str, value: str) -> int:
    """Return the first 64 bits of SHA-256("<kind>:<value>"), 0 <= key < 2^64.

    Kinds are ``digest`` (sha256:HEX), ``manifest`` (URN), ``mark`` (SCHEME:HEX), ``binding`` (ALG:VALUE),
    ``word`` (of a trail), ``event`` (sha256:HEX of a file that an event is about).
    """
    return int.from_bytes(hashlib.sha256(f"{kind}:{value}".encode()).digest()[:8], "big")


def key_range(prefix: int, bits: int) -> tuple[int, int]:
    """Return the first and last key whose first ``bits`` bits are ``prefix``; raises ValueError out of range."""
    if not 0 <= bits <= KEY_BITS or not 0 <= prefix < 1 << bits:
        raise ValueError(f"not a prefix of {bits} bits: {prefix}")
    rest = KEY_BITS - bits
    return prefix << rest, ((prefix + 1) << rest) - 1


_HASH = rb'"sha256:[0-9a-f]{64}"'
_PLAIN = rb'"[ !#-\[\]-~]*+"'
_USUAL = re.compile(
    rb'\{"digest":"(?P<digest>sha256:[0-9a-f]{64})"'
    rb'(?:,"generator":%(plain)s)?(?:,"manifest":%(hash)s)?(?:,"manifest_label":"(?P<label>[ !#-\[\]-~]++)")?'
    rb'(?:,"mark":\{"id":"(?P<id>[0-9a-f]++)","scheme":"(?P<scheme>[ !#-\[\]-~]++)"\})?,"media_type":%(plain)s'
    rb'(?:,"recovery":%(hash)s)?(?:,"signer":%(hash)s)?,"size":(?:0|[1-9][0-9]{0,14})(?:,"source_type":%(plain)s)?'
    rb',"time":%(plain)s,"type":"assay\.entry/v1"\}' % {b"plain": _PLAIN, b"hash": _HASH}
)
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_EVENT = re.compile(
    rb'\{"actor":%(hash)s,"statement":%(hash)s,"subjects":\[(?P<subjects>%(hash)s(?:,%(hash)s){0,%(more)d})\]'
    rb',"type":"assay\.event/v1"\}' % {b"hash": _HASH, b"more": MAX_SUBJECTS - 1}
)


def usual_names(leaf: bytes) -> tuple[bytes, ...] | None:
    """Return the "<kind>:<value>" names whose hashes are the keys of a leaf, where it is plainly written.

    None where it is anything else, which may still be a leaf: only a parser can tell. An audit reads
    millions of leaves, and parsing them takes longer than hashing them.
    """
    found = _USUAL.fullmatch(leaf)
    if found is None:
        about = _EVENT.fullmatch(leaf)
        return (
            tuple(b"event:" + d for d in dict.fromkeys(_DIGEST.findall(about["subjects"]))) if about else None
        )
    digest, label, id_, scheme = found.group("digest", "label", "id", "scheme")
    names = [b"digest:" + digest]
    if label:
        names.append(b"manifest:" + label)
    if id_:
        names.append(b"mark:" + scheme + b":" + id_)
    return tuple(names)


def leaf_keys(leaf: Leaf) -> list[int]:
    """Return the keys that follow from the leaf itself."""
    return [key_of(kind, value) for kind, value in leaf.names()]


def recovery_keys(recovery: Recovery | None) -> list[int]:
    """Return the keys that follow from what is kept beside the leaf; they are erased with it."""
    if recovery is None:
        return []
    names = [("binding", f"{alg}:{value}") for alg, value in recovery.bindings]
    names += [("word", word) for word in words_in(recovery.sketch)]
    return sorted({key_of(*name) for name in names})


def run_of(index: int, size: int) -> int:
    """Return the run in which a log of ``size`` entries keeps the keys of an entry: the index that it begins with."""
    whole = size - size % RUNS_SPAN
    return index - index % (RUNS_SPAN if index < whole else RUN)


def runs(start: int, stop: int, size: int) -> list[int]:
    """Return the runs of the entries [start, stop) of a log of ``size``; ``start`` begins a span."""
    whole = min(stop, size - size % RUNS_SPAN)
    return [*range(start, whole, RUNS_SPAN), *range(max(start, size - size % RUNS_SPAN), stop, RUN)]


def stored(keys: Iterable[int]) -> list[int]:
    """Return keys as a signed 64-bit column holds them, in the same order."""
    return [key - _SHIFT for key in keys]
