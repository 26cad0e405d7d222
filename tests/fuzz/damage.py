"""What is done to the boxes of a manifest store with its structure kept: to boxes, to CBOR, to COSE, to the carrier."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cbor2
import numpy as np

from .boxes import BMFF_UUID, Box, jpeg_segments
from .mutate import mutated

Rng = np.random.Generator

LABELS = (
    b"", b"c2pa", b"c2pa.claim", b"c2pa.claim.v2", b"c2pa.signature", b"c2pa.assertions", b"c2pa.hash.data",
    b"c2pa.hash.data__1", b"c2pa.ingredient.v3", b"c2pa.actions", b"c2pa.actions.v2__2", b"c2pa.databoxes",
    b"c2pa.credentials", b"c2pa.hash.bmff.v3", b"c2pa.hash.boxes", b"cawg.identity", b"c2pa.time-stamp",
    b"c2pa.certificate-status", b"c2pa.redacted", b"../../../etc/passwd", b"self#jumbf=/c2pa", b"\xff\xfe\x80",
    "\u202e\x1b[2J\u2066".encode(), b"<script>alert(1)</script>", b"A" * 70_000, b"%s%n", b"urn:c2pa:", b"/", b"a\nb",
)  # fmt: skip
KINDS = (
    b"jumb",
    b"jumd",
    b"cbor",
    b"json",
    b"bfdb",
    b"bidb",
    b"uuid",
    b"free",
    b"brob",
    b"c2sh",
    b"\0\0\0\0",
    b"xml ",
)
LENGTHS = (0, 1, 7, 8, 9, 15, 16, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 63, (1 << 64) - 1)
URLS = (
    "self#jumbf=/c2pa", "self#jumbf=c2pa.assertions/c2pa.ingredient.v3", "self#jumbf=c2pa.claim.v2", "self#jumbf=",
    "self#jumbf=c2pa.signature", "self#jumbf=c2pa.assertions/c2pa.hash.data", "http://127.0.0.1:9/x",
    "file:///etc/passwd",
    "self#jumbf=/c2pa/../../x", "self#jumbf=c2pa.assertions", "", "\u202eself#jumbf=/c2pa/x",
    "self#jumbf=/c2pa/" + "a/" * 3000,
)  # fmt: skip
NUMBERS = (
    0,
    1,
    -1,
    2,
    20,
    1 << 31,
    (1 << 32) - 1,
    1 << 53,
    (1 << 63) - 1,
    (1 << 64) - 1,
    -(1 << 63),
    1 << 80,
)
WORDS = (
    "", "sha1", "md5", "sha512", "SHA256", "c2pa.created", "c2pa.opened", "c2pa.redacted", "parentOf", "inputTo",
    "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", "\x1b[2J\x1b]0;x\x07", "\u202e\u2066\u200b\ufeff",
    "1969-12-31T23:59:59Z", "9999-12-31T23:59:60+99:99", "A" * 70_000, "a\r\nb\n\u2028c", "<script>alert(1)</script>",
    "\0", "%s%n${7*7}", "[bold]x[/bold]", "jumbf manifest", "/uuid", "/mdat", "/", "gpsd", "name\0",
)  # fmt: skip
# Encodings that no encoder of ours writes: each stands for one value.
RAW = (
    b"\x81" * 3000 + b"\0", b"\xa1\0" * 3000 + b"\0", b"\xc6" * 3000 + b"\0", b"\x9b" + b"\xff" * 8,
    b"\xbb\x7f" + b"\xff" * 7,
    b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff", b"\x7a\xff\xff\xff\xff", b"\x64\xff\xfe\x80\x80", b"\x63\xed\xa0\x80",
    b"\x9f\x01\x02", b"\x5f\x41a\x41b\xff", b"\x7f\x61a\x61b\xff", b"\x1c", b"\xff", b"\xf8\x10", b"\xf7",
    b"\xfa\x7f\xc0\x00\x00",
    b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\xf9\xfc\x00", b"\xa2\x61a\x01\x61a\x02",
    b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * 65_536,
    b"\xc0\x61x", b"\xc1\xfb\x7f\xf0" + bytes(6), b"\xd8\x18\x41\xff", b"\xd9\xd9\xf7\xd9\xd9\xf7\x01",
    b"\xdb" + b"\xff" * 8 + b"\0",
    b"\xd8\x24\x61x", b"\xd8\x1c\x81\xd8\x1d\x00", b"\x98\x18" + b"\0" * 24, b"\x1b" + bytes(8),
    b"\x3b" + b"\xff" * 8,
)  # fmt: skip
LARGEST = 1 << 20
"""Bytes to which one change may make a box grow: what is looked for is odd structure, not size."""
_MARK = b"\xde\xad a raw value \xbe\xef"


def pick(rng: Rng, choices: Any) -> Any:
    """Return one of them."""
    return choices[int(rng.integers(len(choices)))]


# ---------------------------------------------------------------------------------- boxes


def _parents(root: Box) -> list[Box]:
    return [b for b in root.walk() if len(b.inside) > 1] or [Box(b"jumb", b"", [Box(b"free"), Box(b"free")])]


def drop(root: Box, rng: Rng) -> None:
    """Take a box away."""
    parent = pick(rng, _parents(root))
    del parent.inside[int(rng.integers(len(parent.inside)))]


def double(root: Box, rng: Rng) -> None:
    """Repeat a box, up to two thousand times."""
    parent = pick(rng, _parents(root))
    box = pick(rng, parent.inside)
    times = min(pick(rng, (1, 1, 1, 2, 50, 2000)), 1 + LARGEST // (len(box.payload()) + 8))
    at = int(rng.integers(len(parent.inside) + 1))
    parent.inside[at:at] = [box.copy() for _ in range(times)]


def swap(root: Box, rng: Rng) -> None:
    """Let two boxes change places, anywhere in the tree, or the contents of two leaves."""
    one, other = pick(rng, _parents(root)), pick(rng, _parents(root))
    n, m = int(rng.integers(len(one.inside))), int(rng.integers(len(other.inside)))
    first, second = one.inside[n].copy(), other.inside[m].copy()
    one.inside[n], other.inside[m] = second, first


def nest(root: Box, rng: Rng) -> None:
    """Put a box into superboxes, up to two thousand deep."""
    parent = pick(rng, _parents(root))
    at = int(rng.integers(len(parent.inside)))
    box = parent.inside[at]
    head = next((b for b in parent.inside if b.kind == b"jumd"), Box(b"jumd", bytes(16) + b"\x03x\0"))
    raw, described = box.to_bytes(), rng.random() < 0.5
    for _ in range(pick(rng, (1, 2, 10, 200, 2000))):  # as bytes: a tree of our own would be too deep to walk
        inner = (head.to_bytes() if described else b"") + raw
        raw = struct.pack(">I4s", len(inner) + 8, b"jumb") + inner
    parent.inside[at] = Box(b"jumb", raw[8:])


def mismeasure(root: Box, rng: Rng) -> None:
    """Let a header lie about its length."""
    box = pick(rng, list(root.walk()))
    own = len(box.payload()) + 8
    box.length = pick(rng, (*LENGTHS, own - 1, own + 1, own + 8, own * 2, own // 2))


def retype(root: Box, rng: Rng) -> None:
    """Give a box another type."""
    pick(rng, list(root.walk())).kind = pick(rng, KINDS)


def relabel(root: Box, rng: Rng) -> None:
    """Give a superbox another label, another UUID, other toggles, or a description cut short."""
    described = [b for b in root.walk() if b.kind == b"jumd" and len(b.content) > 17]
    if not described:
        return
    box, how = pick(rng, described), int(rng.integers(5))
    rest = box.content[17:].partition(b"\0")[2]
    if how == 0:
        box.content = box.content[:17] + pick(rng, LABELS) + b"\0" + rest
    elif how == 1:
        other = pick(rng, described)
        box.content = box.content[:17] + other.content[17:].partition(b"\0")[0] + b"\0" + rest
    elif how == 2:
        box.content = pick(rng, described).content[:16] + box.content[16:]
    elif how == 3:
        box.content = box.content[:16] + bytes([int(rng.integers(256))]) + box.content[17:]
    else:
        box.content = box.content[: int(rng.integers(len(box.content)))]


def trail(root: Box, rng: Rng) -> None:
    """Add what nobody names: bytes after the boxes, an empty box, a free one, one of a foreign type."""
    parent = pick(rng, _parents(root))
    extra = (Box(b"free", bytes(32)), Box(b"jumb"), Box(b"cbor"), Box(b"uuid", bytes(40)), Box(b"json", b"{"))
    parent.inside.insert(int(rng.integers(len(parent.inside) + 1)), pick(rng, extra).copy())


def flip(root: Box, rng: Rng) -> None:
    """Change one bit of one leaf, its padding included."""
    leaf = pick(rng, [b for b in root.walk() if b.content])
    at = int(rng.integers(len(leaf.content)))
    changed = bytes([leaf.content[at] ^ (1 << int(rng.integers(8)))])
    leaf.content = leaf.content[:at] + changed + leaf.content[at + 1 :]


# ---------------------------------------------------------------------------------- CBOR


def cbor(root: Box, rng: Rng) -> None:
    """Change the CBOR of one assertion, claim or signature; JSON assertions are changed as text."""
    leaves = [b for b in root.walk() if b.kind in (b"cbor", b"json") and b.content]
    if not leaves:
        return
    leaf = pick(rng, leaves)
    if leaf.kind == b"json":
        leaf.content = mutated(leaf.content, rng)
        return
    try:
        value = cbor2.loads(leaf.content)
    except Exception:  # changed before
        return
    signed = isinstance(value, cbor2.CBORTag) and value.tag == 18
    try:
        made = encoded((_cose if signed else _changed)(value, rng), rng)
    except cbor2.CBOREncodeError:  # it came to hold itself
        return
    leaf.content = made if len(made) <= LARGEST else leaf.content


def encoded(value: Any, rng: Rng) -> bytes:
    """Return CBOR in which each mark is one of the encodings that no encoder writes."""
    made = cbor2.dumps(value)
    mark = cbor2.dumps(_MARK)
    return made.replace(mark, pick(rng, RAW)) if mark in made else made


def _cose(value: Any, rng: Rng) -> Any:
    """Change a COSE_Sign1: headers, certificates, time-stamps, stapled answers, payload, signature, its shape."""
    if not isinstance(value.value, list | tuple) or len(value.value) != 4:  # changed before
        return value
    parts = list(value.value)
    how = int(rng.integers(8))
    header = dict(parts[1]) if isinstance(parts[1], dict) else {}
    junk = pick(rng, (b"", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", bytes(rng.bytes(200)), b"0" * 70_000))
    if how == 0:
        parts[0] = encoded(_changed(_map(parts[0]), rng), rng)
    elif how == 1:
        parts[1] = _changed(header, rng)
    elif how == 2:
        parts[1] = header | {
            "sigTst2": pick(rng, ({"tstTokens": [{"val": junk}]}, {"tstTokens": junk}, junk, [junk] * 500))
        }
    elif how == 3:
        stapled = pick(
            rng, ({"ocspVals": [junk]}, {"ocspVals": [junk] * 2000}, {"crlVals": [junk]}, junk, None)
        )
        parts[1] = header | {"rVals": stapled}
    elif how == 4:
        chain = _map(parts[0]).get(33)
        chain = chain if isinstance(chain, list) else [chain]
        parts[1] = header | {33: pick(rng, (chain * 200, [junk], junk, chain[::-1], [])), "x5chain": chain}
    elif how == 5:
        parts[2] = pick(rng, (b"", b"x" * 100, {}, 0))
    elif how == 6:
        parts[3] = pick(rng, (b"", parts[3][:-1], parts[3] + b"\0", bytes(64), b"\xff" * 64, b"\0" * 70_000))
    else:
        parts = pick(rng, (parts[:3], [*parts, b""], parts[::-1], [parts], []))
    return pick(
        rng,
        (cbor2.CBORTag(18, parts),) * 4
        + (cbor2.CBORTag(98, parts), parts, cbor2.CBORTag(18, cbor2.CBORTag(18, parts))),
    )


def _map(data: Any) -> dict[Any, Any]:
    try:
        return dict(cbor2.loads(data))
    except Exception:  # changed before
        return {}


def _changed(value: Any, rng: Rng) -> Any:
    """Return a value after one change somewhere in it."""
    places = list(_places(value))
    if not places:
        return _other(value, rng)
    holder, key = pick(rng, places)
    how = rng.random()
    if how < 0.6:
        holder[key] = _other(holder[key], rng)
    elif how < 0.75:
        del holder[key]
    elif isinstance(holder, list):
        holder[key:key] = [holder[key]] * pick(rng, (1, 2, 3000))
    else:
        other = pick(rng, places)
        holder[key] = copy.deepcopy(other[0][other[1]]) if rng.random() < 0.5 else [holder[key]]
    return value


def _places(value: Any) -> Any:
    """Iterate over (holder, key) of all that is in lists and maps; a value that holds itself (tag 29) is seen once."""
    stack, seen = [value], set()
    while stack:
        holder = stack.pop()
        if isinstance(holder, dict | list) and id(holder) not in seen:
            seen.add(id(holder))
            for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
                yield holder, key
                stack.append(item)


def _other(value: Any, rng: Rng) -> Any:
    """Return another value in a value's place: of its own kind more often than not."""
    if rng.random() < 0.3:
        return (
            _MARK
            if rng.random() < 0.6
            else pick(rng, (None, True, float("nan"), float("-inf"), [], {}, b"", cbor2.undefined))
        )
    if isinstance(value, str):
        return pick(rng, URLS) if value.startswith("self#") and rng.random() < 0.8 else pick(rng, WORDS)
    if isinstance(value, bytes):
        return pick(rng, (b"", value[:-1], value + b"\0", bytes(len(value)), value[::-1], b"\xff" * 70_000))
    if isinstance(value, int):
        return pick(rng, (*NUMBERS, value + 1, value - 1, value * 2))
    if isinstance(value, list):
        return pick(
            rng, ([], value * 2, value[::-1], value[:1], [value], value * 1000 if len(value) < 4 else value)
        )
    if isinstance(value, dict):
        return pick(rng, ({}, [value], {**value, "x": "\x1b[2J"}, {str(n): n for n in range(2000)}, None))
    return pick(rng, (*WORDS, *NUMBERS))


