"""The EVM anchor on a real node: the way to finality, and everything that gets in its way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assay.ledger.anchors.chain import Account
from assay.ledger.anchors.evm import EvmAnchor, open_endpoints
from assay.ledger.anchors.evm_contract import contract, log_id
from assay.ledger.anchors.evm_deploy import deploy, deployed
from assay.ledger.anchors.evm_fees import GWEI
from assay.ledger.tlog.note import Checkpoint, sign_note
from assay.provenance.anchor import AnchorRecord, Standing
from assay.provenance.errors import (
    ConfigurationError,
    CredentialError,
    LedgerError,
    NetworkError,
    UsageError,
)

from .journal import MemoryJournal
from .nodes import CHAIN_ID, KEY, SECOND_KEY, WRITER, Anvil, Proxy, Silence, anvil_binary, free_port
from .worlds import SIGNER, checkpoint, context

DEAD = "http://127.0.0.1:9"
FINAL = ["planned", "signed", "sent", "mined", "finalized"]


@pytest.fixture
def anvil():
    binary = anvil_binary()
    if binary is None:
        pytest.skip("no anvil: 'npm ci' in tests/node has it for Linux on x86-64, or put one on the PATH")
    node = Anvil(binary)
    yield node
    node.close()


@pytest.fixture
def proxies():
    """Make proxies that end with the test."""
    made: list[Proxy] = []

    def make(url: str, **rules) -> Proxy:
        made.append(Proxy(url, **rules))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


class World:
    """A node with the contract on it, and anchors that use it."""

    def __init__(self, node: Anvil, home: Path) -> None:
        self.node, self.home = node, home
        self.context = replace(context(home), read_secret=self.secrets)
        self.address = self._deploy()

    def secrets(self, uri: str) -> bytes:
        return {"env:KEY": KEY, "env:SECOND": "0x" + SECOND_KEY}[uri].encode()

    def _deploy(self) -> str:
        endpoints = open_endpoints([self.node.url], self.context, "", "here")
        account = Account.load(SECOND_KEY.encode(), bytes, "here")
        sent = deploy(endpoints, CHAIN_ID, account, 50 * GWEI)
        assert not deployed(endpoints, CHAIN_ID, sent.tx).address
        self.node.finalize()
        return deployed(endpoints, CHAIN_ID, sent.tx).address

    def settings(self, *rpc: str, **changes):
        return {
            "kind": "evm",
            "chain_id": CHAIN_ID,
            "contract": self.address,
            "rpc": list(rpc) or [self.node.url],
            "key": "env:KEY",
            **changes,
        }

    def anchor(self, *rpc: str, **changes) -> EvmAnchor:
        return EvmAnchor("chain", self.settings(*rpc, **changes), self.context)

    def nonce(self) -> int:
        return int(self.node.rpc("eth_getTransactionCount", WRITER, "latest"), 16)

    def finish(self, anchor: EvmAnchor, record: AnchorRecord, journal: MemoryJournal) -> AnchorRecord:
        """Let the chain go on until the record's way has ended."""
        for _ in range(8):
            self.node.finalize()
            record = anchor.advance(record, journal)
            if record.state in ("finalized", "failed"):
                return record
        raise AssertionError(record)


@pytest.fixture
def world(anvil, tmp_path) -> World:
    return World(anvil, tmp_path)


def states(journal: MemoryJournal) -> list[str]:
    seen: list[str] = []
    for record in journal.history:
        if record.state not in seen[-1:]:
            seen.append(record.state)
    return seen


def forked(size: int) -> str:
    return sign_note(Checkpoint(SIGNER.name, size, bytes([9]) * 32).to_text(), SIGNER)


# ---------------------------------------------------------------------------------------------- the way


def test_a_checkpoint_becomes_final_and_is_read_back(world, journal):
    anchor = world.anchor()
    record = anchor.publish(checkpoint(7), journal)
    assert (record.state, states(journal)) == ("sent", ["planned", "signed", "sent"])
    world.node.mine()
    record = anchor.advance(record, journal)
    assert record.state == "mined"
    assert anchor.judge(record, online=True).standing is Standing.PENDING
    record = world.finish(anchor, record, journal)
    assert states(journal) == FINAL
    judgement = anchor.judge(record, online=True)
    assert judgement.standing is Standing.OK
    block = world.node.rpc("eth_getBlockByHash", record.detail["mined"]["block_hash"], False)
    assert f"block {int(block['number'], 16)} " in judgement.says
    assert judgement.time.startswith("20")
    assert anchor.judge(record, online=False).standing is Standing.UNCHECKED
    assert json.loads(json.dumps(dict(record.detail))) == record.detail
    assert KEY not in json.dumps(dict(record.detail))


