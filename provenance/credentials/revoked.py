"""Whether a signer still counts: the desk's deny-list, then what its authority says, stapled or asked for online."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from cryptography import x509

from assay.provenance.credentials.engine import Anchors
from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.identity import Identity, IdentityStatus
from assay.provenance.keys.certificates import certificates_in, find_certificates, load_pem
from assay.provenance.keys.denied import Denial
from assay.provenance.keys.revocation import (
    CRL_TYPES,
    OCSP_REQUEST,
    OCSP_TYPES,
    Answer,
    crl_url,
    find_issuer,
    find_staples,
    ocsp_request,
    ocsp_url,
    read_crl,
    read_ocsp,
)
from assay.provenance.manifest import Manifest, ManifestState, Revocation, TimeTrust

MAX_CERTIFICATES = 64
"""Most certificates of a manifest store among which a signer's issuer is looked for."""

# RFC 5280's names of reasons after which nothing tells the owner's signatures from a thief's, and of a mere pause.
_COMPROMISED = frozenset({"keyCompromise", "cACompromise", "aACompromise"})
_PAUSED = "certificateHold"


class Revocations:
    """Asks whether the signer of a manifest was revoked; without a ``fetcher`` the network is never asked.

    Only a signer whose chain ends on a list of the desk's is asked about: to ask the authority of any other would
    tell the maker of the file that it is being examined, and its answer would be worth nothing.
    """

    def __init__(
        self,
        denials: Sequence[Denial],
        anchors: Sequence[Anchors],
        now: dt.datetime,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.denials, self.anchors, self.now, self.fetcher = denials, anchors, now, fetcher

    def judge(self, manifest: Manifest) -> Manifest:
        """Return the manifest with what is known of its signer's revocation, and the state that this makes it.

        Of identities only the deny-list is asked; it changes them alone.
        """
        manifest = replace(
            manifest, identities=tuple(self._identity(manifest, i) for i in manifest.identities)
        )
        if not manifest.signer_trusted or manifest.state is ManifestState.INVALID:
            return manifest
        found = set(find_certificates(manifest.store, manifest.signer.serial))
        if len(found) != 1:
            return manifest
        certificate = found.pop()
        denied = next((d for d in self.denials if _names(d, certificate)), None)
        if denied:
            said = Revocation("revoked", "deny-list", since=_text(denied.since), reason=denied.reason)
            return _weigh(manifest, said, denied.since)
        problems: list[str] = []
        answers = list(self._answers(manifest, certificate, problems))
        manifest = replace(manifest, reasons=(*manifest.reasons, *problems))
        for source, answer in answers:
            if answer.revoked:
                said = Revocation("revoked", source, _text(answer.made), _text(answer.revoked), answer.reason)
                return _weigh(manifest, said, answer.revoked)
        good = [(s, a) for s, a in answers if a.holds_at(self.now) or _covers(s, a, manifest)]
        if not good:
            return manifest
        source, newest = max(good, key=lambda item: item[1].made)
        return replace(manifest, revocation=Revocation("good", source, _text(newest.made)))

    def _identity(self, manifest: Manifest, identity: Identity) -> Identity:
        denials = [d for d in self.denials if d.serial == identity.serial]
        found = list(find_certificates(manifest.store, identity.serial)) if denials else []
        if not any(_names(d, c) for c in found for d in denials):
            return identity
        reason = "its certificate is on your own list of those that no longer count"
        return replace(identity, status=IdentityStatus.BROKEN, list="", reason=reason)

    def _answers(
        self, manifest: Manifest, certificate: x509.Certificate, problems: list[str]
    ) -> Iterator[tuple[str, Answer]]:
        staples = list(find_staples(manifest.store))
        if not staples and self.fetcher is None:
            return
        issuer = find_issuer(certificate, self._issuers(manifest))
        if issuer is None:
            problems.append(
                "Whether the signer was revoked cannot be told: its issuer's certificate is not there."
            )
            return
        for data in staples:
            if answer := read_ocsp(data, certificate, issuer):
                yield "stapled", answer
        if self.fetcher is not None:
            yield from self._asked(certificate, issuer, self.fetcher, problems)

    def _asked(
        self, certificate: x509.Certificate, issuer: x509.Certificate, fetcher: Fetcher, problems: list[str]
    ) -> Iterator[tuple[str, Answer]]:
        """Yield the authority's answer: by OCSP, or from its list where it has no responder or that says nothing."""
        faults = []
        if url := ocsp_url(certificate):
            try:
                body = ocsp_request(certificate, issuer)
                data = fetcher.get(
                    url, OCSP_TYPES, signed=True, body=body, headers={"Content-Type": OCSP_REQUEST}
                )
                if (answer := read_ocsp(data, certificate, issuer)) and answer.holds_at(self.now):
                    yield "ocsp", answer
                    return
                faults.append("its OCSP responder's answer is not its authority's, or out of date")
            except (NetworkError, UsageError) as error:
                faults.append(error.message)
        if url := crl_url(certificate):
            try:
                data = fetcher.get(url, CRL_TYPES, signed=True)
                if (answer := read_crl(data, certificate, issuer)) and answer.holds_at(self.now):
                    yield "crl", answer
                    return
                faults.append("the list of revocations is not its authority's, in part, or out of date")
            except (NetworkError, UsageError) as error:
                faults.append(error.message)
        why = "; ".join(faults) or "its certificate names nobody to ask"
        problems.append(f"Whether the signer was revoked could not be learnt: {why}.")

    def _issuers(self, manifest: Manifest) -> list[x509.Certificate]:
        own = islice(certificates_in(manifest.store), MAX_CERTIFICATES)
        lists = (load_pem(a.authorities.encode(), a.uri) for a in self.anchors if a.authorities)
        return [*own, *(c for members in lists for c in members)]


def _names(denial: Denial, certificate: x509.Certificate) -> bool:
    if denial.serial != str(certificate.serial_number):
        return False
    return not denial.issuer or denial.issuer == certificate.issuer.rfc4514_string()


def _covers(source: str, answer: Answer, manifest: Manifest) -> bool:
    """Whether a stapled answer is one of the proven moment of signing."""
    moment = _proven(manifest)
    return source == "stapled" and moment is not None and answer.holds_at(moment)


def _proven(manifest: Manifest) -> dt.datetime | None:
    if manifest.time.trust is not TimeTrust.TRUSTED or not manifest.time.value:
        return None
    try:
        return dt.datetime.fromisoformat(manifest.time.value).astimezone(dt.UTC)
    except ValueError:
        return None


def _weigh(manifest: Manifest, said: Revocation, since: dt.datetime | None) -> Manifest:
    """Return what a revocation makes of a manifest: a signature that a time-stamp proves older may outlive it."""
    moment = _proven(manifest)
    earlier = moment is not None and since is not None and moment < since
    day = f"{since:%Y-%m-%d}" if since else ""
    if earlier and said.reason not in _COMPROMISED:
        reason = f"The signing certificate was revoked on {day}; a time-stamp proves that it signed before."
        return replace(
            manifest,
            reasons=(*manifest.reasons, reason),
            revocation=replace(said, state="revoked-later"),
        )
    if earlier or said.reason == _PAUSED:
        reason = (
            f"The signing certificate is suspended since {day}."
            if said.reason == _PAUSED
            else f"The signing key was called compromised on {day}: who signed before is not established."
        )
        state = manifest.state if manifest.state is ManifestState.MALFORMED else ManifestState.UNTRUSTED
        return replace(
            manifest,
            state=state,
            signer_trusted=False,
            trust_list="",
            reasons=(reason, *manifest.reasons),
            revocation=said,
        )
    by = "is on the desk's deny-list" if said.source == "deny-list" else "was revoked"
    why = f" ({said.reason})" if said.reason else ""
    return replace(
        manifest,
        state=ManifestState.INVALID,
        revoked=True,
        signer_trusted=False,
        trust_list="",
        reasons=(f"The signing certificate {by}{f' from {day} on' if day else ''}{why}.", *manifest.reasons),
        revocation=said,
    )


def _text(moment: dt.datetime | None) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds") if moment else ""
