"""Fingerprints and sketches of pictures. Format: docs/formats/sketch.md; why: docs/adr/0004."""

from __future__ import annotations

import zlib

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from assay.ledger.likeness import chroma, film, iscc
from assay.ledger.likeness.align import Area, Plane, Rect, to_planes, to_rgb
from assay.ledger.likeness.compare import compare
from assay.ledger.likeness.follow import follow
from assay.ledger.likeness.near import is_near
from assay.ledger.likeness.trail import Trail, trail_seconds, words_in
from assay.provenance.entry import Fingerprint, Recovery
from assay.provenance.errors import MalformedError
from assay.provenance.manifest import SoftBinding
from assay.provenance.mark import Frame
from assay.provenance.media import Kind, Media, Samples
from assay.provenance.protocols import Comparison

CANONICAL_SIDE = 512
"""Longest side of the picture that PDQ hashes and sketches are made of, in pixels."""
SKETCH_SIDE = 96
"""Longest side of a sketch in pixels."""
MIN_QUALITY = 50
"""Least PDQ quality (0..100): flatter pictures resemble too many others (ThreatExchange drops them too)."""
MIN_SIDE = 8
"""Shortest side of a canonical picture that has a fingerprint, in pixels."""

_MAGIC = b"ASK\x01"
_HEADER_BYTES = len(_MAGIC) + 2


