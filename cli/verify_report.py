"""``assay verify-report``."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.door import emit, json_option

SHOWN = 20
"""Most differing fields printed."""


@click.command("verify-report")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE.zip")
@json_option
@click.pass_context
def verify_report(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Make a report again from the evidence in its bundle, and say whether the same comes out, byte for byte.

    Needs no workspace, no ledger and no network: file, lists, time and the ledger's answers are in the bundle.
    Exit code 0 where nothing failed, 1 where something did, 4 where it is no such bundle.

    \b
    Examples:
      assay verify photo.jpg --report photo.zip
      assay verify-report photo.zip
    """
    from assay.cli.evidence import check_evidence
    from assay.provenance.text import safe_text

    layers, differ = check_evidence(path)
    if as_json:
        said = [{"name": layer.name, "state": layer.state, "says": layer.says} for layer in layers]
        emit({"path": str(path), "layers": said, "differs": differ})
    else:
        for layer in layers:
            click.echo(f"{layer.name:10}  {layer.state:11}  {safe_text(layer.says)}")
        for place in differ[:SHOWN]:
            click.echo(f"{'':10}  differs      {safe_text(place, 200)}")
        if len(differ) > SHOWN:
            click.echo(f"{'':10}  and {len(differ) - SHOWN} more")
    ctx.exit(1 if any(layer.state == "failed" for layer in layers) else 0)
