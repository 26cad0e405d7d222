"""The contract at the command line, and a ledger anchored with it on a real node, from nothing to proven."""

from __future__ import annotations

import json

import pytest

from assay.ledger.anchors.evm_contract import contract

from ..ledger.anchors.nodes import CHAIN_ID, KEY, WRITER, Anvil, anvil_binary


@pytest.fixture
def anvil():
    binary = anvil_binary()
    if binary is None:
        pytest.skip("no anvil: 'npm ci' in tests/node has it for Linux on x86-64, or put one on the PATH")
    node = Anvil(binary)
    node.rpc("evm_setAutomine", True)
    yield node
    node.close()


def deployed(terminal, anvil, *more, **environment):
    return terminal(
        "ledger", "contract", "deploy", "--rpc", anvil.url, "--chain-id", str(CHAIN_ID), "--key", "env:CHAIN_KEY",
        *more,
        **{"CHAIN_KEY": KEY, **environment},
    )  # fmt: skip


def test_the_contract_can_be_read_and_built_again_by_others(terminal):
    shown = json.loads(terminal("ledger", "contract", "show", "--json").out)
    assert shown["runtime"] == "0x" + contract().runtime.hex()
    assert shown["settings"]["evmVersion"] == "shanghai"
    assert terminal("ledger", "contract", "show", "--part", "source").out == contract().source
    assert shown["runtime_digest"]["value"] in terminal("ledger", "contract", "show").out


def test_from_an_empty_chain_to_a_proven_time(terminal, anvil):
    made = json.loads(deployed(terminal, anvil, "--json").out)
    assert made["writer"] == WRITER
    assert anvil.rpc("eth_getCode", made["contract"], "latest") == "0x" + contract().runtime.hex()
    table = deployed(terminal, anvil).out
    assert KEY not in table
    settings = terminal.home / "assay.toml"
    settings.write_text(settings.read_text("utf-8") + "\n" + table, "utf-8")
    anvil.finalize()
    terminal("ledger", "append", settings)
    sent = json.loads(terminal("ledger", "anchor", "--json", CHAIN_KEY=KEY).out)
    assert (sent["name"], sent["state"], sent["standing"]) == ("chain", "mined", "pending")
    anvil.finalize()
    terminal("ledger", "anchor", CHAIN_KEY=KEY)
    offline = json.loads(terminal("ledger", "anchors", "--json").out)
    assert (offline["state"], offline["standing"]) == ("finalized", "not checked")
    online = json.loads(terminal("ledger", "anchors", "--online", "--json").out)
    assert online["standing"] == "ok"
    assert online["time"].endswith("Z")
    anvil.close()
    gone = json.loads(terminal("ledger", "anchors", "--online", "--json").out)
    assert gone["standing"] == "not checked", "an unreachable chain accuses nobody"


def test_the_wrong_chain_and_the_wrong_key_are_refused(terminal, anvil):
    answer = terminal(
        "ledger", "contract", "deploy", "--rpc", anvil.url, "--chain-id", "1", "--key", "env:CHAIN_KEY",
        expect=5, CHAIN_KEY=KEY,
    )  # fmt: skip
    assert f"is of chain {CHAIN_ID}, not of chain 1" in answer.err
    answer = terminal(
        "ledger", "contract", "deploy", "--rpc", anvil.url, "--chain-id", str(CHAIN_ID), "--key", "env:CHAIN_KEY",
        expect=5, CHAIN_KEY=KEY[:-1] + "g",
    )  # fmt: skip
    assert KEY[:-1] not in answer.err
    assert int(anvil.rpc("eth_getTransactionCount", WRITER, "latest"), 16) == 0
