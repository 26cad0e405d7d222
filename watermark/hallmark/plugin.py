"""The mark of our own as plug-ins of ``assay.watermarks``, one for each length of identifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.payload import PUBLIC_KEY


class Hallmark64(Hallmark):
    """``hallmark``: 64 bits, the default. Conforms to ``assay.provenance.protocols.KeyedWatermark``."""

    bits: ClassVar[int] = 64

    def __init__(self, keys: Sequence[bytes] = (PUBLIC_KEY,)) -> None:
        super().__init__(keys, self.bits)

    def with_keys(self, keys: Sequence[bytes]) -> Self:
        """Return the scheme under these secrets, the empty one standing for the public key."""
        return type(self)([key or PUBLIC_KEY for key in keys])


class Hallmark128(Hallmark64):
    """``hallmark128``: 128 bits, for identifiers of others, such as UUIDs."""

    bits = 128


class Hallmark256(Hallmark64):
    """``hallmark256``: 256 bits, for digests. Needs larger pictures."""

    bits = 256
