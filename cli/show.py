"""Reports, signatures and tables for a terminal.

Every string becomes visible text first (``safe_text``), fits the terminal's encoding second, and reaches rich
as Text, which interprets no markup. Nothing is said by colour: only words, shapes and weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

    from assay.provenance.manifest import Ingredient, Manifest
    from assay.provenance.report import Report
    from assay.provenance.sign import Signed

WIDTH = 100
"""Widest panel, in columns: longer lines are hard to read."""
PANEL_COLUMNS = 6
"""What a panel's border and padding take of its width."""
NARROW = 100
"""Below this many columns a table of histories has two columns instead of four."""
VALUE_CHARS = 300
"""Longest value in a list of facts."""
ITEMS = 40
"""Most regions, ancestors, or members of one list shown."""

_GLYPHS = {"pass": "●", "claim": "◐", "fail": "◆", "absent": "○", "error": "?"}
_PLAIN_GLYPHS = {"pass": "*", "claim": "~", "fail": "!", "absent": "-", "error": "?"}
_LEGEND = {
    "pass": "found good",
    "claim": "found a claim, mark or leaning",
    "fail": "found a contradiction",
    "absent": "nothing there, or no opinion",
    "error": "could not look",
}
# What typography becomes on a terminal that has only ASCII; other letters are shown by number.
_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "–": "-", "—": "-", "…": "...", "×": "x", "≠": "!=", "·": "-", "→": "->"}
)


class Pen:
    """Makes Text that the console can show; the only way from a string to the screen."""

    def __init__(self, console: Console) -> None:
        self.plain = console.options.ascii_only
        self.columns = min(console.width, WIDTH) - PANEL_COLUMNS
        self.glyphs = _PLAIN_GLYPHS if self.plain else _GLYPHS

    def __call__(self, value: object, style: str = "", *, limit: int = VALUE_CHARS * 4) -> Text:
        """Return a string as text to show, cut at ``limit`` characters."""
        from rich.text import Text

        from assay.provenance.text import safe_text

        shown = safe_text(value, limit)
        if self.plain:
            shown = "".join(c if c.isascii() else f"\\u{{{ord(c):x}}}" for c in shown.translate(_PLAIN))
        return Text(shown, style=style, overflow="fold")

    def line(self, *parts: Text) -> Text:
        """Join texts with single spaces."""
        from rich.text import Text

        return Text(" ", overflow="fold").join(p for p in parts if p.plain)


def _grid(*ratios: int | None) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    for ratio in ratios:
        grid.add_column(ratio=ratio, overflow="fold")
    return grid


def put(console: Console, item: RenderableType) -> None:
    """Print without markup, highlighting or emoji."""
    console.print(item, markup=False, highlight=False, emoji=False)


# ------------------------------------------------------------------------------------------------- a report


def show_report(report: Report, console: Console, verbose: bool = False) -> None:
    """Print one panel: verdict, sentence, three axes, conflicts, evidence, changed regions, history.

    ``verbose`` adds reasons, what the verdict means and does not, what was not checked, signer, versions.
    """
    from rich.console import Group
    from rich.panel import Panel

    pen = Pen(console)
    parts: list[RenderableType] = []
    for block in _blocks(report, pen, verbose):
        parts += [pen(""), *block] if parts else block
    panel = Panel(
        Group(*parts),
        title=pen(report.asset.path.name, "bold", limit=200),
        title_align="left",
        width=min(console.width, WIDTH),
        padding=(1, 2),
    )
    put(console, panel)


def _blocks(report: Report, pen: Pen, verbose: bool) -> Iterator[list[RenderableType]]:
    from assay.cli.show_identity import identity_blocks
    from assay.cli.show_time import time_blocks
    from assay.provenance import wording
    from assay.provenance.unchecked import not_checked

    yield [_verdict(report, pen), pen(report.headline)]
    if verbose:
        yield [
            pen("What this means", "bold"),
            pen(wording.MEANS[report.verdict]),
            pen("What it does not mean", "bold"),
            pen(wording.DOES_NOT_MEAN[report.verdict]),
        ]
    yield [_axes(report, pen)]
    yield from ([_conflict(c, pen)] for c in report.conflicts[:ITEMS])
    yield from ([_notice(n, pen)] for n in report.notices[:ITEMS])
    yield [_evidence(report, pen, verbose)]
    regions = _regions(report, pen)
    if regions:
        yield regions
    yield from time_blocks(report, pen)
    yield from ([tree] for tree in _histories(report, pen, verbose))
    yield from identity_blocks(report, pen, verbose)
    if verbose:
        yield _signers(report, pen)
        yield from _coverage(report, pen)
        yield [pen("Not checked", "bold"), *(pen(f"- {line}") for line in not_checked(report))]
        yield [_basis(report, pen)]


