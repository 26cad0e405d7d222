"""Events on disk: recorded so that a run that died is finished by the next one, and checked layer by layer.

Files and order of writing: docs/formats/statement.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from assay.ledger.custody.statement import (
    MAX_ENVELOPE_BYTES,
    Envelope,
    VerifyingKey,
    event_entry,
    sign_event,
    verify_event,
)
from assay.ledger.tlog.proof import read_receipt
from assay.provenance.asset import Digest
from assay.provenance.canonical import json_object
from assay.provenance.entry import Recovery
from assay.provenance.errors import AssayError, CredentialError, InputError, LimitError, UsageError
from assay.provenance.event import Details, Event, EventEntry, EventSubject
from assay.provenance.files.atomic import atomic_output
from assay.provenance.keys.signers import Signer
from assay.provenance.leaf import Leaf
from assay.provenance.receipt import RECEIPT_SUFFIX, Receipt
from assay.provenance.text import safe_text

DETAILS_SUFFIX = ".details.json"
"""Appended to an envelope's name for the record of its details."""
MAX_DETAILS_BYTES = 1 << 20
MAX_RECEIPT_BYTES = 1 << 20

OK, FAILED, NOT_CHECKED = "ok", "failed", "not checked"


class EventLog(Protocol):
    """A log that events can be recorded in."""

    def append(self, entry: Leaf, recovery: Recovery | None) -> Receipt:
        """Append one leaf durably and return its receipt."""
        ...

    def find_events(self, digest: Digest) -> Sequence[Receipt]:
        """Return the events about a file."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as recorded; ``resumed`` says that an earlier run had signed it, and this one finished the rest."""

    event: Event
    receipt: Receipt
    resumed: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer of a check came to: ``ok``, ``failed`` or ``not checked``, and why."""

    name: str
    state: str
    says: str


def beside(path: Path, suffix: str) -> Path:
    """Return the name of what stands beside an envelope: its receipt, its details."""
    return path.with_name(path.name + suffix)


def read_bounded(path: Path, limit: int) -> bytes:
    """Return a file's bytes; raises InputError where it cannot be read, LimitError over ``limit`` bytes."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if len(data) > limit:
        raise LimitError(f"is larger than {limit} bytes", path=path)
    return data


def read_details(path: Path, salt: bytes) -> Details:
    """Read what is to become an event's details, one JSON object; raises InputError."""
    try:
        details = Details(salt, json_object(read_bounded(path, MAX_DETAILS_BYTES), "the details"))
        details.to_bytes()
    except InputError as error:
        raise type(error)(error.message, hint=error.hint, path=path) from error
    except UsageError as error:  # numbers and strings that RFC 8785 has no one spelling for
        raise InputError(error.message, path=path) from error
    return details


def previous_event(path: Path, subjects: Sequence[EventSubject]) -> Digest:
    """Return the digest by which the next event of a file names the one in ``path``.

    Raises InputError where that is no envelope of an event, UsageError where it is about none of the files.
    """
    envelope, event = _read_event(path)
    if not {s.digest for s in event.subjects} & {s.digest for s in subjects}:
        raise UsageError("the previous event is about none of these files", path=path)
    return event_entry(envelope).statement


# Recording


def record(
    log: EventLog, event: Event, signer: Signer, out: Path, details: Details | None = None
) -> Recorded:
    """Sign an event, log it, and write details, envelope and receipt, in the order that loses nothing.

    Details come first, because the event commits to them; the envelope before its leaf, because a leaf whose
    envelope is lost says nothing for ever, and an envelope without a leaf can still be logged. Where ``out``
    holds this event already but no receipt stands beside it, an earlier run died: that envelope is logged, unless
    it was, and the receipt written.

    Raises UsageError where ``out`` is finished, or holds another event; CredentialError where the key cannot
    sign events or is not the event's actor; what the log raises.
    """
    resumed, proof = os.path.lexists(out), beside(out, RECEIPT_SUFFIX)
    if os.path.lexists(proof):
        raise UsageError("exists already", hint="choose another name", path=out if resumed else proof)
    envelope = _unfinished(event, signer, out, details) if resumed else _new(event, signer, out, details)
    leaf = event_entry(envelope)
    logged = _logged(log, leaf) if resumed else None
    receipt = logged or log.append(leaf, None)
    with atomic_output(proof) as stream:
        stream.write(receipt.text.encode())
    return Recorded(Event.from_bytes(envelope.payload), receipt, resumed)


def _new(event: Event, signer: Signer, out: Path, details: Details | None) -> Envelope:
    kept = _keep(details, beside(out, DETAILS_SUFFIX))
    envelope = sign_event(replace(event, details=kept.digest if kept else None), signer)
    with atomic_output(out) as stream:
        stream.write(envelope.to_bytes())
    return envelope


