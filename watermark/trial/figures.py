"""From single trials to figures: rates with intervals, means and worst cases, by size of photograph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assay.watermark.trial.robustness import Trial

Z95 = 1.959964
"""The normal distribution's 97.5th percentile."""
SIZES = (
    ("below 0.3 MP", 0, 300_000),
    ("0.3 to 1 MP", 300_000, 1_000_000),
    ("1 to 4 MP", 1_000_000, 4_000_000),
    ("4 MP and more", 4_000_000, 1 << 62),
)
"""Size classes by the photograph's pixels: name, from, below."""
ALL = "all sizes"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often of how many."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """The rate, 0..1; NaN of nothing."""
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval after Wilson (1927), which holds near 0 and 1 too."""
        if not self.of:
            return 0.0, 1.0
        share, spread = self.share, Z95**2 / self.of
        centre = (share + spread / 2) / (1 + spread)
        half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one method did on the photographs of one size class.

    PSNR in dB and SSIM are of marked photographs, NaN where there are none. ``rates`` count exact payloads
    of each attack; a photograph that the method refuses counts as lost. ``wrong`` counts answers that claim
    a mark and give another payload, which only a method that ``has_rule`` can.
    """

    method: str
    size: str
    photographs: int
    refused: int
    psnr: tuple[float, float]
    ssim: tuple[float, float]
    rates: dict[str, Rate]
    wrong: int
    has_rule: bool

    @property
    def mean_rate(self) -> float:
        """The mean of the exact-recovery rates over the attacks."""
        return sum(rate.share for rate in self.rates.values()) / max(1, len(self.rates))


def summary(trials: Sequence[Trial], method: str, attacks: Iterable[str], size: str = ALL) -> Summary | None:
    """Return one method's figures in one size class (mean and least of PSNR and SSIM), None without trials."""
    low, high = next(((a, b) for name, a, b in SIZES if name == size), (0, 1 << 62))
    rows = [t for t in trials if t.method == method and low <= t.pixels < high]
    if not rows:
        return None
    marked = [t for t in rows if not t.refused]
    return Summary(
        method,
        size,
        len(rows),
        len(rows) - len(marked),
        _mean_and_least([t.psnr for t in marked]),
        _mean_and_least([t.ssim for t in marked]),
        {name: Rate(sum(t.exact.get(name, False) for t in rows), len(rows)) for name in attacks},
        sum(len(t.wrong) for t in rows),
        any(t.has_rule for t in rows),
    )


def upper_bound(rate: Rate) -> float:
    """Return the 95 % upper bound of a rate: exact where nothing was hit ("rule of three"), else Wilson's."""
    return 1 - 0.05 ** (1 / rate.of) if rate.of and not rate.hits else rate.interval[1]


def _mean_and_least(values: Sequence[float]) -> tuple[float, float]:
    return (sum(values) / len(values), min(values)) if values else (math.nan, math.nan)
