"""What is on trial: one small protocol, our own schemes under it, and the list of what others offer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.media import Media, Samples
from assay.provenance.plugins import load_plugin
from assay.provenance.protocols import Watermark

Bits = NDArray[np.uint8]

PEERS = {
    "imwatermark-dwtDct": ("assay.watermark.trial.imwatermark:DwtDct", "imwatermark"),
    "imwatermark-dwtDctSvd": ("assay.watermark.trial.imwatermark:DwtDctSvd", "imwatermark"),
    "imwatermark-rivaGan": ("assay.watermark.trial.imwatermark:RivaGan", "imwatermark"),
    "blind-watermark": ("assay.watermark.trial.blind:Blind", "blind"),
    "trustmark": ("assay.watermark.trial.trustmark:TrustMarkQ", "trustmark"),
}
"""What others offer: where its adapter is, and the family by which it can be named too."""
FOREIGN_KEY = b"assay trial, another's key"
"""The key of marks that must not be read under the key on trial."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader answered.

    ``bits`` are uint8 0 and 1, None where it read none. ``found`` is the method's own claim that a mark is
    there; None where it has no rule of detection and gives bits for anything. ``p_value`` is as in Reading.
    """

    bits: Bits | None
    found: bool | None
    p_value: float | None = None


class Method(Protocol):
    """One way to mark pictures, as the trial sees it.

    ``bits`` is its payload; ``most_pixels`` the largest picture it is tried on, 0 for any: larger ones are
    shrunk to that before they are marked. ``note`` says what a reader of the table must know.
    """

    name: str
    bits: int
    most_pixels: int
    note: str

    def embed(self, picture: Samples, payload: Bits) -> Samples:
        """Return the marked picture; raises LimitError where the method refuses it."""
        ...

    def extract(self, picture: Samples) -> Answer:
        """Read; never raises on any picture."""
        ...


class Own:
    """A scheme of ``assay.watermarks`` under the trial's protocol."""

    most_pixels = 0

    def __init__(self, name: str, scheme: Watermark) -> None:
        self.name, self.scheme, self.bits = name, scheme, scheme.id_bits
        self.note = scheme.scheme

    def embed(self, picture: Samples, payload: Bits) -> Samples:
        """Return the marked picture; raises LimitError where the scheme refuses it."""
        return self.scheme.embed(Media.still(picture), identifier(payload)).frame()

    def extract(self, picture: Samples) -> Answer:
        """Read with the scheme's own rule."""
        reading = self.scheme.read(Media.still(picture))
        bits = payload_of(reading.mark.id) if reading.mark else None
        return Answer(bits, reading.found, reading.p_value)


def open_method(name: str) -> Method:
    """Load a scheme of ours or a peer by name.

    Raises ConfigurationError where it is not installed or cannot run here, UsageError where there is none
    of that name.
    """
    if name in PEERS:
        module, _, attribute = PEERS[name][0].partition(":")
        return cast(Method, getattr(import_module(module), attribute)())
    return Own(name, _scheme(name)())


def under_key(name: str, key: bytes) -> Watermark | None:
    """Return a scheme of ours under one key; None for peers and for schemes without keys."""
    if name in PEERS:
        return None
    scheme = _scheme(name)
    parameters = inspect.signature(scheme).parameters
    if "keys" in parameters:
        return cast(Watermark, scheme(keys=(key,)))
    return cast(Watermark, scheme(key=key)) if "key" in parameters else None


def under_foreign_key(name: str) -> Method | None:
    """Return a scheme of ours under a key that is not the one on trial; None where ``under_key`` gives none."""
    scheme = under_key(name, FOREIGN_KEY)
    return Own(f"{name}, another key", scheme) if scheme else None


def present(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Return those that can be opened here, and of the others why not."""
    found, absent = [], {}
    for name in names:
        try:
            open_method(name)
        except ConfigurationError as error:
            absent[name] = error.message
        else:
            found.append(name)
    return found, absent


def peers(names: str | None) -> tuple[str, ...]:
    """Return the peers that a list names by name or family; None means all, the empty text none.

    Raises UsageError for what names none.
    """
    if names is None:
        return tuple(PEERS)
    found: list[str] = []
    for word in (part.strip() for part in names.split(",") if part.strip()):
        fits = [name for name, (_, family) in PEERS.items() if word in (name, family)]
        if not fits:
            families = ", ".join(dict.fromkeys([*PEERS, *(family for _, family in PEERS.values())]))
            raise UsageError(f"no peer is called {word[:60]!r}", hint=f"there is: {families}")
        found += [name for name in fits if name not in found]
    return tuple(found)


def identifier(payload: Bits) -> str:
    """Return bits, a multiple of eight, as lower-case hexadecimal."""
    return np.packbits(payload).tobytes().hex()


def payload_of(identifier: str) -> Bits:
    """Return an identifier's bits, most significant first."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(identifier), np.uint8))


def _scheme(name: str) -> Any:
    return load_plugin("assay.watermarks", name)
