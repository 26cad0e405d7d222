"""The result of a trial as tables and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assay.watermark.trial.alarms import LEVELS, MATCH, Alarms
from assay.watermark.trial.attacks import ATTACKS
from assay.watermark.trial.figures import ALL, SIZES, Rate, Summary, summary, upper_bound
from assay.watermark.trial.run import Result
from assay.watermark.trial.speed import Speed

DOCUMENT = "assay.watermark-trial/v1"
"""What the JSON calls itself."""
_NOTHING = "–"
_NO_RULE = "no rule"


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a heading for each column, rows of text, and what must be said below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        text = "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        return "\n\n".join((f"## {self.title}", text, *self.notes)) + "\n"


def tables(result: Result, *, short: bool = False) -> list[Table]:
    """Return all tables: quality and cost, attacks, and, unless ``short``, attacks by size and calibration.

    ``short`` leaves the intervals out of the cells.
    """
    found = [_overview(result, short), _attacks(result, ALL, short)]
    if not short:
        found += [t for name, _, _ in SIZES if (t := _attacks(result, name, short)).rows]
    if any(alarms.with_p for alarms in result.alarms) and not short:
        found.append(_calibration(result))
    return found


def markdown(result: Result) -> str:
    """Return all tables in Markdown."""
    return "\n".join(table.markdown() for table in tables(result))


def document(result: Result) -> dict[str, Any]:
    """Return everything as JSON values; ``timings`` alone differ from run to run."""
    names = [method.name for method in result.methods]
    sizes = (ALL, *(name for name, _, _ in SIZES))
    found = [
        s
        for size in sizes
        for name in names
        if (s := summary(result.trials, name, result.plan.attacks, size))
    ]
    return {
        "type": DOCUMENT,
        "seed": result.plan.seed,
        "photographs": len(result.plan.photographs),
        "negatives": len(result.plan.negatives),
        "attacks": {
            name: {"group": ATTACKS[name].group, "told": ATTACKS[name].told, "goal": ATTACKS[name].goal}
            for name in result.plan.attacks
        },
        "methods": [asdict(method) for method in result.methods],
        "absent": result.absent,
        "unread": [str(error) for error in result.unread],
        "summaries": [_summary_values(s) for s in found],
        "false_alarms": [_alarm_values(a) for a in result.alarms],
        "trials": [_finite(asdict(trial)) for trial in result.trials],
        "timings": [asdict(speed) for speed in result.speeds],
    }


# ------------------------------------------------------------------------------------------- the tables


def _overview(result: Result, short: bool) -> Table:
    names = [method.name for method in result.methods]
    rows: list[tuple[str, ...]] = [("payload, bits", *(str(m.bits) for m in result.methods))]
    for size in (ALL, *(() if short else (name for name, _, _ in SIZES))):
        found = [summary(result.trials, name, result.plan.attacks, size) for name in names]
        if not any(found):
            continue
        rows += [
            (f"photographs, {size} (refused)", *_cells(found, lambda s: f"{s.photographs} ({s.refused})")),
            ("PSNR mean (least), dB", *_cells(found, lambda s: "{:.1f} ({:.1f})".format(*s.psnr))),
            ("SSIM mean (least)", *_cells(found, lambda s: "{:.4f} ({:.4f})".format(*s.ssim))),
            ("exact, mean of the attacks", *_cells(found, lambda s: f"{100 * s.mean_rate:.1f} %")),
        ]
        if size == ALL:
            rows.append(("found, but another payload", *_cells(found, _wrong)))
    rows += _alarm_rows(result.alarms, names)
    rows += _speed_rows(result, names)
    notes = [f"{method.name}: {method.note}." for method in result.methods]
    notes += [f"{name}: absent, {reason}." for name, reason in result.absent.items()]
    return Table("Quality and cost", ("", *names), tuple(rows), tuple(notes))


def _attacks(result: Result, size: str, short: bool) -> Table:
    names = [method.name for method in result.methods]
    found = [summary(result.trials, name, result.plan.attacks, size) for name in names]
    rows = []
    if any(found):
        for attack in result.plan.attacks:
            goal = ATTACKS[attack].goal
            told = "" if goal is None else f"{100 * goal:g}"
            cells = (_NOTHING if s is None else _rate(s.rates[attack], goal, short) for s in found)
            rows.append((attack, *cells, told))
        rows.append(("mean", *_cells(found, lambda s: f"{100 * s.mean_rate:.1f}"), ""))
    count = max((s.photographs for s in found if s), default=0)
    title = f"Exact recovery of the payload in %, {size}, {count} photographs"
    brackets = () if short else ("In brackets: the 95 % interval (Wilson).",)
    notes = (*brackets, "Last column: the rate that we aim at; * is less.")
    return Table(title, ("attack", *names, "goal"), tuple(rows), notes)


def _calibration(result: Result) -> Table:
    heard = [alarms for alarms in result.alarms if alarms.with_p]
    rows = [
        (
            f"p < {level:.0e}",
            *(f"{alarms.below[level]} (at most {alarms.with_p * level:.3g})" for alarms in heard),
        )
        for level in LEVELS
    ]
    return Table(
        "P-values on pictures without the mark",
        ("", *(f"{alarms.method}, {alarms.with_p} readings" for alarms in heard)),
        tuple(rows),
        ("In brackets: how many are to be expected at most, if the p-values are what they claim to be.",),
    )


def _alarm_rows(alarms: Sequence[Alarms], names: Sequence[str]) -> list[tuple[str, ...]]:
    if not alarms:
        return []
    by_name = {a.method: a for a in alarms}

    def cell(name: str, kind: str) -> str:
        heard = by_name.get(name)
        if heard is None or not heard.reads[kind]:
            return _NOTHING
        if heard.has_rule:
            return _alarm_rate(Rate(heard.found[kind], heard.reads[kind]))
        return f"{_NO_RULE}; by chance {_alarm_rate(Rate(heard.agree, heard.reads[kind]))}"

    kinds = {"whole": "unmarked", "foreign": "others' marks", "crop": "random crops of both"}
    rows = [(f"false alarms, {told}", *(cell(name, kind) for name in names)) for kind, told in kinds.items()]
    return [row for row in rows if any(c != _NOTHING for c in row[1:])]


def _alarm_rate(rate: Rate) -> str:
    return f"{rate.hits} of {rate.of} (below {100 * upper_bound(rate):.2g} %)"


def _speed_rows(result: Result, names: Sequence[str]) -> list[tuple[str, ...]]:
    speeds = {speed.method: speed for speed in result.speeds}
    if not speeds:
        return []

    def cells(show: Callable[[Speed], str]) -> Iterable[str]:
        for name in names:
            speed = speeds.get(name)
            yield _NOTHING if speed is None or speed.refused else show(speed)

    steps = {"embed": "embed", "read": "read", "read_crop": "read a crop", "read_unmarked": "read unmarked"}
    return [
        ("timed at, MP", *cells(lambda s: f"{s.megapixels:.1f}")),
        *((f"{told}, s a MP", *cells(_per_megapixel(field))) for field, told in steps.items()),
        ("memory at most (before), MiB", *cells(lambda s: f"{s.peak_mib:.0f} ({s.idle_mib:.0f})")),
    ]


def _per_megapixel(field: str) -> Callable[[Speed], str]:
    return lambda speed: f"{getattr(speed, field) / speed.megapixels:.4f}"


def _cells(found: Iterable[Summary | None], show: Callable[[Summary], str]) -> Iterable[str]:
    return (_NOTHING if s is None else show(s) for s in found)


def _wrong(found: Summary) -> str:
    if not found.has_rule:
        return _NO_RULE
    return f"{found.wrong} of {found.photographs * len(found.rates)}"


def _rate(rate: Rate, goal: float | None, short: bool) -> str:
    share = f"{100 * rate.share:.4g}{'' if goal is None or rate.share >= goal else '*'}"
    return share if short else "{} ({:.1f}–{:.1f})".format(share, *(100 * end for end in rate.interval))


# --------------------------------------------------------------------------------------------- the JSON


def _summary_values(found: Summary) -> dict[str, Any]:
    rates = {
        name: {"exact": rate.hits, "of": rate.of, "interval": list(rate.interval)}
        for name, rate in found.rates.items()
    }
    return _finite({**asdict(found), "rates": rates, "mean_rate": found.mean_rate})


def _alarm_values(alarms: Alarms) -> dict[str, Any]:
    below = {f"{level:.0e}": alarms.below[level] for level in LEVELS}
    counts = {kind: {"reads": n, "found": alarms.found[kind]} for kind, n in alarms.reads.items()}
    values = {"method": alarms.method, "has_rule": alarms.has_rule, "counts": counts}
    if alarms.has_rule:
        return {**values, "readings_with_p": alarms.with_p, "p_below": below}
    return {**values, "agree": alarms.agree, "agree_at": MATCH}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace what JSON cannot say: infinite PSNR of equal pictures, means of nothing."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return {key: plain(value) for key, value in values.items()}
