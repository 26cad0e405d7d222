"""The tables of bench/alarms.py, and the counts that they are made of."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from assay.watermark.hallmark.voice import TRIES
from assay.watermark.trial.figures import Rate, upper_bound
from assay.watermark.trial.table import Table

PARTS = ("decodings", "coins", "readings", "failures")
"""What bench/alarms.py does by turns."""
SIGMAS = (2, 3, 4, 5)
"""Standard deviations beyond which fixed words are counted."""


@dataclass
class Tally:
    """Counts and extremes by name; what is added under one name only ever grows."""

    done: int = 0
    pieces: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    most: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float = 1) -> None:
        """Add to a count."""
        self.counts[name] += value  # type: ignore[assignment]

    def reach(self, name: str, value: float) -> None:
        """Raise an extreme."""
        self.most[name] = max(value, self.most.get(name, -math.inf))


def tables(tallies: dict[str, Tally], bits: int) -> list[Table]:
    """Return what was counted."""
    found = [_alarms(tallies, bits), _calibration(tallies["coins"]), _likeliest(tallies, bits)]
    return [*found, _kinds(tallies), _costs(tallies)]


def _alarms(tallies: dict[str, Tally], bits: int) -> Table:
    free, read, failed = (tallies[part] for part in ("decodings", "readings", "failures"))
    foreign = sum(int(n) for name, n in read.counts.items() if name.startswith("readings, marked"))
    rows = []
    for told, hits, of in (
        ("readings, found", read.counts["found"], read.done),
        ("– on pictures that carry another mark", read.counts["found, marked"], foreign),
        ("hypotheses of readings, decoded: valid", read.counts["valid"], _decoded(read)),
        ("decodings without gates: valid", free.counts["valid"], free.done),
        (
            "decodings, any word, p < 1e-9",
            free.counts["under the alarm"] + read.counts["under the alarm"],
            free.done + _decoded(read),
        ),
        (
            "marked, failing decodings: wrong but valid",
            failed.counts["aligned, wrong but valid"],
            failed.done,
        ),
        (
            "marked, attacked, read: wrong identifier",
            failed.counts["readings, wrong"],
            int(failed.counts["readings"]),
        ),
    ):
        bound = f"{upper_bound(Rate(int(hits), of)):.2g}" if of else "–"
        rows.append((told, f"{of:,}", str(int(hits)), bound))
    note = (
        f"Most hypotheses of one key past CLEAR: {_most(read)} of TRIES = {TRIES}. "
        f"Words that are not valid pass p < 1e-9, whose bound counts 2^{bits} words and not 2^{bits + 32}, in at most "
        f"{2**32 * 1e-9 / TRIES:.1%} of decodings: the check bits are there for them."
    )
    return Table(f"False alarms, {bits} bits", ("counted", "of", "hits", "95 % bound"), tuple(rows), (note,))


def _decoded(tally: Tally) -> int:
    return sum(int(n) for name, n in tally.counts.items() if name.startswith("decodings, "))


def _most(tally: Tally) -> int:
    return int(tally.most.get("hypotheses of one reading", 0))


def _calibration(tally: Tally) -> Table:
    pairs = tally.counts["fixed"]
    rows = []
    for sigma in SIGMAS:
        expected = pairs * math.erfc(sigma / math.sqrt(2)) / 2
        above, below = tally.counts[f"above {sigma}"], tally.counts[f"below -{sigma}"]
        rows.append((f"{sigma}", f"{expected:,.1f}", f"{above:,}", f"{below:,}"))
    square = tally.counts["fixed squared"] / max(1, pairs)
    crops, keys = int(tally.counts["crops"]), int(tally.counts["keys"])
    largest = tally.most.get("fixed", 0)
    note = (
        f"{pairs:,} pairs of {crops:,} crops and {keys:,} keys beside the public one; mean square {square:.4f}; "
        f"largest magnitude {largest:.2f}."
    )
    header = ("standard deviations", "expected of a normal", "above", "below the negative")
    return Table("Agreement of fixed code words", header, tuple(rows), (note,))


def _likeliest(tallies: dict[str, Tally], bits: int) -> Table:
    free, read = tallies["decodings"], tallies["readings"]
    words = (bits + 32) * math.log(2)
    edges = sorted({float(n.split()[1]) for t in (free, read) for n in t.counts if _is_bin(n)})
    rows = []
    for edge in edges:
        shares = []
        for tally in (free, read):
            beyond = sum(n for name, n in tally.counts.items() if _is_bin(name) and float(name[10:]) >= edge)
            shares.append(f"{beyond / max(1, _decoded(tally)):.3g}")
        bound = math.exp(min(0.0, words - edge**2 / 2))
        rows.append((f"{edge:.2f}", *shares, f"{bound:.3g}"))
    tops = ", ".join(f"{t.most.get('agreement', 0):.2f}" for t in (free, read))
    header = ("agreement at least", "share of decodings", "of hypotheses of readings", "union bound")
    return Table(f"Agreement of the likeliest word; largest {tops}", header, tuple(rows))


def _is_bin(name: str) -> bool:
    return name.startswith("agreement ")


def _kinds(tallies: dict[str, Tally]) -> Table:
    free, coins, read = (tallies[part] for part in ("decodings", "coins", "readings"))
    kinds = {
        n.partition(", ")[2]
        for t in (free, coins, read)
        for n in t.counts
        if n.startswith(("decodings, ", "readings, "))
    }
    rows = []
    for kind in sorted(kinds):
        pairs = coins.counts[f"fixed, {kind}"]
        most = max(t.most.get(f"agreement, {kind}", 0.0) for t in (free, read))
        rows.append(
            (
                kind,
                f"{int(read.counts[f'readings, {kind}']):,}",
                f"{int(free.counts[f'decodings, {kind}'] + read.counts[f'decodings, {kind}']):,}",
                f"{most:.2f}" if most else "–",
                f"{coins.counts[f'fixed squared, {kind}'] / pairs:.3f}" if pairs else "–",
                f"{int(free.counts[f'loud, {kind}'] + read.counts[f'loud, {kind}'])}",
            )
        )
    header = ("kind", "readings", "decodings", "largest agreement", "mean square of fixed words", "past LOUD")
    return Table("By kind of picture", header, tuple(rows))


def _costs(tallies: dict[str, Tally]) -> Table:
    free, read = tallies["decodings"], tallies["readings"]
    timed = max(1, read.counts["timed"])
    mean = free.counts["loudness"] / max(1, free.done)
    spread = math.sqrt(max(0.0, free.counts["loudness squared"] / max(1, free.done) - mean**2))
    rows = (
        (
            "crops, keys beside the public one, of the decodings",
            f"{int(free.counts['crops']):,}, {int(free.counts['keys']):,}",
        ),
        ("crops in which nothing at all is heard", f"{int(free.counts['coinless']):,}"),
        (
            "loudness: mean, standard deviation, most",
            f"{mean:.3f}, {spread:.3f}, {free.most.get('loudness', 0):.2f}",
        ),
        ("decodings past LOUD", f"{free.counts['loud']:,} ({free.counts['loud'] / max(1, free.done):.2%})"),
        ("hypotheses past CLEAR, a reading", f"{read.counts['before the gate'] / max(1, read.done):.2f}"),
        ("– of these past LOUD", f"{read.counts['loud']:,} of {int(read.counts['before the gate']):,}"),
        ("highest score of a search", f"{read.most.get('score', 0):.2f}"),
        ("a reading with one key, seconds", f"{read.counts['seconds'] / timed:.2f}"),
        (
            "– of the processor, mean and most",
            f"{read.counts['processor seconds'] / timed:.2f}, "
            f"{read.most.get('processor seconds', 0):.2f} ({int(timed)} timed)",
        ),
    )
    return Table("Gates and costs", ("", ""), rows)
