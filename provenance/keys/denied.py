"""The deny-list: certificates that this desk no longer believes, by serial number. Format: docs/formats/trust.md."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.files.atomic import atomic_output

DENIED = "revoked.toml"
"""The deny-list's file, in the folder of the trust lists."""
DENIED_TYPE = "assay.revoked/v1"
MAX_DENIED_BYTES = 16 << 20
SHORT_SERIAL = 1 << 32
"""Serial numbers below this are not rare enough to stand without their issuer."""
_FIELDS = {"serial", "issuer", "since", "reason"}


@dataclass(frozen=True, slots=True)
class Denial:
    """One certificate that is no longer believed.

    ``serial`` is decimal, as in reports; ``issuer`` the issuer's name as RFC 4514 writes it, "" for any; ``since`` the
    first moment from which its signatures do not count, None for all of them.
    """

    serial: str
    issuer: str = ""
    since: dt.datetime | None = None
    reason: str = ""


def read_serial(text: str) -> str:
    """Return a serial number in decimal: digits are decimal, as in reports; hexadecimal has 0x, colons or letters.

    Raises UsageError for anything else.
    """
    plain = text.strip().lower().replace(":", "")
    try:
        number = int(plain, 10 if re.fullmatch("[0-9]+", text.strip()) else 16)
    except ValueError:
        number = -1
    if not 0 < number < 1 << 160:
        raise UsageError(
            f"not a serial number: {text[:60]!r}", hint="as in a report's manifest.signer.serial, or 3f:a1:…"
        )
    return str(number)


def check_denial(denial: Denial) -> Denial:
    """Return a denial that may stand; raises UsageError where it would deny others' certificates too."""
    if int(read_serial(denial.serial)) < SHORT_SERIAL and not denial.issuer:
        raise UsageError(
            f"{denial.serial} is too short a serial number to stand alone",
            hint="name its issuer with --issuer",
        )
    return denial


def read_denials(path: Path) -> tuple[Denial, ...]:
    """Return a deny-list, empty where there is no file; raises ConfigurationError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_DENIED_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigurationError(f"the deny-list cannot be read: {error.strerror}", path=path) from error
    try:
        if len(data) > MAX_DENIED_BYTES:
            raise ValueError(f"larger than {MAX_DENIED_BYTES} bytes")
        document = tomllib.loads(data.decode("utf-8"))
        if document.get("type") != DENIED_TYPE or set(document) - {"type", "revoked"}:
            raise ValueError("not of a known version")
        return tuple(_denial(item) for item in document.get("revoked", []))
    except (ValueError, TypeError, RecursionError, UsageError) as error:
        raise ConfigurationError(
            f"the deny-list cannot be read: {error}",
            path=path,
            hint="docs/formats/trust.md says how it is written",
        ) from error


def _denial(item: dict[str, object]) -> Denial:
    if set(item) - _FIELDS or not isinstance(item.get("serial"), str):
        raise ValueError("an entry has other fields than serial, issuer, since and reason")
    issuer, reason, since = item.get("issuer", ""), item.get("reason", ""), item.get("since")
    if not isinstance(issuer, str) or not isinstance(reason, str):
        raise ValueError("issuer and reason are strings")
    if since is not None and not (isinstance(since, dt.datetime) and since.tzinfo):
        raise ValueError("since is a moment with a time zone, as 2026-09-05T00:00:00Z")
    return check_denial(Denial(read_serial(str(item["serial"])), issuer, since, reason))


def write_denials(path: Path, denials: Iterable[Denial]) -> None:
    """Write a deny-list in place of the one before, whole or not at all; one entry a serial number and issuer."""
    kept = {(d.serial, d.issuer): check_denial(d) for d in denials}
    lines = [f'type = "{DENIED_TYPE}"']
    for _, denial in sorted(kept.items()):
        lines += ["", "[[revoked]]", f"serial = {_quoted(denial.serial)}"]
        lines += [f"issuer = {_quoted(denial.issuer)}"] if denial.issuer else []
        lines += [f"since = {denial.since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"] if denial.since else []
        lines += [f"reason = {_quoted(denial.reason)}"] if denial.reason else []
    with atomic_output(path, overwrite=True) as stream:
        stream.write("\n".join([*lines, ""]).encode("utf-8", "replace"))


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string where every control is escaped, DEL too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
