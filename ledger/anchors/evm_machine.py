"""A checkpoint's way onto the chain: planned, signed, sent, mined, finalized; or failed.

Every state is saved before the step outward that follows from it, and every step may be taken twice: after a
kill at any point the record says what may have happened, and running on finds out what did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assay.ledger.anchors.evm_chain import Chain
from assay.ledger.anchors.evm_contract import contract
from assay.ledger.anchors.evm_fees import GWEI, Fees, bumped, first_fees
from assay.ledger.anchors.evm_nouns import FINALIZED, LATEST, Block, Event, Head, Taken
from assay.ledger.anchors.evm_record import ENDED, Attempt, Mined, State, Trail
from assay.provenance.anchor import AnchorRecord, Journal
from assay.provenance.errors import ConfigurationError, LedgerError, NetworkError

if TYPE_CHECKING:
    from assay.ledger.anchors.chain import Account

_MAX_STEPS = 12  # longer than any way there is, shorter than a chain that keeps changing its mind can ask for


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings allow: wei for a unit of gas at most, and after how many blocks a transaction is stuck."""

    max_fee: int
    stuck_blocks: int


def already_there(chain: Chain, trail: Trail, size: int, root: bytes, head: Head) -> Event | None:
    """Return the event that anchored a size and root before; None where the chain's head is smaller.

    Raises LedgerError where the chain holds another root at this size, or a larger tree without this size.
    """
    if head.size < size:
        return None
    event = chain.event(trail.writer, trail.log_id, size, head.block)
    if event is not None and event.root == root:
        return event
    if event is not None or (head.size == size and head.root != root):
        raise LedgerError(
            f"the chain holds another root for size {size} of this log than the ledger does",
            hint="the ledger was rewritten or forked: keep both, and compare with an older copy",
        )
    if head.size == size:
        raise LedgerError(
            f"the chain holds size {size} of this log, but no event of it in block {head.block}"
        )
    raise LedgerError(
        f"the chain holds size {head.size} of this log, more than the {size} of this checkpoint",
        hint="anchor a newer checkpoint; if there is none, this ledger is an old backup",
    )


