"""A newer edition of a trust list: compared with the one in force, and put in its place at one stroke."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes

from assay.provenance.asset import Digest
from assay.provenance.errors import UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.keys.trust import CERTIFICATES, TrustList, TrustStore, issuers, load_members

LIST_TYPES = (
    "text/plain",
    "application/x-pem-file",
    "application/pem-certificate-chain",
    "application/x-x509-ca-cert",
    "application/octet-stream",
)
"""Types of content under which servers offer PEM files."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an update changes: the edition before and after; members ``{name, sha256}`` that came and that went."""

    before: TrustList
    after: TrustList
    added: tuple[Mapping[str, str], ...]
    removed: tuple[Mapping[str, str], ...]
    kept: int

    def to_json(self) -> dict[str, object]:
        """Return what ``assay trust update --json`` prints."""
        return {
            "type": "assay.trust-update/v1",
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "added": [dict(m) for m in self.added],
            "removed": [dict(m) for m in self.removed],
            "kept": self.kept,
        }


def fetch_list(url: str, fetcher: Fetcher) -> bytes:
    """Return the PEM file at an https URL; raises UsageError for another URL, NetworkError where it is not had."""
    return fetcher.get(url, LIST_TYPES)


def find_list(store: TrustStore, source: str, name: str | None = None, kind: str | None = None) -> TrustList:
    """Return the list that ``source`` is an edition of: the one so named, else the one that came from there.

    Raises UsageError where that is none or several.
    """
    lists = [e for e in store.lists() if kind in (None, e.kind)]
    found = [e for e in lists if (e.name == name if name else e.source == source)]
    if len(found) != 1:
        what = "no trust list is" if not found else "several trust lists are"
        raise UsageError(f"{what} meant by that", hint="name it: --name and --kind, as in 'assay trust list'")
    if found[0].kind not in CERTIFICATES:
        raise UsageError(
            "a list of ledgers is no list of certificates", hint="add it again: 'assay trust add'"
        )
    return found[0]


def update_list(
    store: TrustStore, before: TrustList, data: bytes, *, source: str, date: dt.date, force: bool = False
) -> Change:
    """Put a newer edition in a list's place and say what changed.

    Raises CredentialError where it holds no certificates. Unless ``force``, raises UsageError for an edition that
    shares no member with the one in force, is older, or is of a list that its keeper froze; nothing then changed.
    """
    old, new = (
        _members(store.content(before), before.source, before.kind),
        _members(data, source, before.kind),
    )
    reason = ""
    if not old.keys() & new.keys():
        reason = f"none of the {len(old)} members of {before.kind} list {before.name} would remain"
    elif date.isoformat() < before.date:
        reason = f"it is older than {before.kind} list {before.name}, of {before.date}"
    elif before.frozen and old.keys() != new.keys():
        reason = f"{before.kind} list {before.name} was frozen by its keeper"
    if reason and not force:
        raise UsageError(f"not updated: {reason}", path=source, hint="--force, if you are sure of its source")
    after = store.add(
        data,
        name=before.name,
        kind=before.kind,
        source=source,
        date=date,
        frozen=before.frozen,
        standing=before.standing,
    )
    return Change(
        before,
        after,
        tuple({"name": new[k], "sha256": k} for k in sorted(new.keys() - old.keys())),
        tuple({"name": old[k], "sha256": k} for k in sorted(old.keys() - new.keys())),
        len(old.keys() & new.keys()),
    )


def _members(data: bytes, source: str, kind: str) -> dict[str, str]:
    found = {
        c.fingerprint(hashes.SHA256()).hex(): c.subject.rfc4514_string() for c in load_members(data, source)
    }
    named = issuers(data) if kind == "cawg" else ()
    return found | {Digest.of(did.encode()).hex: did for did in named}
