"""What an EVM anchor's record proves: asked of the finalized chain, or only recalled."""

from __future__ import annotations

import datetime as dt

from assay.ledger.anchors.context import rfc3339
from assay.ledger.anchors.evm_chain import Chain
from assay.ledger.anchors.evm_contract import contract
from assay.ledger.anchors.evm_nouns import FINALIZED, Block, Event
from assay.ledger.anchors.evm_record import State, Trail
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.anchor import AnchorRecord, Judgement, Standing
from assay.provenance.errors import AssayError, MalformedError


def recall(record: AnchorRecord, trail: Trail, origin_id: bytes) -> Judgement | None:
    """Return what can be said of a record without asking anybody; None where the chain has to be asked."""
    if origin_id != trail.log_id or record.size < 1:
        return Judgement(Standing.BROKEN, "the record is not of the log that its checkpoint names")
    state = State(record.state)
    if state is State.FAILED:
        return Judgement(Standing.BROKEN, f"was not anchored: {trail.says}")
    says = f" ({trail.says})" if trail.says else ""
    if state is State.MINED and trail.mined:
        return Judgement(
            Standing.PENDING, f"in block {trail.mined.block}, which is not known to be final{says}"
        )
    if state is State.FINALIZED and trail.mined:
        return None
    return Judgement(Standing.PENDING, f"{state.value}, not in a block yet{says}")


def recorded(trail: Trail) -> str:
    """Return where the record says that its proof is."""
    assert trail.mined is not None
    return f"transaction {trail.mined.tx} in block {trail.mined.block} of chain {trail.chain_id}"


def ask(record: AnchorRecord, trail: Trail, chain: Chain) -> Judgement:
    """Judge a finalized record by the chain's finalized part alone; raises NetworkError, ConfigurationError."""
    finalized = chain.common(FINALIZED)
    chain.require(contract(), finalized)
    head = chain.head(trail.writer, trail.log_id, finalized.number)
    event = _event(record, trail, chain, finalized)
    if event is None and head.size >= record.size:
        event = chain.event(trail.writer, trail.log_id, record.size, head.block)
    if event is None:
        return Judgement(
            Standing.BROKEN,
            f"the finalized chain holds no anchor of size {record.size} by {trail.writer}: the record is worthless",
        )
    where = f"block {event.block} of chain {trail.chain_id}, final"
    if event.root != record.root:
        says = f"{trail.writer} anchored another root for size {record.size}: {event.root.hex()} in {where}"
        if chain.silent():  # so grave a thing is said only where everybody says it
            return Judgement(Standing.UNCHECKED, f"{says}; but {chain.silent()}")
        return Judgement(Standing.CONTRADICTED, says)
    if head.size < record.size or (head.size == record.size and head.root != record.root):
        return Judgement(
            Standing.UNCHECKED, "the endpoints show the event, but a contract that does not hold it"
        )
    block = chain.block(event.block)
    if block.hash != event.block_hash:
        return Judgement(
            Standing.UNCHECKED, "the endpoints place the event in a block that is not on their chain"
        )
    silent = f"; {chain.silent()}" if chain.silent() else ""
    return Judgement(Standing.OK, f"transaction {event.tx} in {where}{silent}", _time(block))


def _event(record: AnchorRecord, trail: Trail, chain: Chain, finalized: Block) -> Event | None:
    """Return the event of the record's size in the transaction that the record names, if it is final there."""
    assert trail.mined is not None
    receipt = chain.receipt(trail.mined.tx, finalized.number)
    for event in receipt.events if receipt and receipt.status == 1 else ():
        if (event.writer, event.log_id, event.size) == (trail.writer, trail.log_id, record.size):
            return event
    return None


def _time(block: Block) -> str:
    try:
        return rfc3339(dt.datetime.fromtimestamp(block.time, dt.UTC))
    except (OverflowError, ValueError, OSError):
        return ""


def same_checkpoint(record: AnchorRecord) -> Checkpoint | None:
    """Return the checkpoint of a record, None where its note speaks of another size or root than the record."""
    try:
        checkpoint = Checkpoint.peek(record.checkpoint)
    except MalformedError:
        return None
    return checkpoint if (checkpoint.size, checkpoint.root) == (record.size, record.root) else None


def unchecked(trail: Trail, error: AssayError) -> Judgement:
    """Return that the chain could not be asked: it says nothing against the ledger."""
    return Judgement(
        Standing.UNCHECKED, f"recorded as final, {recorded(trail)}; not checked: {error.message}"
    )
