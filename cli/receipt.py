"""``assay ledger receipt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.cose import check_cose, write_cose
from assay.cli.door import emit, entry_index, json_option, open_workspace
from assay.cli.witness import read_policy, said_time

if TYPE_CHECKING:
    from assay.ledger.tlog.policy import TlogPolicy
    from assay.provenance.receipt import Receipt
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("what", metavar="INDEX|RECEIPT-FILE")
@click.option("--file", "path", type=FILE, help="With a receipt file: also check that it is this file's.")
@click.option(
    "--policy", type=FILE, help="Check it by this tlog-policy, of whatever ledger; needs no workspace."
)
@click.option("--cose", is_flag=True, help="Write a COSE receipt (RFC 9942) instead; needs --out.")
@click.option("-o", "--out", type=FILE, help="Where the COSE receipt goes.")
@click.option("--entry", type=FILE, help="With a COSE receipt: the entry's bytes; else the ledger is asked.")
@json_option
@click.pass_context
def receipt(
    ctx: click.Context,
    what: str,
    path: Path | None,
    policy: Path | None,
    cose: bool,
    out: Path | None,
    entry: Path | None,
    as_json: bool,
) -> None:
    """Print the receipt of an entry, or check a receipt file, offline.

    A receipt is printed against the newest checkpoint that witnesses have cosigned, if it covers the entry.
    A receipt file is checked by --policy, else by the workspace's ledger key, or, where it is of another ledger,
    by the trust lists of kind log. A file that ends in .cbor is read as a COSE receipt. Exit code 1 if it does
    not hold.

    \b
    Examples:
      assay ledger receipt 12 > 12.tlog-proof
      assay ledger receipt signed.jpg.tlog-proof --file signed.jpg
      assay ledger receipt signed.jpg.tlog-proof --policy agency.policy
      assay ledger receipt 12 --cose -o 12.cbor
    """
    index = entry_index(what)
    if cose or out:
        if not cose or not out or index is None:
            raise click.UsageError("a COSE receipt needs an entry's index, --cose and --out FILE")
        write_cose(ctx, index, out, as_json)
        return
    if what.endswith(".cbor"):
        ctx.exit(check_cose(ctx, Path(what), path, entry, policy, as_json))
    if index is not None and policy is None:
        _print(open_workspace(ctx), index, as_json)
        return
    from assay.ledger.tlog.proof import read_receipt
    from assay.provenance.records import check_receipt

    judge = Judge(ctx, policy)
    problem, checked = check_receipt(Path(what), path, parse=read_receipt, verify=judge)
    if as_json:
        emit(
            {
                "path": what,
                "valid": not problem,
                "problem": problem or None,
                "index": checked.index if checked else None,
                "origin": checked.origin if checked else None,
                "by": judge.by or None,
                "witnesses": [{"name": n, "time": said_time(t) or None} for n, t in judge.cosigned.items()],
            }
        )
    else:
        click.echo(problem or judge.words(checked))
    ctx.exit(1 if problem else 0)


def _print(workspace: Workspace, index: int, as_json: bool) -> None:
    log = workspace.log
    kept = log.kept_checkpoint(index + 1) if hasattr(log, "kept_checkpoint") else None
    found: Receipt = log.receipt(index, kept) if kept else log.receipt(index)  # type: ignore[call-arg]
    if as_json:
        emit({"index": found.index, "leaf_hash": found.leaf_hash.hex(), "receipt": found.text})
    else:
        click.echo(found.text.encode(), nl=False)  # a receipt is UTF-8, whatever the terminal is


class Judge:
    """Verifies a receipt by what is trusted here, and remembers by what, and who had cosigned it.

    ``knows`` says whether anything here could judge a receipt of that ledger at all.
    """

    def __init__(self, ctx: click.Context, policy: Path | None) -> None:
        self._ctx, self._path = ctx, policy
        self.by, self.knows = "", True
        self.cosigned: dict[str, int] = {}

    def __call__(self, found: Receipt) -> str:
        """Return what is wrong with it, in words, "" if nothing."""
        if self._path is not None:
            return self._judged(found, [(str(self._path), read_policy(self._path))])
        workspace = open_workspace(self._ctx)
        if found.origin == workspace.settings.origin:
            self.by = "this workspace"
            return workspace.log.verify_receipt(found)
        return self._judged(found, _lists(workspace, found.origin))

    def _judged(self, found: Receipt, policies: list[tuple[str, TlogPolicy]]) -> str:
        from assay.ledger.tlog.proof import Proof, verify_receipt
        from assay.provenance.text import safe_text

        problem = (
            f"the receipt is of the ledger {safe_text(found.origin, 200)}, which is neither this workspace's nor "
            "in a trust list of kind log"
        )
        self.knows = bool(policies)
        for name, policy in policies:
            problem = verify_receipt(found, policy)
            if not problem:
                self.by = name
                self.cosigned = dict(policy.examine(Proof.from_text(found.text).note).witnesses)
                break
        return problem

    def words(self, found: Receipt | None) -> str:
        """Say that it holds, of what, by what, and who had cosigned it when."""
        from assay.provenance.text import safe_text

        assert found is not None  # only a receipt that could be read holds
        said = f"the receipt holds: entry {found.index} of {safe_text(found.origin, 200)}, by {safe_text(self.by)}"
        witnesses = [
            f"{safe_text(name, 80)} ({said_time(time) or 'at no time it gives'})"
            for name, time in self.cosigned.items()
        ]
        return said + (f"; cosigned by {', '.join(witnesses)}" if witnesses else "")


def _lists(workspace: Workspace, origin: str) -> list[tuple[str, TlogPolicy]]:
    """Return the trust lists that name a ledger, by their names."""
    from assay.ledger.tlog.policy import TlogPolicy

    lists = [entry for entry in workspace.trust.lists() if entry.kind == "log"]
    read = [(entry.name, TlogPolicy.parse(workspace.trust.content(entry))) for entry in lists]
    return [item for item in read if any(log.key.name == origin for log in item[1].logs)]
