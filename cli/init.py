"""``assay init``."""

from __future__ import annotations

import os

import click

from assay.cli.door import PASSPHRASE_VARIABLE, emit, home_of, json_option, talk


@click.command()
@click.option(
    "--origin", default="", help="The ledger's name, like example.org/ledger.  [default: a random one]"
)
@json_option
@click.pass_context
def init(ctx: click.Context, origin: str, as_json: bool) -> None:
    """Make a workspace: a development PKI, a ledger key, an SQLite ledger, empty trust lists.

    Refuses a folder that holds anything. The keys are for development and say so in every output. Set
    ASSAY_PASSPHRASE to have them encrypted.

    \b
    Examples:
      assay init
      assay --home ./desk init --origin example.org/ledger
    """
    from assay.provenance.settings import KEYS
    from assay.provenance.workspace import Workspace

    secret = os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None
    home = home_of(ctx)
    workspace = Workspace.init(home, origin=origin, passphrase=secret)
    authority = home / KEYS / "development-authority.pem"
    if as_json:
        emit(
            {
                "home": str(home),
                "origin": workspace.settings.origin,
                "development": True,
                "encrypted": secret is not None,
                "authority": str(authority),
            }
        )
        return
    click.echo(str(home))
    talk(ctx, "Made a workspace with a DEVELOPMENT signer: nobody else trusts it, and neither do you yet.")
    talk(
        ctx,
        "  its keys are encrypted"
        if secret
        else "  its keys are not encrypted (set ASSAY_PASSPHRASE before init to change that)",
    )
    talk(ctx, f"  to trust it here: assay trust add --kind signer {authority}")
