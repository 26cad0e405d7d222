"""What a report does not rest on: what nobody asked, what could not be reached, and what no file can tell."""

from __future__ import annotations

from collections.abc import Iterator

from assay.provenance.evidence import Evidence, Status
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.media import Kind
from assay.provenance.report import Report
from assay.provenance.text import safe_text
from assay.provenance.wording import CHECKS, NOUNS, check_name, moment

_SOURCES = {
    "deny-list": "the desk’s deny-list",
    "stapled": "an answer of its authority, stapled to the signature",
    "ocsp": "its authority (OCSP)",
    "crl": "its authority’s list (CRL)",
}


def not_checked(report: Report) -> tuple[str, ...]:
    """Return, in sentences, what this report does not rest on."""
    return (*_unasked(report.evidence), *_unreached(report), _scene(report.asset.kind))


def _scene(kind: Kind) -> str:
    if kind is Kind.AUDIO:
        return "Whether what the recording lets hear was said and happened, and where and when. No file can tell that."
    noun = NOUNS.get(kind, "file")
    return f"Whether what the {noun} shows happened, and where and when. No file can tell that."


def _unasked(evidence: tuple[Evidence, ...]) -> Iterator[str]:
    asked = {e.check for e in evidence}
    for item in evidence:
        if item.status is Status.ERROR or item.details.get("reason") == "not-applicable":
            yield f"{check_name(item.check)}: {safe_text(item.summary)}"
    for check, name in CHECKS.items():
        if check not in asked and check != "anchor":
            yield f"{name}: not asked in this examination."
    if not any(check.startswith("detector:") for check in asked):
        yield "The pixels by a neural detector: none was asked."


def _unreached(report: Report) -> Iterator[str]:
    manifest, recovered = report.manifest, report.recovered
    if manifest.remote_url and manifest.state is ManifestState.ABSENT:
        yield f"Credentials kept elsewhere: not fetched from {safe_text(manifest.remote_url, 200)}."
    if manifest.label and not manifest.revocation.since:
        yield f"Whether the signer’s certificate was revoked since: {_last_heard(manifest)}."
    if not any(t.get("kind", "signer") == "signer" for t in report.trust):
        yield "Who signers are: no list of signers has been chosen, so no signer can be established."
    if recovered and recovered.comparison and recovered.comparison.span:
        yield "Changes shorter than a second, or too small to alter how a frame looks or a second sounds on the whole."
        if report.asset.kind is Kind.VIDEO:
            yield "Its sound: a film’s pictures alone are marked and compared, so that another soundtrack goes unseen."
    elif recovered and recovered.comparison:
        yield "Changes too small for the ledger’s sketch, which is a picture of at most 96 × 96 pixels."
    if recovered and not any(e.check == "anchor" and e.status is Status.PASS for e in report.evidence):
        yield "Whether the ledger’s history is also held by someone outside: no anchor proved it."


def revocation_words(manifest: Manifest) -> str:
    """Say what is known of the revocation of a manifest's signer, and from whom; "" where nobody said anything."""
    said = manifest.revocation
    if said.state == "unknown":
        return ""
    source = f"says {_SOURCES.get(said.source, safe_text(said.source, 80))}"
    source += f" of {moment(said.time)}" if said.time else ""
    since = f" on {moment(said.since)}" if said.since else ""
    why = f" ({safe_text(said.reason, 80)})" if said.reason else ""
    match said.state:
        case "good":
            return f"not revoked, {source}"
        case "revoked-later":
            return f"revoked{since}, after it signed{why}, {source}"
        case _:
            return f"revoked{since}{why}, {source}"


def _last_heard(manifest: Manifest) -> str:
    if manifest.revocation.state == "unknown":
        return "no authority was asked, or none answered"
    return f"last heard of on {moment(manifest.revocation.time)}" if manifest.revocation.time else "not known"
