"""One key's voice: its words, its pattern, its finder. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assay.provenance.errors import UsageError
from assay.provenance.keys.signers import LEAST_MARK_SECRET
from assay.watermark.sound.lattice import Pattern
from assay.watermark.sound.search import Finder
from assay.watermark.sound.words import FREE_BITS, ID_BITS, SoundPayload

SCHEME = "io.assay.soundmark.1"
"""Algorithm id."""


@dataclass(frozen=True)
class Voice:
    """What a secret makes; raises UsageError on a short one."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < LEAST_MARK_SECRET:
            raise UsageError(
                f"a mark's secret has at least {LEAST_MARK_SECRET} bytes",
                hint="make one with 'assay keys mark', or leave it out for the public key",
            )

    @cached_property
    def key(self) -> bytes:
        """The scheme's own key, 32 bytes: HKDF-SHA-256 (RFC 5869) of the secret."""
        return HKDF(SHA256(), 32, salt=None, info=SCHEME.encode()).derive(self.secret)

    @cached_property
    def payload(self) -> SoundPayload:
        """The code."""
        return SoundPayload(self.key)

    @cached_property
    def pattern(self) -> Pattern:
        """The signs of the tiles."""
        return Pattern.of(self.key)

    @cached_property
    def finder(self) -> Finder:
        """The search for the known tiles."""
        return Finder(self.pattern)


def p_value(agreement: float, decodings: int) -> float:
    """Return a bound on the chance of so high an agreement with any word in so many decodings."""
    if agreement <= 0:
        return 1.0
    exponent = math.log(decodings) + (ID_BITS + FREE_BITS) * math.log(2) - agreement**2 / 2
    return math.exp(min(0.0, exponent))
