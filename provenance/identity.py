"""Who stands by parts of a manifest beside its signer: CAWG identity assertions (1.x), as a noun and in words.

An identity is stated apart from the C2PA answer: whatever its status, verdict, integrity and the signer's trust stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from assay.provenance.text import safe_text

PROVES = (
    "An identity says that whoever holds it stands by the named parts of these credentials. It does not say who "
    "signed the file, and it changes nothing of the verdict."
)
"""What such an identity is worth, wherever one is shown."""
NAME_CHARS = 120
"""Longest name inside a sentence."""
NAMED = 3
"""Most verified identities, or parts of the credentials, that one sentence names."""

X509, AGGREGATION = "cawg.x509.cose", "cawg.identity_claims_aggregation"
KINDS: Mapping[str, str] = {
    X509: "a certificate",
    AGGREGATION: "a credential in which an issuer says whom it verified",
}
"""The standard's types of signature, in words."""

WORDS: Mapping[str, str] = {
    "cawg.identity.assertion.duplicate": "it names one assertion twice",
    "cawg.identity.assertion.mismatch": "an assertion that it names is not there, or is another",
    "cawg.identity.cbor.invalid": "it is not well formed",
    "cawg.identity.hard_binding_missing": "it does not name the content, so it could be of another file",
    "cawg.identity.pad.invalid": "something stands where only filling may be",
    "cawg.identity.sig_type.unknown": "its type of signature is not known here",
    "cawg.ica.did_unavailable": "its issuer’s key is kept on the network, which is not asked",
    "cawg.ica.invalid_did_document": "what its issuer publishes holds no key for it",
    "cawg.ica.invalid_issuer": "its issuer is not named in a way that can be checked",
    "cawg.ica.signature_mismatch": "its signature does not fit",
    "cawg.ica.signer_payload.mismatch": "it was issued for other content",
    "cawg.ica.time_stamp.invalid": "its time-stamp is not of this credential",
    "cawg.ica.valid_from.invalid": "it was not valid yet",
    "cawg.ica.valid_from.missing": "it does not say from when on it is valid",
    "cawg.ica.valid_until.invalid": "it had expired",
    "cawg.x509.algorithm.unsupported": "its algorithm is not known here",
    "cawg.x509.credential.invalid": "its certificate is not one for such signatures",
    "cawg.x509.signature.mismatch": "its signature does not fit",
    "cawg.x509.signature.outside_validity": "no trusted time proves that its certificate was valid when it signed",
}
"""Status codes of the standard, and of the engine, in words; others of its form are called malformed."""


class IdentityStatus(StrEnum):
    """The four states of an identity, apart from those of a manifest.

    ``listed``: it holds, and a list of identities names it. ``unlisted``: it holds, and none does. ``broken``: it does
    not hold. ``unchecked``: whether it holds cannot be told here.
    """

    LISTED = "listed"
    UNLISTED = "unlisted"
    BROKEN = "broken"
    UNCHECKED = "unchecked"


