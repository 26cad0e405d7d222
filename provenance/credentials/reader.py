"""Reads a file's manifest and judges it by our policy, not by the engine's summary state.

The engine (c2pa-rs) validates hashes, signatures and chains. What it leaves to its caller is decided here:
which codes prove a change, whether an excluded byte range covers content, whether an ancestor is broken,
whether a time-stamp proves a time, and whether certificate and list are of the right kind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cryptography import x509

from assay.provenance.claim import short_source_type
from assay.provenance.credentials.binding import Binding
from assay.provenance.credentials.engine import RawManifest
from assay.provenance.credentials.identities import judge_identities
from assay.provenance.credentials.status import CHANGED, NEUTRAL, REVOKED, judge
from assay.provenance.keys.certificates import describe, eku_problem, find_certificates, key_problem
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.manifest import (
    ABSENT,
    Action,
    Ingredient,
    Manifest,
    ManifestState,
    SignerName,
    SigningTime,
    SoftBinding,
    TimeTrust,
)

CLOCK_SKEW = dt.timedelta(minutes=10)
"""How far in the future a trusted time may lie before it is refused."""


def interpret(
    raw: RawManifest,
    binding: Binding,
    *,
    now: dt.datetime,
    lists: Mapping[str, str],
    limits: Limits = DEFAULT_LIMITS,
) -> Manifest:
    """Return the Manifest that ``raw`` means under our policy.

    ``lists`` maps list URIs (TrustList.uri) to display names; ``now`` is timezone-aware.
    """
    if raw.error == "absent":
        return ABSENT
    if raw.error == "remote":
        return replace(
            ABSENT,
            remote_url=raw.remote_url,
            reasons=("The file names a manifest elsewhere; it was not fetched.",),
        )
    if raw.error or not raw.summary.get("active_manifest"):
        return Manifest(
            ManifestState.MALFORMED,
            reasons=(f"The credentials cannot be read: {raw.message or 'no active manifest'}.",),
        )
    return _Judgement(raw, binding, now, lists, limits).manifest()


class _Judgement:
    """One pass over the engine's answer; every method answers one question."""

    def __init__(
        self, raw: RawManifest, binding: Binding, now: dt.datetime, lists: Mapping[str, str], limits: Limits
    ) -> None:
        self.raw, self.binding, self.now, self.lists, self.limits = raw, binding, now, lists, limits
        self.label: str = raw.summary["active_manifest"]
        self.active: dict[str, Any] = raw.summary["manifests"].get(self.label, {})
        results = raw.summary.get("validation_results") or {}
        self.results: dict[str, Any] = results.get("activeManifest") or {}
        self.deltas = results.get("ingredientDeltas") or []
        self.list_uri: str = results.get("trustListUri") or ""
        self.reasons: list[str] = []

    def manifest(self) -> Manifest:
        failures = set(_codes(self.results, "failure"))
        informational = _codes(self.results, "informational")
        certificates = self._certificates()
        time = self._time()
        trusted = self._signer_trusted(certificates, time)
        uncovered = self.binding.uncovered or tuple((0, 0) for _ in self.binding.boxes)
        ingredients = self._ingredients(self.active, 0)
        identities = judge_identities(self.raw.identities, self.raw.store, self.lists)
        state = judge(frozenset(failures), trusted)
        if state is ManifestState.INVALID and self._refused_but_unchanged(failures):
            state = ManifestState.MALFORMED
        if self.binding.unread and state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED):
            # The signed hash leaves bytes out, and whether they are the picture cannot be seen: not intact.
            self.reasons.append(f"What the signed hash leaves out cannot be judged: {self.binding.unread}.")
            state = ManifestState.MALFORMED
        state = self._weigh(state, failures)
        return Manifest(
            state=state,
            codes=tuple(
                sorted(failures | {c for c in informational if c in NEUTRAL or c.startswith("timeStamp")})
            ),
            reasons=tuple(self.reasons),
            label=self.label,
            title=str(self.active.get("title") or ""),
            generator=self._generator(),
            claim_version=int(self.active.get("claim_version") or 1),
            signer=self._signer(certificates),
            signer_trusted=trusted,
            trust_list=self.lists.get(self.list_uri, "") if trusted else "",
            time=time,
            actions=_actions(self.active),
            soft_bindings=_soft_bindings(self.active),
            ingredients=ingredients,
            cawg=tuple(sorted({c for i in identities for c in i.codes})),
            identities=identities,
            remote_url=self.raw.remote_url,
            where="embedded" if self.raw.embedded else "sidecar",
            revoked=bool(failures & REVOKED),
            uncovered=uncovered,
            coverage=self.binding.coverage,
            store=self.raw.store,
        )

    def _weigh(self, state: ManifestState, failures: set[str]) -> ManifestState:
        changed = sorted(failures & CHANGED)
        if state is ManifestState.INVALID and changed:
            self.reasons.insert(0, f"What was signed and what is here differ ({', '.join(changed)}).")
        if failures & REVOKED:
            self.reasons.insert(0, "The signing certificate was revoked.")
        if state is ManifestState.MALFORMED:
            broken = sorted(
                c for c in failures - NEUTRAL - CHANGED if not c.startswith(("cawg.", "signingCredential."))
            )
            if broken:
                self.reasons.append(f"The credentials break rules of their format ({', '.join(broken)}).")
        if state is ManifestState.UNTRUSTED and not self.reasons:
            self.reasons.append("The signature holds, but the signer is not on a list that you chose.")
        return state

    def _certificates(self) -> tuple[x509.Certificate, ...]:
        serial = str((self.active.get("signature_info") or {}).get("cert_serial_number") or "")
        found = dict.fromkeys(find_certificates(self.raw.store, serial)) if serial else {}
        if len(found) > 1:
            # Planted, in all likelihood: a second certificate with the signer's number lends it a name or an identity.
            self.reasons.append(
                "Several certificates in the file bear the signer's serial number; which one signed cannot be told."
            )
            return ()
        return tuple(found)

    def _signer(self, certificates: Sequence[x509.Certificate]) -> SignerName:
        if certificates:
            return describe(certificates[0])
        info = self.active.get("signature_info") or {}
        return SignerName(
            organization=str(info.get("issuer") or ""),
            common_name=str(info.get("common_name") or ""),
            serial=str(info.get("cert_serial_number") or ""),
        )

    def _signer_trusted(self, certificates: Sequence[x509.Certificate], time: SigningTime) -> bool:
        """Whether the chain ends on a signer list, with a certificate for signing content, valid at a proven time."""
        if "signingCredential.trusted" not in _codes(self.results, "success"):
            if "signingCredential.expired" in _codes(self.results, "failure"):
                self.reasons.append(
                    "The signing certificate has expired and no trusted time-stamp proves an earlier signature."
                )
            return False
        if not self.list_uri.startswith("assay:signer:"):
            self.reasons.append("The signer's chain ends on a list that is not for signers of content.")
            return False
        for certificate in certificates:
            problem = eku_problem(certificate) or key_problem(certificate)
            if problem:
                self.reasons.append(f"{problem[:1].upper()}{problem[1:]}.")
                return False
        if not certificates:
            self.reasons.append("The signing certificate could not be examined.")
            return False
        if any(c.not_valid_before_utc > self.now + CLOCK_SKEW for c in certificates):
            self.reasons.append("The signing certificate is not valid yet.")
            return False
        expired = any(c.not_valid_after_utc < self.now for c in certificates)
        if expired and time.trust is not TimeTrust.TRUSTED:
            # The engine takes any time-stamp here; one from an unknown authority proves no time.
            self.reasons.append(
                "The signing certificate has expired and no trusted time-stamp proves an earlier signature."
            )
            return False
        return True

    def _time(self) -> SigningTime:
        value = (self.active.get("signature_info") or {}).get("time")
        if not value:
            return SigningTime()
        proofs = [s for s in self.results.get("success") or [] if s.get("code") == "timeStamp.trusted"]
        # For version 1 claims the engine calls every authority trusted and says "legacy" beside it.
        proven = any("legacy" not in str(s.get("explanation", "")).lower() for s in proofs)
        has_list = any(uri.startswith("assay:tsa:") for uri in self.lists)
        try:
            moment = dt.datetime.fromisoformat(str(value))
            future = moment.astimezone(dt.UTC) > self.now + CLOCK_SKEW
        except ValueError:
            return SigningTime(str(value), TimeTrust.UNTRUSTED)
        if future:
            self.reasons.append("The time-stamp lies in the future and is disregarded.")
        trust = TimeTrust.TRUSTED if proven and has_list and not future else TimeTrust.UNTRUSTED
        return SigningTime(str(value), trust)

    def _refused_but_unchanged(self, failures: set[str]) -> bool:
        """Whether the only proof of change is none: a part of a stream, or a rule that older files break."""
        if self.binding.fragmented and failures & CHANGED == {"assertion.bmffHash.mismatch"}:
            self.reasons.append(
                "This is the first part of a stream; it can be checked only with its other parts."
            )
            return True
        if failures & CHANGED != {"assertion.dataHash.mismatch"} or not self.binding.holds:
            return False
        self.reasons.append(
            "The engine refuses how this file was hashed; the covered bytes are as they were signed."
        )
        return not self.binding.uncovered

    def _ingredients(self, manifest: Mapping[str, Any], depth: int) -> tuple[Ingredient, ...]:
        if depth >= self.limits.ingredient_depth:
            return ()
        return tuple(self._ingredient(item, depth) for item in manifest.get("ingredients") or [])

    def _ingredient(self, item: Mapping[str, Any], depth: int) -> Ingredient:
        label = str(item.get("active_manifest") or "")
        recorded = (item.get("validation_results") or {}).get("activeManifest") or {}
        codes = set(_codes(recorded, "failure"))
        codes |= {str(s.get("code")) for s in item.get("validation_status") or []}
        now_trusted = False
        for delta in self.deltas:
            found = delta.get("validationDeltas") or {}
            for entry in found.get("failure") or []:
                if label and label in str(entry.get("url", "")):
                    codes.add(str(entry.get("code")))
            now_trusted |= any(
                s.get("code") == "signingCredential.trusted" and label and label in str(s.get("url", ""))
                for s in found.get("success") or []
            )
        if now_trusted:
            codes.discard("signingCredential.untrusted")
        parent = self.raw.summary["manifests"].get(label, {}) if label else {}
        info = parent.get("signature_info") or {}
        state = judge(frozenset(codes), now_trusted) if label or codes - NEUTRAL else ManifestState.ABSENT
        return Ingredient(
            title=str(item.get("title") or ""),
            relationship=str(item.get("relationship") or ""),
            state=state,
            codes=tuple(sorted(codes)),
            label=label,
            signer=str(info.get("issuer") or info.get("common_name") or ""),
            actions=_actions(parent),
            ingredients=self._ingredients(parent, depth + 1),
        )

    def _generator(self) -> str:
        for info in self.active.get("claim_generator_info") or []:
            if info.get("name"):
                return f"{info['name']} {info.get('version') or ''}".strip()
        return str(self.active.get("claim_generator") or "")


