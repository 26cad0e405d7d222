"""A witness (C2SP tlog-witness): cosigns a checkpoint only if it extends the last one that it cosigned."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay.ledger.tlog.cosignature import Cosigner
from assay.ledger.tlog.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from assay.ledger.tlog.note import (
    Checkpoint,
    NoteKey,
    decode_base64,
    open_note,
    parse_decimal,
    signature_line,
    split_note,
)
from assay.ledger.tlog.policy import KnownLog
from assay.ledger.witness.memory import Memory, Witnessed
from assay.provenance.errors import MalformedError
from assay.provenance.text import safe_text

MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = 64 << 10
"""Largest add-checkpoint request: a checkpoint with tens of signatures and 63 proof lines."""
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness answers: HTTP status, body, media type."""

    status: int
    body: str
    media_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """An add-checkpoint request: the old size, the consistency proof's hashes, the checkpoint note."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def to_bytes(self) -> bytes:
        """Return the request's body."""
        lines = [f"old {self.old}", *(base64.b64encode(item).decode() for item in self.proof)]
        return ("\n".join(lines) + "\n\n" + self.note).encode()

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request's body; raises MalformedError."""
        try:
            head, blank, note = body.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError as error:
            raise MalformedError("the request is not UTF-8") from error
        lines = head.split("\n")
        if not blank or not lines[0].startswith("old "):
            raise MalformedError("the request needs an old size, an empty line and a checkpoint")
        if len(lines) - 1 > MAX_PROOF_LINES:
            raise MalformedError(f"more than {MAX_PROOF_LINES} proof lines")
        proof = tuple(decode_base64(line) for line in lines[1:])
        if any(len(item) != HASH_SIZE for item in proof):
            raise MalformedError("a proof line has not 32 bytes")
        return cls(parse_decimal(lines[0].removeprefix("old ")), proof, note)


class Witness:
    """Cosigns the checkpoints of known logs with one key; ``now`` gives POSIX seconds."""

    def __init__(
        self, cosigner: Cosigner, logs: Sequence[KnownLog], memory: Memory, now: Callable[[], int]
    ) -> None:
        self._cosigner = cosigner
        self._memory = memory
        self._now = now
        self._keys: dict[str, list[NoteKey]] = {}
        for log in logs:
            self._keys.setdefault(log.key.name, []).append(log.key)
        self._origins = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in self._keys}

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one add-checkpoint request; a cosignature that is returned is remembered on the disk.

        Raises LedgerError where the memory fails: then nothing was cosigned.
        """
        try:
            request = AddCheckpoint.parse(body)
            text, _ = split_note(request.note)
            checkpoint = Checkpoint.from_text(text)
        except MalformedError as error:
            return Reply(400, f"{error.message}\n")
        keys = self._keys.get(checkpoint.origin)
        if keys is None:
            return Reply(404, f"unknown log {safe_text(checkpoint.origin, 120)}\n")
        try:
            _, signed = open_note(request.note, keys)
        except MalformedError as error:
            return Reply(403, f"{error.message}\n")
        if request.old > checkpoint.size:
            return Reply(400, f"the old size {request.old} is over the checkpoint's {checkpoint.size}\n")
        lines = [signature_line(key.name, key.id, signature) for key, signature in signed.items()]
        return self._decide(request, checkpoint, f"{text}\n{''.join(lines)}")

    def _decide(self, request: AddCheckpoint, checkpoint: Checkpoint, note: str) -> Reply:
        """Check the request against the last checkpoint, and remember the new one, in one transaction."""
        reply = Reply(500, "nothing was decided\n")

        def decide(last: Witnessed) -> Witnessed | None:
            nonlocal reply
            if request.old != last.size:
                reply = Reply(409, f"{last.size}\n", SIZE_TYPE)
                return None
            if problem := _inconsistency(last, checkpoint, request.proof):
                reply = Reply(422, f"{problem}\n")
                return None
            text = note.rpartition("\n\n")[0] + "\n"
            line = self._cosigner.cosign(text, max(1, self._now()))
            reply = Reply(200, line)
            return Witnessed(checkpoint.size, checkpoint.root, note + line)

        try:
            self._memory.update(checkpoint.origin, decide)
        except MalformedError as error:  # a name too long to be committed to
            return Reply(400, f"{error.message}\n")
        return reply

    def checkpoint(self, origin_hash: str) -> Reply:
        """Return the last cosigned checkpoint of a log named by SHA-256 of its origin, in lower-case hex."""
        origin = self._origins.get(origin_hash)
        note = self._memory.last(origin).note if origin is not None else ""
        return Reply(200, note) if note else Reply(404, "no checkpoint of this log was cosigned\n")


def _inconsistency(last: Witnessed, checkpoint: Checkpoint, proof: Sequence[bytes]) -> str:
    """Return why a checkpoint does not extend the last one, "" if it does; the empty tree is extended by any."""
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return "the root of no entries is SHA-256 of nothing"
    if last.size == 0:
        return "a first checkpoint has no consistency proof" if proof else ""
    if last.size == checkpoint.size and last.root != checkpoint.root:
        return f"another root was cosigned at size {last.size}: the log is forked"
    if not verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, proof):
        return f"the proof does not show that this tree extends the one cosigned at size {last.size}"
    return ""
