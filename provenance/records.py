"""The ledger's records as people ask for them: log a file as it is, find entries, check a receipt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.provenance.asset import Digest
from assay.provenance.checks.manifest import ManifestCheck
from assay.provenance.entry import Entry, Recovery
from assay.provenance.errors import InputError, LedgerError, LimitError, UnsupportedError
from assay.provenance.event import EventSubject
from assay.provenance.files.sniff import open_asset
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.mark import OWN_SCHEMES, Mark
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt
from assay.provenance.report import manifest_of
from assay.provenance.sign import SALT_BYTES
from assay.provenance.subject import Subject
from assay.provenance.workspace import Workspace

ISCC = "ISCC:"
"""How an International Standard Content Code begins."""
RECEIPT_BYTES = 1 << 20
"""Largest receipt file read."""


def append_file(workspace: Workspace, path: Path) -> Receipt:
    """Log a file as it is: digest, for a picture fingerprint and sketch, and the credentials it carries.

    Nothing is signed into the file. What trusted credentials say (source type, generator, our mark) enters the
    leaf, so that a stripped copy leads back to them; of credentials that are not established only their
    existence does, and of broken ones nothing. Raises InputError.
    """
    with Subject.open(path, workspace.limits) as subject:
        asset, manifest = subject.asset, _credentials(workspace, subject)
        kept = manifest.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED)
        said = manifest.state is ManifestState.TRUSTED
        media = _media(subject)
        recovery = Recovery(
            salt=workspace.random(SALT_BYTES),
            fingerprint=workspace.fingerprinter.fingerprint(media) if media else None,
            sketch=workspace.fingerprinter.sketch(media) if media else b"",
            manifest=manifest.store if kept else b"",
            bindings=_bindings(workspace, media),
        )
        entry = Entry(
            digest=asset.digest,
            media_type=asset.media_type,
            size=asset.size,
            time=workspace.now().isoformat(timespec="seconds"),
            mark=_mark(manifest) if said else None,
            manifest=Digest.of(manifest.store) if kept else None,
            manifest_label=manifest.label if kept else "",
            signer=manifest.signer.certificate if kept else None,
            recovery=recovery.digest,
            source_type=manifest.source_type if said else "",
            generator=_agent(manifest) if said else "",
        )
    return workspace.log.append(entry, recovery)


def event_subject(workspace: Workspace, path: Path) -> EventSubject:
    """Return what an event names a file by: its digest and, where its credentials are whole, their manifest's URN.

    Raises InputError.
    """
    with Subject.open(path, workspace.limits) as subject:
        manifest = _credentials(workspace, subject)
        kept = manifest.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED)
        return EventSubject(subject.asset.digest, manifest.label if kept else "")


def _credentials(workspace: Workspace, subject: Subject) -> Manifest:
    anchors, lists = workspace.anchors()
    now = workspace.now()
    revocations = workspace.revocations(anchors, now)
    return manifest_of((ManifestCheck(anchors, lists, now, revocations)(subject, ()),))


def _media(subject: Subject) -> Media | None:
    if subject.asset.kind not in (Kind.IMAGE, Kind.VIDEO, Kind.AUDIO):
        return None
    try:
        return subject.media()
    except UnsupportedError:  # what is not decoded here is logged by its bytes
        return None


def _bindings(workspace: Workspace, media: Media | None) -> tuple[tuple[str, str], ...]:
    found = workspace.fingerprinter.bindings(media) if media else ()
    return tuple((binding.alg, binding.value) for binding in found)


def _mark(manifest: Manifest) -> Mark | None:
    own = (b for b in manifest.soft_bindings if b.alg.startswith(OWN_SCHEMES))
    return next((Mark(b.alg, b.value) for b in own), None)


def _agent(manifest: Manifest) -> str:
    return next((a.agent for a in manifest.actions if a.source_type and a.agent), "")


def find(workspace: Workspace, what: str) -> list[tuple[str, Found]]:
    """Find entries by ``sha256:HEX``, ``SCHEME:HEX`` of a mark, a manifest URN, an ISCC, or a file.

    By an ISCC, entries that keep this very code come before those with a code near it; by a file, its digest
    counts, then its fingerprints. Returns how each was found, and the entry; raises InputError if ``what``
    looks like a file and is none, MalformedError for an ISCC that is none of a picture.
    """
    log = workspace.log
    if not _is_text(what):
        return _find_file(workspace, Path(what))
    if what.startswith("sha256:"):
        return [("digest", f) for f in log.find_digest(Digest.parse(what))]
    if what.startswith(("urn:", "contentauth:")):
        return [("manifest", f) for f in log.find_manifest(what)]
    if what[: len(ISCC)].upper() == ISCC:
        return _find_code(workspace, what)
    scheme, colon, value = what.rpartition(":")
    if (
        colon
        and "." in scheme
        and value
        and all(c in "0123456789abcdef" for c in value)
        and not Path(what).exists()
    ):
        return [("watermark", f) for f in log.find_mark(Mark(scheme, value))]
    return _find_file(workspace, Path(what))


def _is_text(what: str) -> bool:
    """Say whether an argument is Unicode: a file's name may be other bytes, a digest or a name may not."""
    try:
        what.encode()
    except UnicodeEncodeError:
        return False
    return True


