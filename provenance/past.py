"""Past reports as they are read again: of each, only what decides whether it would be said again.

Most of a report is evidence in words, which nobody needs here: msgspec passes over it without making objects of it, so
that a hundred thousand reports are read in seconds. What it refuses is read by the standard library before it is called
malformed: a path that is no UTF-8 stands in JSON as half of a surrogate pair, which only that takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from assay.provenance.canonical import load_json
from assay.provenance.errors import InputError, MalformedError
from assay.provenance.report import REPORT_TYPE

MAX_LINE = 64 << 20
"""Largest report, and largest file of one report or one array of them, that is read."""
SHALLOW = 64 << 10
"""Bytes of a line in which nothing can be nested so deep that a parser's stack ends; a report has some thousands."""


@dataclass(frozen=True, slots=True)
class PastDigest:
    """The digest of the file that was examined."""

    alg: str
    value: str


@dataclass(frozen=True, slots=True)
class PastAsset:
    """The file that was examined, as it was named then."""

    path: str
    digest: PastDigest


@dataclass(frozen=True, slots=True)
class PastTime:
    """What was known of when it was signed; ``trust`` as in reports."""

    trust: str


@dataclass(frozen=True, slots=True)
class PastOrigin:
    """Who vouched for it, on which list."""

    status: str
    list: str
    time: PastTime


@dataclass(frozen=True, slots=True)
class PastAxes:
    """The axis that trust can change."""

    origin: PastOrigin


@dataclass(frozen=True, slots=True)
class PastSigner:
    """The signing certificate: decimal serial number, last day (RFC 3339 or "")."""

    serial: str
    not_after: str


@dataclass(frozen=True, slots=True)
class PastRevocation:
    """What was known of its revocation, and from whom."""

    state: str = "unknown"
    source: str = ""


@dataclass(frozen=True, slots=True)
class PastManifest:
    """Credentials; older reports say nothing of revocation."""

    state: str
    label: str
    signer: PastSigner
    time: PastTime
    revocation: PastRevocation | None = None


@dataclass(frozen=True, slots=True)
class PastRecovered:
    """The original that the ledger led to."""

    manifest: PastManifest | None = None


@dataclass(frozen=True, slots=True)
class PastEvidence:
    """A check that was asked."""

    check: str


@dataclass(frozen=True, slots=True)
class PastList:
    """A trust list that counted."""

    kind: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Past:
    """What a past report rested on and said (docs/formats/report.md)."""

    asset: PastAsset
    verdict: str
    axes: PastAxes
    manifest: PastManifest
    policy: str
    trust: tuple[PastList, ...]
    engines: dict[str, Any]
    time: str
    recovered: PastRecovered | None = None
    evidence: tuple[PastEvidence, ...] = field(default=())

    @property
    def signed(self) -> PastManifest:
        """The manifest whose signer the report rests on: the file's, or its original's from the ledger."""
        original = self.recovered.manifest if self.recovered else None
        return self.manifest if self.manifest.label else original or self.manifest


@dataclass(frozen=True, slots=True)
class _Line(Past):
    type: str = ""


_READER = msgspec.json.Decoder(_Line)


def read_reports(path: Path) -> Iterator[Past]:
    """Yield the reports of a file: one, an array of them, or JSON Lines; other lines' types are passed over.

    Raises InputError where it cannot be opened, MalformedError for what is no JSON, larger than MAX_LINE, or a report
    without what every report has.
    """
    try:
        with path.open("rb") as stream:
            first = stream.read(1)
            stream.seek(0)
            head = stream.readline(MAX_LINE + 1)
            whole = first == b"[" or head.strip() == b"{"
            lines = iter([head + stream.read(MAX_LINE + 1 - len(head))]) if whole else _lines(head, stream)
            for line in lines:
                yield from _parsed(line, path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def _lines(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while head:
        if head.strip():
            yield head
        head = stream.readline(MAX_LINE + 1)


def _parsed(line: bytes, path: Path) -> Iterator[Past]:
    if len(line) > MAX_LINE:
        raise MalformedError(f"a report is larger than {MAX_LINE} bytes", path=path)
    if len(line) <= SHALLOW:
        try:
            found = _READER.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # not one report, or not spelled so: below it is told what it is
        else:
            if found.type == REPORT_TYPE:
                yield found
            return
    try:
        document = load_json(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON, or not whole", path=path) from error
    for item in document if isinstance(document, list) else [document]:
        if isinstance(item, dict) and item.get("type") == REPORT_TYPE:
            try:
                yield msgspec.convert(item, _Line)
            except (msgspec.ValidationError, RecursionError) as error:
                raise MalformedError(f"a report lacks what every report has: {error}", path=path) from error
