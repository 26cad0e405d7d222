"""Why a detector scores as it does: crop by crop and by which statistics, in sentences true of what was measured.

A reason is an occlusion: the numbers of one family are replaced by what they are on average in training, and the logit
is taken again. What it loses is that family's share.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from assay.detect.card import NATIVE, VECTORS
from assay.detect.panel import Panel
from assay.detect.vectors import named
from assay.detect.witness import Network, Witness
from assay.provenance.media import Picture
from assay.provenance.opinion import Explanation, Opinion, Region, Spectrum

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
    "colours": ("colour",),
}
"""Families of statistics, by the beginnings of their numbers' names."""
SENTENCES = {
    "fine residuals of light": "the finest differences between neighbouring pixels",
    "coarse residuals of light": "the coarser differences between neighbouring pixels, as edges leave them",
    "residuals of colour": "how colour differs between neighbouring pixels",
    "spectrum": "how strong fine and coarse detail are, and peaks in the spectrum",
    "noise": "the noise: how it is correlated, with itself, between colours, and with brightness",
    "blocks and sharpness": "traces of block coding, sharpness and saturation",
    "colours": "its colours: which there are, how strong and how light",
}
WHOLE_PICTURE = "whole picture: "
"""Begins the family of a detector that sees the picture as a whole, small."""
SHARE = 0.25
"""Least change of the logit that is told."""
MOST = 3
"""Most reasons told."""
LONGEST = 640
"""Longer side of a drawing in pixels."""
LARGE = 0.3
"""Share of the picture from which a region says nothing of where."""
COLOURS = 128
"""Colours of a drawing."""
STEP, DEEPEST = 1 / 6, 0.6
"""Share of the tint for each unit of logit, and the most there is."""
ORANGE, BLUE = (230, 120, 20), (40, 110, 220)
USUAL = "the pictures, photographs and generated ones, that the detector learned from"


RINGS = "light ring "
"""What the numbers of the radial spectrum of light are called, before their own number."""
_DECIBELS = 10 / np.log(10)


@dataclass(frozen=True)
class _Heard:
    """A network that remembers what it was given."""

    network: Network
    inputs: list[NDArray[np.float32]] = field(default_factory=list)

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.inputs.append(inputs)
        return self.network.run(inputs)


def explained(panel: Panel, picture: Picture) -> Explanation:
    """Explain a panel's opinion of a picture."""
    heard = {w.card.name: _Heard(w.network) for w in panel.witnesses}
    listening = [replace(w, network=heard[w.card.name]) for w in panel.witnesses]
    opinion = replace(panel, witnesses=listening).examine(picture)
    shares: dict[str, float] = {}
    spectrum = None
    for witness in panel.witnesses:
        inputs = heard[witness.card.name].inputs
        if witness.card.input.takes != VECTORS or not inputs:
            continue
        vectors = inputs[0]
        if witness.card.input.scale == NATIVE:
            spectrum = spectrum or _spectrum(vectors, witness.reference)
        if witness.reference is not None:
            weight = panel.fusion.weights[witness.card.name]
            found = _shares(witness, vectors, witness.reference)
            shares |= {family: weight * share for family, share in found.items()}
    return Explanation(opinion, _reasons(opinion, shares), shares, spectrum)


