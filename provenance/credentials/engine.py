"""The C2PA engine: the one module that calls c2pa-python. It knows the library's traps, not our policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, BinaryIO

import c2pa

from assay.provenance.errors import (
    AssayError,
    CredentialError,
    InputError,
    MalformedError,
    NetworkError,
    UnsupportedError,
)
from assay.provenance.keys.certificates import CLAIM_SIGNING_EKUS
from assay.provenance.keys.signers import Signer

SIGNABLE = frozenset(
    {
        "image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/x-adobe-dng", "image/jxl",
        "image/avif", "image/heic", "image/heif", "image/svg+xml", "application/pdf", "video/mp4", "video/quicktime",
        "audio/mp4", "video/x-msvideo", "audio/wav", "audio/mpeg", "audio/flac",
    }
)  # fmt: skip
"""Media types, as files/sniff.py names them, that c2pa-python 0.38 signs and detects changes in (measured)."""

# The engine's own names for types that it calls differently.
_ENGINE_TYPES = {"video/x-msvideo": "video/avi"}


@cache
def engine_version() -> str:
    """Return the names and versions of the library and its core, for reports."""
    return f"c2pa-python {version('c2pa-python')}, c2pa-rs {c2pa.sdk_version()}"


@dataclass(frozen=True, slots=True)
class Anchors:
    """One trust list as the engine takes it: URI that comes back in results, kind, PEM of anchors and leaves.

    ``issuers`` are the DIDs of who may issue identities (kind ``cawg``).
    """

    uri: str
    kind: str
    authorities: str
    end_entities: str
    issuers: tuple[str, ...] = ()


# The engine knows "manifest", "tsa" and "cawg"; for signers it does not enforce them, which reader.py does.
_ENGINE_KINDS = {"signer": "manifest", "tsa": "tsa", "cawg": "cawg"}

# Without these two nothing may reach the network: opening a file must not tell its author (SSRF, tracking).
_OFFLINE: dict[str, dict[str, Any]] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},
}


def _context(anchors: Sequence[Anchors], *, identities: bool = False) -> Any:
    lists: list[dict[str, Any]] = []
    for anchor in anchors:
        item: dict[str, Any] = {
            "trust_kind": _ENGINE_KINDS[anchor.kind],
            "trust_uri": anchor.uri,
            "trust_anchors": anchor.authorities,
        }
        if anchor.end_entities:
            item["allowed_list"] = anchor.end_entities
        if anchor.issuers:
            item["trusted_ica_issuers"] = list(anchor.issuers)
        lists.append(item)
    # trust_config has an effect only at the top level; without it certificates of the official authorities,
    # which carry the C2PA usage, would read as invalid.
    trust: dict[str, Any] = {"trust_config": "\n".join(CLAIM_SIGNING_EKUS)}
    if lists:
        trust["anchors"] = lists
    core = {**_OFFLINE["core"], "decode_identity_assertions": identities}
    return c2pa.Context.from_dict({"trust": trust, **_OFFLINE, "core": core})


@dataclass(frozen=True, slots=True)
class RawManifest:
    """What the engine said: summary and detailed JSON, manifest store bytes, remote URL, whether embedded.

    ``error`` is empty, ``"absent"``, ``"remote"`` or ``"malformed"``; ``message`` the engine's words for it;
    ``identities`` what a second reading says of CAWG identities (identities.py), {} where none is stated.
    """

    summary: dict[str, Any]
    detail: dict[str, Any]
    store: bytes = b""
    remote_url: str = ""
    embedded: bool = True
    error: str = ""
    message: str = ""
    identities: dict[str, Any] = field(default_factory=dict)


def read(
    stream: BinaryIO, media_type: str, anchors: Sequence[Anchors] = (), sidecar: bytes | None = None
) -> RawManifest:
    """Read and validate the manifest store of a file, or of ``sidecar`` against the file. Offline.

    Never raises for what a file contains: absence, remote-only and broken stores are values. CAWG identities are
    neither judged here nor are their lists used, so that nothing of them can change this answer.
    """
    chosen = [a for a in anchors if a.kind != "cawg"]
    try:
        with (
            _context(chosen) as context,
            c2pa.Reader(_engine_type(media_type), stream, sidecar, context=context) as reader,
        ):
            summary = json.loads(reader.json())
            detail = json.loads(reader.detailed_json())
            return RawManifest(
                summary,
                detail,
                store=_store(reader, summary.get("active_manifest", "")),
                remote_url=reader.get_remote_url() or "",
                embedded=bool(reader.is_embedded()),
            )
    except c2pa.C2paError as error:
        return _failure(error)
    except (ValueError, RecursionError) as error:
        return RawManifest({}, {}, error="malformed", message=str(error)[:300])


def read_identities(
    stream: BinaryIO, media_type: str, anchors: Sequence[Anchors] = (), sidecar: bytes | None = None
) -> dict[str, Any]:
    """Return the engine's summary where it judges CAWG identities too, by their lists; {} where it gives none. Offline.

    Of it only what is said of identities may be believed: a list of identities vouches here for any signer.
    """
    chosen = [a for a in anchors if a.kind != "signer"]
    try:
        with (
            _context(chosen, identities=True) as context,
            c2pa.Reader(_engine_type(media_type), stream, sidecar, context=context) as reader,
        ):
            summary: dict[str, Any] = json.loads(reader.json())
            return summary
    except (c2pa.C2paError, ValueError, RecursionError):
        return {}


def _store(reader: Any, label: str) -> bytes:
    from io import BytesIO

    # The engine answers with the whole store for the URI of any box in it.
    target = BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}", target)
    except c2pa.C2paError:
        return b""
    return target.getvalue()


def _failure(error: Exception) -> RawManifest:
    message = str(error)
    kind = type(error).__name__
    if "ManifestNotFound" in kind:
        return RawManifest({}, {}, error="absent", message=message)
    if "remote manifest" in message.lower():
        url = message.rpartition("url ")[2].strip() or message
        return RawManifest({}, {}, error="remote", remote_url=url, message=message)
    if "NotSupported" in kind:
        return RawManifest({}, {}, error="absent", message="the engine does not read this format")
    return RawManifest({}, {}, error="malformed", message=message)


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A file that goes into the history: its open stream, media type and title.

    ``component`` is the id under which an action names it; empty for the parent.
    """

    stream: BinaryIO
    media_type: str
    title: str
    component: str = ""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """Everything the engine needs to sign one file.

    ``definition`` is the manifest JSON; ``edit`` uses the edit intent, which keeps the source's own history as
    parent; ``embed`` false leaves the file as it is and only returns the store.
    """

    definition: dict[str, Any]
    media_type: str
    ingredients: tuple[Ingredient, ...] = ()
    edit: bool = False
    embed: bool = True
    remote_url: str = ""


