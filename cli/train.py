"""``assay detect train``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from assay.cli.door import console, emit, is_quiet, json_option, talk

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("recipe", type=FILE, metavar="RECIPE.toml")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=FILE,
    metavar="CSV",
    help="Index: path, label, source, generator; again for more.",
)
@click.option(
    "--into",
    required=True,
    type=FILE,
    metavar="DIR",
    help="Folder of the training; a second call goes on from it.",
)
@click.option(
    "--reserved",
    type=FILE,
    metavar="JSON",
    help="Difference hashes of pictures that must not be learned from.",
)
@click.option(
    "--autoencoders",
    type=FILE,
    metavar="DIR",
    help="Tiny autoencoders (taesd_encoder.safetensors …): real crops are followed by their reconstructions.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes that read pictures."
)
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    recipe: Path,
    data: tuple[Path, ...],
    into: Path,
    reserved: Path | None,
    autoencoders: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Train a detector: folds that never split a source, calibration on what was said held out, card and weights.

    Needs torch (pip install 'assay[torch]'). Pictures of generators that are reserved for measuring are left out.

    \b
    Examples:
      assay detect train bench/recipes/statistics.toml --data pictures/INDEX.csv --into training
      assay models add training/card.json
    """
    from assay.detect.train.data import read_index
    from assay.detect.train.recipe import read_recipe
    from assay.detect.train.run import run
    from assay.provenance.workspace import utc_now

    chosen = read_recipe(recipe)
    items = [item for path in data for item in read_index(path)]
    today = utc_now().date()
    with _told(ctx) as tell:
        made = run(
            chosen, items, reserved, into, licences=_licences(data), made=today, jobs=jobs, tell=tell,
            autoencoders=autoencoders,
        )  # fmt: skip
    for reason, count in sorted(made.left_out.items()):
        talk(ctx, f"left out {count}: {reason}")
    talk(ctx, f"learned from {made.items} pictures; wrote {into / 'card.json'}")
    if as_json:
        emit({"card": made.card.to_json(), "items": made.items, "left_out": dict(made.left_out)})


@contextmanager
def _told(ctx: click.Context) -> Iterator[Callable[[str, int, int], None]]:
    """Show on stderr, when it is a terminal and not --quiet, what a training is doing and how far it is."""
    if is_quiet(ctx) or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import Progress

    with Progress(console=console(err=True), transient=True) as bar:
        task = bar.add_task("training")
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _licences(paths: tuple[Path, ...]) -> dict[str, tuple[str, str, str]]:
    """Return repository, commit and licence by source, where an index names them."""
    found: dict[str, tuple[str, str, str]] = {}
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                source = row.get("source") or ""
                found.setdefault(
                    source, (row.get("repository") or "", row.get("commit") or "", row.get("licence") or "")
                )
    return found
