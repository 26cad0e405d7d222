"""The words for what detectors say: a leaning with its false alarms, never an accusation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.provenance.evidence import Evidence, Fact
from assay.provenance.opinion import Explanation, Opinion, Spectrum
from assay.provenance.text import safe_text
from assay.provenance.weighing import Block

CAUTION = (
    "A detector can be wrong about any one picture: it compares with the pictures that it learned from. Retouching, "
    "noise reduction and recompression move it, and so can whoever means to deceive it."
)
OUTWEIGHED = "It does not weigh here: something stronger than the look of the pixels was found."
MAP_WORDS = (
    "Where it looked: orange with a plus where a part is more like generated pictures, blue with a minus where it is "
    "more like photographs, the stronger the deeper. A part that stands out was not necessarily altered."
)


_SILENCES = {
    "not-asked": "not asked",
    "not-applicable": "not made for such a file",
    "error": "could not look",
    "no-mark-found": "none was read, which counts for nothing: most pictures have none",
    "outweighed": "outweighed by what decided",
    "no-weight": "has no number",
    "claims-ai": "does not count where the metadata claim that AI was used",
    "rewritten": "a program wrote the file again, so that how it is built says nothing of a camera",
    "no-camera-record": "no record of a camera, which counts for nothing",
    "few-sources": "such files came from too few sources to weigh",
    "worst-source": "photographs of some sources look the same",
    "misleads": "weights misled in files of this format, so that none is given",
    "format-not-calibrated": "not calibrated for files of this format",
}
_BLOCKS = {"detectors": "Detectors", "watermark": "Watermarks", "metadata": "How the file is built"}

_CAMERA = "A detector leans towards a camera"


def score_sentence(opinion: Opinion) -> str:
    """Say an opinion's score and what it means; nothing where it has none."""
    if opinion.score is None:
        return ""
    if opinion.moments:
        return f"Score {opinion.score:.2f}, from 0 (like recordings of what was there) to 1 (like generated ones)."
    return f"Score {opinion.score:.2f}, from 0 (like photographs) to 1 (like generated pictures); 0.5 says nothing."


def spectrum_words(spectrum: Spectrum) -> str:
    """Say what a plot of a spectrum shows."""
    dashed = f", and dashed that of {safe_text(spectrum.usual_of, 120)}" if spectrum.usual else ""
    return (
        f"How strong coarse detail (left) and fine detail (right) are: solid this picture{dashed}, in decibels about "
        "the mean of each."
    )


def leaning_words(towards: str, evidence: Sequence[Evidence]) -> str:
    """Say where detectors lean (``ai`` or ``captured``), what that is worth, and what each of them says."""
    start = "Not declared, not marked. A detector leans towards AI" if towards == "ai" else _CAMERA
    leaning = (e for e in evidence if e.facts & {Fact.LEANS_AI, Fact.LEANS_CAPTURED})
    found = (e.found.opinion for e in leaning if isinstance(e.found, Explanation))
    says = "".join(f" {safe_text(says)}" for opinion in found for says in opinion.says)
    return f"{start}, which proves nothing.{says}"


def block_words(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield for each block of evidence what it weighs, or why nothing; safe to show."""
    for block in blocks:
        name = _BLOCKS.get(block.name) or safe_text(block.name, 40)
        if block.reason:
            yield f"{name}: {_SILENCES.get(block.reason) or safe_text(block.reason, 80)}."
        else:
            yield f"{name}: log10 likelihood ratio {block.log10_lr:+.2f}, within {block.bound:.2f}."
