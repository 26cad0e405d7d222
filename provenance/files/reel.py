"""Containers of films and sounds, opened by PyAV (FFmpeg) under allow-lists. Runs in a worker's child.

The container is the one that the content says, and only decoders on the list are ever started: FFmpeg knows hundreds,
and the odd ones are where its faults lie. docs/adr/0013-audio-and-video.md gives the reasons.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, BinaryIO

from assay.provenance.errors import LimitError, MalformedError, UnsupportedError
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import Limits
from assay.provenance.media import Kind
from assay.provenance.text import safe_text

CONTAINERS = {
    "video/mp4": "mov", "video/quicktime": "mov", "audio/mp4": "mov", "video/x-msvideo": "avi",
    "video/x-matroska": "matroska", "video/webm": "matroska", "audio/wav": "wav", "audio/mpeg": "mp3",
    "audio/flac": "flac", "application/ogg": "ogg", "audio/aac": "aac",
}  # fmt: skip
"""FFmpeg's demuxer for each media type, as files/sniff.py names them, whose samples are read."""
CODECS = frozenset(
    {
        "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "prores",
        "aac", "mp3", "mp3float", "flac", "vorbis", "opus", "libopus", "alac", "pcm_u8", "pcm_s16le", "pcm_s16be",
        "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_alaw",
        "pcm_mulaw",
    }
)  # fmt: skip
"""FFmpeg's names of the decoders that are ever started."""
THREADS = 2
"""Threads a decoder or an encoder may start."""
DAMAGED = 16
"""Most packets that may fail to decode before the file counts as malformed."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a film's first video stream is: the decoder's name, size upright in pixels, how frames are stored.

    ``turn`` is how many quarters anticlockwise a stored frame is turned to be upright, 0..3. ``rate`` is frames a
    second on average, ``unit`` the stream's unit of time in seconds, ``seconds`` the declared length or None, ``bits``
    those of one sample, ``bit_rate`` bits a second or 0, ``square`` whether pixels are.
    """

    codec: str
    width: int
    height: int
    turn: int
    rate: Fraction
    unit: Fraction
    seconds: Fraction | None
    bits: int
    bit_rate: int
    square: bool


@dataclass(frozen=True, slots=True)
class Voices:
    """What a sound's first audio stream is: the decoder's name, samples a second, channels, their layout by name.

    ``format`` is FFmpeg's sample format (``s16``), ``seconds`` the declared length or None, ``bit_rate`` bits a second
    or 0.
    """

    codec: str
    rate: int
    channels: int
    layout: str
    format: str
    seconds: Fraction | None
    bit_rate: int


@dataclass(frozen=True, slots=True)
class Reel:
    """What a container holds: its first pictures and its first voices, where there are any."""

    media_type: str
    pictures: Pictures | None
    voices: Voices | None


@cache
def av() -> Any:
    """Return PyAV; raises UnsupportedError where it is not installed."""
    try:
        import av as library

        # All of it: some modules are loaded on first use otherwise, which a sealed child cannot do.
        for module in pkgutil.walk_packages(library.__path__, "av."):
            if module.name not in ("av.__main__", "av.datasets"):
                import_module(module.name)
    except ImportError as error:
        raise UnsupportedError(
            "films and sounds are read by PyAV, which is not installed", hint="pip install 'assay[av]'"
        ) from error
    library.logging.set_level(None)
    return library


def versions() -> dict[str, str]:
    """Return what reads films and sounds, for reports, without loading it: nothing where it is not installed."""
    try:
        return {"av": f"PyAV {version('av')}"}
    except PackageNotFoundError:
        return {}


def probe(stream: BinaryIO, media_type: str, limits: Limits) -> Reel:
    """Say what a container holds, having decoded one frame of it, in a child.

    Raises UnsupportedError where neither its pictures nor its voices can be read, MalformedError, LimitError.
    """
    if media_type not in CONTAINERS:
        raise UnsupportedError(f"the samples of {media_type} are not read")
    av()  # here: a child can load nothing
    header = run(lambda own: Answer(_looked(own, media_type, limits)), stream, limits).header
    try:
        pictures = Pictures(**_numbers(header["pictures"])) if header["pictures"] else None
        voices = Voices(**_numbers(header["voices"])) if header["voices"] else None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise MalformedError("its parser answered in no known form") from error
    if pictures:
        _bound(pictures.width * pictures.height, limits.film_pixels, "film_pixels", "pixels in a frame")
    if voices:
        _bound(voices.channels, limits.channels, "channels", "channels")
        _bound(voices.rate, limits.sample_rate, "sample_rate", "samples a second")
    for part in (pictures, voices):
        _bound(int(part.seconds or 0) if part else 0, limits.film_seconds, "film_seconds", "seconds")
    return Reel(media_type, pictures, voices)


_FRACTIONS = ("rate", "unit", "seconds")


