"""The judge: compares a log with all that its writers were told, and counts what does not fit."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from assay.ledger.log import SqlLog
from assay.ledger.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.errors import AssayError

from .workload import HUNG_SECONDS, ORIGIN, item, signer, whose


class Judge:
    """Follows one log through many faults.

    It keeps the tree's frontier of the rows that it has seen. Only rows behind that are read again: a signed root
    that follows from the frontier and the new rows proves that no older row has changed, and ``check`` re-reads all.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.counts: Counter[str] = Counter()
        self.words: Counter[str] = Counter()
        """How failures were reported, in the ledger's words."""
        self.troubles: list[str] = []
        """What was lost or wrong, one line each; empty is the goal."""
        self._frontier = Frontier()
        self._twice: set[tuple[int, int]] = set()
        self._told: dict[int, bytes] = {}  # acknowledged behind the frontier's size: index -> leaf hash
        self._roots: dict[int, bytes] = {0: EMPTY_ROOT}  # size -> the root seen or told

    def trouble(self, kind: str, line: str) -> None:
        """Count what must not be, and keep a line about it."""
        self.counts[kind] += 1
        if len(self.troubles) < 50:
            self.troubles.append(f"{kind}: {line}")

    def hear(self, writer: int, said: Iterable[Mapping[str, Any]]) -> None:
        """Take down what a child was told."""
        for message in said:
            if "failed" in message:
                self.counts["reported failures"] += 1
                self.words[f"{message['kind']}: {message['words']}"] += 1
                if message["kind"] == "untranslated":
                    self.trouble("foreign exceptions", message["words"])
            for number, index in zip(message.get("numbers", ()), message.get("indices", ()), strict=True):
                self.counts["acknowledged"] += 1
                told = leaf_hash(item(writer, number)[0].to_bytes())
                if self._told.setdefault(index, told) != told:
                    self.trouble("lost", f"entry {index} was acknowledged to two writers")
            if "root" in message:
                root = bytes.fromhex(message["root"])
                if self._roots.setdefault(message["size"], root) != root:
                    self.trouble("wrong roots", f"two roots were signed for size {message['size']}")

    def ended(self, status: int) -> None:
        """Count how a child ended; negative: by which signal."""
        if status == -signal.SIGALRM:
            self.trouble("hung", f"a writer hung for {HUNG_SECONDS} s")
        elif status == -signal.SIGKILL:
            self.counts["kills"] += 1
        else:
            self.counts["ended by themselves"] += 1

    def judge(self, *, full: bool = True) -> None:
        """Open the log and compare; ``full`` also runs its own check."""
        try:
            with SqlLog.open(self.url, ORIGIN, signer()) as log:
                self._rows(log)
                if full:
                    self.counts["checks"] += 1
                    for line in log.check()[:3]:
                        self.trouble("failed checks", line)
        except AssayError as error:
            self.trouble("not opened", error.message)

    def go_on(self) -> None:
        """Append an entry after the fault, as the next day would, and judge again."""
        writer = 90_000_000 + self.counts["went on"]
        try:
            with SqlLog.open(self.url, ORIGIN, signer()) as log:
                index = log.append(*item(writer, 0)).index
        except AssayError as error:
            self.trouble("not opened", f"nothing can be appended any more: {error.message}")
        else:
            self.hear(writer, [{"numbers": [0], "indices": [index]}])
            self.counts["went on"] += 1
            self.judge()

    def _rows(self, log: SqlLog) -> None:
        head = Checkpoint.peek(log.checkpoint())
        seen = self._frontier.size
        if head.size < seen:
            self.trouble("lost", f"the log shrank from {seen} to {head.size} entries")
            return
        for index, entry in log.entries(seen, head.size):
            own = leaf_hash(entry.to_bytes())
            self._frontier.append(own)
            if self._told.pop(index, own) != own:
                self.trouble("lost", f"entry {index} is another than the one acknowledged")
            if self._roots.get(index + 1, root := self._frontier.root()) != root:
                self.trouble(
                    "wrong roots", f"a root was signed for {index + 1} entries that they do not have"
                )
            self._known(index, entry)
        if self._frontier.size != head.size or self._frontier.root() != head.root:
            self.trouble("wrong roots", f"the head of {head.size} entries is not the root of its rows")
        for index in sorted(self._told):
            self.trouble("lost", f"entry {index} was acknowledged; the log holds {head.size}")
        self._told.clear()
        if beyond := [size for size in self._roots if size > head.size]:
            self.trouble("wrong roots", f"a head of {max(beyond)} was signed; the log holds {head.size}")
        self._roots = {head.size: head.root}

    def _known(self, index: int, entry: Any) -> None:
        try:
            place = whose(entry)
            known = item(*place)[0] == entry
        except ValueError:
            known = False
        if not known:
            self.trouble("phantom rows", f"entry {index} was never handed in")
        elif place in self._twice:
            self.counts["stand twice"] += 1
        else:
            self._twice.add(place)
