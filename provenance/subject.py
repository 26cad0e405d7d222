"""One file under examination: opened once, hashed once, decoded once, for all witnesses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from assay.provenance.asset import Asset
from assay.provenance.errors import AssayError, InputError, UnsupportedError
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.sniff import open_asset, open_regular
from assay.provenance.files.worker import Answer, Job, run_together
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Kind, Picture


class Subject:
    """A file as found, with its one canonical decode made on first use.

    What is hashed is what is decoded: every reader uses the same open stream (``files.sniff.open_asset``). Close it,
    or use ``with``.
    """

    def __init__(self, asset: Asset, stream: BinaryIO, limits: Limits) -> None:
        self.asset = asset
        self.limits = limits
        self._stream = stream
        self._picture: Picture | AssayError | None = None
        self._answers: dict[str, Answer | AssayError] = {}

    @classmethod
    def open(cls, path: Path, limits: Limits = DEFAULT_LIMITS) -> Subject:
        """Open a file; raises InputError where it is missing, empty, too large or no regular file."""
        asset, stream = open_asset(path, limits)
        return cls(asset, stream, limits)

    @property
    def stream(self) -> BinaryIO:
        """The open file, at its start."""
        self._stream.seek(0)
        return self._stream

    def reopen(self) -> BinaryIO:
        """Open the same bytes with a position of their own; raises InputError where another file took their place."""
        same = Path(f"/proc/self/fd/{self._stream.fileno()}")
        stream = open_regular(same if same.exists() else self.asset.path)
        if not os.path.sameopenfile(stream.fileno(), self._stream.fileno()):
            stream.close()
            raise InputError("was replaced while it was being read", hint="try again", path=self.asset.path)
        return stream

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

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
