"""The workspace's settings file, ``assay.toml``. Format: docs/formats/workspace.md."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Kind
from assay.provenance.policy import NEWSROOM

SETTINGS = "assay.toml"
VERSION = 1
DEFAULT_SCHEME = "hallmark"
FILM_MARK, SOUND_MARK = "film", "soundmark"
"""Schemes for moving pictures and for sound."""
READ_MARKS = (DEFAULT_SCHEME, "dwtdctsvd")
"""Schemes looked for: today's, and the first one, whose marks stay readable for ever."""
LEDGER_FILE = "ledger.sqlite"
KEYS = "keys"
DETECTORS = ("image", "film", "speech")
"""Detectors asked."""
LISTS = {"read_marks": "schemes", "mark_keys": "key URIs", "detectors": "detectors"}
"""Settings that are lists of strings, and of what."""
REMOTE = "remote"
"""Folder of what is remembered of a ledger elsewhere."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``assay.toml`` says; relative paths are relative to the workspace."""

    ledger: str
    origin: str
    log_key: str
    key: str
    chain: str
    watermark: str = DEFAULT_SCHEME
    film_mark: str = FILM_MARK
    sound_mark: str = SOUND_MARK
    read_marks: tuple[str, ...] = READ_MARKS
    mark_keys: tuple[str, ...] = ()
    detectors: tuple[str, ...] = DETECTORS
    policy: str = NEWSROOM.name
    tsa: str = ""
    witnesses: str = ""
    ledger_vkey: str = ""
    ledger_token: str = ""
    anchors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def scheme(self, kind: Kind) -> str:
        """Return the name of the scheme that marks a kind of media."""
        return {Kind.VIDEO: self.film_mark, Kind.AUDIO: self.sound_mark}.get(kind, self.watermark)

    @property
    def is_remote(self) -> bool:
        """Whether the ledger is on a server."""
        return self.ledger.startswith(("https://", "http://"))


def read_settings(path: Path) -> Settings:
    """Read a settings file; raises ConfigurationError if there is none or it cannot be understood."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            "there is no workspace here", path=path.parent, hint="make one with 'assay init'"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"the settings cannot be read: {error}", path=path) from error
    if document.pop("version", None) != VERSION:
        raise ConfigurationError(
            "the workspace is of an unknown version", path=path, hint="use a newer Assay"
        )
    known = set(Settings.__dataclass_fields__)
    unknown = sorted(set(document) - known)
    if unknown:
        raise ConfigurationError(
            f"unknown setting {unknown[0]!r}", path=path, hint=f"known: {', '.join(sorted(known))}"
        )
    anchors = document.get("anchors", {})
    if not isinstance(anchors, dict) or not all(isinstance(table, dict) for table in anchors.values()):
        raise ConfigurationError("anchors are tables, as in [anchors.tsa]", path=path)
    _check_types(document, path)
    try:
        lists = {name: tuple(document[name]) for name in LISTS if name in document}
        return Settings(**{**document, **lists})
    except TypeError as error:
        raise ConfigurationError(f"the settings are incomplete: {error}", path=path) from error


def _check_types(document: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigurationError where a setting is of another type than its own."""
    for name, value in document.items():
        if name in LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ConfigurationError(f"{name} is a list of {LISTS[name]}", path=path)
        elif name != "anchors" and not isinstance(value, str):
            raise ConfigurationError(f"{name} is a string in quotes", path=path)


def read_witnesses(home: Path, settings: Settings) -> list[bytes]:
    """Return the tlog-policy that the settings name, [] if none; raises ConfigurationError if it cannot be read."""
    if not settings.witnesses:
        return []
    path = home / settings.witnesses
    try:
        return [path.read_bytes()]
    except OSError as error:
        raise ConfigurationError(
            f"the policy of witnesses cannot be read: {error.strerror}", path=path
        ) from error


def first_settings(origin: str) -> str:
    """Return the settings file of a new workspace."""
    return (
        "# Settings of an Assay workspace; docs/formats/workspace.md explains each.\n"
        f"version = {VERSION}\n"
        f'ledger = "{LEDGER_FILE}"\n'
        f'origin = "{origin}"\n'
        f'log_key = "{KEYS}/ledger.seed"\n'
        f'key = "file:{KEYS}/signing.key"\n'
        f'chain = "{KEYS}/signing.pem"\n'
        f'watermark = "{DEFAULT_SCHEME}"\n'
        f"read_marks = {json.dumps(READ_MARKS)}\n"
        f"detectors = {json.dumps(DETECTORS)}\n"
        f'policy = "{NEWSROOM.name}"\n'
    )
