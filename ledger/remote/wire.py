"""What server and client of the remote ledger agree on: limits, and recovery records in JSON.

Format: docs/formats/remote.md.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from assay.provenance.canonical import load_json
from assay.provenance.entry import RECOVERY_TYPE, Fingerprint, Recovery
from assay.provenance.errors import LimitError, MalformedError

MIB = 1 << 20
MAX_RECORD_BYTES = 6 * MIB
"""Largest recovery record that travels, in its canonical bytes."""
MAX_APPEND_BYTES = MAX_RECORD_BYTES + MIB
"""Largest body of an append."""
GROUP = 8
"""Recovery records asked for together, so that the one that is meant does not stand out."""
MAX_RECOVERIES_BYTES = GROUP * (MAX_RECORD_BYTES + 1024)
MAX_PREFIX_BITS = 40
"""Longest look-up prefix that a server answers: it cannot be made to learn a whole key, not by mistake either."""
MAX_ASKED_BITS = 24
"""Longest look-up prefix that a client sends, enough for 20 billion entries: how many there are is the server's word,
and one that signs for more than it has must not learn whole keys by it."""
MATCHES = 32
"""Entries that a look-up prefix should at least match, if every entry had one key; most have three."""
PAGE_RECEIPTS = 128
"""Most receipts in one answer."""
PAGE_BYTES = 4 * MIB
"""Most bytes of receipts in one answer (one receipt more may begin below it)."""
PAGE_FINGERPRINTS = 20_000
"""Most fingerprints in one answer."""
FINGERPRINT_BYTES = 32
"""Length of the fingerprints that travel."""

_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def prefix_bits(size: int) -> int:
    """Return how many bits of a look-up key to send to a log of ``size`` entries."""
    return min(MAX_ASKED_BITS, max(0, (size // MATCHES).bit_length() - 1))


def parse_json(data: bytes, what: str) -> Any:
    """Read JSON; raises MalformedError on anything else, nesting without end included."""
    try:
        return load_json(data)
    except ValueError as error:
        raise MalformedError(f"{what} is not JSON") from error


def recovery_to_json(recovery: Recovery) -> Any:
    """Return a recovery record as it travels; raises LimitError where it is too large for that."""
    data = recovery.to_bytes()
    if len(data) > MAX_RECORD_BYTES:
        raise LimitError(f"the recovery record has {len(data)} bytes, more than {MAX_RECORD_BYTES}")
    return load_json(data)


def recovery_from_json(document: Any) -> Recovery:
    """Read a recovery record; raises MalformedError. Only its digest says whether it is the right one."""
    try:
        if document["type"] != RECOVERY_TYPE:
            raise ValueError("unknown type")
        mark = document["fingerprint"]
        return Recovery(
            salt=_hex(document["salt"]),
            fingerprint=mark
            and Fingerprint(_text(mark["alg"]), _hex(mark["value"]), _whole(mark["quality"])),
            sketch=_base64(document["sketch"]),
            manifest=_base64(document["manifest"]),
            bindings=tuple((_text(b["alg"]), _text(b["value"])) for b in document.get("bindings", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise MalformedError("not a recovery record") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _hex(value: Any) -> bytes:
    if not _HEX.fullmatch(_text(value)):
        raise ValueError("not hexadecimal")
    return bytes.fromhex(value)


def _base64(value: Any) -> bytes:
    return base64.b64decode(_text(value), validate=True)
