"""``assay detect evaluate``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, home_of, is_quiet, progress, talk

if TYPE_CHECKING:
    from assay.detect.measure.collection import Sample
    from assay.detect.measure.conditions import Condition
    from assay.detect.measure.figures import Findings
    from assay.detect.measure.run import Opener, Plan
    from assay.detect.measure.speed import Speed

FILE = click.Path(path_type=Path)
STDOUT = "-"
PANEL = "panel"


@click.command()
@click.argument("path", type=FILE, required=False, metavar="DIR|CSV")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model to measure beside the panel; again for more.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="NAME=FILE",
    help="A detector of others with its weights, as tiny-ladeda=WildRF_Tiny_LaDeDa.pth; again for more.",
)
@click.option(
    "--conditions", default="equalised", show_default=True, metavar="NAME,…", help="Names, groups, or all."
)
@click.option("--list-conditions", is_flag=True, help="List the conditions and measure nothing.")
@click.option(
    "--attack",
    "attacked",
    type=FILE,
    metavar="CARD",
    help="Attack this model's network by its own gradient too.",
)
@click.option(
    "--questions",
    type=click.IntRange(0, 10_000),
    default=0,
    help="Attack the first witness too, with so many questions about each generated picture.",
)
@click.option("--limit", type=click.IntRange(0), default=0, help="Most files of each source.")
@click.option(
    "--megapixels",
    type=click.FloatRange(0, 100),
    default=12.0,
    show_default=True,
    help="Size at which seconds and memory are measured; 0 for not at all.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Files at a time.  [default: one a core]")
@click.option("--seed", type=int, default=0, show_default=True, help="Moves every random number.")
@click.option(
    "--html", type=FILE, metavar="FILE", help="Also write everything, with charts, as one HTML page."
)
@click.option(
    "--json",
    "json_out",
    is_flag=False,
    flag_value=STDOUT,
    metavar="[FILE]",
    help="Write everything as JSON to a file, or to stdout instead of the tables.",
)
@click.pass_context
def evaluate(
    ctx: click.Context, path: Path | None, models: tuple[str, ...], peers: tuple[str, ...], conditions: str,
    list_conditions: bool, attacked: Path | None, questions: int, limit: int, megapixels: float,
    jobs: int | None, seed: int, html: Path | None, json_out: str | None,
) -> None:  # fmt: skip
    """Show pictures of known origin to detectors and say how often these are right, and how sure that is.

    DIR has folders named real and fake, with a folder for each source or generator in them; real_kodak, 0_real and
    names of files that begin so do as well. A CSV has the columns path,label,source and, where known,
    generator,kind; any other column is an attribute by which false alarms and hits are compared.

    Intervals come from drawing sources again, then files within them. Silence is counted, never left out. Exit
    code 4 if some files could not be read, after the tables of the others.

    \b
    Examples:
      assay detect evaluate held-out/ --html held-out.html
      assay detect evaluate held-out.csv --conditions all --json held-out.json
      assay detect evaluate held-out/ --peer tiny-ladeda=WildRF_Tiny_LaDeDa.pth --json
    """
    from assay.detect.measure.collection import collect
    from assay.detect.measure.conditions import chosen
    from assay.detect.measure.run import Plan

    if list_conditions:
        _list_conditions(chosen(conditions), json_out)
        return
    if path is None:
        raise click.UsageError("name a folder or a CSV of pictures")
    rows = chosen(conditions)
    witnesses = _witnesses(ctx, models, peers)
    attacks = _attacks(attacked, witnesses, questions)
    plan = Plan(witnesses, collect(path, limit), rows + attacks, seed, jobs or os.cpu_count() or 1)
    found = _found(ctx, plan, round(megapixels * 1e6))
    _write(ctx, found, f"Detectors on {path.name}", html, json_out)
    if json_out != STDOUT:
        _show(found)
    ctx.exit(4 if found.result.unread else 0)


def _witnesses(ctx: click.Context, models: Sequence[str], peers: Sequence[str]) -> dict[str, Opener]:
    """Return what opens each witness, ours first; raises UsageError where there is none."""
    from assay.detect.measure.witnesses import model, panel
    from assay.detect.store import FOLDER
    from assay.provenance.errors import UsageError

    folder = home_of(ctx) / FOLDER
    openers = {}
    try:
        openers[PANEL] = panel(folder)
    except UsageError as error:
        if not models and not peers:
            raise
        talk(ctx, f"the panel is left out: {error.message}")
    openers |= {name: model(folder, name) for name in models}
    for given in peers:
        from assay.detect.measure.peers import peer

        name, _, weights = given.partition("=")
        if not weights:
            raise UsageError("--peer takes NAME=FILE", hint="as tiny-ladeda=WildRF_Tiny_LaDeDa.pth")
        shown = name if name not in openers else f"{name} {Path(weights).stem}"
        openers[shown] = peer(name, Path(weights))
    return openers


def _attacks(card: Path | None, witnesses: dict[str, Opener], questions: int) -> tuple[Condition, ...]:
    rows: tuple[Condition, ...] = ()
    if card is not None:
        from assay.detect.measure.adversarial import conditions, target

        rows = conditions(target(card))
    if questions:
        from assay.detect.measure import blackbox

        rows += blackbox.conditions(*next(iter(witnesses.items())), questions)
    return rows


def _found(ctx: click.Context, plan: Plan, pixels: int) -> Findings:
    """Measure under a progress bar, name what could not be read, and work out the figures."""
    from assay.cli.failure import say
    from assay.detect.measure.figures import findings
    from assay.detect.measure.run import evaluate as measured

    with progress(ctx, "examining", len(plan.samples)) as advance:
        result = measured(plan, advance)
    if not is_quiet(ctx):
        for error in result.unread:
            say(error)
    return findings(result, _speeds(ctx, plan, result.samples, pixels))


def _speeds(ctx: click.Context, plan: Plan, samples: Sequence[Sample], pixels: int) -> tuple[Speed, ...]:
    """Time each witness on the largest file, one after the other."""
    from assay.detect.measure.speed import alone

    if not pixels or not samples:
        return ()
    # The largest file stands for the largest picture: opening all of them again would take minutes.
    path = max((sample.path for sample in samples), key=lambda p: p.stat().st_size)
    speeds = []
    with progress(ctx, "timing", len(plan.witnesses)) as advance:
        for name, opener in plan.witnesses.items():
            speeds.append(alone(name, opener, path, pixels))
            advance()
    return tuple(speeds)


def _list_conditions(rows: Sequence[Condition], json_out: str | None) -> None:
    if json_out:
        for row in rows:
            emit({"name": row.name, "group": row.group, "told": row.told, "level": row.level})
        return
    from assay.cli.bench import print_table

    told = [(row.name, row.group, row.told) for row in rows]
    print_table(console(), f"{len(rows)} conditions", ("name", "group", "what is done"), told)


def _show(found: Findings) -> None:
    from assay.cli.bench import print_table
    from assay.detect.measure.table import tables

    screen = console()
    for table in tables(found, short=True):
        print_table(screen, table.title, table.header, table.rows, table.notes)


def _write(ctx: click.Context, found: Findings, title: str, html: Path | None, json_out: str | None) -> None:
    from assay.detect.measure.page import page
    from assay.detect.measure.table import document
    from assay.provenance.files.atomic import atomic_output

    if json_out == STDOUT:
        emit(document(found))
    elif json_out:
        text = json.dumps(document(found), indent=1, allow_nan=False)
        with atomic_output(Path(json_out), overwrite=True) as stream:
            stream.write(f"{text}\n".encode())
        talk(ctx, f"everything: {json_out}")
    if html:
        with atomic_output(html, overwrite=True) as stream:
            stream.write(page(found, title).encode())
        talk(ctx, f"page: {html}")
