"""``assay inspect``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from assay.cli.door import emit, json_option, open_workspace
from assay.provenance.text import safe_text

DEPTH = 12
"""Deepest nesting shown as text; --json shows all."""


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
    for line in _lines(found, 0):
        click.echo(line)


def _lines(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield a mapping as indented text; empty values are left out, strings from the file made safe."""
    for name, item in value.items():
        if item in (None, "", [], {}, ()):
            continue
        label = "  " * depth + safe_text(name, 80)
        if isinstance(item, Mapping) and depth < DEPTH:
            yield f"{label}:"
            yield from _lines(item, depth + 1)
        elif isinstance(item, list | tuple) and any(isinstance(x, Mapping) for x in item) and depth < DEPTH:
            for number, part in enumerate(item, 1):
                yield f"{label} {number}:"
                yield from _lines(part if isinstance(part, Mapping) else {"value": part}, depth + 1)
        else:
            shown = ", ".join(str(x) for x in item) if isinstance(item, list | tuple) else item
            yield f"{label}: {safe_text(shown, 500)}"
