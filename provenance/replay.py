"""What a verification learned from outside the file, kept to make it again: the ledger's and anchors' answers.

The ledger is too large to go along with a report. Its answers do: each look-up by its name and argument, with the
receipts and recovery records that came back. Whoever replays them proves every receipt anew. Format:
docs/formats/evidence.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assay.provenance import errors
from assay.provenance.anchor import Anchored, AnchorRecord, Judgement, Standing
from assay.provenance.asset import Digest
from assay.provenance.entry import Fingerprint, Recovery
from assay.provenance.errors import AssayError, LedgerError, MalformedError
from assay.provenance.mark import Mark
from assay.provenance.protocols import Found, Log
from assay.provenance.receipt import Receipt

Memory = dict[str, Any]
"""Answers by question, as JSON values; a question is a method's name and its argument as text."""


class _Asked:
    """The look-ups of a ledger, each as one question; subclasses say where the answer comes from."""

    def _ask(self, question: str, asking: Callable[[Log], Sequence[Found]]) -> list[Found]:
        raise NotImplementedError

    def find_digest(self, digest: Digest) -> list[Found]:
        """See protocols.Log."""
        return self._ask(f"digest {digest}", lambda log: log.find_digest(digest))

    def find_manifest(self, label: str) -> list[Found]:
        """See protocols.Log."""
        return self._ask(f"manifest {label}", lambda log: log.find_manifest(label))

    def find_mark(self, mark: Mark) -> list[Found]:
        """See protocols.Log."""
        return self._ask(f"mark {mark}", lambda log: log.find_mark(mark))

    def find_binding(self, alg: str, value: str) -> list[Found]:
        """See protocols.Log."""
        return self._ask(f"binding {alg}:{value}", lambda log: log.find_binding(alg, value))

    def find_words(self, words: Sequence[str]) -> list[Found]:
        """Look up by the words of a trail, or say again what was found."""
        asked = Digest.of("\n".join(words).encode())
        return self._ask(f"words {asked}", lambda log: log.find_words(words))

    def find_fingerprint(self, fingerprint: Fingerprint) -> list[Found]:
        """See protocols.Log."""
        question = f"fingerprint {fingerprint.alg}:{fingerprint.value.hex()}:{fingerprint.quality}"
        return self._ask(question, lambda log: log.find_fingerprint(fingerprint))


class RecordingLog(_Asked):
    """Passes every question on to a ledger and keeps the answer in ``memory``."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.memory: Memory = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def _ask(self, question: str, asking: Callable[[Log], Sequence[Found]]) -> list[Found]:
        try:
            found = list(asking(self.log))
        except AssayError as error:
            self.memory[question] = {
                "error": type(error).__name__,
                "message": error.message,
                "hint": error.hint,
            }
            raise
        self.memory[question] = [_found_json(item) for item in found]
        return found


class ReplayedLog(_Asked):
    """Answers as a recorded ledger did; asked anything else, it says that it was not asked.

    ``parse`` reads a receipt, ``verify`` proves one against the ledger's key and says what is wrong, "" if nothing.
    """

    def __init__(
        self,
        origin: str,
        memory: Mapping[str, Any],
        recover: Callable[[bytes], Recovery],
        parse: Callable[[str], Receipt],
        verify: Callable[[Receipt], str],
    ) -> None:
        self.origin = origin
        self._memory, self._recover, self._parse = memory, recover, parse
        self.verify_receipt = verify

    def _ask(self, question: str, asking: Callable[[Log], Sequence[Found]]) -> list[Found]:
        answer = self._memory.get(question)
        if answer is None:
            raise LedgerError("the ledger was not asked this when the report was made")
        if isinstance(answer, dict):
            raise _error(answer)
        try:
            return [self._found(item) for item in answer]
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise MalformedError("an answer of the ledger cannot be read") from error

    def _found(self, item: Mapping[str, Any]) -> Found:
        kept = self._recover(base64.b64decode(item["recovery"], validate=True)) if item["recovery"] else None
        receipt = self._parse(str(item["receipt"]))
        if kept is not None and kept.digest != receipt.entry.recovery:
            raise LedgerError(f"the recovery record of entry {receipt.index} was changed")
        return Found(receipt, kept, int(item["distance"]))


class RecordingKeeper:
    """Keeps in ``memory`` what anchors say of an entry."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper
        self.memory: Memory = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)

    def standing(self, index: int, *, online: bool) -> list[Anchored]:
        """See anchor.Keeper."""
        found: list[Anchored] = self._keeper.standing(index, online=online)
        self.memory[str(index)] = [_anchored_json(item) for item in found]
        return found


class ReplayedKeeper:
    """Says of anchors what was said of them when the report was made: nothing is asked and nothing proven anew."""

    def __init__(self, memory: Mapping[str, Any]) -> None:
        self._memory = memory

    def standing(self, index: int, *, online: bool) -> list[Anchored]:
        """See anchor.Keeper."""
        try:
            return [_anchored(item) for item in self._memory.get(str(index), ())]
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedError("what an anchor said cannot be read") from error


def receipts_in(memory: Mapping[str, Any]) -> dict[int, str]:
    """Return the receipts of all answers, by index."""
    answers = (answer for answer in memory.values() if isinstance(answer, list))
    return {int(item["index"]): str(item["receipt"]) for answer in answers for item in answer}


def _found_json(item: Found) -> dict[str, object]:
    kept = base64.b64encode(item.recovery.to_bytes()).decode() if item.recovery else ""
    return {
        "index": item.receipt.index,
        "distance": item.distance,
        "receipt": item.receipt.text,
        "recovery": kept,
    }


def _anchored_json(item: Anchored) -> dict[str, object]:
    record = {**asdict(item.record), "root": item.record.root.hex(), "detail": dict(item.record.detail)}
    judged = item.judgement
    return {"record": record, "standing": str(judged.standing), "says": judged.says, "time": judged.time}


def _anchored(item: Mapping[str, Any]) -> Anchored:
    record = AnchorRecord(**{**item["record"], "root": bytes.fromhex(item["record"]["root"])})
    return Anchored(record, Judgement(Standing(item["standing"]), str(item["says"]), str(item["time"])))


def _error(answer: Mapping[str, Any]) -> AssayError:
    kind = getattr(errors, str(answer.get("error")), LedgerError)
    known = isinstance(kind, type) and issubclass(kind, AssayError)
    return (kind if known else LedgerError)(str(answer.get("message", "")), hint=str(answer.get("hint", "")))
