"""``assay watermark bench``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, is_quiet, json_option, progress, talk
from assay.cli.watermark import DEFAULT

if TYPE_CHECKING:
    from rich.console import Console

    from assay.watermark.trial.run import Plan, Result

FILE = click.Path(path_type=Path)
FORMATS = (".json", ".md")
MOST_CROPS = 10_000_000


@click.command()
@click.argument("paths", nargs=-1, type=FILE, metavar="PHOTOS…")
@click.option("--scheme", default=DEFAULT, show_default=True, metavar="NAME,…", help="Schemes of ours.")
@click.option(
    "--against",
    metavar="NAME,…",
    help="Peers, by name or family: imwatermark, blind, trustmark; '' for none.  [default: all installed]",
)
@click.option(
    "--attacks", default="", metavar="NAME,…", help="Names, groups, or beginnings with *.  [default: all]"
)
@click.option("--list-attacks", is_flag=True, help="List the attacks and try nothing.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Most photographs of each folder.")
@click.option(
    "--negatives", type=FILE, multiple=True, metavar="DIR", help="Photographs without a mark; again for more."
)
@click.option(
    "--crops",
    type=click.IntRange(0, MOST_CROPS),
    default=0,
    help="Random crops of the negatives that are read besides, in all.",
)
@click.option(
    "--megapixels",
    type=click.FloatRange(0, 200),
    default=12.0,
    show_default=True,
    help="Size at which seconds and memory are measured; 0 for not at all.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Photographs at a time.  [default: one a core]")
@click.option("--seed", type=int, default=0, show_default=True, help="Moves every random number.")
@click.option("-o", "--out", type=FILE, help="Also write everything: .json, or tables as .md.")
@json_option
@click.pass_context
def bench(
    ctx: click.Context,
    paths: tuple[Path, ...],
    scheme: str,
    against: str | None,
    attacks: str,
    list_attacks: bool,
    limit: int,
    negatives: tuple[Path, ...],
    crops: int,
    megapixels: float,
    jobs: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Mark photographs with our schemes and with peers, attack them, and count how often the payload comes back.

    PHOTOS are files or folders. Equal photographs and seeds give equal counts, however many jobs there are; only
    times differ. Exit code 4 if some photographs could not be read, after the tables of the others.

    \b
    Examples:
      assay watermark bench photos/ --against imwatermark --attacks 'jpeg*,crops' --limit 20
      assay watermark bench photos/ --negatives others/ --crops 1000 -o result.json
      assay watermark bench --list-attacks
    """
    from assay.provenance.errors import UsageError
    from assay.watermark.trial.attacks import chosen
    from assay.watermark.trial.methods import peers
    from assay.watermark.trial.photographs import find
    from assay.watermark.trial.run import Plan

    if list_attacks:
        _list_attacks(attacks, as_json)
        return
    if not paths:
        raise click.UsageError("name photographs or folders of them")
    if out and out.suffix.lower() not in FORMATS:
        raise UsageError("-o writes .json or .md", path=out)
    if crops and not negatives:
        raise UsageError("--crops are made of --negatives", hint="name a folder of unmarked photographs")
    schemes = tuple(dict.fromkeys(name.strip() for name in scheme.split(",") if name.strip()))
    plan = Plan(
        tuple(find(paths, limit)),
        schemes + peers(against),
        chosen(attacks),
        tuple(find(negatives, limit)),
        crops,
        seed,
        jobs or os.cpu_count() or 1,
        round(megapixels * 1e6),
    )
    result = _tried(ctx, plan)
    if out:
        _write(out, result)
        talk(ctx, f"everything: {out}")
    _show(result, as_json)
    ctx.exit(4 if result.unread else 0)


def _tried(ctx: click.Context, plan: Plan) -> Result:
    """Run the plan under a progress bar and name what is not here or could not be read."""
    from assay.cli.failure import say
    from assay.provenance.errors import UsageError
    from assay.provenance.text import safe_text
    from assay.watermark.trial.run import Steps

    steps = Steps(plan)
    for name, reason in steps.absent.items():
        talk(ctx, f"{name}: left out, {safe_text(reason, 200)}")
    if not steps.names:
        raise UsageError("none of these methods is installed", hint="--scheme and --against name others")
    with progress(ctx, "trying", steps.total) as advance:
        result = steps.run(advance)
    if not is_quiet(ctx):
        for error in result.unread:
            say(error)
    return result


def _list_attacks(names: str, as_json: bool) -> None:
    from assay.watermark.trial.attacks import ATTACKS, chosen

    rows = [ATTACKS[name] for name in chosen(names)]
    if as_json:
        for row in rows:
            emit({"name": row.name, "group": row.group, "told": row.told, "goal": row.goal})
        return
    told = [(r.name, r.group, r.told, "" if r.goal is None else f"{100 * r.goal:g} %") for r in rows]
    print_table(console(), f"{len(rows)} attacks", ("name", "group", "what is done", "goal"), told)


def _show(result: Result, as_json: bool) -> None:
    from assay.watermark.trial.table import document, tables

    if as_json:
        emit(document(result))
        return
    screen = console()
    for table in tables(result, short=True):
        print_table(screen, table.title, table.header, table.rows, table.notes)


def print_table(
    screen: Console,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
) -> None:
    """Print a table with its title, and its notes below."""
    from rich import box
    from rich.table import Table

    from assay.cli.show import Pen

    pen = Pen(screen)
    table = Table(title=pen(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for name in header:
        table.add_column(pen(name), overflow="fold")
    for row in rows:
        table.add_row(*map(pen, row))
    screen.print(table)
    for note in notes:
        screen.print(pen(note))
    screen.print()


def _write(path: Path, result: Result) -> None:
    from assay.provenance.files.atomic import atomic_output
    from assay.watermark.trial.table import document, markdown

    is_json = path.suffix.lower() == ".json"
    text = json.dumps(document(result), indent=1, allow_nan=False) + "\n" if is_json else markdown(result)
    with atomic_output(path, overwrite=True) as stream:
        stream.write(text.encode())
