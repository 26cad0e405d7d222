"""What the engine says of CAWG identity assertions, read apart from the rest of the manifest.

Measured of c2pa-rs 0.91: its answer about an identity lowers its answer about the file; a list of identities vouches
for signers of content; an assertion that is not well formed takes the whole manifest out of its answer; codes name the
first identity assertion whichever of several they mean. Hence a second reading, of which nothing else is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from assay.provenance.credentials.engine import Anchors
from assay.provenance.identity import AGGREGATION, X509, Identity, IdentityStatus, Verified, reason_of
from assay.provenance.keys.certificates import eku_problem, find_certificates, key_problem, pem_of

IDENTITIES = 16
"""Most identity assertions of one manifest that are read."""
VERIFIED = 32
"""Most verified identities of one credential that are read."""
REFERENCES = 64
"""Most assertions that one identity refers to that are read."""
TEXT_CHARS = 300
"""Longest string of an identity that is kept."""

LABEL = "cawg.identity"
_LIST = re.compile(r"\[(assay:cawg:[a-z0-9._-]+)\]")
_UNTRUSTED = frozenset({"cawg.x509.credential.untrusted", "cawg.ica.untrusted_issuer"})
# An expired certificate is no broken signature; the engine takes no time-stamp of an identity (measured).
_UNCHECKED = frozenset(
    {
        "cawg.ica.did_unavailable",
        "cawg.identity.sig_type.unknown",
        "cawg.x509.algorithm.unsupported",
        "cawg.x509.signature.outside_validity",
    }
)
_TRUSTED = {X509: "cawg.x509.credential.trusted", AGGREGATION: "cawg.ica.credential_valid"}
_HOLDS = {X509: "cawg.x509.signature.validated", AGGREGATION: "cawg.ica."}
_SEVERAL = "several identities are stated, and which of them fails cannot be told"


def assertions(summary: Mapping[str, Any]) -> dict[str, object]:
    """Return the identity assertions of the active manifest of an engine's summary by label, at most IDENTITIES."""
    manifest = (summary.get("manifests") or {}).get(summary.get("active_manifest")) or {}
    found: dict[str, object] = {}
    for item in manifest.get("assertions") or []:
        label, number = str(item.get("label", "")), item.get("instance")
        if label == LABEL and len(found) < IDENTITIES:
            found[f"{label}__{number}" if number else label] = item.get("data")
    return found


def gather(
    first: Mapping[str, Any], second: Mapping[str, Any], store: bytes, anchors: Sequence[Anchors]
) -> dict[str, Any]:
    """Keep of two readings what ``judge_identities`` needs, as JSON values.

    ``first`` is the summary of a reading that leaves identities as they are, ``second`` of one that judges them.
    """
    results = (second.get("validation_results") or {}).get("activeManifest") or {}
    place = f"/c2pa/{first.get('active_manifest')}/c2pa.assertions/{LABEL}"
    codes = [
        [part, str(s.get("code")), str(s.get("explanation"))]
        for part in ("success", "informational", "failure")
        for s in results.get(part) or []
        if str(s.get("code")).startswith("cawg.") and place in str(s.get("url"))
    ]
    return {
        "stated": assertions(first),
        "read": assertions(second),
        "answered": bool(results),
        "codes": codes,
        "leaf_lists": _leaf_lists(store, assertions(second).values(), anchors),
        "issuers": {i: a.uri for a in reversed(anchors) if a.kind == "cawg" for i in a.issuers},
    }


def judge_identities(
    gathered: Mapping[str, Any], store: bytes, lists: Mapping[str, str]
) -> tuple[Identity, ...]:
    """Return the identities that ``gather`` kept; ``lists`` maps list URIs to display names."""
    stated: Mapping[str, object] = gathered.get("stated") or {}
    read: Mapping[str, object] = gathered.get("read") or {}
    kinds = [_kind(data) for data in stated.values()]
    judge = _Judge(gathered, store, lists, kinds)
    # Only what the engine wrote after it read an assertion says whose it is: the rest is whatever its maker liked.
    written = {
        label: _map(read.get(label)) if read.get(label) != data else {} for label, data in stated.items()
    }
    return tuple(
        judge.identity(label, kind, _map(data), written[label])
        for (label, data), kind in zip(stated.items(), kinds, strict=True)
    )


