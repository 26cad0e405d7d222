"""Rules about what made the picture: a camera, a person, or a model."""

from __future__ import annotations

from assay.provenance.claim import AI_SOURCE_TYPES, CAPTURE_SOURCE_TYPES
from assay.provenance.contradictions.layers import (
    WHOLLY_AI,
    Layers,
    captured,
    created_as,
    generated,
    in_history,
    made_from,
    tells_ai,
    unchanged,
)
from assay.provenance.contradictions.rule import Rule, Says, conflict, notice
from assay.provenance.files.disclosure import Disclosures
from assay.provenance.manifest import Manifest
from assay.provenance.text import safe_text

HUMAN_SOURCE_TYPES = frozenset({"digitalCreation", "digitalArt"})
"""Made by a person with tools that generate nothing (IPTC)."""
CAMERA = "The credentials say that a camera captured this picture."
_AI_SAID = "The credentials say that AI made this picture."
_UNSEALED = frozenset(
    {f"assertion.{kind}Hash.additionalExclusionsPresent" for kind in ("data", "bmff", "boxes")}
)


@conflict(
    "integrity-clash",
    ("manifest", "known-marks"),
    "Whoever had the picture before it was signed can have added the mark, and a reader of marks can be wrong. "
    "Ask the signer for the camera's own file.",
)
def integrity_clash(layers: Layers) -> Says:
    """The manifest says camera, and a generator's mark is in the samples."""
    manifest, known = layers.speaking, layers.known
    if not manifest or not known or not known.mark or not captured(manifest):
        return None
    return CAMERA, _carries(known.mark.id)


@notice(
    "human-creation-clash",
    ("manifest", "known-marks"),
    "A drawing may contain, or be exported by, something that leaves the mark. Ask its maker which tools were used.",
)
def human_creation_clash(layers: Layers) -> Says:
    """The manifest says that a person made it without a generator, and a generator's mark is in the samples."""
    manifest, known = layers.speaking, layers.known
    if not manifest or not known or not known.mark or tells_ai(manifest):
        return None
    if created_as(manifest) not in HUMAN_SOURCE_TYPES or manifest.ingredients:
        return None
    return "The credentials say that a person made this picture without AI.", _carries(known.mark.id)


@conflict(
    "disclosure-clash",
    ("manifest", "metadata"),
    "An older label may have been left in the file when it was signed. Ask the signer which of the two is right.",
)
def disclosure_clash(layers: Layers) -> Says:
    """The manifest says camera, and the metadata that it covers says AI."""
    manifest = layers.speaking
    if not manifest or not captured(manifest) or not _sealed(manifest):
        return None
    said = _says_ai(layers.disclosures)
    return (CAMERA, said) if said else None


@notice(
    "unsealed-disclosure",
    ("manifest", "metadata"),
    "The signature leaves parts of the file out, so that anyone can have written this label later, also to discredit "
    "the picture.",
)
def unsealed_disclosure(layers: Layers) -> Says:
    """The manifest says camera, and metadata that it need not cover say AI."""
    manifest = layers.speaking
    if not manifest or not captured(manifest) or _sealed(manifest):
        return None
    said = _says_ai(layers.disclosures)
    return (CAMERA, said) if said else None


@notice(
    "generator-settings-in-a-capture",
    ("manifest", "metadata"),
    "A name in a text field is weak: programs that can generate also crop and export. Ask what was done with it.",
)
def generator_settings(layers: Layers) -> Says:
    """The manifest says camera, and text fields name a generator."""
    manifest, disclosures = layers.speaking, layers.disclosures
    if not manifest or not disclosures or not disclosures.generators or not captured(manifest):
        return None
    if _says_ai(disclosures):
        return None  # said by a stronger rule
    names = safe_text(", ".join(disclosures.generators), 120)
    return CAMERA, f"The metadata in the same file name {names}."


@notice(
    "capture-label-on-ai",
    ("manifest", "metadata"),
    "A label of the photograph that the model was given is often carried over. The credentials are signed, the label "
    "is not.",
)
def capture_label(layers: Layers) -> Says:
    """The manifest says that AI made all of it, and the metadata's own label camera."""
    manifest, disclosures = layers.speaking, layers.disclosures
    if not manifest or not disclosures or created_as(manifest) != WHOLLY_AI:
        return None
    if disclosures.source_type not in CAPTURE_SOURCE_TYPES or any(made_from(manifest.ingredients)):
        return None
    return _AI_SAID, _label(disclosures)


@notice(
    "camera-metadata-with-a-mark",
    ("metadata", "known-marks"),
    "Metadata are easily copied from a photograph, and a mark easily added to one: either can be the later one.",
)
def camera_metadata(layers: Layers) -> Says:
    """Unsigned metadata say camera, and a generator's mark is in the samples."""
    disclosures, known = layers.disclosures, layers.known
    if not disclosures or not known or not known.mark or layers.manifest or _says_ai(disclosures):
        return None
    if disclosures.source_type in CAPTURE_SOURCE_TYPES:
        return _label(disclosures), _carries(known.mark.id)
    if not disclosures.camera or not disclosures.captured:
        return None
    camera = safe_text(disclosures.camera, 80)
    return f"The metadata name a camera ({camera}) and a time of capture.", _carries(known.mark.id)


