"""The metadata witness: what unsigned disclosures say. Anyone can write them: claims, never proof."""

from __future__ import annotations

from typing import Any, BinaryIO

from assay.provenance.blocks import MOST_METADATA, shipped
from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.errors import AssayError, UnsupportedError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.files.camera import CameraRecord, camera_record
from assay.provenance.files.disclosure import Disclosures, read_disclosures
from assay.provenance.files.hints import load_readers
from assay.provenance.files.picture import load_codecs
from assay.provenance.files.structure import layout
from assay.provenance.files.thumbnails import unlike
from assay.provenance.files.worker import Answer, Job
from assay.provenance.subject import Subject

CLAIMS_AI = "claims-ai"
"""Reason of the metadata's block where they claim that AI was used: how the file is built then counts for nothing."""


class MetadataCheck:
    """Reads IPTC, XMP, AIGC labels and generators' text chunks, and weighs how the file is built."""

    name = "metadata"
    version = "2"

    def job(self, subject: Subject) -> Job:
        """Return the parser of the disclosures and of the file's structure."""
        load_codecs()  # a sealed child can load nothing
        load_readers(subject.asset.media_type)

        def work(source: BinaryIO) -> Answer:
            found = read_disclosures(source, subject.asset.media_type, subject.limits)
            structure, oddities = _structure(source, subject)
            others = structure.get("unlike", ())
            record = camera_record(source, subject.asset.media_type, subject.limits, others).to_json()
            document = {"disclosures": found.to_json(), "structure": structure, "oddities": oddities}
            return Answer(document | {"record": record})

        return work

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the disclosures found; a claim of AI becomes CLAIMED_AI, never more."""
        header = subject.answer(self.name, self.job(subject)).header
        found = Disclosures.from_json(header["disclosures"])
        oddities = tuple(str(oddity) for oddity in header["oddities"])
        record = CameraRecord.from_json(header["record"])
        says_ai = found.source_type in AI_SOURCE_TYPES or bool(found.aigc) or bool(found.generators)
        llr, weighed = _weighed(record, says_ai)
        weighed |= {"structure": header["structure"]} if header["structure"] else {}
        if not found.any and llr is None:
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                "No disclosure in the metadata.",
                reasons=oddities,
                found=found,
                details=weighed,
            )
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            "Unsigned metadata claims that AI was used." if says_ai else "Metadata without a claim of AI.",
            facts=frozenset({Fact.CLAIMED_AI}) if says_ai else frozenset(),
            llr=llr,
            reasons=(*found.sentences(), *oddities, *((_BUILT,) if llr else ())),
            found=found,
            details=found.to_json() | weighed,
        )


_BUILT = (
    "It is built as cameras write files. That weighs a little, and never enough to lean: anyone can copy it from "
    "another file."
)


def _weighed(record: CameraRecord, says_ai: bool) -> tuple[float | None, dict[str, Any]]:
    """Return the log10 ratio of a file's structure, None where it says nothing, and what the details say of it."""
    calibration = shipped()
    weight, reason = calibration.structure(record.found, record.format)
    if says_ai:
        weight, reason = 0.0, CLAIMS_AI
    if not weight:
        return None, {"record": record.to_json(), "silence": reason}
    known = calibration.formats[record.format]
    rests = {"id": calibration.id, "condition": record.format, "files": record.found, "n": known.n}
    return weight, {"record": record.to_json(), "calibration": {**rests, "bound": MOST_METADATA}}


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
