"""JUMBF boxes as a tree, and the carriers in which files hold them: taken apart, changed, put together again."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass
class Box:
    """A box: a superbox (``jumb``) holds boxes, any other bytes; ``length`` is what its header says if it lies."""

    kind: bytes
    content: bytes = b""
    inside: list[Box] = field(default_factory=list)
    length: int | None = None

    @property
    def label(self) -> bytes:
        """The label in a superbox's description, b"" for none."""
        head = self.inside[0] if self.inside else None
        return head.content[17:].partition(b"\0")[0] if head and head.kind == b"jumd" else b""

    def payload(self) -> bytes:
        """Return what follows the header."""
        return b"".join(b.to_bytes() for b in self.inside) if self.inside else self.content

    def to_bytes(self) -> bytes:
        """Return the box with its header; ``length`` over 32 bits is written as XLBox."""
        body = self.payload()
        said = len(body) + 8 if self.length is None else self.length
        if said > 0xFFFFFFFF:
            return struct.pack(">I4sQ", 1, self.kind, said & 0xFFFFFFFFFFFFFFFF) + body
        return struct.pack(">I4s", said, self.kind) + body

    def walk(self) -> Iterator[Box]:
        """Iterate over the box and all in it."""
        yield self
        for box in self.inside:
            yield from box.walk()

    def copy(self) -> Box:
        """Return a box of its own, all the way down."""
        return Box(self.kind, self.content, [b.copy() for b in self.inside], self.length)

    def child(self, label: bytes) -> Box | None:
        """Return the superbox in this one whose label begins so."""
        return next((b for b in self.inside if b.label.startswith(label)), None)


def parsed(data: bytes) -> list[Box]:
    """Return the boxes of a whole store; raises ValueError where it does not come out even."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + size]
        if size < 8 or at + size > len(data):
            raise ValueError("a box is longer than what holds it")
        found.append(Box(kind, b"", parsed(body)) if kind == b"jumb" else Box(kind, body))
        at += size
    return found


# ---------------------------------------------------------------------------------- signatures


def essence(store: Box, *, active: bool = False) -> tuple[bytes, ...]:
    """Return what signatures vouch for, by the bytes: claims, signatures and assertions that claims name.

    Of all manifests of a store, or of the ``active`` one alone, which is the last.
    """
    found: list[bytes] = []
    for manifest in store.inside[-1:] if active else store.inside:
        claim, signature = manifest.child(b"c2pa.claim"), manifest.child(b"c2pa.signature")
        if not claim or not signature:
            continue
        tagged = cbor2.loads(signature.inside[1].content)
        said = cbor2.loads(claim.inside[1].content)
        found += [claim.inside[1].content, tagged.value[0], tagged.value[3]]
        held = manifest.child(b"c2pa.assertions")
        named = {u["url"].rpartition("/")[2].encode() for u in _references(said)}
        found += [b.payload() for b in (held.inside if held else []) if b.label in named]
    return tuple(found)


def resealed(manifest: Box, key: ec.EllipticCurvePrivateKey) -> None:
    """Make a manifest's claim fit its assertions and its signature fit the claim, where there is still such a thing."""
    claim, signature = manifest.child(b"c2pa.claim"), manifest.child(b"c2pa.signature")
    held = manifest.child(b"c2pa.assertions")
    try:
        assert claim
        assert signature
        said = cbor2.loads(claim.inside[1].content)
        for uri in _references(said):
            name = uri["url"].rpartition("/")[2].encode()
            found = next((b for b in (held.inside if held else []) if b.label == name), None)
            if found:
                uri["hash"] = hashlib.sha256(found.payload()).digest()
        claim.inside[1].content = cbor2.dumps(said)
    except Exception:
        if not claim or len(claim.inside) < 2:
            return  # no claim is left; the signature stays as it is
    try:
        assert signature
        tagged = cbor2.loads(signature.inside[1].content)
        protected, header, payload, _ = tagged.value
        message = cbor2.dumps(["Signature1", protected, b"", claim.inside[1].content])
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        made = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        signature.inside[1].content = cbor2.dumps(cbor2.CBORTag(18, [protected, header, payload, made]))
    except Exception:
        return


def _references(claim: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("created_assertions", "gathered_assertions", "assertions")
    return [uri for name in names for uri in claim.get(name) or []]


# ---------------------------------------------------------------------------------- carriers


@dataclass(frozen=True)
class Carrier:
    """A file taken apart: bytes before and after its credentials, the store, and how that is put in."""

    name: str
    suffix: str
    before: bytes
    after: bytes
    store: bytes
    wrap: Callable[[bytes], bytes]

    def with_store(self, store: bytes) -> bytes:
        """Return the file with another store."""
        return self.before + self.wrap(store) + self.after


def taken_apart(data: bytes, name: str, suffix: str) -> Carrier:
    """Find the credentials in a JPEG, PNG, WebP or AVIF; raises ValueError where there are none."""
    found = {b"\xff\xd8": _jpeg, b"\x89P": _png, b"RI": _riff}.get(data[:2], _bmff)(data)
    start, end, store, wrap = found
    return Carrier(name, suffix, data[:start], data[end:], store, wrap)


_Found = tuple[int, int, bytes, Callable[[bytes], bytes]]


def _jpeg(data: bytes) -> _Found:
    at, store, start, end = 2, b"", 0, 0
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xEB:
            start = start or at
            end = at + 2 + size
            store += data[at + 12 + (8 if store else 0) : end]  # later segments repeat the first box's header
        at += 2 + size
    if not store:
        raise ValueError("no credentials")
    return start, end, store, jpeg_segments


def jpeg_segments(store: bytes, room: int = 64_000) -> bytes:
    """Return the APP11 segments of a store: CI, En, Z, then the first box's header in each."""
    parts = [store[n : n + room] for n in range(0, max(1, len(store)), room)]
    return b"".join(
        b"\xff\xeb"
        + (len(p) + 10 + (8 if n else 0)).to_bytes(2, "big")
        + b"JP\x02\x11"
        + (n + 1).to_bytes(4, "big")
        + (store[:8] if n else b"")
        + p
        for n, p in enumerate(parts)
    )


def _png(data: bytes) -> _Found:
    at = 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"caBX":
            return at, at + 12 + size, data[at + 8 : at + 8 + size], _png_chunk
        at += 12 + size
    raise ValueError("no credentials")


def _png_chunk(store: bytes) -> bytes:
    return struct.pack(">I", len(store)) + b"caBX" + store + struct.pack(">I", zlib.crc32(b"caBX" + store))


def _riff(data: bytes) -> _Found:
    at = 12
    while at < len(data):
        kind, size = struct.unpack("<4sI", data[at : at + 8])
        if kind == b"C2PA":
            return (
                at, at + 8 + size + size % 2, data[at + 8 : at + 8 + size],
                lambda store: struct.pack("<4sI", b"C2PA", len(store)) + store + b"\0" * (len(store) % 2),
            )  # fmt: skip
        at += 8 + size + size % 2
    raise ValueError("no credentials")


def _bmff(data: bytes) -> _Found:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 8 : at + 24] == BMFF_UUID:
            body = BytesIO(data[at + 24 : at + size])
            head = body.read(4) + body.read(9) + body.read(8)  # flags, purpose, where the Merkle boxes are
            return at, at + size, body.read(), partial(_uuid_box, head)
        at += size
    raise ValueError("no credentials")


def _uuid_box(head: bytes, store: bytes) -> bytes:
    body = head + store
    return struct.pack(">I", len(body) + 24) + b"uuid" + BMFF_UUID + body
