"""``assay trust update``, ``revoke`` and ``check``: what changes about whom a desk believes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option, open_workspace, talk, waiting

if TYPE_CHECKING:
    from assay.provenance.keys.denied import Denial
    from assay.provenance.workspace import Workspace

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option("--name", help="The list to update.  [default: the one that came from there]")
@click.option("--kind", type=click.Choice(["signer", "tsa", "cawg"]), help="Tells lists of one name apart.")
@click.option("--date", "date_", type=DAY, help="The edition's date.  [default: today]")
@click.option("--online", is_flag=True, help="Let a URL be fetched; https, from public addresses only.")
@click.option(
    "--force", is_flag=True, help="Also an edition that is older, of a frozen list, or wholly another."
)
@json_option
@click.pass_context
def update(
    ctx: click.Context, source: str, name: str | None, kind: str | None, date_: dt.datetime | None, online: bool,
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Put a newer edition of a list of certificates in its place, at one stroke, and show what that changes.

    An edition that shares no member with the one in force is refused: it is the wrong file, or an attack.
    'assay reverify' says what it changes for past reports.

    \b
    Examples:
      assay trust update C2PA-TRUST-LIST.pem --name c2pa --date 2026-11-02
      assay trust update https://example.org/list.pem --name agencies --online
    """
    from assay.provenance.errors import UsageError
    from assay.provenance.keys.update import find_list, update_list
    from assay.provenance.text import safe_text

    remote = source.startswith(("https://", "http://"))
    if remote and not online:
        raise UsageError("the network is asked only with --online", path=source)
    workspace = open_workspace(ctx)
    before = find_list(workspace.trust, source, name, kind)
    with waiting(ctx, "Reading the list"):
        data = _fetch(workspace, source) if remote else _read(Path(source))
    date = date_.date() if date_ else workspace.now().date()
    change = update_list(workspace.trust, before, data, source=source, date=date, force=force)
    if as_json:
        emit(change.to_json())
        return
    for sign, members in (("+", change.added), ("-", change.removed)):
        for member in members:
            click.echo(f"{sign} {member['sha256'][:16]}  {safe_text(member['name'], 200)}")
    talk(
        ctx,
        f"{before.kind} list {before.name}: {len(change.added)} came, {len(change.removed)} went, {change.kept} stayed",
    )


def _fetch(workspace: Workspace, url: str) -> bytes:
    from assay.provenance.fetcher import Fetcher
    from assay.provenance.keys.update import fetch_list

    return fetch_list(url, workspace.fetcher or Fetcher())


def _read(path: Path) -> bytes:
    from assay.provenance.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


@click.command()
@click.argument("serials", nargs=-1, metavar="SERIAL…")
@click.option("--issuer", default="", help="Only certificates of this issuer, as RFC 4514 writes its name.")
@click.option("--since", type=DAY, help="Signatures proven older still count.  [default: none counts]")
@click.option("--reason", default="", help="Why, for those who ask later.")
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="A deny-list (TOML) to take over besides."
)
@click.option("--undo", is_flag=True, help="Believe these certificates again.")
@json_option
@click.pass_context
def revoke(
    ctx: click.Context, serials: tuple[str, ...], issuer: str, since: dt.datetime | None, reason: str,
    path: Path | None, undo: bool, as_json: bool,
) -> None:  # fmt: skip
    """Stop believing certificates by serial number, as a report names it; without one, show the deny-list.

    A trusted signer whose certificate is on it makes a conflict, offline too. docs/formats/trust.md has the file.

    \b
    Examples:
      assay trust revoke 340282366920938463463374607431768211455 --reason "stolen camera"
      assay trust revoke 3f:a1:00:42:9c:00:17:02 --since 2026-09-05
      assay trust revoke --file agency-deny-list.toml
    """
    from assay.provenance.errors import UsageError
    from assay.provenance.furnish import TRUST
    from assay.provenance.keys.denied import DENIED, Denial, read_denials, read_serial, write_denials

    place = open_workspace(ctx).home / TRUST / DENIED
    kept = read_denials(place)
    if serials or path:
        moment = since.replace(tzinfo=dt.UTC) if since else None
        named = [Denial(read_serial(s), issuer, moment, reason) for s in serials]
        if path and not path.exists():
            raise UsageError("there is no such file", path=path)
        named += read_denials(path) if path else ()
        keys = {(d.serial, d.issuer) for d in named}
        missing = keys - {(d.serial, d.issuer) for d in kept}
        if undo and missing:
            raise UsageError(f"{min(missing)[0]} is not on the deny-list", hint="--issuer as it was given")
        others = [d for d in kept if (d.serial, d.issuer) not in keys]
        write_denials(place, others if undo else [*others, *named])
        kept = read_denials(place)
        talk(ctx, f"{len(keys)} {'taken off' if undo else 'put on'} the deny-list, which holds {len(kept)}")
    for denial in kept:
        _say(denial, as_json)


def _say(denial: Denial, as_json: bool) -> None:
    from assay.provenance.text import safe_text

    since = denial.since.isoformat() if denial.since else ""
    if as_json:
        emit({"serial": denial.serial, "issuer": denial.issuer, "since": since, "reason": denial.reason})
        return
    words = (
        denial.serial,
        safe_text(denial.issuer, 120),
        f"since {since}" if since else "",
        safe_text(denial.reason, 200),
    )
    click.echo("  ".join(word for word in words if word))


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check the lists by themselves: one that cannot be read, holds what has expired, or is out of date."""
    from assay.provenance.keys.health import check_trust

    workspace = open_workspace(ctx)
    findings = check_trust(workspace.trust, workspace.now())
    for finding in findings:
        if as_json:
            emit(finding.to_json())
        else:
            click.echo(finding.says)
    if not findings:
        talk(ctx, "nothing amiss")