class _Judge:
    def __init__(
        self, gathered: Mapping[str, Any], store: bytes, lists: Mapping[str, str], kinds: Sequence[str]
    ) -> None:
        self.gathered, self.store, self.lists, self.kinds = gathered, store, lists, kinds

    def identity(self, label: str, kind: str, stated: Mapping[str, Any], read: Mapping[str, Any]) -> Identity:
        payload = (
            _map(read.get("c2paAsset"))
            or _map(read.get("signer_payload"))
            or _map(stated.get("signer_payload"))
        )
        info = _map(read.get("signature_info")) if kind == X509 else {}
        issued = read if kind == AGGREGATION and "verifiedIdentities" in read else {}
        serial = _text(info.get("cert_serial_number"))
        issuer = _text(_map(issued.get("issuer")).get("id") or issued.get("issuer"))
        status, codes, reason = self._status(kind)
        name = ""
        if status is IdentityStatus.LISTED:
            name = self.lists.get(self._list(kind, serial, issuer), "")
            problem = self._certificate_problem(serial) if kind == X509 else ""
            if not name or problem:
                status = IdentityStatus.UNLISTED if name else IdentityStatus.UNCHECKED
                reason, name = problem or "what vouches for it cannot be told", ""
        return Identity(
            label=label,
            kind=kind,
            status=status,
            organization=_text(info.get("issuer")),
            common_name=_text(info.get("common_name")),
            serial=serial,
            issuer=issuer,
            verified=tuple(_verified(v) for v in _list(issued.get("verifiedIdentities"))[:VERIFIED]),
            valid_from=_text(issued.get("validFrom")),
            valid_until=_text(issued.get("validUntil")),
            roles=tuple(_text(r) for r in _list(payload.get("role"))[:REFERENCES]),
            references=tuple(_references(payload)),
            list=name,
            codes=codes,
            reason=reason,
        )

    def _status(self, kind: str) -> tuple[IdentityStatus, tuple[str, ...], str]:
        """Return what the codes of all identities of a kind say of each of them."""
        prefixes = (
            "cawg.identity.",
            {X509: "cawg.x509.", AGGREGATION: "cawg.ica."}.get(kind, "cawg.identity."),
        )
        codes = [(p, c) for p, c, _ in self.gathered.get("codes") or [] if c.startswith(prefixes)]
        alike = self.kinds.count(kind)
        failed = tuple(sorted({c for p, c in codes if p == "failure"} - _UNTRUSTED))
        untrusted = any(c in _UNTRUSTED for _, c in codes)
        trusted = sum(c == _TRUSTED.get(kind) for p, c in codes if p == "success")
        holds = any(c.startswith(_HOLDS.get(kind, "-")) for p, c in codes if p != "failure")
        listed = tuple(sorted({c for _, c in codes if c in _UNTRUSTED}))
        if not self.gathered.get("answered"):
            return IdentityStatus.UNCHECKED, (), "it could not be read"
        if failed and len(self.kinds) > 1:
            return IdentityStatus.UNCHECKED, failed, _SEVERAL
        if set(failed) - _UNCHECKED:
            broken = tuple(sorted(failed, key=lambda c: c in _UNCHECKED))
            return IdentityStatus.BROKEN, broken, reason_of(broken)
        if failed:
            return IdentityStatus.UNCHECKED, failed, reason_of(failed)
        if not holds:
            return (
                IdentityStatus.BROKEN if len(self.kinds) == 1 else IdentityStatus.UNCHECKED,
                (),
                reason_of(()),
            )
        if trusted >= alike and not untrusted:
            return IdentityStatus.LISTED, (), ""
        if trusted:
            return IdentityStatus.UNCHECKED, listed, _SEVERAL
        return IdentityStatus.UNLISTED, listed, ""

    def _list(self, kind: str, serial: str, issuer: str) -> str:
        """Return the URI of the list that vouches; the engine names only those that hold an authority."""
        if kind == AGGREGATION:
            return str(self.gathered["issuers"].get(issuer.partition("#")[0], ""))
        named = {m[1] for _, c, e in self.gathered["codes"] if c == _TRUSTED[X509] and (m := _LIST.search(e))}
        own = str(self.gathered["leaf_lists"].get(serial, ""))
        return own or (named.pop() if len(named) == 1 else "")

    def _certificate_problem(self, serial: str) -> str:
        """Return in words why a certificate may not state an identity; the engine takes those of time-stampers too."""
        found = list(find_certificates(self.store, serial)) if serial else []
        if not found:
            return "its certificate could not be examined"
        return next((p for c in found if (p := eku_problem(c) or key_problem(c))), "")


def _leaf_lists(store: bytes, read: Iterable[object], anchors: Sequence[Anchors]) -> dict[str, str]:
    """Return, by serial number, the list of identities that holds the very certificate of an identity."""
    found: dict[str, str] = {}
    if not any(a.kind == "cawg" and a.end_entities for a in anchors):
        return found
    for data in read:
        serial = _text(_map(_map(data).get("signature_info")).get("cert_serial_number"))
        for certificate in find_certificates(store, serial) if serial else ():
            pem = pem_of([certificate]).decode()
            uri = next((a.uri for a in anchors if a.kind == "cawg" and pem in a.end_entities), "")
            if uri:
                found.setdefault(serial, uri)
    return found


def _kind(data: object) -> str:
    return _text(_map(_map(data).get("signer_payload")).get("sig_type"))


def _references(payload: Mapping[str, Any]) -> Iterator[str]:
    for item in _list(payload.get("referenced_assertions"))[:REFERENCES]:
        yield _text(_map(item).get("url")).rpartition("/")[2]


def _verified(item: object) -> Verified:
    data = _map(item)
    provider = _map(data.get("provider"))
    return Verified(
        kind=_text(data.get("type")),
        name=_text(data.get("name")),
        username=_text(data.get("username")),
        uri=_text(data.get("uri")),
        provider=_text(provider.get("name") or provider.get("id")),
        verified_at=_text(data.get("verifiedAt")),
    )


def _text(value: object) -> str:
    return value[:TEXT_CHARS] if isinstance(value, str) else ""


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
