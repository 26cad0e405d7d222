"""Signing with the bare C2PA engine: what Assay refuses to make, made as an attacker would."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import c2pa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from assay.provenance.claim import IPTC
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import Limits

from .people import Person


@dataclass(frozen=True)
class Part:
    """A file that goes into the history."""

    data: bytes
    media_type: str
    title: str = "part"
    relationship: str = "parentOf"


def created(source_type: str) -> dict[str, Any]:
    return {"action": "c2pa.created", "digitalSourceType": IPTC + source_type}


def definition(*actions: dict[str, Any], title: str = "photo", **fields: Any) -> dict[str, Any]:
    """A manifest definition; ``assertions`` in ``fields`` follow the actions."""
    more = fields.pop("assertions", [])
    said = (
        [{"label": "c2pa.actions.v2", "data": {"actions": list(actions)}, "created": True}] if actions else []
    )
    return {
        "claim_generator_info": [{"name": "Forger", "version": "1"}],
        "title": title,
        "assertions": [*said, *more],
        **fields,
    }


def bare_sign(
    source: bytes,
    media_type: str,
    signer: Person,
    manifest: dict[str, Any],
    *,
    parts: Sequence[Part] = (),
    edit: bool = False,
    update: bool = False,
    tsa: str | None = None,
    remote_url: str = "",
    embed: bool = True,
    usages: Sequence[str] = (),
) -> bytes:
    """Sign without any of Assay's rules. ``usages`` are key usages that this engine is told to accept.

    The engine runs in a child: its threads must not be in a process that forks later.
    """

    def work(own: BinaryIO) -> Answer:
        target = BytesIO()
        with _builder(manifest, usages) as builder, _signer(signer, tsa) as native:
            if edit:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if update:  # credentials about credentials: they have no hash of the file, their parent has
                builder.set_intent(c2pa.C2paBuilderIntent.UPDATE)
            for part in parts:
                fields = json.dumps({"title": part.title, "relationship": part.relationship})
                builder.add_ingredient(fields, part.media_type, BytesIO(part.data))
            if not embed:
                builder.set_no_embed()
            if remote_url:
                builder.set_remote_url(remote_url)
            store = builder.sign(native, media_type, BytesIO(own.read()), target)
        return Answer({}, (target.getvalue(), bytes(store)))

    return bytes(run(work, BytesIO(source), _limits(tsa), writes=True).blobs[0])


def manifest_store(source: bytes, media_type: str, signer: Person, manifest: dict[str, Any]) -> bytes:
    """Sign and return only the manifest store, as a sidecar has it."""

    def work(own: BinaryIO) -> Answer:
        with _builder(manifest, ()) as builder, _signer(signer, None) as native:
            builder.set_no_embed()
            return Answer({}, (bytes(builder.sign(native, media_type, BytesIO(own.read()), BytesIO())),))

    return bytes(run(work, BytesIO(source), writes=True).blobs[0])


def sign_with_hole(jpeg: bytes, signer: Person, manifest: dict[str, Any], hole: tuple[int, int]) -> bytes:
    """Sign a JPEG whose hash leaves out ``hole`` (start, length in ``jpeg``) as well as the manifest."""

    def work(own: BinaryIO) -> Answer:
        data, size = own.read(), 12_000
        # How long the manifest is depends a little on the range it excludes, that is on its own length.
        for _ in range(4):
            signed = _signed_around(data, size, signer, manifest, hole)
            if len(signed) == size:
                return Answer({}, (data[:2] + signed + data[2:],))
            size = len(signed)
        raise AssertionError("the manifest's length does not settle")

    return bytes(run(work, BytesIO(jpeg), writes=True).blobs[0])


def _signed_around(
    data: bytes, size: int, signer: Person, manifest: dict[str, Any], hole: tuple[int, int]
) -> bytes:
    """Return the APP11 segments of a manifest that is to stand after SOI and take ``size`` bytes there."""
    excluded = [{"start": 2, "length": size}, {"start": hole[0] + size, "length": hole[1]}]
    binding = {"exclusions": excluded, "name": "jumbf manifest", "alg": "sha256", "hash": "", "pad": []}
    with _builder(manifest, ()) as builder, _signer(signer, None) as native:
        _native("c2pa_builder_data_hashed_placeholder", builder, 12_000, b"image/jpeg")
        with c2pa.Stream(BytesIO(data[:2] + bytes(size) + data[2:])) as stream:
            return _native(
                "c2pa_builder_sign_data_hashed_embeddable",
                builder,
                ctypes.cast(native._handle, ctypes.c_void_p),
                json.dumps(binding).encode(),
                b"image/jpeg",
                stream._stream,
            )


def _native(function: str, builder: Any, *arguments: Any) -> bytes:
    """Call a function of the library that its Python layer does not offer; the last argument is the output."""
    library = c2pa.c2pa._lib
    call = getattr(library, function)
    call.restype = ctypes.c_int64
    output = ctypes.POINTER(ctypes.c_ubyte)()
    size = call(builder._handle, *arguments, ctypes.byref(output))
    if size <= 0:
        library.c2pa_error.restype = ctypes.c_char_p
        raise RuntimeError(f"{function}: {library.c2pa_error()!r}")
    return ctypes.string_at(output, size)


def _builder(manifest: dict[str, Any], usages: Sequence[str]) -> Any:
    settings: dict[str, Any] = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"verify_after_sign": False, "verify_trust": False},
    }
    accepted = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1", *usages)
    settings["trust"] = {"trust_config": "\n".join(accepted)}
    return c2pa.Builder(json.dumps(manifest), context=c2pa.Context.from_dict(settings))


def _limits(tsa: str | None) -> Limits:
    """The forger's engine asks a time-stamp authority by itself, which no sealed child can."""
    return Limits(sandbox=()) if tsa else Limits()


def _signer(signer: Person, tsa: str | None) -> Any:
    def sign(message: bytes) -> bytes:
        return signer.key.sign(message, ec.ECDSA(hashes.SHA256()))

    return c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, signer.chain.decode(), tsa)


def sign_with_identity(
    source: bytes,
    media_type: str,
    signer: Person,
    identity: Person,
    manifest: dict[str, Any],
    *,
    references: Sequence[str] = ("c2pa.actions.v2",),
    tsa: str | None = None,
) -> bytes:
    """Sign, and let ``identity`` stand by the content and ``references`` (CAWG X.509): only settings can say so."""

    def local(person: Person, **more: Any) -> dict[str, Any]:
        keys = {"sign_cert": person.chain.decode(), "private_key": person.private.decode()}
        return {"local": {"alg": "es256", **keys, **more}}

    def work(own: BinaryIO) -> Answer:
        target = BytesIO()
        more = {"tsa_url": tsa} if tsa else {}
        settings = {
            "builder": {"thumbnail": {"enabled": False}},
            "verify": {"verify_after_sign": False, "verify_trust": False},
            "signer": local(signer),
            "cawg_x509_signer": local(
                identity, referenced_assertions=[*references], roles=["cawg.creator"], **more
            ),
        }
        with c2pa.Builder(json.dumps(manifest), context=c2pa.Context.from_dict(settings)) as builder:
            builder._has_context_signer = True  # the Python layer does not see a signer of the settings
            builder.sign(media_type, BytesIO(own.read()), target)
        return Answer({}, (target.getvalue(),))

    return bytes(run(work, BytesIO(source), _limits(tsa), writes=True).blobs[0])
