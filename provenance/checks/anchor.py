"""The outside witness: whether the ledger's own history is held by someone who is not its operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assay.provenance.anchor import Anchored, Keeper, Standing, earliest
from assay.provenance.evidence import Conflict, Evidence, Status
from assay.provenance.receipt import Receipt
from assay.provenance.report import recovered_of
from assay.provenance.subject import Subject
from assay.provenance.text import safe_text

NAME_CHARS = 80
"""Longest anchor name inside a sentence."""
SAYS_CHARS = 400
_RESTORED = (
    "A ledger that was restored from an old backup looks like this too. Its operator has to explain it."
)


class AnchorCheck:
    """Asks the anchors of the ledger about the entry that the receipt check found.

    ``keeper`` is called only when there is such an entry, and gives None for a ledger without anchors; the network is
    asked only if ``online``. What cannot be reached or proves nothing yet is neutral. Only a checkpoint that the
    ledger signed, and whose tree it no longer has, contradicts.
    """

    name = "anchor"
    version = "1"

    def __init__(self, keeper: Callable[[], Keeper | None], *, online: bool = False) -> None:
        self.keeper, self.online = keeper, online

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the earliest time that an anchor proves for the entry."""
        recovered = recovered_of(seen)
        if recovered is None:
            return self._absent("No ledger entry was found, so there is nothing that an anchor could prove.")
        receipt, keeper = recovered.receipt, self.keeper()
        if keeper is None:
            return self._absent("This ledger keeps no anchors here.")
        found = keeper.standing(receipt.index, online=self.online)
        if any(item.judgement.standing is Standing.CONTRADICTED for item in found):
            return self._rewritten(receipt, found)
        proven = earliest(found)
        if proven is None:
            return self._absent(_unproven(receipt.index, found), receipt.index, found)
        return self._evidence(
            Status.PASS,
            f"Entry {receipt.index} was in the ledger no later than {proven.judgement.time}: it is in the tree of "
            f"{proven.record.size} entries, which is anchored at {_name(proven)}.",
            receipt.index,
            found,
        )

    def _rewritten(self, receipt: Receipt, found: Sequence[Anchored]) -> Evidence:
        clash = next(item for item in found if item.judgement.standing is Standing.CONTRADICTED)
        says = (
            f"The ledger {safe_text(receipt.origin, NAME_CHARS)} gives a receipt for entry {receipt.index}.",
            f"A checkpoint that the same ledger signed, anchored at {_name(clash)}, shows another history: "
            f"{safe_text(clash.judgement.says, SAYS_CHARS)}.",
        )
        conflict = Conflict("ledger-rewritten", ("receipt", self.name), says, _RESTORED)
        summary = f"The ledger contradicts a checkpoint that it signed and anchored at {_name(clash)}."
        return self._evidence(Status.FAIL, summary, receipt.index, found, (conflict,))

    def _absent(self, summary: str, index: int | None = None, found: Sequence[Anchored] = ()) -> Evidence:
        return self._evidence(Status.ABSENT, summary, index, found)

    def _evidence(
        self,
        status: Status,
        summary: str,
        index: int | None,
        found: Sequence[Anchored],
        conflicts: tuple[Conflict, ...] = (),
    ) -> Evidence:
        proven = earliest(found)
        return Evidence(
            self.name,
            self.version,
            status,
            summary,
            conflicts=conflicts,
            reasons=tuple(_reason(item) for item in found),
            details={
                "index": index,
                "time": proven.judgement.time if proven else None,
                "anchors": [item.to_json() for item in found],
                "online": self.online,
            },
        )


def _name(item: Anchored) -> str:
    return safe_text(item.record.name, NAME_CHARS)


def _reason(item: Anchored) -> str:
    says = safe_text(item.judgement.says, SAYS_CHARS)
    return f"{_name(item)}, of {item.record.size} entries, {item.judgement.standing}: {says}."


def _unproven(index: int, found: Sequence[Anchored]) -> str:
    if not found:
        return f"No anchor covers entry {index}: when it was logged rests on the ledger's word."
    states = ", ".join(dict.fromkeys(f"{_name(item)} is {item.judgement.standing}" for item in found))
    return f"No anchor proves entry {index} now: {states}."
