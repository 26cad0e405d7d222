"""COSE receipts for ``assay ledger receipt``: the same proof, spelt for SCITT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import emit, open_workspace, talk

if TYPE_CHECKING:
    from assay.ledger.log import SqlLog
    from assay.provenance.entry import Entry


def write_cose(ctx: click.Context, index: int, out: Path, as_json: bool) -> None:
    """Write the COSE receipt of an entry, signed with the ledger's key; an existing file is not replaced."""
    from assay.ledger.custody.cose import encode, log_key
    from assay.ledger.tlog.note import Verifier
    from assay.provenance.files.atomic import atomic_output

    workspace = open_workspace(ctx)
    log = _log(ctx)
    found = log.receipt(index)
    data = encode(found, log_key(workspace.ledger_key()), Verifier.parse(log.vkey).id)
    with atomic_output(out) as stream:
        stream.write(data)
    if as_json:
        emit({"index": index, "leaf_hash": found.leaf_hash.hex(), "out": str(out)})
    else:
        talk(ctx, f"{out}: entry {index} in the tree of {found.tree_size}, {len(data)} bytes")


def check_cose(
    ctx: click.Context, path: Path, file: Path | None, entry: Path | None, policy: Path | None, as_json: bool
) -> int:
    """Check a COSE receipt file; return the exit code.

    The leaf is read from ``entry``, or else from the workspace's ledger at the index that the receipt claims.
    """
    from assay.ledger.custody.cose import MAX_COSE_BYTES, claimed_index
    from assay.ledger.custody.events import read_bounded
    from assay.provenance.entry import MAX_ENTRY_BYTES, Entry
    from assay.provenance.errors import AssayError

    data = read_bounded(path, MAX_COSE_BYTES)
    problem, said = "", None
    try:
        if entry is not None:
            leaf = read_bounded(entry, MAX_ENTRY_BYTES)
        else:
            index = claimed_index(data)
            leaf = next(_log(ctx).leaves(index, index + 1), b"")
        said = _verified(ctx, data, leaf, policy, with_log=entry is None)
        problem = _other_file(file, Entry.from_bytes(leaf)) if file is not None else ""
    except AssayError as error:
        problem = error.message
    if as_json:
        emit(
            {
                "path": str(path),
                "valid": not problem,
                "problem": problem or None,
                "index": said.index if said else None,
                "origin": said.issuer if said else None,
            }
        )
    else:
        from assay.provenance.text import safe_text

        holds = f"the COSE receipt holds: entry {said.index} of {safe_text(said.issuer)}" if said else ""
        click.echo(problem or holds)
    return 1 if problem else 0


def _verified(ctx: click.Context, data: bytes, leaf: bytes, policy: Path | None, *, with_log: bool) -> Any:
    from assay.ledger.custody.cose import log_public, verify
    from assay.provenance.errors import MalformedError

    if policy is None:
        log = _log(ctx)
        said = verify(data, leaf, log_public(log.vkey), log.origin)
        # The size is not signed (docs/formats/cose-receipt.md); with the ledger at hand it need not be believed.
        if with_log and (said.size > log.size or log.root(said.size) != said.root):
            raise MalformedError(f"the ledger's tree of {said.size} entries is not the one of the receipt")
        return said
    from assay.cli.witness import read_policy

    refused = MalformedError("the policy names no log")
    for known in read_policy(policy).logs:
        try:
            return verify(data, leaf, log_public(known.key.vkey), known.key.name)
        except MalformedError as error:
            refused = error
    raise refused


def _other_file(file: Path, entry: Entry) -> str:
    from assay.provenance.files.sniff import open_asset

    asset, stream = open_asset(file)
    stream.close()
    if asset.digest == entry.digest:
        return ""
    return f"the receipt holds, but for another file ({entry.digest}, not {asset.digest})"


def _log(ctx: click.Context) -> SqlLog:
    from assay.ledger.log import SqlLog
    from assay.provenance.errors import UsageError

    log = open_workspace(ctx).log
    if not isinstance(log, SqlLog):
        raise UsageError(
            "a COSE receipt is made and looked up where the ledger is",
            hint="give --entry and --policy to check one",
        )
    return log
