"""Anchors at a time-stamp authority (RFC 3161), whose own certificate is pinned. Format: docs/formats/anchor.md."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from assay.ledger.anchors.context import Context, known_settings, new_record, rfc3339
from assay.provenance.anchor import AnchorRecord, Journal, Judgement, Standing, checkpoint_text
from assay.provenance.errors import ConfigurationError, CredentialError, MalformedError, NetworkError
from assay.provenance.keys.certificates import load_pem
from assay.provenance.text import safe_text

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

REQUESTED, STAMPED, REFUSED = "requested", "stamped", "refused"
"""The states of a record: asked and not answered; a token is kept that verified; the answer was of no use."""

MAX_REPLY_BYTES = 1 << 16
"""Largest answer taken from an authority; tokens with a whole chain inside have about 6 kB."""
MAX_PEM_BYTES = 1 << 20
"""Largest certificate file."""

_GRANTED = 0  # PKIStatus, RFC 3161 section 2.4.2
_INSTALL = "pip install 'assay[timestamp]'"
# What the verifying library says, and what that means; anything else is shown as the library has it.
_WORDS = (
    ("Nonce mismatch", "it answers another request: the nonce differs"),
    ("Mismatch between messages", "it stamps other bytes than this checkpoint"),
    ("signature failure", "its signature does not verify"),
    ("certificate has expired", "the authority's certificate had expired at the time that it states"),
    (
        "certificate is not yet valid",
        "the authority's certificate was not valid yet at the time that it states",
    ),
    ("unable to get local issuer", "the authority's certificate does not lead to the roots given"),
    ("self-signed certificate", "the authority's certificate does not lead to the roots given"),
    ("Embedded certificate does not match", "it is signed with another certificate than the pinned one"),
    ("No leaf certificate found", "it does not say with which certificate it is signed"),
    ("certificate purpose", "the pinned certificate is not one for time-stamping"),
    ("EKU extension", "the pinned certificate is not one for time-stamping"),
)


class TimestampAuthority:
    """A time-stamp authority as it is known here: the certificates that it signs with, and what they hang from.

    Both are PEM. A token counts only if exactly one of the pinned certificates signed it, and that certificate
    was valid, under the roots, at the time that the token states. Raises CredentialError where a file holds no
    certificate, ConfigurationError where the library is not installed.
    """

    def __init__(self, pinned: bytes, roots: bytes, origin: str) -> None:
        try:
            import rfc3161_client
        except ImportError as error:
            raise ConfigurationError("RFC 3161 anchors are not installed", hint=_INSTALL) from error
        self._library = rfc3161_client
        self._pinned = load_pem(pinned, origin)
        above = load_pem(roots, origin)
        self._roots = [c for c in above if c.subject == c.issuer]
        self._between = [c for c in above if c.subject != c.issuer]
        if not self._roots:
            raise CredentialError(
                "no root certificate is given", path=origin, hint="the file of roots needs a self-signed one"
            )

    def request(self, message: bytes) -> tuple[bytes, int]:
        """Return a request for a stamp over SHA-256 of the message, with a fresh nonce, and that nonce.

        The library draws the nonce (64 bits, from the system) and asks for the certificate.
        """
        builder = self._library.TimestampRequestBuilder().data(message)
        request = builder.hash_algorithm(self._library.HashAlgorithm.SHA256).build()
        if request.nonce is None:
            raise CredentialError("the time-stamp library made a request without a nonce", hint=_INSTALL)
        return request.as_bytes(), request.nonce

    def granted(self, reply: bytes) -> str:
        """Return "" if the authority stamped, else its refusal in words; raises MalformedError for no answer at all."""
        answer = self._decode(reply)
        if answer.status == _GRANTED:
            return ""
        said = safe_text("; ".join(line for line in answer.status_string if line), 200)
        return f"the authority refused (status {answer.status})" + (f": {said}" if said else "")

    def stamped(self, reply: bytes, message: bytes, nonce: int | None = None) -> dt.datetime:
        """Verify an answer over a message and return the latest moment by which the message existed, in UTC.

        That is the token's genTime plus the accuracy that it claims (RFC 3161 section 2.4.2), in whole seconds.
        Raises MalformedError, saying why, where the token proves nothing.
        """
        answer = self._decode(reply)
        pinned = self._signer(answer)
        try:
            builder = self._library.VerifierBuilder(
                tsa_certificate=pinned, roots=self._roots, intermediates=self._between, nonce=nonce
            )
            builder.build().verify_message(answer, message)
            return _latest(answer)
        except Exception as error:  # its own, and whatever the parsers below it raise
            raise MalformedError(f"the time-stamp does not count: {_in_words(error)}") from error

    def _decode(self, reply: bytes) -> TimeStampResponse:
        try:
            return self._library.decode_timestamp_response(reply)
        except Exception as error:  # ValueError, and what its parsers raise
            raise MalformedError("not an RFC 3161 answer", hint="is the address right?") from error

    def _signer(self, answer: TimeStampResponse) -> Certificate:
        """Return the pinned certificate that the token names as its signer's."""
        try:
            (signer,) = answer.signed_data.signer_infos
            names = (signer.issuer, signer.serial_number)
        except Exception as error:  # no token, not one signer, or unreadable
            raise MalformedError("the answer holds no time-stamp with exactly one signer") from error
        for certificate in self._pinned:
            if (certificate.issuer, certificate.serial_number) == names:
                return certificate
        raise MalformedError(
            "the time-stamp does not count: it is signed with another certificate than the pinned one",
            hint="if the authority has a new one, add it to the file of pinned certificates",
        )