def test_the_next_checkpoint_names_the_one_before_and_costs_at_most_40000_gas(world, journal):
    anchor = world.anchor()
    first = world.finish(anchor, anchor.publish(checkpoint(7), journal), journal)
    second = world.finish(anchor, anchor.publish(checkpoint(9), journal), journal)
    assert second.detail["previous_root"] == "0x" + first.root.hex()
    assert second.detail["mined"]["gas_used"] <= 40_000
    assert [anchor.judge(r, online=True).standing for r in (first, second)] == [Standing.OK] * 2


def test_the_same_checkpoint_is_published_once(world, journal):
    anchor = world.anchor()
    record = anchor.publish(checkpoint(7), journal)
    assert anchor.publish(checkpoint(7), journal) == record
    final = world.finish(anchor, record, journal)
    assert anchor.publish(checkpoint(7), journal) == final
    assert world.nonce() == 1


def test_two_checkpoints_at_once_go_one_after_the_other(world, journal):
    anchor = world.anchor()
    first = anchor.publish(checkpoint(7), journal)
    second = anchor.publish(checkpoint(9), journal)
    assert (second.state, second.detail["nonce"]) == ("planned", None)
    assert "size 7" in second.detail["says"]
    world.node.mine()
    first = anchor.advance(first, journal)
    second = anchor.advance(second, journal)
    assert second.detail["previous_root"] == "0x" + first.root.hex()
    assert second.detail["nonce"] == first.detail["nonce"] + 1
    world.node.mine()
    assert (
        world.finish(anchor, second, journal).state
        == world.finish(anchor, first, journal).state
        == "finalized"
    )


def test_two_contracts_with_one_key_do_not_take_each_other_s_nonce(world, journal):
    first = world.anchor()
    second = EvmAnchor("second", world.settings(contract=world._deploy()), world.context)
    records = [first.publish(checkpoint(7), journal), second.publish(checkpoint(7), journal)]
    assert [record.detail["nonce"] for record in records] == [0, 1]
    done = [world.finish(a, r, journal) for a, r in zip((first, second), records, strict=True)]
    assert [record.state for record in done] == ["finalized", "finalized"]


def test_a_checkpoint_that_a_larger_one_overtook_fails_once_that_is_final(world, journal, proxies):
    late = proxies(world.node.url, before=lambda method: silent_at("eth_estimateGas", method))
    planned = world.anchor(late.url).publish(checkpoint(7), journal)
    assert planned.state == "planned"
    larger = world.anchor().publish(checkpoint(9), MemoryJournal())
    world.node.mine()
    planned = world.anchor().advance(planned, journal)
    assert planned.state == "planned"
    assert "holds size 9" in planned.detail["says"]
    assert "not final yet" in planned.detail["says"]
    failed = world.finish(world.anchor(), planned, journal)
    assert (failed.state, failed.detail["transactions"], larger.state) == ("failed", [], "sent")
    assert world.anchor().judge(failed, online=True).standing is Standing.BROKEN


@pytest.mark.parametrize("gas", ["0x1", hex(10**9)])
def test_a_false_price_of_one_endpoint_neither_starves_nor_robs(world, journal, proxies, gas):
    liar = proxies(world.node.url, alter=lie("eth_estimateGas", lambda r: gas))
    anchor = world.anchor(world.node.url, liar.url)
    record = anchor.publish(checkpoint(7), journal)
    if gas == "0x1":
        assert world.finish(anchor, record, journal).state == "finalized"
    else:
        assert record.state == "planned"
        assert f"{liar.url} asks for" in record.detail["says"]


def test_a_lost_journal_finds_its_anchors_on_the_chain_again(world, journal):
    anchor = world.anchor()
    for size in (7, 9, 12):
        done = world.finish(anchor, anchor.publish(checkpoint(size), journal), journal)
    empty = MemoryJournal()
    newest, older = anchor.publish(checkpoint(12), empty), anchor.publish(checkpoint(7), empty)
    assert newest.detail["mined"] == done.detail["mined"]
    for record in (newest, older):
        assert record.state == "finalized"
        assert anchor.judge(record, online=True).standing is Standing.OK
    assert world.nonce() == 3, "nothing was sent"


