"""The identifier hidden in the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OWN_SCHEMES = "io.assay."
"""What the algorithm ids of our own schemes begin with."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An identifier and the scheme that hides it; an index key that leads to a ledger entry, never a secret.

    ``scheme`` is a namespaced, versioned algorithm id such as ``io.assay.hallmark.1``;
    ``id`` is the identifier as lower-case hexadecimal, its length fixed by the scheme.
    """

    scheme: str
    id: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.id}"


@dataclass(frozen=True, slots=True)
class Frame:
    """How received pixels lie on the original's canvas, as a mark that was found in them tells.

    The original, resampled to an area of one of ``sides`` squared (the mark does not say which), then turned
    ``turn`` % 4 quarters anticlockwise and, from 4 on, mirrored left to right, has at place
    matrix @ (row, column) + ``offset``, modulo ``period``, what the received picture has at pixel (row, column),
    whose centre is meant. ``matrix`` is ((a, b), (c, d)).
    """

    sides: tuple[int, ...]
    turn: int
    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]
    period: int


Box = tuple[float, float, float, float]
"""A rectangle (left, top, width, height) in shares of a picture's sides."""
COINCIDING = 0.5
"""Share of the smaller of two boxes that lies in the other, from which on they show the same place."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a mark was heard in a picture, and where it is missing.

    ``present`` and ``absent`` are shares of its tiles in 0..1; what is left is silent ground that says nothing.
    ``holes`` are the boxes in which the mark is missing though its surroundings carry it, the largest first.
    """

    present: float
    absent: float
    holes: tuple[Box, ...]

    def misses(self, region: Box) -> bool:
        """Say whether a hole shows the same place as a region of the picture."""
        return any(_coincide(hole, region) for hole in self.holes)

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {"present": self.present, "absent": self.absent, "holes": [list(hole) for hole in self.holes]}


def _coincide(one: Box, other: Box) -> bool:
    shared = 1.0
    for side in (0, 1):
        start = max(one[side], other[side])
        stop = min(one[side] + one[side + 2], other[side] + other[side + 2])
        shared *= max(0.0, stop - start)
    smaller = min(one[2] * one[3], other[2] * other[3])
    return shared > 0 and shared >= COINCIDING * smaller


@dataclass(frozen=True, slots=True)
class Reading:
    """What a watermark reader saw in one file.

    ``mark`` is None unless found. ``p_value`` bounds the probability that unmarked media give so good an
    answer, all hypotheses of the search counted; None where the reader could not look. ``reason`` says in a
    few words why nothing was found or could be looked for (``"no mark"``, ``"too small"``). ``details`` are
    JSON values for experts. ``aligned`` says that the mark lies where embedding puts it in a whole picture, so
    that no crop, turn or resize explains a picture unlike the one it was made for. ``frame`` says how the picture
    lies on the original, where the scheme can tell. ``extent`` says where the mark was heard, None where that was
    not asked.
    """

    scheme: str
    mark: Mark | None
    p_value: float | None
    reason: str = ""
    details: dict[str, Any] | None = None
    aligned: bool = False
    frame: Frame | None = None
    extent: Extent | None = None

    @property
    def found(self) -> bool:
        """Whether an identifier was read."""
        return self.mark is not None
