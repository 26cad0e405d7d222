"""Where metadata lie in RIFF, ISO base media, JPEG XL, SVG, PDF, MP3 and FLAC files."""

from __future__ import annotations

import base64
from xml.parsers import expat

from assay.provenance.errors import MalformedError, UnsupportedError
from assay.provenance.files.bytemap import Map, View
from assay.provenance.limits import Limits

# Chunks that no player shows or sounds; all others of their form count as content.
_RIFF_METADATA = {
    b"WEBP": frozenset({b"EXIF", b"XMP ", b"C2PA"}),
    b"WAVE": frozenset(
        {b"C2PA", b"JUNK", b"FLLR", b"PAD ", b"bext", b"iXML", b"aXML", b"_PMX", b"id3 ", b"ID3 "}
    ),
    b"AVI ": frozenset({b"C2PA", b"JUNK", b"_PMX", b"IDIT"}),
}
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The ``uuid`` box that carries C2PA manifests (C2PA 2.x, section on ISO BMFF)."""
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_STORE = bytes.fromhex("6332706100110010800000aa00389b71")
_HARMLESS_PATHS = frozenset({"/ftyp", "/free", "/skip", "/mfra"})
OFFSET_TABLES = frozenset({
    "/meta/iloc", "/mfra/tfra", "/moov/trak/mdia/minf/stbl/stco", "/moov/trak/mdia/minf/stbl/co64",
    "/moof/traf/tfhd", "/moof/traf/trun", "/moof/traf/tfdt",
})  # fmt: skip
"""Boxes of file offsets that C2PA 1.x hashes leave out."""
_JXL_METADATA = frozenset({b"jumb", b"Exif", b"xml ", b"brob", b"free", b"skip"})
_FLAC_METADATA = {1: "PADDING", 2: "APPLICATION", 4: "VORBIS_COMMENT", 6: "PICTURE"}
_SVG_BYTES = 64 << 20


def riff(view: View, out: Map, limits: Limits) -> None:
    """Walk the top-level chunks of a RIFF file (WebP, WAV, AVI); ``LIST INFO`` is metadata everywhere."""
    form = view.read(8, 4)
    size = view.number(4, 4, "little")
    end = view.size if size in (0, 0xFFFFFFFF) else 8 + size
    if end > view.size:
        raise MalformedError(f"ends at byte {view.size}, before its RIFF length of {end}")
    names = _RIFF_METADATA.get(form, frozenset())
    at, frames = 12, 0
    while at + 8 <= end:
        name, length = view.read(at, 4), view.number(at + 4, 4, "little")
        after = min(at + 8 + length + (length & 1), end)
        if at + 8 + length > end and not (name == b"data" and length == 0xFFFFFFFF):
            raise MalformedError(f"has a RIFF chunk {name!r} longer than its file")
        if name in names or (name == b"LIST" and view.peek(at + 8, 4) == b"INFO"):
            out.add(name.decode(), at, after)
        frames += name == b"ANMF"
        at = after
    out.frames = max(1, min(frames, limits.frames))
    while form == b"AVI " and view.peek(end, 4) == b"RIFF" and view.peek(end + 8, 4) == b"AVIX":  # OpenDML
        end = min(end + 8 + view.number(end + 4, 4, "little"), view.size)
    out.stop(end)


def boxes(view: View, out: Map, limits: Limits) -> None:
    """Walk the top-level boxes of an ISO base media file (ISO/IEC 14496-12); what follows is appended."""
    at = 0
    while at + 8 <= view.size:
        name, end = _box(view, at)
        if end is None:
            break
        kind = view.peek(at + 8, 16) if name == b"uuid" else b""
        if name in (b"ftyp", b"free", b"skip", b"mfra") or kind in (C2PA_UUID, _XMP_UUID):
            out.add(name.decode(), at, end)
        at = end
    if at == 0:
        raise MalformedError("has no ISO base media box at its start")
    out.stop(at)


def jxl(view: View, out: Map, limits: Limits) -> None:
    """Walk a JPEG XL container (ISO/IEC 18181-2); a bare codestream is all content."""
    if view.peek(0, 2) == b"\xff\x0a":
        return out.stop(view.size)
    at = 0
    while at + 8 <= view.size:
        name, end = _box(view, at)
        if end is None:
            break
        if name in _JXL_METADATA:
            out.add(name.decode(), at, end)
        at = end
    return out.stop(at)


def _box(view: View, at: int) -> tuple[bytes, int | None]:
    """Return a box's type and end; the end is None where no box can be."""
    size, name = view.number(at, 4), view.read(at + 4, 4)
    if not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in name):
        return name, None
    if size == 0:
        return name, view.size
    if size == 1:
        size = view.number(at + 8, 8)
    if size < 8:
        return name, None
    if at + size > view.size:
        raise MalformedError(f"ends at byte {view.size}, within its box {name!r}")
    return name, at + size


