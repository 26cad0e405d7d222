"""Reading and signing in a worker that may die: the engine is native code and the file is hostile.

The engine never runs in the parent: it starts threads of its own there, and a child forked later would wait for
them for ever (measured with PDF).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from assay.provenance.credentials import engine
from assay.provenance.credentials.binding import Binding, examine
from assay.provenance.credentials.engine import Anchors, RawManifest, SignRequest
from assay.provenance.credentials.reader import interpret
from assay.provenance.credentials.status import CHANGED
from assay.provenance.files.worker import Answer, run
from assay.provenance.keys.signers import Signer
from assay.provenance.limits import Limits
from assay.provenance.manifest import Manifest


def read_manifest(
    stream: BinaryIO,
    media_type: str,
    anchors: Sequence[Anchors],
    lists: Mapping[str, str],
    now: dt.datetime,
    *,
    limits: Limits,
    sidecar: bytes | None = None,
) -> Manifest:
    """Read and judge a file's manifest store, or that of ``sidecar`` against the file.

    ``lists`` maps list URIs to display names. Raises MalformedError or LimitError if the worker died.
    """

    def work(source: BinaryIO) -> Answer:
        raw = engine.read(source, media_type, anchors, sidecar)
        if raw.error == "absent" and sidecar is None:
            return _pack(raw, Binding())
        label = str(raw.summary.get("active_manifest") or "")
        results = (raw.summary.get("validation_results") or {}).get("activeManifest") or {}
        changed = {str(s.get("code")) for s in results.get("failure") or []} & CHANGED
        binding = examine(source, media_type, raw.detail, label, recompute=changed == {"assertion.dataHash.mismatch"})
        return _pack(raw, binding)

    answer = run(work, stream, limits)
    header = answer.header
    raw = RawManifest(
        summary=header["summary"],
        detail={},
        store=bytes(answer.blobs[0]),
        remote_url=str(header["remote_url"]),
        embedded=bool(header["embedded"]),
        error=str(header["error"]),
        message=str(header["message"]),
    )
    binding = Binding(
        tuple((int(a), int(b)) for a, b in header["uncovered"]),
        tuple(header["boxes"]),
        header["holds"],
        bool(header["fragmented"]),
    )
    return interpret(raw, binding, now=now, lists=lists, limits=limits)


def sign_isolated(
    request: SignRequest, source: BinaryIO, target: BinaryIO, *, signer: Signer, tsa: str | None, limits: Limits
) -> bytes:
    """Sign ``source`` into the open file ``target`` and return the manifest store; raises as ``engine.sign`` does."""

    def work(own: BinaryIO) -> Answer:
        with os.fdopen(os.dup(target.fileno()), "r+b") as out:
            store = engine.sign(request, own, out, signer=signer, tsa=tsa)
        return Answer({}, (store,))

    target.flush()
    also = [target, *(i.stream for i in request.ingredients)]
    return bytes(run(work, source, limits, also=also, writes=True).blobs[0])


def _pack(raw: RawManifest, binding: Binding) -> Answer:
    header = {
        "summary": raw.summary,
        "remote_url": raw.remote_url,
        "embedded": raw.embedded,
        "error": raw.error,
        "message": raw.message,
        "uncovered": [list(r) for r in binding.uncovered],
        "boxes": list(binding.boxes),
        "holds": binding.holds,
        "fragmented": binding.fragmented,
    }
    return Answer(header, (raw.store,))
