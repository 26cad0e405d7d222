from __future__ import annotations

import json

import pytest
import scitt_cose

from assay.ledger.custody.cose import log_public


@pytest.fixture
def logged(desk):
    return desk.sign(desk.picture())


@pytest.fixture
def cbor(terminal, logged):
    terminal("ledger", "append", logged)
    terminal("ledger", "receipt", "1", "--cose", "-o", "1.cbor")
    return terminal.folder / "1.cbor"


@pytest.fixture
def policy(desk, terminal):
    path = terminal.folder / "trusted.policy"
    path.write_text(f"log {desk.workspace.log.vkey}\nquorum none\n")
    return path


def test_a_cose_receipt_is_written_checked_and_tied_to_its_file(desk, terminal, logged, cbor):
    assert "holds" in terminal("ledger", "receipt", cbor, "--file", logged).out
    answer = json.loads(terminal("ledger", "receipt", cbor, "--json").out)
    assert (answer["valid"], answer["index"], answer["problem"]) == (True, 1, None)
    other = desk.picture(name="chelsea")
    assert "another file" in terminal("ledger", "receipt", cbor, "--file", other, expect=1).out


def test_others_verify_the_file_that_the_command_wrote(desk, cbor):
    (leaf,) = desk.workspace.log.leaves(1, 2)
    public = log_public(desk.workspace.log.vkey)
    assert scitt_cose.verify_receipt(
        cbor.read_bytes(), leaf_entry_hex=leaf.hex(), log_public_key_pem=public
    ).ok


def test_far_from_the_ledger_the_entry_and_a_policy_are_enough(desk, nowhere, cbor, policy):
    entry = nowhere.folder / "1.json"
    entry.write_bytes(next(desk.workspace.log.leaves(1, 2)))
    assert "holds" in nowhere("ledger", "receipt", cbor, "--entry", entry, "--policy", policy).out
    entry.write_bytes(next(desk.workspace.log.leaves(0, 1)))
    nowhere("ledger", "receipt", cbor, "--entry", entry, "--policy", policy, expect=1)


def test_a_changed_size_is_noticed_where_the_ledger_is(terminal, cbor):
    data = bytearray(cbor.read_bytes())
    at = data.index(b"\x83\x02\x01\x81")  # [tree size 2, index 1, [one hash]]
    data[at + 1] = 3
    data[at + 2] = 2
    cbor.write_bytes(data)
    terminal("ledger", "receipt", cbor, expect=1)


def test_what_is_no_cose_receipt_is_said_in_words(terminal, logged):
    broken = terminal.folder / "x.cbor"
    for data in (b"", b"\xd2\x84", b"\xff" * 100):
        broken.write_bytes(data)
        assert "not a COSE receipt" in terminal("ledger", "receipt", broken, expect=1).out
    broken.write_bytes(b"\x00" * (1 << 17))
    assert "larger than" in terminal("ledger", "receipt", broken, expect=4).err
    terminal("ledger", "receipt", "missing.cbor", expect=4)
    terminal("ledger", "receipt", "0", "--cose", expect=2)
    terminal("ledger", "receipt", "99", "--cose", "-o", "y.cbor", expect=2)
    terminal("ledger", "receipt", "0", "--cose", "-o", broken, expect=2)
