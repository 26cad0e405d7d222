"""Trails: what is kept of a film or a sound to find it by a piece of it. Format: docs/formats/trail.md."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness import chroma
from assay.ledger.likeness.bands import FINGERPRINT_BYTES
from assay.provenance.errors import MalformedError
from assay.provenance.media import Kind

MAGIC = b"ATR\x01"
MAX_FRAMES = 4096
"""Most frames in the trail of a film."""
MAX_PRINTS = 200_000
"""Most fingerprints in the trail of a sound: almost seven hours."""
WORD_BYTES = 4
"""Bytes of a frame's fingerprint that are looked up together, exactly; a frame has eight such words."""
WORD_FRAMES = 512
"""Most frames of a film that are looked up."""
UNLIKE = 12
"""Bits in which a frame differs from the one looked up before, or it is not looked up: a still scene is, once."""
SOUND_WORDS = 8192
"""Most words of a sound, a quarter of an hour of it; of a longer one those are words that come first by their hash."""

_KINDS = {b"F": Kind.VIDEO, b"S": Kind.AUDIO}
_HEAD = len(MAGIC) + 1 + 4


@dataclass(frozen=True, slots=True)
class Trail:
    """Fingerprints along a film or a sound.

    ``seconds`` is its length. A film's ``prints`` are PDQ, uint8 (n, 32), of the frames at ``times``, float64 (n,)
    seconds, ascending; a sound's are Chromaprint, uint32 (n,), one every ``chroma.STEP`` seconds from the start.
    """

    kind: Kind
    seconds: float
    prints: NDArray[np.generic] = field(repr=False)
    times: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of_sound(cls, prints: NDArray[np.uint32], seconds: float) -> Trail:
        """Wrap the fingerprints of a sound, at most ``MAX_PRINTS`` of them."""
        kept = prints[:MAX_PRINTS]
        times: NDArray[np.float64] = np.arange(len(kept), dtype=np.float64) * chroma.STEP
        return cls(Kind.AUDIO, seconds, kept, times)

    def to_bytes(self) -> bytes:
        """Return the form that is kept."""
        body = len(self.prints).to_bytes(4, "little")
        if self.kind is Kind.VIDEO:
            body += np.rint(self.times * 1000).astype("<u4").tobytes()
        body += self.prints.astype("<u4" if self.kind is Kind.AUDIO else np.uint8).tobytes()
        mark = b"F" if self.kind is Kind.VIDEO else b"S"
        return MAGIC + mark + round(self.seconds * 1000).to_bytes(4, "little") + zlib.compress(body, 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> Trail:
        """Read a trail; raises MalformedError on anything but exactly one, and inflates no more than its count says."""
        kind = _KINDS.get(data[len(MAGIC) : len(MAGIC) + 1])
        if not is_trail(data) or kind is None or len(data) <= _HEAD:
            raise MalformedError("not a trail of version 1")
        width = 4 if kind is Kind.AUDIO else 4 + FINGERPRINT_BYTES
        most = MAX_PRINTS if kind is Kind.AUDIO else MAX_FRAMES
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(data[_HEAD:], 4 + most * width + 1)
        except zlib.error as error:
            raise MalformedError("a trail is damaged") from error
        count = int.from_bytes(body[:4], "little")
        if len(body) != 4 + count * width or count > most or not inflater.eof or inflater.unused_data:
            raise MalformedError("a trail does not have the bytes that its count asks for")
        seconds = int.from_bytes(data[len(MAGIC) + 1 : _HEAD], "little") / 1000
        if kind is Kind.AUDIO:
            return cls.of_sound(np.frombuffer(body, "<u4", count, 4).astype(np.uint32), seconds)
        times = np.frombuffer(body, "<u4", count, 4) / 1000
        if (np.diff(times) <= 0).any():
            raise MalformedError("a trail's times do not ascend")
        prints = np.frombuffer(body, np.uint8, count * FINGERPRINT_BYTES, 4 + 4 * count)
        return cls(kind, seconds, prints.reshape(count, FINGERPRINT_BYTES), times)

    def words(self) -> list[str]:
        """Return the words, without repetition, by which the whole is found exactly: of frames 8, of a sound some."""
        found = self._film_words() if self.kind is Kind.VIDEO else self._sound_words()
        return list(dict.fromkeys(found))

    def _film_words(self) -> Iterator[str]:
        chosen: list[bytes] = []
        for value in (p.tobytes() for p in self.prints):
            if not chosen or _apart(chosen[-1], value) >= UNLIKE:
                chosen.append(value)
        for n in np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), WORD_FRAMES)).astype(int)):
            for at in range(0, FINGERPRINT_BYTES, WORD_BYTES):
                yield f"film:{at // WORD_BYTES}:{chosen[n][at : at + WORD_BYTES].hex()}"

    def _sound_words(self) -> Iterator[str]:
        values = np.unique(self.prints)
        ranks = sorted((_rank(int(v)), int(v)) for v in values)
        for _, value in ranks[:SOUND_WORDS]:
            yield f"sound:{value:08x}"


def is_trail(data: bytes) -> bool:
    """Say whether what is kept of an original is a trail, and no sketch of a picture."""
    return data.startswith(MAGIC)


def words_in(sketch: bytes) -> list[str]:
    """Return the words of what is kept of an original; none of a picture's sketch, or of what cannot be read."""
    if not is_trail(sketch):
        return []
    try:
        return Trail.from_bytes(sketch).words()
    except MalformedError:
        return []


def _apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def _rank(value: int) -> int:
    return int.from_bytes(hashlib.sha256(value.to_bytes(4, "big")).digest()[:4], "big")


def trail_seconds(seconds: Fraction | None, last: float) -> float:
    """Return a length: the declared one, or where the last sample was if that is later."""
    return max(float(seconds or 0), last)
