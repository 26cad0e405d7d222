"""``assay ledger event``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import emit, json_option, open_workspace, talk

if TYPE_CHECKING:
    from assay.ledger.custody.statement import VerifyingKey
    from assay.provenance.asset import Digest
    from assay.provenance.event import Event
    from assay.provenance.receipt import Receipt

FILE = click.Path(path_type=Path)
MAX_KEY_BYTES = 1 << 20


@click.group()
def event() -> None:
    """What somebody says happened to files: signed, and logged so that it cannot be taken back or dated back."""


@event.command()
@click.argument("kind")
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE…")
@click.option("-o", "--out", type=FILE, required=True, help="The signed envelope to write, as x.dsse.json.")
@click.option("--role", default="desk", show_default=True, help="The part that the signer plays.")
@click.option(
    "--details",
    type=FILE,
    metavar="JSON",
    help="A JSON object that is only committed to, kept apart, erasable.",
)
@click.option("--previous", type=FILE, metavar="ENVELOPE", help="The event of these files before this one.")
@click.option("--key", metavar="URI", help="Signing key: file:PATH or env:NAME.  [default: the workspace's]")
@click.option("--chain", type=FILE, help="Certificate chain (PEM, leaf first) for --key.")
@json_option
@click.pass_context
def record(
    ctx: click.Context, kind: str, paths: tuple[Path, ...], out: Path, role: str, details: Path | None,
    previous: Path | None, key: str | None, chain: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Sign that something happened to files, and log it.

    KIND is captured, received, verified, edited, approved, published, corrected, retracted, exported, accessed,
    transferred, decided or note. Beside the envelope stand its receipt (.tlog-proof) and, with --details, their
    record (.details.json). Where a run was interrupted, the same command again finishes it, and logs nothing twice.

    \b
    Examples:
      assay ledger event record published photo.jpg -o published.dsse.json
      assay ledger event record edited out.jpg -o 2.dsse.json --previous 1.dsse.json --details why.json
    """
    from assay.ledger.custody.events import beside, previous_event, read_details
    from assay.ledger.custody.events import record as write
    from assay.ledger.custody.statement import VerifyingKey
    from assay.provenance.errors import AssayError
    from assay.provenance.event import SALT_BYTES, Event
    from assay.provenance.receipt import RECEIPT_SUFFIX
    from assay.provenance.records import event_subject
    from assay.provenance.sign import VERSION

    workspace = open_workspace(ctx)
    signer, _ = workspace.signer(key, chain)
    subjects = tuple(dict.fromkeys(event_subject(workspace, path) for path in paths))
    said = Event(
        id=workspace.random(16).hex(),
        kind=kind,
        actor=VerifyingKey.from_pem(signer.chain).digest,
        role=role,
        subjects=subjects,
        time=workspace.now().isoformat(timespec="seconds"),
        software=f"Assay/{VERSION}",
        previous=previous_event(previous, subjects) if previous else None,
    )
    kept = read_details(details, workspace.random(SALT_BYTES)) if details else None
    try:
        made = write(workspace.log, said, signer, out, kept)
    except AssayError:
        if out.exists() and not beside(out, RECEIPT_SUFFIX).exists():
            talk(ctx, f"{out} is signed, but has no receipt yet; the same command again finishes it")
        raise
    if as_json:
        emit(
            {
                "out": str(out),
                "resumed": made.resumed,
                "event": _document(made.event),
                **_logged(made.receipt),
            }
        )
    else:
        click.echo(f"{made.receipt.index}  {kind}  {out}")
        if made.resumed:
            talk(ctx, f"{out} was signed by an earlier run; this one finished it")


@event.command(name="list")
@click.argument("what", metavar="FILE|DIGEST")
@json_option
@click.pass_context
def list_(ctx: click.Context, what: str, as_json: bool) -> None:
    """List the events about a file, or about sha256:HEX, oldest first.

    The ledger knows that they were signed and by which key; what they say is in their envelopes. Exit code 0 if
    there are any, 3 if not.

    \b
    Examples:
      assay ledger event list photo.jpg
      assay ledger event list photo.jpg --json
    """
    workspace = open_workspace(ctx)
    found = workspace.log.find_events(_digest(what))
    for receipt in found:
        said = _logged(receipt)
        if as_json:
            emit(said)
        else:
            click.echo(f"entry {said['index']}: {said['statement']} signed by {said['actor']}")
    if not found:
        talk(ctx, "no event is about this file")
        ctx.exit(3)


