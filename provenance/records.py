"""The ledger's records as people ask for them: log a file as it is, find entries, check a receipt."""

from __future__ import annotations

from pathlib import Path

from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Recovery
from assay.provenance.errors import InputError, LedgerError
from assay.provenance.files.sniff import open_asset
from assay.provenance.mark import Mark
from assay.provenance.media import Kind
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt
from assay.provenance.sign import SALT_BYTES
from assay.provenance.subject import Subject
from assay.provenance.workspace import Workspace

RECEIPT_BYTES = 1 << 20
"""Largest receipt file read."""


def append_file(workspace: Workspace, path: Path) -> Receipt:
    """Log a file as it is, unsigned: its digest and, for a picture, fingerprint and sketch. Raises InputError."""
    with Subject.open(path, workspace.limits) as subject:
        recovery = None
        if subject.asset.kind is Kind.IMAGE:
            media = subject.picture().media
            recovery = Recovery(
                salt=workspace.random(SALT_BYTES),
                fingerprint=workspace.fingerprinter.fingerprint(media),
                sketch=workspace.fingerprinter.sketch(media),
                manifest=b"",
            )
        entry = Entry(
            digest=subject.asset.digest,
            media_type=subject.asset.media_type,
            size=subject.asset.size,
            time=workspace.now().isoformat(timespec="seconds"),
            recovery=recovery.digest if recovery else None,
        )
    return workspace.log.append(entry, recovery)


def find(workspace: Workspace, what: str) -> list[tuple[str, Found]]:
    """Find entries by ``sha256:HEX``, ``SCHEME:HEX`` of a mark, a manifest URN, or a file (digest, fingerprint).

    Returns how each was found, and the entry; raises InputError if ``what`` looks like a file and is none.
    """
    log = workspace.log
    if what.startswith("sha256:"):
        return [("digest", f) for f in log.find_digest(Digest.parse(what))]
    if what.startswith(("urn:", "contentauth:")):
        return [("manifest", f) for f in log.find_manifest(what)]
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


def _find_file(workspace: Workspace, path: Path) -> list[tuple[str, Found]]:
    with Subject.open(path, workspace.limits) as subject:
        exact = [("digest", f) for f in workspace.log.find_digest(subject.asset.digest)]
        if exact or subject.asset.kind is not Kind.IMAGE:
            return exact
        fingerprints = workspace.fingerprinter.fingerprints(subject.picture().media)
    return [("fingerprint", f) for p in fingerprints for f in workspace.log.find_fingerprint(p)]


def check_receipt(workspace: Workspace, path: Path, file: Path | None) -> tuple[str, Receipt | None]:
    """Check a receipt file against the workspace's ledger key, and against a file if one is given.

    Returns what is wrong ("" if nothing) and the receipt as far as it could be read.
    """
    try:
        with path.open("rb") as source:
            text = source.read(RECEIPT_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a receipt", path=path) from error
    try:
        receipt = workspace.log.parse_receipt(text)
    except LedgerError as error:
        return error.message, None
    problem = workspace.log.verify_receipt(receipt)
    if not problem and file is not None:
        asset, stream = open_asset(file, workspace.limits)
        stream.close()
        if asset.digest != receipt.entry.digest:
            problem = f"the receipt holds, but for another file ({receipt.entry.digest}, not {asset.digest})"
    return problem, receipt
