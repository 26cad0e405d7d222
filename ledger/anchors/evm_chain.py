"""An EVM chain seen through several endpoints: no answer counts that the others do not give too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

from assay.ledger.anchors.evm_contract import Contract
from assay.ledger.anchors.evm_nouns import Block, Event, Head, Taken, TxReceipt
from assay.provenance.errors import ConfigurationError, NetworkError

if TYPE_CHECKING:
    from assay.ledger.anchors.chain import Endpoint


MAX_LAG = 100
"""Most blocks that one endpoint may be behind another before it is called lagging: three epochs."""

MAX_EVENTS = 1000
"""Most events that are followed back from the contract's head in search of one."""

MAX_GAS = 5_000_000
"""Most gas that an endpoint may ask for: a hundred times what Ethereum takes, for layer 2s that count otherwise."""

ETHER = 10**18
_GAS_ROOM = 4

T = TypeVar("T", bound=Hashable)


class Chain:
    """The endpoints of one chain, each asked for its chain id before anything else.

    A read is answered where more than half of the endpoints answer and all that do agree; otherwise NetworkError
    says who said what. An endpoint that failed once is not asked again by this object: make a new one each time.
    """

    def __init__(self, endpoints: Sequence[Endpoint], chain_id: int) -> None:
        self.chain_id = chain_id
        self._endpoints = tuple(endpoints)
        self._silent: dict[Endpoint, NetworkError] = {}
        for endpoint, found in self._each(lambda e: e.chain_id()):
            self._refuse_other_chain(endpoint, found)

    def _refuse_other_chain(self, endpoint: Endpoint, found: int) -> None:
        if found != self.chain_id:
            raise ConfigurationError(
                f"{endpoint.place} is of chain {found}, not of chain {self.chain_id}",
                hint="nothing was sent; correct rpc or chain_id",
            )

    def _each(self, ask: Callable[[Endpoint], T]) -> list[tuple[Endpoint, T]]:
        answers = []
        for endpoint in self._endpoints:
            if endpoint in self._silent:
                continue
            try:
                answers.append((endpoint, ask(endpoint)))
            except NetworkError as error:
                self._silent[endpoint] = error
        if 2 * len(answers) <= len(self._endpoints):
            said = "; ".join(error.message for error in self._silent.values())
            count = (
                f"{len(answers)} of {len(self._endpoints)} endpoints answered: "
                if len(self._endpoints) > 1
                else ""
            )
            raise NetworkError(f"{count}{said}", hint="more than half must answer; try again later")
        return answers

    def agreed(self, what: str, ask: Callable[[Endpoint], T]) -> T:
        """Return the answer that all endpoints give; raises NetworkError naming those that stand alone."""
        answers = self._each(ask)
        counted = Counter(answer for _, answer in answers).most_common()
        if len(counted) == 1:
            return counted[0][0]
        most = counted[0][0] if counted[0][1] > counted[1][1] else None
        others = [endpoint.place for endpoint, answer in answers if most is None or answer != most]
        who = (
            f"{' and '.join(others)} {'contradict each other' if most is None else 'contradicts the others'}"
        )
        raise NetworkError(f"{who} about {what}: one of them lies or lags behind", hint="no answer was taken")

    def silent(self) -> str:
        """Return in words which endpoints did not answer, "" where all did."""
        return "; ".join(error.message for error in self._silent.values())

    def common(self, tag: str) -> Block:
        """Return the newest block that all endpoints have under a tag, the same for all of them.

        Raises NetworkError where one is more than MAX_LAG blocks behind.
        """
        numbers = self._each(lambda e: e.block(tag).number)
        newest = max(number for _, number in numbers)
        last, number = min(numbers, key=lambda n: n[1])
        if newest - number > MAX_LAG:
            raise NetworkError(
                f"{last.place} lags {newest - number} blocks behind the others at {tag}",
                hint="no answer was taken",
            )
        return self.block(number)

    def block(self, number: int) -> Block:
        """Return a block by number."""
        return self.agreed(f"block {number}", lambda e: e.block(number))

    def nonce(self, writer: str, block: int) -> int:
        """Return the next nonce of an account as of a block."""
        return self.agreed(f"the nonce of {writer}", lambda e: e.nonce(writer, block))

    def head(self, writer: str, log_id: bytes, block: int) -> Head:
        """Return what the contract holds as of a block."""
        return self.agreed("the contract's head", lambda e: e.head(writer, log_id, block))

    def receipt(self, tx: str, until: int) -> TxReceipt | None:
        """Return the receipt of a transaction, None where it is in no block up to ``until``."""

        def ask(endpoint: Endpoint) -> TxReceipt | None:
            found = endpoint.receipt(tx)
            return found if found and found.tx == tx and found.block <= until else None

        return self.agreed(f"the receipt of {tx}", ask)

    def event(self, writer: str, log_id: bytes, size: int, block: int) -> Event | None:
        """Return the writer's event for a size, searched from a block's back along the list that the events are.

        None where there is none; raises NetworkError after MAX_EVENTS.
        """
        for _ in range(MAX_EVENTS):
            if not block:
                return None
            found = self._events(writer, log_id, block)
            matching = [event for event in found if event.size == size]
            if matching:
                return matching[0]
            if not found or min(event.size for event in found) < size:
                return None
            earlier = min(event.previous_block for event in found)
            if earlier >= block:
                raise NetworkError(f"the events of block {block} are no list that leads back")
            block = earlier
        raise NetworkError(f"size {size} is not among the newest {MAX_EVENTS} anchored sizes of this log")

    def _events(self, writer: str, log_id: bytes, block: int) -> tuple[Event, ...]:
        return self.agreed(f"the events of block {block}", lambda e: e.events(writer, log_id, block))

    def knows(self, tx: str) -> bool:
        """Whether any endpoint has a transaction, in a block or waiting."""
        return any(known for _, known in self._each(lambda e: e.knows(tx)))

    def tip(self) -> int:
        """Return the least tip that any endpoint suggests: a liar cannot make it dear, and bumps make up for it."""
        return min(tip for _, tip in self._each(lambda e: e.tip()))

    def gas(self, writer: str, data: bytes, max_fee: int) -> int:
        """Return a gas limit for a call, a quarter above the highest estimate: what is not used is not paid.

        Raises ConfigurationError where the contract would refuse, or the account could not pay ``max_fee`` wei
        a unit.
        """
        dearest, gas = max(self._each(lambda e: e.estimate(writer, data)), key=lambda found: found[1])
        if gas > MAX_GAS:
            raise NetworkError(f"{dearest.place} asks for {gas} gas: more than any checkpoint takes")
        gas += gas // _GAS_ROOM
        held, needed = max(held for _, held in self._each(lambda e: e.balance(writer))), gas * max_fee
        if held < needed:
            raise ConfigurationError(
                f"{writer} holds {held / ETHER:.6g} ether, {needed / ETHER:.6g} may be needed",
                hint=f"send some to it on chain {self.chain_id}",
            )
        return gas

    def any(self) -> Endpoint:
        """Return the first endpoint that answers."""
        return self._each(lambda e: e.place)[0][0]

    def require(self, contract: Contract, block: Block) -> None:
        """Check that the contract lies at its address, byte for byte; raises ConfigurationError."""
        code = self.agreed("the contract's code", lambda e: e.code(block.number))
        address = self._endpoints[0].address
        if not code:
            raise ConfigurationError(
                f"there is no contract at {address} on chain {self.chain_id}",
                hint="deploy it: assay ledger contract deploy; a new one is there once its block is final",
            )
        if code != contract.runtime:
            raise ConfigurationError(
                f"what lies at {address} on chain {self.chain_id} is not the contract of this release",
                hint="assay ledger contract show",
            )

    def send(self, raw: bytes) -> tuple[Taken, str]:
        """Hand a signed transaction to every endpoint, each asked for its chain id right before.

        Returns how it was taken at best, and in words who refused it and why. Raises NetworkError where no
        endpoint answered: it may have gone through all the same; ConfigurationError for another chain.
        """
        answers: list[tuple[Endpoint, Taken, str]] = []
        unreachable: list[str] = []
        for endpoint in self._endpoints:
            try:
                self._refuse_other_chain(endpoint, endpoint.chain_id())
                answers.append((endpoint, *endpoint.send(raw)))
            except NetworkError as error:
                unreachable.append(error.message)
        if not answers:
            raise NetworkError("; ".join(unreachable), hint="the transaction is kept and will be sent again")
        for best in (Taken.ACCEPTED, Taken.KNOWN, Taken.NONCE_USED):
            if any(taken is best for _, taken, _ in answers):
                return best, ""
        return Taken.REFUSED, "; ".join(
            f"{e.place} refused the transaction: {said}" for e, _, said in answers
        )