def test_an_old_backup_and_a_fork_are_refused_by_the_chain_s_memory(world, journal):
    anchor = world.anchor()
    world.finish(anchor, anchor.publish(checkpoint(9), journal), journal)
    with pytest.raises(LedgerError, match="holds size 9 of this log, more than the 7") as caught:
        anchor.publish(checkpoint(7), MemoryJournal())
    assert "old backup" in caught.value.hint
    with pytest.raises(LedgerError, match="another root for size 9"):
        anchor.publish(forked(9), MemoryJournal())
    assert world.nonce() == 1


def test_a_rewritten_ledger_is_contradicted_by_the_chain_and_by_nothing_less(world, journal, proxies):
    anchor = world.anchor()
    record = world.finish(anchor, anchor.publish(checkpoint(9), journal), journal)
    fork = replace(record, root=bytes([9]) * 32, checkpoint=forked(9))
    judgement = anchor.judge(fork, online=True)
    assert judgement.standing is Standing.CONTRADICTED
    assert record.root.hex() in judgement.says
    assert anchor.judge(fork, online=False).standing is Standing.UNCHECKED
    two_of_three = world.anchor(world.node.url, proxies(world.node.url).url, DEAD)
    assert two_of_three.judge(record, online=True).standing is Standing.OK
    assert two_of_three.judge(fork, online=True).standing is Standing.UNCHECKED


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"root": bytes(32)}, "not those of its checkpoint"),
        ({"size": 8}, "not those of its checkpoint"),
        ({"checkpoint": "nothing"}, "not those of its checkpoint"),
        ({"state": "certain"}, "cannot be read"),
        ({"detail": {"writer": WRITER}}, "cannot be read"),
        ({"detail": []}, "cannot be read"),
    ],
)
def test_an_edited_record_proves_nothing_and_accuses_nobody(world, journal, change, says):
    anchor = world.anchor()
    record = world.finish(anchor, anchor.publish(checkpoint(9), journal), journal)
    judgement = anchor.judge(replace(record, **change), online=True)
    assert judgement.standing in (Standing.BROKEN, Standing.UNCHECKED)
    assert says in judgement.says


def test_another_s_anchor_is_not_taken_for_the_writer_s(world, journal):
    mine, theirs = world.anchor(), world.anchor(key="env:SECOND")
    record = world.finish(theirs, theirs.publish(checkpoint(9), journal), journal)
    assert theirs.judge(record, online=True).standing is Standing.OK
    assert mine.judge(record, online=True).standing is Standing.BROKEN
    claimed = replace(record, detail={**record.detail, "writer": WRITER})
    assert mine.judge(claimed, online=True).standing is Standing.BROKEN


def test_a_verifier_needs_no_key(world, journal):
    anchor = world.anchor()
    record = world.finish(anchor, anchor.publish(checkpoint(9), journal), journal)
    settings = {
        k: v
        for k, v in world.settings(writer="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").items()
        if k != "key"
    }
    reader = EvmAnchor("chain", settings, world.context)
    assert reader.judge(record, online=True).standing is Standing.OK
    with pytest.raises(ConfigurationError, match="has no key"):
        reader.publish(checkpoint(10), journal)


# ------------------------------------------------------------------------------------- what a chain does


def test_a_reorganisation_drops_it_and_the_same_bytes_are_sent_again(world, journal):
    anchor = world.anchor()
    record = anchor.publish(checkpoint(7), journal)
    world.node.mine(2)
    record = anchor.advance(record, journal)
    assert record.state == "mined"
    world.node.rpc("anvil_reorg", 3, [])
    assert world.nonce() == 0, "the node has forgotten it, pool and all"
    record = anchor.advance(record, journal)
    assert record.state == "sent"
    done = world.finish(anchor, record, journal)
    assert states(journal) == ["planned", "signed", "sent", "mined", "sent", "mined", "finalized"]
    assert done.detail["transactions"][0]["raw"] == record.detail["transactions"][0]["raw"]
    assert done.detail["mined"]["hash"] == record.detail["transactions"][0]["hash"]
    assert anchor.judge(done, online=True).standing is Standing.OK


