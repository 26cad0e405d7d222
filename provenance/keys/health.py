"""The self-check of trust: which lists cannot do what a desk expects of them, said before anybody relies on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from assay.provenance.keys.trust import CERTIFICATES, TrustList, TrustStore, load_members

STALE = dt.timedelta(days=180)
"""Age from which a list that its keeper goes on changing is called out of date."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know of the trust settings: the list's kind and name ("" for all of them), and a sentence."""

    kind: str
    name: str
    says: str

    def to_json(self) -> dict[str, str]:
        """Return the form used in JSON outputs."""
        return {"kind": self.kind, "name": self.name, "says": self.says}


def check_trust(store: TrustStore, now: dt.datetime) -> tuple[Finding, ...]:
    """Look at every list of certificates in force; raises ConfigurationError where one cannot be read at all."""
    lists = [e for e in store.lists() if e.kind in CERTIFICATES]
    found = list(_missing(lists))
    for entry in lists:
        found += (Finding(entry.kind, entry.name, says) for says in _of(entry, store.content(entry), now))
    return tuple(found)


def _missing(lists: Sequence[TrustList]) -> list[Finding]:
    kinds = {e.kind for e in lists}
    found = []
    if "signer" not in kinds:
        found.append(Finding("signer", "", "No list of signers was chosen: every signer is unknown."))
    if "tsa" not in kinds:
        found.append(
            Finding("tsa", "", "No list of time-stamp authorities was chosen: no signing time is proven.")
        )
    return found


def _of(entry: TrustList, data: bytes, now: dt.datetime) -> list[str]:
    what = f"The {entry.kind} list {entry.name}"
    found = []
    if entry.standing == "interim":
        found.append(
            f"{what} is an interim one: its keeper froze it, and what it trusts is not on the official one."
        )
    age = now.date() - dt.date.fromisoformat(entry.date)
    if age > STALE and not entry.frozen:
        found.append(f"{what} is {age.days} days old: signers that came or went since are not known.")
    if age < -dt.timedelta(days=1):
        found.append(f"{what} is dated {entry.date}, in the future: is this machine's clock right?")
    ends = [c.not_valid_after_utc for c in load_members(data, entry.source)]
    over = sum(end < now for end in ends)
    if over and over == len(ends):
        found.append(f"{what} holds only certificates that have expired.")
    elif over:
        found.append(f"{what} holds {over} certificates of {len(ends)} that have expired.")
    return found
