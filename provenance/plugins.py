"""Plug-ins: what entry points name, loaded by name on use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.media import Kind
from assay.provenance.protocols import Detector, KeyedWatermark, TimedDetector, Watermark

OURS = {
    "image": frozenset({Kind.IMAGE}),
    "film": frozenset({Kind.VIDEO}),
    "speech": frozenset({Kind.AUDIO}),
}
"""What the shipped detectors are asked for, so that none is loaded where it is not."""


def load_plugin(group: str, name: str) -> Any:
    """Load one named entry point of an ``assay.*`` group; raises UsageError naming what there is."""
    found = {e.name: e for e in entry_points(group=group)}
    if name not in found:
        known = ", ".join(sorted(found)) or "nothing; is Assay installed?"
        raise UsageError(f"{group} has no {name!r}", hint=f"there is: {known}")
    return found[name].load()


def has_plugin(group: str, name: str) -> bool:
    """Say whether an ``assay.*`` group has an entry point of that name."""
    return any(point.name == name for point in entry_points(group=group))


def open_watermark(name: str, keys: Sequence[bytes] = (), *, reading: bool = False) -> Watermark:
    """Load a watermark scheme by name and put it under keys, the first of which writes.

    Raises UsageError where there is none of that name, or it takes no keys: what was to be secret must not be
    written for everybody. For ``reading`` alone such a scheme is opened as it is.
    """
    scheme = cast(Watermark, load_plugin("assay.watermarks", name)())
    if not keys:
        return scheme
    if isinstance(scheme, KeyedWatermark):
        return scheme.with_keys(keys)
    if reading:
        return scheme
    raise UsageError(
        f"the watermark scheme {name} takes no key",
        hint="use hallmark, or leave the keys out (mark_keys, --key)",
    )


def detector_kinds(name: str) -> frozenset[Kind]:
    """Return the media that a detector is asked for: what its entry point says, else pictures."""
    if name in OURS:
        return OURS[name]
    try:
        kinds = getattr(load_plugin("assay.detectors", name), "kinds", None)
    except (ImportError, UsageError):  # said where it is opened
        kinds = None
    return frozenset(kinds) if kinds else frozenset({Kind.IMAGE})


def detectors_of(kind: Kind) -> list[str]:
    """Return the names of the detectors that are asked for a kind of media, sorted."""
    names = sorted(point.name for point in entry_points(group="assay.detectors"))
    return [name for name in names if kind in detector_kinds(name)]


def open_detector(name: str, home: Path, clock: Callable[[], float]) -> Detector | TimedDetector:
    """Open a detector by name, with a workspace's own models.

    Raises UsageError where there is none of that name or nothing for it to open, ConfigurationError where it is
    there and cannot be used.
    """
    try:
        opener = load_plugin("assay.detectors", name)
    except ImportError as error:
        raise ConfigurationError(
            f"the detector {name} cannot be loaded: {error}", hint="install what it comes from again"
        ) from error
    return cast(Detector | TimedDetector, opener(home, clock))