def test_an_adopted_transaction_that_a_reorganisation_drops_is_made_anew(world, journal):
    anchor = world.anchor()
    anchor.publish(checkpoint(7), journal)
    world.node.mine(2)
    other = MemoryJournal()
    adopted = anchor.publish(checkpoint(7), other)
    assert (adopted.state, adopted.detail["transactions"]) == ("mined", [])
    world.node.rpc("anvil_reorg", 3, [])
    again = anchor.advance(adopted, other)
    assert again.state == "sent"
    assert world.finish(anchor, again, other).state == "finalized"


def test_a_stuck_transaction_pays_more_under_the_same_nonce(world, journal):
    anchor = world.anchor(stuck_blocks=2, max_fee_gwei=200)
    record = anchor.publish(checkpoint(7), journal)
    first = record.detail["transactions"][0]
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    world.node.mine(2)  # anvil's pool forgets what is too cheap
    record = anchor.advance(record, journal)
    assert record.state == "sent"
    old, new = record.detail["transactions"]
    assert old == first
    assert new["max_fee"] >= old["max_fee"] * 1.125
    assert new["priority_fee"] >= old["priority_fee"] * 1.125
    assert new["max_fee"] <= 200 * GWEI
    assert new["hash"] != old["hash"]
    sent = world.node.rpc("eth_getTransactionByHash", new["hash"])
    assert int(sent["nonce"], 16) == record.detail["nonce"] == 0
    assert world.node.rpc("eth_getTransactionByHash", old["hash"]) is None
    done = world.finish(anchor, record, journal)
    assert (done.state, done.detail["mined"]["hash"]) == ("finalized", new["hash"])


def test_the_older_of_two_transactions_may_be_the_one_that_is_mined(world, journal):
    anchor = world.anchor(stuck_blocks=1)
    record = anchor.publish(checkpoint(7), journal)
    world.node.rpc("anvil_dropTransaction", record.detail["transactions"][0]["hash"])
    world.node.mine()
    record = anchor.advance(record, journal)
    old, new = record.detail["transactions"]
    world.node.rpc("anvil_dropTransaction", new["hash"])
    world.node.rpc("eth_sendRawTransaction", old["raw"])
    world.node.mine()
    done = world.finish(anchor, record, journal)
    assert (done.state, done.detail["mined"]["hash"]) == ("finalized", old["hash"])


def test_no_more_is_paid_than_the_settings_allow(world, journal):
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    world.node.mine()
    dear = world.anchor(max_fee_gwei=3)
    record = dear.publish(checkpoint(7), journal)
    assert (record.state, record.detail["nonce"]) == ("planned", None)
    assert "max_fee_gwei is 3" in record.detail["says"]
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world.node.mine()
    record = dear.advance(record, journal)
    assert record.state == "sent"
    assert record.detail["transactions"][0]["max_fee"] <= 3 * GWEI
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    world.node.mine(15)
    record = dear.advance(record, journal)
    assert len(record.detail["transactions"]) == 1, "no bump is possible under the cap"
    assert "no higher fee is allowed" in record.detail["says"]
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world.node.mine()
    assert world.finish(dear, record, journal).state == "finalized"


def test_a_reverted_transaction_fails_with_its_reason_once_that_is_final(world, journal, proxies):
    """Between reading the head and being mined another transaction of the same key came first."""
    anchor = world.anchor()
    late = proxies(world.node.url, before=lambda method: silent_at("eth_sendRawTransaction", method))
    record = world.anchor(late.url).publish(checkpoint(7), journal)
    assert record.state == "signed"
    other = MemoryJournal()
    raw = signed_call(world, nonce=0, size=8, root=bytes([8]) * 32, previous=bytes(32))
    ours = signed_call(world, nonce=1, size=7, root=record.root, previous=bytes(32))
    world.node.rpc("eth_sendRawTransaction", "0x" + raw.raw.hex())
    changed = replace(record, detail=with_transaction(record, ours, nonce=1))
    record = anchor.advance(other.save(replace(changed, id=0)), other)
    world.node.mine()
    record = anchor.advance(record, other)
    assert record.state == "mined", "a reorganisation may still undo it"
    assert "reverted" in record.detail["says"]
    record = world.finish(anchor, record, other)
    assert record.state == "failed"
    assert "another previous root" in record.detail["says"]
    assert bytes([8] * 32).hex() in record.detail["says"]
    judgement = anchor.judge(record, online=True)
    assert judgement.standing is Standing.BROKEN
    assert "reverted" in judgement.says


