"""What witnesses saw of the workspace's ledger, remembered outside its database. Format: docs/formats/witness.md."""

from __future__ import annotations

from pathlib import Path

from assay.provenance.errors import ConfigurationError
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
    """Remember a cosigned checkpoint in place of the one before; what stood there must not be newer."""
    with atomic_output(home / WITNESSED, overwrite=True) as stream:
        stream.write(note.encode())
