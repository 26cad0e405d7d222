"""Asks witnesses to cosign the log's head (C2SP tlog-witness), and understands what their refusals mean."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from assay.ledger.tlog.cosignature import timestamp_of
from assay.ledger.tlog.note import Checkpoint, merge_signatures, open_note, parse_decimal, signature_line
from assay.ledger.tlog.policy import Cosigned, KnownLog, KnownWitness, TlogPolicy, parse_log_key
from assay.ledger.witness.witness import AddCheckpoint
from assay.provenance.errors import AssayError, LedgerError, MalformedError, NetworkError, UsageError
from assay.provenance.net import Answer, Net
from assay.provenance.text import safe_text

MAX_ANSWER_BYTES = 128 << 10
"""Largest answer of a witness: a checkpoint with tens of signatures of either kind."""
AT_ONCE = 8
"""Most witnesses asked at the same time."""


class WitnessedLog(Protocol):
    """What the client needs of a log; ``SqlLog`` has it."""

    origin: str

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        ...

    def offered(self) -> str:
        """Return the latest signed checkpoint, to be shown to others; raises LedgerError where it must not be."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves."""
        ...

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return the consistency proof between two sizes."""
        ...

    def keep_checkpoint(self, note: str) -> str:
        """Keep a cosigned checkpoint; return it with all signatures known for it."""
        ...

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the kept checkpoint of the largest size."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one witness: the POSIX seconds of its cosignature, or in words why there is none."""

    witness: KnownWitness
    time: int = 0
    problem: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The head that was cosigned, with the signatures got; ``problem`` says what the quorum lacks, "" if nothing."""

    checkpoint: Checkpoint
    note: str
    answers: tuple[Answered, ...]
    problem: str


class _SeenMoreError(Exception):
    """A witness has cosigned more entries than this head has."""

    def __init__(self, witness: KnownWitness, size: int) -> None:
        super().__init__()
        self.witness, self.size = witness, size


def ask(log: WitnessedLog, policy: TlogPolicy, net: Net) -> Asked:
    """Have the log's head cosigned by every witness of the policy that has a URL.

    If the quorum is reached, the cosigned checkpoint is kept in the log. A witness that fails is named in the
    result and does no harm. Raises UsageError where the policy names no witness to ask, and LedgerError where a
    witness knows more of this log, or another log of this name: then nothing is kept.
    """
    if not any(witness.url for witness in policy.witnesses):
        raise UsageError("the policy names no witness with a URL", hint="add it to the witness's line")
    own = replace(policy, logs=(KnownLog(parse_log_key(log.vkey)),))
    try:
        return _ask(log, own, net)
    except _SeenMoreError as error:
        # Another process may have appended, and had its checkpoint cosigned, meanwhile.
        if Checkpoint.peek(log.offered()).size >= error.size:
            with suppress(_SeenMoreError):
                return _ask(log, own, net)
        raise _older(log, own, error, net) from error


def _ask(log: WitnessedLog, policy: TlogPolicy, net: Net) -> Asked:
    note = log.offered()
    head = Checkpoint.peek(note)
    seen = _seen(log, policy, head)
    round_ = _Round(log, policy, net, note, head)
    with ThreadPoolExecutor(min(AT_ONCE, len(policy.witnesses))) as pool:
        futures = [
            pool.submit(round_.one, witness, seen.get(witness.name, 0)) for witness in policy.witnesses
        ]
    errors = [error for error in (future.exception() for future in futures) if error is not None]
    for error in sorted(
        errors, key=lambda e: not isinstance(e, LedgerError)
    ):  # a fork is worse than a backup
        raise error
    answers = tuple(future.result() for future in futures)
    merged = merge_signatures(note, *(f"{_text(note)}\n{a.line}" for a in answers if a.line))
    cosigned = policy.examine(merged)
    if not cosigned.problem:
        merged = log.keep_checkpoint(merged)
    return Asked(head, merged, answers, cosigned.problem)


def _text(note: str) -> str:
    return note.rpartition("\n\n")[0] + "\n"


def _seen(log: WitnessedLog, policy: TlogPolicy, head: Checkpoint) -> dict[str, int]:
    """Return which size each witness is known to have cosigned last: a guess, to save a question."""
    kept = log.kept_checkpoint()
    if kept is None:
        return {}
    with suppress(MalformedError):
        last: Cosigned = policy.examine(kept)
        if last.checkpoint.size <= head.size:
            return dict.fromkeys(last.witnesses, last.checkpoint.size)
    return {}


@dataclass(frozen=True, slots=True)
class _Round:
    """One head, on its way to all witnesses."""

    log: WitnessedLog
    policy: TlogPolicy
    net: Net
    note: str
    head: Checkpoint

    def one(self, witness: KnownWitness, old: int) -> Answered:
        """Ask one witness, again if it has seen another size than was guessed."""
        if not witness.url:
            return Answered(witness, problem="the policy has no URL for it")
        try:
            answer = self._post(witness, old)
            if answer.status == 409:
                old = self._last_seen(witness, answer)
                answer = self._post(witness, old)
            if answer.status == 409:
                self._last_seen(witness, answer)
            if answer.status == 422:
                raise self._forked(witness, old, answer)
            if answer.status != 200:
                return Answered(witness, problem=_refusal(answer))
            return self._cosignature(witness, answer)
        except (NetworkError, UsageError, MalformedError) as error:
            return Answered(witness, problem=error.message)

    def _last_seen(self, witness: KnownWitness, answer: Answer) -> int:
        """Return the size that a 409 names: a decimal and a newline; raises MalformedError, _SeenMoreError."""
        size = parse_decimal(_decoded(answer).removesuffix("\n") or "nothing")
        if size > self.head.size:
            raise _SeenMoreError(witness, size)
        return size

    def _post(self, witness: KnownWitness, old: int) -> Answer:
        proof = self.log.consistency(old, self.head.size)
        body = AddCheckpoint(old, tuple(proof), self.note).to_bytes()
        url = f"{witness.url.rstrip('/')}/add-checkpoint"
        return self.net.request("POST", url, body=body, max_bytes=MAX_ANSWER_BYTES)

    def _cosignature(self, witness: KnownWitness, answer: Answer) -> Answered:
        """Return the witness's own signature from its answer; lines of other keys are ignored."""
        text = _text(self.note)
        _, signed = open_note(f"{text}\n{_decoded(answer)}", [witness.key])
        signature = signed[witness.key]
        if not timestamp_of(signature):
            return Answered(witness, problem="its cosignature does not say when it was made")
        line = signature_line(witness.key.name, witness.key.id, signature)
        return Answered(witness, time=timestamp_of(signature), line=line)

    def _forked(self, witness: KnownWitness, old: int, answer: Answer) -> AssayError:
        """Explain a refused consistency proof, with the witness's own checkpoint of this log if it shows one."""
        name = safe_text(witness.name, 80)
        shown = _shown(witness, self.policy, self.log.origin, self.net)
        if shown is not None and shown.size <= self.head.size:
            ours = self.log.root(shown.size)
            if ours != shown.root:
                return LedgerError(
                    f"the ledger is forked: this database has root {_base64(ours)} at size {shown.size}, witness "
                    f"{name} cosigned {_base64(shown.root)} at that size, and both carry the ledger's signature",
                    hint="append nothing, keep both copies: one of them was rewritten or restored",
                )
        return LedgerError(
            f"witness {name} finds that this ledger at size {self.head.size}, root {_base64(self.head.root)}, "
            f"does not extend what it cosigned at size {old}, where this database has root "
            f"{_base64(self.log.root(old))}: {safe_text(_decoded(answer).strip(), 200)}",
            hint="the ledger was forked or rewritten, or the witness is wrong: compare its checkpoint",
        )


