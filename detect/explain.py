"""Why a detector scores as it does: crop by crop and by which statistics, in sentences true of what was measured.

A reason is an occlusion: the numbers of one family are replaced by what they are on average in training, and the logit
is taken again. What it loses is that family's share.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from assay.detect.card import VECTORS
from assay.detect.crops import Box, cut
from assay.detect.panel import Panel
from assay.detect.statistics import describe, names
from assay.detect.witness import Witness
from assay.provenance.media import Picture
from assay.provenance.opinion import Opinion

FAMILIES = {
    "fine residuals of light": ("light edge /1", "light line /1", "light corner /1", "light across /1"),
    "coarse residuals of light": ("light edge /3", "light line /3", "light corner /3", "light across /3"),
    "residuals of colour": (
        "red-green edge",
        "red-green line",
        "red-green corner",
        "red-green across",
        "blue-green",
    ),
    "spectrum": ("light ring", "light peak", "red-green ring", "red-green peak"),
    "noise": ("noise",),
    "blocks and sharpness": ("blocks", "saturation", "doubled"),
}
"""Families of statistics, by the beginnings of their numbers' names."""
SENTENCES = {
    "fine residuals of light": "the finest differences between neighbouring pixels",
    "coarse residuals of light": "the coarser differences between neighbouring pixels, as edges leave them",
    "residuals of colour": "how colour differs between neighbouring pixels",
    "spectrum": "how strong fine and coarse detail are, and peaks in the spectrum",
    "noise": "the noise: how it is correlated, with itself, between colours, and with brightness",
    "blocks and sharpness": "traces of block coding, sharpness and saturation",
}
SHARE = 0.25
"""Least change of the logit that is told."""
MOST = 3
"""Most reasons told."""
LONGEST = 1024
"""Longer side of a drawing in pixels."""


@dataclass(frozen=True)
class Explanation:
    """An opinion, what each family of statistics added to the logit, and the reasons in words."""

    opinion: Opinion
    shares: dict[str, float]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the form used by ``assay detect explain --json``."""
        return {
            **self.opinion.to_json(),
            "shares": {k: round(v, 3) for k, v in self.shares.items()},
            "reasons": list(self.reasons),
        }

    def drawing(self, picture: Picture) -> bytes:
        """Return a PNG: the picture in grey, its crops tinted orange (as if generated) or blue (as if photographed)."""
        grey = Image.fromarray(picture.pixels).convert("L").convert("RGB")
        scale = min(1.0, LONGEST / max(grey.size))
        canvas = np.asarray(
            grey.resize((max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))), np.float32
        ).copy()
        for part in self.opinion.parts or (self.opinion,):
            for region in part.regions:
                top, left = round(region.top * scale), round(region.left * scale)
                rows = slice(top, max(top + 1, round((region.top + region.height) * scale)))
                columns = slice(left, max(left + 1, round((region.left + region.width) * scale)))
                strength = min(0.6, abs(region.logit) / 6)
                tint = np.array((230, 120, 20) if region.logit > 0 else (40, 110, 220), np.float32)
                canvas[rows, columns] = (1 - strength) * canvas[rows, columns] + strength * tint
        memory = io.BytesIO()
        Image.fromarray(canvas.astype(np.uint8)).save(memory, "PNG")
        return memory.getvalue()


def explained(panel: Panel, picture: Picture) -> Explanation:
    """Explain a panel's opinion of a picture."""
    opinion = panel.examine(picture)
    shares: dict[str, float] = {}
    for witness in panel.witnesses:
        part = next((p for p in opinion.parts if p.detector == witness.card.name), None)
        if witness.card.input.takes == VECTORS and part is not None and part.regions:
            shares |= _shares(witness, picture, part)
    return Explanation(opinion, shares, _reasons(opinion, shares))


def _shares(witness: Witness, picture: Picture, part: Opinion) -> dict[str, float]:
    crops = cut(picture.pixels, [Box(r.left, r.top, r.width, r.height) for r in part.regions])
    vectors = describe(crops)
    whole = float(witness.network.run(vectors).mean())
    neutral = witness.reference
    found: dict[str, float] = {}
    if neutral is None:
        return found
    for family, beginnings in FAMILIES.items():
        mine = np.array([name.startswith(beginnings) for name in names()])
        changed = vectors.copy()
        changed[:, mine] = neutral[mine]
        found[family] = whole - float(witness.network.run(changed).mean())
    return found


def _reasons(opinion: Opinion, shares: dict[str, float]) -> tuple[str, ...]:
    if opinion.logit is None or not shares:
        return ()
    sign = 1 if (opinion.llr or 0.0) < 0 else -1
    towards = "generated pictures" if sign > 0 else "photographs"
    ranked = sorted(shares.items(), key=lambda pair: -sign * pair[1])
    return tuple(
        f"Towards {towards}: {SENTENCES[name]}." for name, share in ranked[:MOST] if sign * share >= SHARE
    )