@event.command()
@click.argument("envelope", type=FILE)
@click.option(
    "--key", "keys", multiple=True, type=FILE, metavar="PEM",
    help="A certificate or public key to believe; repeatable.  [default: the workspace's signer]",
)  # fmt: skip
@click.option(
    "--file", "files", multiple=True, type=FILE, help="Also check that it is about this file; repeatable."
)
@click.option("--details", type=FILE, help="The record of its details.  [default: the one beside it]")
@click.option("--policy", type=FILE, help="Check the receipt by this tlog-policy, of whatever ledger.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, envelope: Path, keys: tuple[Path, ...], files: tuple[Path, ...], details: Path | None,
    policy: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Check an event's signature, its receipt, its details and its files, each for itself; offline.

    Each is ok, failed or not checked. Exit code 1 if any failed. With --key and --policy no workspace is needed.

    \b
    Examples:
      assay ledger event check published.dsse.json --file photo.jpg
      assay ledger event check published.dsse.json --key desk.pem --policy agency.policy
    """
    from assay.cli.receipt import Judge
    from assay.ledger.custody import events
    from assay.ledger.custody.statement import MAX_ENVELOPE_BYTES
    from assay.provenance.errors import ConfigurationError, LedgerError
    from assay.provenance.receipt import RECEIPT_SUFFIX

    judge = Judge(ctx, policy)

    def judged(receipt: Receipt) -> tuple[str, str]:
        try:
            problem = judge(receipt)
        except (ConfigurationError, LedgerError) as error:  # there is nothing here to judge it by
            return events.NOT_CHECKED, error.message
        if problem:
            return (events.FAILED if judge.knows else events.NOT_CHECKED), problem
        return events.OK, judge.words(receipt)

    def optional(path: Path, limit: int) -> bytes | None:
        return events.read_bounded(path, limit) if path.exists() else None

    if details is None:
        record_of = optional(events.beside(envelope, events.DETAILS_SUFFIX), events.MAX_DETAILS_BYTES)
    else:
        record_of = events.read_bounded(details, events.MAX_DETAILS_BYTES)
    layers, said = events.check(
        events.read_bounded(envelope, MAX_ENVELOPE_BYTES),
        _keys(ctx, keys),
        judged,
        receipt=optional(events.beside(envelope, RECEIPT_SUFFIX), events.MAX_RECEIPT_BYTES),
        details=record_of,
        files=[(str(path), _digest(str(path))) for path in files],
    )
    failed = any(layer.state == events.FAILED for layer in layers)
    if as_json:
        shown = [{"name": layer.name, "state": layer.state, "says": layer.says} for layer in layers]
        emit(
            {
                "path": str(envelope),
                "failed": failed,
                "layers": shown,
                "event": _document(said) if said else None,
            }
        )
    else:
        for layer in layers:
            click.echo(f"{layer.name:<12}{layer.state:<13}{layer.says}")
    ctx.exit(1 if failed else 0)


def _keys(ctx: click.Context, paths: tuple[Path, ...]) -> list[VerifyingKey]:
    """Return the keys to believe: those given, else that of the workspace's own chain."""
    from assay.ledger.custody.events import read_bounded
    from assay.ledger.custody.statement import VerifyingKey
    from assay.provenance.errors import CredentialError

    if not paths:
        workspace = open_workspace(ctx)
        paths = (workspace.home / workspace.settings.chain,)
    found = []
    for path in paths:
        try:
            found.append(VerifyingKey.from_pem(read_bounded(path, MAX_KEY_BYTES)))
        except CredentialError as error:
            raise CredentialError(error.message, hint=error.hint, path=path) from error
    return found


def _digest(what: str) -> Digest:
    """Return the digest of a file, or the one that is written out; raises InputError, UsageError."""
    from assay.provenance.canonical import sha256_of
    from assay.provenance.errors import UsageError
    from assay.provenance.files.sniff import open_asset

    if what.startswith("sha256:"):
        try:
            return sha256_of(what)
        except ValueError as error:
            raise UsageError(f"{error}", hint="sha256: and 64 lower-case digits") from error
    asset, stream = open_asset(Path(what))
    stream.close()
    return asset.digest


def _logged(receipt: Receipt) -> dict[str, Any]:
    from assay.provenance.event import EventEntry

    leaf = receipt.leaf
    assert isinstance(leaf, EventEntry)  # only events are looked up here
    return {
        "index": receipt.index,
        "leaf_hash": receipt.leaf_hash.hex(),
        "statement": str(leaf.statement),
        "actor": str(leaf.actor),
        "subjects": [str(digest) for digest in leaf.subjects],
        "receipt": receipt.text,
    }


def _document(said: Event) -> dict[str, Any]:
    return {
        "id": said.id,
        "kind": said.kind,
        "actor": str(said.actor),
        "role": said.role,
        "time": said.time,
        "software": said.software,
        "subjects": [{"digest": str(s.digest), "uri": s.uri or None} for s in said.subjects],
        "previous": str(said.previous) if said.previous else None,
        "details": str(said.details) if said.details else None,
    }
