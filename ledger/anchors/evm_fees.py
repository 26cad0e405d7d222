"""What a transaction offers for its place in a block (EIP-1559), and what it must offer to take another's place."""

from __future__ import annotations

from dataclasses import dataclass

GWEI = 10**9
MAX_FEE_GWEI = 50
"""Most that is offered for a unit of gas unless the settings say otherwise: at most 0.002 ether a checkpoint."""

# Nodes take another transaction under the same nonce only for 10 % (geth) to 12.5 % more, on both fees.
_BUMP_NUMERATOR, _BUMP_DENOMINATOR = 9, 8


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for a unit of gas: ``max_fee`` in all, of it at most ``priority_fee`` for who makes the block."""

    max_fee: int
    priority_fee: int


def first_fees(base_fee: int, tip: int, cap: int) -> Fees | None:
    """Return an offer that outlives six full blocks of rising base fee; None where ``cap`` is under today's price."""
    tip = max(1, min(tip, cap))
    if base_fee + 1 > cap:
        return None
    return Fees(min(cap, 2 * base_fee + tip), tip)


def bumped(old: Fees, market: Fees | None, cap: int) -> Fees | None:
    """Return the offer that takes the place of ``old``: both fees at least 12.5 % higher, rounded up.

    Not less than ``market`` asks; None where ``cap`` does not allow it.
    """
    least = Fees(_raised(old.max_fee), _raised(old.priority_fee))
    if least.max_fee > cap:
        return None
    market = market or least
    max_fee = min(cap, max(least.max_fee, market.max_fee))
    return Fees(max_fee, min(max_fee, max(least.priority_fee, market.priority_fee)))


def _raised(fee: int) -> int:
    return max(fee + 1, -(-fee * _BUMP_NUMERATOR // _BUMP_DENOMINATOR))
