"""Anchors in OpenTimestamps: pending, upgraded, checked, which are three different things.

Pending is a calendar's promise and proves nothing. Upgraded means that a Bitcoin block is named. Checked means that
a block header supplied by whoever verifies really commits to the checkpoint. Format: docs/formats/anchor.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from assay.ledger.anchors.context import Context, known_settings, new_record, rfc3339
from assay.ledger.anchors.headers import NETWORKS, Header, HeaderFile
from assay.ledger.anchors.ots_proof import BITCOIN, MAX_ANSWER_BYTES, PENDING, Attestation, OtsProof
from assay.provenance.anchor import AnchorRecord, Journal, Judgement, Standing, checkpoint_digest
from assay.provenance.errors import AssayError, ConfigurationError, MalformedError, NetworkError
from assay.provenance.text import safe_text

ASKED, UPGRADED, CHECKED, REFUSED = "pending", "upgraded", "checked", "refused"
"""The states of a record, in their order; ``refused`` where headers contradict every block that the proof names."""

NONCE_BYTES = 16
MAX_CALENDARS = 8
"""Most calendars asked for one checkpoint."""
HEADERS = {"Accept": "application/vnd.opentimestamps.v1"}


class OpenTimestampsAnchor:
    """Has checkpoints stamped through OpenTimestamps calendars; an entry point of ``assay.anchors``.

    Settings: ``calendars``, a list of addresses, which are all that is ever asked; ``headers``, optional, a file of
    Bitcoin block headers; ``network``, ``bitcoin`` unless tests need ``regtest``. Implements
    ``assay.provenance.anchor.Anchor``.
    """

    kind = "opentimestamps"

    def __init__(self, name: str, settings: Mapping[str, Any], context: Context) -> None:
        optional = {"headers": str, "network": str}
        values = known_settings(name, settings, {"calendars": list}, optional)
        calendars = values["calendars"]
        if len(calendars) > MAX_CALENDARS or not all(isinstance(c, str) for c in calendars):
            raise ConfigurationError(f"[anchors.{name}]: calendars are at most {MAX_CALENDARS} addresses")
        self.name = name
        self._calendars = tuple(c.rstrip("/") for c in calendars)
        self.target = ", ".join(self._calendars)
        self._context = context
        file = values.get("headers")
        self._headers = HeaderFile(context.path(file), values.get("network", NETWORKS[0])) if file else None

    def publish(self, checkpoint: str, journal: Journal) -> AnchorRecord:
        """Ask every calendar to stamp a checkpoint's digest; one answer is enough to begin with.

        Raises NetworkError where none answered as it should.
        """
        proof = OtsProof.begin(checkpoint_digest(checkpoint), self._context.random(NONCE_BYTES))
        commitment, faults = proof.commitment, {}
        for calendar in self._calendars:
            try:
                proof.add(commitment, self._post(calendar, commitment))
            except (NetworkError, MalformedError) as error:
                faults[calendar] = error.message
        if not proof.attestations():
            raise NetworkError(
                f"no calendar answered: {next(iter(faults.values()))}",
                hint="try again; nothing was published",
            )
        detail: dict[str, Any] = {"proof": _text(proof)}
        if faults:
            detail["unanswered"] = faults
        record = new_record(self, checkpoint, ASKED, self._context, detail)
        return journal.save(replace(record, state=self._state(record, proof)))

    def advance(self, record: AnchorRecord, journal: Journal) -> AnchorRecord:
        """Ask the calendars that promised for the rest of the proof, and check what there is against the headers.

        Raises NetworkError where none of them answered; a calendar that has no more yet is no fault.
        """
        if record.state in (CHECKED, REFUSED):
            return record
        proof = _proof(record)
        had = proof.to_bytes()
        if self._judged(record, proof).standing in (Standing.PENDING, Standing.BROKEN):
            self._upgrade(proof)
        state = self._state(record, proof)
        if proof.to_bytes() == had and state == record.state:
            return record
        detail = {**record.detail, "proof": _text(proof)}
        return journal.save(replace(record, state=state, detail=detail, updated=self._context.stamp()))

    def judge(self, record: AnchorRecord, *, online: bool) -> Judgement:
        """Check the kept proof against the supplied headers; needs no network."""
        try:
            proof = _proof(record)
        except MalformedError as error:
            return Judgement(Standing.BROKEN, error.message)
        judged = self._judged(record, proof)
        if judged.standing is Standing.PENDING and not self._owed(proof):
            return replace(judged, says=f"{judged.says}, and no calendar of the settings owes the rest")
        return judged

    def _judged(self, record: AnchorRecord, proof: OtsProof) -> Judgement:
        if not proof.sha256 or proof.digest != checkpoint_digest(record.checkpoint):
            return Judgement(
                Standing.BROKEN, "the OpenTimestamps proof is of other bytes than this checkpoint"
            )
        return judge_attestations(proof.attestations(), self._headers)

    def _state(self, record: AnchorRecord, proof: OtsProof) -> str:
        """Return the state that a proof has reached; a refusal waits until no calendar owes anything."""
        attested = {item.kind for item in proof.attestations()}
        standing = self._judged(record, proof).standing
        if standing is Standing.OK:
            return CHECKED
        if standing is Standing.BROKEN and PENDING not in attested:
            return REFUSED
        return UPGRADED if BITCOIN in attested else ASKED

    def _owed(self, proof: OtsProof) -> list[Attestation]:
        return [
            i for i in proof.attestations() if i.kind == PENDING and i.calendar.rstrip("/") in self._calendars
        ]

    def _upgrade(self, proof: OtsProof) -> None:
        """Ask for what was promised; only calendars named in the settings are asked, whatever the proof says."""
        faults, answered = [], False
        for item in self._owed(proof):
            try:
                answer = self._get(item.calendar.rstrip("/"), item.message)
                if answer is not None:
                    proof.add(item.message, answer)
                answered = True
            except (NetworkError, MalformedError) as error:
                faults.append(error)
        if faults and not answered:
            raise NetworkError(f"no calendar answered: {faults[0].message}", hint="try again later")

    def _post(self, calendar: str, commitment: bytes) -> bytes:
        with self._context.net() as net:
            answer = net.request(
                "POST", f"{calendar}/digest", body=commitment, headers=HEADERS, max_bytes=MAX_ANSWER_BYTES
            )
        if answer.status != 200:
            raise NetworkError(f"{safe_text(calendar, 120)} answered HTTP {answer.status}")
        return answer.body

    def _get(self, calendar: str, message: bytes) -> bytes | None:
        """Return the rest of a proof, None where the calendar has none yet (HTTP 404)."""
        url = f"{calendar}/timestamp/{message.hex()}"
        with self._context.net() as net:
            answer = net.request("GET", url, headers=HEADERS, max_bytes=MAX_ANSWER_BYTES)
        if answer.status not in (200, 404):
            raise NetworkError(f"{safe_text(calendar, 120)} answered HTTP {answer.status}")
        return answer.body if answer.status == 200 else None


def judge_attestations(attested: list[Attestation], headers: HeaderFile | None) -> Judgement:
    """Say what a proof's attestations are worth with these block headers, or with none."""
    blocks = [item for item in attested if item.kind == BITCOIN]
    if not blocks:
        return _unproven(attested)
    named = ", ".join(str(height) for height in sorted({item.height for item in blocks}))
    upgraded = f"upgraded: the proof names Bitcoin block {named}"
    if headers is None:
        return Judgement(Standing.UNCHECKED, f"{upgraded}; no block headers are given to check it against")
    try:
        found = headers.find(item.height for item in blocks)
    except AssayError as error:  # the headers' fault, not the proof's
        return Judgement(Standing.UNCHECKED, f"{upgraded}; the block headers are of no use: {error.message}")
    proven = [found[i.height] for i in blocks if i.height in found and _commits(found[i.height], i)]
    if proven:
        return _checked(min(proven, key=lambda header: header.time), headers)
    if any(item.height in found for item in blocks):
        return Judgement(
            Standing.BROKEN,
            f"the proof names Bitcoin block {named}, but that block's header does not commit to it",
        )
    return Judgement(Standing.UNCHECKED, f"{upgraded}, whose header is not among those given")


