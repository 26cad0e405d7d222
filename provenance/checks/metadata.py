"""The metadata witness: what unsigned disclosures say. Anyone can write them: claims, never proof."""

from __future__ import annotations

from typing import Any, BinaryIO

from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.errors import AssayError, UnsupportedError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.files.disclosure import Disclosures, read_disclosures
from assay.provenance.files.hints import load_readers
from assay.provenance.files.picture import load_codecs
from assay.provenance.files.structure import layout
from assay.provenance.files.thumbnails import unlike
from assay.provenance.files.worker import Answer, Job
from assay.provenance.subject import Subject


class MetadataCheck:
    """Reads IPTC, XMP, AIGC labels and generators' text chunks."""

    name = "metadata"
    version = "1"

    def job(self, subject: Subject) -> Job:
        """Return the parser of the disclosures and of the file's structure."""
        load_codecs()  # a sealed child can load nothing
        load_readers(subject.asset.media_type)

        def work(source: BinaryIO) -> Answer:
            found = read_disclosures(source, subject.asset.media_type, subject.limits)
            structure, oddities = _structure(source, subject)
            return Answer({"disclosures": found.to_json(), "structure": structure, "oddities": oddities})

        return work

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the disclosures found; a claim of AI becomes CLAIMED_AI, never more."""
        header = subject.answer(self.name, self.job(subject)).header
        found = Disclosures.from_json(header["disclosures"])
        oddities = tuple(str(oddity) for oddity in header["oddities"])
        says_ai = found.source_type in AI_SOURCE_TYPES or bool(found.aigc) or bool(found.generators)
        if not found.any:
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                "No disclosure in the metadata.",
                reasons=oddities,
                found=found,
                details={"structure": header["structure"]} if header["structure"] else {},
            )
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            "Unsigned metadata claims that AI was used." if says_ai else "Metadata without a claim of AI.",
            facts=frozenset({Fact.CLAIMED_AI}) if says_ai else frozenset(),
            reasons=(*found.sentences(), *oddities),
            found=found,
            details=found.to_json() | ({"structure": header["structure"]} if header["structure"] else {}),
        )


def _structure(source: BinaryIO, subject: Subject) -> tuple[dict[str, Any], list[str]]:
    """Say what the file holds besides the one picture that was examined, as JSON values and as sentences."""
    try:
        found = layout(source, subject.asset.media_type, subject.limits)
    except UnsupportedError:
        return {}, []
    except AssayError as error:
        return {}, [f"Its structure could not be followed: {error.message}."]
    names = unlike(source, subject.limits) if subject.asset.media_type == "image/jpeg" else []
    structure = {
        "appended": found.appended,
        "appended_type": found.appended_type,
        "second_formats": list(found.second_formats),
        "unlike": names,
    }
    sentences = [f"The file {oddity}." for oddity in found.oddities]
    sentences += [f"The file holds a {name} that shows something else than its picture." for name in names]
    return {name: value for name, value in structure.items() if value}, sentences
