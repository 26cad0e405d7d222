"""The hard binding: which bytes of a file its signature does not cover, and whether those hold content.

A signed claim may exclude byte ranges from its hash. The manifest itself must be excluded; anything else is a
hole, and the engine accepts holes over the picture (measured: pixels replaced, still "Trusted").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from assay.provenance.coverage import Coverage
from assay.provenance.credentials.gaps import map_gaps
from assay.provenance.errors import InputError, UnsupportedError
from assay.provenance.files.structure import Layout, layout_isolated
from assay.provenance.files.walk_containers import judge_paths

_CHUNK = 1 << 20

# c2pa-rs leaves one wrong table field of a BigTIFF out of the hash; so few bytes hold no picture.
_TIFF_TYPES = frozenset({"image/tiff", "image/x-adobe-dng"})
_TIFF_SLACK = 16


@dataclass(frozen=True, slots=True)
class Binding:
    """What a hard binding leaves out and whether it holds.

    ``uncovered``: (start, length) of content bytes outside the hash. ``boxes``: content boxes outside it.
    ``holds``: whether our own hash over the covered bytes matches the signed one; None where not computed.
    ``fragmented``: the file is the first part of a stream whose other parts are needed to check it (DASH).
    ``unread``: why it could not be judged what the excluded ranges hold, empty where it could.
    ``coverage``: all that the hash leaves out, harmless or not; None where nothing binds the file.
    """

    uncovered: tuple[tuple[int, int], ...] = ()
    boxes: tuple[str, ...] = ()
    holds: bool | None = None
    fragmented: bool = False
    unread: str = ""
    coverage: Coverage | None = None


def examine(
    stream: BinaryIO, media_type: str, detail: Mapping[str, Any], label: str, *, recompute: bool
) -> Binding:
    """Examine the hard binding of the manifest ``label`` in the engine's detailed JSON.

    ``recompute`` hashes the covered bytes ourselves, to tell a changed file from one that newer rules refuse
    (c2pa-rs 0.91 calls an exclusion from byte 0 a mismatch, PR 2653).
    """
    manifest = (detail.get("manifests") or {}).get(label) or {}
    store = manifest.get("assertion_store")
    if not isinstance(store, dict):
        return Binding()
    ranges: list[tuple[int, int]] = []
    boxes: list[str] = []
    holds: bool | None = None
    fragmented = False
    for name, assertion in store.items():
        if not isinstance(assertion, dict):
            continue
        exclusions = [e for e in assertion.get("exclusions") or [] if isinstance(e, dict)]
        if name.startswith("c2pa.hash.data"):
            own = [(int(e.get("start", 0)), int(e.get("length", 0))) for e in exclusions]
            ranges += own
            if recompute:
                holds = _matches(stream, own, assertion) and holds is not False
        elif name.startswith("c2pa.hash.bmff"):
            content, _ = judge_paths(exclusions)
            boxes += content
            fragmented |= any(
                isinstance(m, dict) and m.get("initHash") for m in assertion.get("merkle") or []
            )
    found, why = _layout(stream, media_type)
    parts = found.content_in(ranges) if found else []
    unread = "" if found or not ranges else why
    coverage = map_gaps(stream, found, store, parts)
    return Binding(tuple(parts), tuple(boxes), holds, fragmented, unread, coverage)


def _layout(stream: BinaryIO, media_type: str) -> tuple[Layout | None, str]:
    """Return the file's byte map, or why there is none: a broken file is no harmless one."""
    try:
        return layout_isolated(stream, media_type), ""
    except UnsupportedError:
        return None, f"the layout of {media_type} is not known here"
    except InputError as error:
        return None, error.message


def _matches(stream: BinaryIO, ranges: list[tuple[int, int]], assertion: Mapping[str, Any]) -> bool:
    try:
        digest = hashlib.new(str(assertion.get("alg") or "sha256"))
        expected = base64.b64decode(str(assertion.get("hash") or ""), validate=True)
    except (ValueError, binascii.Error):
        return False
    size = stream.seek(0, 2)
    position = 0
    for start, length in [*sorted(ranges), (size, 0)]:
        stream.seek(position)
        left = max(0, min(start, size) - position)
        while left > 0 and (block := stream.read(min(_CHUNK, left))):
            digest.update(block)
            left -= len(block)
        position = max(position, start + length)
    return digest.digest() == expected
