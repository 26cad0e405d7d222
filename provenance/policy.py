"""Who counts for how much: versioned data, named in every report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from assay.provenance.errors import UsageError


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds that turn facts into a verdict; the id in a report is name, version and a hash of all values.

    ``changed_area``: fraction of a recovered picture that may differ before its match is called an edit.
    ``llr_cap``: largest |log10 likelihood ratio| that any one witness may bring.
    ``checks``: names of the checks that run, in order.
    """

    name: str = "newsroom"
    version: int = 3
    changed_area: float = 0.02
    llr_cap: float = 3.0
    checks: tuple[str, ...] = (
        *("manifest", "metadata", "mark", "known-marks"),
        *("receipt", "anchor", "agreement", "detector:image"),
    )

    @property
    def id(self) -> str:
        """Name, version and the first 12 hex digits of the SHA-256 over all values."""
        data = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.name}/{self.version}#{hashlib.sha256(data).hexdigest()[:12]}"


NEWSROOM = Policy()
"""The default."""

POLICIES = {p.name: p for p in (NEWSROOM,)}


def choose_policy(
    name: str, checks: tuple[str, ...] | None = None, detectors: tuple[str, ...] = ()
) -> Policy:
    """Return a policy with ``detectors`` asked too that it does not name, narrowed to ``checks`` unless None.

    Raises UsageError where there is no such policy or check.
    """
    if name not in POLICIES:
        raise UsageError(f"there is no policy {name!r}", hint=f"one of {', '.join(POLICIES)}")
    policy = POLICIES[name]
    others = tuple(n for n in (f"detector:{d}" for d in detectors) if n not in policy.checks)
    policy = replace(policy, checks=(*policy.checks, *others))
    if checks is None:
        return policy
    unknown = sorted(set(checks) - set(policy.checks))
    if unknown:
        raise UsageError(f"there is no check {unknown[0]!r}", hint=f"one of {', '.join(policy.checks)}")
    return replace(policy, checks=tuple(c for c in policy.checks if c in checks))
