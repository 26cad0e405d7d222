"""A ledger server as a log like any other, for sign and verify. Format: docs/formats/remote.md."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.ledger.likeness.bands import distance
from assay.ledger.likeness.near import is_near, prints_of
from assay.ledger.lookup import KEY_BITS, key_of
from assay.ledger.remote.client import RemoteLog, UnansweredError
from assay.ledger.remote.memory import Memory
from assay.ledger.remote.prints import Prints
from assay.ledger.remote.source import PublishedLog, WebSource
from assay.ledger.remote.wire import GROUP, prefix_bits
from assay.ledger.tlog.merkle import Frontier, inclusion_proof, leaf_hash, root
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.tlog.proof import Proof, read_receipt, verify_receipt
from assay.ledger.tlog.tiles import TILE_WIDTH, TileCache, tile_reader
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import (
    ConfigurationError,
    LedgerError,
    MalformedError,
    NetworkError,
    UsageError,
)
from assay.provenance.event import EventEntry
from assay.provenance.leaf import Leaf
from assay.provenance.mark import Mark
from assay.provenance.net import Net
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt

MAX_FOUND = 16
"""Most entries one look-up returns, as a log on this machine does."""


class HttpLedger:
    """A ledger elsewhere, asked over HTTP; implements ``assay.provenance.protocols.Log``.

    Opening it asks nothing. All that it returns was verified on this side; what its server can learn and
    withhold is in docs/formats/remote.md. Safe to share between threads; use it as a context manager, or ``close`` it.
    """

    def __init__(self, remote: RemoteLog, net: Net, folder: Path, url: str) -> None:
        self.origin = remote.origin
        self._remote, self._net, self._folder, self._url = remote, net, folder, url
        self._prints: dict[str, Prints] = {}

    @classmethod
    def open(
        cls,
        url: str,
        *,
        origin: str,
        folder: Path,
        vkeys: Sequence[str] = (),
        policies: Sequence[bytes] = (),
        token: Callable[[], bytes] | None = None,
        net: Net | None = None,
    ) -> HttpLedger:
        """Return the log at a URL, asking nothing yet.

        ``folder`` keeps what was seen of it. Whose checkpoints count is said by the first of ``policies``
        (tlog-policy files) that names a log of this origin, else by ``vkeys``; ``token`` is read to append. Raises
        ConfigurationError where neither says, CredentialError for a broken key.
        """
        net = net or Net()
        remote = RemoteLog(
            url, origin, _policy(origin, vkeys, policies), net, Memory.of(folder, origin), token
        )
        return cls(remote, net, folder, url)

    def close(self) -> None:
        """Close the connections."""
        self._net.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def vkey(self) -> str:
        """The verifier key that counts for this log, as the policy has it."""
        return next(log.key.vkey for log in self._remote.policy.logs if log.key.name == self.origin)

    # Receipts

    @property
    def size(self) -> int:
        """How many entries the newest checkpoint covers."""
        return self._remote.head()[1].size

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint, verified: a C2SP note."""
        return self._remote.head()[0]

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of one entry; the server learns which one. Raises UsageError if there is none."""
        return self._remote.receipt(index).receipt()

    def parse_receipt(self, text: str) -> Receipt:
        """Read a receipt file, verifying nothing."""
        return read_receipt(text)

    def verify_receipt(self, receipt: Receipt) -> str:
        """Check inclusion, signature and quorum, asking nobody; return "" or, in words, what is wrong."""
        if problem := verify_receipt(receipt, self._remote.policy):
            return problem
        if receipt.origin != self.origin:
            return f"the receipt is of the ledger {receipt.origin}, not {self.origin}"
        return ""

    # Finding

    def find_digest(self, digest: Digest) -> Sequence[Found]:
        """Return the entries whose signed file has this digest, oldest first."""
        return self._find("digest", str(digest), lambda entry: entry.digest == digest)

    def find_manifest(self, label: str) -> Sequence[Found]:
        """Return the entries with this active manifest label (URN), oldest first."""
        return self._find("manifest", label, lambda entry: entry.manifest_label == label)

    def find_mark(self, mark: Mark) -> Sequence[Found]:
        """Return the entries with this mark, oldest first."""
        return self._find("mark", str(mark), lambda entry: entry.mark == mark)

    def find_words(self, words: Sequence[str]) -> Sequence[Found]:
        """Return nothing: hundreds of look-ups for one film would tell the server which it is."""
        return ()

    def find_binding(self, alg: str, value: str) -> Sequence[Found]:
        """Return the entries beside which this soft binding is kept, oldest first; all candidates are fetched."""
        candidates = self._candidates("binding", f"{alg}:{value}")
        found: list[Found] = []
        for at in range(0, len(candidates), GROUP):
            items = self._with_recoveries(candidates[at : at + GROUP]).values()
            found += [item for item in items if item.recovery and (alg, value) in item.recovery.bindings]
        return found[:MAX_FOUND]

    def find_events(self, digest: Digest) -> Sequence[Receipt]:
        """Return the events that are about the file with this digest, oldest first."""
        found = []
        for proof in self._candidates("event", str(digest)):
            try:
                leaf = EventEntry.from_bytes(proof.leaf)
            except LedgerError:  # an entry of another kind whose key begins alike
                continue
            if digest in leaf.subjects:
                found.append(proof.receipt())
        return found

    def _candidates(self, kind: str, value: str) -> list[Proof]:
        """Look up by as few bits of the key as tell some dozens of entries from the rest."""
        bits = prefix_bits(self._remote.known_size())
        return self._remote.find(key_of(kind, value) >> (KEY_BITS - bits), bits)

    def _find(self, kind: str, value: str, matches: Callable[[Entry], bool]) -> list[Found]:
        """Look up, keep what truly matches, and fetch what is kept beside it in the company of its neighbours."""
        candidates = self._candidates(kind, value)
        fetched: dict[int, Found] = {}
        found: list[Found] = []
        for at, proof in enumerate(candidates):
            if not _has(proof.leaf, matches):
                continue
            if proof.index not in fetched:
                # Groups are cut from the candidates in a fixed way: asking twice tells no more than asking once.
                start = min(at - at % GROUP, max(0, len(candidates) - GROUP))
                fetched |= self._with_recoveries(candidates[start : start + GROUP])
            found.append(fetched[proof.index])
            if len(found) == MAX_FOUND:
                break
        return found

    def _with_recoveries(self, proofs: Sequence[Proof]) -> dict[int, Found]:
        """Return entries of a known kind by index, with the recovery records that their leaves commit to."""
        kept = self._remote.recoveries([proof.index for proof in proofs]) if proofs else {}
        found = {}
        for proof in proofs:
            if not _has(proof.leaf, lambda entry: True):
                continue
            receipt, record = proof.receipt(), kept.get(proof.index)
            if record is not None and record.digest != receipt.entry.recovery:
                raise LedgerError(
                    f"{self._remote.name} gave a recovery record that entry {proof.index} does not commit to",
                    hint="the server lies, or its database is damaged",
                )
            found[proof.index] = Found(receipt, record)
        return found

    def find_fingerprint(self, fingerprint: Fingerprint) -> Sequence[Found]:
        """Return the entries near this fingerprint, nearest first, searched among all on this machine."""
        prints = self._prints.setdefault(fingerprint.alg, self._new_prints(fingerprint.alg))
        found = []
        for _, index in prints.near(fingerprint.value, self._remote.fingerprints)[:MAX_FOUND]:
            item = self._neighbours(index).get(index)
            if item and item.recovery and is_near(item.recovery, fingerprint):  # else erased, or never there
                own = prints_of(item.recovery)[fingerprint.alg]
                found.append(Found(item.receipt, item.recovery, distance(own, fingerprint.value)))
        return sorted(found, key=lambda item: (item.distance, item.receipt.index))

    def _new_prints(self, alg: str) -> Prints:
        name = hashlib.sha256(f"{self.origin}\n{alg}".encode()).hexdigest()[:16]
        return Prints(self._folder / f"prints-{name}.bin", alg)

    def _neighbours(self, index: int) -> dict[int, Found]:
        """Return the entries of the aligned group around one, read from a bundle of 256: which is meant stays open."""
        note, tree = self._remote.head()
        if index >= tree.size:
            return {}
        published = PublishedLog(WebSource(self._url, self._net), tree.size)
        node = tile_reader(published.fetch, tree.size, TileCache())
        number, at = divmod(index - index % GROUP, TILE_WIDTH)
        leaves = published.leaves(number)[at : at + GROUP]
        proofs = []
        try:
            for place, leaf in enumerate(leaves, start=index - index % GROUP):
                proof = Proof(leaf, place, tuple(inclusion_proof(node, place, tree.size)), note)
                proofs.append(self._remote.proven(proof.to_text()))
        except ValueError as error:
            raise LedgerError(f"{self._remote.name} has a broken tile: {error}") from error
        return self._with_recoveries(proofs)

    # Appending

    def append(self, entry: Leaf, recovery: Recovery | None = None) -> Receipt:
        """Append one leaf and return its verified receipt.

        Where no answer comes, the entry is looked up before it is sent once more; the server appends a leaf that it
        has only once. Raises CredentialError without a token that the server knows, LimitError for a record that is
        too large to send, NetworkError where it stays unknown whether the entry was appended.
        """
        try:
            return self._remote.append(entry, recovery).receipt()
        except UnansweredError:
            pass
        try:
            return self._appended(entry) or self._remote.append(entry, recovery).receipt()
        except NetworkError as error:
            raise NetworkError(
                f"{error.message}; whether the entry was appended is not known",
                hint=f"look it up before you try again: assay ledger {_look_up(entry)}",
            ) from error

    def _appended(self, entry: Leaf) -> Receipt | None:
        """Return the receipt of this very leaf, if it can be found."""
        if self._remote.wants_witnesses:  # a leaf so young would not be among the cosigned
            return None
        wanted = leaf_hash(entry.to_bytes())
        if isinstance(entry, EventEntry):
            found = self.find_events(entry.subjects[0])
        else:
            found = [item.receipt for item in self.find_digest(entry.digest)]
        return next((receipt for receipt in found if receipt.leaf_hash == wanted), None)

    # Auditing

    def check(self) -> list[str]:
        """Fetch every entry, derive the tree from them and return, in words, what does not fit."""
        tree = self._remote.head()[1]
        published = PublishedLog(WebSource(self._url, self._net), tree.size)
        frontier = Frontier()
        try:
            for number in range((tree.size + TILE_WIDTH - 1) // TILE_WIDTH):
                for leaf in published.leaves(number):
                    frontier.append(leaf_hash(leaf))
            node = tile_reader(published.fetch, tree.size, TileCache())
            from_tiles = root(node, tree.size)
        except (ValueError, LedgerError, MalformedError) as error:
            return [str(error)]
        problems = []
        if frontier.root() != tree.root:
            problems.append("the root derived from the entries is not the signed root")
        if from_tiles != tree.root:
            problems.append("the root derived from the tiles is not the signed root")
        return problems


def _policy(origin: str, vkeys: Sequence[str], policies: Sequence[bytes]) -> TlogPolicy:
    for data in policies:
        policy = TlogPolicy.parse(data)
        if any(log.key.name == origin for log in policy.logs):
            return policy
    if not vkeys:
        raise ConfigurationError(
            f"whose signature counts for the ledger {origin} is not known",
            hint="name its verifier key (ledger_vkey in assay.toml), or: assay trust add POLICY --kind log",
        )
    return TlogPolicy.of_logs(vkeys)


def _look_up(leaf: Leaf) -> str:
    """Return the sub-command and argument that find a leaf."""
    return f"event list {leaf.subjects[0]}" if isinstance(leaf, EventEntry) else f"find {leaf.digest}"


def _has(leaf: bytes, matches: Callable[[Entry], bool]) -> bool:
    """Say whether a leaf is an entry of the known kind that matches; a log may hold other kinds beside it."""
    try:
        return matches(Entry.from_bytes(leaf))
    except (LedgerError, UsageError):
        return False
