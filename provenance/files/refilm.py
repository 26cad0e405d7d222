"""Writing a film again with other pictures, like the original: everything else is carried over packet by packet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from assay.provenance.errors import UnsupportedError
from assay.provenance.files.feed import push
from assay.provenance.files.reel import THREADS, Reel, av, first, opened, translated
from assay.provenance.files.worker import Answer
from assay.provenance.limits import Limits
from assay.provenance.media import Kind, Media, Timed

FORMATS = {
    "video/mp4": "mp4", "video/quicktime": "mov", "video/x-msvideo": "avi",
    "video/x-matroska": "matroska", "video/webm": "webm", "audio/mp4": "ipod",
}  # fmt: skip
"""FFmpeg's muxer for each media type that is written again."""
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"crf": "18", "preset": "fast"}),
    "hevc": ("libx265", {"crf": "20", "preset": "fast", "x265-params": "log-level=none"}),
    "vp8": ("libvpx", {"crf": "8", "b": "20M", "deadline": "good", "cpu-used": "4"}),
    "vp9": ("libvpx-vp9", {"crf": "22", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}),
    "av1": ("libsvtav1", {"crf": "24", "preset": "8"}),
    "libdav1d": ("libsvtav1", {"crf": "24", "preset": "8"}),
    "mpeg4": ("mpeg4", {"qmin": "2", "qmax": "4"}),
    "mjpeg": ("mjpeg", {"qmin": "2", "qmax": "3"}),
}
"""The encoder of each decoder's coding, and the quality at which a mark outlives it: close to lossless to the eye."""
GROWTH = 2
"""How many times the original's bit rate the new pictures may take, where their quality would ask for more."""
LEAST_BITS = 300_000
"""Bits a second up to which pictures may grow in any case."""
EXACT = 0x44004
"""FFmpeg's scaler: bicubic, accurate rounding, all columns for chroma."""
_EVEN = frozenset({"h264", "hevc", "av1", "libdav1d"})
_OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"})


def refilm(
    stream: BinaryIO, reel: Reel, pictures: Media, target: BinaryIO, limits: Limits
) -> tuple[str, ...]:
    """Write the file of ``stream`` into ``target`` with other ``pictures``; say in words what could not be kept.

    As many frames as the original has, of its size, upright, at its times: they get its coding, at a quality near its
    own. What was shown turned is stored upright. Sound, subtitles and tags are carried over bit for bit. ``target`` is
    empty and open for reading and writing.

    Raises UnsupportedError with the reason where the pictures would lose by it (more than 8 bits a sample, a coding
    without an encoder), MalformedError, LimitError, and what a pass over ``pictures`` raises.
    """
    kept = reel.pictures
    if kept is None:
        raise UnsupportedError("has no moving pictures")
    if reel.media_type not in FORMATS or kept.codec not in ENCODERS:
        raise UnsupportedError(f"pictures in {kept.codec} are not written again")
    if kept.bits > 8:
        raise UnsupportedError(f"has {kept.bits} bits a sample, which writing again would reduce to 8")
    if kept.codec in _EVEN and (kept.width % 2 or kept.height % 2):
        raise UnsupportedError("has an odd number of pixels a side, which its coding does not write")
    av()
    answer = push(
        lambda own, blocks: _write(own, blocks, reel, limits, target),
        stream, pictures.timed(), limits, kept.width * kept.height * 3, np.uint8, (kept.width, 3), target,
    )  # fmt: skip
    return tuple(str(note) for note in answer.header["notes"])


def copy_tags(source: Any, sink: Any) -> None:
    """Carry a container's tags and chapters over, but for those that its writer makes."""
    sink.metadata.update({k: v for k, v in source.metadata.items() if k not in _OWN_TAGS})
    chapters = source.chapters()
    if chapters:
        sink.set_chapters(chapters)


def sink_options(container: Any) -> dict[str, str]:
    """Return the muxer's options for a source's tags: QuickTime's own names survive only if they are asked for."""
    named = any("." in key for key in container.metadata)
    return {"movflags": "+use_metadata_tags"} if named else {}


def carried(source: Any, sink: Any, own: Any, notes: list[str]) -> dict[int, Any]:
    """Add to ``sink`` the streams of ``source`` besides ``own`` that go along as they are; by their index."""
    library = av()
    streams = {}
    for stream in source.streams:
        if stream.index == own.index:
            continue
        if stream.type in ("data", "unknown"):  # cameras' own; the muxers refuse most, and only at the end
            notes.append("a stream of data could not be carried over")
            continue
        try:
            copy = sink.add_stream_from_template(stream, opaque=True)
        except (ValueError, NotImplementedError, library.error.FFmpegError):
            notes.append(f"a {stream.type} stream could not be carried over")
            continue
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        streams[stream.index] = copy
    return streams


