"""The anchoring contract as it ships: source, ABI, bytecode and how they were built. docs/formats/anchor-evm.md."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_FOLDER = "contract"
_BUILD = "CheckpointAnchor.json"


@dataclass(frozen=True, slots=True)
class Contract:
    """One build: ``source`` is Solidity, ``bytecode`` makes the contract, ``runtime`` is what then lies on the chain.

    ``abi`` is JSON, ``compiler`` and ``settings`` are all that is needed to build the same bytes again.
    """

    name: str
    source: str
    compiler: str
    settings: dict[str, Any]
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes

    @property
    def runtime_digest(self) -> str:
        """SHA-256 of the code as it lies on a chain, hexadecimal."""
        return hashlib.sha256(self.runtime).hexdigest()


@cache
def contract() -> Contract:
    """Return the contract that this release deploys and trusts."""
    folder = files("assay.ledger.anchors") / _FOLDER
    build = json.loads((folder / _BUILD).read_text("utf-8"))
    return Contract(
        build["name"],
        (folder / build["source"]).read_text("utf-8"),
        build["compiler"],
        build["settings"],
        build["abi"],
        bytes.fromhex(build["bytecode"]),
        bytes.fromhex(build["runtime"]),
    )


def log_id(origin: str) -> bytes:
    """Return what the contract knows a log by: SHA-256 of its origin, 32 bytes (C2SP tlog-witness, origin hash)."""
    return hashlib.sha256(origin.encode()).digest()
