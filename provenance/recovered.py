"""A ledger entry that a file led to, and how the file compares with what the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass

from assay.provenance.entry import Entry
from assay.provenance.manifest import Manifest
from assay.provenance.protocols import Comparison
from assay.provenance.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Lead:
    """An entry that the file led to on the way to the best one: how, which, and whether its picture is this one."""

    by: str
    index: int
    manifest_label: str
    matches: bool
    compared: bool


def _in_time(comparison: Comparison) -> dict[str, object]:
    """Return what is said of films and sounds alone: the original's seconds, and the received's that differ."""
    return {"span": list(comparison.span or ()), "changed_seconds": [list(c) for c in comparison.changes]}


@dataclass(frozen=True, slots=True)
class Recovered:
    """How an entry was found (``digest``, ``manifest``, ``watermark`` or ``fingerprint``), with its valid receipt.

    ``comparison`` is None where the bytes are the very same or nothing was kept to compare with; ``matches``
    whether bytes or pixels are those of the original; ``manifest`` the original credentials, if kept; ``leads`` the
    other entries that were compared before.
    """

    by: str
    receipt: Receipt
    comparison: Comparison | None
    manifest: Manifest | None
    matches: bool
    leads: tuple[Lead, ...] = ()

    @property
    def entry(self) -> Entry:
        """The entry itself."""
        return self.receipt.entry

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        entry, comparison = self.entry, self.comparison
        return {
            "by": self.by,
            "entry": {
                "index": self.receipt.index,
                "leaf_hash": self.receipt.leaf_hash.hex(),
                "log": self.receipt.origin,
                "digest": str(entry.digest),
                "time": entry.time,
                "source_type": entry.source_type,
                "generator": entry.generator,
                "mark": str(entry.mark) if entry.mark else None,
                "manifest_label": entry.manifest_label,
            },
            "receipt": self.receipt.text,
            "matches": self.matches,
            "similarity": comparison.similarity if comparison else 1.0,
            "alignment": comparison.alignment if comparison else "the same bytes",
            "changed": comparison.changed if comparison else 0.0,
            "changed_regions": [list(r) for r in comparison.regions] if comparison else [],
            **(_in_time(comparison) if comparison and comparison.span else {}),
            "manifest": self.manifest.to_json() if self.manifest else None,
        }
