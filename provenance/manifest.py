"""What was read back from a C2PA manifest store: integrity, signer and trust, time and its trust, origin, history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from assay.provenance.asset import Digest
from assay.provenance.coverage import Coverage
from assay.provenance.identity import Identity
from assay.provenance.signals import signals

SIDECAR_SUFFIX = ".c2pa"
"""Appended to a file's name for a manifest kept beside it."""


class ManifestState(StrEnum):
    """The five states of a manifest.

    ``trusted``: intact, signer on a chosen list at an acceptable time. ``untrusted``: intact, signer not
    established (unknown, expired, wrong kind of certificate). ``invalid``: a hash or signature proves a change,
    or the signer is revoked. ``malformed``: nothing proves a change, yet rules of the format are broken.
    ``absent``: no manifest.
    """

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    INVALID = "invalid"
    MALFORMED = "malformed"
    ABSENT = "absent"


class TimeTrust(StrEnum):
    """Whether a time-stamp authority on a chosen list vouches for the signing time."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SigningTime:
    """When a manifest says it was signed (RFC 3339, attacker-controlled unless ``trust`` is trusted)."""

    value: str | None = None
    trust: TimeTrust = TimeTrust.NONE

    def to_json(self) -> dict[str, str | None]:
        """Return the form used in reports."""
        return {"value": self.value, "trust": str(self.trust)}


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is known of a signing certificate's revocation.

    ``state``: ``good`` (its authority said so), ``revoked``, ``revoked-later`` (after the proven signing time) or
    ``unknown`` (nobody was asked, or nobody answered). ``source``: ``deny-list``, ``stapled``, ``ocsp`` or ``crl``;
    ``time`` the moment of that answer, ``since`` that of the revocation, both RFC 3339; ``reason`` in RFC 5280's name.
    """

    state: str = "unknown"
    source: str = ""
    time: str = ""
    since: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the form used in reports."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SignerName:
    """The signing certificate: subject names (attacker-controlled unless trusted), serial, validity, digest."""

    organization: str = ""
    common_name: str = ""
    serial: str = ""
    not_before: str = ""
    not_after: str = ""
    certificate: Digest | None = None
    eku: tuple[str, ...] = ()

    @property
    def display(self) -> str:
        """Organisation or common name, whichever there is."""
        return self.organization or self.common_name or "a signer without a name"


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the actions assertion: C2PA action name, digital source type short name, agent, time."""

    action: str
    source_type: str = ""
    agent: str = ""
    when: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """A soft-binding assertion: algorithm id and value as text."""

    alg: str
    value: str


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One ancestor in the history tree, with its state by our policy and the codes behind it."""

    title: str
    relationship: str
    state: ManifestState
    codes: tuple[str, ...]
    label: str = ""
    signer: str = ""
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()

    def walk(self) -> Iterator[Ingredient]:
        """Iterate over this ingredient and all below it."""
        yield self
        for child in self.ingredients:
            yield from child.walk()

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "title": self.title,
            "relationship": self.relationship,
            "state": str(self.state),
            "codes": list(self.codes),
            "signer": self.signer,
            "actions": [a.action for a in self.actions],
            "source_types": [a.source_type for a in self.actions if a.source_type],
            "ingredients": [i.to_json() for i in self.ingredients],
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """One file's manifest store as our policy reads it.

    ``codes`` are the C2PA status codes of the active manifest that are not plain successes; ``reasons`` say in
    sentences why the state is what it is; ``trust_list`` names the list that matched; ``uncovered`` are
    (start, length) byte ranges of picture content that the signature does not cover; ``coverage`` all that it
    leaves out, harmless or not, None where it is bound to no bytes of this file; ``identities`` are the CAWG
    identities, which change nothing of all this, and ``cawg`` their codes; ``store`` the raw bytes.
    """

    state: ManifestState
    codes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    label: str = ""
    title: str = ""
    generator: str = ""
    claim_version: int = 0
    signer: SignerName = field(default_factory=SignerName)
    signer_trusted: bool = False
    trust_list: str = ""
    time: SigningTime = field(default_factory=SigningTime)
    actions: tuple[Action, ...] = ()
    soft_bindings: tuple[SoftBinding, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    cawg: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    remote_url: str = ""
    where: str = ""
    revoked: bool = False
    revocation: Revocation = field(default_factory=Revocation)
    uncovered: tuple[tuple[int, int], ...] = ()
    coverage: Coverage | None = None
    store: bytes = field(default=b"", repr=False)

    @property
    def source_type(self) -> str:
        """The digital source type of the first action that states one, as a short name."""
        return next((a.source_type for a in self.actions if a.source_type), "")

    @property
    def stated(self) -> tuple[Identity, ...]:
        """The identities as they stand for this file: around credentials that do not hold, none can be told to."""
        holds = self.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED) and not self.uncovered
        return self.identities if holds else tuple(i.without_ground() for i in self.identities)

    def history(self) -> Iterator[Ingredient]:
        """Iterate over all ingredients, depth first."""
        for ingredient in self.ingredients:
            yield from ingredient.walk()

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports; absent manifests keep the same keys."""
        return {
            "state": str(self.state),
            "codes": list(self.codes),
            "reasons": list(self.reasons),
            "label": self.label,
            "title": self.title,
            "generator": self.generator,
            "claim_version": self.claim_version,
            "where": self.where,
            "remote_url": self.remote_url,
            "signer": {
                "organization": self.signer.organization,
                "common_name": self.signer.common_name,
                "serial": self.signer.serial,
                "not_before": self.signer.not_before,
                "not_after": self.signer.not_after,
                "certificate": str(self.signer.certificate or ""),
            },
            "trust_list": self.trust_list,
            "revocation": self.revocation.to_json(),
            "time": self.time.to_json(),
            "source_type": self.source_type,
            "signals": list(signals(self)),
            "actions": [
                {"action": a.action, "source_type": a.source_type, "agent": a.agent, "when": a.when}
                for a in self.actions
            ],
            "soft_bindings": [{"alg": s.alg, "value": s.value} for s in self.soft_bindings],
            "ingredients": [i.to_json() for i in self.ingredients],
            "cawg": list(self.cawg),
            "identities": [i.to_json() for i in self.stated],
            "uncovered": [list(r) for r in self.uncovered],
            "coverage": self.coverage.to_json() if self.coverage else None,
        }


ABSENT = Manifest(ManifestState.ABSENT)
