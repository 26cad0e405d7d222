"""What the generators write, and into which plane.

Sources: CompVis/stable-diffusion scripts/txt2img.py, Stability-AI/stablediffusion scripts/txt2img.py,
Stability-AI/generative-models scripts/demo/streamlit_helpers.py, diffusers
pipelines/stable_diffusion_xl/watermark.py, black-forest-labs/flux src/flux/util.py, invoke-ai/InvokeAI
invisible_watermark.py. All use invisible-watermark's EmbedMaxDct with scales [0, 36, 36] and blocks of 4x4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Domain:
    """How the library was called: on bytes or on floats, with blue or red where it expects blue.

    On floats U lies about zero and the largest coefficient may be negative; on bytes U lies about 128.
    ``head`` is the network's output that answers for it.
    """

    name: str
    head: int
    red: bool = False


BYTES = Domain("uint8", 0)
FLOATS = Domain("float", 1)
SWAPPED = Domain("float, red for blue", 1, red=True)
"""Releases of diffusers before the marked picture was turned to BGR hand the library RGB."""
DOMAINS = (BYTES, FLOATS)
"""Tried with every message."""


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """What one generator writes: ``bits`` as the library numbers them, first block first.

    ``domains`` are those its code uses, the usual one first.
    """

    scheme: str
    generator: str
    bits: NDArray[np.uint8]
    domains: tuple[Domain, ...]

    @property
    def period(self) -> int:
        """What repeats this often is taken out before the message is compared.

        Texts share the leading bit of each byte, and a text of another length folds into it; the blocks of a
        JPEG file's chroma alternate.
        """
        return 8 if len(self.bits) % 8 == 0 else 2


def _of_text(text: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(text, np.uint8))


def _of_digits(digits: str) -> NDArray[np.uint8]:
    return np.array([int(digit) for digit in digits], np.uint8)


MESSAGES = (
    KnownMessage("imwatermark.dwtdct:sd1", "stable-diffusion-1", _of_text(b"StableDiffusionV1"), (BYTES,)),
    KnownMessage("imwatermark.dwtdct:sd2", "stable-diffusion-2", _of_text(b"SDV2"), (BYTES,)),
    KnownMessage(
        "imwatermark.dwtdct:sdxl",
        "stable-diffusion-xl",
        _of_digits("101100111110110010010000011110111011000110011110"),
        (FLOATS, SWAPPED),
    ),
    # 48 digits in the source, of which bin() drops the two leading zeros: 46 are embedded.
    KnownMessage(
        "imwatermark.dwtdct:flux",
        "flux",
        _of_digits("1010101111111010000111100111001111010100101110"),
        (FLOATS,),
    ),
    KnownMessage("imwatermark.dwtdct:invokeai", "invokeai", _of_text(b"InvokeAI"), (BYTES,)),
)
"""Every message looked for."""