def _keep(details: Details | None, path: Path) -> Details | None:
    """Write the details' record; return it, or the one with the same content that a run that died has left."""
    if os.path.lexists(path):
        kept = _kept(path)
        if details is None or replace(details, salt=kept.salt).digest != kept.digest:
            raise UsageError("exists already, with other details", hint="choose another name", path=path)
        return kept
    if details is not None:
        with atomic_output(path) as stream:
            if hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), 0o600)  # they name people and places
            stream.write(details.to_bytes())
    return details


def _unfinished(event: Event, signer: Signer, out: Path, details: Details | None) -> Envelope:
    """Return the envelope in ``out`` if it is of this event: all is the same but what was drawn when it was signed."""
    envelope, found = _read_event(out)
    try:
        verify_event(envelope, [VerifyingKey.from_pem(signer.chain)])
    except CredentialError as error:
        raise UsageError("holds an event of another key", hint="choose another name", path=out) from error
    same = (
        replace(event, id=found.id, time=found.time, software=found.software, details=found.details) == found
    )
    if details is None:
        same = same and found.details is None
    elif same:
        kept = _kept(beside(out, DETAILS_SUFFIX))
        same = replace(details, salt=kept.salt).digest == found.details
    if not same:
        raise UsageError(
            "holds another event, which has no receipt yet", hint="choose another name", path=out
        )
    return envelope


def _kept(path: Path) -> Details:
    try:
        return Details.from_bytes(read_bounded(path, MAX_DETAILS_BYTES))
    except InputError as error:
        raise type(error)(error.message, hint=error.hint, path=path) from error


def _logged(log: EventLog, leaf: EventEntry) -> Receipt | None:
    found = log.find_events(leaf.subjects[0])
    return next((receipt for receipt in found if receipt.leaf == leaf), None)


def _read_event(path: Path) -> tuple[Envelope, Event]:
    try:
        envelope = Envelope.from_bytes(read_bounded(path, MAX_ENVELOPE_BYTES))
        return envelope, Event.from_bytes(envelope.payload)
    except InputError as error:
        raise type(error)(error.message, hint=error.hint, path=path) from error


# Checking


def check(
    data: bytes,
    keys: Sequence[VerifyingKey],
    judge: Callable[[Receipt], tuple[str, str]],
    *,
    receipt: bytes | None = None,
    details: bytes | None = None,
    files: Sequence[tuple[str, Digest]] = (),
) -> tuple[list[Layer], Event | None]:
    """Check an envelope and what stands beside it, and return what each layer came to, and the event if it is signed.

    ``judge`` says of a receipt in itself (state, why). Nothing that only the signature vouches for is compared
    where the signature does not hold.
    """
    try:
        envelope = Envelope.from_bytes(data)
        event = verify_event(envelope, keys)
    except AssayError as error:
        unsigned = NOT_CHECKED, "the signature does not hold"
        layers = [
            Layer("signature", FAILED, error.message),
            Layer("receipt", *unsigned),
            Layer("details", *unsigned),
            Layer("files", *unsigned),
        ]
        return layers, None
    layers = [
        Layer("signature", OK, f"{event.kind}, signed by {event.actor} as {safe_text(event.role, 80)!r}"),
        Layer("receipt", *_of_receipt(receipt, event_entry(envelope), judge)),
        Layer("details", *_of_details(details, event)),
        Layer("files", *_of_files(files, event)),
    ]
    return layers, event


def _of_receipt(
    data: bytes | None, leaf: EventEntry, judge: Callable[[Receipt], tuple[str, str]]
) -> tuple[str, str]:
    if data is None:
        return NOT_CHECKED, "there is no receipt beside it"
    try:
        receipt = read_receipt(data.decode("utf-8"))
    except UnicodeDecodeError:
        return FAILED, "what is beside it is no receipt"
    except AssayError as error:
        return FAILED, error.message
    if receipt.leaf != leaf:
        return FAILED, f"the receipt is of entry {receipt.index}, which is not this event"
    return judge(receipt)


def _of_details(data: bytes | None, event: Event) -> tuple[str, str]:
    if data is None:
        return NOT_CHECKED, "they are not here" if event.details else "the event has none"
    if event.details is None:
        return FAILED, "the event commits to no details"
    try:
        found = Details.from_bytes(data).digest
    except AssayError as error:
        return FAILED, error.message
    if found != event.details:
        return FAILED, "these are not the details that the event commits to"
    return OK, "they are the ones that the event commits to"


def _of_files(files: Sequence[tuple[str, Digest]], event: Event) -> tuple[str, str]:
    known = {subject.digest for subject in event.subjects}
    if not files:
        return NOT_CHECKED, f"the event is about {len(known)}; none was given"
    others = [name for name, digest in files if digest not in known]
    if others:
        return FAILED, f"the event is not about {safe_text(others[0], 200)}"
    return OK, f"the event is about {'it' if len(files) == 1 else 'them'}"
