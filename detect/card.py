"""A detector's card: what it is and was made from, how it is weighed, where it fails. Format: docs/formats/model.md."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assay.detect.calibrate import Line
from assay.provenance.canonical import json_object
from assay.provenance.errors import LimitError, MalformedError, UnsupportedError
from assay.provenance.text import safe_text

CARD_TYPE = "assay.detector-card/v1"
MAX_CARD_BYTES = 1 << 18
"""Largest card read or written."""
MAX_WEIGHTS_BYTES = (1 << 31) - 1
"""Largest file of weights; also the most that an ONNX file can have."""
MAX_TEXT = 2_000
"""Most characters of one string."""
MAX_SOURCES, MAX_FIGURES, MAX_LINES, MAX_FAILS, MAX_SETTINGS = 200, 500, 16, 100, 32
"""Most training sources, figures, lines of calibration, sentences and settings."""
MAX_SIDE, MAX_CROPS, MAX_LENGTH = 4_096, 4_096, 1 << 20
"""Largest side of a crop in pixels, most crops of a picture, most numbers in a vector."""
MAX_COUNT = 1 << 53
"""Counts of files, and sizes, are below this."""
KINDS = ("image", "video", "audio")
FORMATS = ("onnx", "safetensors")
CROPS, VECTORS, FRAMES = "crops", "vectors", "frames"
"""What a network may be given, and the name of its input."""
NATIVE, WHOLE = "native", "whole"
"""At which scale crops are cut: the picture's own, or with its shorter side brought down to that of a crop."""
UNMEASURED = "Not measured by Assay: nothing is known of where it fails."

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,63}")

Setting = float | int | bool | str
"""What an architecture may be built with."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The file of weights: its bare name, ``onnx`` or ``safetensors``, SHA-256 in hexadecimal, size."""

    file: str
    format: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Input:
    """What the network is given: at most ``crops`` crops of ``side`` pixels at the picture's own scale.

    ``takes`` is ``crops``, ``vectors`` (of ``length`` numbers, one a crop) or ``frames``; a picture whose shorter
    side has fewer than ``least_side`` pixels is not examined. With ``scale`` ``whole`` the picture is first
    reduced until its shorter side has ``side`` pixels: for networks that judge what is shown, not residuals. Where
    ``quality`` is not 0 each crop goes through a JPEG of that quality, as files that never met an encoder have not.
    """

    takes: str
    side: int
    crops: int
    least_side: int
    scale: str = NATIVE
    length: int = 0
    quality: int = 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a logit becomes a likelihood ratio: one line a condition; without one the model is silent in it."""

    id: str
    lines: Mapping[str, Line]


@dataclass(frozen=True, slots=True)
class Source:
    """Training data: where they are, under which licence, and how many real and fake files were used."""

    name: str
    repository: str
    commit: str
    licence: str
    real: int
    fake: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: what it is, on which data, its interval if there is one, the command that prints it."""

    figure: str
    on: str
    value: float
    low: float | None
    high: float | None
    command: str


