"""The answer about one file. Format: docs/formats/report.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from assay.provenance.asset import Asset
from assay.provenance.evidence import Conflict, Evidence, Status
from assay.provenance.files.sandbox import NO_SANDBOX, Sandbox
from assay.provenance.manifest import ABSENT, Manifest, SigningTime
from assay.provenance.media import Kind
from assay.provenance.recovered import Recovered
from assay.provenance.weighing import Block

REPORT_TYPE = "assay.report/v1"


class Verdict(StrEnum):
    """The five verdicts, strongest first; docs/verdicts.md says what each means and does not mean."""

    CONFLICT = "conflict"
    MARKED_AI = "marked-ai"
    SOURCE_CONFIRMED = "source-confirmed"
    SOURCE_RECOVERED = "source-recovered"
    INCONCLUSIVE = "inconclusive"


class Integrity(StrEnum):
    """Whether bytes or pixels are those that were signed or logged."""

    INTACT = "intact"
    ALTERED = "altered"
    AS_DECLARED = "as-declared"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who says where the file comes from: status trusted, untrusted, claimed or unknown; signer, list, time."""

    status: str = "unknown"
    signer: str = ""
    list: str = ""
    time: SigningTime = field(default_factory=SigningTime)
    development: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "status": self.status,
            "signer": self.signer,
            "list": self.list,
            "time": self.time.to_json(),
            "development": self.development,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """A position between "not authentic" (0) and "authentic" (1), with the weight of evidence behind it.

    ``log10_lr`` is the summed log10 likelihood ratio, ``interval`` its bounds, ``band`` the verbal band
    (ENFSI 2015), ``false_alarms_per_1000`` how many like files would wrongly get such a score, None if unknown.
    ``blocks`` are what was weighed, and what says nothing and why.
    """

    value: float
    log10_lr: float
    interval: tuple[float, float]
    band: str
    false_alarms_per_1000: float | None
    calibration: dict[str, object]
    blocks: tuple[Block, ...] = ()

    def detail(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "log10_lr": self.log10_lr,
            "interval": list(self.interval),
            "band": self.band,
            "false_alarms_per_1000": self.false_alarms_per_1000,
            "calibration": self.calibration,
            "blocks": [block.to_json() for block in self.blocks],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One file's evidence and verdict; the same inputs and policy give the same report.

    ``headline`` is one plain sentence; ``without`` maps each check to the verdict had it said nothing.
    """

    asset: Asset
    verdict: Verdict
    headline: str
    leaning: str
    integrity: Integrity
    origin: Origin
    synthesis: str
    source_type: str
    evidence: tuple[Evidence, ...]
    conflicts: tuple[Conflict, ...]
    manifest: Manifest
    recovered: Recovered | None
    score: Score | None
    without: dict[str, str]
    policy: str
    trust: tuple[dict[str, object], ...]
    engines: dict[str, str]
    time: str
    sandbox: Sandbox = NO_SANDBOX

    @property
    def unprocessed(self) -> str:
        """Why there was nothing to report on (an unknown format, a broken picture), or "" if there was."""
        if self.verdict is not Verdict.INCONCLUSIVE or self.manifest.label or self.recovered:
            return ""
        if self.asset.kind is Kind.UNKNOWN:
            return f"{self.asset.media_type} is not a kind of file that can be examined"
        broken = (e for e in self.evidence if e.status is Status.ERROR and e.check in ("mark", "known-marks"))
        return next((e.reasons[0] for e in broken if e.reasons), "")

    @property
    def notices(self) -> tuple[Conflict, ...]:
        """What does not fit and yet decides nothing, by rule."""
        found = {notice for e in self.evidence for notice in e.notices}
        return tuple(sorted(found, key=lambda n: (n.rule, n.between, n.says)))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; strings from the file are raw, as JSON escapes them itself."""
        return {
            "type": REPORT_TYPE,
            "asset": self.asset.to_json(),
            "verdict": str(self.verdict),
            "headline": self.headline,
            "score": self.score.value if self.score else None,
            "score_detail": self.score.detail() if self.score else None,
            "leaning": self.leaning,
            "axes": {
                "integrity": str(self.integrity),
                "origin": self.origin.to_json(),
                "synthesis": self.synthesis,
                "source_type": self.source_type or None,
            },
            "manifest": self.manifest.to_json(),
            "evidence": [e.to_json() for e in self.evidence],
            "conflicts": [c.to_json() for c in self.conflicts],
            "notices": [n.to_json() for n in self.notices],
            "recovered": {**self.recovered.to_json(), "anchors": self._anchors()} if self.recovered else None,
            "without": self.without,
            "policy": self.policy,
            "trust": list(self.trust),
            "engines": self.engines,
            "sandbox": self.sandbox.to_json(),
            "time": self.time,
        }

    def _anchors(self) -> list[dict[str, object]]:
        """Return what anchors say of the recovered entry, as the anchor check saw it."""
        found = (e.details.get("anchors") for e in self.evidence if e.check == "anchor")
        return list(next(found, None) or [])

    def dumps(self) -> str:
        """Return the report as one line of ASCII JSON."""
        return json.dumps(self.to_json(), ensure_ascii=True, allow_nan=False)

    def _repr_html_(self) -> str:
        from assay.provenance.page import fragment

        return fragment(self)


def manifest_of(evidence: tuple[Evidence, ...]) -> Manifest:
    """Return the manifest that the evidence carries, or an absent one."""
    return next((e.found for e in evidence if isinstance(e.found, Manifest)), ABSENT)


def recovered_of(evidence: tuple[Evidence, ...]) -> Recovered | None:
    """Return the recovered entry that the evidence carries."""
    return next((e.found for e in evidence if isinstance(e.found, Recovered)), None)
