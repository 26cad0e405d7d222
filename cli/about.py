"""``assay plugins``, ``assay config`` and ``assay completion``."""

from __future__ import annotations

import re

import click

from assay.cli.door import emit, json_option, open_workspace
from assay.cli.lazy import LazyGroup

GROUPS = (
    *("assay.watermarks", "assay.knownmarks", "assay.detectors"),
    *("assay.signers", "assay.logs", "assay.fingerprints"),
)


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """List what is installed. Being installed gives a plug-in no say: only what settings name is used."""
    from importlib.metadata import entry_points

    for group in GROUPS:
        for point in sorted(entry_points(group=group), key=lambda e: e.name):
            owner = f"{point.dist.name} {point.dist.version}" if point.dist else ""
            if as_json:
                emit({"group": group, "name": point.name, "value": point.value, "from": owner})
            else:
                click.echo(f"{group:20} {point.name:12} {point.value}  ({owner})")


config = LazyGroup(
    "config",
    help="Show the workspace's settings.",
    lazy={"show": ("assay.cli.about:show", "Print the settings.")},
)


@click.command()
@json_option
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Print the settings and where they are, and what holds the readers of files on this machine."""
    from dataclasses import asdict

    from assay.provenance.files.worker import sandbox

    workspace = open_workspace(ctx)
    document = {"home": str(workspace.home), **asdict(workspace.settings)}
    # what is shown here is pasted into reports of faults
    document["ledger"] = re.sub(r"(?<=://)([^:/@]*):.*@", r"\1:…@", workspace.settings.ledger)
    if as_json:
        emit(document | {"sandbox": sandbox(workspace.limits).to_json()})
        return
    for name, value in {**document, "sandbox": sandbox(workspace.limits)}.items():
        click.echo(f"{name:11} {', '.join(value) if isinstance(value, tuple) else value}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script.

    \b
    Example:
      assay completion bash > ~/.local/share/bash-completion/completions/assay
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "assay", "_ASSAY_COMPLETE").source())
