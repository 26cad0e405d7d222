"""Changes of documents that know a little of their structure: numbers, strings, lines, brackets, lengths."""

from __future__ import annotations

import re

import numpy as np

TOKENS = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b"Infinity", b"18446744073709551616", b"0.0000000001", b'""', b"[]",
    b"{}", b'"\\ud800"', b"\x00", b"\xff\xfe", b"\xe2\x80\xae", b"\x1b[2J", b"<script>", b"../../etc/passwd", b"%s%n",
    b"[" * 2000, b"{\"a\":" * 500, b"\n\n", b"\r\n", b" " * 5000, b"A" * 70_000,
)  # fmt: skip
_PIECES = re.compile(rb'"[^"\n]*"|-?\d+(?:\.\d+)?|\S+|\n')


def mutated(document: bytes, rng: np.random.Generator) -> bytes:
    """Return a document after one to four changes."""
    for _ in range(int(rng.integers(1, 5))):
        change = CHANGES[int(rng.integers(len(CHANGES)))]
        document = change(document, rng)
    return document


def _flipped(document: bytes, rng: np.random.Generator) -> bytes:
    if not document:
        return document
    place = int(rng.integers(len(document)))
    return document[:place] + bytes([document[place] ^ (1 << int(rng.integers(8)))]) + document[place + 1 :]


def _cut(document: bytes, rng: np.random.Generator) -> bytes:
    one, other = sorted(int(n) for n in rng.integers(0, len(document) + 1, 2))
    return document[:one] + document[other:] if rng.random() < 0.5 else document[:one]


def _replaced(document: bytes, rng: np.random.Generator) -> bytes:
    """Put a token in the place of a string, a number or a word."""
    pieces = list(_PIECES.finditer(document))
    if not pieces:
        return document
    found = pieces[int(rng.integers(len(pieces)))]
    return document[: found.start()] + _token(rng) + document[found.end() :]


def _inserted(document: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(document) + 1))
    return document[:place] + _token(rng) + document[place:]


def _doubled(document: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a line, or what stands between two commas."""
    parts = document.split(b"\n" if rng.random() < 0.5 else b",")
    place = int(rng.integers(len(parts)))
    mark = b"\n" if b"\n" in document else b","
    return mark.join([*parts[:place], parts[place], *parts[place:]])


def _swapped(document: bytes, rng: np.random.Generator) -> bytes:
    lines = document.split(b"\n")
    one, other = (int(n) for n in rng.integers(0, len(lines), 2))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _token(rng: np.random.Generator) -> bytes:
    return TOKENS[int(rng.integers(len(TOKENS)))]


CHANGES = (_flipped, _flipped, _cut, _replaced, _replaced, _inserted, _doubled, _swapped)