def _verdict(report: Report, pen: Pen) -> Text:
    from assay.provenance import wording
    from assay.provenance.report import Verdict

    label = wording.LABELS[report.verdict].upper()
    mark = "≠ " if report.verdict is Verdict.CONFLICT else ""
    return pen(f"[ {mark}{label} ]", "bold")


def _axes(report: Report, pen: Pen) -> Table:
    from assay.provenance import wording

    grid = _grid(None, 1)
    grid.add_row(pen("Integrity", "bold"), pen(wording.integrity_sentence(report)))
    grid.add_row(pen("Origin", "bold"), pen(wording.origin_sentence(report)))
    grid.add_row(pen("Synthesis", "bold"), pen(wording.synthesis_sentence(report)))
    return grid


def _conflict(conflict: Any, pen: Pen) -> RenderableType:
    from rich.console import Group

    from assay.provenance import wording

    grid = _grid(None, 1)
    for party, sentence in zip(conflict.between, conflict.says, strict=True):
        grid.add_row(pen("≠"), pen.line(pen(sentence), pen(f"({wording.check_name(party)})", "dim")))
    if conflict.innocent:
        grid.add_row(pen(""), pen(conflict.innocent, "dim"))
    return Group(pen.line(pen("Cannot both be right", "bold"), pen(conflict.rule, "dim")), grid)


def _notice(notice: Any, pen: Pen) -> RenderableType:
    from rich.console import Group

    says = pen.line(pen(notice.says[0]), pen(notice.says[1]), pen(notice.innocent, "dim"))
    head = pen.line(pen("Does not fit, and decides nothing", "bold"), pen(notice.rule, "dim"))
    return Group(head, says)


def _evidence(report: Report, pen: Pen, verbose: bool) -> RenderableType:
    from rich.console import Group

    from assay.provenance import wording

    grid = _grid(None, 1)
    seen: dict[str, None] = {}
    for item in report.evidence:
        key = wording.status_words(item)[0]
        seen.setdefault(f"{pen.glyphs[key]} {_LEGEND[key]}")
        line = pen.line(pen(f"{wording.check_name(item.check)}:", "bold"), pen(item.summary))
        grid.add_row(pen(pen.glyphs[key]), line)
        if verbose:
            for reason in item.reasons:
                grid.add_row(pen(""), pen(reason, "dim"))
    return Group(grid, *(pen(line, "dim") for line in _packed(seen, pen.columns)))


def _packed(items: Iterable[str], columns: int) -> list[str]:
    """Join short items into lines of at most ``columns`` columns, none broken."""
    lines = [""]
    for item in items:
        joined = f"{lines[-1]}   {item}" if lines[-1] else item
        lines[-1:] = [joined] if len(joined) <= columns or not lines[-1] else [lines[-1], item]
    return lines


def _regions(report: Report, pen: Pen) -> list[RenderableType]:
    from assay.provenance import wording

    recovered = report.recovered
    if not recovered or not recovered.matches or not recovered.comparison or not recovered.comparison.regions:
        return []
    regions = recovered.comparison.regions
    grid = _grid(None, 1)
    for number, region in enumerate(regions[:ITEMS], 1):
        grid.add_row(pen(number), pen(wording.region_words(region)))
    more = [pen(f"and {len(regions) - ITEMS} more", "dim")] if len(regions) > ITEMS else []
    return [pen("Differs from the original", "bold"), grid, *more]


def _histories(report: Report, pen: Pen, verbose: bool) -> Iterator[RenderableType]:
    from assay.provenance.manifest import ManifestState

    if report.manifest.state is not ManifestState.ABSENT:
        yield _history(report.manifest, "This file", pen, verbose)
    kept = report.recovered.manifest if report.recovered else None
    if kept and kept.label != report.manifest.label:
        yield _history(kept, "The original in the ledger", pen, verbose)


