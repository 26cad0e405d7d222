"""One detector at work: gate, crops at the picture's own scale, network, calibration, and silence where it belongs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import CROPS, NATIVE, VECTORS, Card
from assay.detect.crops import Box, Crops, cut, equalised, places, telling, viewed
from assay.detect.gate import Domain, domain
from assay.detect.vectors import described
from assay.provenance.media import Picture
from assay.provenance.opinion import Answered, Opinion, Region

FEWEST_CROPS = 2
"""Crops with something to tell below which a detector is silent, unless the picture has room for one only."""
DISAGREE = 0.75
"""Half the distance of the crops' quartiles, over their mean, above which the crops disagree."""

FEWEST_TO_DISAGREE = 4
"""Crops that can disagree."""
DISAGREEING = "its crops disagree"
"""Reason of a detector whose crops contradict each other."""

Clock = Callable[[], float]
"""Seconds from any start."""


class Network(Protocol):
    """What runs a card's weights."""

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one logit an input, (n,) float32."""
        ...


@dataclass(frozen=True)
class Witness:
    """A card and what runs it. ``clock`` gives seconds; ``reference`` is the mean vector in training, if known."""

    card: Card
    network: Network
    clock: Clock
    reference: NDArray[np.float32] | None = None

    def examine(self, picture: Picture, about: Domain | None = None) -> Opinion:
        """Return what this detector thinks of a picture; ``about`` is what the gate says of it, where that is known."""
        start = self.clock()
        about = about or domain(picture)
        conditions: dict[str, object] = {"condition": about.condition, "jpeg_quality": about.quality}
        if about.reason:
            return self._silent(about.reason, conditions, start)
        wanted = self.card.input
        height, width = picture.pixels.shape[:2]
        if min(height, width) < wanted.least_side:
            return self._silent(
                f"too small: {wanted.least_side} pixels of the shorter side are needed", conditions, start
            )
        pixels = picture.pixels if wanted.scale == NATIVE else viewed(picture.pixels, wanted.side)
        if min(pixels.shape[:2]) < wanted.side:
            return self._silent("too long and narrow to be seen as a whole", conditions, start)
        boxes = places(pixels.shape[0], pixels.shape[1], wanted.side, wanted.crops)
        crops = cut(pixels, boxes)
        # A view with much white in it still shows what it shows.
        tells = telling(crops) if wanted.scale == NATIVE else np.ones(len(crops), np.bool_)
        conditions["crops"] = [int(tells.sum()), len(boxes)]
        if tells.sum() < min(FEWEST_CROPS, len(boxes)):
            return self._silent("flat: too little of the picture has any structure", conditions, start)
        logits = self.network.run(self.inputs(crops[tells])).astype(np.float64)
        back = height / pixels.shape[0]
        told = [b.times(back) for b, t in zip(boxes, tells, strict=True) if t]
        return self._opinion(told, logits, conditions, start)

    def inputs(self, crops: Crops) -> NDArray[np.float32]:
        """Return what the network is given for uint8 (n, side, side, 3) crops."""
        if self.card.input.quality:
            crops = equalised(crops, self.card.input.quality)
        if self.card.input.takes == VECTORS:
            return described(crops, self.card.input.scale)
        assert self.card.input.takes == CROPS
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / np.float32(255)

    def _opinion(
        self, boxes: list[Box], logits: NDArray[np.float64], conditions: dict[str, object], start: float
    ) -> Opinion:
        logit = float(logits.mean())
        line = (
            self.card.calibration.lines.get(str(conditions["condition"])) if self.card.calibration else None
        )
        if line is None:
            reason = "" if self.card.calibration is None else "not calibrated for such files"
        else:
            reason = DISAGREEING if disagree(line.slope * logits + line.intercept) else ""
        weighs = line is not None and not reason
        ratio = line.log10(logit) if line is not None and weighs else None
        return Opinion(
            self.card.name,
            self.card.version,
            Answered.NOT_APPLICABLE if reason else Answered.OK,
            reason=reason,
            logit=logit,
            score=None if ratio is None else 1 / (1 + 10**-ratio),
            llr=None if ratio is None else -ratio,
            conditions=conditions,
            regions=tuple(
                Region(b.left, b.top, b.width, b.height, float(v)) for b, v in zip(boxes, logits, strict=True)
            ),
            ms=1000 * (self.clock() - start),
        )

    def _silent(self, reason: str, conditions: dict[str, object], start: float) -> Opinion:
        return Opinion(
            self.card.name,
            self.card.version,
            Answered.NOT_APPLICABLE,
            reason=reason,
            conditions=conditions,
            ms=1000 * (self.clock() - start),
        )


def disagree(ratios: NDArray[np.float64]) -> bool:
    """Say whether crops contradict each other: their quartiles lie on both sides of 0, far apart beside their mean."""
    if len(ratios) < FEWEST_TO_DISAGREE:
        return False
    low, high = np.quantile(ratios, (0.25, 0.75))
    return bool(
        low < 0 < high and (high - low) / 2 > DISAGREE * max(abs(float(ratios.mean())), math.log(2) / 2)
    )
