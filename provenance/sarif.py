"""Reports as SARIF 2.1.0 (OASIS), the form in which build servers and code-scanning pages take findings.

One run; a file is an artifact with its SHA-256. Its verdict is one result, each contradiction and each notice
another. SARIF's ``error`` stands for a contradiction and nothing else: a verdict says who vouches for a file, not
whether it is good. Text from files has its hidden characters written out and is plain text to SARIF, not Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from assay.provenance import wording
from assay.provenance.coverage import Coverage, Held, held_words
from assay.provenance.errors import AssayError
from assay.provenance.evidence import Conflict
from assay.provenance.report import Report, Verdict
from assay.provenance.text import safe_text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERDICT = "verdict/"
"""What the rule id of a verdict begins with; other rule ids are those of contradictions."""

_KINDS = {
    Verdict.CONFLICT: ("fail", "error"),
    Verdict.MARKED_AI: ("informational", "none"),
    Verdict.SOURCE_CONFIRMED: ("pass", "none"),
    Verdict.SOURCE_RECOVERED: ("pass", "none"),
    Verdict.INCONCLUSIVE: ("open", "none"),
}
# Why a gap is worth pointing at; the manifest itself and metadata are usual.
_SHOWN = frozenset({Held.CONTENT, Held.APPENDED, Held.UNKNOWN})
_REGIONS = 100


def sarif(answers: Sequence[tuple[Path, Report | AssayError]], version: str) -> dict[str, Any]:
    """Return a SARIF log of what was said about each file; ``version`` is this program's.

    Files that could not be examined are notifications of the invocation, which then was not successful.
    """
    reports = [answer for _, answer in answers if isinstance(answer, Report)]
    # A file that was asked about twice is one artifact: their list may hold none twice.
    artifacts = {(report.asset.path, report.asset.digest): _artifact(report) for report in reports}
    places = {key: number for number, key in enumerate(artifacts)}
    indices = [places[report.asset.path, report.asset.digest] for report in reports]
    results = [r for n, report in zip(indices, reports, strict=True) for r in _results(report, n)]
    notes = [_notification(path, a) for path, a in answers if isinstance(a, AssayError)]
    notes += [_unprocessed(r, n) for n, r in zip(indices, reports, strict=True) if r.unprocessed]
    rules = {rule["id"]: rule for rule in _rules(reports)}
    numbers = {ident: number for number, ident in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Assay", "version": version, "rules": list(rules.values())}},
                "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
                "artifacts": list(artifacts.values()),
                "results": [{**r, "ruleIndex": numbers[r["ruleId"]]} for r in results],
                "columnKind": "unicodeCodePoints",
            }
        ],
    }


def _rules(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    for verdict in Verdict:
        yield {
            "id": f"{VERDICT}{verdict}",
            "name": wording.LABELS[verdict],
            "shortDescription": {"text": wording.LABELS[verdict]},
            "fullDescription": {"text": wording.MEANS[verdict]},
            "help": {"text": wording.DOES_NOT_MEAN[verdict]},
        }
    for report in reports:
        for found in (*report.conflicts, *report.notices):
            rule = safe_text(found.rule, 200)
            yield {"id": rule, "shortDescription": {"text": f"Contradiction: {rule}"}}


def _results(report: Report, number: int) -> Iterator[dict[str, Any]]:
    kind, level = _KINDS[report.verdict]
    yield {
        "ruleId": f"{VERDICT}{report.verdict}",
        "kind": kind,
        "level": level,
        "message": {"text": report.headline},
        "locations": [_location(report.asset.path, number)],
        "partialFingerprints": {"digest": str(report.asset.digest)},
        "properties": {
            "leaning": report.leaning,
            "integrity": str(report.integrity),
            "origin": report.origin.status,
            "synthesis": report.synthesis,
            "policy": report.policy,
            "time": report.time,
        },
    }
    for conflict in report.conflicts:
        yield _finding(report, number, conflict, "fail", "error")
    for notice in report.notices:
        yield _finding(report, number, notice, "review", "none")


def _finding(report: Report, number: int, found: Conflict, kind: str, level: str) -> dict[str, Any]:
    said = [*found.says, found.innocent] if found.innocent else list(found.says)
    coverage = report.manifest.coverage if found.rule == "uncovered-content" else None
    regions = list(_regions(coverage)) if coverage else []
    place = _location(report.asset.path, number)
    return {
        "ruleId": safe_text(found.rule, 200),
        "kind": kind,
        "level": level,
        "message": {"text": " ".join(safe_text(sentence) for sentence in said)},
        "locations": [
            {**place, "physicalLocation": {**place["physicalLocation"], "region": r}} for r in regions
        ]
        or [place],
        "partialFingerprints": {"digest": str(report.asset.digest)},
        "properties": {"between": [safe_text(party, 200) for party in found.between]},
    }


def _regions(coverage: Coverage) -> Iterator[dict[str, Any]]:
    for gap in [g for g in coverage.gaps if g.held in _SHOWN][:_REGIONS]:
        yield {"byteOffset": gap.start, "byteLength": gap.length, "message": {"text": held_words(gap)}}


def _artifact(report: Report) -> dict[str, Any]:
    asset = report.asset
    return {
        "location": {"uri": _uri(asset.path)},
        "length": asset.size,
        "mimeType": asset.media_type,
        "hashes": {"sha-256": asset.digest.hex},
        "roles": ["analysisTarget"],
    }


def _location(path: Path, number: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(path), "index": number}}}


def _uri(path: Path) -> str:
    """Return a path as a URI reference: names are bytes, and every byte that a URI has no room for is escaped."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = str(path).encode("utf-8", "surrogatepass")
    shown = quote(name, safe="/-._~")
    return f"file://{shown}" if path.is_absolute() else f"./{shown}"


def _notification(path: Path, error: AssayError) -> dict[str, Any]:
    said = error.message if not error.hint else f"{error.message}; {error.hint}"
    return {
        "level": "error",
        "message": {"text": safe_text(said)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}],
        "properties": {"error": type(error).__name__, "exit_code": error.exit_code},
    }


def _unprocessed(report: Report, number: int) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": safe_text(report.unprocessed)},
        "locations": [_location(report.asset.path, number)],
    }