def _codes(results: Mapping[str, Any], part: str) -> frozenset[str]:
    return frozenset(str(s.get("code")) for s in results.get(part) or [])


def _agent(value: object) -> str:
    if isinstance(value, dict):
        return f"{value.get('name') or ''} {value.get('version') or ''}".strip()
    return str(value or "")


def _actions(manifest: Mapping[str, Any]) -> tuple[Action, ...]:
    found: list[Action] = []
    for assertion in manifest.get("assertions") or []:
        label, data = str(assertion.get("label", "")), assertion.get("data")
        if not isinstance(data, dict):
            continue
        if label.startswith("c2pa.actions"):
            found += [
                Action(
                    action=str(a.get("action") or ""),
                    source_type=short_source_type(str(a.get("digitalSourceType") or "")),
                    agent=_agent(a.get("softwareAgent")),
                    when=str(a.get("when") or ""),
                    description=str(
                        a.get("description") or (a.get("parameters") or {}).get("description") or ""
                    ),
                )
                for a in data.get("actions") or []
                if isinstance(a, dict)
            ]
        elif label.startswith(("stds.iptc", "c2pa.metadata", "cawg.metadata")):
            found += [
                Action("metadata", source_type=short_source_type(str(value)))
                for key, value in data.items()
                if key.endswith("DigitalSourceType") and isinstance(value, str)
            ]
    return tuple(found)


def _soft_bindings(manifest: Mapping[str, Any]) -> tuple[SoftBinding, ...]:
    return tuple(
        SoftBinding(str(a["data"].get("alg") or ""), str(block.get("value") or ""))
        for a in manifest.get("assertions") or []
        if str(a.get("label", "")).startswith("c2pa.soft-binding") and isinstance(a.get("data"), dict)
        for block in a["data"].get("blocks") or []
        if isinstance(block, dict)
    )


def changed_ancestors(ingredients: Iterable[Ingredient]) -> tuple[Ingredient, ...]:
    """Return the ingredients, at any depth, whose own credentials are proven changed or revoked."""
    return tuple(i for top in ingredients for i in top.walk() if i.state is ManifestState.INVALID)
