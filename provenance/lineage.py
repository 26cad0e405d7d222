"""What a report's page tells of where a file comes from: its ancestors, who signed them, and the ledger's entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from assay.provenance import wording
from assay.provenance.identity import STATUSES, Identity, identity_facts
from assay.provenance.keys.certificates import DEVELOPMENT
from assay.provenance.manifest import Action, Ingredient, Manifest, ManifestState
from assay.provenance.recovered import Recovered
from assay.provenance.report import Report
from assay.provenance.text import safe_text
from assay.provenance.unchecked import revocation_words

HISTORY = 200
"""Most ancestors, actions of one of them, and status codes shown."""
RAW_CHARS = 200_000
"""Longest raw text (JSON, receipt) shown."""


def history(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the trees of the file and, where it differs, of its original; nodes hold their ``children``."""
    for manifest, relationship in _manifests(report, "this file", "the original, as the ledger kept it"):
        seen = count()
        yield {
            "title": manifest.title or "without a title",
            "relationship": relationship,
            "state": wording.STATES[manifest.state],
            "signer": wording.manifest_signer(manifest),
            "actions": [_action(a) for a in manifest.actions[:HISTORY]],
            "codes": (),
            "children": _ancestors(manifest.ingredients, seen),
            "more": max(0, sum(1 for _ in manifest.history()) - HISTORY),
        }


def _manifests(report: Report, own: str, kept: str) -> Iterator[tuple[Manifest, str]]:
    """Yield the file's manifest, and the original's where the ledger kept another, with their given names."""
    if report.manifest.state is not ManifestState.ABSENT:
        yield report.manifest, own
    original = report.recovered.manifest if report.recovered else None
    if original and original.label != report.manifest.label:
        yield original, kept


def _ancestors(items: Sequence[Ingredient], seen: Iterator[int]) -> list[dict[str, Any]]:
    return [
        {
            "title": item.title or "without a title",
            "relationship": wording.RELATIONSHIPS.get(item.relationship, item.relationship),
            "state": wording.STATES[item.state],
            "signer": wording.ingredient_signer(item),
            "actions": [_action(a) for a in item.actions[:HISTORY]],
            "codes": item.codes if item.state is ManifestState.INVALID else (),
            "children": _ancestors(item.ingredients, seen),
            "more": 0,
        }
        for item in items
        if next(seen) < HISTORY
    ]


def _action(action: Action) -> str:
    parts = [safe_text(action.action.removeprefix("c2pa."), 120).replace("_", " ")]
    if action.description:
        parts.append(f"“{safe_text(action.description, 300)}”")
    if action.source_type:
        parts.append(wording.source_type_words(action.source_type))
    if action.agent:
        parts.append(f"with {safe_text(action.agent, 120)}")
    if action.when:
        parts.append(f"at {wording.moment(action.when)}")
    return ", ".join(parts)


def certificates(report: Report) -> Iterator[dict[str, Any]]:
    """Yield who signed the file and its original: state, facts by name, warnings, reasons."""
    for manifest, what in _manifests(report, "this file", "the original in the ledger"):
        if manifest.label:
            yield {"what": what, **_certificate(manifest)}


def _certificate(manifest: Manifest) -> dict[str, Any]:
    signer = manifest.signer
    trusted = manifest.state is ManifestState.TRUSTED
    calls = "" if trusted else "calls itself "
    rows = [
        ("Organisation", f"{calls}“{safe_text(signer.organization, 300)}”" if signer.organization else ""),
        ("Common name", f"{calls}“{safe_text(signer.common_name, 300)}”" if signer.common_name else ""),
        ("Serial number", signer.serial),
        (
            "Valid",
            f"{wording.moment(signer.not_before)} to {wording.moment(signer.not_after)}"
            if signer.not_before
            else "",
        ),
        ("Certificate", str(signer.certificate) if signer.certificate else ""),
        ("Uses", ", ".join(signer.eku)),
        ("Revocation", revocation_words(manifest)),
        ("List that names it", manifest.trust_list or "none of your lists"),
        ("Signing time", wording.time_words(manifest.time)),
        ("Written by", manifest.generator),
        ("Manifest", f"{manifest.label} ({manifest.where or 'place unknown'})"),
        ("Named elsewhere", manifest.remote_url),
    ]
    warnings = (
        wording.lookalike_warning(n) for n in dict.fromkeys((signer.organization, signer.common_name))
    )
    return {
        "state": wording.STATES[manifest.state],
        "development": signer.organization == DEVELOPMENT,
        "rows": [(name, value) for name, value in rows if value],
        "warnings": [w for w in warnings if w],
        "reasons": manifest.reasons,
        "identities": [_identity(i) for i in manifest.stated],
    }


def _identity(identity: Identity) -> dict[str, Any]:
    warnings = dict.fromkeys(wording.lookalike_warning(name) for name in identity.names)
    return {
        "status": STATUSES[identity.status],
        "says": identity.says,
        "rows": identity_facts(identity),
        "warnings": [w for w in warnings if w],
    }


def codes(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the C2PA status codes of the file and of each ancestor that has some."""
    if report.manifest.codes:
        yield {"title": "this file", "codes": report.manifest.codes[:HISTORY]}
    for item in list(report.manifest.history())[:HISTORY]:
        if item.codes:
            yield {"title": item.title or "without a title", "codes": item.codes[:HISTORY]}


_FOUND_BY = {
    "digest": "its bytes: the digest is that of the file as signed",
    "manifest": "its credentials",
    "watermark": "the watermark in its pixels",
    "fingerprint": "how it looks or sounds (perceptual fingerprint)",
}


def kept_entry(recovered: Recovered | None) -> dict[str, Any] | None:
    """Return the facts of the ledger's entry by name, and the lines of its receipt; None where there is none."""
    if recovered is None:
        return None
    entry, comparison = recovered.entry, recovered.comparison
    rows = [
        ("Entry", f"{recovered.receipt.index} of {safe_text(recovered.receipt.origin, 200)}"),
        ("Found by", _FOUND_BY.get(recovered.by, recovered.by)),
        ("Match", _match(recovered)),
        ("Logged", f"{wording.moment(entry.time)}, by the clock of whoever logged it"),
        ("Declared", wording.source_type_words(entry.source_type) if entry.source_type else "no source type"),
        ("Generator named", entry.generator),
        ("Watermark", str(entry.mark) if entry.mark else "none logged"),
        ("File as signed", f"{entry.digest}, {entry.size:,} bytes, {safe_text(entry.media_type, 80)}"),
        ("Leaf", recovered.receipt.leaf_hash.hex()),
    ]
    if comparison and recovered.matches:
        rows.insert(3, ("Laid over it", comparison.alignment))
    return {
        "rows": [(name, value) for name, value in rows if value],
        "receipt": raw_lines(recovered.receipt.text),
    }


def _match(recovered: Recovered) -> str:
    comparison = recovered.comparison
    if not recovered.matches:
        return "none: what the ledger knows of the original could not be matched with this file"
    if comparison is None:
        return "the very same bytes"
    changed = wording.share(comparison.changed)
    if comparison.span:
        return f"the same, {comparison.alignment} (similarity {comparison.similarity:.3f} of 1)"
    return f"the same picture, of which {changed} differs (similarity {comparison.similarity:.3f} of 1)"


def raw_lines(text: str) -> tuple[str, ...]:
    """Split raw text at line feeds, as each line is made safe by itself; cut it where it is too long."""
    cut = len(text) - RAW_CHARS
    lines = text[:RAW_CHARS].split("\n")
    return (*lines, f"… (+{cut} characters)") if cut > 0 else tuple(lines)
