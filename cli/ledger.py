"""``assay ledger``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from assay.cli.door import emit, json_option, open_workspace, talk, waiting
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.ledger.log import SqlLog
    from assay.provenance.protocols import Found

FILE = click.Path(path_type=Path)

ledger = LazyGroup(
    "ledger",
    help="The transparency log: what was signed, in an order that nobody can quietly change.",
    lazy={
        "init": ("assay.cli.ledger:init", "Make an empty ledger where the settings name one."),
        "append": ("assay.cli.ledger:append", "Log files as they are."),
        "find": ("assay.cli.ledger:find", "Find entries by file, digest, mark or manifest."),
        "receipt": ("assay.cli.receipt:receipt", "Print or check a receipt."),
        "event": ("assay.cli.event:event", "Record what happens to files, signed, and check it."),
        "witness": ("assay.cli.witness:witness", "Have the ledger witnessed, or witness those of others."),
        "check": ("assay.cli.ledger:check", "Re-derive everything and name what is wrong."),
        "anchor": ("assay.cli.anchor:anchor", "Publish the newest checkpoint to the ledger's anchors."),
        "anchors": ("assay.cli.anchor:anchors", "List what was anchored, and what it proves."),
        "contract": ("assay.cli.contract:contract", "The contract that keeps checkpoints on an EVM chain."),
        "export": ("assay.cli.export:export", "Write entries and their proofs for a stranger."),
        "publish": ("assay.cli.publish:publish", "Write it as files that any web server can serve."),
        "import": ("assay.cli.publish:import_", "Mirror a published ledger, verified."),
        "serve": ("assay.cli.serve:serve", "Serve it to others over HTTP."),
        "token": ("assay.cli.serve:token", "Say who may append over HTTP."),
        "erase": ("assay.cli.ledger:erase", "Erase what is kept beside an entry; the log stays as it is."),
        "key": ("assay.cli.ledger:key", "Print the verifier key, for those who are to check."),
        "upgrade": ("assay.cli.ledger:upgrade", "Bring the database to this program's schema."),
    },
)


@click.command()
@click.pass_context
def init(ctx: click.Context) -> None:
    """Make an empty ledger at the database that the workspace's settings name; refuses where one exists."""
    workspace = open_workspace(ctx)
    workspace.create_log()
    talk(ctx, f"made the ledger {workspace.settings.origin}")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE…")