def _find_code(workspace: Workspace, text: str) -> list[tuple[str, Found]]:
    binding, value = workspace.fingerprinter.coded(text)
    exact = workspace.log.find_binding(binding.alg, binding.value)
    known = {found.receipt.index for found in exact}
    near = (f for f in workspace.log.find_fingerprint(value) if f.receipt.index not in known)
    return [*(("binding", f) for f in exact), *(("fingerprint", f) for f in near)]


def _find_file(workspace: Workspace, path: Path) -> list[tuple[str, Found]]:
    with Subject.open(path, workspace.limits) as subject:
        exact = [("digest", f) for f in workspace.log.find_digest(subject.asset.digest)]
        if exact or subject.asset.kind not in (Kind.IMAGE, Kind.VIDEO, Kind.AUDIO):
            return exact
        if subject.asset.kind is not Kind.IMAGE:
            words = workspace.fingerprinter.words(workspace.fingerprinter.trail(subject.media()))
            return [("fingerprint", f) for f in workspace.log.find_words(words)]
        fingerprints = workspace.fingerprinter.fingerprints(subject.picture().media)
    near: dict[int, Found] = {}  # an entry that is near by both kinds of fingerprint is found once
    for fingerprint in fingerprints:
        for found in workspace.log.find_fingerprint(fingerprint):
            near.setdefault(found.receipt.index, found)
    return [("fingerprint", found) for found in near.values()]


def check_receipt(
    path: Path,
    file: Path | None,
    *,
    parse: Callable[[str], Receipt],
    verify: Callable[[Receipt], str],
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[str, Receipt | None]:
    """Check a receipt file, and against a file if one is given.

    ``parse`` reads a receipt's text, ``verify`` says in words what is wrong with one. Returns what is wrong (""
    if nothing) and the receipt as far as it could be read. Raises InputError.
    """
    try:
        with path.open("rb") as source:
            data = source.read(RECEIPT_BYTES + 1)
        if len(data) > RECEIPT_BYTES:
            raise LimitError(f"is larger than a receipt, {RECEIPT_BYTES} bytes", path=path)
        text = data.decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a receipt", path=path) from error
    try:
        receipt = parse(text)
    except LedgerError as error:
        return error.message, None
    problem = verify(receipt)
    if not problem and file is not None:
        asset, stream = open_asset(file, limits)
        stream.close()
        leaf = receipt.leaf
        if isinstance(leaf, Entry) and asset.digest != leaf.digest:
            problem = f"the receipt holds, but for another file ({leaf.digest}, not {asset.digest})"
        elif not isinstance(leaf, Entry) and asset.digest not in leaf.subjects:
            problem = f"the receipt holds, but for an event that is not about this file ({asset.digest})"
    return problem, receipt
