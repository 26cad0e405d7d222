"""Entries for the ledger's tests."""

from __future__ import annotations

import hashlib

from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.mark import Mark

ORIGIN = "example.org/ledger"
SCHEME = "org.example.mark.1"


def entry(number: int, recovery: Recovery | None = None) -> Entry:
    """Return the entry of an imaginary file."""
    return Entry(
        digest=Digest.of(b"file %d" % number),
        media_type="image/png",
        size=number,
        time="2026-11-21T08:00:00Z",
        mark=Mark(SCHEME, f"{number:016x}"),
        manifest_label=f"urn:c2pa:{number}",
        recovery=recovery.digest if recovery else None,
    )


def recovery(number: int, fingerprint: bytes | None = None) -> Recovery:
    """Return what would be kept beside it."""
    value = fingerprint or hashlib.sha256(b"fingerprint %d" % number).digest()
    salt = hashlib.sha256(b"salt %d" % number).digest()[:16]
    return Recovery(salt, Fingerprint("pdq", value, 100), b"sketch %d" % number, b"manifest %d" % number)
