"""What the bytes of a file are: picture or sound, metadata, or something appended.

A C2PA data hash may leave ranges out, and a reader calls the file intact whatever stands in them. Whether
that is harmless depends on what the ranges cover; this module says so, from the file as it is now. It errs on
the strict side: bytes not known to be metadata are content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from assay.provenance.errors import UnsupportedError
from assay.provenance.files.bytemap import Map, Part, Span, View, merge, subtract
from assay.provenance.files.sniff import HEAD_BYTES, UNKNOWN, sniff
from assay.provenance.files.walk_containers import boxes, flac, judge_paths, jxl, mp3, pdf, riff, svg
from assay.provenance.files.walk_pictures import gif, jpeg, png, tiff
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import DEFAULT_LIMITS, Limits

__all__ = ["Layout", "Part", "content_overlap", "judge_paths", "layout", "layout_isolated"]

_WALKERS: dict[str, Callable[[View, Map, Limits], None]] = {
    "image/jpeg": jpeg,
    "image/png": png,
    "image/gif": gif,
    "image/tiff": tiff,
    "image/x-adobe-dng": tiff,
    "image/webp": riff,
    "audio/wav": riff,
    "video/x-msvideo": riff,
    "image/avif": boxes,
    "image/heic": boxes,
    "image/heif": boxes,
    "video/mp4": boxes,
    "video/quicktime": boxes,
    "audio/mp4": boxes,
    "image/jxl": jxl,
    "image/svg+xml": svg,
    "application/pdf": pdf,
    "audio/mpeg": mp3,
    "audio/flac": flac,
}
_ZIP_TAIL = 65_557  # end of central directory record with the longest comment (APPNOTE 4.3.16)


@dataclass(frozen=True, slots=True)
class Layout:
    """The byte map of one file.

    ``end`` is where the first picture (film, sound, document) ends; ``appended`` how many bytes follow all
    that belongs to the format, and ``appended_type`` what they look like (empty if nothing, else a media
    type); ``pictures`` counts whole pictures one after the other in the file (MPO), ``frames`` those of an
    animation or the pages of a TIFF, both up to their limits; ``second_formats`` are other formats that the
    same bytes also are. ``metadata`` are the parts that change nothing that is seen or heard.
    """

    size: int
    end: int
    appended: int
    appended_type: str
    pictures: int
    frames: int
    second_formats: tuple[str, ...]
    metadata: tuple[Part, ...] = field(repr=False)
    claimed: tuple[Span, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, object]:
        """Return the form used in inspections."""
        return {
            "size": self.size,
            "end": self.end,
            "appended": self.appended,
            "appended_type": self.appended_type,
            "pictures": self.pictures,
            "frames": self.frames,
            "second_formats": list(self.second_formats),
            "metadata": [{"name": p.name, "start": p.start, "end": p.end} for p in self.metadata],
        }

    @property
    def oddities(self) -> tuple[str, ...]:
        """What a reader should know, as sentences."""
        said = []
        if self.pictures > 1:
            said.append(
                f"holds {self.pictures - 1} further picture(s) after the first, which were not examined"
            )
        if self.appended:
            kind = "" if self.appended_type == UNKNOWN else f", which look like {self.appended_type}"
            said.append(f"has {self.appended} bytes appended after its end{kind}")
        said += [f"can also be read as {kind}" for kind in self.second_formats]
        return tuple(said)

    def content_in(self, ranges: list[Span]) -> list[Span]:
        """Return the parts of (start, length) ``ranges`` that are picture, sound or structure; see content_overlap."""
        harmless = subtract([(part.start, part.end) for part in self.metadata], list(self.claimed))
        harmless.append((self.size - self.appended, self.size))
        asked = [(max(start, 0), min(start + length, self.size)) for start, length in ranges]
        return [(start, end - start) for start, end in subtract(asked, harmless)]


def layout(stream: BinaryIO, media_type: str, limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Map a file of a known media type; the stream is left at its start.

    Meant for the worker: use ``layout_isolated`` on files of unknown origin.
    Raises UnsupportedError for other formats, MalformedError where the structure breaks, LimitError.
    """
    walker = _WALKERS.get(media_type)
    if walker is None:
        raise UnsupportedError(f"the byte layout of {media_type} is not known here")
    view, out = View(stream), Map()
    walker(view, out, limits)
    appended = max(view.size - out.after, 0)
    found = Layout(
        size=view.size,
        end=out.end,
        appended=appended,
        appended_type=_appended_type(view, out.after) if appended else "",
        pictures=out.pictures,
        frames=out.frames,
        second_formats=_second_formats(view, media_type),
        metadata=tuple(out.metadata),
        claimed=tuple(merge(out.claimed)),
    )
    stream.seek(0)
    return found


def layout_isolated(stream: BinaryIO, media_type: str, limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Map a file in the worker; raises what ``layout`` raises."""

    def work(own: BinaryIO) -> Answer:
        found = layout(own, media_type, limits)
        header = {name: getattr(found, name) for name in Layout.__slots__ if name != "metadata"}
        return Answer({**header, "metadata": [(part.name, part.start, part.end) for part in found.metadata]})

    header = run(work, stream, limits).header
    header["metadata"] = tuple(Part(*part) for part in header["metadata"])
    header["claimed"] = tuple((start, end) for start, end in header["claimed"])
    header["second_formats"] = tuple(header["second_formats"])
    return Layout(**header)


def content_overlap(
    stream: BinaryIO, media_type: str, ranges: list[Span], limits: Limits = DEFAULT_LIMITS
) -> list[Span] | None:
    """Return the parts of ``ranges`` that cover picture, sound or structure; ``[]`` means all are harmless.

    ``ranges`` and the answer are (start, length) pairs in bytes, as in a ``c2pa.hash.data`` assertion's
    exclusions. None where the format cannot be judged. Runs in the worker. Bytes after the end of the format
    are not content (``Layout.appended`` reports them); ranges past the end of the file are ignored.
    """
    try:
        found = layout_isolated(stream, media_type, limits)
    except UnsupportedError:
        return None
    return found.content_in(ranges)


def _appended_type(view: View, at: int) -> str:
    data = view.peek(at, HEAD_BYTES)
    return sniff(data.lstrip(b"\0\r\n"))[1] if data.strip(b"\0\r\n") else UNKNOWN


def _second_formats(view: View, media_type: str) -> tuple[str, ...]:
    """Look for formats that are found from other places than the first byte: PDF and ZIP."""
    found = []
    if media_type != "application/pdf" and b"%PDF-" in view.peek(0, 1024):
        found.append("application/pdf")
    start = max(0, view.size - _ZIP_TAIL)
    tail = view.peek(start, _ZIP_TAIL)
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and len(tail) >= at + 22:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        entries, size = (
            int.from_bytes(tail[at + 10 : at + 12], "little"),
            int.from_bytes(tail[at + 12 : at + 16], "little"),
        )
        directory = start + at - size
        if len(tail) >= at + 22 + comment and entries and view.peek(max(directory, 0), 4) == b"PK\x01\x02":
            found.append("application/zip")
    return tuple(found)