STATUSES: Mapping[IdentityStatus, str] = {
    IdentityStatus.LISTED: "holds, and is on your list",
    IdentityStatus.UNLISTED: "holds, and is on none of your lists",
    IdentityStatus.BROKEN: "does not hold",
    IdentityStatus.UNCHECKED: "could not be checked",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """One thing that an issuer says it verified of somebody: its kind (``cawg.social_media`` …), who, where and when.

    All strings are the issuer's; ``verified_at`` is RFC 3339 as it stands there.
    """

    kind: str = ""
    name: str = ""
    username: str = ""
    uri: str = ""
    provider: str = ""
    verified_at: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """One CAWG identity assertion of a manifest.

    ``kind`` is the standard's type of signature. ``organization``, ``common_name`` and ``serial`` are of the
    certificate, ``issuer`` (a DID), ``verified``, ``valid_from`` and ``valid_until`` of the issued credential: claims
    unless ``status`` is listed. ``list`` names the list that vouches for it; ``references`` are the labels of the
    assertions that it stands by; ``codes`` the failures; ``reason`` in words why it is not listed.
    """

    label: str
    kind: str
    status: IdentityStatus
    organization: str = ""
    common_name: str = ""
    serial: str = ""
    issuer: str = ""
    verified: tuple[Verified, ...] = ()
    valid_from: str = ""
    valid_until: str = ""
    roles: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    list: str = ""
    codes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that it gives, as they stand there."""
        verified = (name for v in self.verified for name in (v.name, v.username, v.provider))
        return tuple(n for n in (self.organization, self.common_name, *verified) if n)

    @property
    def who(self) -> str:
        """Return the names that it gives, safe to show; "" where it gives none."""
        if self.kind == AGGREGATION:
            names = [_verified(v) for v in self.verified if v.name or v.username]
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            return ", ".join(names[:NAMED]) + more
        name = self.common_name or self.organization
        of = f" of “{safe_text(self.organization, NAME_CHARS)}”"
        return f"“{safe_text(name, NAME_CHARS)}”{of if name != self.organization else ''}" if name else ""

    @property
    def says(self) -> str:
        """Return what it is worth as one plain sentence, safe to show."""
        match self.status:
            case IdentityStatus.BROKEN:
                return f"{self._called} does not hold: {self.reason}."
            case IdentityStatus.UNCHECKED:
                return f"{self._called} could not be checked: {self.reason}."
            case status:
                listed = status is IdentityStatus.LISTED
                return self._issued(listed) if self.kind == AGGREGATION else self._certified(listed)

    def without_ground(self) -> Identity:
        """Return the same where the credentials around it do not hold for the file: it can stand by nothing there."""
        if self.status not in (IdentityStatus.LISTED, IdentityStatus.UNLISTED):
            return self
        reason = "the credentials that it stands by do not hold for this file"
        return replace(self, status=IdentityStatus.UNCHECKED, list="", reason=reason)

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        plain = {**asdict(self), "status": str(self.status), "says": self.says}
        plain |= {"roles": [*self.roles], "references": [*self.references], "codes": [*self.codes]}
        return {**plain, "verified": [asdict(v) for v in self.verified]}

    @property
    def _called(self) -> str:
        return (
            f"An identity that calls itself {self.who}" if self.who else "An identity without a readable name"
        )

    def _certified(self, listed: bool) -> str:
        parts = _parts(self.references)
        if listed:
            return f"{self.who or 'Somebody'}, whose certificate {_named_by(self.list)}, stands by {parts}."
        called = f" that calls itself {self.who}" if self.who else ""
        said = self.reason or "its certificate is on no list of identities that you chose"
        return f"Somebody{called} stands by {parts}. The signature holds, but {said}."

    def _issued(self, listed: bool) -> str:
        issuer = f"“{safe_text(self.issuer, NAME_CHARS)}”"
        who, parts = self.who or "somebody whom it does not name", _parts(self.references)
        if listed:
            named = _named_by(self.list)
            return f"The issuer {issuer}, which {named}, says that it verified {who}, who stands by {parts}."
        return (
            f"The issuer {issuer} says that it verified {who}, who stands by {parts}. The signature holds, but "
            "the issuer is on no list of identities that you chose, and anybody can be one."
        )


def identity_facts(identity: Identity) -> list[tuple[str, str]]:
    """Return name and value of what an identity states, without what it leaves out; values are not yet safe to show."""
    verified = (
        ", ".join(p for p in (v.kind, v.name, v.username, v.provider, v.uri, v.verified_at) if p)
        for v in identity.verified
    )
    rows = [
        ("Stated by", KINDS.get(identity.kind, identity.kind or "unknown")),
        ("Organisation", identity.organization),
        ("Common name", identity.common_name),
        ("Serial number", identity.serial),
        ("Issuer", identity.issuer),
        *(("Verified", said) for said in verified),
        ("Valid from", identity.valid_from),
        ("Valid until", identity.valid_until),
        ("As", ", ".join(identity.roles)),
        ("Stands by", ", ".join(identity.references)),
        ("List that names it", identity.list),
        ("Codes", ", ".join(identity.codes)),
        ("Assertion", identity.label),
    ]
    return [(name, value) for name, value in rows if value]


def reason_of(codes: tuple[str, ...]) -> str:
    """Return failure codes in words, with the first of them."""
    if not codes:
        return "it is not well formed"
    return f"{WORDS.get(codes[0], 'it breaks the rules of its form')} ({safe_text(codes[0], NAME_CHARS)})"


def _named_by(name: str) -> str:
    return f"is on your list of identities “{safe_text(name, NAME_CHARS)}”"


def _parts(references: tuple[str, ...]) -> str:
    """Return what an identity refers to: the content, where it names its hash, and labels of assertions."""
    content = [r for r in references if r.startswith("c2pa.hash.")]
    labels = [safe_text(r, NAME_CHARS) for r in references if r not in content]
    named = (["the content"] if content else []) + labels[:NAMED]
    if len(labels) > NAMED:
        named.append(f"{len(labels) - NAMED} more assertions")
    if not named:
        return "nothing that it names"
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _verified(found: Verified) -> str:
    place = f" at “{safe_text(found.provider, NAME_CHARS)}”" if found.provider else ""
    return f"“{safe_text(found.name or found.username, NAME_CHARS)}”{place}"
