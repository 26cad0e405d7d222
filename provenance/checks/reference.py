"""The reference witness: how the file compares with an original that the user supplies."""

from __future__ import annotations

from pathlib import Path

from assay.provenance.checks.receipt import changes_sentences
from assay.provenance.evidence import Evidence, Status
from assay.provenance.mark import Reading
from assay.provenance.media import Kind
from assay.provenance.protocols import Fingerprinter
from assay.provenance.subject import Subject


class ReferenceCheck:
    """Compares the picture with a reference, by bytes and by sketch: how alike they are, never whose they are."""

    name = "reference"
    version = "1"

    def __init__(self, reference: Path, fingerprinter: Fingerprinter) -> None:
        self.reference, self.fingerprinter = reference, fingerprinter

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return how alike they are, and where they differ; raises InputError if the reference cannot be read."""
        with Subject.open(self.reference, subject.limits) as other:
            if other.asset.digest == subject.asset.digest:
                return self._say(Status.PASS, "The same bytes as the reference.", {"same": True})
            if subject.asset.kind in (Kind.VIDEO, Kind.AUDIO):
                return self._followed(subject, other)
            if subject.asset.kind is not Kind.IMAGE:
                said = "Other bytes than the reference; only pictures, films and sounds are compared."
                return self._say(Status.ABSENT, said, {})
            sketch = self.fingerprinter.sketch(other.picture().media)
        readings = [e.found for e in seen if e.check == "mark" and isinstance(e.found, Reading)]
        frame = next((reading.frame for reading in readings if reading.frame), None)
        found = self.fingerprinter.compare(subject.picture().media, sketch, frame)
        details = {
            "same": found.same,
            "similarity": found.similarity,
            "changed": found.changed,
            "changed_regions": [list(r) for r in found.regions],
            "alignment": found.alignment,
        }
        if not found.same:
            return self._say(
                Status.ABSENT, "Not the picture of the reference, as far as its sketch tells.", details
            )
        where = (
            f"differs in {len(found.regions)} region(s), {found.changed:.0%}"
            if found.regions
            else "no region differs"
        )
        extents = [reading.extent for reading in readings if reading.extent]
        silent = any(extent.misses(region) for extent in extents for region in found.regions)
        too = " Our watermark is missing there too." if silent else ""
        return self._say(
            Status.PASS, f"The picture of the reference ({found.alignment}); {where}.{too}", details
        )

    def _followed(self, subject: Subject, other: Subject) -> Evidence:
        finger = self.fingerprinter
        found = finger.follow(finger.trail(subject.media()), finger.sketch(other.media()))
        details = {
            "same": found.same,
            "similarity": found.similarity,
            "changed": found.changed,
            "span": list(found.span or ()),
            "changed_seconds": [list(c) for c in found.changes],
            "alignment": found.alignment,
        }
        if not found.same:
            return self._say(
                Status.ABSENT, "Not a piece of the reference, as far as its trail tells.", details
            )
        told = " ".join(changes_sentences(found)) or "Nothing differs."
        return self._say(Status.PASS, f"The reference, {found.alignment}. {told}", details)

    def _say(self, status: Status, summary: str, details: dict[str, object]) -> Evidence:
        return Evidence(self.name, self.version, status, summary, details=details)
