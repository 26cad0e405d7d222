"""What a report shows of a film or a sound: small frames along it, and the course of its sound, drawn from samples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from assay.provenance.errors import AssayError, UsageError
from assay.provenance.limits import Limits
from assay.provenance.media import Kind, Media
from assay.provenance.preview import DATA_URI, Preview, frame_uri, maps
from assay.provenance.protocols import Detector, Fingerprinter, Log, TimedDetector
from assay.provenance.report import Report
from assay.provenance.subject import Subject

FRAMES = 10
"""Frames of a film that are shown."""
FRAME_SIDE = 180
"""Longest side of such a frame, in pixels."""
COLUMNS = 600
"""Columns of a wave: in each the lowest and the highest sample of its stretch."""
STEP_SECONDS = Fraction(1, 50)
"""Stretches that the wave is gathered in while it passes by, in seconds."""

Wave = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Frames of a film as (seconds, ``data:`` URI), or the wave of a sound as (lowest, highest) in -1..1 a column.

    ``seconds`` is the length, ``width`` and ``height`` those of a film's frames in pixels. ``notes`` say in words what
    is not shown. Raises UsageError for any other URI.
    """

    kind: Kind
    seconds: float
    frames: tuple[tuple[float, str], ...] = ()
    width: int = 0
    height: int = 0
    wave: Wave = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for _, uri in self.frames:
            if not DATA_URI.fullmatch(uri):
                raise UsageError("a frame of a report is a JPEG or PNG data URI and nothing else")

    @classmethod
    def of(cls, subject: Subject) -> Strip:
        """Decode what is shown of a film or a sound; raises UnsupportedError, MalformedError, LimitError."""
        media = subject.media()
        return _of_film(media) if media.kind is Kind.VIDEO else _of_sound(media)


def shown(
    report: Report,
    limits: Limits,
    log: Log,
    fingerprinter: Fingerprinter,
    opener: Callable[[str], Detector | TimedDetector],
) -> Preview | Strip | None:
    """Return what a report shows of its file; None where that is another file now, or cannot be decoded.

    ``opener`` opens a detector by name, for what it drew.
    """
    recovered = report.recovered
    try:
        with Subject.open(report.asset.path, limits) as subject:
            if subject.asset.digest != report.asset.digest:
                return None
            if subject.asset.kind in (Kind.VIDEO, Kind.AUDIO):
                return Strip.of(subject)
            original = None
            if recovered and recovered.comparison:
                found = log.find_digest(recovered.entry.digest)
                sketch = next((f.recovery.sketch for f in found if f.recovery), b"")
                original = fingerprinter.picture(sketch) if sketch else None
            drawn = Preview.of(subject.picture(), original)
            return replace(drawn, maps=maps(report, subject.picture(), opener))
    except AssayError:
        return None


def _of_film(media: Media) -> Strip:
    seconds = media.seconds
    if not seconds:
        # Without a length there is no telling where its frames lie: the first one stands for all.
        at, frame = next(media.timed())
        return Strip(
            Kind.VIDEO,
            0.0,
            ((float(at), frame_uri(frame, FRAME_SIDE)),),
            *_size(media),
            notes=("the first frame",),
        )
    frames: list[tuple[float, str]] = []
    notes: list[str] = []
    for number in range(FRAMES):
        try:
            with closing(media.part(seconds * (2 * number + 1) / (2 * FRAMES)).timed()) as passing:  # type: ignore[type-var]
                found = next(passing, None)
        except AssayError:
            notes.append("frames that cannot be decoded are left out")
            continue
        if found is not None and (not frames or float(found[0]) > frames[-1][0]):
            frames.append((float(found[0]), frame_uri(found[1], FRAME_SIDE)))
    return Strip(Kind.VIDEO, float(seconds), tuple(frames), *_size(media), notes=tuple(dict.fromkeys(notes)))


def _size(media: Media) -> tuple[int, int]:
    return media.shape[1], media.shape[0]


def _of_sound(media: Media) -> Strip:
    assert media.rate is not None
    step = max(1, round(media.rate * STEP_SECONDS))
    lows, highs = [], []
    count = 0
    for block in media.chunks():
        count += len(block)
        for start in range(0, len(block), step):
            piece = block[start : start + step]
            lows.append(float(piece.min()))
            highs.append(float(piece.max()))
    return Strip(Kind.AUDIO, float(count / media.rate), wave=_columns(lows, highs))


def _columns(lows: list[float], highs: list[float]) -> Wave:
    """Return the extremes of at most COLUMNS even parts, finite and within -1..1."""
    edges = np.unique(np.linspace(0, len(lows), COLUMNS + 1).astype(int))[:-1]
    if not len(edges):
        return ()
    low, high = (np.clip(np.nan_to_num(np.array(v)), -1, 1) for v in (lows, highs))
    pairs = zip(np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges), strict=True)
    return tuple((float(a), float(b)) for a, b in pairs)