@conflict(
    "source-type-clash",
    ("manifest", "receipt"),
    "One of the two signers may have chosen the wrong word, or the ledger may hold a stranger's copy. "
    "Ask both what they know of the picture's making.",
)
def source_type_clash(layers: Layers) -> Says:
    """The manifest says camera and the ledger's entry for the same picture AI, or the reverse."""
    manifest, recovered = layers.speaking, layers.same
    if not manifest or not recovered or in_history(manifest, recovered):
        return None  # what was done to the original since is told by the manifest itself
    entry, where = recovered.entry, f"The ledger's entry {recovered.receipt.index} for the same picture"
    if captured(manifest) and entry.source_type in AI_SOURCE_TYPES:
        return CAMERA, f"{where} says that AI made all or part of it."
    if generated(manifest) and entry.source_type in CAPTURE_SOURCE_TYPES:
        return _AI_SAID, f"{where} says that a camera captured it."
    return None


@notice(
    "label-against-entry",
    ("metadata", "receipt"),
    "The label is unsigned and the entry is the logger's own word: ask who logged it, and who wrote the label.",
)
def label_against_entry(layers: Layers) -> Says:
    """No manifest speaks; the label in the metadata and the entry for the same, unchanged picture say the opposite."""
    disclosures, recovered = layers.disclosures, layers.same
    if layers.manifest or not disclosures or not recovered or not unchanged(recovered):
        return None
    kind, where = recovered.entry.source_type, f"The ledger's entry {recovered.receipt.index}"
    if disclosures.source_type in CAPTURE_SOURCE_TYPES and kind in AI_SOURCE_TYPES:
        return _label(disclosures), f"{where} for the same picture says that AI made all or part of it."
    if disclosures.source_type in AI_SOURCE_TYPES and kind in CAPTURE_SOURCE_TYPES:
        return _label(disclosures), f"{where} for the same picture says that a camera captured it."
    return None


@conflict(
    "mark-against-entry",
    ("known-marks", "receipt"),
    "Anyone who has a photograph can add a generator's mark to it, also to discredit it. "
    "Compare with the file that was logged.",
)
def mark_against_entry(layers: Layers) -> Says:
    """The ledger knows the same, unchanged picture as a capture, and this copy carries a generator's mark."""
    known, recovered = layers.known, layers.same
    if not known or not known.mark or not recovered or not unchanged(recovered):
        return None
    if recovered.entry.source_type not in CAPTURE_SOURCE_TYPES:
        return None
    if layers.speaking and tells_ai(layers.speaking):
        return None  # the credentials themselves tell of AI, which explains the mark
    index = recovered.receipt.index
    return _carries(
        known.mark.id
    ), f"The ledger's entry {index} for the same picture says that a camera captured it."


@conflict(
    "ancestor-clash",
    ("manifest", "ingredient"),
    "A photograph of a print or a screen that shows an AI picture is honestly both, if the AI picture is named as "
    "what was in front of the camera. Ask the signer what the ancestor was for.",
)
def ancestor_clash(layers: Layers) -> Says:
    """The manifest says that a camera captured the picture anew, and that it was made from one that AI made whole."""
    manifest = layers.speaking
    if not manifest:
        return None
    first = next((a for a in manifest.actions if a.action == "c2pa.created"), None)
    if not first or first.source_type not in CAPTURE_SOURCE_TYPES:
        return None
    if {a.source_type for a in manifest.actions} & AI_SOURCE_TYPES:
        return None
    parents = (i for i in manifest.ingredients if i.relationship == "parentOf")
    parent = next((i for i in parents if i.actions and i.actions[0].source_type == WHOLLY_AI), None)
    if not parent:
        return None
    title = safe_text(parent.title, 80)
    return (
        CAMERA,
        f"They also say that it was made from “{title}”, whose own credentials say that AI made it.",
    )


RULES: tuple[Rule, ...] = (
    integrity_clash,
    human_creation_clash,
    disclosure_clash,
    unsealed_disclosure,
    generator_settings,
    capture_label,
    camera_metadata,
    source_type_clash,
    label_against_entry,
    mark_against_entry,
    ancestor_clash,
)


def _carries(mark: str) -> str:
    return f"The picture carries the watermark that {safe_text(mark, 80)} leaves."


def _label(disclosures: Disclosures) -> str:
    return f"The metadata in the same file state the source type {safe_text(disclosures.source_type, 80)}."


def _says_ai(disclosures: Disclosures | None) -> str:
    if disclosures and disclosures.source_type in AI_SOURCE_TYPES:
        return _label(disclosures)
    if disclosures and disclosures.aigc.get("Label") == "1":
        return "The metadata in the same file carry a label (GB 45438) that says: generated by AI."
    return ""


def _sealed(manifest: Manifest) -> bool:
    return not _UNSEALED & set(manifest.codes)
