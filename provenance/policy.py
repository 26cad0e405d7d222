"""Who counts for how much: versioned data, named in every report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds that turn facts into a verdict; the id in a report is name, version and a hash of all values.

    ``changed_area``: fraction of a recovered picture that may differ before its match is called an edit.
    ``llr_cap``: largest |log10 likelihood ratio| that any one witness may bring.
    ``checks``: names of the checks that run, in order.
    """

    name: str = "newsroom"
    version: int = 2
    changed_area: float = 0.02
    llr_cap: float = 3.0
    checks: tuple[str, ...] = (
        *("manifest", "metadata", "mark", "known-marks"),
        *("receipt", "anchor", "agreement"),
    )

    @property
    def id(self) -> str:
        """Name, version and the first 12 hex digits of the SHA-256 over all values."""
        data = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.name}/{self.version}#{hashlib.sha256(data).hexdigest()[:12]}"


NEWSROOM = Policy()
"""The default."""

POLICIES = {p.name: p for p in (NEWSROOM,)}