def exclude(root: Box, rng: Rng) -> None:
    """Change what a hash leaves out: ranges of bytes, or boxes by their paths."""
    for leaf in [b for b in root.walk() if b.kind == b"cbor"]:
        try:
            value = cbor2.loads(leaf.content)
        except Exception:
            continue
        if isinstance(value, dict) and "exclusions" in value:
            known = value["exclusions"] if isinstance(value["exclusions"], list) else []
            paths = (
                {
                    "xpath": pick(rng, ("/mdat", "/", "/meta/iloc", "/ftyp", "")),
                    **dict.fromkeys(("length", "data")),
                },
            )
            spans = tuple({"start": pick(rng, NUMBERS), "length": pick(rng, NUMBERS)} for _ in range(3))
            value["exclusions"] = pick(
                rng,
                (
                    [*known, pick(rng, spans)],
                    [pick(rng, spans)],
                    [],
                    known * 500,
                    [*known, *paths],
                    [*spans],
                    None,
                ),
            )
            with suppress(cbor2.CBOREncodeError):
                leaf.content = cbor2.dumps(value)


def refer(root: Box, rng: Rng) -> None:
    """Let an ingredient, a claim or an action name itself, its parent, another manifest, or nothing at all."""
    labels = [m.label.decode("utf-8", "replace") for m in root.inside if m.label.startswith(b"urn")]
    own = [
        f"self#jumbf=/c2pa/{label}{rest}"
        for label in labels
        for rest in ("", "/c2pa.claim.v2", "/c2pa.signature")
    ]
    for leaf in [b for b in root.walk() if b.kind == b"cbor"]:
        try:
            value = cbor2.loads(leaf.content)
        except Exception:
            continue
        for holder, key in list(_places(value)) if isinstance(value, dict) else []:
            if key == "url" and rng.random() < 0.3:
                holder[key] = pick(rng, [*own, *URLS])
        with suppress(cbor2.CBOREncodeError):
            leaf.content = cbor2.dumps(value)


