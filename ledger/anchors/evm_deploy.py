"""Put the anchoring contract on a chain: once for each chain, by anybody, for anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.ledger.anchors.evm_chain import Chain
from assay.ledger.anchors.evm_contract import contract
from assay.ledger.anchors.evm_fees import GWEI, first_fees
from assay.ledger.anchors.evm_nouns import LATEST, Taken
from assay.provenance.errors import ConfigurationError, NetworkError

if TYPE_CHECKING:
    from assay.ledger.anchors.chain import Account, Endpoint


@dataclass(frozen=True, slots=True)
class Deployment:
    """A contract on its way: ``address`` is "" until the transaction ``tx`` is in a block."""

    tx: str
    address: str = ""
    block: int = 0
    gas_used: int = 0


def deploy(endpoints: list[Endpoint], chain_id: int, account: Account, max_fee: int) -> Deployment:
    """Send the contract from an account for at most ``max_fee`` wei a unit of gas; ask ``deployed`` what came of it.

    Raises NetworkError where it was not taken, ConfigurationError for a wrong chain, an empty account or a price
    above ``max_fee``.
    """
    chain = Chain(endpoints, chain_id)
    latest = chain.common(LATEST)
    fees = first_fees(latest.base_fee, chain.tip(), max_fee)
    if fees is None:
        raise ConfigurationError(
            f"gas costs {latest.base_fee / GWEI:.9g} gwei now, more than the {max_fee / GWEI:.9g} allowed",
            hint="wait, or allow more with --max-fee-gwei",
        )
    data = contract().bytecode
    gas = chain.gas(account.address, data, fees.max_fee)
    signed = account.sign(
        chain_id=chain_id,
        nonce=chain.nonce(account.address, latest.number),
        to="",
        data=data,
        gas=gas,
        fees=fees,
    )
    taken, said = chain.send(signed.raw)
    if taken in (Taken.REFUSED, Taken.NONCE_USED):
        raise NetworkError(said or "another transaction of this account came first", hint="try again")
    return Deployment(signed.hash)


def deployed(endpoints: list[Endpoint], chain_id: int, tx: str) -> Deployment:
    """Return what came of a deployment; raises NetworkError, ConfigurationError where it was reverted."""
    chain = Chain(endpoints, chain_id)
    receipt = chain.receipt(tx, chain.common(LATEST).number)
    if receipt is None:
        return Deployment(tx)
    if receipt.status != 1 or not receipt.created:
        raise ConfigurationError(f"the chain refused the contract: transaction {tx} was reverted")
    return Deployment(tx, receipt.created, receipt.block, receipt.gas_used)
