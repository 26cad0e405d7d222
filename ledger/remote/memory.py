"""What this side remembers of a log elsewhere: its newest verified checkpoint, and proof of what it must not do."""

from __future__ import annotations

import hashlib
from pathlib import Path

from assay.ledger.tlog.note import MAX_NOTE_BYTES, Checkpoint
from assay.provenance.errors import AssayError, LedgerError
from assay.provenance.files.atomic import atomic_output

_HEADER = "Two checkpoints of one log; what the log shows with the second does not extend the first.\n"


class Memory:
    """The newest verified checkpoint of one log, in a file that is replaced as a whole."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def of(cls, folder: Path, origin: str) -> Memory:
        """Return the memory of a log, by its name: a log that moves to another address is still the same."""
        return cls(folder / f"seen-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.note")

    def load(self) -> str | None:
        """Return the note, None if nothing was seen yet; raises LedgerError where the file cannot be read."""
        try:
            with self.file.open("rb") as stream:
                return stream.read(MAX_NOTE_BYTES).decode("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(
                "what was seen of the ledger before cannot be read",
                path=self.file,
                hint="restore the file; without it a rewritten ledger is not noticed",
            ) from error

    def keep(self, note: str) -> None:
        """Replace the note by a newer one; one of a smaller tree, of a slower process, is dropped."""
        known = self.load()
        if known is not None and Checkpoint.peek(known).size > Checkpoint.peek(note).size:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(self.file, overwrite=True) as stream:
            stream.write(note.encode())


def keep_contradiction(beside: Path, known: str, shown: str) -> Path:
    """Write two contradicting checkpoints beside a file, unless that was done, and return where they lie."""
    text = f"{_HEADER}\n{known}\n{shown}".encode()
    path = beside.with_name(f"{beside.name}.contradiction-{hashlib.sha256(text).hexdigest()[:12]}")
    if not path.exists():
        try:
            with atomic_output(path) as stream:
                stream.write(text)
        except (OSError, AssayError) as error:
            raise LedgerError(
                f"the ledger shows another history than before, and the proof cannot be written: {error}",
                path=path,
            ) from error
    return path
