"""The findings of an evaluation as tables and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assay.detect.measure import aims
from assay.detect.measure.figures import COVERAGE, FALSE_ALARMS, FIGURES, Findings, Group, Rate, Value
from assay.detect.measure.metrics import ROUNDS
from assay.provenance.opinion import LEANS, MOST_OF_WORST

DOCUMENT = "assay.detector-evaluation/v1"
"""What the JSON calls itself."""
_NOTHING = "–"
_DIGITS = 9  # of numbers in JSON: scores of peers may lie very close


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a heading for each column, rows of text, and what must be said below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(found: Findings, *, short: bool = False) -> list[Table]:
    """Return all tables that have a row; ``short`` leaves the intervals out of the cells."""
    made = [_aims(found), _overview(found, short)]
    made += [_division(found, title, short) for title in found.groups]
    made += [_alarms(found), _curves(found, short), _attacks(found), _silences(found), _speeds(found)]
    return [table for table in made if table.rows]


# ------------------------------------------------------------------------------------------- the tables


def _aims(found: Findings) -> Table:
    rows = tuple(
        (aim.told, f"{aim.sign} {aim.wanted:g}", _number(aim.reached), aim.remark) for aim in aims.aims(found)
    )
    return Table("What we aim at", ("", "wanted", "reached", ""), rows)


def _overview(found: Findings, short: bool) -> Table:
    keys = list(_single(found))
    counts = (f"{int(found.columns[key].answered.sum())} of {len(found.result.samples)}" for key in keys)
    rows: list[tuple[str, ...]] = [("answered", *counts)] if keys else []
    for name, told in FIGURES.items():
        rows.append((told, *(_cell(found.headline[key][name], short) for key in keys)))
    samples = found.result.samples
    real, fake = ({s.source for s in samples if s.synthetic is label} for label in (False, True))
    count = sum(s.synthetic for s in samples)
    notes = [f"{c.name}: {c.told}." for c in found.result.plan.conditions if c.level is None]
    notes += [
        f"{len(samples) - count} real pictures of {len(real)} sources, {count} generated ones of {len(fake)}.",
        "Figures are of the answered files; “silence even” counts the others as saying nothing.",
    ]
    if not short:
        notes.append(f"In brackets: the 95 % interval of {ROUNDS} resamples of sources, then of their files.")
    return Table("All files", _header("", keys), tuple(rows) if keys else (), tuple(notes))


def _header(first: str, keys: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return (first, *(f"{condition}, {witness}" for witness, condition in keys))


def _division(found: Findings, title: str, short: bool) -> Table:
    columns = found.groups[title]
    first = next(iter(columns.values()), ())
    rows = []
    for number, group in enumerate(first):
        files = " + ".join(str(n) for n in (group.real, group.fake) if n)
        rows.append((group.name, files, *(_cell(column[number].auc, short) for column in columns.values())))
    head, *others = _header(title, columns)
    return Table(f"AUC by {title}", (head, "files", *others), tuple(rows), (_against(first),))


def _against(groups: Sequence[Group]) -> str:
    if all(g.real and g.fake for g in groups):
        return "Files: real + generated. Each group's generated files against its own real ones."
    if any(g.real for g in groups):
        return (
            "A group's files of one label against all files of the other; of both labels, against each other."
        )
    return "Each group's generated files against all real ones."


def _alarms(found: Findings) -> Table:
    """Return how often each real source, and each group of recorded attributes, leans to synthetic."""
    rows = []
    for title, columns in found.groups.items():
        if title in ("generator", "fake source", "kind"):
            continue
        weighing = {key: column for key, column in columns.items() if found.columns[key].weighs}
        for number, group in enumerate(next(iter(weighing.values()), ())):
            if group.real:
                cells = (_rate(column[number].alarms) for column in weighing.values())
                rows.append((title, group.name, *cells))
    head, *others = _header("", _weighing(found))
    note = (
        f"Leaning: a log10 likelihood ratio of at most -{LEANS:g}, which no source of real photographs in "
        f"calibration reached in more than {MOST_OF_WORST:.0f} of 1,000. In brackets: the 95 % interval (Wilson)."
    )
    title = "False alarms in %: real files that lean to synthetic"
    return Table(title, (head, "real pictures", *others), tuple(rows), (note,))


def _weighing(found: Findings) -> Iterator[tuple[str, str]]:
    single = {c.name for c in found.result.plan.conditions if c.level is None}
    return (key for key, column in found.columns.items() if column.weighs and key[1] in single)


def _curves(found: Findings, short: bool) -> Table:
    witnesses = tuple(found.result.plan.witnesses)
    rows = []
    for condition in found.result.plan.conditions:
        if condition.level is None or condition.is_attack:
            continue
        cells = []
        for witness in witnesses:
            key = witness, condition.name
            share = found.columns[key].answered.mean() if len(found.result.samples) else math.nan
            cells.append(f"{_cell(found.headline[key]['auc'], short)}, {100 * share:.0f} %")
        rows.append((condition.name, condition.told, *cells))
    note = "AUC of the answered files, and how many of all were answered."
    return Table("Robustness", ("", "what is done", *witnesses), tuple(rows), (note,))


def _attacks(found: Findings) -> Table:
    witnesses = tuple(found.result.plan.witnesses)
    rows = []
    for condition in found.result.plan.conditions:
        if not condition.is_attack:
            continue
        cells = []
        for witness in witnesses:
            value = found.hits[witness, condition.name].value
            lost = aims.lost(found, witness, condition)
            cells.append(_percent(value) + ("" if math.isnan(lost) else f" (lost {_percent(lost)})"))
        rows.append((condition.name, condition.told, *cells))
    note = (
        f"Hits in %: generated files above what {100 * FALSE_ALARMS:g} % of the real ones exceed. In brackets: "
        "the share of the hits without attack that is lost. White box for the attacked network, transfer for others."
    )
    return Table("Attacks", ("", "what is done", *witnesses), tuple(rows), (note,))


def _silences(found: Findings) -> Table:
    rows = [
        (condition, witness, reason, str(count))
        for (witness, condition), column in found.columns.items()
        if (witness, condition) in set(_single(found))
        for reason, count in column.silences().items()
    ]
    return Table("Files without an answer", ("condition", "witness", "reason", "files"), tuple(rows))


def _single(found: Findings) -> Iterator[tuple[str, str]]:
    single = {c.name for c in found.result.plan.conditions if c.level is None}
    return (key for key in found.columns if key[1] in single)


def _speeds(found: Findings) -> Table:
    rows = [
        (s.witness, s.refused, *("",) * 6)
        if s.refused
        else (
            s.witness,
            *(f"{v:.2f}" for v in (s.megapixels, s.opening, s.decoding, s.wall, s.cpu)),
            *(f"{v:.0f}" for v in (s.peak_mib, s.idle_mib)),
        )
        for s in found.speeds
    ]
    header = (
        "witness", "MP", "opening, s", "decoding, s", "examining, s", "processor time, s", "most memory, MiB", "before",
    )  # fmt: skip
    return Table("Time and memory", header, tuple(rows))


def _cell(value: Value, short: bool) -> str:
    if math.isnan(value.value):
        return _NOTHING
    shown = f"{value.value:.3f}"
    return shown if short or math.isnan(value.low) else f"{shown} ({value.low:.3f}–{value.high:.3f})"


def _rate(rate: Rate) -> str:
    value = rate.value
    return f"{_percent(value.value)} ({100 * value.low:.1f}–{100 * value.high:.1f})"


def _percent(value: float) -> str:
    return _NOTHING if math.isnan(value) else f"{100 * value:.1f}"


def _number(value: float) -> str:
    return _NOTHING if math.isnan(value) else f"{value:.3f}"


# --------------------------------------------------------------------------------------------- the JSON


def document(found: Findings) -> dict[str, Any]:
    """Return everything as JSON values; ``timings`` and ``ms`` alone differ from run to run."""
    result, plan = found.result, found.result.plan
    return {
        "type": DOCUMENT,
        "seed": plan.seed,
        "leaning": LEANS,
        "coverage": COVERAGE,
        "witnesses": list(plan.witnesses),
        "conditions": [
            {"name": c.name, "group": c.group, "told": c.told, "level": c.level} for c in plan.conditions
        ],
        "samples": [
            {**asdict(s), "path": str(s.path), "attributes": dict(s.attributes)} for s in result.samples
        ],
        "unread": [str(error) for error in result.unread],
        "figures": [
            {
                "witness": witness,
                "condition": condition,
                "answered": int(found.columns[witness, condition].answered.sum()),
                "errors": found.columns[witness, condition].errors(),
                "silences": found.columns[witness, condition].silences(),
                **{name: _value(value) for name, value in values.items()},
            }
            for (witness, condition), values in found.headline.items()
        ],
        "groups": [
            {"division": title, "witness": witness, "condition": condition, **_group(group)}
            for title, columns in found.groups.items()
            for (witness, condition), groups in columns.items()
            for group in groups
        ],
        "attacks": [
            {"witness": witness, "condition": condition, "hits": _value(value)}
            for (witness, condition), value in found.hits.items()
        ],
        "aims": [{**asdict(aim), "reached": _finite(aim.reached)} for aim in aims.aims(found)],
        "answers": [_answers(found, *key) for key in found.columns],
        "timings": [asdict(speed) for speed in found.speeds],
    }


def _answers(found: Findings, witness: str, condition: str) -> dict[str, Any]:
    """Return one witness's answers under one condition, one place a file of ``samples``."""
    answers = found.result.answers[witness, condition]
    return {
        "witness": witness,
        "condition": condition,
        "status": [str(a.status) for a in answers],
        "reason": [a.reason for a in answers],
        "score": [None if a.score is None else round(a.score, _DIGITS) for a in answers],
        "llr": [None if a.llr is None else round(a.llr, _DIGITS) for a in answers],
        "ms": [round(a.ms, 1) for a in answers],
    }


def _group(group: Group) -> dict[str, Any]:
    rates = {
        name: {"of": rate.of, "hits": rate.hits, **_value(rate.value)}
        for name, rate in (
            ("answered", group.answered),
            ("decided", group.decided),
            ("alarms", group.alarms),
            ("true_hits", group.hits),
        )
    }
    return {"name": group.name, "real": group.real, "fake": group.fake, "auc": _value(group.auc), **rates}


def _value(value: Value) -> dict[str, Any]:
    interval = [_finite(value.low), _finite(value.high)]
    return {"value": _finite(value.value), "interval": None if None in interval else interval}


def _finite(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None
