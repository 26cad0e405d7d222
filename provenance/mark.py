"""The identifier hidden in the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OWN_SCHEMES = "io.assay."
"""What the algorithm ids of our own schemes begin with."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An identifier and the scheme that hides it; an index key that leads to a ledger entry, never a secret.

    ``scheme`` is a namespaced, versioned algorithm id such as ``io.assay.dwtdctsvd.1``;
    ``id`` is the identifier as lower-case hexadecimal, its length fixed by the scheme.
    """

    scheme: str
    id: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.id}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a watermark reader saw in one file.

    ``mark`` is None unless found. ``p_value`` bounds the probability that unmarked media give so good an
    answer, all hypotheses of the search counted; None where the reader could not look. ``reason`` says in a
    few words why nothing was found or could be looked for (``"no mark"``, ``"too small"``). ``details`` are
    JSON values for experts. ``aligned`` says that the mark lies where embedding puts it in a whole picture, so
    that no crop, turn or resize explains a picture unlike the one it was made for.
    """

    scheme: str
    mark: Mark | None
    p_value: float | None
    reason: str = ""
    details: dict[str, Any] | None = None
    aligned: bool = False

    @property
    def found(self) -> bool:
        """Whether an identifier was read."""
        return self.mark is not None
