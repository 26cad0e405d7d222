"""The agreement witness: do manifest, samples, ledger entry, clocks and metadata tell one story?

The rules are those of docs/contradictions.md: what decides makes a conflict, the rest is only said. What is merely
missing or unknown is neutral.
"""

from __future__ import annotations

from assay.provenance import wording
from assay.provenance.contradictions.layers import Layers, gather
from assay.provenance.contradictions.rules import RULES, contradictions
from assay.provenance.evidence import Conflict, Evidence, Status
from assay.provenance.subject import Subject


class AgreementCheck:
    """Compares what the earlier witnesses said, pair by pair."""

    name = "agreement"
    version = f"2 ({len(RULES)} rules)"

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return every conflict and notice; absent where fewer than two layers say anything."""
        layers = gather(seen)
        conflicts, notices = contradictions(layers, wording.NOUNS.get(subject.asset.kind, "file"))
        both = coinciding(layers)
        status, summary = _summary(layers, conflicts, notices)
        if both and status is Status.PASS:
            where = "; ".join(wording.region_words(region) for region in both)
            summary += f" Where this copy differs from the original, its watermark is missing too: {where}."
        return Evidence(
            self.name,
            self.version,
            status,
            summary,
            conflicts=conflicts,
            notices=notices,
            reasons=tuple(f"{n.says[0]} {n.says[1]} {n.innocent}" for n in notices),
            details={"missing_and_changed": [list(region) for region in both]} if both else {},
        )


def _summary(
    layers: Layers, conflicts: tuple[Conflict, ...], notices: tuple[Conflict, ...]
) -> tuple[Status, str]:
    if conflicts:
        return (
            Status.FAIL,
            f"{len(conflicts)} contradiction{'s' if len(conflicts) > 1 else ''} between layers.",
        )
    if notices:
        things = f"{len(notices)} thing{'s' if len(notices) > 1 else ''} that {'do' if len(notices) > 1 else 'does'}"
        said = f"No contradiction that decides, but {things} not fit; see the reasons."
        return (Status.ABSENT if layers.count < 2 else Status.PASS), said
    if layers.count < 2:
        return Status.ABSENT, "Fewer than two layers to compare."
    return Status.PASS, f"{layers.count} layers tell one story."


def coinciding(layers: Layers) -> tuple[wording.Region, ...]:
    """Return the regions that differ from the original and do not carry its mark: two witnesses of one change."""
    mark, recovered = layers.mark, layers.recovered
    if not mark or not mark.extent or not recovered or not recovered.matches or not recovered.comparison:
        return ()
    if recovered.entry.mark != mark.mark:
        return ()
    return tuple(region for region in recovered.comparison.regions if mark.extent.misses(region))
