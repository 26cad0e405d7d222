"""The table of attacks: what the internet, an editor or an enemy does to a marked picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from assay.provenance.errors import UsageError
from assay.provenance.media import Samples
from assay.watermark.trial.changes import (
    Change,
    at_most_wide,
    captioned,
    cropped,
    encoded,
    generations,
    in_turn,
    jpeg,
    mirrored,
    on_screen,
    quarter,
    resized,
    rotated,
    there_and_back,
    unchanged,
    upside_down,
)
from assay.watermark.trial.filters import (
    bilateral,
    blurred,
    brighter,
    contrast,
    gamma,
    median,
    noise,
    non_local_means,
    saturation,
    sharpened,
)

MUST, HARD = 0.995, 0.95
"""Least exact-recovery rates that the project set itself: for what platforms do, and for the hardest of it."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One row of the table: its name (no comma, no space), what is done in words, and the rate to reach.

    ``goal`` is the least share of photographs from which the identifier must be read exactly; None where
    no goal was set.
    """

    name: str
    group: str
    told: str
    change: Change
    goal: float | None = None

    def __call__(self, picture: Samples, seed: bytes) -> Samples:
        """Return the attacked picture; equal seeds give equal pictures."""
        return self.change(picture, generator(seed, self.name))


def generator(seed: bytes, purpose: str) -> np.random.Generator:
    """Return a random generator of its own for each purpose: no other attack moves its numbers."""
    words = hashlib.blake2b(purpose.encode(), digest_size=32, key=seed[:64]).digest()
    return np.random.default_rng(np.frombuffer(words, "<u8").astype(np.uint64))


def _encoders() -> list[Attack]:
    jpegs = [(90, MUST), (75, MUST), (50, MUST), (30, HARD), (20, HARD), (15, HARD)]
    rows = [Attack(f"jpeg{q}", "encoders", f"JPEG at quality {q}", jpeg(q), goal) for q, goal in jpegs]
    for form, quality in (("webp", 80), ("webp", 50), ("avif", 50)):
        told = f"{form.upper()} at quality {quality}".replace("WEBP", "WebP")
        rows.append(Attack(f"{form}{quality}", "encoders", told, encoded(form.upper(), quality), MUST))
    return rows


def _sizes() -> list[Attack]:
    steps = (0.33, 0.4, 0.5, 0.61, 0.75, 0.9, 1.25, 1.5, 2)
    rows = [Attack(f"resize{s:g}", "sizes", f"both sides x {s:g}", resized(s), MUST) for s in steps]
    rows += [Attack(f"aspect{s:g}", "sizes", f"width x {s:g}", resized(s, 1.0), MUST) for s in (0.9, 1.1)]
    return [*rows, Attack("downup0.5", "sizes", "halved, then doubled", there_and_back(0.5), MUST)]


def _crops() -> list[Attack]:
    shares = [(75, MUST), (50, MUST), (25, MUST), (10, HARD)]
    rows = [Attack(f"crop{s}", "crops", f"{s} % of the area", cropped(s / 100), goal) for s, goal in shares]
    return rows + [
        Attack(f"crop{s}back", "crops", f"{s} % of the area, at the old size", cropped(s / 100, True), MUST)
        for s in (50, 25)
    ]


def _turns() -> list[Attack]:
    rows = []
    for angle in (1, 2, 3, 5, 10, 17, 33, 45, 137):
        told = f"turned by {angle} degrees"
        rows.append(Attack(f"rot{angle}", "turns", f"{told}, black corners", rotated(angle), MUST))
        rows.append(Attack(f"rot{angle}in", "turns", f"{told}, no corners", rotated(angle, True), MUST))
    return [
        *rows,
        Attack("rot90", "turns", "a quarter turn", quarter, MUST),
        Attack("rot180", "turns", "a half turn", in_turn(quarter, quarter), MUST),
        Attack("hflip", "turns", "left and right exchanged", mirrored, MUST),
        Attack("vflip", "turns", "top and bottom exchanged", upside_down, MUST),
        Attack("hflip+rot90", "turns", "mirrored and a quarter turn", in_turn(mirrored, quarter), MUST),
    ]


def _light() -> list[Attack]:
    kinds = {"bright": brighter, "contrast": contrast, "sat": saturation, "gamma": gamma}
    words = {"bright": "levels", "contrast": "contrast", "sat": "saturation", "gamma": "gamma"}
    rows = [
        Attack(f"{name}{factor:g}", "light", f"{words[name]} x {factor:g}", make(factor), MUST)
        for name, make in kinds.items()
        for factor in (0.7, 1.3)
    ]
    return [
        *rows,
        Attack("sat0.5", "light", "saturation x 0.5", saturation(0.5)),
        Attack("sat1.5", "light", "saturation x 1.5", saturation(1.5)),
        Attack("gamma1.4", "light", "gamma x 1.4", gamma(1.4)),
        Attack("gray", "light", "no colour", saturation(0.0), MUST),
    ]


def _filters() -> list[Attack]:
    return [
        Attack("blur1", "filters", "Gaussian, sigma 1", blurred(1), MUST),
        Attack("blur2", "filters", "Gaussian, sigma 2", blurred(2)),
        Attack("noise5", "filters", "noise, sigma 5", noise(5), MUST),
        Attack("noise10", "filters", "noise, sigma 10", noise(10), MUST),
        Attack("median3", "filters", "median of 3 x 3", median(3), MUST),
        Attack("median5", "filters", "median of 5 x 5", median(5)),
        Attack("sharpen", "filters", "unsharp mask", sharpened(), MUST),
        Attack("overlay10", "filters", "10 % covered, two lines of text", captioned(0.10), MUST),
    ]


def _screens() -> list[Attack]:
    social = in_turn(at_most_wide(1080), jpeg(75))
    hard = in_turn(at_most_wide(1080), sharpened(), jpeg(60), at_most_wide(720), jpeg(70))
    return [
        Attack("screenshot", "screens", "x 0.8, JPEG 70", in_turn(resized(0.8), jpeg(70)), MUST),
        Attack(
            "screen_ui", "screens", "in an application at 80 %, JPEG 80", in_turn(on_screen, jpeg(80)), MUST
        ),
        Attack("social", "screens", "1080 wide, JPEG 75", social, MUST),
        Attack("social_hard", "screens", "1080, sharpened, JPEG 60, 720, JPEG 70", hard, MUST),
    ]


def _chains() -> list[Attack]:
    steps: dict[str, tuple[Change, float | None]] = {
        "crop50+resize0.7+jpeg60": (in_turn(cropped(0.5), resized(0.7), jpeg(60)), MUST),
        "rot3+jpeg75": (in_turn(rotated(3), jpeg(75)), MUST),
        "rot3in+jpeg75": (in_turn(rotated(3, True), jpeg(75)), MUST),
        "bright1.2+crop50+jpeg50": (in_turn(brighter(1.2), cropped(0.5), jpeg(50)), MUST),
        "crop25+jpeg75": (in_turn(cropped(0.25), jpeg(75)), None),
        "resize0.5+crop50+jpeg75": (in_turn(resized(0.5), cropped(0.5), jpeg(75)), None),
        "aspect1.1+crop50+jpeg75": (in_turn(resized(1.1, 1.0), cropped(0.5), jpeg(75)), None),
        "rot5in+resize0.7+jpeg75": (in_turn(rotated(5, True), resized(0.7), jpeg(75)), None),
        "hflip+crop50+jpeg75": (in_turn(mirrored, cropped(0.5), jpeg(75)), None),
        "resize0.5+webp50": (in_turn(resized(0.5), encoded("WEBP", 50)), None),
        "screen_ui+resize0.6+jpeg75": (in_turn(on_screen, resized(0.6), jpeg(75)), None),
        "overlay10+crop50+jpeg60": (in_turn(captioned(0.1), cropped(0.5), jpeg(60)), None),
    }
    return [
        Attack(name, "chains", name.replace("+", ", then "), change, goal)
        for name, (change, goal) in steps.items()
    ]


def _regeneration() -> list[Attack]:
    """Stand-ins for a model that draws the picture anew; the models themselves are not to be had here."""
    redrawn = in_turn(there_and_back(0.25), noise(4), sharpened())
    return [
        Attack("nlm", "regeneration", "non-local means for noise of sigma 4", non_local_means()),
        Attack("bilateral", "regeneration", "bilateral filter", bilateral()),
        Attack("jpeg_x10", "regeneration", "ten JPEGs, quality 60 to 90 at random", generations(10, 60, 90)),
        Attack(
            "blur2+sharpen", "regeneration", "sigma 2, sharpened back", in_turn(blurred(2), sharpened(1.5, 2))
        ),
        Attack("vae_like", "regeneration", "a quarter of the size and back, noise 4, sharpened", redrawn),
    ]


def _table() -> dict[str, Attack]:
    rows = [Attack("none", "none", "as it was marked", unchanged, MUST)]
    for part in (
        _encoders, _sizes, _crops, _turns, _light, _filters, _screens, _chains, _regeneration
    ):  # fmt: skip
        rows += part()
    return {row.name: row for row in rows}


ATTACKS = _table()
"""Every attack by its name, in the order of the table."""


def chosen(names: str) -> tuple[str, ...]:
    """Return the attacks that a list names: names, groups, or prefixes that end in ``*``; empty means all.

    Raises UsageError for what names none.
    """
    found: list[str] = []
    for word in (part.strip() for part in names.split(",") if part.strip()):
        fits = [
            row.name
            for row in ATTACKS.values()
            if word in (row.name, row.group) or (word.endswith("*") and row.name.startswith(word[:-1]))
        ]
        if not fits:
            raise UsageError(f"no attack is called {word[:60]!r}", hint="--list-attacks lists them")
        found += [name for name in fits if name not in found]
    return tuple(found) or tuple(ATTACKS)