def canonical(picture: Samples) -> Samples:
    """Return the picture by area averaging at a longest side of 512 pixels, never enlarged.

    From 2,048 pixels on an integer reduction by ``longest // 1024`` comes first: the result is defined by
    these two steps (docs/formats/sketch.md), both in 8 bits. Takes and returns uint8 (height, width, 3).
    """
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= CANONICAL_SIDE:
        return picture
    size = tuple(max(1, round(side * CANONICAL_SIDE / longest)) for side in (width, height))
    image = Image.fromarray(np.ascontiguousarray(picture))
    if longest >= 4 * CANONICAL_SIDE:
        image = image.reduce(longest // (2 * CANONICAL_SIDE))
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def encode_sketch(picture: Samples) -> bytes:
    """Return the sketch of a canonical picture, uint8 (height, width, 3)."""
    height, width = picture.shape[:2]
    scale = min(1.0, SKETCH_SIDE / max(height, width))
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    area = Area(to_planes(picture))
    luma = area.part(Rect(), rows, columns, 0)
    chroma = area.part(Rect(), (rows + 1) // 2, (columns + 1) // 2, slice(1, 3))
    body = b"".join(np.clip(np.rint(part), 0, 255).astype(np.uint8).tobytes() for part in (luma, chroma))
    return _MAGIC + bytes((columns, rows)) + zlib.compress(body, 9)


def decode_sketch(data: bytes) -> Plane:
    """Return a sketch's planes, float32 (3, height, width), chroma at full size.

    Raises MalformedError on anything but exactly one sketch; never inflates more than its size says.
    """
    if len(data) <= _HEADER_BYTES or not data.startswith(_MAGIC):
        raise MalformedError("not a sketch of version 1")
    columns, rows = data[len(_MAGIC) : _HEADER_BYTES]
    if not (1 <= columns <= SKETCH_SIDE and 1 <= rows <= SKETCH_SIDE):
        raise MalformedError(f"a sketch of {columns} × {rows} pixels; at most {SKETCH_SIDE} a side")
    small = ((rows + 1) // 2, (columns + 1) // 2)
    expected = rows * columns + 2 * small[0] * small[1]
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(data[_HEADER_BYTES:], expected + 1)
    except zlib.error as error:
        raise MalformedError("a sketch is damaged") from error
    if len(body) != expected or not inflater.eof or inflater.unused_data:
        raise MalformedError("a sketch does not have the bytes that its size asks for")
    samples: NDArray[np.float32] = np.frombuffer(body, dtype=np.uint8).astype(np.float32)
    luma = samples[: rows * columns].reshape(1, rows, columns)
    chroma = samples[rows * columns :].reshape(2, *small)
    full = chroma.repeat(2, axis=1).repeat(2, axis=2)[:, :rows, :columns]
    return np.concatenate([luma, full])


def _bytes_of(bits: NDArray[np.integer]) -> bytes:
    """Pack PDQ's 256 bits, most significant first, as its hexadecimal form has them."""
    return np.packbits(np.asarray(bits, dtype=np.uint8)).tobytes()


def _pdq(frame: Samples) -> bytes | None:
    """Return a frame's PDQ, 32 bytes, None where it is too flat or too small."""
    picture = canonical(frame)
    if min(picture.shape[:2]) < MIN_SIDE:
        return None
    bits, quality = pdqhash.compute(np.ascontiguousarray(picture))
    return _bytes_of(bits) if quality >= MIN_QUALITY else None


class PdqFingerprinter:
    """PDQ fingerprints, ISCC codes and sketches; implements ``assay.provenance.protocols.Fingerprinter``."""

    alg = "pdq"

    def fingerprint(self, media: Media) -> Fingerprint | None:
        """Return the PDQ hash (32 bytes), or None where its quality is 49 or less: too flat to tell apart.

        Films and sounds have none for the whole: they are found by their trails.
        """
        if media.kind is not Kind.IMAGE:
            return None
        picture = canonical(media.frame())
        if min(picture.shape[:2]) < MIN_SIDE:
            return None
        bits, quality = pdqhash.compute(np.ascontiguousarray(picture))
        return Fingerprint(self.alg, _bytes_of(bits), int(quality)) if quality >= MIN_QUALITY else None

    def fingerprints(self, media: Media) -> list[Fingerprint]:
        """Return the fingerprints to look a picture up by, or [].

        PDQ as it is, then turned and mirrored, then the ISCC as it is: it bears small crops and turns better.
        """
        if media.kind is not Kind.IMAGE:
            return []
        picture = canonical(media.frame())
        if min(picture.shape[:2]) < MIN_SIDE:
            return []
        variants, quality = pdqhash.compute_dihedral(np.ascontiguousarray(picture))
        if quality < MIN_QUALITY:
            return []
        found = [Fingerprint(self.alg, _bytes_of(bits), int(quality)) for bits in variants]
        return [*found, self.coded(iscc.image_code(media.frame()))[1]]

    def bindings(self, media: Media) -> list[SoftBinding]:
        """Return the registered soft bindings: the ISCC of a picture or a sound, none where there is no fingerprint."""
        if media.kind is Kind.AUDIO:
            code = iscc.sound_code(chroma.prints(media).tolist())
            return [SoftBinding(iscc.ALG, code)] if code else []
        if self.fingerprint(media) is None:
            return []
        return [SoftBinding(iscc.ALG, iscc.image_code(media.frame()))]

    def coded(self, text: str) -> tuple[SoftBinding, Fingerprint]:
        """Return the soft binding that an ISCC names, and the value to look near it; raises MalformedError."""
        code, body = iscc.read_code(text)
        return SoftBinding(iscc.ALG, code), Fingerprint(iscc.ALG, body, 100)

    def leads(self, fingerprint: Fingerprint, recovery: Recovery) -> bool:
        """Say whether a recovery record lies within the ledger's distance of a fingerprint."""
        return is_near(recovery, fingerprint)

    def sketch(self, media: Media) -> bytes:
        """Return what is kept for comparing: of a picture a small one (docs/formats/sketch.md), 7 to 12 KB.

        Of a film or a sound it is the trail (docs/formats/trail.md): 36 bytes each half second, or 32 a second.
        """
        if media.kind is not Kind.IMAGE:
            return self._trail(media, asked=False).to_bytes()
        return encode_sketch(canonical(media.frame()))

    def trail(self, media: Media) -> bytes:
        """Return what a received film or sound is found and followed by, in one pass."""
        return self._trail(media, asked=True).to_bytes()

    def _trail(self, media: Media, *, asked: bool) -> Trail:
        if media.kind is Kind.AUDIO:
            prints = chroma.prints(media)
            last = (len(prints) + chroma.REACH) * chroma.STEP if len(prints) else 0.0
            return Trail.of_sound(prints, trail_seconds(media.seconds, last))
        return film.trail(media, _pdq, asked=asked)

    def words(self, trail: bytes) -> list[str]:
        """Return the words of a trail, some of which the original's trail has too."""
        return words_in(trail)

    def follow(self, trail: bytes, sketch: bytes) -> Comparison:
        """Lay a received trail over what is kept of an original; raises MalformedError where either is none."""
        return follow(Trail.from_bytes(trail), Trail.from_bytes(sketch))

    def picture(self, sketch: bytes) -> Samples | None:
        """Return a sketch as uint8 (height, width, 3) RGB to look at, None if it cannot be read."""
        try:
            planes = decode_sketch(sketch)
        except MalformedError:
            return None
        return np.clip(np.rint(to_rgb(planes)), 0, 255).astype(np.uint8).transpose(1, 2, 0)

    def compare(self, media: Media, sketch: bytes, frame: Frame | None = None) -> Comparison:
        """Align media with a sketch and say how alike they are and where they differ.

        ``frame`` says where a mark puts them, and is tried first. Raises MalformedError where the sketch is not one.
        """
        picture = media.frame()
        height, width = picture.shape[:2]
        return compare(to_planes(canonical(picture)), decode_sketch(sketch), frame, (height, width))
