"""``assay ledger publish`` and ``assay ledger import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option, open_workspace, talk
from assay.provenance.errors import UsageError

if TYPE_CHECKING:
    from assay.ledger.log import SqlLog
    from assay.ledger.remote.source import Source
    from assay.ledger.tlog.policy import TlogPolicy
    from assay.provenance.net import Net
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)


def own_log(workspace: Workspace) -> SqlLog:
    """Return the workspace's ledger as a database on hand; raises UsageError where it is on a server elsewhere."""
    from assay.ledger.log import SqlLog

    log = workspace.log
    if not isinstance(log, SqlLog):
        raise UsageError(
            f"the ledger {workspace.settings.origin} is kept elsewhere: {workspace.settings.ledger}",
            hint="run this where its database is",
        )
    return log


def witness_policy(workspace: Workspace) -> TlogPolicy | None:
    """Return the policy that the settings name, None if they name none."""
    from assay.cli.witness import read_policy

    return (
        read_policy(workspace.home / workspace.settings.witnesses) if workspace.settings.witnesses else None
    )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--head", is_flag=True, help="Publish the newest checkpoint even where no witness has cosigned it."
)
@json_option
@click.pass_context
def publish(ctx: click.Context, folder: Path, head: bool, as_json: bool) -> None:
    """Write the ledger into DIR as files that any web server can serve, for anyone to mirror and to check.

    The files are C2SP tlog-tiles: checkpoint, tiles, entries; the verifier key and the witness policy lie beside
    them. Run again, it adds what is new. With witnesses in the settings it stops at the newest cosigned
    checkpoint. Recovery records are never published: neither fingerprints nor sketches nor manifests.

    \b
    Example:
      assay ledger publish /srv/www/ledger
    """
    from assay.ledger.remote.static import publish as publish_log
    from assay.ledger.tlog.policy import NONE

    workspace = open_workspace(ctx)
    policy = witness_policy(workspace)
    done = publish_log(
        own_log(workspace),
        folder,
        cosigned=policy is not None and policy.quorum != NONE and not head,
        policy=policy.to_text() if policy else "",
    )
    if as_json:
        emit(
            {
                "origin": workspace.settings.origin,
                "folder": str(folder),
                "size": done.size,
                "before": done.before,
                "waiting": done.waiting,
                "files": done.files,
            }
        )
        return
    click.echo(f"{folder}: {done.size} entries, {done.size - done.before} of them new")
    if done.waiting:
        talk(ctx, f"{done.waiting} entries more wait for witnesses: assay ledger witness ask")


@click.command("import")
@click.argument("source", metavar="DIR|URL")
@click.option(
    "-o", "--out", type=FILE, required=True, help="The mirror's SQLite file; made if it does not exist."
)
@click.option("--vkey", default="", metavar="KEY", help="The log's verifier key, known from elsewhere.")
@click.option("--policy", type=FILE, help="A tlog-policy instead: logs to believe, witnesses to demand.")
@json_option
@click.pass_context
def import_(
    ctx: click.Context, source: str, out: Path, vkey: str, policy: Path | None, as_json: bool
) -> None:
    """Mirror a published ledger into a database that can be searched, and gives receipts, without asking anyone.

    Signature, root and every entry are verified. Run again it takes over what is new, and names a ledger that
    was rewritten, rolled back or forked since. Only the first run needs to be told whose ledger it is. A mirror
    holds no recovery records: it finds by digest, manifest and mark, not by likeness.

    \b
    Examples:
      assay ledger import https://example.org/ledger --vkey example.org/ledger+… -o mirror.sqlite
      assay ledger import ./published -o mirror.sqlite
    """
    from assay.ledger.remote.mirror import mirror
    from assay.provenance.net import Net

    if vkey and policy:
        raise UsageError("a policy names keys itself", hint="give --vkey or --policy")
    with Net() as net:
        done = mirror(_source(source, net), out, _trusted(vkey, policy))
    if as_json:
        emit(
            {
                "origin": done.origin,
                "vkey": done.vkey,
                "out": str(out),
                "size": done.size,
                "before": done.before,
                "witnesses": list(done.witnesses),
            }
        )
        return
    click.echo(f"{out}: {done.size} entries of {done.origin}, {done.size - done.before} of them new")
    if not done.before:
        talk(ctx, "to use it, in assay.toml:")
        talk(ctx, f'  ledger = "{out.absolute()}"\n  origin = "{done.origin}"\n  ledger_vkey = "{done.vkey}"')


def _source(text: str, net: Net) -> Source:
    from assay.ledger.remote.source import FolderSource, WebSource

    return WebSource(text, net) if text.startswith(("http://", "https://")) else FolderSource(Path(text))


def _trusted(vkey: str, policy: Path | None) -> TlogPolicy | None:
    from assay.cli.witness import read_policy
    from assay.ledger.tlog.policy import TlogPolicy

    if policy is not None:
        return read_policy(policy)
    return TlogPolicy.of_logs([vkey]) if vkey else None
