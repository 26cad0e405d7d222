"""One key's voice: its payload, its pattern, its finder. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assay.provenance.errors import UsageError
from assay.provenance.keys.signers import LEAST_MARK_SECRET
from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.hearing import Heard
from assay.watermark.hallmark.pattern import TILE, Pattern, Placement
from assay.watermark.hallmark.sync import Finder
from assay.watermark.payload import RATE_SIXTH, Payload

SCHEMES = {64: "io.assay.hallmark.1", 128: "io.assay.hallmark128.1", 256: "io.assay.hallmark256.1"}
"""Algorithm id by length of the identifier in bits."""
CHECK_BITS = 32
TRIES = 96
"""Most decodings of one reading with one key, counted in every p-value."""


@dataclass(frozen=True)
class Voice:
    """What a secret and a length of identifier make; raises UsageError on a short secret or another length."""

    secret: bytes = field(repr=False)
    id_bits: int = 64
    tries: ClassVar[int] = TRIES
    """Most decodings of one reading with one key."""

    def __post_init__(self) -> None:
        if len(self.secret) < LEAST_MARK_SECRET:
            raise UsageError(
                f"a mark's secret has at least {LEAST_MARK_SECRET} bytes",
                hint="make one with 'assay keys mark', or leave it out for the public key",
            )
        if self.id_bits not in SCHEMES:
            raise UsageError(
                f"there is no mark of {self.id_bits} bits", hint="choose " + ", ".join(map(str, SCHEMES))
            )

    @property
    def scheme(self) -> str:
        """The algorithm id."""
        return SCHEMES[self.id_bits]

    @cached_property
    def key(self) -> bytes:
        """The scheme's own key, 32 bytes: HKDF-SHA-256 (RFC 5869) of the secret."""
        return HKDF(SHA256(), 32, salt=None, info=self.scheme.encode()).derive(self.secret)

    @cached_property
    def payload(self) -> Payload:
        """The code."""
        return Payload(self.id_bits, CHECK_BITS, RATE_SIXTH, self.key)

    @cached_property
    def pattern(self) -> Pattern:
        """The tones and signs."""
        return Pattern(self.key, self.payload.coded_bits)

    @cached_property
    def finder(self) -> Finder:
        """The search for the tones."""
        return Finder(self.pattern)

    def placement(self, id: str) -> Placement:
        """Return where an identifier's pictures lie on the pattern; raises UsageError if it is malformed."""
        return Placement.of(self.key, self.payload.parse(id))

    def heard(self, heard: Plane, light: Plane, placement: Placement) -> Heard:
        """Return what the tiles say of a canvas whose placement is known."""
        ahead = tuple(n % TILE for n in placement.corner)
        planes = (placement.to_pattern(p) for p in (heard, light, np.ones_like(light)))
        padded = [np.pad(p, [(a, 0) for a in ahead]) for p in planes]
        first = (placement.corner[0] // TILE, placement.corner[1] // TILE)
        return Heard.of(self.pattern, padded[0], padded[1], padded[2], first)

    def p_value(self, agreement: float, keys: int = 1) -> float:
        """Return a bound on the chance of so high an agreement with any identifier in any hypothesis tried."""
        if agreement <= 0:
            return 1.0
        exponent = math.log(self.tries * keys) + self.id_bits * math.log(2) - agreement**2 / 2
        return math.exp(max(-700.0, min(0.0, exponent)))
