"""``assay trust``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option, open_workspace, talk
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.provenance.keys.trust import Members, TrustList

trust = LazyGroup(
    "trust",
    help="Choose whose signatures count. Lists are kept apart by kind, each with source, date and hash.",
    lazy={
        "add": ("assay.cli.trust:add", "Add a list of certificates, or of ledgers and witnesses."),
        "list": ("assay.cli.trust:list_", "Show the lists."),
        "remove": ("assay.cli.trust:remove", "Remove a list."),
        "update": ("assay.cli.distrust:update", "Put a newer edition of a list in its place."),
        "revoke": ("assay.cli.distrust:revoke", "Stop believing certificates, by serial number."),
        "check": ("assay.cli.distrust:check", "Say what the lists cannot do: missing, out of date, expired."),
    },
)
KINDS = click.Choice(["signer", "tsa", "cawg", "log"])
kind_option = click.option(
    "--kind",
    type=KINDS,
    required=True,
    help="What its members may vouch for.",
)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@kind_option
@click.option("--name", help="The list's name.  [default: the file's]")
@click.option("--source", help="Where it came from.  [default: the file's path]")
@click.option("--date", "date_", type=click.DateTime(["%Y-%m-%d"]), help="Its date.  [default: today]")
@click.option("--frozen", is_flag=True, help="Its keeper no longer changes it (as the interim C2PA list).")
@click.option(
    "--standing",
    type=click.Choice(["official", "interim", "private"]),
    default="private",
    show_default=True,
    help="Who keeps it; an interim list is frozen.",
)
@json_option
@click.pass_context
def add(
    ctx: click.Context, path: Path, kind: str, name: str | None, source: str | None, date_: dt.datetime | None,
    frozen: bool, standing: str, as_json: bool,
) -> None:  # fmt: skip
    """Add a PEM list of certificate authorities, or of certificates trusted by themselves.

    Of kind log, FILE is a C2SP tlog-policy: ledgers of others, and the witnesses that their receipts need. Of kind
    cawg, lines that are DIDs name issuers of identities.

    \b
    Examples:
      assay trust add C2PA-TRUST-LIST.pem --kind signer --name c2pa --date 2026-08-21 --standing official
      assay trust add C2PA-TSA-TRUST-LIST.pem --kind tsa --name c2pa-tsa --date 2026-08-21
      assay trust add iptc-origin.pem --kind cawg
      assay trust add agency.policy --kind log
    """
    from assay.provenance.errors import InputError

    workspace = open_workspace(ctx)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    entry = workspace.trust.add(
        data,
        name=name or "".join(c if c.isalnum() or c in "._-" else "-" for c in path.stem.lower()).strip("-._"),
        kind=kind,
        source=source or str(path),
        date=date_.date() if date_ else workspace.now().date(),
        frozen=frozen,
        standing=standing,
        read=_read_policy if kind == "log" else None,
    )
    if as_json:
        emit(entry.to_json())
    else:
        click.echo(line(entry))
    if entry.development:
        talk(
            ctx, "note: this list holds a DEVELOPMENT authority; anyone who has its key can sign in its name"
        )


def _read_policy(data: bytes, source: str) -> Members:
    from assay.ledger.tlog.policy import TlogPolicy
    from assay.provenance.errors import AssayError, CredentialError
    from assay.provenance.keys.trust import Members

    try:
        policy = TlogPolicy.parse(data)
    except AssayError as error:
        raise CredentialError(error.message, hint=error.hint, path=source) from error
    if not policy.logs:
        raise CredentialError("the policy names no log", hint="add a line: log VKEY", path=source)
    return Members(len(policy.logs), len(policy.witnesses))


@click.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show the lists with kind, source, date, hash and number of members."""
    entries = open_workspace(ctx).trust.lists()
    for entry in entries:
        if as_json:
            emit(entry.to_json())
        else:
            click.echo(line(entry))
    if not entries:
        talk(ctx, "no trust lists: every signer is unknown until you add one")


@click.command()
@click.argument("name")
@click.option("--kind", type=KINDS, help="Tells lists of one name apart.")
@click.pass_context
def remove(ctx: click.Context, name: str, kind: str | None) -> None:
    """Remove a list; its members are unknown from then on.

    \b
    Example:
      assay trust remove c2pa
    """
    entry = open_workspace(ctx).trust.remove(name, kind)
    talk(ctx, f"removed {entry.kind} list {entry.name}")


def line(entry: TrustList) -> str:
    """Return a list as one line of text."""
    from assay.provenance.text import safe_text

    marks = "".join(
        f" [{m}]"
        for m, on in (
            (entry.standing, entry.standing != "private"),
            ("development", entry.development),
            ("frozen", entry.frozen),
        )
        if on
    )
    members = {"log": "{} logs, {} witnesses", "cawg": "{} authorities, {} certificates and issuers"}.get(
        entry.kind, "{} authorities, {} certificates"
    )
    return (
        f"{entry.kind:6} {entry.name}{marks}  {entry.date}  sha256:{entry.sha256[:16]}  "
        f"{members.format(entry.anchors, entry.end_entities)}  {safe_text(entry.source, 200)}"
    )
