"""One file under examination: opened once, hashed once, decoded once, for all witnesses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from assay.provenance.asset import Asset, Digest
from assay.provenance.errors import AssayError, InputError, UnsupportedError
from assay.provenance.files.film import film
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.reel import Reel, probe
from assay.provenance.files.sniff import open_asset, open_regular, written_at
from assay.provenance.files.sound import sound
from assay.provenance.files.worker import Answer, Job, run_together
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Kind, Media, Picture, Timed

Watch = Callable[[float, float], None]
"""Is told where a pass over a film or a sound is, and its length if it is known, else 0: both in seconds."""


class Subject:
    """A file as found, with its one canonical decode made on first use.

    What is hashed is what is decoded: every reader uses the same open stream (``files.sniff.open_asset``). Where that
    is no private copy, the end of ``with`` looks whether somebody wrote to it (``settle``). Close it, or use ``with``.
    """

    def __init__(self, asset: Asset, stream: BinaryIO, limits: Limits, watch: Watch | None = None) -> None:
        self.asset = asset
        self._watch = watch
        self.limits = limits
        self._stream = stream
        self._written_at = written_at(stream)
        self._settled = False
        self._picture: Picture | AssayError | None = None
        self._reel: Reel | AssayError | None = None
        self._answers: dict[str, Answer | AssayError] = {}

    @classmethod
    def open(cls, path: Path, limits: Limits = DEFAULT_LIMITS, watch: Watch | None = None) -> Subject:
        """Open a file; raises InputError where it is missing, empty, too large or no regular file.

        ``watch`` is told how far each pass over a film or a sound has come.
        """
        asset, stream = open_asset(path, limits)
        return cls(asset, stream, limits, watch)

    @property
    def stream(self) -> BinaryIO:
        """The open file, at its start."""
        self._settled = False
        self._stream.seek(0)
        return self._stream

    def reopen(self) -> BinaryIO:
        """Open the same bytes with a position of their own; raises InputError where another file took their place."""
        self._settled = False
        same = Path(f"/proc/self/fd/{self._stream.fileno()}")
        stream = open_regular(same if same.exists() else self.asset.path)
        if not os.path.sameopenfile(stream.fileno(), self._stream.fileno()):
            stream.close()
            raise InputError("was replaced while it was being read", hint="try again", path=self.asset.path)
        return stream

    def settle(self) -> None:
        """Hash a file that was read where it lies once more; raises InputError where it was changed meanwhile.

        A time of change that is another tells of one that was undone. Nothing is done for a private copy, nor where
        nothing was read since the last time.
        """
        if self._settled or self._written_at is None:
            return
        if written_at(self._stream) != self._written_at or Digest.of_file(self._stream) != self.asset.digest:
            raise InputError(
                "was changed or moved while it was being read, so that what was hashed may not be what was examined",
                hint="copy it to where nobody writes to it, and run it again", path=self.asset.path,
            )  # fmt: skip
        self._settled = True

    def parse(self, jobs: Mapping[str, Job]) -> None:
        """Run the parsers of several checks in one child and keep their answers; see ``answer``."""
        self._answers |= run_together(jobs, self.stream, self.limits)

    def answer(self, name: str, job: Job) -> Answer:
        """Return a parser's kept answer, or run it now; raises what it raised, MalformedError, LimitError."""
        if name not in self._answers:
            self.parse({name: job})
        answer = self._answers[name]
        if isinstance(answer, AssayError):
            raise answer
        return answer

    def picture(self) -> Picture:
        """Return the decoded picture; raises UnsupportedError for other media, MalformedError, LimitError."""
        if self._picture is None:
            if self.asset.kind is not Kind.IMAGE:
                self._picture = UnsupportedError(
                    f"{self.asset.media_type} is not a picture that can be examined", path=self.asset.path
                )
            else:
                try:
                    self._picture = decode_isolated(self.stream, self.limits)
                except AssayError as error:
                    self._picture = error
        if isinstance(self._picture, AssayError):
            raise self._picture
        return self._picture

    def reel(self) -> Reel:
        """Say what a film or sound holds; raises UnsupportedError for other media, MalformedError, LimitError."""
        if self._reel is None:
            if self.asset.kind not in (Kind.VIDEO, Kind.AUDIO):
                self._reel = UnsupportedError(
                    f"{self.asset.media_type} is neither a film nor a sound", path=self.asset.path
                )
            else:
                try:
                    self._reel = probe(self.stream, self.asset.media_type, self.limits)
                except AssayError as error:
                    self._reel = error
        if isinstance(self._reel, AssayError):
            raise self._reel
        return self._reel

    def media(self) -> Media:
        """Return the samples: a picture's, a film's frames, or a sound; they are read while the file is open.

        What is called a film but holds sound alone is a sound. Raises what ``picture`` and ``reel`` raise; passes over
        a film or a sound raise MalformedError and LimitError.
        """
        if self.asset.kind is Kind.IMAGE:
            return self.picture().media
        reel = self.reel()
        return self._watched(film(self.stream, reel, self.limits)) if reel.pictures else self.voices()

    def voices(self) -> Media:
        """Return the sound of a film or a sound; raises UnsupportedError where there is none."""
        return self._watched(sound(self.stream, self.reel(), self.limits))

    def _watched(self, media: Media) -> Media:
        watch, keys, spaced = self._watch, media.keys, media.spaced
        if watch is None:
            return media

        def told(passing: Iterator[Timed]) -> Iterator[Timed]:
            for at, chunk in passing:
                watch(float(at), float(media.seconds or 0))
                yield at, chunk

        return replace(
            media,
            source=lambda start, stop: told(media.source(start, stop)),
            keys=None if keys is None else lambda apart: told(keys(apart)),
            spaced=None if spaced is None else lambda apart: told(spaced(apart)),
        )

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.settle()
        finally:
            self.close()
