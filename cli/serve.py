"""``assay ledger serve`` and ``assay ledger token``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, is_quiet, json_option, open_workspace, talk
from assay.cli.lazy import LazyGroup
from assay.provenance.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from assay.ledger.remote.tokens import Tokens
    from assay.provenance.workspace import Workspace

MAX_PORT = 65_535
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to bind; TLS is a front server's job."
)
@click.option(
    "--port",
    type=click.IntRange(0, MAX_PORT),
    default=7381,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A host name by which clients call it, beside localhost; requests for others are refused.",
)
@click.option("--no-recovery", is_flag=True, help="Hand out no recovery records and no fingerprints.")
@click.option("--read-only", is_flag=True, help="Take no entries, whoever has a token.")
@click.pass_context
def serve(
    ctx: click.Context, host: str, port: int, names: tuple[str, ...], no_recovery: bool, read_only: bool
) -> None:
    """Serve the ledger until interrupted; prints its URL once it listens, and each request on stderr.

    Everyone who reaches it may read: entries, proofs, and what is kept for recovery (fingerprints, small
    sketches, manifests) unless --no-recovery. Appending takes a token: assay ledger token new. Others use it
    with 'ledger = "https://…"' in their assay.toml.

    \b
    Examples:
      assay ledger serve
      assay ledger serve --host 0.0.0.0 --name ledger.example.org --no-recovery
    """
    from assay.cli.publish import own_log, witness_policy
    from assay.ledger.remote.wire import MAX_APPEND_BYTES

    try:
        from assay.ledger.remote.guard import LOOPBACK_NAMES
        from assay.ledger.remote.server import Terms, application
        from assay.ledger.serving import Server
    except ImportError as error:
        raise ConfigurationError(
            "the web server is not installed", hint="pip install 'assay[serve]'"
        ) from error
    if host not in LOOPBACK and not names:
        raise UsageError("by what name it is called from elsewhere is not said", hint="give --name HOST")
    workspace = open_workspace(ctx)
    log = own_log(workspace)
    policy = witness_policy(workspace)
    mirror = bool(workspace.settings.ledger_vkey)
    terms = Terms(
        hosts=LOOPBACK_NAMES | {name.lower() for name in names},
        tokens=None if read_only or mirror else tokens_of(workspace),
        recovery=not no_recovery,
        policy=policy.to_text() if policy else "",
        anchors=lambda: log.journal(workspace.now).records(),
        say=(lambda line: None) if is_quiet(ctx) else (lambda line: click.echo(line, err=True)),
    )
    server = Server(application(log, terms), max_body=MAX_APPEND_BYTES, host=host, port=port)
    server.run(click.echo)


def tokens_of(workspace: Workspace) -> Tokens:
    """Return who may append to the workspace's ledger from elsewhere."""
    from assay.ledger.remote.tokens import TOKENS_FILE, Tokens
    from assay.provenance.settings import KEYS

    return Tokens(workspace.home / KEYS / TOKENS_FILE)


token = LazyGroup(
    "token",
    help="Tokens by which others append to this ledger through its server.",
    lazy={
        "new": ("assay.cli.serve:new", "Make a token and print it, once."),
        "list": ("assay.cli.serve:list_", "List whose tokens there are."),
        "remove": ("assay.cli.serve:remove", "Make a token worthless."),
    },
)


@click.command()
@click.option("--name", required=True, help="Whose it is: lower-case letters, digits, '.', '_' and '-'.")
@json_option
@click.pass_context
def new(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make a token and print it. It is shown this once: the workspace keeps only its SHA-256.

    \b
    Example:
      assay ledger token new --name picture-desk > token.txt
    """
    workspace = open_workspace(ctx)
    made = tokens_of(workspace).new(name, workspace.now().date().isoformat(), workspace.random)
    if as_json:
        emit({"name": name, "token": made})
    else:
        click.echo(made)
    talk(
        ctx, 'whoever has it appends: in their assay.toml, ledger_token = "file:TOKEN-FILE" or "env:VARIABLE"'
    )


@click.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List whose tokens there are and since when."""
    for entry in tokens_of(open_workspace(ctx)).list():
        if as_json:
            emit({"name": entry.name, "created": entry.created})
        else:
            click.echo(f"{entry.name}  {entry.created}")


@click.command()
@click.argument("name")
@click.pass_context
def remove(ctx: click.Context, name: str) -> None:
    """Make a token worthless, for a running server too.

    \b
    Example:
      assay ledger token remove picture-desk
    """
    tokens_of(open_workspace(ctx)).remove(name)
    talk(ctx, f"removed {name}")
