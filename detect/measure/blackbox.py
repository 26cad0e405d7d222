"""An attack on a witness by questions alone, for those that have no gradient: random squares, kept where they help.

Andriushchenko, Croce, Flammarion, Hein 2020 ("Square Attack", L-infinity). Whoever can run a detector can run
this; how far a network's own gradient would lead is in ``adversarial``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from assay.detect.measure.conditions import SIDE, Condition, Rng, Scene, at_most, encoded
from assay.detect.measure.run import Opener, Witness
from assay.provenance.media import Picture, Samples

STRENGTHS = (1, 2, 4)
"""Most levels, of 255, by which a sample is moved."""
_SHARES = (0.8, 0.1)
"""Share of the picture's area that a square covers, at the first question and at the last."""


@dataclass(frozen=True, slots=True)
class Search:
    """An attack on one witness as a change of a picture; the result is what a PNG of it would hold.

    ``strength`` in levels, 0 for the picture without an attack; ``questions`` are asked about one picture.
    """

    opener: Opener
    strength: int
    questions: int

    def __call__(self, picture: Picture, scene: Scene) -> Picture:
        """Return the attacked picture if it is synthetic, else the same without attack."""
        shown = encoded(at_most(picture.pixels, SIDE), "PNG")
        if not scene.synthetic or not self.strength:
            return shown
        witness = _opened(self.opener)
        return encoded(
            searched(
                shown.pixels,
                lambda pixels: suspicion(witness, encoded(pixels, "PNG")),
                self.strength,
                self.questions,
                scene.rng,
            ),
            "PNG",
        )


@cache
def _opened(opener: Opener) -> Witness:
    return opener()


def suspicion(witness: Witness, picture: Picture) -> float:
    """Return what an attacker would lower: the logit, else the score's distance from even; 0 where it is silent."""
    said = witness(picture)
    if said.logit is not None:
        return said.logit
    return 0.0 if said.score is None else said.score - 0.5


def searched(
    pixels: Samples, loss: Callable[[Samples], float], strength: int, questions: int, rng: Rng
) -> Samples:
    """Return the picture, uint8 (height, width, 3), moved to lower the loss, by at most ``strength`` levels a sample.

    The first question is about stripes, each later one about one square more; what does not help is taken back.
    """
    height, width = pixels.shape[:2]

    def moved(change: NDArray[np.int16]) -> Samples:
        near: Samples = np.clip(pixels + change, 0, 255).astype(np.uint8)
        return near

    best, least = np.zeros(pixels.shape, np.int16), loss(pixels)
    for number in range(questions):
        trial = best.copy()
        if number == 0:
            trial[:] = strength * rng.choice((-1, 1), (1, width, 3))
        else:
            first, last = _SHARES
            share = first * (last / first) ** (number / questions)
            side = max(1, min(height, width, round((share * height * width) ** 0.5)))
            top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
            # Single samples, not one colour a square: what detectors hear is grain.
            trial[top : top + side, left : left + side] = strength * rng.choice((-1, 1), (side, side, 3))
        found = loss(moved(trial))
        if found < least:
            best, least = trial, found
    return moved(best)


def conditions(name: str, opener: Opener, questions: int) -> tuple[Condition, ...]:
    """Return the table of attacks on one witness: none, and so many questions at each of STRENGTHS."""
    said = f"{questions} questions to {name}"
    return tuple(
        Condition(
            f"square{s}@{name}",
            said,
            f"{said}, {s} of 255" if s else f"longer side {SIDE}, PNG",
            Search(opener, s, questions),
            s,
            "levels of 255",
            is_attack=True,
        )
        for s in (0, *STRENGTHS)
    )
