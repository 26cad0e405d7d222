"""A witness's folder: its key, its name, and what it must never forget. Format: docs/formats/witness.md."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from assay.ledger.tlog.cosignature import SEED_BYTES, CosignatureKey, Cosigner
from assay.ledger.tlog.note import check_name
from assay.ledger.witness.memory import Memory
from assay.provenance.errors import ConfigurationError, CredentialError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.keys.signers import write_secret

KEY_FILE = "witness.seed"
NAME_FILE = "witness.vkey"
MEMORY_FILE = "witness.sqlite"
_MAX_VKEY_BYTES = 4096


def create_witness(folder: Path, name: str, algorithm: int, random: Callable[[int], bytes]) -> CosignatureKey:
    """Make a witness's folder with a new key of signature type 4 or 6; return its public half.

    Raises MalformedError on an unusable name, ConfigurationError where the folder exists.
    """
    check_name(name)
    seed = random(SEED_BYTES)
    key = Cosigner.from_seed(name, algorithm, seed).key
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise ConfigurationError(
            "there is something already", path=folder, hint="a witness's folder is never overwritten"
        ) from error
    write_secret(folder / KEY_FILE, seed)
    Memory.create(folder / MEMORY_FILE).close()
    with atomic_output(folder / NAME_FILE) as stream:
        stream.write(f"{key.vkey}\n".encode())
    return key


def open_witness(folder: Path) -> tuple[Cosigner, Memory]:
    """Open a witness's key and memory; raises CredentialError, ConfigurationError and LedgerError."""
    try:
        with (folder / NAME_FILE).open("rb") as stream:
            vkey = stream.read(_MAX_VKEY_BYTES).decode("utf-8")
        with (folder / KEY_FILE).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            seed = stream.read(SEED_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigurationError(
            "there is no witness here", path=folder, hint="make one with 'assay ledger witness new'"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the witness cannot be read: {error}", path=folder) from error
    path = folder / KEY_FILE
    if os.name == "posix" and mode & 0o077:
        raise CredentialError("other users can read the witness's key", path=path, hint=f"chmod 0400 {path}")
    key = CosignatureKey.parse(vkey)
    cosigner = Cosigner.from_seed(key.name, key.algorithm, seed)
    if cosigner.key != key:
        raise CredentialError("the witness's key is not the one it is known by", path=path)
    return cosigner, Memory.open(folder / MEMORY_FILE)
