"""Blocks of evidence weighed and joined: each gives one bounded ratio, and what is correlated is never added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.provenance.blocks import DETECTORS, METADATA, WATERMARK, BlockCalibration, Pair
from assay.provenance.evidence import Evidence, Status

EMPTY: Mapping[str, Any] = {}
ORDER = (DETECTORS, WATERMARK, METADATA)
"""The blocks that are known; a check of any other name is a block of its own."""
NOT_ASKED, NOT_APPLICABLE, COULD_NOT_LOOK = "not-asked", "not-applicable", "error"
"""Reasons of a block that no check was asked for, in whose domain the file is not, or whose checks failed."""
NO_MARK, OUTWEIGHED, NO_WEIGHT = "no-mark-found", "outweighed", "no-weight"
"""No mark was read, which counts for nothing; a fact decided; a check looked and has nothing to weigh."""
_MARKS = ("mark", "known-marks")


@dataclass(frozen=True, slots=True)
class Block:
    """One block's log10 ratio, authentic against not, within ``bound``; or 0 and a ``reason`` code why it is silent.

    ``calibration`` is what the ratio rests on, as the check gave it.
    """

    name: str
    log10_lr: float
    bound: float
    reason: str = ""
    calibration: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "block": self.name,
            "log10_lr": round(self.log10_lr, 3),
            "bound": round(self.bound, 3),
            "reason": self.reason,
            "calibration": dict(self.calibration),
        }


@dataclass(frozen=True, slots=True)
class Weight:
    """All blocks and what they weigh together: ``log10_lr`` within ``bound``."""

    blocks: tuple[Block, ...]
    log10_lr: float
    bound: float


def block_of(check: str) -> str:
    """Return the block that a check belongs to."""
    if check.startswith("detector:"):
        return DETECTORS
    return WATERMARK if check in _MARKS else check


def weigh(
    evidence: Sequence[Evidence], cap: float, calibration: BlockCalibration, *, decided: bool
) -> Weight | None:
    """Return what all evidence weighs, None where no block weighs.

    ``cap`` is the largest |log10 ratio| that one witness, and all together, may bring; ``decided`` says that facts
    made the verdict, which what unsigned metadata look like then does not touch.
    """
    checks: dict[str, list[Evidence]] = {name: [] for name in ORDER}
    for item in evidence:
        name = block_of(item.check)
        if name in ORDER or _weighs(item):
            checks.setdefault(name, []).append(item)
    blocks = tuple(
        _block(name, checks[name], cap, decided) for name in (*ORDER, *sorted(set(checks) - {*ORDER}))
    )
    heard = [b for b in blocks if not b.reason]
    if not heard:
        return None
    total, bound = joined(heard, calibration)
    return Weight(blocks, max(-cap, min(cap, total)), min(cap, bound))


def joined(blocks: Sequence[Block], calibration: BlockCalibration) -> tuple[float, float]:
    """Return the log10 ratio of several blocks together and its bound, whatever their order.

    Two that were measured together are added where their correlation is small, and fused where it is not. Of those
    never measured together only the strongest on either side counts: it is never known that they are independent.
    """
    left = sorted(blocks, key=lambda b: b.name)
    parts: list[tuple[float, float]] = []
    for pair in calibration.pairs:
        both = [b for b in left if b.name in pair.between]
        if len(both) == 2:
            one, other = sorted(both, key=lambda b: pair.between.index(b.name))
            parts.append((_together(one.log10_lr, other.log10_lr, pair), one.bound + other.bound))
            left = [b for b in left if b not in both]
    parts += [(b.log10_lr, b.bound) for b in left]
    return _strongest([ratio for ratio, _ in parts]), max((bound for _, bound in parts), default=0.0)


def _together(one: float, other: float, pair: Pair) -> float:
    """Return two ratios' sum, or their fusion where they are correlated.

    A fusion never exceeds the sum, nor falls below the stronger of two that agree, nor leaves the room between two
    that do not: more evidence for one side never moves it to the other.
    """
    if not pair.correlated or not one or not other:
        return one + other
    weights = pair.weights or (0.0, 0.0)
    fused = weights[0] * one + weights[1] * other + pair.intercept
    low, high = min(one, other), max(one, other)
    if low > 0:
        low, high = high, low + high
    elif high < 0:
        low, high = low + high, low
    return max(low, min(high, fused))


def _strongest(ratios: Sequence[float]) -> float:
    return max((r for r in ratios if r > 0), default=0.0) + min((r for r in ratios if r < 0), default=0.0)


def _weighs(item: Evidence) -> bool:
    return item.status in (Status.PASS, Status.FAIL) and item.llr is not None


def _block(name: str, checks: Sequence[Evidence], cap: float, decided: bool) -> Block:
    heard = [e for e in checks if _weighs(e)]
    if not heard:
        return Block(name, 0.0, 0.0, _silence(name, checks, decided))
    if decided and name == METADATA:
        return Block(name, 0.0, 0.0, OUTWEIGHED)
    bounds = [min(cap, float(e.details.get("calibration", {}).get("bound", cap))) for e in heard]
    ratios = [max(-b, min(b, e.llr or 0.0)) for e, b in zip(heard, bounds, strict=True)]
    # Several of one block look at the same thing and were not measured together.
    strong = max(heard, key=lambda e: (abs(e.llr or 0.0), e.check))
    return Block(name, _strongest(ratios), max(bounds), "", strong.details.get("calibration", {}))


def _silence(name: str, checks: Sequence[Evidence], decided: bool) -> str:
    """Return why a block says nothing: its own check's reason code where that gave one."""
    if not checks:
        return NOT_ASKED
    if all(e.status is Status.ERROR for e in checks):
        return COULD_NOT_LOOK
    own = {str(e.details["silence"]) for e in checks if "silence" in e.details}
    if own:
        return min(own)
    if any(e.details.get("reason") == NOT_APPLICABLE for e in checks):
        return NOT_APPLICABLE
    if decided and name == DETECTORS and any(e.status is Status.PASS for e in checks):
        return OUTWEIGHED
    return NO_MARK if name == WATERMARK else NO_WEIGHT
