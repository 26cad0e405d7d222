"""Reading and signing in a worker that may die: the engine is native code and the file is hostile.

The engine never runs in the parent: it starts threads of its own there, and a child forked later would wait for
them for ever (measured with PDF).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO, Literal

from assay.provenance.coverage import Coverage
from assay.provenance.credentials import engine
from assay.provenance.credentials.binding import Binding, examine
from assay.provenance.credentials.engine import Anchors, RawManifest, SignRequest
from assay.provenance.credentials.identities import assertions, gather
from assay.provenance.credentials.outside import Relay, SignerElsewhere, desk, time_stamp
from assay.provenance.credentials.reader import interpret
from assay.provenance.credentials.status import CHANGED
from assay.provenance.errors import InputError, NetworkError
from assay.provenance.files.loopback import Loopback
from assay.provenance.files.worker import Answer, Job, run
from assay.provenance.keys.signers import KeySigner, Signer
from assay.provenance.limits import Limits
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.text import safe_text

_TIME_TRUSTED = "timeStamp.trusted"


@dataclass(frozen=True, slots=True)
class SignedStore:
    """What a signature in the worker left: the input's own credentials, the new store, and how it reads back."""

    history: Manifest
    store: bytes
    manifest: Manifest


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
    answer = run(manifest_job(media_type, anchors, sidecar), stream, limits)
    return judge_manifest(answer, lists, now, limits)


def manifest_job(media_type: str, anchors: Sequence[Anchors], sidecar: bytes | None) -> Job:
    """Return the parser of a file's manifest store; ``judge_manifest`` reads its answer."""

    def work(source: BinaryIO) -> Answer:
        header, store = _examine(source, media_type, anchors, sidecar)
        return Answer(header, (store,))

    return work


def judge_manifest(answer: Answer, lists: Mapping[str, str], now: dt.datetime, limits: Limits) -> Manifest:
    """Judge what ``manifest_job`` answered; ``lists`` maps list URIs to display names."""
    return _judge(answer.header, bytes(answer.blobs[0]), lists, now, limits)


def sign_isolated(
    build: Callable[[bool], SignRequest],
    source: BinaryIO,
    target: BinaryIO,
    *,
    original: BinaryIO,
    also: Sequence[BinaryIO],
    signer: Signer,
    tsa: str | None,
    now: dt.datetime,
    limits: Limits,
) -> SignedStore:
    """Read the credentials of ``original``, sign ``source`` into the open file ``target``, and read that back.

    ``build`` is told whether the original has credentials and gives the request; ``also`` are the ingredients'
    open files. One child does all three. Raises InputError if the original's credentials are proven changed,
    otherwise as ``engine.sign`` does.
    """

    def work(own: BinaryIO) -> Answer:
        with _own(original) as first:
            history, old = _examine(first, build(False).media_type, (), None)
        if _judge(history, old, {}, now, limits).state is ManifestState.INVALID:
            raise InputError(
                "its credentials are proven changed; signing it would launder that",
                hint="see 'assay verify'; remove the broken credentials first if you mean to sign it all the same",
            )
        request = build(history["error"] != "absent")
        if history["error"] != "absent" and not request.embed:
            raise InputError(
                "it carries credentials already, and those inside a file are read before any beside it",
                hint="sign it without --sidecar; its history is kept",
            )
        with _own(target) as out:
            out.truncate(0)  # a child before this one may have written and stopped
            store = _sign(request, own, out)
            if not request.embed:
                _copy(own, out)
            out.flush()
            header, _ = _examine(out, request.media_type, (), None if request.embed else store)
        return Answer({"history": history, "signed": header}, (old, store))

    def _sign(request: SignRequest, own: BinaryIO, out: BinaryIO) -> bytes:
        # What a plug-in's signer needs, nobody here knows; it stays in the parent.
        here = signer if isinstance(signer, KeySigner) else SignerElsewhere(signer, questions)
        if loopback is None or tsa is None:
            return engine.sign(request, own, out, signer=here)
        relay = Relay(loopback, questions)
        try:
            return engine.sign(request, own, out, signer=here, tsa=relay.url)
        except NetworkError as error:
            raise NetworkError(
                error.message.replace(relay.url, safe_text(tsa, 200)), hint=error.hint
            ) from error

    target.flush()
    questions = desk(signer, partial(time_stamp, tsa) if tsa is not None else None)
    loopback = Loopback() if tsa is not None else None
    files = [original, target, *also]
    with contextlib.closing(questions):
        answer = run(work, source, limits, also=files, writes=True, questions=questions, loopback=loopback)
    old, store = (bytes(b) for b in answer.blobs)
    return SignedStore(
        _judge(answer.header["history"], old, {}, now, limits),
        store,
        _judge(answer.header["signed"], store, {}, now, limits),
    )


