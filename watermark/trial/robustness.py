"""Mark photographs, attack them, read them: one trial a photograph and method."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from assay.provenance.errors import AssayError, LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.attacks import ATTACKS, generator
from assay.watermark.trial.changes import at_most
from assay.watermark.trial.filters import psnr, ssim
from assay.watermark.trial.methods import Answer, Bits, Method, open_method
from assay.watermark.trial.photographs import load, seed_of


@dataclass(frozen=True, slots=True)
class Trial:
    """What one method did on one photograph.

    ``pixels`` are the photograph's, ``tried_pixels`` those left where the method takes no more. ``refused``
    says why the method did not mark it, "" where it did. ``exact`` tells for each attack whether the payload
    came back bit for bit and, where the method has a rule, as found. ``wrong`` names the attacks after which
    a mark was claimed with another payload; ``has_rule`` whether the method claims anything. ``bit_error``
    is the share of wrong bits where bits were read.
    """

    photo: str
    method: str
    pixels: int
    tried_pixels: int
    refused: str = ""
    psnr: float = 0.0
    ssim: float = 0.0
    exact: dict[str, bool] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    has_rule: bool = False
    bit_error: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One photograph, one method, some attacks by name; ``seed`` moves every random number."""

    path: Path
    method: str
    attacks: tuple[str, ...]
    seed: int = 0

    def __call__(self) -> Trial | AssayError:
        """Run the trial; an AssayError says why the photograph could not be read."""
        try:
            picture = load(self.path)
        except AssayError as error:
            return error
        return trial(opened(self.method), picture, self.attacks, self.seed, self.path.name)


opened = lru_cache(maxsize=None)(open_method)
"""``open_method``, once a process."""


def trial(method: Method, picture: Samples, attacks: tuple[str, ...], seed: int, name: str) -> Trial:
    """Mark one photograph, attack the marked picture with each attack in turn, read every result."""
    own_seed = seed_of(picture, seed)
    payload = random_payload(method, own_seed)
    original = within(method, picture)
    pixels, tried = (p.shape[0] * p.shape[1] for p in (picture, original))
    try:
        marked = method.embed(original, payload)
    except LimitError as error:
        return Trial(name, method.name, pixels, tried, refused=error.message)
    exact: dict[str, bool] = {}
    bit_error: dict[str, float] = {}
    wrong, has_rule = [], False
    for attack in attacks:
        answer = method.extract(ATTACKS[attack](marked, own_seed))
        exact[attack] = agrees(answer, payload)
        if answer.bits is not None:
            bit_error[attack] = float((answer.bits != payload).mean())
        has_rule |= answer.found is not None
        if answer.found and not exact[attack]:
            wrong.append(attack)
    likeness = psnr(original, marked), ssim(original, marked)
    return Trial(name, method.name, pixels, tried, "", *likeness, exact, tuple(wrong), has_rule, bit_error)


def agrees(answer: Answer, payload: Bits) -> bool:
    """Whether an answer is this payload, every bit of it, and not denied by the method's own rule."""
    return answer.bits is not None and answer.found is not False and bool((answer.bits == payload).all())


def random_payload(method: Method, seed: bytes) -> Bits:
    """Return the payload that a photograph gets."""
    return generator(seed, "payload").integers(0, 2, method.bits).astype(np.uint8)


def within(method: Method, picture: Samples) -> Samples:
    """Return the picture, shrunk to what the method takes."""
    return at_most(picture, method.most_pixels) if method.most_pixels else picture