Change = Callable[[Box, Rng], None]
FORM: tuple[Change, ...] = (drop, double, swap, nest, mismeasure, retype, relabel, trail, flip)
MEANING: tuple[Change, ...] = (cbor, cbor, cbor, cbor, exclude, refer, flip, relabel, double)


# ---------------------------------------------------------------------------------- carriers


def carry(wrapped: bytes, store: bytes, rng: Rng) -> bytes:
    """Return the credentials' carrier damaged: segments doubled, dropped, swapped, misnumbered, of a wrong length."""
    how = int(rng.integers(8))
    if how == 0:
        return wrapped * pick(rng, (2, 3, 40))
    if how == 1:
        return wrapped[: int(rng.integers(len(wrapped)))]
    if how == 2:
        at = int(rng.integers(min(len(wrapped), 40)))
        return wrapped[:at] + bytes([int(rng.integers(256))]) + wrapped[at + 1 :]
    if wrapped[:2] == b"\xff\xeb":
        return _segments(store, how, rng)
    if wrapped[8:24] == BMFF_UUID or wrapped[4:8] == b"uuid":
        head = pick(
            rng,
            (
                b"\0\0\0\0merkle\0",
                b"\0\0\0\0original\0" + b"\xff" * 8,
                b"\xff" * 40,
                b"\0\0\0\0manifest\0" + b"\xff" * 8,
            ),
        )
        body = BMFF_UUID + head + store
        return struct.pack(">I", pick(rng, (len(body) + 8, 0, 1, 7, 0xFFFFFFFF, len(body)))) + b"uuid" + body
    at = int(rng.integers(len(wrapped) + 1))
    return wrapped[:at] + pick(rng, (bytes(4), b"\xff" * 8, wrapped[:12])) + wrapped[at:]


def _segments(store: bytes, how: int, rng: Rng) -> bytes:
    parts = jpeg_segments(store, pick(rng, (500, 5000, 60_000)))
    cuts, at = [], 0
    while at < len(parts):
        size = int.from_bytes(parts[at + 2 : at + 4], "big") + 2
        cuts.append(bytearray(parts[at : at + size]))
        at += size
    segment = pick(rng, cuts)
    if how == 3:
        segment[8:12] = int(pick(rng, (0, 1, 2, 1 << 31, (1 << 32) - 1))).to_bytes(4, "big")  # its number
    elif how == 4:
        segment[6:8] = bytes(rng.bytes(2))  # which box it belongs to
    elif how == 5:
        segment[2:4] = int(pick(rng, (0, 1, 2, 9, 10, 0xFFFF))).to_bytes(2, "big")
    elif how == 6:
        cuts.insert(int(rng.integers(len(cuts) + 1)), segment)
    else:
        rng.shuffle(cuts)  # type: ignore[arg-type]
    return b"".join(bytes(c) for c in cuts)
