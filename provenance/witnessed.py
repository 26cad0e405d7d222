"""What witnesses saw of the workspace's ledger, remembered outside its database. Format: docs/formats/witness.md."""

from __future__ import annotations

import re
from pathlib import Path

from assay.provenance.errors import ConfigurationError, LedgerError
from assay.provenance.files.atomic import atomic_output

WITNESSED = "witnessed.note"
"""The last cosigned checkpoint of the workspace's ledger, a signed note, verbatim."""
MAX_WITNESSED_BYTES = 1 << 20


def read_witnessed(home: Path) -> tuple[str, ...]:
    """Return the remembered checkpoint, or nothing where none was cosigned yet; the ledger judges it.

    Raises ConfigurationError where the file is there but cannot be read.
    """
    path = home / WITNESSED
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_WITNESSED_BYTES + 1)
        if len(data) > MAX_WITNESSED_BYTES:
            raise ConfigurationError(f"larger than {MAX_WITNESSED_BYTES} bytes", path=path)
        return (data.decode("utf-8"),)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the checkpoint that witnesses last saw cannot be read: {error}",
            path=path,
            hint="without it an older copy of the ledger is noticed only by the witnesses themselves",
        ) from error


def write_witnessed(home: Path, note: str) -> None:
    """Remember a cosigned checkpoint in place of the one before.

    Raises LedgerError, and changes nothing, where the one before is of a larger ledger.
    """
    for before in read_witnessed(home):
        if _size(before) > _size(note):
            raise LedgerError(
                f"this ledger has {_size(note)} entries, but witnesses have seen {_size(before)}: an older copy was "
                "restored in its place",
                path=home / WITNESSED,
                hint="append nothing: bring back the newer database",
            )
    with atomic_output(home / WITNESSED, overwrite=True) as stream:
        stream.write(note.encode())


def _size(note: str) -> int:
    """Return the tree size on the second line of a checkpoint; 0 where there is none."""
    lines = note.split("\n", 2)
    return int(lines[1]) if len(lines) > 2 and re.fullmatch("[0-9]{1,19}", lines[1]) else 0
