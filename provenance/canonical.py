"""JSON that two readers cannot read differently: RFC 8785 when it is made, strict when it is read."""

from __future__ import annotations

import json
import re
from typing import Any

import rfc8785

from assay.provenance.asset import Digest
from assay.provenance.errors import MalformedError, UsageError
from assay.provenance.text import safe_text

MAX_NESTING = 64
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{\]}]', re.DOTALL)
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def canonical(document: dict[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of a JSON object; raises UsageError on what is not plain JSON."""
    try:
        return bytes(rfc8785.dumps(document))
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise UsageError(f"this is not plain JSON: {safe_text(error, 120)}") from error


def plain(document: dict[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of an object of strings, integers below 2^53 and such objects, under ASCII names.

    For these the standard library's encoder, sorting names, writes the same bytes as ``canonical`` in a fifth of
    the time; a ledger encodes one object an entry. Raises UsageError on half surrogates and what is no number.
    """
    try:
        text = json.dumps(
            document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise UsageError(f"this is not plain JSON: {safe_text(error, 120)}") from error


def load_json(data: bytes, **hooks: Any) -> Any:
    """Read JSON in UTF-8, nested at most 64 deep; ``hooks`` are json.loads's. Raises ValueError.

    json's own scanner recurses in C as deep as the interpreter's limit lets it, and libraries that people install
    beside us raise that limit until the stack ends: then a line of brackets ends the process.
    """
    text = data.decode("utf-8")
    if text.count("[") + text.count("{") > MAX_NESTING:
        depth = 0
        for token in _STRUCTURE.finditer(text):
            depth += _DEEPER.get(token.group(), 0)
            if depth > MAX_NESTING:
                raise ValueError(f"nested more than {MAX_NESTING} deep")
    return json.loads(text, **hooks)


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """Read one JSON object in UTF-8 in which no name comes twice.

    ``what`` names it in the MalformedError that is raised where it is anything else.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a name comes twice")
        return dict(pairs)

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no number in JSON")

    try:
        document = load_json(data, object_pairs_hook=once, parse_constant=refused)
    except ValueError as error:
        raise MalformedError(f"{what} is not JSON: {safe_text(error, 120)}") from error
    if not isinstance(document, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return document


def text_of(value: object) -> str:
    """Return a string as it is; raises TypeError on anything else, ValueError on one that UTF-8 cannot hold."""
    if not isinstance(value, str):
        raise TypeError("a string is missing")
    if not value.isascii():
        value.encode()  # half of a surrogate pair, which JSON can spell, is no text
    return value


def sha256_of(value: object) -> Digest:
    """Read ``sha256:<64 lower-case hexadecimal digits>``; raises TypeError or ValueError on anything else."""
    text = text_of(value)
    if not _SHA256.fullmatch(text):
        raise ValueError("a digest is not sha256:<64 lower-case hexadecimal digits>")
    return Digest.parse(text)