def _numbers(part: dict[str, Any]) -> dict[str, Any]:
    """Return a header's fields with pairs of numbers made fractions; whatever else it holds fails the dataclass."""
    made = {k: Fraction(*v) if k in _FRACTIONS and isinstance(v, list) else v for k, v in part.items()}
    sizes = [made[k] for k in ("width", "height", "channels") if k in made]
    if any(not isinstance(n, int) or n < 1 for n in sizes) or made["rate"] <= 0:
        raise ValueError("no size, or no rate")
    return made


def _bound(value: int, limit: int, name: str, what: str) -> None:
    if value > limit:
        raise LimitError(f"has {value} {what}, more than the limit {name} of {limit}")


@contextmanager
def opened(own: BinaryIO, media_type: str, limits: Limits) -> Iterator[Any]:
    """Open a container for reading, in a child; FFmpeg's errors become MalformedError while it is open."""
    library = av()
    options = {
        "codec_whitelist": ",".join(sorted(CODECS)),
        "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,wav,mp3,flac,ogg,aac",
        "protocol_whitelist": "none",
        "max_streams": str(limits.streams + 1),
    }
    with (
        translated(),
        library.open(
            own, "r", format=CONTAINERS[media_type], options=options, metadata_errors="replace"
        ) as container,
    ):
        if len(container.streams) > limits.streams:
            raise LimitError(f"has more streams than the limit streams of {limits.streams}")
        yield container


@contextmanager
def translated() -> Iterator[None]:
    """Make FFmpeg's errors MalformedError."""
    library = av()
    try:
        yield
    except library.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise MemoryError from error
        words = safe_text(error.strerror or type(error).__name__, 120)
        raise MalformedError(f"its container or stream is broken: {words}") from error


def first(container: Any, kind: Kind) -> Any:
    """Return the first stream of a kind whose decoder is on the list and that is no attached picture, or None."""
    library = av()
    for stream in container.streams:
        if stream.type != ("video" if kind is Kind.VIDEO else "audio") or stream.codec_context is None:
            continue
        attached = library.stream.Disposition.attached_pic | library.stream.Disposition.timed_thumbnails
        if stream.codec_context.name in CODECS and not stream.disposition & attached:
            return stream
    return None


def only(container: Any, stream: Any) -> Any:
    """Leave out all other streams of a container already while it is read, and let the decoder use its threads."""
    discard = av().stream.Discard
    for other in container.streams:
        other.discard = discard.default if other.index == stream.index else discard.all
    stream.codec_context.thread_count = THREADS
    if stream.type == "video":
        stream.codec_context.thread_type = "AUTO"
    return stream


def frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decode a stream from where it stands; raises MalformedError where too much of it is damaged."""
    library = av()
    damaged = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except library.error.EOFError:
            return
        except library.error.InvalidDataError:
            damaged += 1
            if damaged > DAMAGED:
                raise MalformedError(f"more than {damaged - 1} of its packets cannot be decoded") from None


def turn_of(frame: Any) -> int:
    """Return the quarters anticlockwise that a stored frame is turned to be upright, 0..3."""
    return int(round(frame.rotation / 90) % 4)


def _pair(value: Fraction | None) -> list[int] | None:
    return [value.numerator, value.denominator] if value else None


def _length(container: Any, stream: Any) -> list[int] | None:
    if stream.duration and stream.time_base and stream.duration > 0:
        return _pair(stream.duration * stream.time_base)
    return _pair(Fraction(container.duration, 1_000_000)) if (container.duration or 0) > 0 else None


def _looked(own: BinaryIO, media_type: str, limits: Limits) -> dict[str, Any]:
    with opened(own, media_type, limits) as container:
        moving, sounding = first(container, Kind.VIDEO), first(container, Kind.AUDIO)
        if moving is None and sounding is None:
            raise UnsupportedError("holds no pictures or sounds in a coding that is read", hint="convert it")
        return {
            "pictures": None if moving is None else _pictures(container, moving, limits),
            "voices": None if sounding is None else _voices(container, sounding),
        }


def _pictures(container: Any, stream: Any, limits: Limits) -> dict[str, Any]:
    context = stream.codec_context
    _bound(context.width * context.height, limits.film_pixels, "film_pixels", "pixels in a frame")
    frame = next(frames(container, stream), None)
    if frame is None:
        raise MalformedError("none of its frames can be decoded")
    container.seek(0)
    turn = turn_of(frame)
    width, height = (frame.height, frame.width) if turn % 2 else (frame.width, frame.height)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
    return {
        "codec": context.name,
        "width": width,
        "height": height,
        "turn": turn,
        "rate": _pair(rate),
        "unit": _pair(stream.time_base),
        "seconds": _length(container, stream),
        "bits": max((part.bits for part in frame.format.components), default=8),
        "bit_rate": context.bit_rate or 0,
        "square": context.sample_aspect_ratio in (None, 0, 1),
    }


def _voices(container: Any, stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    if not context.sample_rate or not context.channels:
        raise MalformedError("its sound has no rate or no channels")
    return {
        "codec": context.name,
        "rate": context.sample_rate,
        "channels": context.channels,
        "layout": context.layout.name,
        "format": context.format.name.removesuffix("p") if context.format else "",
        "seconds": _length(container, stream),
        "bit_rate": context.bit_rate or 0,
    }
