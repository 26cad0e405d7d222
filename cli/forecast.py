"""``assay watermark forecast``, and the table of ``assay sign --forecast``: what will outlast publication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, json_option
from assay.cli.watermark import KEYS, first_found, open_schemes

if TYPE_CHECKING:
    from assay.provenance.mark import Mark
    from assay.provenance.protocols import Fingerprinter, Watermark
    from assay.watermark.forecast import Outlook

WORDS = {True: "yes", False: "lost", None: "-"}
CREDENTIALS = (
    "Credentials inside the file are lost in all of these. 'leads back': with the ledger at hand, mark or fingerprint\n"
    "lead to the entry, and its sketch shows this picture."
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--scheme", metavar="NAME", help="Look for this scheme alone.  [default: as 'read' does]")
@click.option("--key", "keys", multiple=True, metavar="URI", help=f"A key to try, repeatable: {KEYS}")
@json_option
@click.pass_context
def forecast(
    ctx: click.Context, paths: tuple[Path, ...], scheme: str | None, keys: tuple[str, ...], as_json: bool
) -> None:
    """Say what will still be readable of marked pictures where they are published.

    Each picture goes through what platforms, messengers and readers usually do, on this machine, and is read again:
    its mark, and the fingerprint by which a ledger that holds it would find it. Exit code 0 if every file carries a
    mark, 3 if some do not.

    \b
    Examples:
      assay watermark forecast marked.jpg
      assay sign photo.jpg -o signed.jpg --forecast
    """
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError
    from assay.provenance.plugins import load_plugin
    from assay.provenance.subject import Subject

    schemes = open_schemes(ctx, scheme, keys)
    likeness = load_plugin("assay.fingerprints", "pdq")()
    codes = {0}
    for path in paths:
        try:
            with Subject.open(path) as subject:
                found, reading = first_found(schemes, subject.picture().media)
            outlooks = forecast_of(path, reading.mark, found, likeness)
        except AssayError as error:
            say(error)
            codes.add(error.exit_code)
            continue
        codes.add(0 if reading.found else 3)
        if as_json:
            mark = {"scheme": reading.scheme, "id": reading.mark.id} if reading.mark else None
            emit({"path": str(path), "mark": mark, "forecast": [each.to_json() for each in outlooks]})
        else:
            show_forecast(str(path) if reading.mark else f"{path}: no mark", outlooks)
    ctx.exit(next(c for c in (5, 4, 3, 0) if c in codes))


def forecast_of(
    path: Path, mark: Mark | None, scheme: Watermark | None, likeness: Fingerprinter | None
) -> Sequence[Outlook]:
    """Try the usual passages on a marked picture, for a few seconds of this process's own time.

    Raises InputError where the picture cannot be read.
    """
    import time

    from assay.provenance.subject import Subject
    from assay.watermark.forecast import forecast as tried

    with Subject.open(path) as subject:
        return tried(subject.picture().media, mark, scheme, likeness, clock=time.process_time)


def show_forecast(title: str, outlooks: Sequence[Outlook]) -> None:
    """Print the table of one picture."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from assay.provenance.text import safe_text

    screen = console()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("if it is published as", "watermark", "fingerprint", "leads back"):
        table.add_column(Text(name))
    for each in outlooks:
        words = (WORDS[value] for value in (each.mark, each.fingerprint, each.recovered))
        row = words if each.tried else ("not tried",) * 3
        table.add_row(Text(each.told), *(Text(word) for word in row))
    screen.print(Text(safe_text(title, 400), style="bold"))
    screen.print(table)
    click.echo(CREDENTIALS)