class Machine:
    """One record on its way; ``record`` is always what the journal holds."""

    def __init__(
        self,
        record: AnchorRecord,
        chain: Chain,
        journal: Journal,
        account: Callable[[], Account],
        rules: Rules,
        stamp: Callable[[], str],
    ) -> None:
        self.record = record
        self.trail = Trail.of(record)
        self._chain, self._journal, self._account = chain, journal, account
        self._rules, self._stamp = rules, stamp

    def run(self) -> AnchorRecord:
        """Go as far as it goes now and return the record; raises NetworkError, leaving the record where it got to."""
        steps = {
            State.PLANNED: self._sign,
            State.SIGNED: self._send,
            State.SENT: self._watch,
            State.MINED: self._settle,
        }
        for _ in range(_MAX_STEPS):
            state = State(self.record.state)
            if state in ENDED or not steps[state]():
                break
        return self.record

    def note(self, says: str) -> None:
        """Keep what there is to say of a step that changed nothing else."""
        if says != self.trail.says:
            self._save(State(self.record.state), replace(self.trail, says=says))

    def _save(self, state: State, trail: Trail) -> None:
        self.record = self._journal.save(
            replace(self.record, state=state.value, detail=trail.to_detail(), updated=self._stamp())
        )
        self.trail = trail

    def _wait(self, says: str = "") -> bool:
        self.note(says or self._chain.silent())
        return False

    def _go(self, state: State, trail: Trail, says: str = "") -> bool:
        self._save(state, replace(trail, says=says))
        return True

    # -------------------------------------------------------------------------------------------- planned

    def _sign(self) -> bool:
        """Choose previous root, nonce and fees, and sign; the nonce is kept before anything is sent."""
        for other in self._journal.records():
            if other.id != self.record.id and other.kind == self.record.kind and self._same_head(other):
                return self._wait(f"waits for the checkpoint of size {other.size}, which is still being sent")
        latest = self._chain.common(LATEST)
        self._chain.require(contract(), latest)
        head = self._chain.head(self.trail.writer, self.trail.log_id, latest.number)
        try:
            event = already_there(self._chain, self.trail, self.record.size, self.record.root, head)
        except LedgerError as error:
            return self._overtaken(error)
        if event is not None:
            return self._adopt(event)
        fees = first_fees(latest.base_fee, self._chain.tip(), self._rules.max_fee)
        if fees is None:
            return self._wait(self._too_dear(latest))
        trail = replace(self.trail, previous=head.root, nonce=self._nonce(latest), attempts=())
        data = self._data(trail)
        try:
            gas = self._chain.gas(trail.writer, data, fees.max_fee)
        except ConfigurationError as error:
            return self._wait(error.message)
        attempt = self._signed(trail, data, gas, fees, latest)
        return self._go(State.SIGNED, replace(trail, attempts=(attempt,)))

    def _overtaken(self, error: LedgerError) -> bool:
        """The chain holds what leaves this checkpoint no place; that is the end once it is final."""
        finalized = self._chain.common(FINALIZED)
        head = self._chain.head(self.trail.writer, self.trail.log_id, finalized.number)
        try:
            already_there(self._chain, self.trail, self.record.size, self.record.root, head)
        except LedgerError:
            return self._go(State.FAILED, self.trail, error.message)
        return self._wait(f"{error.message}; it is not final yet")

    def _same_head(self, other: AnchorRecord) -> bool:
        """Whether another record is about to move the same head: its root would not be known yet."""
        if other.state not in (State.SIGNED, State.SENT):
            return False
        trail = Trail.of(other)
        return all(
            getattr(trail, name) == getattr(self.trail, name)
            for name in ("chain_id", "contract", "writer", "log_id")
        )

    def _nonce(self, latest: Block) -> int:
        """Return the account's next nonce, behind what other records have taken and the chain does not show yet."""
        trail = self.trail
        taken = [self._chain.nonce(trail.writer, latest.number)]
        for other in self._journal.records():
            if other.kind == self.record.kind and other.state in (State.SIGNED, State.SENT, State.MINED):
                theirs = Trail.of(other)
                if (theirs.chain_id, theirs.writer) == (
                    trail.chain_id,
                    trail.writer,
                ) and theirs.nonce is not None:
                    taken.append(theirs.nonce + 1)
        return max(taken)

    def _data(self, trail: Trail) -> bytes:
        return self._chain.any().anchor_call(trail.log_id, self.record.size, self.record.root, trail.previous)

    def _signed(self, trail: Trail, data: bytes, gas: int, fees: Fees, latest: Block) -> Attempt:
        account = self._account()
        assert trail.nonce is not None
        if account.address != trail.writer:
            raise ConfigurationError(
                f"the key is that of {account.address}, the record's writer is {trail.writer}",
                hint="a record is finished with the key that began it",
            )
        signed = account.sign(
            chain_id=trail.chain_id, nonce=trail.nonce, to=trail.contract, data=data, gas=gas, fees=fees
        )
        return Attempt(signed.hash, signed.raw, gas, fees, latest.number)

    def _adopt(self, event: Event) -> bool:
        """Take on a transaction that this journal does not know: another copy of it sent it."""
        receipt = self._chain.receipt(event.tx, event.block)
        if receipt is None:
            raise NetworkError(f"the endpoints show an event of {event.tx}, but not its receipt")
        mined = Mined.of(receipt, self._chain.block(receipt.block).time)
        return self._go(State.MINED, replace(self.trail, mined=mined), "it was on the chain already")

    # --------------------------------------------------------------------------------------- signed, sent

    def _send(self) -> bool:
        """Hand over the newest signed transaction; that it is known, or its nonce used, is no failure here."""
        taken, said = self._chain.send(self.trail.attempts[-1].raw)
        if taken is not Taken.REFUSED:
            return self._go(State.SENT, self.trail)
        latest = self._chain.common(LATEST)
        return self._bump(latest) if self._stuck(latest) else self._wait(said)

    def _watch(self) -> bool:
        """Look for any of the transactions in a block; send again what is lost, pay more where it is stuck."""
        if not self.trail.attempts:  # an adopted transaction that a reorganisation took away
            return self._go(State.PLANNED, replace(self.trail, nonce=None))
        latest = self._chain.common(LATEST)
        for attempt in reversed(self.trail.attempts):
            receipt = self._chain.receipt(attempt.hash, latest.number)
            if receipt is not None:
                mined = Mined.of(receipt, self._chain.block(receipt.block).time)
                return self._go(State.MINED, replace(self.trail, mined=mined))
        if self._nonce_gone(latest):
            return self._replaced_outside()
        if self._stuck(latest):
            return self._bump(latest)
        if self._chain.knows(self.trail.attempts[-1].hash):
            return self._wait()
        _, said = self._chain.send(self.trail.attempts[-1].raw)
        return self._wait(said or "it was lost and has been sent again")

    def _nonce_gone(self, block: Block) -> bool:
        assert self.trail.nonce is not None
        return self._chain.nonce(self.trail.writer, block.number) > self.trail.nonce

    def _replaced_outside(self) -> bool:
        says = f"another transaction of {self.trail.writer} has used nonce {self.trail.nonce}"
        if self._nonce_gone(self._chain.common(FINALIZED)):
            hint = "the key is used elsewhere too; anchor again"
            return self._go(State.FAILED, self.trail, f"{says}: {hint}")
        return self._wait(f"{says}; it is not final yet")

    def _stuck(self, latest: Block) -> bool:
        return latest.number - self.trail.attempts[-1].block >= self._rules.stuck_blocks

    def _bump(self, latest: Block) -> bool:
        """Sign the same call under the same nonce for higher fees; it is kept before it is sent."""
        last, cap = self.trail.attempts[-1], self._rules.max_fee
        fees = bumped(last.fees, first_fees(latest.base_fee, self._chain.tip(), cap), cap)
        if fees is None:
            if not self._chain.knows(last.hash):
                self._chain.send(last.raw)
            return self._wait(f"{self._too_dear(latest)}; no higher fee is allowed")
        attempt = self._signed(self.trail, self._data(self.trail), last.gas, fees, latest)
        return self._go(State.SIGNED, replace(self.trail, attempts=(*self.trail.attempts, attempt)))

    def _too_dear(self, latest: Block) -> str:
        now, most = latest.base_fee / GWEI, self._rules.max_fee / GWEI
        return f"waits: gas costs {now:.9g} gwei now, max_fee_gwei is {most:.9g}"

    # ---------------------------------------------------------------------------------------------- mined

    def _settle(self) -> bool:
        """See that the transaction still is in the same block, and whether that block is final."""
        mined = self.trail.mined
        assert mined is not None
        latest = self._chain.common(LATEST)
        receipt = self._chain.receipt(mined.tx, latest.number)
        if receipt is None:
            return self._lost(mined, latest)
        block = self._chain.block(receipt.block)
        if block.hash != receipt.block_hash:
            raise NetworkError(f"the endpoints place {mined.tx} in a block that is not on their chain")
        found = Mined.of(receipt, block.time)
        if found != mined:
            return self._go(State.MINED, replace(self.trail, mined=found), "it moved to another block")
        finalized = self._chain.common(FINALIZED)
        if receipt.block > finalized.number:
            reverted = "" if receipt.status else f"it was reverted, {self._why()}; the block is not final yet"
            return self._wait(reverted)
        if receipt.status == 0:
            return self._go(State.FAILED, self.trail, f"the transaction was reverted: {self._why()}")
        wanted = (self.trail.writer, self.trail.log_id, self.record.size, self.record.root)
        if wanted not in [(e.writer, e.log_id, e.size, e.root) for e in receipt.events]:
            return self._go(
                State.FAILED, self.trail, "the transaction is final, but did not anchor this checkpoint"
            )
        self._chain.require(contract(), finalized)
        head = self._chain.head(self.trail.writer, self.trail.log_id, finalized.number)
        if head.size < self.record.size or (head.size == self.record.size and head.root != self.record.root):
            raise NetworkError("the endpoints show a final event, but a contract that does not hold its root")
        return self._go(State.FINALIZED, self.trail, self._chain.silent())

    def _why(self) -> str:
        assert self.trail.mined is not None
        return self._chain.any().why_reverted(
            self.trail.writer, self._data(self.trail), self.trail.mined.block
        )

    def _lost(self, mined: Mined, latest: Block) -> bool:
        """Go back to sent: the chain was reorganised, and the waiting for a higher fee begins anew."""
        attempts = self.trail.attempts
        if attempts:
            attempts = (*attempts[:-1], replace(attempts[-1], block=latest.number))
        says = f"block {mined.block} is no longer on the chain: sent again"
        return self._go(State.SENT, replace(self.trail, mined=None, attempts=attempts), says)
