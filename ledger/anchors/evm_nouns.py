"""What is said of an EVM chain: blocks, events, receipts. Hashes and addresses are 0x and lower-case hexadecimal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from assay.provenance.errors import ConfigurationError
from assay.provenance.text import safe_text

LATEST: Final = "latest"
FINALIZED: Final = "finalized"


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its number, hash (0x…), time (Unix seconds) and base fee (wei)."""

    number: int
    hash: str
    time: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class Event:
    """One ``Anchored`` event, and the block and transaction that it stands in."""

    writer: str
    log_id: bytes
    size: int
    root: bytes
    previous_block: int
    block: int
    block_hash: str
    tx: str


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """What became of a transaction: ``status`` 1 is done, 0 reverted; ``events`` are the contract's own."""

    tx: str
    status: int
    block: int
    block_hash: str
    gas_used: int
    events: tuple[Event, ...]
    created: str


@dataclass(frozen=True, slots=True)
class Head:
    """What the contract holds for a writer and log: ``size`` 0 where nothing was anchored."""

    size: int
    root: bytes
    block: int


class Taken(Enum):
    """How an endpoint took a signed transaction: NONCE_USED may mean that this very one went through before."""

    ACCEPTED = "accepted"
    KNOWN = "already known"
    NONCE_USED = "nonce used"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: its bytes as they are sent, and its hash."""

    raw: bytes
    hash: str


def plain_address(text: str, what: str) -> str:
    """Return an address in lower case; raises ConfigurationError for anything else, ``what`` named."""
    if not re.fullmatch("0x[0-9a-fA-F]{40}", text):
        raise ConfigurationError(
            f"{what} is no address of an EVM chain: {safe_text(text, 60)!r}",
            hint="0x and 40 hexadecimal digits",
        )
    return text.lower()
