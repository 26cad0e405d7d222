"""``assay detect fuse``: several trainings become one panel."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option

if TYPE_CHECKING:
    from assay.detect.fuse import Fusion

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("trainings", nargs=-1, required=True, type=FILE, metavar="DIR…")
@click.option(
    "--into", required=True, type=FILE, metavar="FILE", help="Where the panel is written: panel.json."
)
@click.option("--name", default="panel", show_default=True, help="Its id: reports name it.")
@json_option
def fuse(trainings: tuple[Path, ...], into: Path, name: str, as_json: bool) -> None:
    """Weigh several trainings as one panel, by what each said of pictures whose sources it never saw.

    DIR are folders of assay detect train, all made from one index. The panel is one logistic regression over their
    logits, a line for each condition, and a count of false alarms by source.

    \b
    Examples:
      assay detect fuse training/statistics training/view --into ~/.assay/models/panel.json
    """
    from assay.detect.panels import write_fusion
    from assay.detect.store import read_card
    from assay.detect.train.run import HELD_OUT, fused
    from assay.detect.train.way import read_held_out

    cards = {folder: read_card(folder)[0] for folder in trainings}
    said = {card.name: read_held_out(folder / HELD_OUT) for folder, card in cards.items()}
    panel = replace(fused(name, said), digests={card.name: card.weights.sha256 for card in cards.values()})
    write_fusion(into, panel)
    if as_json:
        emit({"id": panel.id, "weights": dict(panel.weights), "alarms": [asdict(a) for a in panel.alarms]})
        return
    _show(panel)


def _show(panel: Fusion) -> None:
    for detector, weight in panel.weights.items():
        click.echo(f"{detector}: weight {weight:.2f}")
    for condition, line in panel.lines.items():
        click.echo(
            f"{condition}: slope {line.slope:.2f}, {line.n} pictures of {line.real_sources} real and "
            f"{line.fake_sources} generated sources, log10 within {line.bound:.2f}"
        )
    click.echo("log10   false alarms of 1,000   worst source")
    for alarm in panel.alarms:
        worst = f"{alarm.worst_per_1000:.0f} ({alarm.worst_source})"
        click.echo(f"{alarm.log10:5.1f}   {alarm.per_1000:21.0f}   {worst}")
