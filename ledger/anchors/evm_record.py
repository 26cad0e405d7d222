"""What the EVM anchor keeps of a checkpoint on its way: the ``detail`` of its record. docs/formats/anchor-evm.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from assay.ledger.anchors.evm_fees import Fees
from assay.ledger.anchors.evm_nouns import TxReceipt
from assay.provenance.anchor import AnchorRecord
from assay.provenance.errors import LedgerError
from assay.provenance.text import safe_text


class State(StrEnum):
    """Where a transaction is. Only FINALIZED and FAILED are the end; both need a block that is final."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    FINALIZED = "finalized"
    FAILED = "failed"


ENDED = (State.FINALIZED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction: hash, bytes, gas limit, fees, and the newest block when it was signed."""

    hash: str
    raw: bytes
    gas: int
    fees: Fees
    block: int


@dataclass(frozen=True, slots=True)
class Mined:
    """The block that a transaction was found in; ``time`` is the block's, Unix seconds."""

    tx: str
    block: int
    block_hash: str
    time: int
    status: int
    gas_used: int

    @classmethod
    def of(cls, receipt: TxReceipt, time: int) -> Mined:
        """Return where a receipt says that its transaction is."""
        return cls(receipt.tx, receipt.block, receipt.block_hash, time, receipt.status, receipt.gas_used)


@dataclass(frozen=True, slots=True)
class Trail:
    """All of a record that is this kind's own; ``nonce`` is None until a transaction was signed.

    ``attempts`` are all that were ever signed for the nonce, oldest first: any of them may be the one that is
    mined. ``says`` is what the last step found, in words, "" where there is nothing to say.
    """

    chain_id: int
    contract: str
    writer: str
    log_id: bytes
    previous: bytes = bytes(32)
    nonce: int | None = None
    attempts: tuple[Attempt, ...] = ()
    mined: Mined | None = None
    says: str = ""

    def to_detail(self) -> dict[str, Any]:
        """Return the JSON values that are kept: binary as 0x and hexadecimal, fees in wei."""
        mined = self.mined
        return {
            "chain_id": self.chain_id,
            "contract": self.contract,
            "writer": self.writer,
            "log_id": _hex(self.log_id),
            "previous_root": _hex(self.previous),
            "nonce": self.nonce,
            "transactions": [
                {
                    "hash": attempt.hash,
                    "raw": _hex(attempt.raw),
                    "gas": attempt.gas,
                    "max_fee": attempt.fees.max_fee,
                    "priority_fee": attempt.fees.priority_fee,
                    "block": attempt.block,
                }
                for attempt in self.attempts
            ],
            "mined": None
            if mined is None
            else {
                "hash": mined.tx,
                "block": mined.block,
                "block_hash": mined.block_hash,
                "time": mined.time,
                "status": mined.status,
                "gas_used": mined.gas_used,
            },
            "says": self.says,
        }

    @classmethod
    def of(cls, record: AnchorRecord) -> Trail:
        """Read a record's detail; raises LedgerError where it is none of this kind."""
        try:
            State(record.state)
            return _read(record.detail)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"anchor record {record.id} of {safe_text(record.name, 80)} cannot be read: {safe_text(error, 120)}",
                hint="it was changed from outside; anchor a newer checkpoint",
            ) from error


def _read(detail: Mapping[str, Any]) -> Trail:
    mined = detail["mined"]
    return Trail(
        _int(detail["chain_id"]),
        str(detail["contract"]),
        str(detail["writer"]),
        _bytes(detail["log_id"]),
        _bytes(detail["previous_root"]),
        None if detail["nonce"] is None else _int(detail["nonce"]),
        tuple(
            Attempt(
                str(item["hash"]),
                _bytes(item["raw"]),
                _int(item["gas"]),
                Fees(_int(item["max_fee"]), _int(item["priority_fee"])),
                _int(item["block"]),
            )
            for item in detail["transactions"]
        ),
        mined
        and Mined(
            str(mined["hash"]),
            _int(mined["block"]),
            str(mined["block_hash"]),
            _int(mined["time"]),
            _int(mined["status"]),
            _int(mined["gas_used"]),
        ),
        str(detail["says"]),
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("binary without 0x")
    return bytes.fromhex(text[2:])


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a number is missing")
    return value