def _history(manifest: Manifest, what: str, pen: Pen, verbose: bool) -> Tree:
    from itertools import count

    from rich.tree import Tree

    from assay.provenance import wording

    label = pen.line(pen(what, "bold"), _state(wording.STATES[manifest.state], pen))
    tree = Tree(label)
    signer = wording.manifest_signer(manifest)
    if signer:
        tree.add(pen(f"signed by {signer}"))
    _actions(tree, manifest.actions, pen, verbose)
    _ancestors(tree, manifest.ingredients, pen, verbose, count())
    hidden = sum(1 for _ in manifest.history()) - ITEMS
    if hidden > 0:
        tree.add(pen(f"and {hidden} more ancestors", "dim"))
    return tree


def _ancestors(tree: Tree, items: Sequence[Ingredient], pen: Pen, verbose: bool, seen: Iterator[int]) -> None:
    from assay.provenance import wording

    for item in items:
        if next(seen) >= ITEMS:
            return
        relation = wording.RELATIONSHIPS.get(item.relationship, item.relationship)
        title = pen(item.title or "without a title", "bold", limit=120)
        node = tree.add(
            pen.line(pen(relation, limit=60), title, _state(wording.STATES[item.state], pen)),
        )
        signer = wording.ingredient_signer(item)
        if signer:
            node.add(pen(f"signed by {signer}"))
        _actions(node, item.actions, pen, verbose)
        _ancestors(node, item.ingredients, pen, verbose, seen)


def _state(words: str, pen: Pen) -> Text:
    return pen(f"({words})", "dim")


def _actions(tree: Tree, actions: Sequence[Any], pen: Pen, verbose: bool) -> None:
    from assay.provenance import wording

    for action in actions[: ITEMS if verbose else 4]:
        said = f", {wording.source_type_words(action.source_type)}" if action.source_type else ""
        tree.add(pen(f"{action.action.removeprefix('c2pa.')}{said}", limit=VALUE_CHARS))
    hidden = len(actions) - (ITEMS if verbose else 4)
    if hidden > 0:
        tree.add(pen(f"and {hidden} more actions", "dim"))


def _signers(report: Report, pen: Pen) -> list[RenderableType]:
    from assay.provenance import wording

    grid = _grid(None, 1)
    kept = report.recovered.manifest if report.recovered else None
    for manifest in (report.manifest, kept):
        if not manifest or not manifest.label:
            continue
        signer = manifest.signer
        rows = {
            "Signer": wording.manifest_signer(manifest),
            "Certificate": str(signer.certificate or ""),
            "Valid": f"{wording.moment(signer.not_before)} to {wording.moment(signer.not_after)}",
            "Signed": wording.time_words(manifest.time),
            "List": manifest.trust_list or "none of your lists",
            "Manifest": manifest.label,
            "Codes": ", ".join(manifest.codes[:ITEMS]),
            "Mind the letters": wording.lookalike_warning(signer.display),
        }
        _facts(grid, rows, pen)
    return [pen("Signer", "bold"), grid] if grid.row_count else [pen("No signer is named.", "dim")]


def _coverage(report: Report, pen: Pen) -> Iterator[list[RenderableType]]:
    from assay.provenance.coverage import coverage_sentence, gap_words

    coverage = report.manifest.coverage
    if coverage:
        gaps = (pen(f"- {words}") for words in gap_words(coverage))
        yield [pen("Covered bytes", "bold"), pen(coverage_sentence(coverage)), *gaps]


def _basis(report: Report, pen: Pen) -> Table:
    from assay.provenance import wording
    from assay.provenance.leaning import block_words

    grid = _grid(None, 1)
    changed = {c: v for c, v in report.without.items() if v != str(report.verdict)}
    rows: dict[str, object] = {f"Without {wording.check_name(c)}": v for c, v in changed.items()}
    rows["Digest"] = report.asset.digest
    if report.score:
        rows["Weight"] = f"{report.score.band} (log10 LR {report.score.log10_lr:+.2f})"
        rows["Blocks"] = " ".join(block_words(report.score.blocks))
    rows |= {"Policy": report.policy, "Examined": wording.moment(report.time)}
    rows |= {**report.engines, "Sandbox": report.sandbox}
    for entry in report.trust:
        rows[f"List {entry.get('name', '')}"] = f"{entry.get('date', '')} sha256:{entry.get('sha256', '')}"
    _facts(grid, rows, pen)
    return grid


