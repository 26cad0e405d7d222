"""Checkpoints on an EVM chain, in a contract that only lets a log grow. Format: docs/formats/anchor-evm.md."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from assay.ledger.anchors.context import Context, known_settings
from assay.ledger.anchors.evm_chain import Chain
from assay.ledger.anchors.evm_contract import contract, log_id
from assay.ledger.anchors.evm_fees import GWEI, MAX_FEE_GWEI
from assay.ledger.anchors.evm_judge import ask, recall, recorded, same_checkpoint, unchecked
from assay.ledger.anchors.evm_machine import Machine, Rules, already_there
from assay.ledger.anchors.evm_nouns import LATEST, plain_address
from assay.ledger.anchors.evm_record import ENDED, State, Trail
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.anchor import AnchorRecord, Journal, Judgement, Standing
from assay.provenance.errors import AssayError, ConfigurationError, NetworkError, UsageError

if TYPE_CHECKING:
    from assay.ledger.anchors.chain import Account, Endpoint

STUCK_BLOCKS = 10
"""After how many blocks without the transaction more is paid: two minutes on Ethereum."""

MAX_ENDPOINTS = 8

_REQUIRED: dict[str, type] = {"chain_id": int, "contract": str, "rpc": list}
_OPTIONAL: dict[str, type] = {
    "writer": str,
    "key": str,
    "key_passphrase": str,
    "max_fee_gwei": int,
    "stuck_blocks": int,
}


def open_endpoints(urls: object, context: Context, address: str, where: str) -> list[Endpoint]:
    """Return an endpoint for each URL; raises ConfigurationError where they are no list of a few URLs, each once."""
    if not isinstance(urls, list) or not 1 <= len(urls) <= MAX_ENDPOINTS:
        raise ConfigurationError(f"{where}: rpc lists one to {MAX_ENDPOINTS} URLs")
    if not all(isinstance(url, str) and url.startswith(("http://", "https://")) for url in urls):
        raise ConfigurationError(f"{where}: rpc lists URLs of http or https")
    if len(set(urls)) != len(urls):
        raise ConfigurationError(f"{where}: rpc lists an endpoint twice", hint="it would agree with itself")
    library = _library()
    net = context.net()
    return [library.Endpoint(url, net, contract(), address) for url in urls]


def open_account(context: Context, key: str, passphrase: str, where: str) -> Account:
    """Open the chain account by key URI, a keystore with the passphrase that another URI names."""

    def word() -> bytes:
        if not passphrase:
            raise ConfigurationError(
                f"{where}: the key is an encrypted keystore", hint="set key_passphrase, as in env:NAME"
            )
        return context.read_secret(passphrase).rstrip(b"\r\n")

    account: Account = _library().Account.load(context.read_secret(key), word, key)
    return account


def _library() -> ModuleType:
    """Load web3 where it is really needed: it takes a second."""
    try:
        from assay.ledger.anchors import chain
    except ImportError as error:
        raise ConfigurationError(
            "anchors on EVM chains are not installed", hint="pip install 'assay[chain]'"
        ) from error
    return chain


class EvmAnchor:
    """The anchor ``evm``: one contract on one chain, asked through one endpoint or several.

    The proof is not in the record but on the chain, under the writer's address and SHA-256 of the log's origin.
    """

    kind = "evm"

    def __init__(self, name: str, settings: Mapping[str, Any], context: Context) -> None:
        values = known_settings(name, settings, _REQUIRED, _OPTIONAL)
        self.name = name
        self._where = f"[anchors.{name}]"
        self._context = context
        self._chain_id: int = self._positive("chain_id", values["chain_id"])
        self._contract = plain_address(values["contract"], f"{self._where}: contract")
        self._typed = {name: values[name] for name in ("contract", "writer") if values.get(name)}
        self._rpc: list[str] = values["rpc"]
        self._key: str = values.get("key", "")
        self._passphrase: str = values.get("key_passphrase", "")
        self._rules = Rules(
            self._positive("max_fee_gwei", values.get("max_fee_gwei", MAX_FEE_GWEI)) * GWEI,
            self._positive("stuck_blocks", values.get("stuck_blocks", STUCK_BLOCKS)),
        )
        if not self._key and not values.get("writer"):
            raise ConfigurationError(
                f"{self._where} names neither key nor writer",
                hint="key to anchor, writer (an address) to check what another has anchored",
            )
        self._writer = (
            plain_address(values["writer"], f"{self._where}: writer") if values.get("writer") else ""
        )
        self._account: Account | None = None
        self._endpoints: list[Endpoint] = []
        self.target = f"chain {self._chain_id}, contract {self._contract}"

    def _positive(self, setting: str, value: int) -> int:
        if value < 1:
            raise ConfigurationError(f"{self._where}: {setting} must be at least 1")
        return value

    def _open_account(self) -> Account:
        if self._account is None:
            if not self._key:
                raise ConfigurationError(
                    f"{self._where} has no key", hint="it can check anchors, not make them"
                )
            account = open_account(self._context, self._key, self._passphrase, self._where)
            if self._writer and account.address != self._writer:
                raise ConfigurationError(
                    f"{self._where}: the key is that of {account.address}, writer is {self._writer}"
                )
            self._account = account
        return self._account

    @property
    def writer(self) -> str:
        """The address that anchors; the key is opened for it only where the settings do not name it."""
        return self._writer or self._open_account().address

    def _open_chain(self) -> Chain:
        if not self._endpoints:
            for name, typed in self._typed.items():
                _library().require_checksum(typed, f"{self._where}: {name}")
            self._endpoints = open_endpoints(self._rpc, self._context, self._contract, self._where)
        return Chain(self._endpoints, self._chain_id)

    def publish(self, checkpoint: str, journal: Journal) -> AnchorRecord:
        """Anchor a signed checkpoint; a second call for the same one returns the first one's record.

        Raises NetworkError where nothing was published, ConfigurationError for a wrong chain or contract,
        LedgerError where the chain already holds a larger tree or another root, MalformedError.
        """
        head = Checkpoint.peek(checkpoint)
        if head.size < 1:
            raise UsageError("an empty ledger has nothing to anchor")
        before = self._record_of(head, journal)
        if before is not None:
            return before
        trail = Trail(self._chain_id, self._contract, self._open_account().address, log_id(head.origin))
        chain = self._open_chain()
        latest = chain.common(LATEST)
        chain.require(contract(), latest)
        on_chain = chain.head(trail.writer, trail.log_id, latest.number)
        already_there(chain, trail, head.size, head.root, on_chain)
        now = self._context.stamp()
        record = journal.save(
            AnchorRecord(
                name=self.name,
                kind=self.kind,
                target=self.target,
                size=head.size,
                root=head.root,
                checkpoint=checkpoint,
                state=State.PLANNED.value,
                created=now,
                updated=now,
                detail=trail.to_detail(),
            )
        )
        machine = self._machine(record, chain, journal)
        try:
            return machine.run()
        except NetworkError as error:  # something may have been published: the record says how far it got
            machine.note(error.message)
            return machine.record

    def _record_of(self, head: Checkpoint, journal: Journal) -> AnchorRecord | None:
        """Return the record that anchors this checkpoint, finished or on its way."""
        for record in journal.records(self.name):
            same = (record.kind, record.target, record.size, record.root) == (
                self.kind,
                self.target,
                head.size,
                head.root,
            )
            if same and record.state != State.FAILED and Trail.of(record).log_id == log_id(head.origin):
                return record
        return None

    def _machine(self, record: AnchorRecord, chain: Chain, journal: Journal) -> Machine:
        return Machine(record, chain, journal, self._open_account, self._rules, self._context.stamp)

    def advance(self, record: AnchorRecord, journal: Journal) -> AnchorRecord:
        """Move a record on as far as it goes now: sign, send, send again, pay more, see it mined, see it final.

        Raises NetworkError and ConfigurationError, leaving the record where it got to.
        """
        if record.state in ENDED:
            return record
        self._own(Trail.of(record))
        return self._machine(record, self._open_chain(), journal).run()

    def _own(self, trail: Trail) -> None:
        if (trail.chain_id, trail.contract) != (self._chain_id, self._contract):
            raise ConfigurationError(
                f"{self._where} was changed: the record is of chain {trail.chain_id}, contract {trail.contract}",
                hint="name a new anchor for another contract, and keep the old one until its records are final",
            )

    def judge(self, record: AnchorRecord, *, online: bool) -> Judgement:
        """Check a record against the finalized chain, which needs ``online``; offline, say what it says.

        Only a final event of this writer with another root contradicts the ledger. A chain that cannot be asked,
        or endpoints that do not agree, leave it unchecked.
        """
        try:
            trail = Trail.of(record)
            self._own(trail)
            writer = self.writer if online else self._writer
        except AssayError as error:
            return Judgement(Standing.UNCHECKED, error.message)
        checkpoint = same_checkpoint(record)
        if checkpoint is None:
            return Judgement(Standing.BROKEN, "the record's size and root are not those of its checkpoint")
        if writer and trail.writer != writer:
            return Judgement(Standing.BROKEN, f"was anchored by {trail.writer}, not by {writer}")
        known = recall(record, trail, log_id(checkpoint.origin))
        if known is not None:
            return known
        if not online:
            return Judgement(
                Standing.UNCHECKED, f"recorded as final, {recorded(trail)}; the chain was not asked"
            )
        try:
            return ask(record, trail, self._open_chain())
        except AssayError as error:
            return unchecked(trail, error)