def _commits(header: Header, item: Attestation) -> bool:
    return header.merkle_root == item.message


def _checked(header: Header, headers: HeaderFile) -> Judgement:
    time = rfc3339(header.time)
    return Judgement(
        Standing.OK,
        f"checked: Bitcoin block {header.height} commits to it; its header says {time} (blocks are dated to within "
        f"about two hours), and is as good as where {safe_text(headers.path.name, 80)} came from",
        time,
    )


def _unproven(attested: list[Attestation]) -> Judgement:
    others = sorted({_other(item) for item in attested if item.kind != PENDING})
    if others:
        return Judgement(
            Standing.UNCHECKED,
            f"attested by {', '.join(others)}, which Assay cannot check; this proves nothing",
        )
    calendars = ", ".join(sorted({safe_text(item.calendar, 80) for item in attested}))
    return Judgement(Standing.PENDING, f"pending: only a promise of {calendars}; this proves nothing yet")


def _other(item: Attestation) -> str:
    return f"{item.kind.title()} block {item.height}" if item.height else "a notary of an unknown kind"


def _proof(record: AnchorRecord) -> OtsProof:
    try:
        data = base64.b64decode(str(record.detail.get("proof")), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("the anchor's record cannot be read") from error
    return OtsProof.parse(data)


def _text(proof: OtsProof) -> str:
    return base64.b64encode(proof.to_bytes()).decode()
