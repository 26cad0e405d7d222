"""The agreement witness: do manifest, samples, ledger entry and metadata tell one story?

Each rule compares two layers and returns a Conflict with a sentence for each, or None. A rule fires only on
facts that cannot both be right; what is merely missing or unknown is neutral. ``Layers.whole``: the mark lies where
embedding puts it, so that only then may a picture unlike the original accuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assay.provenance import wording
from assay.provenance.claim import AI_SOURCE_TYPES, CAPTURE_SOURCE_TYPES
from assay.provenance.evidence import Conflict, Evidence, Status
from assay.provenance.files.disclosure import Disclosures
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.mark import Reading
from assay.provenance.recovered import Recovered
from assay.provenance.report import manifest_of, recovered_of
from assay.provenance.subject import Subject
from assay.provenance.text import safe_text

SURE_SIMILARITY = 0.97
"""Least likeness at which a match by fingerprint alone may contradict a manifest."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What each layer says, gathered from the evidence; None where it says nothing."""

    manifest: Manifest | None
    mark: Reading | None
    known: Reading | None
    recovered: Recovered | None
    disclosures: Disclosures | None
    whole: bool

    @property
    def count(self) -> int:
        """How many layers say something."""
        return sum(
            x is not None for x in (self.manifest, self.mark, self.known, self.recovered, self.disclosures)
        )


Rule = Callable[[Layers], Conflict | None]


def _speaks(manifest: Manifest | None) -> bool:
    return manifest is not None and manifest.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED)


def soft_binding(layers: Layers) -> Conflict | None:
    """The manifest names a mark of ours, and another is in the samples."""
    manifest, mark = layers.manifest, layers.mark
    if not manifest or not mark or not mark.mark or not _speaks(manifest):
        return None
    for binding in manifest.soft_bindings:
        if binding.alg == mark.mark.scheme and binding.value.lower() != mark.mark.id.lower():
            return Conflict(
                "soft-binding-collision",
                ("manifest", "mark"),
                (
                    f"The credentials name the watermark {safe_text(binding.value, 80)}.",
                    f"The picture carries the watermark {mark.mark.id}.",
                ),
            )
    return None


def synthesis_clash(layers: Layers) -> Conflict | None:
    """The manifest says camera, and a generator's mark is in the samples."""
    manifest, known = layers.manifest, layers.known
    if not manifest or not known or not known.mark or not _speaks(manifest):
        return None
    if _captured(manifest):
        return Conflict(
            "integrity-clash",
            ("manifest", "known-marks"),
            (
                "The credentials say that a camera captured this picture.",
                f"The picture carries the watermark that {safe_text(known.mark.id, 80)} leaves.",
            ),
        )
    return None


def entry_clash(layers: Layers) -> Conflict | None:
    """The manifest says camera and the ledger's entry for the same picture AI, or the reverse."""
    manifest, recovered = layers.manifest, layers.recovered
    if not manifest or not recovered or not _speaks(manifest) or not _surely_same(recovered):
        return None
    entry = recovered.entry
    if _in_history(manifest, recovered):
        return None  # what was done to the original since is told by the manifest itself
    if _captured(manifest) and entry.source_type in AI_SOURCE_TYPES:
        says = (
            "The credentials say that a camera captured this picture.",
            f"The ledger's entry {recovered.receipt.index} for the same picture says that AI made it.",
        )
    elif _generated(manifest) and entry.source_type in CAPTURE_SOURCE_TYPES:
        says = (
            "The credentials say that AI made this picture.",
            f"The ledger's entry {recovered.receipt.index} for the same picture says that a camera captured it.",
        )
    else:
        return None
    return Conflict("source-type-clash", ("manifest", "receipt"), says)


def dropped_history(layers: Layers) -> Conflict | None:
    """The manifest says the picture began with it, and the ledger knows it from another signer, earlier."""
    manifest, recovered = layers.manifest, layers.recovered
    if not manifest or not recovered or not _speaks(manifest) or not _surely_same(recovered):
        return None
    entry = recovered.entry
    begins = any(a.action == "c2pa.created" for a in manifest.actions)
    if not begins or not entry.manifest_label or _in_history(manifest, recovered):
        return None
    if not entry.signer or entry.signer == manifest.signer.certificate or _one_house(manifest, recovered):
        return None
    return Conflict(
        "dropped-history",
        ("manifest", "receipt"),
        (
            "The credentials say that this picture was created under them, without any history.",
            f"The ledger holds the same picture from another signer, logged at {safe_text(entry.time, 40)} "
            f"(entry {recovered.receipt.index}).",
        ),
    )


def transplanted_mark(layers: Layers) -> Conflict | None:
    """The mark leads to an entry whose picture is another one, though nothing was cropped that could hide it."""
    recovered = layers.recovered
    if not recovered or recovered.matches or recovered.by != "watermark" or not recovered.comparison:
        return None
    if not layers.whole:
        return None
    return Conflict(
        "copied-mark",
        ("mark", "receipt"),
        (
            f"The watermark in this picture belongs to entry {recovered.receipt.index} of the ledger.",
            "The ledger's sketch of that entry shows a different picture: the mark was copied here, "
            "or the picture replaced under it.",
        ),
    )


