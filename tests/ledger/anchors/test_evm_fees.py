"""The rule for paying more, which anvil does not enforce: geth asks 10 %, others 12.5 %, on both fees."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from assay.ledger.anchors.evm_fees import GWEI, Fees, bumped, first_fees

WEI = st.integers(0, 10**15)
MOST = Fraction(1125, 1000)


@given(WEI, WEI, st.integers(1, 10**15))
def test_a_first_offer_is_one_that_a_block_can_take_and_never_over_the_cap(base, tip, cap):
    fees = first_fees(base, tip, cap)
    if fees is None:
        assert base >= cap
        return
    assert base < fees.max_fee <= cap
    assert 1 <= fees.priority_fee <= fees.max_fee


@given(st.integers(0, 10**12), st.integers(0, 10**12), WEI, WEI, st.integers(1, 10**15))
def test_a_bump_raises_both_fees_by_an_eighth_or_is_not_made(max_fee, tip, base, market_tip, cap):
    old = Fees(max(max_fee, tip), tip)
    market = first_fees(base, market_tip, cap)
    new = bumped(old, market, cap)
    if new is None:
        assert old.max_fee * MOST > cap or old.max_fee + 1 > cap
        return
    assert new.max_fee >= old.max_fee * MOST
    assert new.priority_fee >= old.priority_fee * MOST
    assert new.max_fee > old.max_fee
    assert new.priority_fee > old.priority_fee, "geth refuses equal fees, zero included"
    assert new.priority_fee <= new.max_fee <= cap
    if market:
        assert new.max_fee >= min(cap, market.max_fee)


def test_bumps_round_up():
    assert bumped(Fees(1001, 9), None, GWEI) == Fees(1127, 11)
    assert bumped(Fees(8, 8), None, GWEI) == Fees(9, 9)


def test_a_bump_that_the_cap_cuts_below_an_eighth_is_none():
    assert bumped(Fees(1000, 10), None, 1124) is None
    assert bumped(Fees(1000, 10), None, 1125) == Fees(1125, 12)


def test_a_dear_market_is_met_at_once_but_not_above_the_cap():
    market = first_fees(100 * GWEI, 2 * GWEI, 150 * GWEI)
    assert bumped(Fees(10 * GWEI, GWEI), market, 150 * GWEI) == Fees(150 * GWEI, 2 * GWEI)
