"""Policies: what a desk counts as evidence and how much of it is enough. Files: docs/formats/policy.md."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from assay.provenance.errors import ConfigurationError, InputError, UsageError

SHIPPED = ("newsroom", "archive", "platform")
"""Policies that come with Assay."""
MAX_POLICY_BYTES = 1 << 16
"""Largest policy read."""
MOST_LLR = 6.0
"""Largest bound of a witness's log10 likelihood ratio that a policy can set."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_CHECK = re.compile(r"[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)?")


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds that turn facts into a verdict; the id in a report is name, version and a hash of all values.

    ``changed_area``: fraction of a recovered picture that may differ before its match is called an edit.
    ``llr_cap``: largest |log10 likelihood ratio| that any one witness may bring.
    ``checks``: names of the checks that run, in order.
    """

    name: str
    version: int
    changed_area: float
    llr_cap: float
    checks: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name, version and the first 12 hex digits of the SHA-256 over all values."""
        data = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.name}/{self.version}#{hashlib.sha256(data).hexdigest()[:12]}"


def read_policy(data: bytes, where: str) -> Policy:
    """Read a policy's TOML strictly; raises ConfigurationError, which names ``where``, for anything else."""
    try:
        if len(data) > MAX_POLICY_BYTES:
            raise ValueError(f"more than {MAX_POLICY_BYTES} bytes")
        return _policy(tomllib.loads(data.decode()))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigurationError(
            f"{where} is no policy: {error}", hint="docs/formats/policy.md says what one holds"
        ) from error


def _policy(document: dict[str, Any]) -> Policy:
    found = Policy(
        _matching(document.pop("name"), _NAME),
        _number(document.pop("version"), 1, 10_000, int),
        float(_number(document.pop("changed_area"), 0, 1)),
        float(_number(document.pop("llr_cap"), 0, MOST_LLR)),
        tuple(_matching(check, _CHECK) for check in document.pop("checks")),
    )
    if document:
        raise ValueError(f"{sorted(document)[0]!r} is not known")
    if not found.checks or len(set(found.checks)) < len(found.checks):
        raise ValueError("checks are none, or one stands twice")
    return found


def _matching(value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is no name")
    return value


def _number(value: Any, least: float, most: float, kind: type = float) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise ValueError(f"{value!r} is no number")
    if not least <= value <= most:
        raise ValueError(f"{value!r} is not within {least:g} and {most:g}")
    return value


def policy_bytes(name: str) -> bytes:
    """Return the TOML of a shipped policy, or of a file ``NAME.toml``, unread.

    Raises UsageError where there is no such policy, InputError where the file cannot be read.
    """
    if name.endswith(".toml"):
        return _from_file(Path(name))
    if name in SHIPPED:
        return files(__package__).joinpath("data", f"policy-{name}.toml").read_bytes()
    raise UsageError(
        f"there is no policy {name!r}", hint=f"one of {', '.join(SHIPPED)}, or a file that ends in .toml"
    )


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the policy: {error.strerror}", path=path) from error


NEWSROOM = read_policy(policy_bytes("newsroom"), "newsroom")
"""The default."""


def choose_policy(
    name: str, checks: tuple[str, ...] | None = None, detectors: tuple[str, ...] = ()
) -> Policy:
    """Return a shipped policy or the one in a file ``NAME.toml``, with ``detectors`` asked too that it does not name.

    Narrowed to ``checks`` unless None. Raises UsageError where there is no such policy or check, ConfigurationError
    for a file that is none.
    """
    policy = read_policy(policy_bytes(name), name)
    if any(check.startswith("detector:") for check in policy.checks):
        others = tuple(n for n in (f"detector:{d}" for d in detectors) if n not in policy.checks)
        policy = replace(policy, checks=(*policy.checks, *others))
    if checks is None:
        return policy
    unknown = sorted(set(checks) - set(policy.checks))
    if unknown:
        raise UsageError(f"there is no check {unknown[0]!r}", hint=f"one of {', '.join(policy.checks)}")
    return replace(policy, checks=tuple(c for c in policy.checks if c in checks))
