"""What can go wrong, as a small tree.

::

    AssayError                 exit 5   our own fault, or the set-up's
    ├── UsageError             exit 2   the call makes no sense
    ├── InputError             exit 4   this file cannot be processed
    │   ├── UnsupportedError            … because of its format
    │   ├── MalformedError              … because it is broken
    │   └── LimitError                  … because it is larger than a named limit
    ├── CredentialError        exit 5   a key or certificate is missing, expired, refused
    ├── LedgerError            exit 5   the log is missing, busy, inconsistent
    ├── NetworkError           exit 5   a service did not answer as it should
    └── ConfigurationError     exit 5   the workspace is missing or incomplete
"""

from __future__ import annotations

from pathlib import Path


class AssayError(Exception):
    """Base of every error Assay raises: what happened, to which file, and what to do next.

    ``message`` says what happened, ``hint`` what to do about it (may be empty), ``path`` which file it was.
    """

    exit_code = 5

    def __init__(self, message: str, *, hint: str = "", path: str | Path | None = None) -> None:
        self.message = message
        self.hint = hint
        self.path = None if path is None else str(path)
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"


class UsageError(AssayError):
    """The call contradicts itself or asks for something that does not exist."""

    exit_code = 2


class InputError(AssayError):
    """A file could not be processed."""

    exit_code = 4


class UnsupportedError(InputError):
    """The file's format is not one that this step handles."""


class MalformedError(InputError):
    """The file is broken, or made to break its reader."""


class LimitError(InputError):
    """The file exceeds a named limit (see ``assay.provenance.limits``)."""


class CredentialError(AssayError):
    """A signing key or certificate is missing, unreadable, expired or of the wrong kind."""


class LedgerError(AssayError):
    """The ledger is missing, locked by another writer, or contradicts itself."""


class NetworkError(AssayError):
    """A network service that the user asked for did not answer as it should."""


class ConfigurationError(AssayError):
    """The workspace is missing, incomplete or of an unknown version."""