def test_a_nonce_that_another_transaction_used_is_said_in_words(world, journal):
    anchor = world.anchor()
    record = anchor.publish(checkpoint(7), journal)
    world.node.rpc("anvil_dropTransaction", record.detail["transactions"][0]["hash"])
    raw = signed_call(world, nonce=0, size=8, root=bytes([8]) * 32, previous=bytes(32))
    world.node.rpc("eth_sendRawTransaction", "0x" + raw.raw.hex())
    world.node.mine()
    record = anchor.advance(record, journal)
    assert record.state == "sent"
    assert "not final yet" in record.detail["says"]
    record = world.finish(anchor, record, journal)
    assert record.state == "failed"
    assert "has used nonce 0" in record.detail["says"]


def test_final_means_finalized_not_safe(world, journal):
    anchor = world.anchor()
    record = anchor.publish(checkpoint(7), journal)
    world.node.mine(1 + 4)
    record = anchor.advance(record, journal)
    safe = int(world.node.rpc("eth_getBlockByNumber", "safe", False)["number"], 16)
    assert safe >= record.detail["mined"]["block"]
    assert record.state == "mined"


# ------------------------------------------------------------------------------------ kills and silences


def silent_at(wanted: str, method: str) -> None:
    if wanted == method:
        raise Silence


class Killed(BaseException):
    """The process is gone; nothing but the journal is left."""


