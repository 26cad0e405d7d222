"""The bounded view of a file and the map of its metadata that the byte-layout walkers share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from assay.provenance.errors import LimitError, MalformedError

MAX_PARTS = 100_000
"""Most metadata parts remembered of one file."""
_WINDOW = 1 << 20

Span = tuple[int, int]
"""A half-open range of file offsets, in bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a file that holds metadata: its name in the format, and its bytes as ``[start, end)``."""

    name: str
    start: int
    end: int


class View:
    """Random access to a stream through one cached window; every read is checked against the file's end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, os.SEEK_END)
        self._base = 0
        self._window = b""

    def peek(self, at: int, count: int) -> bytes:
        """Return up to ``count`` bytes at ``at``, fewer at the end of the file."""
        start = at - self._base
        if start < 0 or start + count > len(self._window):
            self._stream.seek(at)
            self._window = self._stream.read(max(count, _WINDOW))
            self._base, start = at, 0
        return self._window[start : start + count]

    def read(self, at: int, count: int) -> bytes:
        """Return exactly ``count`` bytes at ``at``; raises MalformedError past the end."""
        data = self.peek(at, count) if 0 <= at <= self.size else b""
        if len(data) != count:
            raise MalformedError(f"ends at byte {self.size}, within a structure that goes on")
        return data

    def number(self, at: int, count: int, order: Literal["big", "little"] = "big") -> int:
        """Return an unsigned integer of ``count`` bytes."""
        return int.from_bytes(self.read(at, count), order)


@dataclass(slots=True)
class Map:
    """What a walker found, in the making.

    ``metadata`` are the parts known to be harmless, ``claimed`` spans that are content even where a metadata
    part says they are its own, ``end`` where the first picture (or film, or sound) ends, ``after`` where all
    that belongs to the format ends.
    """

    metadata: list[Part] = field(default_factory=list)
    claimed: list[Span] = field(default_factory=list)
    end: int = 0
    after: int = 0
    frames: int = 1
    pictures: int = 1

    def add(self, name: str, start: int, end: int) -> None:
        """Note one metadata part; raises LimitError over ``MAX_PARTS``."""
        if len(self.metadata) >= MAX_PARTS:
            raise LimitError(f"has more than {MAX_PARTS} metadata parts")
        self.metadata.append(Part(name, start, end))

    def stop(self, end: int) -> None:
        """Note where the format ends."""
        self.end = self.after = end


def merge(spans: list[Span]) -> list[Span]:
    """Return the union of spans, sorted and disjoint."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(spans: list[Span], holes: list[Span]) -> list[Span]:
    """Return the parts of ``spans`` that no hole covers; both are merged first."""
    left: list[Span] = []
    gaps = merge(holes)
    at = 0
    for start, end in merge(spans):
        while at < len(gaps) and gaps[at][1] <= start:
            at += 1
        place = at
        while place < len(gaps) and gaps[place][0] < end:
            if gaps[place][0] > start:
                left.append((start, gaps[place][0]))
            start = max(start, gaps[place][1])
            place += 1
        if start < end:
            left.append((start, end))
    return left
