"""The demonstration's film and recording, made when it runs, and what is done to them: cut, patched, coded anew."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.provenance.files.reel import av
from assay.provenance.media import Samples, Sound
from assay.provenance.subject import Subject

WIDTH, HEIGHT, FRAMES_A_SECOND = 480, 270, 15
SCENE_SECONDS = 4
"""Length of each of the film's two scenes, in seconds."""
SAMPLE_RATE = 24_000
NOTE_SECONDS = 0.4
TUNE = (
    0,
    4,
    7,
    12,
    7,
    4,
    2,
    5,
    9,
    14,
    9,
    5,
    -1,
    2,
    7,
    11,
    7,
    2,
    0,
    4,
    9,
    16,
    12,
    7,
    5,
    9,
    12,
    17,
    14,
    11,
    12,
    0,
)
"""Half tones above middle A of a tune of 12.8 seconds."""
Series = NDArray[np.float64]


def pan(still: Samples, seconds: int) -> Iterable[Samples]:
    """Yield frames of a camera that moves over a photograph from its upper left to its lower right."""
    down, across = still.shape[0] - HEIGHT, still.shape[1] - WIDTH
    count = seconds * FRAMES_A_SECOND
    for number in range(count):
        top, left = (round(room * number / (count - 1)) for room in (down, across))
        yield still[top : top + HEIGHT, left : left + WIDTH]


def film(frames: Iterable[Samples], crf: int) -> bytes:
    """Return an MP4 of H.264 at a constant quality, the higher ``crf`` the worse."""
    out = BytesIO()
    with av().open(out, "w", format="mp4") as sink:
        stream = sink.add_stream("libx264", rate=FRAMES_A_SECOND, options={"crf": str(crf), "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            sink.mux(stream.encode(av().VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        sink.mux(stream.encode(None))
    return out.getvalue()


def tune(notes: Iterable[int] = TUNE) -> Sound:
    """Return a bowed tune over a drone and soft brushes, float32 (n, 1)."""
    rng = np.random.default_rng(7)
    voice = np.concatenate([_bowed(220 * 2 ** (note / 12)) for note in notes])
    at = np.arange(len(voice)) / SAMPLE_RATE
    drone = sum(np.sin(2 * np.pi * 110 * n * at + n * n) / n for n in range(1, 40))
    brushes = rng.normal(0, 1, len(at)) * np.exp(-6 * (at % NOTE_SECONDS) / NOTE_SECONDS)
    return (0.16 * voice + 0.05 * drone + 0.03 * brushes).astype(np.float32)[:, None]


def _bowed(pitch: float) -> Series:
    at = np.arange(round(NOTE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    swell = np.minimum(1, np.minimum(at, NOTE_SECONDS - at) / 0.03)
    phase = 2 * np.pi * pitch * at + 0.4 * np.sin(2 * np.pi * 5.5 * at)
    partials = [np.sin(n * phase) / n for n in range(1, int(SAMPLE_RATE / 2.2 / pitch))]
    return np.asarray(np.sum(partials, axis=0) * swell, np.float64)


def recording(sound: Sound, codec: str, container: str, bit_rate: int = 0) -> bytes:
    """Return a recording of one channel in a coding, at ``bit_rate`` bits a second where it loses anything."""
    out = BytesIO()
    with av().open(out, "w", format=container) as sink:
        stream = sink.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av().AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), "flt", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return out.getvalue()


def frames_of(path: Path, start: int = 0, stop: int | None = None) -> list[Samples]:
    """Return a film's frames from one second on to before another."""
    return _chunks(path, start, stop)


def sound_of(path: Path, start: int = 0, stop: int | None = None) -> Sound:
    """Return a recording's samples from one second on to before another, float32 (n, 1)."""
    return np.concatenate(_chunks(path, start, stop))


def _chunks(path: Path, start: int, stop: int | None) -> list[Any]:
    with Subject.open(path) as subject:
        part = subject.media().part(Fraction(start), None if stop is None else Fraction(stop))
        return list(part.chunks())
