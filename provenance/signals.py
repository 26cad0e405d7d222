"""What a manifest says of a file's origin and making, in the names of the C2PA's own asset rubrics.

Rubric "C2PA Asset Signals (Local)" 1.0 of 2026-08-06 (c2pa-org/conformance-public, asset-rubrics). It reads the
actions; ``ambiguousActions`` is left out, because it rests on parts of a claim that are not kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.provenance.manifest import Action, Manifest

_INCEPTION = {
    "empty": "blankCanvas",
    "digitalCapture": "capturedMedia",
    "computationalCapture": "capturedMedia",
    "compositeCapture": "capturedMediaStitched",
    "composite": "compositionMayContainGenAI",
    "trainedAlgorithmicMedia": "fullyGenAIMedia",
    "digitalCreation": "nonGenAIDigitalCreation",
    "compositeWithTrainedAlgorithmicMedia": "partlyGenAICreation",
    "screenCapture": "screenCaptureMayContainGenAI",
}
_FIRST = frozenset({"c2pa.created", "c2pa.opened"})
_NON_EDITORIAL = frozenset(
    {
        "c2pa.converted", "c2pa.published", "c2pa.repackaged", "c2pa.transcoded", "c2pa.resized.proportional",
        "c2pa.enhanced", "c2pa.edited.metadata", "c2pa.watermarked", "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound", "c2pa.redacted",
    }
)  # fmt: skip
_GENAI = frozenset(
    {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "compositeSynthetic",
        "trainedAlgorithmicData",
    }
)
_POSSIBLY_GENAI = frozenset({"digitalArt", "composite"})


def signals(manifest: Manifest) -> tuple[str, ...]:
    """Return the ids of the rubric's signals that a manifest contains, sorted; what it says, whoever says it."""
    found = {name for action in manifest.actions for name in _of(action)}
    if any(not ingredient.label for ingredient in manifest.ingredients):
        found.add("inception:signal_mediaUnknownProvenance")
    return tuple(sorted(found))


def _of(action: Action) -> list[str]:
    kind = action.source_type
    if action.action in _FIRST:
        return [f"inception:signal_{_INCEPTION[kind]}"] if kind in _INCEPTION else []
    if action.action in _NON_EDITORIAL:
        return ["transformation:signal_nonEditorial"]
    # "metadata" stands for no action: a source type in the signed metadata, which the rubric does not read.
    return _perceptible(kind) if kind and action.action != "metadata" else []


def _perceptible(kind: str) -> list[str]:
    found = ["perceptibleGenAI" if kind in _GENAI else "perceptibleNonGenAI"]
    found += ["perceptiblePossiblyGenAI"] if kind in _POSSIBLY_GENAI else []
    return [f"transformation:signal_{name}" for name in found]
