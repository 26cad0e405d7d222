"""The words for what detectors say: a leaning with its false alarms, never an accusation."""

from __future__ import annotations

from collections.abc import Sequence

from assay.provenance.evidence import Evidence, Fact
from assay.provenance.opinion import Explanation, Opinion, Spectrum
from assay.provenance.text import safe_text

CAUTION = (
    "A detector can be wrong about any one picture: it compares with the pictures that it learned from. Retouching, "
    "noise reduction and recompression move it, and so can whoever means to deceive it."
)
OUTWEIGHED = "It does not weigh here: something stronger than the look of the pixels was found."
MAP_WORDS = (
    "Where it looked: orange with a plus where a part is more like generated pictures, blue with a minus where it is "
    "more like photographs, the stronger the deeper. A part that stands out was not necessarily altered."
)


_CAMERA = "A detector leans towards a camera"


def score_sentence(opinion: Opinion) -> str:
    """Say an opinion's score and what it means; nothing where it has none."""
    if opinion.score is None:
        return ""
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