def judge_paths(exclusions: list[dict[str, object]]) -> tuple[list[str], list[str]]:
    """Sort the box paths that a ``c2pa.hash.bmff`` assertion leaves out: (content, offset tables).

    ``exclusions`` is the assertion's list as c2pa-python's ``detailed_json`` gives it. Harmless, and in
    neither list, are ``/ftyp``, ``/free``, ``/skip``, ``/mfra``, and ``/uuid`` where it is tied to the C2PA
    identifier. The offset tables are those that C2PA 1.x told every signer to leave out; they choose which
    bytes are shown, so that a signature over such a file says less, but leaving them out shows no ill will.
    """
    content: list[str] = []
    tables: list[str] = []
    for exclusion in exclusions:
        path = str(exclusion.get("xpath", ""))
        if path in _HARMLESS_PATHS or (path == "/uuid" and _is_c2pa_match(exclusion.get("data"))):
            continue
        (tables if path in OFFSET_TABLES else content).append(path)
    return content, tables


def _is_c2pa_match(data: object) -> bool:
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        return False
    value = data[0].get("value")
    try:
        raw = bytes(value) if isinstance(value, list) else base64.b64decode(str(value), validate=True)
    except ValueError:
        return False
    return data[0].get("offset") == 8 and raw == C2PA_UUID


def svg(view: View, out: Map, limits: Limits) -> None:
    """Find the ``metadata`` elements of an SVG document with a real parser, so that no comment fools it.

    Raises UnsupportedError for documents that declare entities, whose bytes are not what is shown.
    """
    if view.size > _SVG_BYTES:
        raise UnsupportedError("is too large an SVG document to be mapped")
    parser = expat.ParserCreate()
    depth, opened, starts = 0, 0, 0

    def start(name: str, _attributes: object) -> None:
        nonlocal depth, opened, starts
        depth += 1
        if depth > 256:
            raise MalformedError("nests its elements deeper than 256")
        if name.rpartition(":")[2] == "metadata" and not opened:
            opened, starts = depth, parser.CurrentByteIndex

    def end(name: str) -> None:
        nonlocal depth, opened
        if depth == opened:
            # The end tag itself, "</name>", belongs to the element; white space inside it stays content.
            out.add("metadata", starts, parser.CurrentByteIndex + len(name.encode()) + 3)
            opened = 0
        depth -= 1

    def entity(*_: object) -> None:
        raise UnsupportedError("declares XML entities: its bytes are not what is shown")

    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, entity
    try:
        parser.Parse(view.read(0, view.size), True)
    except expat.ExpatError as error:
        raise MalformedError(f"is not well-formed XML: {error}") from error
    if view.peek(0, 2) in (b"\xff\xfe", b"\xfe\xff"):
        out.metadata.clear()  # the offsets above count UTF-8 bytes for end tags
    out.stop(view.size)


def pdf(view: View, out: Map, limits: Limits) -> None:
    """Find the C2PA stores in a PDF file and the bytes after its last ``%%EOF`` (ISO 32000-2, 7.5.5).

    Only embedded C2PA stores count as metadata: what else is shown only a PDF reader could say.
    """
    at = 0
    while at < view.size:
        piece = view.peek(at, 1 << 20)
        found = piece.find(b"jumdc2pa"[:4])
        if found < 0 or len(piece) < 24:
            at += max(len(piece) - 24, 24)
            continue
        box = at + found - 12
        if box >= 0 and view.peek(box + 4, 4) == b"jumb" and view.peek(box + 16, 16) == _C2PA_STORE:
            end = box + view.number(box, 4)
            if box + 8 < end <= view.size and view.peek(end, 12).lstrip(b"\r\n").startswith(b"endstream"):
                out.add("C2PA store", box, end)
        at += found + 4
    out.stop(_after_eof(view))


def _after_eof(view: View) -> int:
    start = max(0, view.size - (1 << 20))
    tail = view.peek(start, 1 << 20)
    found = tail.rfind(b"%%EOF")
    if found < 0:
        return view.size
    end = start + found + 5
    while view.peek(end, 1) in (b"\r", b"\n"):
        end += 1
    return end


def mp3(view: View, out: Map, limits: Limits) -> None:
    """Map ID3v2 and ID3v1 tags round MPEG audio frames (id3.org, ID3v2.4 section 3.1)."""
    _id3(view, out)
    if view.size >= 128 and view.peek(view.size - 128, 3) == b"TAG":
        out.add("ID3v1", view.size - 128, view.size)
    out.stop(view.size)


def flac(view: View, out: Map, limits: Limits) -> None:
    """Map FLAC metadata blocks (RFC 9639, section 8), and an ID3v2 tag before them."""
    at = _id3(view, out)
    if view.read(at, 4) != b"fLaC":
        raise MalformedError(f"has no FLAC stream at byte {at}")
    at += 4
    last = False
    while not last:
        head = view.read(at, 1)[0]
        last, kind = bool(head & 0x80), head & 0x7F
        end = at + 4 + view.number(at + 1, 3)
        if end > view.size:
            raise MalformedError(f"ends at byte {view.size}, within a FLAC metadata block")
        if kind in _FLAC_METADATA:
            out.add(_FLAC_METADATA[kind], at, end)
        at = end
    out.stop(view.size)


def _id3(view: View, out: Map) -> int:
    head = view.peek(0, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    end = 10 + size + (10 if head[5] & 0x10 else 0)
    if end > view.size:
        raise MalformedError(f"ends at byte {view.size}, within its ID3 tag")
    out.add("ID3v2", 0, end)
    return end
