"""``assay ledger contract``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, home_of, json_option, talk
from assay.cli.lazy import LazyGroup
from assay.ledger.anchors.evm_fees import MAX_FEE_GWEI

if TYPE_CHECKING:
    from assay.ledger.anchors.context import Context
    from assay.ledger.anchors.evm_deploy import Deployment

POLL_SECONDS = 2.0

contract = LazyGroup(
    "contract",
    help="The contract that keeps checkpoints on an EVM chain: see it, put it on a chain.",
    lazy={
        "show": ("assay.cli.contract:show", "Print the contract: source, how it was built, its bytes."),
        "deploy": ("assay.cli.contract:deploy", "Put the contract on a chain."),
    },
)


@click.command()
@click.option(
    "--part",
    type=click.Choice(["source", "abi", "bytecode", "runtime"]),
    help="Print only this part, as it is.",
)
@json_option
def show(part: str | None, as_json: bool) -> None:
    """Print the contract of this release: its Solidity source, the compiler and settings, the digest of its code.

    The code on a chain has the digest that is called runtime; anchors refuse a contract whose code differs.
    """
    import json

    from assay.ledger.anchors.evm_contract import contract as shipped

    built = shipped()
    parts = {
        "source": built.source.rstrip("\n"),
        "abi": json.dumps(built.abi),
        "bytecode": "0x" + built.bytecode.hex(),
        "runtime": "0x" + built.runtime.hex(),
    }
    if part:
        click.echo(parts[part])
    elif as_json:
        digest = {"alg": "sha256", "value": built.runtime_digest}
        settings = {"compiler": built.compiler, "settings": built.settings, "runtime_digest": digest}
        emit({"name": built.name, **parts, "abi": built.abi, **settings})
    else:
        click.echo(parts["source"])
        click.echo(f"\ncompiler  {built.compiler}\nsettings  {json.dumps(built.settings)}")
        click.echo(f"runtime   sha256:{built.runtime_digest} ({len(built.runtime)} bytes)")


@click.command()
@click.option(
    "--rpc",
    "urls",
    multiple=True,
    required=True,
    metavar="URL",
    help="RPC endpoint of the chain; several are compared.",
)
@click.option("--chain-id", type=click.IntRange(1), required=True, help="The chain's id; another is refused.")
@click.option(
    "--key", required=True, metavar="URI", help="Key of the account that pays: file:PATH or env:NAME."
)
@click.option(
    "--key-passphrase",
    default="",
    metavar="URI",
    help="Passphrase of an encrypted keystore: file:PATH or env:NAME.",
)
@click.option(
    "--max-fee-gwei",
    type=click.IntRange(1),
    default=MAX_FEE_GWEI,
    show_default=True,
    help="Most to pay for a unit of gas.",
)
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(0, 3600),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long at most until it is in a block.",
)
@json_option
@click.pass_context
def deploy(
    ctx: click.Context,
    urls: tuple[str, ...],
    chain_id: int,
    key: str,
    key_passphrase: str,
    max_fee_gwei: int,
    seconds: int,
    as_json: bool,
) -> None:
    """Put the contract on a chain, once for all: it has no owner, and any number of ledgers use the same one.

    Prints the table for assay.toml; a key's path is relative to the workspace, as there. Exit code 5 if the transaction
    is in no block after --wait; its hash is told, and it may still get into one.

    \b
    Example:
      assay ledger contract deploy --rpc http://127.0.0.1:8545 --chain-id 31337 --key env:CHAIN_KEY
    """
    from assay.ledger.anchors.evm import open_account, open_endpoints
    from assay.ledger.anchors.evm_deploy import deploy as send
    from assay.ledger.anchors.evm_deploy import deployed
    from assay.ledger.anchors.evm_fees import GWEI
    from assay.provenance.errors import NetworkError

    context = _context(ctx)
    endpoints = open_endpoints(list(urls), context, "", "--rpc")
    account = open_account(context, key, key_passphrase, "--key")
    found = send(endpoints, chain_id, account, max_fee_gwei * GWEI)
    talk(ctx, f"sent {found.tx}")
    until = time.monotonic() + seconds
    while not found.address and time.monotonic() < until:
        time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))
        found = deployed(endpoints, chain_id, found.tx)
    if not found.address:
        raise NetworkError(
            f"transaction {found.tx} is in no block yet",
            hint="look it up: the contract's address stands in its receipt",
        )
    _tell(found, chain_id, account.address, urls, key, as_json)


def _tell(
    found: Deployment, chain_id: int, writer: str, urls: tuple[str, ...], key: str, as_json: bool
) -> None:
    import json

    if as_json:
        emit(
            {
                "chain_id": chain_id,
                "contract": found.address,
                "writer": writer,
                "transaction": found.tx,
                "block": found.block,
                "gas_used": found.gas_used,
            }
        )
        return
    listed = ", ".join(json.dumps(url) for url in urls)
    click.echo(
        f'[anchors.chain]\nkind = "evm"\nchain_id = {chain_id}\ncontract = "{found.address}"\n'
        f'rpc = [{listed}]\nwriter = "{writer}"\nkey = {json.dumps(key)}'
    )


def _context(ctx: click.Context) -> Context:
    """Return what the chain needs of the world; the workspace need not be there yet."""
    from assay.ledger.anchors.context import Context
    from assay.provenance.keys.signers import read_secret
    from assay.provenance.net import Net
    from assay.provenance.workspace import utc_now

    home = home_of(ctx)
    return Context(home, utc_now, lambda uri: read_secret(uri, home, os.environ), Net)
