"""Asking a ledger elsewhere, and believing nothing that it says. Format: docs/formats/remote.md.

Every checkpoint is held against the newest one seen before, every entry against a checkpoint, every record kept
beside the log against its entry. What is left for a lying server is to say less than it knows.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from assay.ledger.remote.memory import Memory, keep_contradiction
from assay.ledger.remote.wire import (
    FINGERPRINT_BYTES,
    GROUP,
    MAX_RECOVERIES_BYTES,
    PAGE_FINGERPRINTS,
    PAGE_RECEIPTS,
    parse_json,
    recovery_from_json,
    recovery_to_json,
)
from assay.ledger.tlog.merkle import HASH_SIZE, leaf_hash, verify_consistency, verify_inclusion
from assay.ledger.tlog.note import MAX_TREE_SIZE, Checkpoint
from assay.ledger.tlog.policy import NONE, TlogPolicy
from assay.ledger.tlog.proof import Proof
from assay.provenance.canonical import load_json
from assay.provenance.entry import Recovery
from assay.provenance.errors import AssayError, CredentialError, LedgerError, NetworkError, UsageError
from assay.provenance.leaf import Leaf
from assay.provenance.net import Answer, Net
from assay.provenance.text import safe_text

READ_TRIES = 2
"""How often a question is asked where no answer came; an append is looked up before it is sent again."""
MAX_PAGES = 32
"""Most pages of one look-up; with 128 entries each, as many as a server finds for one prefix."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class UnansweredError(NetworkError):
    """No answer came to an append: whether it was carried out is not known."""