def sign(
    request: SignRequest,
    source: BinaryIO,
    target: BinaryIO,
    *,
    signer: Signer,
    tsa: str | None = None,
) -> bytes:
    """Sign ``source`` into ``target`` and return the manifest store. Call it in a worker: see isolated.py.

    Raises CredentialError for what the engine holds against key or certificate, NetworkError where the
    time-stamp authority fails, UnsupportedError and MalformedError for the file. ``target`` is then rubbish.
    """
    failure: list[Exception] = []
    watched = _Watched(target)

    def callback(message: bytes) -> bytes:
        try:
            return signer.sign(message)
        except Exception as error:  # the engine would swallow it and report a bad signature
            failure.append(error)
            raise

    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Signer.from_callback(callback, _algorithm(signer.alg), signer.chain.decode(), tsa) as native,
            c2pa.Builder(json.dumps(request.definition), context=context) as builder,
        ):
            if request.edit:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            for item in request.ingredients:
                _add_ingredient(builder, item)
            if not request.embed:
                builder.set_no_embed()
            if request.remote_url:
                builder.set_remote_url(request.remote_url)
            return bytes(builder.sign(native, _engine_type(request.media_type), source, watched))
    except c2pa.C2paError as error:
        if failure:
            raise CredentialError(f"the signer failed: {failure[0]}") from error
        if watched.failure:
            reason = watched.failure.strerror or str(watched.failure)
            raise AssayError(
                f"the signed file could not be written: {reason}", hint="make room and run it again"
            ) from error
        raise _sign_failure(str(error), type(error).__name__, tsa) from error


class _Watched:
    """A target stream that remembers why a write failed; the engine only says that one did."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        self.read, self.seek, self.tell = stream.read, stream.seek, stream.tell

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.failure = error
            raise


def _add_ingredient(builder: Any, item: Ingredient) -> None:
    fields = {"title": item.title, "relationship": "componentOf" if item.component else "parentOf"}
    if item.component:
        fields["instance_id"] = item.component
    builder.add_ingredient(json.dumps(fields), _engine_type(item.media_type), item.stream)


def _engine_type(media_type: str) -> str:
    return _ENGINE_TYPES.get(media_type, media_type)


def _algorithm(alg: str) -> Any:
    return c2pa.C2paSigningAlg[alg.upper()]


def _sign_failure(message: str, kind: str, tsa: str | None) -> Exception:
    text = message.lower()
    if tsa and ("internal error" in text or "timestamp" in text or "time stamp" in text or "http" in text):
        return NetworkError(
            f"the time-stamp authority {tsa} did not give a time-stamp",
            hint="nothing was written; check the address, or sign without --tsa",
        )
    if "certificate" in text or "signature" in kind.lower() or "signature" in text:
        return CredentialError(f"the C2PA engine refuses the key or certificate: {message[:300]}")
    if "NotSupported" in kind or "not supported" in text or "unsupported" in text:
        return UnsupportedError(f"the C2PA engine cannot sign this file: {message[:300]}")
    if "parsed" in text or "invalid" in text or "jumbf" in text:
        return MalformedError(f"the C2PA engine cannot read this file: {message[:300]}")
    return InputError(f"the C2PA engine could not sign this file: {message[:300]}")