def disclosure_clash(layers: Layers) -> Conflict | None:
    """The manifest says camera, and the metadata that it covers says AI."""
    manifest, disclosures = layers.manifest, layers.disclosures
    if not manifest or not disclosures or not _speaks(manifest):
        return None
    if _captured(manifest) and disclosures.source_type in AI_SOURCE_TYPES:
        return Conflict(
            "disclosure-clash",
            ("manifest", "metadata"),
            (
                "The credentials say that a camera captured this picture.",
                f"The metadata in the same file states the source type {safe_text(disclosures.source_type, 80)}.",
            ),
        )
    return None


def other_file(layers: Layers) -> Conflict | None:
    """The manifest is one the ledger knows, intact, but on a different picture."""
    manifest, recovered = layers.manifest, layers.recovered
    if (
        not manifest
        or not recovered
        or recovered.by != "manifest"
        or recovered.matches
        or not _speaks(manifest)
    ):
        return None
    if not recovered.comparison or not layers.whole:
        return None
    return Conflict(
        "manifest-on-another-picture",
        ("manifest", "receipt"),
        (
            f"The ledger logged these credentials with another picture (entry {recovered.receipt.index}).",
            "Here they stand on a picture that is not that one.",
        ),
    )


RULES: tuple[Rule, ...] = (
    soft_binding,
    synthesis_clash,
    entry_clash,
    dropped_history,
    transplanted_mark,
    disclosure_clash,
    other_file,
)


class AgreementCheck:
    """Compares what the earlier witnesses said, pair by pair."""

    name = "agreement"
    version = f"1 ({len(RULES)} rules)"

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return every conflict; absent where fewer than two layers say anything."""
        layers = gather(seen)
        conflicts = tuple(c for c in (rule(layers) for rule in RULES) if c)
        if conflicts:
            return Evidence(
                self.name,
                self.version,
                Status.FAIL,
                f"{len(conflicts)} contradiction{'s' if len(conflicts) > 1 else ''} between layers.",
                conflicts=conflicts,
            )
        if layers.count < 2:
            return Evidence(self.name, self.version, Status.ABSENT, "Fewer than two layers to compare.")
        both = coinciding(layers)
        where = "; ".join(wording.region_words(region) for region in both)
        said = f" Where this copy differs from the original, its watermark is missing too: {where}."
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            f"{layers.count} layers tell one story.{said if both else ''}",
            details={"missing_and_changed": [list(region) for region in both]} if both else {},
        )


def gather(seen: tuple[Evidence, ...]) -> Layers:
    """Collect the layers that the evidence carries."""
    manifest = manifest_of(seen)
    readings = {e.check: e.found for e in seen if isinstance(e.found, Reading)}
    disclosures = next(
        (e.found for e in seen if isinstance(e.found, Disclosures) and e.status is Status.PASS), None
    )
    mark = readings.get("mark")
    return Layers(
        manifest=manifest if manifest.state is not ManifestState.ABSENT else None,
        mark=mark,
        known=readings.get("known-marks"),
        recovered=recovered_of(seen),
        disclosures=disclosures,
        whole=bool(mark and mark.aligned),
    )


def coinciding(layers: Layers) -> tuple[wording.Region, ...]:
    """Return the regions that differ from the original and do not carry its mark: two witnesses of one change."""
    mark, recovered = layers.mark, layers.recovered
    if not mark or not mark.extent or not recovered or not recovered.matches or not recovered.comparison:
        return ()
    if recovered.entry.mark != mark.mark:
        return ()
    return tuple(region for region in recovered.comparison.regions if mark.extent.misses(region))


def _surely_same(recovered: Recovered) -> bool:
    """Whether the match can bear an accusation: one frame of a burst looks like the next."""
    if not recovered.matches:
        return False
    likeness = recovered.comparison.similarity if recovered.comparison else 1.0
    return recovered.by != "fingerprint" or likeness >= SURE_SIMILARITY


def _in_history(manifest: Manifest, recovered: Recovered) -> bool:
    return recovered.entry.manifest_label in {manifest.label, *(i.label for i in manifest.history())} - {""}


def _one_house(manifest: Manifest, recovered: Recovered) -> bool:
    """Whether both signers are trusted and of one organisation, as after a certificate was renewed."""
    original = recovered.manifest
    if manifest.state is not ManifestState.TRUSTED or not original or not original.signer_trusted:
        return False
    return bool(manifest.signer.organization) and manifest.signer.organization == original.signer.organization


def _captured(manifest: Manifest) -> bool:
    return manifest.source_type in CAPTURE_SOURCE_TYPES


def _generated(manifest: Manifest) -> bool:
    return manifest.source_type in AI_SOURCE_TYPES
