"""The metadata witness: what unsigned disclosures say. Anyone can write them: claims, never proof."""

from __future__ import annotations

from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.files.disclosure import read_disclosures_isolated
from assay.provenance.subject import Subject


class MetadataCheck:
    """Reads IPTC, XMP, AIGC labels and generators' text chunks."""

    name = "metadata"
    version = "1"

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the disclosures found; a claim of AI becomes CLAIMED_AI, never more."""
        found = read_disclosures_isolated(subject.stream, subject.asset.media_type, subject.limits)
        says_ai = found.source_type in AI_SOURCE_TYPES or bool(found.aigc) or bool(found.generators)
        if not found.any:
            return Evidence(self.name, self.version, Status.ABSENT, "No disclosure in the metadata.", found=found)
        reasons = found.sentences()
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            "Unsigned metadata claims that AI was used." if says_ai else "Metadata without a claim of AI.",
            facts=frozenset({Fact.CLAIMED_AI}) if says_ai else frozenset(),
            reasons=reasons,
            found=found,
            details=found.to_json(),
        )
