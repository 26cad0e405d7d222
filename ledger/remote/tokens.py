"""Who may append from elsewhere: bearer tokens, of which only the SHA-256 is kept. Format: docs/formats/remote.md."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.files.atomic import atomic_output

TOKENS_FILE = "append.tokens"
TOKENS_TYPE = "assay.tokens/v1"
TOKEN_BYTES = 32
MAX_TOKEN_CHARS = 200
MAX_FILE_BYTES = 1 << 20
_PREFIX = "assay_"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Token:
    """One token: whose it is, when it was made (a date), and its SHA-256 in hexadecimal."""

    name: str
    created: str
    sha256: str


class Tokens:
    """The tokens in one file, mode 0600; read again for each question, so that removing one works at once."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def list(self) -> Sequence[Token]:
        """Return the tokens; raises ConfigurationError where the file cannot be read."""
        try:
            with self.file.open("rb") as stream:
                document = json.loads(stream.read(MAX_FILE_BYTES))
            if document["type"] != TOKENS_TYPE:
                raise ValueError("unknown type")
            return [Token(**{k: str(v) for k, v in entry.items()}) for entry in document["tokens"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError("the list of tokens cannot be read", path=self.file) from error

    def new(self, name: str, created: str, random: Callable[[int], bytes]) -> str:
        """Make a token and return it, the only time that it is known; raises UsageError on a name in use."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"unusable token name {name!r}", hint="lower-case letters, digits, '.', '_' and '-'"
            )
        known = self.list()
        if any(token.name == name for token in known):
            raise UsageError(
                f"there is a token named {name!r}", hint="remove it first, or choose another name"
            )
        secret = _PREFIX + base64.urlsafe_b64encode(random(TOKEN_BYTES)).decode().rstrip("=")
        self._write([*known, Token(name, created, _hash(secret))])
        return secret

    def remove(self, name: str) -> None:
        """Remove a token; raises UsageError if there is none of that name."""
        known = self.list()
        kept = [token for token in known if token.name != name]
        if len(kept) == len(known):
            raise UsageError(f"there is no token named {name!r}", hint="assay ledger token list")
        self._write(kept)

    def holder(self, secret: str) -> str | None:
        """Return whose token this is, None if nobody's; takes as long whichever it is."""
        given = _hash(secret[:MAX_TOKEN_CHARS])
        found = None
        for token in self.list():
            if hmac.compare_digest(token.sha256, given):
                found = token.name
        return found

    def _write(self, tokens: Sequence[Token]) -> None:
        document = {"type": TOKENS_TYPE, "tokens": [asdict(token) for token in tokens]}
        with atomic_output(self.file, overwrite=True) as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(json.dumps(document, indent=2).encode() + b"\n")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
