"""The metadata witness: what unsigned disclosures say. Anyone can write them: claims, never proof."""

from __future__ import annotations

from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.errors import AssayError, UnsupportedError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.files.disclosure import read_disclosures_isolated
from assay.provenance.files.structure import layout_isolated
from assay.provenance.subject import Subject


class MetadataCheck:
    """Reads IPTC, XMP, AIGC labels and generators' text chunks."""

    name = "metadata"
    version = "1"

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the disclosures found; a claim of AI becomes CLAIMED_AI, never more."""
        found = read_disclosures_isolated(subject.stream, subject.asset.media_type, subject.limits)
        oddities = _oddities(subject)
        says_ai = found.source_type in AI_SOURCE_TYPES or bool(found.aigc) or bool(found.generators)
        if not found.any:
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                "No disclosure in the metadata.",
                reasons=oddities,
                found=found,
            )
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            "Unsigned metadata claims that AI was used." if says_ai else "Metadata without a claim of AI.",
            facts=frozenset({Fact.CLAIMED_AI}) if says_ai else frozenset(),
            reasons=(*found.sentences(), *oddities),
            found=found,
            details=found.to_json(),
        )


def _oddities(subject: Subject) -> tuple[str, ...]:
    """What the file holds besides the one picture that was examined, as sentences."""
    try:
        layout = layout_isolated(subject.stream, subject.asset.media_type, subject.limits)
    except UnsupportedError:
        return ()
    except AssayError as error:
        return (f"Its structure could not be followed: {error.message}.",)
    return tuple(f"The file {oddity}." for oddity in layout.oddities)
