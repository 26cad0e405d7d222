"""Named arrays in files that are not programs: the room's home of safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import ConfigurationError, MalformedError
from assay.provenance.text import safe_text

Tensors = dict[str, NDArray[Any]]

_HINT = "pip install 'assay[torch]'"


def load(data: bytes) -> Tensors:
    """Return the arrays of a safetensors file by name, each a copy of its own.

    Types are numpy's: bfloat16 and the eight-bit floats are refused. Raises MalformedError, ConfigurationError
    where safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load as read
    except ImportError as error:
        raise ConfigurationError("safetensors is not installed", hint=_HINT) from error
    try:
        return {name: np.array(array) for name, array in read(data).items()}
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        # besides its own, safetensors raises whatever numpy says of a type that it has no name for
        raise MalformedError(
            f"is no whole safetensors file: {safe_text(error, 160)}", hint="get it again from its source"
        ) from error


def save(tensors: Mapping[str, NDArray[Any]], words: Mapping[str, str] | None = None) -> bytes:
    """Return a safetensors file with these arrays, and a few words of text beside them.

    Raises MalformedError for a type that it cannot hold, ConfigurationError where safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save as write
    except ImportError as error:
        raise ConfigurationError("safetensors is not installed", hint=_HINT) from error
    try:
        # The library writes the memory that it is given, in whatever order that lies.
        whole = {name: np.asarray(array, order="C") for name, array in tensors.items()}
        return bytes(write(whole, dict(words or {})))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise MalformedError(f"cannot be kept as safetensors: {safe_text(error, 160)}") from error
