"""The mark of films, whole: hide an identifier in passing frames, and find it. Format: docs/formats/mark-video.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from assay.provenance.errors import UsageError
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind, Media
from assay.watermark.film.hear import Ear, joined
from assay.watermark.film.listen import glances
from assay.watermark.film.voice import SCHEME, SIDE, FilmVoice
from assay.watermark.film.write import Writer
from assay.watermark.payload import PUBLIC_KEY


class FilmMark:
    """Watermark for films: 64 bits that survive cutting, re-encoding, scaling, cropping and changes of frame rate.

    ``keys`` are secrets of 16 bytes or more: the first one writes, all are tried on reading. Conforms to
    ``assay.provenance.protocols.KeyedWatermark``.
    """

    scheme: ClassVar[str] = SCHEME
    id_bits: ClassVar[int] = 64
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.VIDEO})

    def __init__(self, keys: Sequence[bytes] = (PUBLIC_KEY,)) -> None:
        if not keys:
            raise UsageError("a mark needs a key", hint="give one, or leave it out for the public key")
        self.voices = [FilmVoice(key) for key in keys]

    def with_keys(self, keys: Sequence[bytes]) -> Self:
        """Return the scheme under these secrets, the empty one standing for the public key."""
        return type(self)([key or PUBLIC_KEY for key in keys])

    def embed(self, media: Media, id: str) -> Media:
        """Return the film with the identifier, in hexadecimal, in its luma; frames are marked as they are asked for.

        Raises UsageError on a malformed identifier; a pass raises LimitError where the frames are too small.
        """
        voice = self.voices[0]
        voice.payload.parse(id)
        return media.changed(lambda frames: Writer(voice, id).marked(frames))

    def read(self, media: Media) -> Reading:
        """Look for an identifier: ``details`` has the ``intervals`` that carry it, of those that were ``heard``.

        ``p_value`` bounds, over the choice of the key, the probability that a film not marked with it agrees as well
        with any identifier, all decodings counted.
        """
        ears = [Ear(voice, len(self.voices)) for voice in self.voices]
        times: list[tuple[float, float]] = []
        for glance in glances(media):
            look = glance.listened(SIDE)
            times += look.times
            for ear in ears:
                ear.take(glance, look)
        if not times:
            return Reading(SCHEME, None, None, "too small")
        for ear in ears:
            ear.finish()
        found = [ear for ear in ears if ear.found is not None]
        if not found:
            return Reading(SCHEME, None, 1.0, "no mark", {"intervals": [], "heard": _seconds(joined(times))})
        return _told(min(found, key=lambda ear: ear.found.p_value if ear.found else 1.0), times)


def _told(ear: Ear, times: list[tuple[float, float]]) -> Reading:
    """Return the reading of a voice that was found."""
    found = ear.found
    assert found is not None
    pose = found.track.pose
    details: dict[str, Any] = {
        "agreement": round(found.agreement, 2),
        "scale_rotation": (pose.matrix * (SIDE / found.look.side)).round(4).tolist(),
        "sync": round(pose.score, 1),
        "intervals": _seconds(ear.carried()),
        "heard": _seconds(joined(times)),
    }
    return Reading(SCHEME, Mark(SCHEME, found.id), found.p_value, "", details)


def _seconds(stretches: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(start, 3), round(stop, 3)] for start, stop in stretches]
