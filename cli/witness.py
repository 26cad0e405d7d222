"""``assay ledger witness``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from assay.cli.door import console, emit, json_option, open_workspace, talk
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.ledger.tlog.policy import TlogPolicy
    from assay.ledger.witness.client import Asked, WitnessedLog
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)
MAX_PORT = 65_535

witness = LazyGroup(
    "witness",
    help="Witnesses: others who have seen the ledger, and would notice if it went back or forked.",
    lazy={
        "ask": ("assay.cli.witness:ask", "Have the ledger's newest checkpoint cosigned."),
        "new": ("assay.cli.witness:new", "Make a witness of one's own."),
        "serve": ("assay.cli.witness:serve", "Run a witness."),
    },
)


@click.command()
@json_option
@click.pass_context
def ask(ctx: click.Context, as_json: bool) -> None:
    """Have the ledger's newest checkpoint cosigned by the witnesses of the policy that the settings name.

    If the policy's quorum is reached, the cosigned checkpoint is kept, and receipts are made against it. A
    witness that has seen more of this ledger, or another ledger of this name, stops it: that is the sign of a
    restored backup or a fork. Exit code 1 if the quorum is not reached.
    """
    from assay.ledger.witness.client import ask as ask_witnesses
    from assay.provenance.errors import UsageError
    from assay.provenance.net import Net
    from assay.provenance.witnessed import write_witnessed

    workspace = open_workspace(ctx)
    policy = _workspace_policy(workspace)
    if not hasattr(workspace.log, "keep_checkpoint"):
        raise UsageError("this ledger is kept elsewhere", hint="its keeper has it witnessed")
    log = cast("WitnessedLog", workspace.log)
    with Net() as net:
        asked = ask_witnesses(log, policy, net)
    if not asked.problem:
        write_witnessed(workspace.home, asked.note)
    if as_json:
        emit(_document(workspace, asked))
    else:
        _show(asked)
    ctx.exit(1 if asked.problem else 0)


def _workspace_policy(workspace: Workspace) -> TlogPolicy:
    from assay.provenance.errors import ConfigurationError

    if not workspace.settings.witnesses:
        raise ConfigurationError(
            "the settings name no witnesses",
            hint='write a tlog-policy into the workspace, and witnesses = "FILE" into assay.toml',
        )
    return read_policy(workspace.home / workspace.settings.witnesses)


def read_policy(path: Path) -> TlogPolicy:
    """Read a tlog-policy file; raises InputError naming the file."""
    from assay.ledger.tlog.policy import MAX_POLICY_BYTES, TlogPolicy
    from assay.provenance.errors import AssayError, InputError

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    try:
        return TlogPolicy.parse(data)
    except AssayError as error:
        raise InputError(error.message, hint=error.hint, path=path) from error


def said_time(seconds: int) -> str:
    """Return the time that a cosignature gives for itself, RFC 3339 UTC; "" where it gives none."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
    except (OverflowError, ValueError, OSError):
        return f"{seconds} seconds after 1970"


def _document(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    return {
        "origin": workspace.settings.origin,
        "size": asked.checkpoint.size,
        "root": asked.checkpoint.root.hex(),
        "quorum": not asked.problem,
        "problem": asked.problem or None,
        "witnesses": [
            {
                "name": answer.witness.name,
                "key": answer.witness.key.name,
                "url": answer.witness.url or None,
                "time": said_time(answer.time) or None,
                "problem": answer.problem or None,
            }
            for answer in asked.answers
        ],
        "checkpoint": None if asked.problem else asked.note,
    }


def _show(asked: Asked) -> None:
    from rich.table import Table

    from assay.provenance.text import safe_text

    table = Table("witness", "cosigned", "or why not", box=None, pad_edge=False)
    for answer in asked.answers:
        table.add_row(safe_text(answer.witness.name, 80), said_time(answer.time) or "no", answer.problem)
    console().print(table)
    done = asked.problem or f"cosigned at size {asked.checkpoint.size}: the quorum of witnesses is reached"
    click.echo(done)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--name", required=True, help="The witness's name, such as witness.example.org: no space, no '+'."
)
@click.option(
    "--algorithm",
    type=click.Choice(["ed25519", "ml-dsa-44"]),
    default="ed25519",
    show_default=True,
    help="What it signs with; ML-DSA-44 withstands quantum computers and takes 3,300 characters a signature.",
)
@json_option
@click.pass_context
def new(ctx: click.Context, folder: Path, name: str, algorithm: str, as_json: bool) -> None:
    """Make a witness in a new FOLDER: key (mode 0400), empty memory; print the key by which others know it.

    \b
    Example:
      assay ledger witness new ./witness --name witness.example.org
    """
    import secrets

    from assay.ledger.tlog.cosignature import ALGORITHMS
    from assay.ledger.witness.folder import create_witness

    key = create_witness(folder, name, ALGORITHMS[algorithm], secrets.token_bytes)
    if as_json:
        emit({"name": name, "algorithm": algorithm, "vkey": key.vkey, "folder": str(folder)})
    else:
        click.echo(key.vkey)
    talk(ctx, f"never restore {folder} from a backup: a witness that forgot can be led back")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--logs", type=FILE, required=True, help="A tlog-policy whose log lines are the logs to witness."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to bind; TLS is a front server's job."
)
@click.option(
    "--port",
    type=click.IntRange(0, MAX_PORT),
    default=7380,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.pass_context
def serve(ctx: click.Context, folder: Path, logs: Path, host: str, port: int) -> None:
    """Run the witness in FOLDER until it is interrupted; prints its URL once it listens.

    It cosigns a checkpoint of a known log only if the log proves that it extends the last one cosigned.

    \b
    Example:
      assay ledger witness serve ./witness --logs logs.policy --port 7380
    """
    from assay.ledger.witness.folder import open_witness
    from assay.ledger.witness.witness import MAX_REQUEST_BYTES, Witness
    from assay.provenance.errors import ConfigurationError
    from assay.provenance.workspace import utc_now

    try:
        from assay.ledger.serving import Server
        from assay.ledger.witness.server import application
    except ImportError as error:
        raise ConfigurationError(
            "the web server is not installed", hint="pip install 'assay[serve]'"
        ) from error
    known = read_policy(logs).logs
    if not known:
        raise ConfigurationError("the policy names no log", path=logs, hint="add a line: log VKEY")
    cosigner, memory = open_witness(folder)
    with memory:
        app = application(Witness(cosigner, known, memory, lambda: int(utc_now().timestamp())))
        server = Server(app, max_body=MAX_REQUEST_BYTES, host=host, port=port)
        talk(ctx, f"witness {cosigner.key.name} knows {len(known)} log{'s' if len(known) > 1 else ''}")
        server.run(click.echo)