def _latest(answer: TimeStampResponse) -> dt.datetime:
    info = answer.tst_info
    claimed = info.accuracy
    time = info.gen_time.astimezone(dt.UTC)
    if claimed is not None:
        time += dt.timedelta(
            seconds=claimed.seconds or 0, milliseconds=claimed.millis or 0, microseconds=claimed.micros or 0
        )
    return time if not time.microsecond else time.replace(microsecond=0) + dt.timedelta(seconds=1)


def _in_words(error: Exception) -> str:
    said = str(error)
    said = (
        said.partition("Verify error: ")[2].partition('"')[0] or said
    )  # OpenSSL's reason, where it gives one
    return next((words for sign, words in _WORDS if sign in said), safe_text(said, 200))


class Rfc3161Anchor:
    """Has checkpoints stamped by one authority; an entry point of ``assay.anchors``.

    Settings: ``url``; ``certificate``, a PEM file of the authority's own certificates, pinned; ``roots``, a PEM
    file of the root and whatever stands between. Implements ``assay.provenance.anchor.Anchor``.
    """

    kind = "rfc3161"

    def __init__(self, name: str, settings: Mapping[str, Any], context: Context) -> None:
        values = known_settings(name, settings, {"url": str, "certificate": str, "roots": str}, {})
        self.name, self.target = name, values["url"]
        self._context = context
        self._authority = TimestampAuthority(
            context.read(values["certificate"], MAX_PEM_BYTES),
            context.read(values["roots"], MAX_PEM_BYTES),
            f"[anchors.{name}]",
        )

    def publish(self, checkpoint: str, journal: Journal) -> AnchorRecord:
        """Ask for a stamp over a checkpoint's text; the request is on record before it is sent.

        Raises NetworkError where the authority did not answer: the record then stays ``requested``.
        """
        request, nonce = self._authority.request(checkpoint_text(checkpoint))
        detail = {"request": _text(request), "nonce": str(nonce)}
        record = journal.save(new_record(self, checkpoint, REQUESTED, self._context, detail))
        return self.advance(record, journal)

    def advance(self, record: AnchorRecord, journal: Journal) -> AnchorRecord:
        """Send a request that has no answer yet; a token that does not verify is kept as ``refused``."""
        if record.state != REQUESTED:
            return record
        reply = self._ask(_bytes(record.detail.get("request")))
        try:
            problem = self._authority.granted(reply)
        except MalformedError as error:
            raise NetworkError(f"{self.target} gave no RFC 3161 answer", hint=error.hint) from error
        detail = {**record.detail, "reply": _text(reply)}
        stamped = replace(record, state=STAMPED, detail=detail)
        if not problem:
            judged = self.judge(stamped, online=False)
            problem = "" if judged.standing is Standing.OK else judged.says
        if problem:
            stamped = replace(record, state=REFUSED, detail={**detail, "reason": problem})
        return journal.save(replace(stamped, updated=self._context.stamp()))

    def judge(self, record: AnchorRecord, *, online: bool) -> Judgement:
        """Verify the kept token against the pinned certificate; needs no network."""
        if record.state == REQUESTED:
            return Judgement(
                Standing.PENDING, "asked for a time-stamp, not answered yet; this proves nothing"
            )
        if record.state == REFUSED:
            return Judgement(Standing.BROKEN, safe_text(record.detail.get("reason") or "refused", 300))
        try:
            reply, nonce = _bytes(record.detail.get("reply")), int(str(record.detail.get("nonce")))
            time = rfc3339(self._authority.stamped(reply, checkpoint_text(record.checkpoint), nonce))
        except (MalformedError, ValueError) as error:
            why = error.message if isinstance(error, MalformedError) else "the record lacks its nonce"
            return Judgement(Standing.BROKEN, why)
        return Judgement(
            Standing.OK, f"time-stamped by {safe_text(self.target, 200)} no later than {time}", time
        )

    def _ask(self, request: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        with self._context.net() as net:
            answer = net.request(
                "POST", self.target, body=request, headers=headers, max_bytes=MAX_REPLY_BYTES
            )
        if answer.status != 200:
            raise NetworkError(f"{safe_text(self.target, 200)} answered HTTP {answer.status}")
        return answer.body


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("the anchor's record cannot be read") from error
