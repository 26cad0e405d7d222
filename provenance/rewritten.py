"""A film or a sound with a mark in it: written like the original, and read back."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from assay.provenance.errors import LimitError
from assay.provenance.files.film import film
from assay.provenance.files.reel import probe
from assay.provenance.files.refilm import refilm
from assay.provenance.files.resound import resound
from assay.provenance.files.sound import sound
from assay.provenance.listening import listen
from assay.provenance.mark import Mark
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import Watermark
from assay.provenance.subject import Subject


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The new file, without a name; its samples, read from it; the mark that they carry; what could not be kept."""

    stream: BinaryIO
    media: Media
    mark: Mark
    notes: tuple[str, ...]


def with_mark(subject: Subject, watermark: Watermark, identifier: str, folder: Path) -> Rewritten:
    """Mark a film's pictures or a sound, write it like the original into ``folder``, and read it back.

    The file vanishes when its stream is closed. Raises UnsupportedError where it cannot be written like the original,
    LimitError where it cannot carry the mark, or the mark does not outlive its own coding, MalformedError.
    """
    reel, media, limits = subject.reel(), subject.media(), subject.limits
    write = refilm if media.kind is Kind.VIDEO else resound
    stream = tempfile.TemporaryFile(dir=folder, prefix=".assay-")  # noqa: SIM115 the receiver closes it
    try:
        notes = write(subject.stream, reel, watermark.embed(media, identifier), stream, limits)
        again = probe(stream, reel.media_type, limits)
        marked = (film if media.kind is Kind.VIDEO else sound)(stream, again, limits)
        reading = listen(watermark, marked)
        if reading.mark is None or reading.mark.id != identifier:
            raise LimitError("it does not survive this file's own compression")
    except BaseException:
        stream.close()
        raise
    return Rewritten(stream, marked, reading.mark, notes)
