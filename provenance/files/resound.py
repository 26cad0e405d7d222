"""Writing a sound again with other samples, like the original."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import MalformedError, UnsupportedError
from assay.provenance.files.feed import push
from assay.provenance.files.reel import Reel, av
from assay.provenance.files.refilm import rewritten
from assay.provenance.files.worker import Answer
from assay.provenance.limits import Limits
from assay.provenance.media import Kind, Media, Timed

FORMATS = {"audio/mpeg": "mp3", "audio/flac": "flac", "audio/mp4": "ipod", "application/ogg": "ogg"}
"""FFmpeg's muxer for each media type that is coded again; WAV files keep every byte that is no sample.

Bare AAC is not: it cannot say by how much its encoder is late, and all would shift."""
ENCODERS = {
    "mp3": "libmp3lame", "mp3float": "libmp3lame", "aac": "aac", "flac": "flac", "alac": "alac",
    "opus": "libopus", "libopus": "libopus",
}  # fmt: skip
"""The encoder of each decoder's coding."""
LEAST_BITS = 32_000
"""Fewest bits a second and channel at which a sound is coded again: what an encoder drops, a mark lies in."""
LOSSLESS = frozenset({"flac", "alac"})
_PCM = frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"})
_MAX_CHUNKS = 1000


def resound(
    stream: BinaryIO, reel: Reel, samples: Media, target: BinaryIO, limits: Limits
) -> tuple[str, ...]:
    """Write the file of ``stream`` into ``target`` with other ``samples``; say in words what could not be kept.

    As many samples and channels as the original has, at its rate. WAV and FLAC keep their samples' depth, and of WAV
    every other byte stays; what is coded with loss is coded again at the original's bit rate. Tags, chapters and
    pictures are carried over. ``target`` is empty and open for reading and writing.

    Raises UnsupportedError with the reason where the coding has no encoder here, MalformedError, LimitError, and what a
    pass over ``samples`` raises.
    """
    voices = reel.voices
    if voices is None:
        raise UnsupportedError("has no sound")
    plain = reel.media_type == "audio/wav"
    if voices.codec not in (_PCM if plain else ENCODERS) or not (plain or reel.media_type in FORMATS):
        raise UnsupportedError(f"sound in {voices.codec} is not written again")
    if voices.codec in LOSSLESS and voices.format not in ("s16", "s32"):
        raise UnsupportedError(f"has samples of form {voices.format}, which would not be kept")
    av()
    write = _patch if plain else _write
    answer = push(
        lambda own, blocks: write(own, blocks, reel, limits, target),
        stream, samples.timed(), limits, voices.rate * voices.channels * 4, np.float32, (voices.channels,), target,
    )  # fmt: skip
    return tuple(str(note) for note in answer.header["notes"])


def _write(own: BinaryIO, blocks: Iterator[Timed], reel: Reel, limits: Limits, target: BinaryIO) -> Answer:
    def encode(sink: Any, stream: Any) -> Iterator[Any]:
        return _encoded(_encoder(sink, stream, reel), blocks, reel)

    return rewritten(own, reel, Kind.AUDIO, FORMATS[reel.media_type], limits, target, [], encode)


def _encoder(sink: Any, stream: Any, reel: Reel) -> Any:
    voices = reel.voices
    assert voices is not None
    name = ENCODERS[voices.codec]
    audio = sink.add_stream(name, rate=voices.rate, layout=voices.layout)
    if voices.codec in LOSSLESS:
        formats = [f.name for f in av().Codec(name, "w").audio_formats]
        audio.format = next(f for f in (voices.format, voices.format + "p") if f in formats)
    else:
        audio.bit_rate = max(voices.bit_rate, LEAST_BITS * voices.channels)
    audio.codec_context.time_base = Fraction(1, voices.rate)
    audio.metadata.update(stream.metadata)
    return audio


def _encoded(audio: Any, blocks: Iterator[Timed], reel: Reel) -> Iterator[Any]:
    voices = reel.voices
    assert voices is not None
    at = 0
    for _, block in blocks:
        flat = np.ascontiguousarray(np.clip(block, -1, 1)).reshape(1, -1)
        frame = av().AudioFrame.from_ndarray(flat, "flt", voices.layout)
        frame.sample_rate, frame.time_base, frame.pts = voices.rate, Fraction(1, voices.rate), at
        at += len(block)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def _patch(own: BinaryIO, blocks: Iterator[Timed], reel: Reel, limits: Limits, target: BinaryIO) -> Answer:
    """Copy a WAV file and lay the new samples over the old ones, as they lie in its data chunk."""
    voices = reel.voices
    assert voices is not None
    start, stop = _data_chunk(own)
    own.seek(0)
    target.seek(0)
    shutil.copyfileobj(own, target, 1 << 20)
    target.seek(start)
    for _, block in blocks:
        data = packed(block, voices.codec)
        if target.tell() + len(data) > stop:
            raise MalformedError("its samples do not fit where its own lie")
        target.write(data)
    target.flush()
    return Answer(
        {"notes": ["32 bits a sample reduced to 24"] if voices.codec in ("pcm_s32le", "pcm_f64le") else []}
    )


def packed(block: NDArray[np.float32], codec: str) -> bytes:
    """Return samples (n, channels) as the bytes of a PCM coding; whole numbers come back as they were."""
    if codec == "pcm_f32le":
        return block.astype("<f4").tobytes()
    if codec == "pcm_f64le":
        return block.astype("<f8").tobytes()
    bits = {"pcm_u8": 8, "pcm_s16le": 16, "pcm_s24le": 24, "pcm_s32le": 32}[codec]
    scale = 1 << (bits - 1)
    whole = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1).astype("<i4")
    if codec == "pcm_u8":
        return (whole + scale).astype(np.uint8).tobytes()
    if codec == "pcm_s16le":
        return whole.astype("<i2").tobytes()
    if codec == "pcm_s24le":
        return np.ascontiguousarray(whole[..., None].view(np.uint8)[..., :3]).tobytes()
    return whole.tobytes()


def _data_chunk(own: BinaryIO) -> tuple[int, int]:
    """Return where the samples of a RIFF or RF64 file begin and end; raises MalformedError."""
    size = own.seek(0, 2)
    at, large = 12, 0
    for _ in range(_MAX_CHUNKS):
        own.seek(at)
        head = own.read(8)
        if len(head) < 8:
            break
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"ds64":
            large = int.from_bytes(own.read(16)[8:16], "little")
        if name == b"data":
            length = large or length if length == 0xFFFFFFFF else length
            return at + 8, min(at + 8 + length, size)
        at += 8 + length + length % 2
    raise MalformedError("has no samples")
