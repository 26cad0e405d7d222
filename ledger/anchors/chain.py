"""One endpoint of an EVM chain, and the account that signs for it: the home of web3.

Every answer is taken as hostile: it becomes one of the nouns here or a NetworkError that names the endpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from eth_account import Account as _EthAccount
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.logs import DISCARD
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.base import JSONBaseProvider

from assay.ledger.anchors.evm_contract import Contract
from assay.ledger.anchors.evm_fees import Fees
from assay.ledger.anchors.evm_nouns import Block, Event, Head, Signed, Taken, TxReceipt
from assay.provenance.canonical import load_json
from assay.provenance.errors import AssayError, ConfigurationError, CredentialError, NetworkError
from assay.provenance.net import Net
from assay.provenance.text import safe_text

MAX_SECRET_BYTES = 1 << 16
_SHOWN = 200
_MAX_UINT64 = (1 << 64) - 1

# What geth, erigon, nethermind, besu, reth and anvil say; their codes are all -32000 or -32003.
_KNOWN = re.compile(r"already (known|imported|in mempool)|known transaction|AlreadyKnown", re.IGNORECASE)
_NONCE_USED = re.compile(
    r"nonce (is )?too low|OldNonce|NonceTooLow|nonce has already been used", re.IGNORECASE
)


class _Provider(JSONBaseProvider):
    """JSON-RPC over the one HTTP client: bounded, never repeated, no redirects; web3's own retries are not there."""

    global_ccip_read_enabled = False  # a contract's revert must not make this program fetch a URL

    def __init__(self, url: str, net: Net) -> None:
        super().__init__()
        self._url, self._net = url, net

    def make_request(self, method: Any, params: Any) -> Any:
        body = self.encode_rpc_request(method, params)
        answer = self._net.request("POST", self._url, body=body, headers={"Content-Type": "application/json"})
        try:
            document = load_json(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or (answer.status != 200 and "error" not in document):
            raise NetworkError(f"answered HTTP {answer.status}, not in JSON-RPC")
        return document


class Endpoint:
    """One RPC URL, asked about one contract (by address, or "" before there is one).

    ``place`` is scheme and host, all that is ever shown of the URL: the rest may hold a secret. Every method
    raises NetworkError where the endpoint does not answer, answers with an error, or with what makes no sense.
    """

    def __init__(self, url: str, net: Net, contract: Contract, address: str) -> None:
        self.place = re.sub(r"^(\w+://)(?:[^/@]*@)?([^/?#]*).*$", r"\1\2", safe_text(url, _SHOWN))
        self.address = address
        self._w3 = Web3(_Provider(url, net), middleware=[ExtraDataToPOAMiddleware], ens=None)
        self._contract: Any = self._w3.eth.contract(
            address=Web3.to_checksum_address(address) if address else None, abi=contract.abi
        )
        self._errors = {
            bytes(Web3.keccak(text=f"{item['name']}({','.join(i['type'] for i in item['inputs'])})"))[
                :4
            ]: item["name"]
            for item in contract.abi
            if item["type"] == "error"
        }

    @contextmanager
    def _border(self, what: str) -> Iterator[None]:
        """Turn whatever web3 and its codecs raise at an answer, an open set, into words that name the endpoint."""
        try:
            yield
        except NetworkError as error:
            message = error.message if self.place in error.message else f"{self.place} {error.message}"
            raise NetworkError(message, hint=error.hint) from error
        except AssayError:
            raise
        except Web3RPCError as error:
            raise NetworkError(f"{self.place} refused to tell {what}: {_rpc_message(error)}") from error
        except Exception as error:
            said = safe_text(error, _SHOWN)
            raise NetworkError(
                f"{self.place} gave an answer that makes no sense for {what}: {said}"
            ) from error

    def chain_id(self) -> int:
        """Return the chain's id."""
        with self._border("the chain id"):
            return _number(self._w3.eth.chain_id)

    def block(self, which: str | int) -> Block:
        """Return a block by number or tag."""
        with self._border(f"block {which}"):
            found: Any = self._w3.eth.get_block(which)  # type: ignore[arg-type]
            return Block(
                _number(found["number"]),
                _hash(found["hash"]),
                _number(found["timestamp"]),
                _number(found.get("baseFeePerGas", 0)),
            )

    def nonce(self, writer: str, block: int) -> int:
        """Return how many transactions of ``writer`` the chain has up to a block: its next nonce."""
        with self._border("the nonce"):
            return _number(self._w3.eth.get_transaction_count(Web3.to_checksum_address(writer), block))

    def code(self, block: int) -> bytes:
        """Return the code at the contract's address, b"" where there is none."""
        with self._border("the contract's code"):
            return bytes(self._w3.eth.get_code(Web3.to_checksum_address(self.address), block))

    def head(self, writer: str, log_id: bytes, block: int) -> Head:
        """Return what the contract holds for a writer and log at a block."""
        with self._border("the contract's head"):
            size, root, number = self._contract.functions.head(Web3.to_checksum_address(writer), log_id).call(
                block_identifier=block
            )
            return Head(_number(size), bytes(root), _number(number))

    def receipt(self, tx: str) -> TxReceipt | None:
        """Return what became of a transaction, or None where it is in no block."""
        with self._border(f"the receipt of {tx}"):
            try:
                found: Any = self._w3.eth.get_transaction_receipt(tx)  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            if found.get("blockNumber") is None:
                return None
            events = self._contract.events.Anchored().process_receipt(found, errors=DISCARD)
            return TxReceipt(
                _hash(found["transactionHash"]),
                _number(found["status"]),
                _number(found["blockNumber"]),
                _hash(found["blockHash"]),
                _number(found["gasUsed"]),
                tuple(_event(e) for e in events if e["address"].lower() == self.address),
                str(found.get("contractAddress") or "").lower(),
            )

    def knows(self, tx: str) -> bool:
        """Whether the endpoint has a transaction, in a block or waiting."""
        with self._border(f"transaction {tx}"):
            try:
                return bool(self._w3.eth.get_transaction(tx))  # type: ignore[arg-type]
            except TransactionNotFound:
                return False

    def events(self, writer: str, log_id: bytes, block: int) -> tuple[Event, ...]:
        """Return a writer's events for a log in one block."""
        with self._border(f"the events of block {block}"):
            found = self._contract.events.Anchored().get_logs(
                argument_filters={"writer": Web3.to_checksum_address(writer), "logId": log_id},
                from_block=block,
                to_block=block,
            )
            events = (_event(e) for e in found if e["address"].lower() == self.address)
            return tuple(e for e in events if (e.writer, e.log_id, e.block) == (writer, log_id, block))

    def balance(self, writer: str) -> int:
        """Return what an account holds, in wei."""
        with self._border("the balance"):
            found = self._w3.eth.get_balance(Web3.to_checksum_address(writer))
            if not isinstance(found, int):
                raise ValueError("not a number")
            return found

    def tip(self) -> int:
        """Return what the endpoint suggests to pay the maker of a block for a unit of gas, in wei."""
        with self._border("the price of gas"):
            return _number(self._w3.eth.max_priority_fee)

    def anchor_call(self, log_id: bytes, size: int, root: bytes, previous: bytes) -> bytes:
        """Return the call data that anchors a checkpoint."""
        return bytes.fromhex(self._contract.encode_abi("anchor", args=[log_id, size, root, previous])[2:])

    def estimate(self, writer: str, data: bytes) -> int:
        """Return the gas that a call from ``writer`` takes; raises ConfigurationError where it would be reverted."""
        with self._border("the gas"):
            call: Any = {"from": Web3.to_checksum_address(writer), "data": "0x" + data.hex()}
            if self.address:
                call["to"] = Web3.to_checksum_address(self.address)
            try:
                return _number(self._w3.eth.estimate_gas(call))
            except ContractLogicError as error:
                raise ConfigurationError(f"the contract would refuse: {self._reason(error)}") from error

    def why_reverted(self, writer: str, data: bytes, block: int) -> str:
        """Return in words why a call that was reverted in ``block`` was, as far as calling it again tells."""
        with self._border("why the transaction was reverted"):
            call: Any = {
                "from": Web3.to_checksum_address(writer),
                "to": Web3.to_checksum_address(self.address),
                "data": "0x" + data.hex(),
            }
            try:
                self._w3.eth.call(call, block)
            except ContractLogicError as error:
                return self._reason(error)
            return "the contract does not say why"

    def _reason(self, error: ContractLogicError) -> str:
        data = error.data if isinstance(error.data, str) else ""
        match = re.fullmatch(r"0x([0-9a-fA-F]{8})([0-9a-fA-F]{64})", data)
        name = self._errors.get(bytes.fromhex(match[1])) if match else None
        if match and name == "NotThePreviousRoot":
            return f"it holds another previous root, {match[2]}"
        if match and name == "NotGrowing":
            return f"it holds size {int(match[2], 16)} already"
        return safe_text(error.message or data or "no reason given", _SHOWN)

    def send(self, raw: bytes) -> tuple[Taken, str]:
        """Hand over a signed transaction, once; return how it was taken, and what was said of a refusal."""
        with self._border("how it took the transaction"):
            try:
                self._w3.eth.send_raw_transaction(raw)
            except Web3RPCError as error:
                said = _rpc_message(error)
                if _KNOWN.search(said):
                    return Taken.KNOWN, said
                if _NONCE_USED.search(said):
                    return Taken.NONCE_USED, said
                return Taken.REFUSED, said
            return Taken.ACCEPTED, ""


def _rpc_message(error: Web3RPCError) -> str:
    document: Any = (error.rpc_response or {}).get("error")
    said = document.get("message") if isinstance(document, dict) else None
    return safe_text(said or error.message, _SHOWN)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_UINT64:
        raise ValueError(f"not a number of 64 bits: {value!r:.60}")
    return value


def _hash(value: Any) -> str:
    data = bytes(value)
    if len(data) != 32:
        raise ValueError("not a hash of 32 bytes")
    return "0x" + data.hex()


def _event(found: Any) -> Event:
    arguments = found["args"]
    return Event(
        str(arguments["writer"]).lower(),
        bytes(arguments["logId"]),
        _number(arguments["size"]),
        bytes(arguments["root"]),
        _number(arguments["previousBlock"]),
        _number(found["blockNumber"]),
        _hash(found["blockHash"]),
        _hash(found["transactionHash"]),
    )


def require_checksum(text: str, what: str) -> None:
    """Refuse an address in mixed case whose checksum (EIP-55) is wrong; raises ConfigurationError naming ``what``."""
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and not Web3.is_checksum_address(text):
        raise ConfigurationError(
            f"{what}: {text} has a wrong checksum", hint="a digit or its case is mistyped"
        )


class Account:
    """The chain account, its key in this process's memory; never shows it. ``address`` is in lower case."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = str(account.address).lower()

    @classmethod
    def load(cls, secret: bytes, passphrase: Callable[[], bytes], origin: str) -> Account:
        """Open a secp256k1 key of 64 hexadecimal digits, or an encrypted keystore (Web3 Secret Storage, JSON).

        Raises CredentialError that names ``origin`` and shows nothing of the key.
        """
        text = secret[:MAX_SECRET_BYTES].decode("ascii", "replace").strip()
        refused = CredentialError(
            "not a key of a chain account",
            path=origin,
            hint="64 hexadecimal digits, or an encrypted keystore in JSON",
        )
        if not text.startswith("{"):
            if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
                raise refused
            return cls(_opened(text, refused))
        word = passphrase().decode("utf-8", "replace")
        refused = CredentialError(
            "the keystore cannot be opened", path=origin, hint="check its passphrase (key_passphrase)"
        )
        try:
            key = bytes(_EthAccount.decrypt(json.loads(text), word))
        except Exception:  # of json, eth_keyfile and its ciphers; the cause may quote the key
            raise refused from None
        return cls(_opened(key, refused))

    def sign(self, *, chain_id: int, nonce: int, to: str, data: bytes, gas: int, fees: Fees) -> Signed:
        """Sign one transaction of EIP-1559 for one chain; ``to`` "" makes a contract."""
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "value": 0,
            "data": "0x" + data.hex(),
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
        }
        if to:
            transaction["to"] = Web3.to_checksum_address(to)
        signed = self._account.sign_transaction(transaction)
        return Signed(bytes(signed.raw_transaction), _hash(signed.hash))


def _opened(key: str | bytes, refused: CredentialError) -> LocalAccount:
    try:
        account: LocalAccount = _EthAccount.from_key(key)
    except Exception:  # a number that is no key of the curve; the cause may quote it
        raise refused from None
    return account
