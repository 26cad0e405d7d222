"""Reconstructions to learn from: a real picture as a generator's last stage would have drawn it, pixel for pixel.

The pair differs in nothing but the autoencoder's traces (Rajan et al., ICLR 2025; Chen et al., "Dual Data Alignment",
2025), provided that both then make the same journey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.detect.crops import Crops
from assay.detect.networks.autoencoder import KINDS, Autoencoder, read_autoencoder
from assay.detect.train.augment import Rng
from assay.detect.train.cuttings import Cuttings
from assay.provenance.files.atomic import atomic_output
from assay.provenance.media import Samples


def read_autoencoders(folder: Path, kinds: Sequence[str] = tuple(KINDS)) -> tuple[Autoencoder, ...]:
    """Return the quick form of the autoencoders whose files lie in a folder; raises as ``read_autoencoder``."""
    return tuple(read_autoencoder(folder, kind, fast=True) for kind in kinds)


def reconstructed(crops: Crops, rng: Rng, autoencoders: Sequence[Autoencoder]) -> Crops:
    """Return each crop through one of the autoencoders, drawn alike: uint8 (n, side, side, 3), as it was given.

    To be called before any journey. The draws are all taken first, one a crop. Raises UsageError where the side is no
    multiple of 8.
    """
    drawn = rng.integers(len(autoencoders), size=len(crops))
    made = np.empty_like(crops)
    for number in np.unique(drawn):
        mine = drawn == number
        made[mine] = autoencoders[number].reconstructed(crops[mine])
    return made


@dataclass(frozen=True)
class Pairs:
    """Reconstructions of cuttings, each made when it is first asked for and kept beside its picture's cuttings.

    The first ``each`` cuttings of a picture have one; ``seed`` chooses the autoencoder.
    """

    cuttings: Cuttings
    autoencoders: Sequence[Autoencoder]
    each: int
    seed: int = 0

    def __call__(self, item: int, number: int) -> Samples | None:
        """Return one cutting, (picture, number), as an autoencoder makes it again; None where it has none."""
        if number >= self.each:
            return None
        place = self.cuttings.paths[item].with_suffix(f".again{number}.npy")
        if place.exists():
            kept: Samples = np.load(place, allow_pickle=False)
            return kept
        rng = np.random.default_rng((self.seed, int(self.cuttings.hashes[item]), number))
        made: Samples = reconstructed(self.cuttings.one(item, number)[None], rng, self.autoencoders)[0]
        with atomic_output(place, overwrite=True) as file:
            np.save(file, made, allow_pickle=False)
        return made
