"""Small line charts: what is drawn, worked out in numbers; the template writes them as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assay.detect.measure import metrics
from assay.detect.measure.aims import EQUAL
from assay.detect.measure.conditions import Condition
from assay.detect.measure.figures import Column, Findings, Value

WIDTH, HEIGHT = 320, 220
"""Of a chart's own square units, of which the page makes as many pixels as fit."""
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 34
"""Margins for what is written beside the axes."""
MOST_POINTS = 200
"""Points of a line."""
DASHES = ("none", "6 3", "2 3", "8 3 2 3", "1 5")
"""How the lines of several witnesses differ: in black and white too."""

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, its points, and for each point an interval (low, high) or None."""

    name: str
    points: tuple[Pair, ...]
    intervals: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: title, names of the axes, where they begin and end, lines, and a dashed line of comparison."""

    title: str
    across: str
    up: str
    x: Pair
    y: Pair
    lines: tuple[Line, ...]
    reference: tuple[Pair, Pair] | None = None

    @property
    def drawn(self) -> list[dict[str, object]]:
        """Return each line's name, path, dashes, dots and whiskers in the units of the chart."""
        return [
            {
                "name": line.name,
                "path": "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in map(self.place, line.points)),
                "dash": DASHES[number % len(DASHES)],
                "dots": [self.place(p) for p in line.points] if len(line.points) <= 20 else [],
                "whiskers": [
                    (*self.place((x, low)), self.place((x, high))[1])
                    for (x, _), (low, high) in zip(line.points, line.intervals, strict=False)
                    if math.isfinite(low)
                ],
            }
            for number, line in enumerate(self.lines)
        ]

    @property
    def ticks(self) -> dict[str, list[tuple[float, str]]]:
        """Return the places and words of five ticks on each axis."""

        def five(ends: Pair) -> list[float]:
            return [ends[0] + (ends[1] - ends[0]) * n / 4 for n in range(5)]

        return {
            "x": [(self.place((v, self.y[0]))[0], f"{v:.3g}") for v in five(self.x)],
            "y": [(self.place((self.x[0], v))[1], f"{v:.3g}") for v in five(self.y)],
        }

    @property
    def comparison(self) -> list[Pair]:
        """Return the ends of the dashed line of comparison in the units of the chart; empty without one."""
        return [self.place(p) for p in self.reference or ()]

    def place(self, point: Pair) -> Pair:
        """Return where a point lies in the chart; what is outside its axes lies on their ends."""
        shares = (
            (min(max(v, low), high) - low) / (high - low)
            for v, (low, high) in zip(point, (self.x, self.y), strict=True)
        )
        x, y = shares
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)


def charts(found: Findings) -> list[Chart]:
    """Return all charts that have a line: ROC, errors, calibration, then one for each curve of conditions."""
    names = [c.name for c in found.result.plan.conditions]
    condition = EQUAL if EQUAL in names else names[0]
    columns = {w: found.columns[w, condition] for w in found.result.plan.witnesses}
    made = [*_whole(columns, condition), *_curves(found)]
    return [chart for chart in made if chart.lines]


def _whole(columns: dict[str, Column], condition: str) -> Iterator[Chart]:
    yield Chart(
        f"Hits and false alarms, {condition}",
        "false alarms",
        "hits",
        (0, 1),
        (0, 1),
        _lines({w: metrics.roc(*_split(c.score, c)) for w, c in columns.items()}),
        ((0, 0), (1, 1)),
    )
    yield Chart(
        f"Error among the decided, {condition}",
        "share of all files that is decided",
        "error",
        (0, 1),
        (0, 0.5),
        _lines({w: c.curve() for w, c in columns.items()}),
    )
    bins = {}
    for witness, column in columns.items():
        if column.weighs:
            real, fake = (metrics.probability(part) for part in _split(column.llr, column))
            bins[witness] = metrics.reliability(real, fake)[:2]
    yield Chart(
        f"Calibration, {condition}",
        "P(synthetic) as given, even odds before",
        "share of generated",
        (0, 1),
        (0, 1),
        _lines(bins),
        ((0, 0), (1, 1)),
    )


def _split(values: metrics.Floats, column: Column) -> tuple[metrics.Floats, metrics.Floats]:
    known = ~np.isnan(values)
    return values[known & ~column.synthetic], values[known & column.synthetic]


def _lines(pairs: dict[str, tuple[metrics.Floats, metrics.Floats]]) -> tuple[Line, ...]:
    return tuple(
        Line(name, tuple((float(x[n]), float(y[n])) for n in _few(len(x))))
        for name, (x, y) in pairs.items()
        if len(x)
    )


def _few(count: int) -> Sequence[int]:
    """Return at most MOST_POINTS places of so many, the first and the last among them."""
    if count <= MOST_POINTS:
        return range(count)
    return [round(n * (count - 1) / (MOST_POINTS - 1)) for n in range(MOST_POINTS)]


def _curves(found: Findings) -> Iterator[Chart]:
    groups: dict[str, list[Condition]] = {}
    for condition in found.result.plan.conditions:
        if condition.level is not None:
            groups.setdefault(condition.group, []).append(condition)
    for group, conditions in groups.items():
        rows = sorted(conditions, key=lambda c: c.level or 0.0)
        levels = [row.level or 0.0 for row in rows]
        if len(levels) < 2:
            continue
        attack = rows[0].is_attack
        lines = []
        for witness in found.result.plan.witnesses:
            keys = [(witness, row.name) for row in rows]
            values = [found.hits[key] if attack else found.headline[key]["auc"] for key in keys]
            lines.append(_line(witness, levels, values))
        yield Chart(
            group,
            rows[0].axis,
            "hits" if attack else "AUC",
            (levels[0], levels[-1]),
            (0, 1),
            tuple(line for line in lines if line.points),
            None if attack else ((levels[0], 0.5), (levels[-1], 0.5)),
        )


def _line(name: str, levels: Sequence[float], values: Sequence[Value]) -> Line:
    known = [(x, v) for x, v in zip(levels, values, strict=True) if math.isfinite(v.value)]
    return Line(name, tuple((x, v.value) for x, v in known), tuple((v.low, v.high) for _, v in known))