class DyingJournal(MemoryJournal):
    """Dies at its n-th save: before it is durable, or right after."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.at, self.after = at, after

    def save(self, record):
        dies = self.saves + 1 == self.at
        if dies and not self.after:
            self.at = 0
            raise Killed
        saved = super().save(record)
        if dies:
            self.at = 0
            raise Killed
        return saved


@pytest.mark.parametrize("after", [False, True], ids=["before-the-save", "after-the-save"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_kill_at_any_save_is_survived(world, at, after):
    journal = DyingJournal(at, after=after)
    killed = 0
    for _ in range(12):
        try:
            anchor = world.anchor()  # everything but the journal is forgotten
            records = journal.records()
            record = (
                anchor.advance(records[0], journal) if records else anchor.publish(checkpoint(7), journal)
            )
            if record.state == "finalized":
                break
        except Killed:
            killed += 1
            assert not (at == 3 and not after) or world.node.rpc("txpool_status")["pending"] == "0x1"
        world.node.mine(4)
    assert killed == 1
    assert [r.state for r in journal.records()] == ["finalized"]
    assert len(journal.records()[0].detail["transactions"]) == 1
    assert world.nonce() == 1, "one transaction, however often it was sent"
    assert world.anchor().judge(journal.records()[0], online=True).standing is Standing.OK


def test_a_send_whose_answer_is_lost_is_not_sent_twice(world, journal, proxies):
    """The node takes the transaction, the answer never arrives; then "already known", then "nonce too low"."""

    def lose(method, params, result):
        silent_at("eth_sendRawTransaction", method)
        return result

    proxy = proxies(world.node.url, alter=lose)
    record = world.anchor(proxy.url).publish(checkpoint(7), journal)
    assert record.state == "signed"
    assert proxy.asked.count("eth_sendRawTransaction") == 1, "no retries behind our back"
    assert world.anchor().advance(record, journal).state == "sent", "already known is success"
    world.node.mine()
    late = MemoryJournal()
    assert world.anchor().advance(late.save(replace(record, id=0)), late).state == "mined", (
        "so is a used nonce"
    )
    assert world.nonce() == 1


def test_where_nothing_was_published_there_is_no_record(world, journal):
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1"):
        world.anchor(DEAD).publish(checkpoint(7), journal)
    assert journal.saves == 0


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "eth_estimateGas", "eth_getTransactionReceipt"])
def test_a_node_that_goes_away_halfway_leaves_a_record_that_goes_on(world, journal, proxies, method):
    proxy = proxies(world.node.url, before=lambda m: silent_at(method, m))
    record = world.anchor(proxy.url).publish(checkpoint(7), journal)
    assert record.state in ("planned", "signed", "sent")
    assert "127.0.0.1" in record.detail["says"]
    assert world.finish(world.anchor(), record, journal).state == "finalized"


def test_an_unreachable_chain_says_nothing_against_the_ledger(world, journal):
    anchor = world.anchor()
    record = world.finish(anchor, anchor.publish(checkpoint(7), journal), journal)
    world.node.close()
    judgement = anchor.judge(record, online=True)
    assert judgement.standing is Standing.UNCHECKED
    assert "not checked: http://127.0.0.1" in judgement.says


# --------------------------------------------------------------------------------------- several endpoints


def test_of_three_endpoints_one_may_be_dead_and_is_named(world, journal, proxies):
    urls = [DEAD, world.node.url, proxies(world.node.url).url]
    anchor = world.anchor(*urls)
    record = world.finish(anchor, anchor.publish(checkpoint(7), journal), journal)
    assert record.state == "finalized"
    judgement = anchor.judge(record, online=True)
    assert judgement.standing is Standing.OK
    assert DEAD in judgement.says


def test_of_two_endpoints_none_may_be_dead(world, journal):
    with pytest.raises(NetworkError, match="1 of 2 endpoints answered"):
        world.anchor(world.node.url, DEAD).publish(checkpoint(7), journal)


def lie(target: str, change):
    def alter(method, params, result):
        return change(result) if method == target and result else result

    return alter


def later(number: str) -> str:
    return hex(int(number, 16) + 1)


LIES = {
    "a block's hash": lie("eth_getBlockByNumber", lambda r: {**r, "hash": "0x" + "11" * 32}),
    "a block's time": lie("eth_getBlockByNumber", lambda r: {**r, "timestamp": later(r["timestamp"])}),
    "no receipt": lie("eth_getTransactionReceipt", lambda r: None),
    "a receipt's block": lie("eth_getTransactionReceipt", lambda r: {**r, "blockHash": "0x" + "22" * 32}),
    "a receipt's status": lie("eth_getTransactionReceipt", lambda r: {**r, "status": "0x0"}),
    "a receipt's events": lie("eth_getTransactionReceipt", lambda r: {**r, "logs": []}),
    "the head": lie("eth_call", lambda r: r[:66] + "33" * 32 + r[130:]),
    "the code": lie("eth_getCode", lambda r: r[:-2] + "00"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lying_endpoint_is_named_and_no_answer_is_taken(world, journal, proxies, what):
    anchor = world.anchor()
    final = world.finish(anchor, anchor.publish(checkpoint(7), journal), journal)
    liar = proxies(world.node.url, alter=LIES[what])
    anchor = world.anchor(world.node.url, liar.url, proxies(world.node.url).url)
    judgement = anchor.judge(final, online=True)
    assert judgement.standing is Standing.UNCHECKED
    assert f"{liar.url} contradicts the others" in judgement.says
    mined = journal.save(next(r for r in journal.history if r.state == "mined"))
    with pytest.raises(NetworkError, match=f"{liar.url} contradicts the others"):
        anchor.advance(mined, journal)
    assert journal.records()[0].state == "mined", "nothing was taken for final"


def test_two_endpoints_that_contradict_each_other_are_both_named(world, journal, proxies):
    liar = proxies(world.node.url, alter=LIES["a block's hash"])
    with pytest.raises(NetworkError, match="contradict each other") as caught:
        world.anchor(world.node.url, liar.url).publish(checkpoint(7), journal)
    assert liar.url in caught.value.message
    assert world.node.url in caught.value.message


def test_a_lagging_endpoint_is_named(world, journal, proxies):
    world.node.mine(200)

    def stale(method, params, result):
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return world.node.rpc(method, hex(20), False)
        return result

    lagging = proxies(world.node.url, alter=stale)
    with pytest.raises(NetworkError, match=f"{lagging.url} lags .* blocks behind"):
        world.anchor(world.node.url, lagging.url).publish(checkpoint(7), journal)


def test_an_endpoint_that_is_a_block_behind_only_delays(world, journal, proxies):
    def behind(method, params, result):
        if method == "eth_getBlockByNumber" and params[0] in ("latest", "finalized"):
            return world.node.rpc(method, hex(max(0, int(result["number"], 16) - 1)), False)
        return result

    anchor = world.anchor(world.node.url, proxies(world.node.url, alter=behind).url)
    record = anchor.publish(checkpoint(7), journal)
    world.node.mine()
    assert anchor.advance(record, journal).state == "sent"
    assert world.finish(anchor, record, journal).state == "finalized"


GARBAGE = {
    "html": b"<html>busy</html>",
    "a number": b"17",
    "no fields": b"{}",
    "deep": b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "wrong type": b'{"jsonrpc":"2.0","id":1,"result":{"number":"x","hash":"0x","timestamp":[]}}',
    "huge number": b'{"jsonrpc":"2.0","id":1,"result":"0x' + b"f" * 600 + b'"}',
    "error": b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"\x1b[2J go away"}}',
    "too long": b'{"jsonrpc":"2.0","id":1,"result":"' + b" " * (9 << 20) + b'"}',
    "not text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("answer", GARBAGE)
def test_garbage_is_a_network_fault_that_names_the_endpoint(world, journal, proxies, answer):
    final = world.finish(world.anchor(), world.anchor().publish(checkpoint(7), journal), journal)
    broken = proxies(world.node.url, alter=lambda method, params, result: GARBAGE[answer])
    with pytest.raises(NetworkError) as caught:
        world.anchor(broken.url).publish(checkpoint(9), journal)
    assert broken.url in caught.value.message
    assert "\x1b" not in str(caught.value)
    partly = proxies(
        world.node.url,
        alter=lambda method, params, result: result if method == "eth_chainId" else GARBAGE[answer],
    )
    assert world.anchor(partly.url).judge(final, online=True).standing is Standing.UNCHECKED


# --------------------------------------------------------------------------------------------- set-up


def test_the_wrong_chain_is_found_before_anything_is_sent(world, journal, proxies):
    with pytest.raises(ConfigurationError, match=f"is of chain {CHAIN_ID}, not of chain 1"):
        world.anchor(chain_id=1).publish(checkpoint(7), journal)
    assert journal.saves == 0
    asked: list[str] = []

    def switches(method, params, result):
        asked.append(method)
        return "0x1" if method == "eth_chainId" and asked.count(method) > 1 else result

    proxy = proxies(world.node.url, alter=switches)
    with pytest.raises(ConfigurationError, match="is of chain 1"):
        world.anchor(proxy.url).publish(checkpoint(7), journal)
    assert "eth_sendRawTransaction" not in asked
    assert journal.records()[0].state == "signed"
    assert world.nonce() == 0


def test_a_contract_that_is_missing_or_another_is_refused(world, journal):
    with pytest.raises(ConfigurationError, match="there is no contract"):
        world.anchor(contract="0x" + "12" * 20).publish(checkpoint(7), journal)
    code = contract().runtime
    world.node.rpc("anvil_setCode", "0x" + "34" * 20, "0x" + (code[:-1] + bytes([code[-1] ^ 1])).hex())
    with pytest.raises(ConfigurationError, match="is not the contract"):
        world.anchor(contract="0x" + "34" * 20).publish(checkpoint(7), journal)
    assert journal.saves == 0


def test_a_record_is_not_moved_by_an_anchor_of_another_contract(world, journal):
    record = world.anchor().publish(checkpoint(7), journal)
    elsewhere = world.anchor(contract="0x" + "12" * 20)
    with pytest.raises(ConfigurationError, match="was changed"):
        elsewhere.advance(record, journal)
    assert elsewhere.judge(record, online=True).standing is Standing.UNCHECKED


def test_an_account_without_money_is_said_in_words(world, journal):
    world.node.rpc("anvil_setBalance", WRITER, "0x1")
    record = world.anchor().publish(checkpoint(7), journal)
    assert record.state == "planned"
    assert f"{WRITER} holds 1e-18 ether" in record.detail["says"]
    world.node.rpc("anvil_setBalance", WRITER, hex(10**18))
    assert world.finish(world.anchor(), record, journal).state == "finalized"


def test_an_empty_ledger_has_nothing_to_anchor(world, journal):
    with pytest.raises(UsageError):
        world.anchor().publish(checkpoint(0), journal)


# ------------------------------------------------------------------------------------- without a node

SETTINGS = {"kind": "evm", "chain_id": 1, "contract": "0x" + "12" * 20, "rpc": [DEAD], "key": "env:KEY"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chain_id": 0}, "lacks chain_id"),
        ({"chain_id": -1}, "at least 1"),
        ({"chain_id": "1"}, "whole number"),
        ({"contract": "0x12"}, "no address"),
        ({"contract": "assay.eth"}, "no address"),
        ({"rpc": []}, "rpc"),
        ({"key": ""}, "neither key nor writer"),
        ({"writer": "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"}, "no address"),
        ({"max_fee_gwei": 0}, "at least 1"),
        ({"stuck_blocks": 0}, "at least 1"),
        ({"gas": 1}, "unknown setting 'gas'"),
    ],
)
def test_settings_are_checked_before_they_are_used(tmp_path, change, says):
    with pytest.raises(ConfigurationError, match=says):
        EvmAnchor("chain", {**SETTINGS, **change}, context(tmp_path))


@pytest.mark.parametrize("setting", ["contract", "writer"])
def test_a_mistyped_address_is_found_by_its_checksum(tmp_path, journal, setting):
    ready = replace(context(tmp_path), read_secret=lambda uri: KEY.encode())
    mistyped = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267"
    with pytest.raises(ConfigurationError, match=r"checksum|is that of"):
        EvmAnchor("chain", {**SETTINGS, setting: mistyped}, ready).publish(checkpoint(1), journal)


@pytest.mark.parametrize("rpc", [[DEAD, DEAD], ["ftp://x"], [7], [DEAD] * 9])
def test_endpoints_are_checked_when_they_are_used(tmp_path, journal, rpc):
    ready = replace(context(tmp_path), read_secret=lambda uri: KEY.encode())
    with pytest.raises(ConfigurationError, match="rpc"):
        EvmAnchor("chain", {**SETTINGS, "rpc": rpc}, ready).publish(checkpoint(1), journal)


def test_no_message_shows_more_of_an_endpoint_than_its_host(tmp_path, journal):
    ready = replace(context(tmp_path), read_secret=lambda uri: KEY.encode())
    url = f"http://127.0.0.1:{free_port()}/v3/secret-token?key=secret"
    with pytest.raises(NetworkError) as caught:
        EvmAnchor("chain", {**SETTINGS, "rpc": [url]}, ready).publish(checkpoint(1), journal)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "secret", ["", "ab" * 31, "zz" * 32, "00" * 32, "ff" * 32, "{}", '{"crypto": 1}', KEY + KEY, "é" * 32]
)
def test_what_is_no_key_is_refused_without_being_shown(secret):
    with pytest.raises(CredentialError) as caught:
        Account.load(secret.encode(), lambda: b"word", "env:CHAIN_KEY")
    assert "env:CHAIN_KEY" in str(caught.value)
    assert len(secret) < 3 or secret not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_encrypted_keystore_opens_with_its_passphrase_alone(tmp_path):
    from eth_account import Account as Reference

    keystore = json.dumps(Reference.encrypt("0x" + KEY, "open sesame", kdf="pbkdf2", iterations=100)).encode()
    secrets = {"file:chain.json": keystore, "env:WORD": b"open sesame\n", "env:WRONG": b"open"}
    ready = replace(context(tmp_path), read_secret=secrets.__getitem__)
    settings = {**SETTINGS, "key": "file:chain.json"}
    assert EvmAnchor("chain", {**settings, "key_passphrase": "env:WORD"}, ready).writer == WRITER
    with pytest.raises(CredentialError, match="cannot be opened"):
        _ = EvmAnchor("chain", {**settings, "key_passphrase": "env:WRONG"}, ready).writer
    with pytest.raises(ConfigurationError, match="key_passphrase"):
        _ = EvmAnchor("chain", settings, ready).writer
    with pytest.raises(ConfigurationError, match="the key is that of"):
        EvmAnchor(
            "chain", {**settings, "key_passphrase": "env:WORD", "writer": "0x" + "12" * 20}, ready
        ).publish(checkpoint(1), MemoryJournal())


# ----------------------------------------------------------------------------------------------- tools


def signed_call(world: World, *, nonce: int, size: int, root: bytes, previous: bytes):
    """Sign a call of the contract as somebody else with the same key would."""
    from assay.ledger.anchors.evm_fees import Fees

    endpoint = open_endpoints([world.node.url], world.context, world.address, "here")[0]
    data = endpoint.anchor_call(log_id(SIGNER.name), size, root, previous)
    return Account.load(KEY.encode(), bytes, "here").sign(
        chain_id=CHAIN_ID,
        nonce=nonce,
        to=world.address,
        data=data,
        gas=200_000,
        fees=Fees(10 * GWEI, GWEI),
    )


def with_transaction(record: AnchorRecord, signed, nonce: int) -> dict:
    kept = {**record.detail["transactions"][0], "hash": signed.hash, "raw": "0x" + signed.raw.hex()}
    return {**record.detail, "nonce": nonce, "transactions": [kept]}
