"""What happens to a film and to a recording after they were published: the demonstration's histories of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assay.cli import props
from assay.cli.histories import History, Stage
from assay.provenance.claim import Claim
from assay.provenance.media import Samples
from assay.provenance.report import Verdict
from assay.provenance.subject import Subject

FILM, SOUND = "13-film.mp4", "16-recording.flac"
FILM_CUT, SOUND_CUT = (2, 7), (2, 11)
"""Seconds that are cut out of either."""
FILM_PATCH, SOUND_PATCH = (3, 6), (4, 8)
"""Seconds that are replaced in either."""


def publish_in_time(stage: Stage) -> None:
    """Make a film of both photographs and a recording of a tune, and sign them as a camera and a microphone would."""
    with Subject.open(stage.signed) as one, Subject.open(stage.other) as two:
        scenes = [still.picture().pixels for still in (one, two)]
    frames = [frame for scene in scenes for frame in props.pan(scene, props.SCENE_SECONDS)]
    sources = {
        FILM: props.film(frames, crf=20),
        SOUND: props.recording(props.tune(), "flac", "flac"),
    }
    for name, data in sources.items():
        source = stage.folder / f"source-{name}"
        source.write_bytes(data)
        stage.workspace.sign_file(
            source, stage.folder / name, Claim(source_type="digitalCapture", title=name)
        )


def film_signed(stage: Stage) -> Path:
    """Nothing happens."""
    return stage.folder / FILM


def film_cut(stage: Stage) -> Path:
    """A platform strips it and codes it anew, and somebody takes five seconds out of it."""
    frames = props.frames_of(stage.folder / FILM, *FILM_CUT)
    return _kept(stage, "14-film-cut.mp4", props.film(frames, crf=30))


def film_patched(stage: Stage) -> Path:
    """Three seconds are replaced by others, stood on their head, and the credentials are stripped."""
    frames = props.frames_of(stage.folder / FILM)
    start, stop = (second * props.FRAMES_A_SECOND for second in FILM_PATCH)
    strangers = list(props.pan(_flipped(stage), FILM_PATCH[1] - FILM_PATCH[0]))
    patched = [*frames[:start], *strangers, *frames[stop:]]
    return _kept(stage, "15-film-patched.mp4", props.film(patched, crf=26))


def sound_signed(stage: Stage) -> Path:
    """Nothing happens."""
    return stage.folder / SOUND


def sound_cut(stage: Stage) -> Path:
    """A platform strips it and codes it as MP3, and somebody takes nine seconds out of it."""
    samples = props.sound_of(stage.folder / SOUND, *SOUND_CUT)
    return _kept(stage, "17-recording-cut.mp3", props.recording(samples, "libmp3lame", "mp3", 64_000))


def sound_patched(stage: Stage) -> Path:
    """Four seconds are replaced by another tune, and the credentials are stripped."""
    samples = props.sound_of(stage.folder / SOUND)
    start, stop = (second * props.SAMPLE_RATE for second in SOUND_PATCH)
    strange = props.tune([*reversed(props.TUNE)])[: stop - start]
    patched = np.concatenate([samples[:start], strange, samples[stop:]])
    return _kept(stage, "18-recording-patched.mp3", props.recording(patched, "libmp3lame", "mp3", 96_000))


TIMED = (
    History("a film, as it was signed", Verdict.SOURCE_CONFIRMED, film_signed),
    History("the film stripped, coded anew, cut to five seconds", Verdict.SOURCE_RECOVERED, film_cut),
    History("the film stripped, three seconds of it replaced", Verdict.SOURCE_RECOVERED, film_patched),
    History("a recording, as it was signed", Verdict.SOURCE_CONFIRMED, sound_signed),
    History("the recording stripped, as MP3, cut to nine seconds", Verdict.SOURCE_RECOVERED, sound_cut),
    History("the recording stripped, four seconds of it replaced", Verdict.SOURCE_RECOVERED, sound_patched),
)


def _flipped(stage: Stage) -> Samples:
    with Subject.open(stage.other) as other:
        return other.picture().pixels[::-1, ::-1]


def _kept(stage: Stage, name: str, data: bytes) -> Path:
    path = stage.folder / name
    path.write_bytes(data)
    return path
