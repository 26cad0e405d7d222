"""OpenTimestamps proofs: what they attest, and how a calendar's answer is added. Format: docs/formats/anchor.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from assay.ledger.anchors.headers import MAX_HEIGHT
from assay.provenance.errors import ConfigurationError, MalformedError
from assay.provenance.text import safe_text

MAX_PROOF_BYTES = 1 << 16
"""Largest proof read; those of single files have one to four kB."""
MAX_ANSWER_BYTES = 10_000
"""Largest answer taken from a calendar, as OpenTimestamps' own client has it."""

BITCOIN, PENDING = "bitcoin", "pending"
_INSTALL = "pip install 'assay[timestamp]'"


@dataclass(frozen=True, slots=True)
class Attestation:
    """One thing that a proof leads to.

    ``kind`` is ``bitcoin``, ``litecoin``, ``ethereum``, ``pending`` (a calendar's promise) or ``unknown``;
    ``message`` the bytes that are attested, for Bitcoin the block's Merkle root; ``height`` the block's, ``calendar``
    the address that promised.
    """

    kind: str
    message: bytes
    height: int = 0
    calendar: str = ""


class _Library:
    """The opentimestamps package, loaded when it is needed; raises ConfigurationError where it is not installed."""

    def __init__(self) -> None:
        try:
            from opentimestamps.core import notary, op, serialize, timestamp
            from opentimestamps.core.dubious import notary as dubious
        except ImportError as error:
            raise ConfigurationError("OpenTimestamps is not installed", hint=_INSTALL) from error
        self.op, self.serialize, self.timestamp = op, serialize, timestamp
        self.kinds = (
            (notary.BitcoinBlockHeaderAttestation, BITCOIN),
            (notary.LitecoinBlockHeaderAttestation, "litecoin"),
            (dubious.EthereumBlockHeaderAttestation, "ethereum"),
            (notary.PendingAttestation, PENDING),
        )


class OtsProof:
    """A detached OpenTimestamps proof (an ``.ots`` file) in memory.

    ``digest`` is what was stamped; ``sha256`` whether it is a SHA-256 digest.
    """

    def __init__(self, library: _Library, proof: Any) -> None:
        self._library, self._proof = library, proof
        self.digest: bytes = proof.file_digest
        self.sha256 = isinstance(proof.file_hash_op, library.op.OpSHA256)

    @classmethod
    def parse(cls, data: bytes) -> OtsProof:
        """Read a proof; raises MalformedError where it is none, or has more than 65,536 bytes."""
        library = _Library()
        if len(data) > MAX_PROOF_BYTES:
            raise MalformedError(f"the OpenTimestamps proof has more than {MAX_PROOF_BYTES} bytes")
        try:
            reader = library.serialize.BytesDeserializationContext(data)
            return cls(library, library.timestamp.DetachedTimestampFile.deserialize(reader))
        except _faults(library) as error:
            raise MalformedError(f"not an OpenTimestamps proof: {safe_text(error, 120)}") from error

    @classmethod
    def begin(cls, digest: bytes, nonce: bytes) -> OtsProof:
        """Begin a proof of a SHA-256 digest; the nonce keeps the digest itself from the calendars."""
        library = _Library()
        proof = library.timestamp.DetachedTimestampFile(
            library.op.OpSHA256(), library.timestamp.Timestamp(digest)
        )
        salted = proof.timestamp.ops.add(library.op.OpAppend(nonce))
        salted.ops.add(library.op.OpSHA256())
        return cls(library, proof)

    @property
    def commitment(self) -> bytes:
        """What calendars are given of a proof that was just begun: SHA-256(digest ‖ nonce), 32 bytes."""
        (salted,) = self._proof.timestamp.ops.values()
        (committed,) = salted.ops.values()
        return bytes(committed.msg)

    def to_bytes(self) -> bytes:
        """Return the proof as an ``.ots`` file."""
        writer = self._library.serialize.BytesSerializationContext()
        self._proof.serialize(writer)
        return bytes(writer.getbytes())

    def attestations(self) -> list[Attestation]:
        """Return all that the proof leads to."""
        return [
            _described(self._library, message, item)
            for message, item in self._proof.timestamp.all_attestations()
        ]

    def add(self, message: bytes, answer: bytes) -> None:
        """Add a calendar's answer for one message of the proof.

        Raises MalformedError where the answer is no timestamp, leads nowhere new to the proof, or is too large.
        """
        library = self._library
        nodes = [node for node in _nodes(self._proof.timestamp) if node.msg == message]
        had = len(self.to_bytes()) if self.attestations() else 0
        if not nodes or len(answer) > MAX_ANSWER_BYTES or had + len(answer) * len(nodes) > MAX_PROOF_BYTES:
            raise MalformedError(
                "the calendar's answer does not belong to this proof, or is too large for it"
            )
        try:
            reader = library.serialize.BytesDeserializationContext(answer)
            said = library.timestamp.Timestamp.deserialize(reader, message)
            reader.assert_eof()
            for node in nodes:
                node.merge(said)
        except _faults(library) as error:
            raise MalformedError(
                f"the calendar's answer is not a timestamp: {safe_text(error, 120)}"
            ) from error


def _faults(library: _Library) -> tuple[type[Exception], ...]:
    return (library.serialize.DeserializationError, ValueError, TypeError, AssertionError, RecursionError)


def _nodes(timestamp: Any) -> Iterator[Any]:
    yield timestamp
    for below in timestamp.ops.values():
        yield from _nodes(below)


def _described(library: _Library, message: bytes, item: Any) -> Attestation:
    kind = next((name for known, name in library.kinds if isinstance(item, known)), "unknown")
    height = int(getattr(item, "height", 0))
    if height > MAX_HEIGHT:  # no such block: a number made to be too long to print
        kind, height = "unknown", 0
    return Attestation(kind, bytes(message), height, str(getattr(item, "uri", "")))