def rewritten(
    own: BinaryIO,
    reel: Reel,
    kind: Kind,
    container: str,
    limits: Limits,
    target: BinaryIO,
    notes: list[str],
    encode: Callable[[Any, Any], Iterator[Any]],
) -> Answer:
    """Write a container again, its first stream of a kind encoded anew, all else carried over; in a child.

    ``container`` is the name of what is written. ``encode(sink, stream)`` adds the new stream at once and returns its
    packets; ``notes`` gets what could not be kept.
    """
    with opened(own, reel.media_type, limits) as source, translated():
        stream = first(source, kind)
        with av().open(target, "w", format=container, options=sink_options(source)) as sink:
            copy_tags(source, sink)
            made = encode(sink, stream)
            weave(source, carried(source, sink, stream, notes), sink, made)
    target.flush()  # this child ends without closing anything
    return Answer({"notes": notes})


def _write(own: BinaryIO, blocks: Iterator[Timed], reel: Reel, limits: Limits, target: BinaryIO) -> Answer:
    pictures = reel.pictures
    notes = ["pictures that were shown turned are now stored upright"] if pictures and pictures.turn else []

    def encode(sink: Any, stream: Any) -> Iterator[Any]:
        return _encoded(stream, _encoder(sink, stream, reel), blocks)

    return rewritten(own, reel, Kind.VIDEO, FORMATS[reel.media_type], limits, target, notes, encode)


def _encoder(sink: Any, stream: Any, reel: Reel) -> Any:
    pictures = reel.pictures
    assert pictures is not None
    name, options = ENCODERS[pictures.codec]
    options = dict(options)
    limit = max(GROWTH * pictures.bit_rate, LEAST_BITS) if pictures.bit_rate else 0
    if limit and name in ("libx264", "libx265"):
        options |= {"maxrate": str(limit), "bufsize": str(2 * limit)}
    video = sink.add_stream(name, rate=pictures.rate, options=options)
    context, old = video.codec_context, stream.codec_context
    video.width, video.height = pictures.width, pictures.height
    video.pix_fmt = _format(name, old.pix_fmt)
    context.time_base = video.time_base = stream.time_base
    context.thread_count = THREADS
    if old.sample_aspect_ratio:
        ratio = old.sample_aspect_ratio
        context.sample_aspect_ratio = 1 / ratio if pictures.turn % 2 else ratio
    for field in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(context, field, getattr(old, field))
    video.metadata.update({k: v for k, v in stream.metadata.items() if k not in _OWN_TAGS})
    return video


def _format(encoder: str, stored: str | None) -> str:
    """Return the pixel format to encode in: the stored one where the encoder has it."""
    formats = [f.name for f in av().Codec(encoder, "w").video_formats or ()]
    return stored if stored and stored in formats else "yuvj420p" if "yuvj420p" in formats else "yuv420p"


def _encoded(stream: Any, video: Any, blocks: Iterator[Timed]) -> Iterator[Any]:
    library, context = av(), video.codec_context
    offset = stream.start_time or 0
    for at, block in blocks:
        frame = library.VideoFrame.from_ndarray(block, "rgb24").reformat(
            format=video.pix_fmt,
            dst_colorspace=context.colorspace,
            dst_color_range=context.color_range,
            interpolation=EXACT,
        )
        frame.pts = round(at / stream.time_base) + offset
        frame.time_base = stream.time_base
        yield from video.encode(frame)
    yield from video.encode(None)


def weave(source: Any, others: dict[int, Any], sink: Any, made: Iterator[Any]) -> None:
    """Write the made packets and the carried ones in the order of their times."""
    ahead = next(made, None)
    wanted = [s for s in source.streams if s.index in others]
    for packet in source.demux(wanted) if wanted else ():
        if packet.dts is None:
            continue
        while ahead is not None and _time(ahead) <= _time(packet):
            sink.mux(ahead)
            ahead = next(made, None)
        packet.stream = others[packet.stream_index]
        sink.mux(packet)
    while ahead is not None:
        sink.mux(ahead)
        ahead = next(made, None)


def _time(packet: Any) -> Fraction:
    value: Fraction = (packet.dts or packet.pts or 0) * packet.time_base
    return value
