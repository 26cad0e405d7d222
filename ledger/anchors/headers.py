"""Bitcoin block headers from a file of one's own. Format: docs/formats/anchor.md.

A header that was supplied is as good as where it came from: its proof of work shows what it cost to make, not that
it is in the chain that everybody else follows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assay.provenance.errors import ConfigurationError, CredentialError, MalformedError
from assay.provenance.text import safe_text

HEADER_BYTES = 80
MAX_LINE_CHARS = 200
"""Longest line of a header file: a height, a space, 160 hexadecimal digits."""
MAX_HEIGHT = (1 << 31) - 1
NETWORKS = ("bitcoin", "regtest")
"""``bitcoin`` asks of each header at least the work of the first block; ``regtest``, for tests, any."""


@dataclass(frozen=True, slots=True)
class Header:
    """One block header: the Merkle root it commits to (32 bytes, as hashed), its time, its hash and the one before."""

    height: int
    merkle_root: bytes
    previous: bytes
    hash: bytes
    time: dt.datetime


class HeaderFile:
    """A text file with a header on each line, height and 160 hexadecimal digits; read anew whenever it is asked.

    Lines that are empty or begin with ``#`` say nothing. Raises ConfigurationError where the Bitcoin library is
    not installed, or for an unknown network.
    """

    def __init__(self, path: Path, network: str = "bitcoin") -> None:
        try:
            from bitcoin import core
            from bitcoin.core import serialize
        except ImportError as error:
            hint = "pip install 'assay[timestamp]'"
            raise ConfigurationError("Bitcoin headers cannot be read here", hint=hint) from error
        if network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise ConfigurationError(f"unknown network {safe_text(network, 40)!r}", hint=f"known: {known}")
        main, test = core.CoreMainParams.PROOF_OF_WORK_LIMIT, core.CoreRegTestParams.PROOF_OF_WORK_LIMIT
        self.path, self._limit = path, main if network == "bitcoin" else test
        self._core, self._serialize = core, serialize

    def find(self, heights: Iterable[int]) -> dict[int, Header]:
        """Return the headers at these heights, as far as the file has them.

        Each has the work that it claims, and fits the headers just below and above it that the file has. Raises
        MalformedError where a line cannot be read or a header does not hold, CredentialError where there is no file.
        """
        wanted = set(heights)
        near = {height + step for height in wanted for step in (-1, 0, 1)}
        found: dict[int, Header] = {}
        for number, height, text in self._lines():
            if height in near:
                header = self._header(height, text, number)
                if found.setdefault(height, header).hash != header.hash:
                    raise MalformedError(
                        f"line {number}: another header at height {height} was given before", path=self.path
                    )
        for height, header in found.items():
            above = found.get(height + 1)
            if above is not None and above.previous != header.hash:
                raise MalformedError(
                    f"the header at height {height + 1} does not follow the one at {height}", path=self.path
                )
        return {height: header for height, header in found.items() if height in wanted}

    def _lines(self) -> Iterable[tuple[int, int, str]]:
        try:
            with self.path.open(encoding="ascii", errors="replace") as stream:
                number = 0
                while line := stream.readline(MAX_LINE_CHARS + 1):
                    number += 1
                    height, _, rest = line.strip().partition(" ")
                    if not height or height.startswith("#"):
                        while not line.endswith("\n") and line:  # the rest of a long comment
                            line = stream.readline(MAX_LINE_CHARS + 1)
                        continue
                    if len(line) > MAX_LINE_CHARS or not (height.isdecimal() and int(height) <= MAX_HEIGHT):
                        raise MalformedError(
                            f"line {number} is not a height and a header: {safe_text(line, 40)!r}",
                            path=self.path,
                        )
                    yield number, int(height), rest
        except OSError as error:
            raise CredentialError(
                f"the block headers cannot be read: {error.strerror}", path=self.path, hint="see assay.toml"
            ) from error

    def _header(self, height: int, text: str, number: int) -> Header:
        try:
            data = bytes.fromhex(text)
            if len(data) != HEADER_BYTES or len(text) != 2 * HEADER_BYTES:
                raise ValueError("not 80 bytes")
            header = self._core.CBlockHeader.deserialize(data)
        except (ValueError, self._serialize.SerializationError) as error:
            raise MalformedError(
                f"line {number} does not hold a block header of 160 hexadecimal digits", path=self.path
            ) from error
        digest: bytes = header.GetHash()
        target: int = self._serialize.uint256_from_compact(header.nBits)
        if not 0 < target <= self._limit or self._serialize.uint256_from_str(digest) > target:
            raise MalformedError(f"the header at height {height} lacks its proof of work", path=self.path)
        return Header(
            height=height,
            merkle_root=header.hashMerkleRoot,
            previous=header.hashPrevBlock,
            hash=digest,
            time=dt.datetime.fromtimestamp(header.nTime, dt.UTC),
        )