def _older(log: WitnessedLog, policy: TlogPolicy, error: _SeenMoreError, net: Net) -> LedgerError:
    """Explain that a witness has seen more entries than there are, and say whether it can show so."""
    shown = _shown(error.witness, policy, log.origin, net)
    size = Checkpoint.peek(log.offered()).size
    name = safe_text(error.witness.name, 80)
    said = f"this database holds {size} entries, but witness {name} has cosigned {error.size}"
    if shown is None or shown.size <= size:
        return LedgerError(
            f"{said}, though it shows no such checkpoint: an older copy of the ledger was restored in its place, "
            "or the witness is wrong",
            hint="append nothing until it is known which",
        )
    return LedgerError(
        f"{said}, and shows the ledger's own signature at size {shown.size}: an older copy of the ledger was "
        "restored in its place",
        hint="append nothing: bring back the newer database; a log that forks can never be mended",
    )


def _shown(witness: KnownWitness, policy: TlogPolicy, origin: str, net: Net) -> Checkpoint | None:
    """Return the checkpoint that a witness shows to monitors, if it is of this log, by its signature."""
    name = hashlib.sha256(origin.encode()).hexdigest()
    with suppress(NetworkError, UsageError, MalformedError):
        url = f"{witness.url.rstrip('/')}/{name}/checkpoint"
        answer = net.request("GET", url, max_bytes=MAX_ANSWER_BYTES)
        checkpoint = policy.examine(_decoded(answer)).checkpoint if answer.status == 200 else None
        return checkpoint if checkpoint is not None and checkpoint.origin == origin else None
    return None


def _decoded(answer: Answer) -> str:
    try:
        return answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("its answer is not text") from error


def _refusal(answer: Answer) -> str:
    known = {
        400: "it does not understand the request",
        403: "it does not know the ledger's key",
        404: "it does not know this ledger",
        409: "somebody else is having this ledger cosigned at the same time",
        429: "it was asked too often",
    }
    words = known.get(answer.status, f"it answered {answer.status}")
    said = safe_text(answer.body[:200].decode("utf-8", "replace").strip(), 200)
    return f"{words} ({said})" if said else words


def _base64(root: bytes) -> str:
    return base64.b64encode(root).decode()
