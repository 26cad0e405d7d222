"""The table's rows of films and recordings: cut, spliced, lifted, re-signed, with another soundtrack."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from assay.cli import props
from assay.provenance.media import Media, Sound

from . import clips, darkroom
from .attacks import AI, CONFIRMED, CONFLICT, INCONCLUSIVE, RECOVERED, attack
from .studio import Desk, photo

pytest.importorskip("av")

SECONDS = 5
"""Length of the films."""


def film(desk: Desk, name: str = "astronaut") -> Path:
    still = np.asarray(photo(name, (540, 350)))
    return desk.file(props.film(props.pan(still, SECONDS), crf=20), ".mp4")


def recording(desk: Desk, sound: Sound | None = None) -> Path:
    return desk.file(props.recording(props.tune() if sound is None else sound, "flac", "flac"), ".flac")


def other_tune() -> Sound:
    return props.tune([*reversed(props.TUNE)])


def strange_sound() -> Sound:
    """Noise and a rising chord: nothing like a tune."""
    return clips.tone(13, props.SAMPLE_RATE, seed=3)


def as_mp3(desk: Desk, sound: Sound) -> Path:
    return desk.file(props.recording(sound, "libmp3lame", "mp3", 64_000), ".mp3")


def spliced(path: Path, start: int, stop: int) -> Sound:
    begin, end = (second * props.SAMPLE_RATE for second in (start, stop))
    held = props.sound_of(path)
    return np.concatenate([held[:begin], other_tune()[: end - begin], held[end:]])


# ---------------------------------------------------------------------------------- with their credentials


@attack(CONFIRMED, facts={"asset.kind": "video", "recovered.by": "digest"})
def film_as_signed(desk: Desk) -> Path:
    return desk.sign(film(desk), mark=False)


@attack(CONFIRMED, facts={"asset.kind": "audio", "recovered.by": "digest"})
def recording_as_signed(desk: Desk) -> Path:
    return desk.sign(recording(desk))


@attack(CONFLICT, rule="hash-mismatch", facts={"axes.integrity": "altered"})
def film_changed_after_signing(desk: Desk) -> Path:
    source = film(desk)
    signed = desk.sign(source, mark=False, ledger=False)
    return darkroom.flip(desk, signed, darkroom.content_offset(signed, source))


@attack(CONFLICT, rule="hash-mismatch", facts={"axes.integrity": "altered"})
def recording_changed_after_signing(desk: Desk) -> Path:
    source = recording(desk)
    signed = desk.sign(source, mark=False, ledger=False)
    return darkroom.flip(desk, signed, darkroom.content_offset(signed, source))


@attack(CONFLICT, rule="dropped-history", says="The ledger holds the same recording from another signer")
def recording_re_signed_as_ones_own(desk: Desk) -> Path:
    taken = as_mp3(desk, props.sound_of(desk.sign(recording(desk))))
    return desk.sign(taken, by=desk.studio.stranger, mark=False, ledger=False)


@attack(
    CONFLICT,
    rule="source-type-clash",
    says="The ledger holds the same film from another signer",
)
def camera_claimed_for_a_generators_marked_film(desk: Desk) -> Path:
    made = desk.sign(film(desk), "trainedAlgorithmicMedia")
    taken = desk.file(props.film(props.frames_of(made), crf=26), ".mp4")
    return desk.sign(taken, "digitalCapture", by=desk.studio.agency, mark=False, ledger=False)


# ---------------------------------------------------------------------------------- without them


@attack(
    RECOVERED,
    facts={"recovered.by": "watermark", "recovered.changed_seconds": [], "axes.origin.status": "trusted"},
    says="of its 5.0",
)
def film_stripped_coded_anew_and_cut(desk: Desk) -> Path:
    frames = props.frames_of(desk.sign(film(desk)), 1, 4)
    return desk.file(props.film(frames, crf=30), ".mp4")


@attack(
    RECOVERED,
    facts={"recovered.by": "watermark", "recovered.changed_seconds": []},
    says="seconds 2.0 to 11.0 of its 12.8",
)
def recording_stripped_coded_anew_and_cut(desk: Desk) -> Path:
    return as_mp3(desk, props.sound_of(desk.sign(recording(desk)), 2, 11))


@attack(RECOVERED, facts={"recovered.by": "fingerprint"}, says="seconds 2.0 to 11.0 of its 12.8")
def recording_never_marked_but_logged_then_cut(desk: Desk) -> Path:
    return as_mp3(desk, props.sound_of(desk.sign(recording(desk), mark=False), 2, 11))


@attack(AI, facts={"axes.synthesis": "declared", "recovered.matches": True})
def generated_recording_stripped(desk: Desk) -> Path:
    return as_mp3(desk, props.sound_of(desk.sign(recording(desk), "trainedAlgorithmicMedia")))


@attack(
    RECOVERED,
    facts={"axes.integrity": "altered", "recovered.by": "watermark"},
    says="differs from it in the seconds",
    why="the seconds that were put in carry no mark and are not the original's: two witnesses of one splice",
)
def recording_with_a_foreign_passage(desk: Desk) -> Path:
    return as_mp3(desk, spliced(desk.sign(recording(desk)), 4, 8))


@attack(
    RECOVERED,
    facts={"axes.integrity": "altered"},
    says="differs from it in the seconds",
)
def film_with_frames_replaced(desk: Desk) -> Path:
    frames = props.frames_of(desk.sign(film(desk)))
    strange = list(props.pan(np.asarray(photo("coffee", (540, 350))), 2))
    at = props.FRAMES_A_SECOND
    return desk.file(props.film([*frames[:at], *strange, *frames[3 * at :]], crf=24), ".mp4")


@attack(
    RECOVERED,
    facts={"recovered.changed_seconds": []},
    says="no second of its pictures was found to differ",
    why="a film's pictures carry the mark and are compared; the report says that its sound was not",
)
def film_with_another_soundtrack(desk: Desk) -> Path:
    signed = desk.sign(desk.file(clips.film(50, sound="aac"), ".mp4"))
    return desk.file(_with_sound(signed, clips.recording(5, "aac", "ipod", seed=9)), ".mp4")


# ---------------------------------------------------------------------------------- marks


@attack(
    INCONCLUSIVE,
    facts={"recovered.matches": False, "recovered.by": "watermark"},
    says="the recordings could not be matched",
    why="whoever has the key, and the default key is public, can write any identifier: it is a lead and no proof",
)
def marks_identifier_written_into_another_recording(desk: Desk) -> Path:
    mark = desk.sign_fully(recording(desk)).mark
    assert mark
    scheme = desk.workspace.marker(_sound(strange_sound()).kind)
    assert scheme
    marked = scheme.embed(_sound(strange_sound()), mark.id)
    return as_mp3(desk, np.concatenate(list(marked.chunks())).astype(np.float32))


@attack(
    INCONCLUSIVE,
    facts={"recovered": None},
    why="the mark follows the loudness of its own recording: lifted onto another one it is not read",
)
def mark_lifted_onto_another_recording(desk: Desk) -> Path:
    source = recording(desk)
    change = props.sound_of(desk.sign(source)) - props.sound_of(source)
    return recording(desk, np.clip(strange_sound()[: len(change)] + change, -1, 1).astype(np.float32))


def _sound(samples: Sound) -> Media:
    return Media.sound(samples, props.SAMPLE_RATE)


def _with_sound(path: Path, sound: bytes) -> bytes:
    """Return a film's own pictures, packet by packet, with another sound and nothing else."""
    import av

    out = BytesIO()
    with av.open(str(path)) as one, av.open(BytesIO(sound)) as two, av.open(out, "w", format="mp4") as sink:
        kept = [(source.streams.video or source.streams.audio)[0] for source in (one, two)]
        copies = [sink.add_stream_from_template(stream) for stream in kept]
        for source, stream, copy in zip((one, two), kept, copies, strict=True):
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    sink.mux(packet)
    return out.getvalue()