def drawn(picture: Picture, opinion: Opinion) -> bytes:
    """Return a PNG: the picture in grey, its crops tinted orange (as if generated) or blue (as if photographed)."""
    grey = Image.fromarray(picture.pixels).convert("L")
    scale = min(1.0, LONGEST / max(grey.size))
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    canvas = np.asarray(grey.resize(size).convert("RGB"), np.float32)
    regions = _local([r for part in opinion.parts or (opinion,) for r in part.regions], picture)
    total, count = np.zeros(canvas.shape[:2], np.float32), np.zeros(canvas.shape[:2], np.float32)
    for region in regions:
        left, top, right, bottom = _box(region, scale)
        total[top:bottom, left:right] += region.logit
        count[top:bottom, left:right] += 1
    mean = (total / np.maximum(count, 1))[..., None]
    strength = np.minimum(DEEPEST, np.abs(mean) * STEP)
    tint = np.where(mean > 0, np.array(ORANGE, np.float32), np.array(BLUE, np.float32))
    image = Image.fromarray(((1 - strength) * canvas + strength * tint).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for region in regions:
        _sign(pen, _box(region, scale), region.logit > 0)
    memory = io.BytesIO()
    image.quantize(COLOURS).save(memory, "PNG")
    return memory.getvalue()


def _local(regions: list[Region], picture: Picture) -> list[Region]:
    """Return the regions that say where: not those of detectors that see the whole picture, if there are others."""
    area = picture.pixels.shape[0] * picture.pixels.shape[1]
    small = [r for r in regions if r.width * r.height < area * LARGE]
    return small or regions


def _box(region: Region, scale: float) -> tuple[int, int, int, int]:
    """Return where a region lies in the drawing, left, top, right, bottom; at least a pixel."""
    left, top = round(region.left * scale), round(region.top * scale)
    right, bottom = (round(v * scale) for v in (region.left + region.width, region.top + region.height))
    return left, top, max(left + 1, right), max(top + 1, bottom)


def _sign(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], plus: bool) -> None:
    """Draw a plus or a minus in a box's middle: what is said is not said by colour alone."""
    left, top, right, bottom = box
    x, y, arm = (left + right) // 2, (top + bottom) // 2, max(2, min(right - left, bottom - top) // 12)
    for colour, width in ((20, 20, 20), 5), ((255, 255, 255), 3):
        pen.line((x - arm, y, x + arm, y), colour, width)
        if plus:
            pen.line((x, y - arm, x, y + arm), colour, width)


def _spectrum(vectors: NDArray[np.float32], reference: NDArray[np.float32] | None) -> Spectrum:
    """Return the mean radial spectrum of the crops, beside that of the pictures in training where it is known."""
    names = named(NATIVE)
    rings = [n for n, name in enumerate(names) if name.startswith(RINGS) and " of " not in name]
    # Ring n of so many begins at n of as many parts of half the sampling rate; the last is what lies beyond it.
    places = tuple((n + 1.5) / len(rings) / 2 for n in range(len(rings)))
    usual = () if reference is None else tuple((_DECIBELS * reference[rings]).tolist())
    picture = tuple((_DECIBELS * vectors[:, rings].mean(0, dtype=np.float64)).tolist())
    return Spectrum(places, picture, usual, USUAL if usual else "")


def _shares(witness: Witness, vectors: NDArray[np.float32], neutral: NDArray[np.float32]) -> dict[str, float]:
    whole = float(witness.network.run(vectors).mean())
    found: dict[str, float] = {}
    scale = witness.card.input.scale
    for family, beginnings in FAMILIES.items():
        mine = np.array([name.startswith(beginnings) for name in named(scale)])
        if not mine.any():
            continue
        changed = vectors.copy()
        changed[:, mine] = neutral[mine]
        told = family if scale == NATIVE else WHOLE_PICTURE + family
        found[told] = whole - float(witness.network.run(changed).mean())
    return found


def _reasons(opinion: Opinion, shares: dict[str, float]) -> tuple[str, ...]:
    if opinion.logit is None or not shares:
        return ()
    sign = 1 if (opinion.llr or 0.0) < 0 else -1
    towards = "generated pictures" if sign > 0 else "photographs"
    ranked = sorted(shares.items(), key=lambda pair: -sign * pair[1])
    return tuple(
        f"Towards {towards}: {_sentence(name)}." for name, share in ranked[:MOST] if sign * share >= SHARE
    )


def _sentence(family: str) -> str:
    if family.startswith(WHOLE_PICTURE):
        return f"in the picture as a whole, seen small, {SENTENCES[family.removeprefix(WHOLE_PICTURE)]}"
    return SENTENCES[family]