@dataclass(frozen=True, slots=True)
class Card:
    """One detector: ``settings`` are what its ``architecture`` is built with, ``fails`` sentences, ``made`` a date.

    Its rules are held where it is read and where it is written: ``from_bytes`` and ``to_bytes``.
    """

    name: str
    version: str
    kind: str
    family: str
    architecture: str
    settings: Mapping[str, Setting]
    weights: Weights
    input: Input
    calibration: Calibration | None
    sources: tuple[Source, ...]
    licence: str
    fails: tuple[str, ...]
    measured: tuple[Figure, ...]
    made: str

    def to_json(self) -> dict[str, Any]:
        """Return the form used in files and on the command line."""
        return {"type": CARD_TYPE, **asdict(self)}

    def to_bytes(self) -> bytes:
        """Return the card's file; raises MalformedError, LimitError where the card breaks the format's rules."""
        try:
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
            data = text.encode() + b"\n"
        except ValueError as error:  # not a number, half of a surrogate pair
            raise MalformedError(f"the card holds what JSON cannot: {safe_text(error, 120)}") from error
        if Card.from_bytes(data) != self:
            raise MalformedError("the card holds what would be read back otherwise", hint="tuples, not lists")
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Card:
        """Read a card's file strictly; raises MalformedError, LimitError, UnsupportedError for another version."""
        if len(data) > MAX_CARD_BYTES:
            raise LimitError(f"the card has more than {MAX_CARD_BYTES} bytes")
        document = json_object(data, "the card")
        kind = document.pop("type", None)
        if kind != CARD_TYPE:
            raise UnsupportedError(
                f"the card is of unknown type {safe_text(kind, 80)!r}", hint=f"this version reads {CARD_TYPE}"
            )
        reader = _Reader(document, "the card")
        card = cls(
            name=reader.text("name", NAME),
            version=reader.text("version", _WORD),
            kind=reader.choice("kind", KINDS),
            family=reader.text("family", _WORD),
            architecture=reader.text("architecture", _WORD),
            settings=_settings(reader.inner("settings")),
            weights=_weights(reader.inner("weights")),
            input=_input(reader.inner("input")),
            calibration=None if reader.is_null("calibration") else _calibration(reader.inner("calibration")),
            sources=tuple(_source(r) for r in reader.inners("sources", MAX_SOURCES)),
            licence=reader.text("licence"),
            fails=reader.texts("fails", MAX_FAILS),
            measured=tuple(_figure(r) for r in reader.inners("measured", MAX_FIGURES)),
            made=reader.date("made"),
        )
        reader.end()
        return card


