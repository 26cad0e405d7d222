"""The contract itself, in an EVM inside this process; and that its bytes are those of its source."""

from __future__ import annotations

import hashlib
import json
import os
import re

import pytest
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3

from assay.ledger.anchors.evm_contract import contract, log_id

from .nodes import BUILD, COMPILER_SETTINGS, compile_contract, solidity_missing

LOG, OTHER_LOG = log_id("example.org/ledger"), log_id("example.org/other")
ZERO = bytes(32)


@pytest.fixture(scope="module")
def chain():
    w3 = Web3(EthereumTesterProvider())
    made = w3.eth.contract(abi=contract().abi, bytecode=contract().bytecode)
    receipt = w3.eth.wait_for_transaction_receipt(made.constructor().transact({"from": w3.eth.accounts[0]}))
    return w3, w3.eth.contract(address=receipt["contractAddress"], abi=contract().abi)


@pytest.fixture
def world(chain):
    """The deployed contract as it was before any test used it."""
    w3, deployed = chain
    before = w3.provider.ethereum_tester.take_snapshot()
    yield World(w3, deployed)
    w3.provider.ethereum_tester.revert_to_snapshot(before)


class World:
    def __init__(self, w3: Web3, deployed) -> None:
        self.w3, self.contract = w3, deployed
        self.accounts = w3.eth.accounts

    def anchor(self, size: int, root: bytes, previous: bytes = ZERO, *, writer: int = 0, log: bytes = LOG):
        call = self.contract.functions.anchor(log, size, root, previous)
        return self.w3.eth.wait_for_transaction_receipt(call.transact({"from": self.accounts[writer]}))

    def head(self, writer: int = 0, log: bytes = LOG):
        size, root, block = self.contract.functions.head(self.accounts[writer], log).call()
        return size, root, block


def root(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def refused(name: str, kept: bytes):
    """Expect the contract's own error, with what it kept."""
    return pytest.raises(TransactionFailed, match=re.escape(repr(bytes(Web3.keccak(text=name)[:4]) + kept)))


def test_nothing_is_there_at_first(world):
    assert world.head() == (0, ZERO, 0)


def test_a_log_grows_and_its_events_are_a_list(world):
    blocks = [0]
    for size, previous in ((1, ZERO), (5, root(1)), (2**64 - 1, root(5))):
        receipt = world.anchor(size, root(size), previous)
        (event,) = world.contract.events.Anchored().process_receipt(receipt)
        assert dict(event["args"]) == {
            "writer": world.accounts[0],
            "logId": LOG,
            "size": size,
            "root": root(size),
            "previousBlock": blocks[-1],
        }
        blocks.append(receipt["blockNumber"])
        assert world.head() == (size, root(size), receipt["blockNumber"])


def test_the_previous_root_must_be_the_one_that_is_kept(world):
    with refused("NotThePreviousRoot(bytes32)", ZERO):
        world.anchor(5, root(5), root(1))
    world.anchor(5, root(5))
    for stale in (ZERO, root(1), root(9)):
        with refused("NotThePreviousRoot(bytes32)", root(5)):
            world.anchor(9, root(9), stale)
    assert world.head()[:2] == (5, root(5))


@pytest.mark.parametrize("size", [0, 1, 4, 5])
def test_the_size_must_grow(world, size):
    world.anchor(5, root(5))
    with refused("NotGrowing(uint64)", (5).to_bytes(32)):
        world.anchor(size, root(size), root(5))
    assert world.head()[:2] == (5, root(5))


def test_an_empty_tree_is_not_anchored(world):
    with refused("NotGrowing(uint64)", ZERO):
        world.anchor(0, root(0))


def test_nobody_writes_under_another_s_address_or_squats_a_log_s_name(world):
    world.anchor(2**63, root(66), writer=1)
    world.anchor(5, root(5), writer=0)
    assert world.head(0)[:2] == (5, root(5))
    assert world.head(1)[:2] == (2**63, root(66))
    world.anchor(6, root(6), writer=0, log=OTHER_LOG)
    assert world.head(0)[:2] == (5, root(5))


def test_it_takes_no_money_and_no_other_calls(world):
    owner = world.accounts[0]
    for transaction in (
        {"value": 1},
        {"data": "0x"},
        {"data": "0x8da5cb5b"},  # owner()
        {"data": "0x3659cfe6" + "00" * 32},  # upgradeTo(address)
        {"data": "0xffffffff"},
    ):
        sent = world.w3.eth.send_transaction(
            {"from": owner, "to": world.contract.address, "gas": 100_000, **transaction}
        )
        assert world.w3.eth.wait_for_transaction_receipt(sent)["status"] == 0
    assert [f["name"] for f in contract().abi if f["type"] == "function"] == ["anchor", "head"]


def test_it_can_do_nothing_else(world):
    """No instruction of it hands control or money away: no call, no delegation, no creation, no end."""
    forbidden = {0xF0: "CREATE", 0xF1: "CALL", 0xF2: "CALLCODE", 0xF4: "DELEGATECALL", 0xF5: "CREATE2",
                 0xFA: "STATICCALL", 0xFF: "SELFDESTRUCT", 0x32: "ORIGIN"}  # fmt: skip
    code, position, found = contract().runtime, 0, set()
    while position < len(code):
        found.add(code[position])
        position += 1 + (code[position] - 0x5F if 0x60 <= code[position] <= 0x7F else 0)
    assert not found & set(forbidden)


def test_a_checkpoint_costs_at_most_40000_gas(world):
    used, previous = [], ZERO
    for size in (1000, 2**20, 2**40):
        fresh = os.urandom(31) + b"\x01"  # the dearest call data: no byte of it is zero, as good as
        used.append(world.anchor(size, fresh, previous)["gasUsed"])
        previous = fresh
    assert used[0] <= 75_000
    assert max(used[1:]) <= 40_000


def test_what_lies_on_the_chain_is_what_ships(world):
    assert world.w3.eth.get_code(world.contract.address) == contract().runtime
    assert len(contract().runtime) < 1000


def test_the_build_is_that_of_the_source():
    build = json.loads(BUILD.read_text("utf-8"))
    assert build["source_sha256"] == hashlib.sha256(contract().source.encode()).hexdigest()
    assert build["settings"] == COMPILER_SETTINGS
    missing = solidity_missing()
    if missing:
        pytest.skip(missing)
    assert compile_contract() == build
