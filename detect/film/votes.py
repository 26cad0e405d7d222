"""What the shipped detector of pictures says of single frames, seen small: encoders of films leave that most alone."""

from __future__ import annotations

from assay.detect.crops import cut, places, viewed
from assay.detect.witness import Witness
from assay.provenance.media import Samples

MODEL = "view"
"""The detector of pictures that votes: it sees a frame as a whole, reduced."""


def vote(witness: Witness, frame: Samples) -> float | None:
    """Return its mean logit of a frame, uint8 (height, width, 3); None where it is too long and narrow to be seen."""
    wanted = witness.card.input
    small = viewed(frame, wanted.side)
    boxes = places(small.shape[0], small.shape[1], wanted.side, wanted.crops)
    if not boxes:
        return None
    return float(witness.network.run(witness.inputs(cut(small, boxes))).mean())