def _own(stream: BinaryIO) -> BinaryIO:
    """Open a child's own handle on an inherited file, so that nothing of the parent's buffers is used."""
    if isinstance(stream, BytesIO):
        return BytesIO(stream.getvalue())
    mode: Literal["rb", "r+b"] = "r+b" if stream.writable() else "rb"
    handle = os.fdopen(os.dup(stream.fileno()), mode)
    handle.seek(0)
    return handle


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    target.seek(0)
    target.truncate()
    shutil.copyfileobj(source, target)


def _examine(
    source: BinaryIO, media_type: str, anchors: Sequence[Anchors], sidecar: bytes | None
) -> tuple[dict[str, Any], bytes]:
    raw = engine.read(source, media_type, anchors, sidecar)
    _prove_times(raw, source, media_type, anchors, sidecar)
    binding = Binding()
    if not raw.error:
        label = str(raw.summary.get("active_manifest") or "")
        results = (raw.summary.get("validation_results") or {}).get("activeManifest") or {}
        changed = {str(s.get("code")) for s in results.get("failure") or []} & CHANGED
        binding = examine(
            source, media_type, raw.detail, label, recompute=changed == {"assertion.dataHash.mismatch"}
        )
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
        "unread": binding.unread,
        "coverage": binding.coverage.to_json() if binding.coverage else None,
        "identities": _identities(raw, source, media_type, anchors, sidecar),
    }
    return header, raw.store


def _identities(
    raw: RawManifest, source: BinaryIO, media_type: str, anchors: Sequence[Anchors], sidecar: bytes | None
) -> dict[str, Any]:
    if raw.error or not assertions(raw.summary):
        return {}
    return gather(
        raw.summary, engine.read_identities(source, media_type, anchors, sidecar), raw.store, anchors
    )


def _prove_times(
    raw: RawManifest, source: BinaryIO, media_type: str, anchors: Sequence[Anchors], sidecar: bytes | None
) -> None:
    """Leave in ``raw`` only those trusted times that a list of time-stamp authorities vouches for.

    The engine takes any list for any purpose, the first that fits, and names it at the end of its explanation
    (measured). Where that is another kind of list, it is asked again with the authorities' lists alone.
    """
    results = (raw.summary.get("validation_results") or {}).get("activeManifest") or {}
    proofs = [s for s in results.get("success") or [] if s.get("code") == _TIME_TRUSTED]
    clocks = [a for a in anchors if a.kind == "tsa"]
    uris = {a.uri for a in clocks}
    if all(str(s.get("explanation", "")).rpartition("trust list: ")[2] in uris for s in proofs):
        return
    again = engine.read(source, media_type, clocks, sidecar).summary.get("validation_results") or {}
    proven = [
        s for s in (again.get("activeManifest") or {}).get("success") or [] if s.get("code") == _TIME_TRUSTED
    ]
    results["success"] = [s for s in results["success"] if s.get("code") != _TIME_TRUSTED] + proven


def _judge(
    header: Mapping[str, Any], store: bytes, lists: Mapping[str, str], now: dt.datetime, limits: Limits
) -> Manifest:
    raw = RawManifest(
        summary=header["summary"],
        detail={},
        store=store,
        remote_url=str(header["remote_url"]),
        embedded=bool(header["embedded"]),
        error=str(header["error"]),
        message=str(header["message"]),
        identities=header["identities"],
    )
    binding = Binding(
        tuple((int(a), int(b)) for a, b in header["uncovered"]),
        tuple(header["boxes"]),
        header["holds"],
        bool(header["fragmented"]),
        str(header["unread"]),
        Coverage.of_json(header["coverage"]) if header["coverage"] else None,
    )
    return interpret(raw, binding, now=now, lists=lists, limits=limits)
