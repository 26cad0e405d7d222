"""One file under examination: opened once, hashed once, decoded once, for all witnesses."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from assay.provenance.asset import Asset
from assay.provenance.errors import AssayError, UnsupportedError
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.sniff import open_asset
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Kind, Picture


class Subject:
    """A file as found, with its one canonical decode made on first use.

    What is hashed is what is decoded: every reader uses the same open stream. Close it, or use ``with``.
    """

    def __init__(self, asset: Asset, stream: BinaryIO, limits: Limits) -> None:
        self.asset = asset
        self.limits = limits
        self._stream = stream
        self._picture: Picture | AssayError | None = None

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
