"""One witness's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EMPTY: Mapping[str, Any] = {}

PARTIES: Mapping[str, str] = {
    "file": "The file",
    "trust": "Trust lists",
    "ingredient": "An ancestor",
    "certificate": "The signer’s certificate",
    "time": "A time-stamp",
    "fingerprint": "The fingerprint",
}
"""Parties to a conflict that are no check of their own, in words."""
TOLD_BY: Mapping[str, str] = {
    "ingredient": "manifest",
    "certificate": "manifest",
    "time": "manifest",
    "fingerprint": "receipt",
}
"""The check that tells of such a party, where there is one."""


class Status(StrEnum):
    """How a witness fared.

    PASS: looked and found good. FAIL: looked and found a contradiction. ABSENT: nothing there to look at.
    ERROR: could not look.
    """

    PASS = "pass"  # noqa: S105  (no password)
    FAIL = "fail"
    ABSENT = "absent"
    ERROR = "error"


class Fact(StrEnum):
    """What evidence can establish; ``decide`` knows these and nothing else."""

    INTACT = "integrity.intact"
    ALTERED = "integrity.altered"
    TRUSTED = "origin.trusted"
    UNTRUSTED = "origin.untrusted"
    CLAIMED = "origin.claimed"
    DECLARED_AI = "synthesis.declared"
    MARKED_AI = "synthesis.marked"
    CLAIMED_AI = "synthesis.claimed"
    LEANS_AI = "synthesis.leans-ai"
    LEANS_CAPTURED = "synthesis.leans-captured"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two facts that do not fit: the rule that saw it, the two witnesses, a sentence for each.

    ``innocent`` says in a sentence or two how honest work can lead there, and what to do next;
    docs/contradictions.md lists all rules.
    """

    rule: str
    between: tuple[str, str]
    says: tuple[str, str]
    innocent: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "rule": self.rule,
            "between": list(self.between),
            "says": list(self.says),
            "innocent": self.innocent,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """One witness's answer: a status, a log10 likelihood ratio or None, facts, conflicts, and reasons in words.

    ``llr`` is log10 P(evidence | authentic) / P(evidence | not), None where the witness does not weigh.
    ``conflicts`` decide; ``notices`` are facts that do not fit and are only said. ``reasons`` are plain sentences.
    ``found`` carries the noun that the witness read (a Manifest, a Reading, a Recovered …) for later checks in the
    line. ``details`` are JSON values for experts.
    """

    check: str
    version: str
    status: Status
    summary: str
    llr: float | None = None
    facts: frozenset[Fact] = frozenset()
    conflicts: tuple[Conflict, ...] = ()
    reasons: tuple[str, ...] = ()
    found: object = field(default=None, compare=False, repr=False)
    details: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    notices: tuple[Conflict, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "check": self.check,
            "version": self.version,
            "status": str(self.status),
            "llr": self.llr,
            "summary": self.summary,
            "reasons": list(self.reasons),
            "details": dict(self.details),
        }