class _Reader:
    """Takes an object's fields one by one, checked; what is left at the end is unknown, and refused."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{where} is not an object")
        self._left: dict[str, Any] = dict(value)
        self.where = where

    def wrong(self, name: str, what: str) -> MalformedError:
        return MalformedError(f"{self.where}: {safe_text(name, 80)} {what}")

    def take(self, name: str) -> Any:
        if name not in self._left:
            raise self.wrong(name, "is missing")
        return self._left.pop(name)

    def names(self) -> list[str]:
        return list(self._left)

    def end(self) -> None:
        for name in self._left:
            raise self.wrong(name, "is not a field of this version")

    def is_null(self, name: str) -> bool:
        null = name in self._left and self._left[name] is None
        if null:
            del self._left[name]
        return null

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        return self._text(name, self.take(name), pattern)

    def _text(self, name: str, value: object, pattern: re.Pattern[str] | None = None) -> str:
        if not isinstance(value, str):
            raise self.wrong(name, "is not a string")
        if len(value) > MAX_TEXT:
            raise self.wrong(name, f"has more than {MAX_TEXT} characters")
        if safe_text(value) != value:
            raise self.wrong(name, "holds control characters")
        if pattern and not pattern.fullmatch(value):
            raise self.wrong(name, f"is none that is allowed here: {safe_text(value, 80)!r}")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        return tuple(self._text(name, value) for value in self._items(name, most))

    def choice(self, name: str, among: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in among:
            raise self.wrong(name, f"is {safe_text(value, 80)!r}, not one of {', '.join(among)}")
        return value

    def number(self, name: str, least: float = -math.inf, most: float = math.inf) -> float:
        value = self.take(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(name, "is not a number")
        # An integer may be too large for any float; what is finite and in range is kept as it was written.
        if abs(value) >= MAX_COUNT or not least <= value <= most:
            raise self.wrong(name, "is out of its range")
        return value

    def whole(self, name: str, least: int, most: int = MAX_COUNT) -> int:
        value = self.number(name, least, most)
        if not isinstance(value, int):
            raise self.wrong(name, "is not a whole number")
        return value

    def setting(self, name: str) -> Setting:
        value = self._left.get(name)
        if isinstance(value, bool):
            return bool(self.take(name))
        return self.text(name) if isinstance(value, str) else self.number(name)

    def date(self, name: str) -> str:
        value = self.text(name)
        try:
            if dt.date.fromisoformat(value).isoformat() == value:
                return value
        except ValueError:
            pass
        raise self.wrong(name, "is not a date, YYYY-MM-DD")

    def _items(self, name: str, most: int) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            raise self.wrong(name, "is not an array")
        if len(value) > most:
            raise self.wrong(name, f"has more than {most} members")
        return value

    def inner(self, name: str) -> _Reader:
        return _Reader(self.take(name), f"{self.where}: {safe_text(name, 80)}")

    def inners(self, name: str, most: int) -> list[_Reader]:
        return [_Reader(value, f"{self.where}: {name}") for value in self._items(name, most)]


def _settings(reader: _Reader) -> dict[str, Setting]:
    names = reader.names()
    if len(names) > MAX_SETTINGS:
        raise MalformedError(f"{reader.where} has more than {MAX_SETTINGS} members")
    found: dict[str, Setting] = {}
    for name in names:
        if not _SETTING.fullmatch(name):
            raise reader.wrong(name, "is no name of a setting")
        found[name] = reader.setting(name)
    return found


def _weights(reader: _Reader) -> Weights:
    weights = Weights(
        file=reader.text("file", _FILE),
        format=reader.choice("format", FORMATS),
        sha256=reader.text("sha256", _SHA256),
        bytes=reader.whole("bytes", 1, MAX_WEIGHTS_BYTES),
    )
    reader.end()
    return weights


def _input(reader: _Reader) -> Input:
    given = Input(
        takes=reader.choice("takes", (CROPS, VECTORS, FRAMES)),
        side=reader.whole("side", 1, MAX_SIDE),
        crops=reader.whole("crops", 1, MAX_CROPS),
        least_side=reader.whole("least_side", 1, MAX_SIDE * 16),
        scale=reader.choice("scale", (NATIVE, WHOLE)),
        length=reader.whole("length", 0, MAX_LENGTH),
        quality=reader.whole("quality", 0, 100),
    )
    if given.least_side < given.side:
        raise reader.wrong("least_side", "is less than side")
    if (given.length > 0) != (given.takes == VECTORS):
        raise reader.wrong("length", "counts the numbers of a vector, and is 0 for anything else")
    reader.end()
    return given


def _calibration(reader: _Reader) -> Calibration:
    name, lines = reader.text("id", _WORD), reader.inner("lines")
    conditions = lines.names()
    if not 0 < len(conditions) <= MAX_LINES:
        raise reader.wrong("lines", f"has not 1 to {MAX_LINES} members")
    for condition in conditions:
        if not NAME.fullmatch(condition):
            raise lines.wrong(condition, "is no name of a condition")
    found = Calibration(name, {condition: _line(lines.inner(condition)) for condition in conditions})
    reader.end()
    return found


def _line(reader: _Reader) -> Line:
    line = Line(
        slope=reader.number("slope", 0),
        intercept=reader.number("intercept"),
        bound=reader.number("bound", 0),
        real_sources=reader.whole("real_sources", 1),
        fake_sources=reader.whole("fake_sources", 1),
        n=reader.whole("n", 1),
    )
    fewest = min(line.real_sources, line.fake_sources)
    if line.bound > math.log10(fewest + 1) + 1e-9:
        raise reader.wrong("bound", f"is more than {fewest} sources can carry, {math.log10(fewest + 1):.3f}")
    reader.end()
    return line


def _source(reader: _Reader) -> Source:
    source = Source(
        name=reader.text("name"),
        repository=reader.text("repository"),
        commit=reader.text("commit"),
        licence=reader.text("licence"),
        real=reader.whole("real", 0),
        fake=reader.whole("fake", 0),
    )
    reader.end()
    return source


def _figure(reader: _Reader) -> Figure:
    low, high = (None if reader.is_null(name) else reader.number(name) for name in ("low", "high"))
    figure = Figure(
        figure=reader.text("figure"),
        on=reader.text("on"),
        value=reader.number("value"),
        low=low,
        high=high,
        command=reader.text("command"),
    )
    reader.end()
    return figure
