"""``assay inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.door import console, emit, json_option, open_workspace


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@json_option
@click.pass_context
def inspect(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Show everything a file carries: format, layout, credentials, disclosures, marks. No verdict.

    \b
    Examples:
      assay inspect photo.jpg
      assay inspect photo.jpg --json | jq .manifest.actions
    """
    from assay.provenance.inspection import inspect as examine

    found = examine(open_workspace(ctx), path)
    if as_json:
        emit(found)
        return
    from assay.cli.show_inspection import show_inspection

    show_inspection(found, console())
