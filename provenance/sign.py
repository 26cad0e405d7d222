"""The sign line: samples first (mark), then the file (manifest), then the world (ledger).

Each step commits to the bytes of the one before, and nothing is visible before the last.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from assay.provenance.asset import Asset, Digest
from assay.provenance.claim import Claim
from assay.provenance.credentials import engine
from assay.provenance.credentials.definition import definition
from assay.provenance.credentials.isolated import SignedStore, sign_isolated
from assay.provenance.entry import Entry, Recovery
from assay.provenance.errors import (
    AssayError,
    CredentialError,
    InputError,
    LimitError,
    MalformedError,
    UnsupportedError,
)
from assay.provenance.files.atomic import atomic_output, refuse_same_file
from assay.provenance.files.disclosure import add_disclosure, aigc_label, with_disclosure
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.sniff import open_asset
from assay.provenance.files.write import encode_like
from assay.provenance.keys.signers import Signer, certificate_digest, check_certificate, is_development
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.manifest import SIDECAR_SUFFIX, ManifestState, SoftBinding
from assay.provenance.mark import Mark
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import Fingerprinter, Log, Watermark
from assay.provenance.receipt import RECEIPT_SUFFIX, Receipt
from assay.provenance.rewritten import with_mark
from assay.provenance.subject import Subject

VERSION = "0.1.0"
SIDECAR_ONLY = frozenset({"video/x-matroska", "video/webm", "application/ogg"})
"""Media types that the engine signs, but has no place in to put the credentials: they lie beside the file."""
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Signing:
    """Everything one signature needs besides the file and the claim.

    ``watermark`` gives the scheme for a kind of media, or None where there is none; it and ``log`` are None to leave
    the mark or the entry out; ``tsa`` is a time-stamp authority's
    URL; ``sidecar`` leaves the file as it is and writes the manifest beside it; ``remote_url`` names where the
    manifest is also kept; ``random`` gives n random bytes; ``now`` is timezone-aware.
    """

    signer: Signer
    signer_origin: str
    now: dt.datetime
    watermark: Callable[[Kind], Watermark | None] | None = None
    log: Log | None = None
    fingerprinter: Fingerprinter | None = None
    tsa: str | None = None
    sidecar: bool = False
    remote_url: str = ""
    overwrite: bool = False
    random: Callable[[int], bytes] = secrets.token_bytes
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature left: the output, its digest, mark, manifest label, receipt, and what was left out and why."""

    path: Path
    out: Path
    digest: Digest
    mark: Mark | None
    manifest_label: str
    receipt: Receipt | None
    time_stamped: bool
    development: bool
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the form that ``assay sign --json`` prints."""
        receipt = self.receipt
        return {
            "path": str(self.path),
            "out": str(self.out),
            "digest": self.digest.to_json(),
            "mark": {"scheme": self.mark.scheme, "id": self.mark.id} if self.mark else None,
            "manifest": self.manifest_label,
            "entry": {"index": receipt.index, "leaf_hash": receipt.leaf_hash.hex()} if receipt else None,
            "receipt": str(self.out) + RECEIPT_SUFFIX if receipt else None,
            "time_stamped": self.time_stamped,
            "development": self.development,
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class _Draft:
    """The file on its way through the line: its current bytes, what was put in, and remarks for the user."""

    stream: BinaryIO
    mark: Mark | None = None
    media: Media | None = None
    bindings: Sequence[SoftBinding] = ()
    sketch: bytes = b""
    notes: list[str] = field(default_factory=list)


def sign(source: Path, target: Path, claim: Claim, setup: Signing) -> Signed:
    """Sign one file; the input is never touched, and on any error no output is left.

    Raises UsageError (input and output the same), InputError (file), CredentialError (key, certificate),
    NetworkError (time-stamp authority), LedgerError (log).
    """
    refuse_same_file(source, target)
    check_certificate(setup.signer.chain, setup.signer_origin, setup.now)
    with Subject.open(source, setup.limits) as subject, ExitStack() as outputs:  # 1. content decides the type
        _refuse_unsignable(subject.asset)
        apart = setup.sidecar or subject.asset.media_type in SIDECAR_ONLY
        draft = _mark(
            subject, claim, setup, outputs, target.parent
        )  # 2, 3, 4. mark the samples, write like the original, disclose
        signed = outputs.enter_context(atomic_output(target, overwrite=setup.overwrite))
        # All names are taken before the ledger is touched: one that exists already must not cost an entry.
        beside = _beside(outputs, target, SIDECAR_SUFFIX, setup) if apart else None
        proof = _beside(outputs, target, RECEIPT_SUFFIX, setup) if setup.log else None
        # 5, 6, 7. claim, with what leads back to it; manifest over the final bytes; read back or stop
        _look(subject, draft, setup)
        done = _sign(subject, draft, claim, setup, signed, apart=apart)
        subject.settle()
        digest = Digest.of_file(signed)
        receipt = None
        if beside:
            beside.write(done.store)
        if setup.log and proof:  # 8, 9. append the entry; proof and signed checkpoint
            recovery = _recovery(draft, done.store, setup)
            entry = _entry(subject.asset, digest, signed, done, draft, claim, setup, recovery)
            receipt = setup.log.append(entry, recovery)
            proof.write(receipt.text.encode())
        signed.seek(0, 2)
        # 10. leaving the block renames everything into place
    return Signed(
        path=source,
        out=target,
        digest=digest,
        mark=draft.mark,
        manifest_label=done.manifest.label,
        receipt=receipt,
        time_stamped=done.manifest.time.value is not None,
        development=is_development(setup.signer.chain, setup.signer_origin),
        notes=tuple(draft.notes),
    )


def _refuse_unsignable(asset: Asset) -> None:
    if asset.media_type not in engine.SIGNABLE | SIDECAR_ONLY:
        raise UnsupportedError(
            f"{asset.media_type} cannot carry credentials",
            path=asset.path,
            hint="convert it, for example to JPEG, PNG, MP4, WAV or PDF",
        )


def _mark(subject: Subject, claim: Claim, setup: Signing, outputs: ExitStack, folder: Path) -> _Draft:
    """Steps 2 to 4: draw an identifier, hide it, write the file like the original, with its disclosures."""
    asset = subject.asset
    draft = _Draft(subject.stream)
    if asset.media_type in SIDECAR_ONLY and not setup.sidecar:
        draft.notes.append(f"{asset.media_type} cannot hold credentials: they are in the sidecar beside it")
    if setup.watermark is None:
        draft.notes.append("no watermark was asked for")
    elif setup.sidecar:
        draft.notes.append("no watermark: a sidecar leaves the file as it is")
    elif (scheme := _scheme(subject, setup.watermark)) is None:
        draft.notes.append(f"no watermark: there is none for {asset.media_type} here")
    elif asset.kind is Kind.IMAGE:
        _embed(subject, draft, claim, setup, scheme)
    else:
        _embed_in_time(subject, draft, setup, scheme, outputs, folder)
    written = draft.mark and asset.kind is Kind.IMAGE  # a marked picture was written with its labels
    if claim.is_ai and claim.disclose and not setup.sidecar and not written:
        _disclose(asset, draft, claim)
    return draft


def _scheme(subject: Subject, choose: Callable[[Kind], Watermark | None]) -> Watermark | None:
    if subject.asset.kind not in (Kind.VIDEO, Kind.AUDIO):
        return choose(subject.asset.kind)
    try:
        return choose(subject.media().kind)  # what is called a film may hold sound alone
    except InputError:
        return choose(subject.asset.kind)


def _embed_in_time(
    subject: Subject, draft: _Draft, setup: Signing, watermark: Watermark, outputs: ExitStack, folder: Path
) -> None:
    identifier = _identifier(setup, watermark)
    try:
        written = with_mark(subject, watermark, identifier, folder)
    except InputError as error:  # the engine may well sign what our decoder does not read
        draft.notes.append(f"no watermark: {error.message}")
        return
    draft.stream = outputs.enter_context(written.stream)
    draft.mark, draft.media = written.mark, written.media
    draft.notes += written.notes


def _identifier(setup: Signing, watermark: Watermark) -> str:
    return setup.random((watermark.id_bits + 7) // 8).hex()[: watermark.id_bits // 4]


def _embed(subject: Subject, draft: _Draft, claim: Claim, setup: Signing, watermark: Watermark) -> None:
    try:
        picture = subject.picture()
        identifier = _identifier(setup, watermark)
        pixels = watermark.embed(picture.media, identifier).frame()
        if claim.is_ai and claim.disclose:
            picture = with_disclosure(picture, claim.source_type, aigc_label(claim.agent, identifier))
        marked = BytesIO(encode_like(picture, pixels))
        media = decode_isolated(marked, setup.limits).media
    except (UnsupportedError, LimitError) as error:
        # A picture that cannot carry a mark is still worth signing; the user is told.
        draft.notes.append(f"no watermark: {error.message}")
        return
    reading = watermark.read(media)
    if reading.mark is None or reading.mark.id != identifier:
        draft.notes.append("no watermark: it does not survive this file's own compression")
        return
    marked.seek(0)
    draft.stream, draft.mark, draft.media = marked, reading.mark, media


def _look(subject: Subject, draft: _Draft, setup: Signing) -> None:
    """Take from the samples, as they will be published, what later leads back from an altered copy."""
    if setup.fingerprinter is None:
        return
    if draft.media is None and subject.asset.kind in (Kind.IMAGE, Kind.VIDEO, Kind.AUDIO):
        try:
            draft.media = subject.media()
        except InputError as error:
            draft.notes.append(f"no fingerprint: {error.message}")
    if draft.media is None:
        return
    try:
        draft.bindings = setup.fingerprinter.bindings(draft.media)
        draft.sketch = setup.fingerprinter.sketch(draft.media)
    except InputError as error:  # met in a pass over a film or a sound
        draft.media, draft.bindings = None, ()
        draft.notes.append(f"no fingerprint: {error.message}")


def _disclose(asset: Asset, draft: _Draft, claim: Claim) -> None:
    label = aigc_label(claim.agent, "")
    target = BytesIO()
    draft.stream.seek(0)
    if add_disclosure(draft.stream, target, asset.media_type, claim.source_type, label):
        draft.stream = target
    else:
        draft.notes.append(f"no disclosure metadata: it is not written into {asset.media_type} yet")


def _sign(
    subject: Subject, draft: _Draft, claim: Claim, setup: Signing, target: BinaryIO, *, apart: bool
) -> SignedStore:
    """Steps 5 to 7. History is kept: a signed input, or one of unknown origin, becomes the parent."""
    asset = subject.asset
    with ExitStack() as stack:
        components = [_ingredient(stack, p, f"component-{i}", setup) for i, p in enumerate(claim.ingredients)]
        original = stack.enter_context(subject.reopen())
        parent = (
            _ingredient(stack, claim.parent, "", setup)
            if claim.parent
            else engine.Ingredient(original, asset.media_type, _title(asset.path))
        )

        def build(already: bool) -> engine.SignRequest:
            # "created" needs a source type that only the caller can know; without one the honest action is "opened".
            has_parent = bool(claim.parent) or already or not claim.source_type or bool(claim.edit)
            return engine.SignRequest(
                definition=definition(
                    claim,
                    draft.mark,
                    draft.bindings,
                    title=_title(asset.path),
                    when=setup.now.isoformat(timespec="seconds"),
                    version=VERSION,
                    has_parent=has_parent,
                    components=len(components),
                ),
                media_type=asset.media_type,
                ingredients=(*((parent,) if has_parent else ()), *components),
                edit=has_parent,
                embed=not apart,
                remote_url=setup.remote_url,
            )

        try:
            done = sign_isolated(
                build,
                draft.stream,
                target,
                original=original,
                also=[parent.stream, *(c.stream for c in components)],
                signer=setup.signer,
                tsa=setup.tsa,
                now=setup.now,
                limits=setup.limits,
            )
        except AssayError as error:
            error.path = error.path or str(asset.path)
            raise
    if "claimSignature.mismatch" in done.manifest.codes:
        raise CredentialError(
            "what the signer answered is no signature of its certificate",
            path=setup.signer_origin,
            hint="check that key and certificate belong together; nothing was written",
        )
    if done.manifest.state not in (ManifestState.TRUSTED, ManifestState.UNTRUSTED):
        raise MalformedError(
            "cannot be signed so that it reads back as intact: "
            f"{' '.join(done.manifest.reasons) or done.manifest.state}",
            path=asset.path,
            hint="its structure is most likely broken; nothing was written",
        )
    return done


def _title(path: Path) -> str:
    # A file's name may be no UTF-8; a manifest's title must be.
    return os.fsencode(path.name).decode("utf-8", "replace")


def _ingredient(stack: ExitStack, path: Path, component: str, setup: Signing) -> engine.Ingredient:
    asset, stream = open_asset(path, setup.limits)
    stack.enter_context(stream)
    return engine.Ingredient(stream, asset.media_type, _title(path), component)


def _recovery(draft: _Draft, store: bytes, setup: Signing) -> Recovery:
    """What is kept beside the log to find the original again: manifest, fingerprint, soft bindings, sketch."""
    finger, media = setup.fingerprinter, draft.media
    return Recovery(
        salt=setup.random(SALT_BYTES),
        fingerprint=finger.fingerprint(media) if finger and media else None,
        sketch=draft.sketch,
        manifest=store,
        bindings=tuple((binding.alg, binding.value) for binding in draft.bindings),
    )


def _entry(
    asset: Asset,
    digest: Digest,
    signed: BinaryIO,
    done: SignedStore,
    draft: _Draft,
    claim: Claim,
    setup: Signing,
    recovery: Recovery,
) -> Entry:
    return Entry(
        digest=digest,
        media_type=asset.media_type,
        size=signed.seek(0, 2),
        time=setup.now.isoformat(timespec="seconds"),
        mark=draft.mark,
        manifest=Digest.of(done.store),
        manifest_label=done.manifest.label,
        signer=certificate_digest(setup.signer.chain, setup.signer_origin),
        recovery=recovery.digest,
        source_type=claim.source_type,
        generator=claim.agent,
    )


def _beside(outputs: ExitStack, target: Path, suffix: str, setup: Signing) -> BinaryIO:
    path = target.with_name(target.name + suffix)
    return outputs.enter_context(atomic_output(path, overwrite=setup.overwrite))
