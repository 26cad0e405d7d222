"""``assay ledger export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, entry_index, json_option, open_workspace, talk

if TYPE_CHECKING:
    from assay.ledger.custody.bundle import Item, Witnessed
    from assay.ledger.log import SqlLog
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)
MAX_PEM_BYTES = 1 << 20


@click.command()
@click.argument("whats", nargs=-1, required=True, metavar="INDEX|FILE|DIGEST…")
@click.option("-o", "--out", type=FILE, required=True, help="The bundle to write, a zip.")
@click.option("--with-media", is_flag=True, help="Put the files named along; else only their digests go.")
@click.option(
    "--with-recovery", is_flag=True, help="Put along what the ledger keeps for recovery: sketch, credentials."
)
@click.option(
    "--since", type=FILE, metavar="BUNDLE", help="Prove that nothing was rewritten since that bundle."
)
@click.option("--force", is_flag=True, help="Overwrite the output.")
@json_option
@click.pass_context
def export(
    ctx: click.Context,
    whats: tuple[str, ...],
    out: Path,
    with_media: bool,
    with_recovery: bool,
    since: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write entries with all that proves them into one zip, for someone who has nothing of ours.

    A BagIt bag: entries, proofs, the checkpoint with its cosignatures, the keys, anchors, and two programs that
    check them, one with Python's standard library alone, one with openssl and a shell. An entry is named by its
    index, by a file or by sha256:HEX.

    \b
    Examples:
      assay ledger export signed.jpg --with-media -o evidence.zip
      assay ledger export 12 13 14 -o monday.zip --since friday.zip
    """
    from assay.ledger.custody.bundle import export as write
    from assay.ledger.log import SqlLog
    from assay.provenance.errors import UsageError
    from assay.provenance.sign import VERSION

    workspace = open_workspace(ctx)
    log = workspace.log
    if not isinstance(log, SqlLog):
        raise UsageError("a bundle is made where the ledger is", hint="run it on the ledger's own machine")
    items = [item for what in whats for item in _items(workspace, log, what, with_media)]
    made = write(
        log,
        out,
        items,
        policy=policy_of(workspace, log),
        software=f"Assay/{VERSION}",
        recovery=with_recovery,
        since=since,
        anchored=anchored_of(workspace),
        overwrite=force,
    )
    if as_json:
        emit({"out": str(out), "entries": made.indices, "tree_size": made.size, "anchors": made.anchors})
        return
    numbers = ", ".join(map(str, made.indices))
    click.echo(f"{out}: entries {numbers} in the tree of {made.size}, {made.anchors} anchors")
    talk(ctx, "check it with verify.py or verify.sh inside; give the policy apart from the bundle")


def _items(workspace: Workspace, log: SqlLog, what: str, with_media: bool) -> Iterator[Item]:
    from assay.ledger.custody.bundle import Item
    from assay.provenance.asset import Digest
    from assay.provenance.errors import UsageError
    from assay.provenance.files.sniff import open_asset

    index = entry_index(what)
    if index is not None:
        yield Item(index)
        return
    media = None
    if what.startswith("sha256:"):
        digest = Digest.parse(what)
    else:
        asset, stream = open_asset(Path(what), workspace.limits)
        stream.close()
        digest, media = asset.digest, Path(what) if with_media else None
    found = log.find_digest(digest)
    if not found:
        raise UsageError(
            "the ledger has no entry of this file", path=what, hint="assay ledger find leads to its original"
        )
    # A file logged more than once has one entry for each time, and goes along once.
    yield Item(found[0].receipt.index, media)
    yield from (Item(item.receipt.index) for item in found[1:])


def policy_of(workspace: Workspace, log: SqlLog) -> str:
    """Return the workspace's tlog-policy, this log's key in it; without one, a policy that asks for that key alone."""
    own = f"log {log.vkey}\n"
    if not workspace.settings.witnesses:
        return own + "quorum none\n"
    from assay.cli.witness import read_policy

    policy = read_policy(workspace.home / workspace.settings.witnesses)
    return ("" if any(known.key.vkey == log.vkey for known in policy.logs) else own) + policy.to_text()


def anchored_of(workspace: Workspace) -> list[Witnessed]:
    """Return the ledger's anchors, each with the certificate that the settings pin for it."""
    from assay.ledger.custody.bundle import Witnessed

    found = []
    for item in workspace.keeper.listing(online=False) if workspace.keeper else ():
        name = workspace.settings.anchors.get(item.record.name, {}).get("certificate", "")
        found.append(Witnessed(item, _pem(workspace.home / str(name)) if name else b""))
    return found


def _pem(path: Path) -> bytes:
    from assay.provenance.errors import ConfigurationError

    try:
        with path.open("rb") as stream:
            return stream.read(MAX_PEM_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"the time-stamp authority's certificate cannot be read: {error.strerror}", path=path
        ) from error