class RemoteLog:
    """The verified side of a ledger server at ``url``.

    ``policy`` knows the log's key and says how many witnesses must have cosigned: where it names a quorum, the
    server is asked for cosigned checkpoints only. Safe to share between threads.
    """

    def __init__(
        self,
        url: str,
        origin: str,
        policy: TlogPolicy,
        net: Net,
        memory: Memory,
        token: Callable[[], bytes] | None = None,
    ) -> None:
        self.origin = origin
        self.name = safe_text(url.rstrip("/"), 300)
        self.policy = policy
        self._url, self._net, self._memory, self._token = url.rstrip("/"), net, memory, token
        self.wants_witnesses = policy.quorum != NONE
        self._view = {"cosigned": "1"} if self.wants_witnesses else {}
        self._lock = threading.RLock()
        self._last: tuple[str, Checkpoint] | None = None  # the newest
        self._recent: tuple[str, Checkpoint] | None = None  # the one last accepted, of receipts by the dozen

    # Asking

    def _get(self, path: str, query: Sequence[tuple[str, str]] = (), max_bytes: int | None = None) -> Answer:
        url = f"{self._url}/{path}" + (f"?{urlencode(query)}" if query else "")
        for left in reversed(range(READ_TRIES)):
            try:
                return self._net.request("GET", url, max_bytes=max_bytes)
            except NetworkError:
                if not left:
                    raise
        raise AssertionError

    def _refused(self, answer: Answer, what: str) -> AssayError:
        """Return the error for an answer other than 200, in the server's own words as far as they are any."""
        try:
            said = load_json(answer.body)["error"]
        except (ValueError, KeyError, TypeError):
            said = ""
        words = f": {safe_text(said, 200)}" if said else ""
        message = f"{self.name} answered {answer.status} to {what}{words}"
        if answer.status in (401, 403):
            return CredentialError(
                message, hint="the setting ledger_token names the token; assay ledger token new"
            )
        return NetworkError(
            message, hint="try again later" if answer.status >= 500 else "is this a ledger server?"
        )

    def _json(
        self, path: str, query: Sequence[tuple[str, str]], what: str, max_bytes: int | None = None
    ) -> Any:
        answer = self._get(path, query, max_bytes)
        if answer.status != 200:
            raise self._refused(answer, what)
        document = parse_json(answer.body, f"the answer of {self.name} to {what}")
        if not isinstance(document, dict):
            raise self._nonsense(what)
        return document

    def _nonsense(self, what: str) -> NetworkError:
        return NetworkError(
            f"{self.name} answered {what} with something else", hint="is this a ledger server?"
        )

    # Checkpoints

    def head(self) -> tuple[str, Checkpoint]:
        """Ask for the newest checkpoint and verify it; return its note too."""
        answer = self._get("checkpoint", tuple(self._view.items()))
        if answer.status != 200:
            raise self._refused(answer, "the checkpoint")
        note = _utf8(answer.body, self._nonsense("the checkpoint"))
        return note, self.accept(note)

    def known_size(self) -> int:
        """Return the size of the newest tree that is known, asking if none is."""
        with self._lock:
            known = self._known()
        return known[1].size if known else self.head()[1].size

    def accept(self, note: str) -> Checkpoint:
        """Verify a checkpoint, alone and against the newest one seen before, and remember it.

        Raises LedgerError where it is not this log's or has too few cosignatures, and where the server shows
        another history than before, or cannot show that it does not.
        """
        with self._lock:
            if self._recent is not None and self._recent[0] == note:
                return self._recent[1]
            shown = self._examined(note, self.policy)
            known = self._known()
            if known is None or shown.size != known[1].size:
                self._check_growth(known, note, shown)
            elif shown.root != known[1].root:
                raise self._fork(known[0], note, known[1].size)
            if known is None or shown.size > known[1].size:
                self._memory.keep(note)
                self._last = (note, shown)
            self._recent = (note, shown)
            return shown

    def _examined(self, note: str, policy: TlogPolicy) -> Checkpoint:
        try:
            found = policy.examine(note)
        except AssayError as error:
            raise LedgerError(
                f"the checkpoint of {self.name} cannot be trusted: {error.message}",
                hint="check the URL, and the verifier key that the settings or a trust list of kind log name",
            ) from error
        if found.problem:
            raise LedgerError(f"the checkpoint of {self.name} cannot be trusted: {found.problem}")
        if found.checkpoint.origin != self.origin:
            raise LedgerError(
                f"{self.name} serves the ledger {safe_text(found.checkpoint.origin, 120)}, not {self.origin}",
                hint="correct ledger or origin in the settings",
            )
        return found.checkpoint

    def _known(self) -> tuple[str, Checkpoint] | None:
        if self._last is None and (note := self._memory.load()) is not None:
            try:
                self._last = (note, TlogPolicy(logs=self.policy.logs).examine(note).checkpoint)
            except AssayError as error:
                raise LedgerError(
                    f"what was seen of the ledger before cannot be trusted: {error.message}",
                    path=self._memory.file,
                    hint="restore the file; without it a rewritten ledger is not noticed",
                ) from error
        return self._last

    def _check_growth(self, known: tuple[str, Checkpoint] | None, note: str, shown: Checkpoint) -> None:
        """Demand proof that of two trees of different sizes the larger has the smaller for its beginning.

        An answer may show an earlier tree than another one just did; a server that cannot prove that it still
        has the later one was rolled back.
        """
        if known is None or 0 in (known[1].size, shown.size):
            if known is not None and known[1].size > 0:
                raise self._rolled_back(known[1], shown)
            return
        old, new = sorted((known[1], shown), key=lambda c: c.size)
        query = (("old", str(old.size)), ("new", str(new.size)))
        answer = self._get("v1/consistency", query)
        if answer.status == 404 and shown.size < known[1].size:
            raise self._rolled_back(known[1], shown)
        if answer.status != 200:
            raise self._refused(answer, "a consistency proof")
        proof = _hashes(
            parse_json(answer.body, f"the proof of {self.name}"), self._nonsense("a consistency proof")
        )
        if not verify_consistency(old.size, new.size, old.root, new.root, proof):
            raise self._fork(known[0], note, old.size)

    def _rolled_back(self, known: Checkpoint, shown: Checkpoint) -> LedgerError:
        return LedgerError(
            f"{self.name} shows {shown.size} entries, but showed {known.size} before: it was rolled back",
            hint="its operator may have restored an old copy; entries logged since are missing",
        )

    def _fork(self, known: str, shown: str, size: int) -> LedgerError:
        kept = keep_contradiction(self._memory.file, known, shown)
        return LedgerError(
            f"{self.name} shows another history than before: its first {size} entries were rewritten, "
            "or it shows different logs to different people",
            hint=f"both signed checkpoints are kept in {kept}: show them to others who follow this ledger",
        )

    # Entries

    def find(self, prefix: int, bits: int) -> list[Proof]:
        """Return the entries with a key that begins with these bits, all verified, by index."""
        found: dict[int, Proof] = {}
        start: int | None = 0
        for _ in range(MAX_PAGES):
            query = [("bits", str(bits)), ("prefix", str(prefix)), ("start", str(start)), *self._view.items()]
            document = self._json("v1/find", query, "a look-up")
            receipts, following = document.get("receipts"), document.get("next")
            if not isinstance(receipts, list) or len(receipts) > PAGE_RECEIPTS:
                raise self._nonsense("a look-up")
            for text in receipts:
                proof = self.proven(text)
                found[proof.index] = proof
            if not isinstance(following, int) or following <= (start or 0):
                break
            start = following
        return [found[index] for index in sorted(found)]

    def receipt(self, index: int) -> Proof:
        """Return the proof of one entry, verified; the server learns which one it was."""
        answer = self._get(f"v1/receipt/{index}", tuple(self._view.items()))
        if answer.status == 404:
            raise UsageError(f"{self.name} has no entry {index}")
        if answer.status != 200:
            raise self._refused(answer, "a receipt")
        proof = self.proven(_utf8(answer.body, self._nonsense("a receipt")))
        if proof.index != index:
            raise LedgerError(f"{self.name} answered with entry {proof.index} where {index} was asked for")
        return proof

    def proven(self, text: Any, checkpoint: Checkpoint | None = None) -> Proof:
        """Read a receipt and verify it against its checkpoint, which is accepted first unless it is given."""
        if not isinstance(text, str):
            raise self._nonsense("an entry")
        try:
            proof = Proof.from_text(text)
        except AssayError as error:
            raise LedgerError(f"{self.name} answered with a broken receipt: {error.message}") from error
        tree = checkpoint or self.accept(proof.note)
        if not verify_inclusion(leaf_hash(proof.leaf), proof.index, tree.size, proof.path, tree.root):
            raise LedgerError(
                f"{self.name} answered with an entry {proof.index} that is not in its tree",
                hint="the server lies, or its database is damaged; its operator can run: assay ledger check",
            )
        return proof

    def recoveries(self, indices: Sequence[int]) -> dict[int, Recovery]:
        """Return what the server hands out of what it keeps beside these entries, unverified."""
        query = [("index", str(index)) for index in indices[:GROUP]]
        answer = self._get("v1/recoveries", query, MAX_RECOVERIES_BYTES)
        if answer.status == 404:
            return {}
        if answer.status != 200:
            raise self._refused(answer, "recovery records")
        document = parse_json(answer.body, f"the answer of {self.name}")
        try:
            rows = [(row["index"], row["record"]) for row in document["recoveries"]]
        except (KeyError, TypeError) as error:
            raise self._nonsense("recovery records") from error
        return {index: recovery_from_json(record) for index, record in rows if index in indices and record}

    def fingerprints(self, start: int) -> tuple[list[tuple[int, str, bytes]], int, bool] | None:
        """Return fingerprints from an index on, where to go on, and whether there are more; None if none are given."""
        answer = self._get("v1/fingerprints", [("start", str(start))])
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._refused(answer, "fingerprints")
        document = parse_json(answer.body, f"the answer of {self.name}")
        try:
            rows = [(int(i), str(alg), bytes.fromhex(value)) for i, alg, value in document["fingerprints"]]
            following, more = int(document["next"]), bool(document["more"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._nonsense("fingerprints") from error
        sound = all(start <= i < following and len(value) == FINGERPRINT_BYTES for i, _, value in rows)
        if not sound or len(rows) > PAGE_FINGERPRINTS or not start + more <= following <= MAX_TREE_SIZE:
            raise self._nonsense("fingerprints")
        return rows, following, more

    # Appending

    def append(self, entry: Leaf, recovery: Recovery | None) -> Proof:
        """Send an entry and return its verified proof; raises UnansweredError where no answer came."""
        leaf = entry.to_bytes()
        body = json.dumps(
            {
                "entry": base64.b64encode(leaf).decode(),
                "recovery": None if recovery is None else recovery_to_json(recovery),
            }
        ).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._secret()}"}
        try:
            answer = self._net.request("POST", f"{self._url}/v1/append", body=body, headers=headers)
        except NetworkError as error:
            raise UnansweredError(error.message, hint=error.hint) from error
        if answer.status >= 500:  # by whatever stands in between, too
            raise UnansweredError(self._refused(answer, "an entry to append").message, hint="try again later")
        if answer.status != 200:
            raise self._refused(answer, "an entry to append")
        text = _utf8(answer.body, self._nonsense("an append"))
        try:
            note = Proof.from_text(text).note
        except AssayError as error:
            raise LedgerError(f"{self.name} answered with a broken receipt: {error.message}") from error
        proof = self.proven(text, self._appended(note))
        if proof.leaf != leaf:
            raise LedgerError(
                f"{self.name} gave the receipt of another entry for the one that was sent to it"
            )
        return proof

    def _secret(self) -> str:
        """Return the token; raises CredentialError where there is none, or where others could read it on its way."""
        secret = self._token().decode("utf-8", "replace").strip() if self._token else ""
        if not secret:
            raise CredentialError(
                "appending to a ledger elsewhere needs a token",
                hint='ask its operator, then ledger_token = "file:TOKEN-FILE" in assay.toml',
            )
        parts = urlsplit(self._url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise CredentialError(
                "a token is not sent over plain http", hint="name an https URL as the ledger"
            )
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise CredentialError("the token is not one line of plain characters", hint="copy it again")
        return secret

    def _appended(self, note: str) -> Checkpoint:
        """Verify the checkpoint under a new entry. It cannot be cosigned yet, and is then not remembered."""
        if not self.wants_witnesses:
            return self.accept(note)
        with self._lock:
            shown = self._examined(note, TlogPolicy(logs=self.policy.logs))
            known = self._known()
            if known is not None and shown.size == known[1].size and shown.root != known[1].root:
                raise self._fork(known[0], note, known[1].size)
            if known is not None and shown.size != known[1].size:
                self._check_growth(known, note, shown)
            return shown


def _utf8(data: bytes, otherwise: AssayError) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise otherwise from error


def _hashes(document: Any, otherwise: AssayError) -> list[bytes]:
    try:
        found = [bytes.fromhex(item) for item in document["proof"]]
    except (KeyError, TypeError, ValueError) as error:
        raise otherwise from error
    if any(len(item) != HASH_SIZE for item in found):
        raise otherwise
    return found
