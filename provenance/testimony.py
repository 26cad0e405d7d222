"""What was read with a workspace's secret keys and own models, kept to be said again where these are not.

A secret never leaves its workspace, and weights are too large to go along with every report. What was made of them is
replayed as it was recorded; whoever replays it says so. Format: docs/formats/evidence.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from assay.provenance.checks.detector import PREFIX
from assay.provenance.errors import MalformedError, UsageError
from assay.provenance.evidence import Evidence
from assay.provenance.mark import Extent, Frame, Mark, Reading
from assay.provenance.media import Kind, Media, Picture
from assay.provenance.opinion import Answered, Calibration, Explanation, Moment, Opinion, Region, Spectrum

_T = TypeVar("_T")
_OWN = frozenset({"scheme", "found", "id", "p_value", "reason", "extent"})
"""Fields of a reading in a report that are not its scheme's ``details``."""


def readings_in(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Return what the mark check read, scheme by scheme, as JSON values."""
    kept = []
    for item in evidence:
        if item.check != "mark":
            continue
        for told in item.details.get("readings", ()):
            found = item.found
            if isinstance(found, Reading) and found.scheme == told["scheme"] and told["found"]:
                kept.append(asdict(found))
                continue
            rest = {name: value for name, value in told.items() if name not in _OWN}
            kept.append(asdict(Reading(told["scheme"], None, told["p_value"], told["reason"], rest)))
    return kept


def explanations_in(evidence: Sequence[Evidence]) -> dict[str, dict[str, Any]]:
    """Return what each detector said, by its name, as JSON values; those that said nothing are left out."""
    return {
        item.check.removeprefix(PREFIX): {"version": item.version, **asdict(item.found)}
        for item in evidence
        if item.check.startswith(PREFIX) and isinstance(item.found, Explanation)
    }


class RecordedReader:
    """A watermark scheme that reads what was read when the report was made. Conforms to ``LocatingWatermark``."""

    kinds = frozenset(Kind)
    id_bits = 0

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._reading = _restored(_reading, record)
        self.scheme = self._reading.scheme

    def embed(self, media: Media, id: str) -> Media:
        """Raise UsageError: nothing is marked here."""
        raise UsageError("a recorded reading marks nothing", hint="mark with a scheme's own name")

    def read(self, media: Media) -> Reading:
        """Return the recorded reading."""
        return self._reading

    def locate(self, media: Media) -> Reading:
        """Return the recorded reading."""
        return self._reading


class _Recorded:
    """What a detector said when the report was made."""

    def __init__(self, name: str, record: Mapping[str, Any]) -> None:
        self.name = name
        self.version = str(record.get("version", ""))
        self._explanation = _restored(_explanation, record)


class RecordedDetector(_Recorded):
    """A detector of pictures that says what was said when the report was made. Conforms to ``ExplainingDetector``."""

    def examine(self, picture: Picture) -> Opinion:
        """Return the recorded opinion."""
        return self._explanation.opinion

    def explain(self, picture: Picture) -> Explanation:
        """Return the recorded opinion with its reasons."""
        return self._explanation

    def draw(self, picture: Picture, opinion: Opinion) -> bytes:
        """Return nothing: what a picture's parts were tinted with was not recorded."""
        return b""


class RecordedTimedDetector(_Recorded):
    """A detector of films or sounds that says what was said when the report was made. Conforms to ``TimedDetector``."""

    kinds = frozenset({Kind.VIDEO, Kind.AUDIO})

    def examine_media(self, media: Media) -> Opinion:
        """Return the recorded opinion."""
        return self._explanation.opinion


def _restored(make: Callable[[Mapping[str, Any]], _T], record: Mapping[str, Any]) -> _T:
    """Return what a record holds; raises MalformedError where it is none."""
    try:
        return make(record)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise MalformedError("what a witness said cannot be read") from error


def _reading(record: Mapping[str, Any]) -> Reading:
    mark, frame, extent = record["mark"], record["frame"], record["extent"]
    if frame:
        (a, b), (c, d) = frame["matrix"]
        sides, (down, right) = tuple(frame["sides"]), frame["offset"]
        frame = Frame(sides, frame["turn"], ((a, b), (c, d)), (down, right), frame["period"])
    if extent:
        holes = tuple((left, top, width, height) for left, top, width, height in extent["holes"])
        extent = Extent(extent["present"], extent["absent"], holes)
    return Reading(
        str(record["scheme"]),
        Mark(str(mark["scheme"]), str(mark["id"])) if mark else None,
        _number(record["p_value"]),
        str(record["reason"]),
        dict(record["details"] or {}),
        bool(record["aligned"]),
        frame or None,
        extent or None,
    )


def _explanation(record: Mapping[str, Any]) -> Explanation:
    spectrum = record["spectrum"]
    if spectrum:
        across, drawn, usual = (tuple(map(float, spectrum[n])) for n in ("frequencies", "picture", "usual"))
        spectrum = Spectrum(across, drawn, usual, str(spectrum["usual_of"]))
    return Explanation(
        _opinion(record["opinion"]),
        tuple(map(str, record["reasons"])),
        {str(name): float(value) for name, value in record["shares"].items()},
        spectrum or None,
    )


def _opinion(record: Mapping[str, Any]) -> Opinion:
    calibration = record["calibration"]
    return Opinion(
        detector=str(record["detector"]),
        version=str(record["version"]),
        answered=Answered(record["answered"]),
        reason=str(record["reason"]),
        logit=_number(record["logit"]),
        score=_number(record["score"]),
        llr=_number(record["llr"]),
        conditions=dict(record["conditions"]),
        regions=tuple(Region(**region) for region in record["regions"]),
        moments=tuple(Moment(**moment) for moment in record.get("moments", ())),
        says=tuple(map(str, record["says"])),
        ms=float(record["ms"]),
        parts=tuple(map(_opinion, record["parts"])),
        calibration=Calibration(**calibration) if calibration else None,
    )


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return float(value)