@json_option
@click.pass_context
def append(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Log files as they are: digest, credentials they carry, for pictures fingerprint and sketch.

    Nothing is signed into them. A stripped copy of a file logged so leads back to it and to its credentials.

    \b
    Example:
      assay ledger append archive/*.jpg --json
    """
    from assay.provenance.records import append_file
    from assay.provenance.text import safe_text

    workspace = open_workspace(ctx)
    for path in paths:
        entry = append_file(workspace, path)
        if as_json:
            emit({"index": entry.index, "leaf_hash": entry.leaf_hash.hex(), "receipt": entry.text})
        else:
            click.echo(f"{entry.index}  {entry.entry.digest}  {safe_text(path)}")


@click.command()
@click.argument("what", metavar="FILE|DIGEST|MARK|MANIFEST|ISCC")
@json_option
@click.pass_context
def find(ctx: click.Context, what: str, as_json: bool) -> None:
    """Find entries: by a file (digest, then fingerprint), sha256:HEX, SCHEME:HEX of a mark, a manifest URN, or the
    ISCC of a picture (then also entries whose code is near it).

    Exit code 0 if something was found, 3 if not.

    \b
    Examples:
      assay ledger find photo.jpg
      assay ledger find io.assay.hallmark.1:0123456789abcdef
      assay ledger find ISCC:EED4GQZQTY6J5DTHQ2DWCPDZHQOM6QZQTY6J5DTFZ2DWCPDZHQOMXDI
    """
    from assay.provenance.records import find as find_entries

    found = find_entries(open_workspace(ctx), what)
    for by, item in found:
        _print(by, item, as_json)
    if not found:
        talk(ctx, "nothing found")
        ctx.exit(3)


def _print(by: str, item: Found, as_json: bool) -> None:
    from assay.provenance.text import safe_text

    entry = item.entry
    document: dict[str, Any] = {
        "by": by,
        "index": item.receipt.index,
        "leaf_hash": item.receipt.leaf_hash.hex(),
        "digest": str(entry.digest),
        "media_type": entry.media_type,
        "time": entry.time,
        "mark": str(entry.mark) if entry.mark else None,
        "manifest_label": entry.manifest_label or None,
        "bindings": [{"alg": a, "value": v} for a, v in item.recovery.bindings] if item.recovery else [],
        "source_type": entry.source_type or None,
        "generator": entry.generator or None,
        "distance": item.distance,
        "receipt": item.receipt.text,
    }
    if as_json:
        emit(document)
        return
    near = f", {item.distance} of 256 bits differ" if by == "fingerprint" else ""
    click.echo(
        f"entry {item.receipt.index} by {by}{near}: {entry.digest} {entry.media_type} {safe_text(entry.time)}"
    )


@click.command()
@click.option("--duplicates", is_flag=True, help="Also list files logged more than once; that is no fault.")
@click.option("--no-lookups", is_flag=True, help="Leave out the look-up keys: a third of the time.")
@json_option
@click.pass_context
def check(ctx: click.Context, duplicates: bool, no_lookups: bool, as_json: bool) -> None:
    """Re-derive the whole ledger, entry by entry, and name whatever does not fit. Exit code 1 if anything is."""
    from assay.provenance.errors import UsageError

    workspace = open_workspace(ctx)
    size = workspace.log.size
    if (duplicates or no_lookups) and not hasattr(workspace.log, "duplicates"):
        raise UsageError("a ledger kept elsewhere is only checked whole", hint="ask there for more")
    log = cast("SqlLog", workspace.log)
    with waiting(ctx, f"checking {size} entries of {workspace.settings.origin}"):
        problems = log.check(lookups=False) if no_lookups else log.check()
        twice = log.duplicates() if duplicates else []
    if as_json:
        document = {"origin": workspace.settings.origin, "size": size, "problems": problems}
        emit(document | ({"duplicates": {str(d): n for d, n in twice}} if duplicates else {}))
    else:
        for digest, count in twice:
            click.echo(f"duplicate, which is allowed: {digest} was logged {count} times")
        for problem in problems:
            click.echo(problem)
        if not problems:
            click.echo(f"{workspace.settings.origin}: {size} entries, all as they were signed")
    ctx.exit(1 if problems else 0)


@click.command()
@json_option
@click.pass_context
def upgrade(ctx: click.Context, as_json: bool) -> None:
    """Bring the ledger's database to this program's schema; entries, hashes and proofs stay as they are.

    A copy of an SQLite ledger is made first, beside it. In PostgreSQL, make a dump yourself.
    """
    schema, copy = open_workspace(ctx).upgrade_log()
    if as_json:
        emit({"schema_before": schema, "copy": str(copy) if copy else None})
    elif copy:
        click.echo(f"upgraded from schema {schema}; the ledger as it was: {copy}")
    else:
        click.echo(f"the ledger had schema {schema}; nothing more to do")


@click.command()
@json_option
@click.pass_context
def key(ctx: click.Context, as_json: bool) -> None:
    """Print the ledger's verifier key: witnesses, mirrors and those who check receipts need it, from you."""
    log = open_workspace(ctx).log
    if as_json:
        emit({"origin": log.origin, "vkey": log.vkey})
    else:
        click.echo(log.vkey)


@click.command()
@click.argument("index", type=click.IntRange(0, (1 << 63) - 1), metavar="INDEX")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def erase(ctx: click.Context, index: int, yes: bool, as_json: bool) -> None:
    """Erase what is kept beside an entry: fingerprint, small picture, credentials, soft bindings.

    A stripped copy of the file no longer leads back to it. The entry, its receipts and all proofs stay as they
    are: the log holds only salted digests of what is gone. It cannot be undone.

    \b
    Example:
      assay ledger erase 12
    """
    from assay.provenance.errors import UsageError

    log = open_workspace(ctx).log
    if not hasattr(log, "erase_recovery"):
        raise UsageError("records are erased where the ledger is kept", hint="this one is kept elsewhere")
    if not yes:
        click.confirm(f"Erase for ever what is kept beside entry {index}?", abort=True, err=True)
    erased = cast("SqlLog", log).erase_recovery(index)
    if as_json:
        emit({"index": index, "erased": erased})
    else:
        click.echo(f"erased what was kept beside entry {index}" if erased else "nothing was kept beside it")
