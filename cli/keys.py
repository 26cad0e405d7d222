"""``assay keys``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from assay.cli.door import PASSPHRASE_VARIABLE, emit, json_option, open_workspace, talk
from assay.cli.lazy import LazyGroup

MARK_KEY_BYTES = 32

keys = LazyGroup(
    "keys",
    help="Make and show keys. Private halves and secrets are never printed.",
    lazy={
        "new": ("assay.cli.keys:new", "Make a development key and certificate."),
        "mark": ("assay.cli.keys:mark", "Make a secret for watermarks."),
        "show": ("assay.cli.keys:show", "Show the workspace's keys, public halves only."),
    },
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--label", default="", help="Shown in the certificate's name.")
@click.option(
    "--encrypt", is_flag=True, help="Ask for a passphrase (or take ASSAY_PASSPHRASE) and encrypt the key."
)
@json_option
@click.pass_context
def new(ctx: click.Context, folder: Path, label: str, encrypt: bool, as_json: bool) -> None:
    """Make a development authority, a signing key (PKCS#8, mode 0400) and its certificate in a new FOLDER.

    \b
    Examples:
      assay keys new ./camera-7 --label "camera 7"
      assay sign a.jpg -o b.jpg --key file:camera-7/signing.key --chain camera-7/signing.pem
    """
    from assay.provenance.errors import CredentialError
    from assay.provenance.keys.certificates import development_chain
    from assay.provenance.keys.signers import write_key
    from assay.provenance.workspace import utc_now

    secret = None
    if encrypt:
        given = os.environ.get(PASSPHRASE_VARIABLE)
        secret = (
            given or click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
        ).encode()
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise CredentialError(
            "there is something already", path=folder, hint="keys are never overwritten"
        ) from error
    chain = development_chain(utc_now(), label=label)
    write_key(folder / "signing.key", chain.signer_key, secret)
    write_key(folder / "development-authority.key", chain.authority_key, secret)
    (folder / "signing.pem").write_bytes(chain.chain)
    (folder / "development-authority.pem").write_bytes(chain.authority)
    document = {
        "key": f"file:{folder / 'signing.key'}",
        "chain": str(folder / "signing.pem"),
        "authority": str(folder / "development-authority.pem"),
        "development": True,
        "encrypted": bool(secret),
    }
    if as_json:
        emit(document)
    else:
        click.echo(document["key"])
        talk(ctx, f"DEVELOPMENT key; use it with --key {document['key']} --chain {document['chain']}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@json_option
@click.pass_context
def mark(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Make a secret for watermarks in a new FILE (mode 0400), so that only who has it finds or writes your marks.

    Name it in the workspace's settings (assay.toml): mark_keys = ["file:keys/mark-2026"]. The first key writes, all
    are read. To change keys, put a new one first and keep the old ones behind it, as long as there are pictures
    marked with them. "public:" in the list stands for the key that everybody knows, with which pictures were marked
    before you had one of your own.

    \b
    Examples:
      assay keys mark keys/mark-2026
      assay watermark embed photo.jpg -o marked.jpg --key file:keys/mark-2026
    """
    import secrets

    from assay.provenance.keys.signers import write_secret

    # Text, so that the same secret can be put into an environment variable.
    write_secret(path, secrets.token_hex(MARK_KEY_BYTES).encode())
    uri = f"file:{path.absolute()}"
    if as_json:
        emit({"key": uri})
    else:
        click.echo(uri)
        talk(ctx, f'a secret for watermarks; in assay.toml: mark_keys = ["{uri}"], old keys behind it')


@click.command()
@json_option
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show the workspace's signing certificate and ledger name."""
    from assay.provenance.keys.certificates import DEVELOPMENT, describe, load_pem
    from assay.provenance.text import safe_text

    workspace = open_workspace(ctx)
    path = workspace.home / workspace.settings.chain
    name = describe(load_pem(path.read_bytes(), str(path))[0])
    document = {
        "key": workspace.settings.key,
        "chain": str(path),
        "organization": name.organization,
        "common_name": name.common_name,
        "serial": name.serial,
        "not_before": name.not_before,
        "not_after": name.not_after,
        "certificate": str(name.certificate),
        "development": name.organization == DEVELOPMENT,
        "ledger": workspace.settings.origin,
        "mark_keys": list(workspace.settings.mark_keys),
    }
    if as_json:
        emit(document)
        return
    for field, value in document.items():
        click.echo(f"{field:13} {safe_text(value)}")