def _facts(grid: Table, rows: Mapping[str, object], pen: Pen) -> None:
    for name, value in rows.items():
        if value:
            grid.add_row(pen(name, "dim", limit=60), pen(value, limit=VALUE_CHARS))


# ------------------------------------------------------------------------------------- signatures and tables


def show_signed(signed: Signed, console: Console) -> None:
    """Print what one signature left: credentials, watermark, ledger entry, and what was left out and why."""
    from assay.provenance.receipt import RECEIPT_SUFFIX

    pen = Pen(console)
    receipt = signed.receipt
    grid = _grid(None, 1)
    rows: dict[str, object] = {
        "credentials": signed.manifest_label,
        "watermark": f"{signed.mark.id} ({signed.mark.scheme})" if signed.mark else "none",
        "ledger": f"entry {receipt.index} of {receipt.origin}" if receipt else "no entry",
        "receipt": f"{signed.out.name}{RECEIPT_SUFFIX}" if receipt else "",
        "time": "time-stamped" if signed.time_stamped else "no time-stamp: when is not proven",
        "signer": "development signer" if signed.development else "",
        "digest": signed.digest,
    }
    _facts(grid, rows, pen)
    for note in signed.notes:
        grid.add_row(pen("note", "dim"), pen(note))
    put(console, pen.line(pen(signed.path.name, limit=200), pen("→"), pen(signed.out, "bold", limit=400)))
    put(console, grid)


def show_histories(console: Console, rows: Sequence[tuple[str, str, Report]]) -> None:
    """Print what happened to each file, the expected verdict, the verdict, and one reason."""
    from rich import box
    from rich.table import Table

    pen = Pen(console)
    wide = console.width >= NARROW
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=False, show_lines=False)
    columns = ("what happened", "expected", "verdict", "one reason")
    for name in columns if wide else ("what happened", "verdict"):
        table.add_column(pen(name), overflow="fold", no_wrap=name in ("expected", "verdict"))
    for told, expected, report in rows:
        same = expected == str(report.verdict)
        reason = pen(_reason(report))
        if wide:
            verdict = pen(report.verdict if same else f"≠ {report.verdict}", "bold")
            table.add_row(pen(told), pen(expected), verdict, reason)
        else:
            shown = str(report.verdict) if same else f"{report.verdict}\n≠ {expected}"
            reason.stylize("dim")
            table.add_row(pen(told).append("\n").append_text(reason), _lines(shown, pen))
        if not wide:
            table.add_section()
    put(console, table)


def _lines(text: str, pen: Pen) -> Text:
    from rich.text import Text

    return Text("\n").join(pen(line, "bold") for line in text.split("\n"))


def _reason(report: Report) -> str:
    from assay.provenance import wording
    from assay.provenance.listening import spans_words
    from assay.provenance.report import Verdict

    recovered = report.recovered
    if report.verdict is Verdict.CONFLICT and report.conflicts:
        return report.conflicts[0].says[1]
    if report.verdict is not Verdict.SOURCE_RECOVERED or not recovered:
        return report.headline.partition(". ")[0].rstrip(".") + "."
    start = f"Entry {recovered.receipt.index}, by its {recovered.by}"
    comparison = recovered.comparison
    if comparison is None:
        return f"{start}: the very same bytes."
    laid = "" if comparison.alignment == "as is" else f", {comparison.alignment}"
    if comparison.regions:
        places = "; ".join(wording.region_words(r) for r in comparison.regions[:3])
        silent = any(e.details.get("missing_and_changed") for e in report.evidence)
        too = "; the watermark is missing there too" if silent else ""
        return f"{start}{laid}. Differs: {places}{too}."
    if comparison.changes:
        return f"{start}{laid}. Differs in the seconds {spans_words(comparison.changes)}."
    return f"{start}{laid}. Nothing differs." if comparison.span else f"{start}{laid}. No region differs."
