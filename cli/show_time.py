"""The seconds of a film or a sound on a terminal: one line a witness, a column a stretch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.cli.show import Pen
    from assay.provenance.report import Report
    from assay.provenance.timeline import Lane

COLUMNS = 50
"""Widest line, in columns."""
_SCORES = "▁▂▃▄▅▆▇█"
_LEGEND = "█ there   ░ missing, or not the original’s   · not looked at"
_PLAIN_LEGEND = "# there   - missing, or not the original's   . not looked at"


def time_blocks(report: Report, pen: Pen) -> Iterator[list[RenderableType]]:
    """Yield the lanes of a report, where it says anything of single seconds, with the words for them."""
    from rich.table import Table

    from assay.provenance.timeline import timeline

    found = timeline(report)
    if not found.lanes or found.seconds <= 0:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(overflow="fold")
    columns = min(COLUMNS, max(10, pen.columns - 40))
    for lane in found.lanes:
        grid.add_row(pen(lane.name), pen(line(lane, found.seconds, columns, plain=pen.plain)))
    words = [pen(f"{lane.name}: {lane.words}") for lane in found.lanes if lane.kind != "mark"]
    head = pen(f"Second by second, 0 to {found.seconds:.1f} s", "bold")
    yield [head, grid, pen(_PLAIN_LEGEND if pen.plain else _LEGEND, "dim"), *words]


def line(lane: Lane, seconds: float, columns: int, *, plain: bool = False) -> str:
    """Return a lane as so many characters: the worst that a column's seconds have, of a detector the highest score."""
    there, missing, unseen = "#-." if plain else "█░·"
    shown = []
    for column in range(columns):
        start, stop = seconds * column / columns, seconds * (column + 1) / columns
        values = [s.value for s in lane.spans if min(s.stop, stop) - max(s.start, start) > (stop - start) / 4]
        if not values:
            shown.append(unseen)
        elif lane.kind == "score":
            shown.append(
                str(min(9, int(max(values) * 10))) if plain else _SCORES[min(7, int(max(values) * 8))]
            )
        else:
            shown.append(there if min(values) else missing)
    return "".join(shown)
