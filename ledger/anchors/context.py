"""What every anchor plug-in is given beside its own settings: the workspace's folder, the time, keys, the network."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.ledger.tlog.note import Checkpoint
from assay.provenance.anchor import Anchor, AnchorRecord
from assay.provenance.errors import ConfigurationError, CredentialError, LimitError

if TYPE_CHECKING:
    from assay.provenance.net import Net

KIND = "kind"
"""The setting that names the plug-in; every anchor's table has it."""

MAX_FILE_BYTES = 256 << 20
"""Largest file that an anchor's setting may name: all Bitcoin block headers as text are about 160 MB."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an anchor finds the world: ``Plugin(name, settings, context)``.

    ``home`` is the workspace, to which relative paths in settings are relative. ``now`` gives the time in UTC.
    ``read_secret`` returns what a ``file:`` or ``env:`` URI names (an encrypted key stays encrypted; it raises
    CredentialError). ``net`` makes a bounded HTTP client, and is called only when the network is really
    needed. ``random`` returns n random bytes.
    """

    home: Path
    now: Callable[[], dt.datetime]
    read_secret: Callable[[str], bytes]
    net: Callable[[], Net]
    random: Callable[[int], bytes] = secrets.token_bytes

    def path(self, name: str) -> Path:
        """Return the path of a file that a setting names."""
        return self.home / name

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """Return the content of a file that a setting names.

        Raises CredentialError where it cannot be read, LimitError where it has more than ``limit`` bytes.
        """
        path = self.path(name)
        try:
            with path.open("rb") as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise CredentialError(
                f"the file cannot be read: {error.strerror}", path=path, hint="see [anchors] in assay.toml"
            ) from error
        if len(data) > limit:
            raise LimitError(f"the file is larger than {limit} bytes", path=path)
        return data

    def stamp(self) -> str:
        """Return the time as records have it: RFC 3339 UTC, whole seconds."""
        return rfc3339(self.now())


def rfc3339(time: dt.datetime) -> str:
    """Return a time as RFC 3339 UTC with whole seconds, as in ``2026-11-21T10:00:00Z``."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_record(
    anchor: Anchor, checkpoint: str, state: str, context: Context, detail: Mapping[str, Any]
) -> AnchorRecord:
    """Return an unsaved record of a checkpoint note for an anchor; raises MalformedError where it is none."""
    tree, now = Checkpoint.peek(checkpoint), context.stamp()
    return AnchorRecord(
        name=anchor.name,
        kind=anchor.kind,
        target=anchor.target,
        size=tree.size,
        root=tree.root,
        checkpoint=checkpoint,
        state=state,
        created=now,
        updated=now,
        detail=detail,
    )


def known_settings(
    name: str, settings: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> dict[str, Any]:
    """Return an anchor's settings without its kind, each of the type that is asked for.

    Raises ConfigurationError where one is missing, unknown or of another type.
    """
    where = f"[anchors.{name}]"
    allowed = {**required, **optional}
    values = {key: value for key, value in settings.items() if key != KIND}
    for key, value in values.items():
        if key not in allowed:
            hint = f"known: {', '.join(sorted(allowed))}"
            raise ConfigurationError(f"{where} has an unknown setting {key!r}", hint=hint)
        if not isinstance(value, allowed[key]) or (isinstance(value, bool) and allowed[key] is not bool):
            raise ConfigurationError(f"{where}: {key} must be {_named(allowed[key])}")
    for key in required:
        if not values.get(key):
            raise ConfigurationError(f"{where} lacks {key}", hint="see docs/formats/workspace.md")
    return values


def _named(kind: type) -> str:
    return {str: "a string", int: "a whole number", list: "a list", bool: "true or false"}.get(
        kind, kind.__name__
    )
