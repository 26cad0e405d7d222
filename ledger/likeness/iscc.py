"""ISCC image codes: the content code of ISO 24138:2024, registered with C2PA as ``io.iscc.v0``.

The home of iscc-lib. The standard fixes the code of 32 × 32 grey samples; how a picture becomes those follows
IEP-0004 as iscc-sdk does it. Format: docs/formats/sketch.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import iscc_lib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.provenance.errors import MalformedError
from assay.provenance.media import Samples
from assay.provenance.text import safe_text

ALG = "io.iscc.v0"
"""The algorithm's name on C2PA's list of soft bindings (entry 3)."""
PREFIX = "ISCC:"
CODE_BITS = 256
"""Length of the codes that are kept; shorter ones collide in large ledgers."""
GREY_SIDE = 32
"""Side of the grey picture that is coded, in pixels."""
MAX_CODE_CHARS = 256
"""Longest text that is read as a code."""


def trimmed(picture: Samples) -> Samples:
    """Return the picture without a border of exactly its upper left pixel's colour; whole if it is all border.

    Takes and returns uint8 (height, width, 3).
    """
    inside = (picture != picture[0, 0]).any(axis=2)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def grey(picture: Samples) -> NDArray[np.uint8]:
    """Return the 32 × 32 grey samples of uint8 (height, width, 3): border off, BT.601 luma, bicubic."""
    image = Image.fromarray(np.ascontiguousarray(trimmed(picture))).convert("L")
    return np.asarray(image.resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BICUBIC))


def code_of_grey(samples: bytes, bits: int = CODE_BITS) -> str:
    """Return the code of 1,024 grey samples, row by row; ``bits`` is 64, 128, 192 or 256 (ISO 24138 section 5.4)."""
    return str(iscc_lib.gen_image_code_v0(samples, bits).iscc)


def image_code(picture: Samples) -> str:
    """Return the 256-bit code of upright uint8 (height, width, 3) RGB, as text ``ISCC:…``."""
    return code_of_grey(grey(picture).tobytes())


def sound_code(prints: Sequence[int]) -> str:
    """Return the 256-bit Content-Code Audio of a sound's Chromaprint; "" where there is none of it."""
    if not prints:
        return ""
    signed = [value - (1 << 32) if value >= 1 << 31 else value for value in prints]
    return str(iscc_lib.gen_audio_code_v0(signed, CODE_BITS).iscc)


def read_code(text: str) -> tuple[str, bytes]:
    """Return a 256-bit image code as it is written canonically, and its 32 bytes.

    Case and hyphens do not matter. Raises MalformedError on any other text or code.
    """
    shown = safe_text(text, 80)
    plain = text.upper().replace("-", "").removeprefix(PREFIX)
    one = "one code, as in ISCC:EED…"
    try:
        if not plain.isascii() or len(plain) > MAX_CODE_CHARS:
            raise ValueError("not a code")
        main, sub, version, _, digest = iscc_lib.iscc_decode(plain)
    except ValueError as error:
        raise MalformedError(f"not an ISCC: {shown}", hint=one) from error
    if (main, sub, version) != (iscc_lib.MT.CONTENT, iscc_lib.ST.IMAGE, iscc_lib.VS.V0):
        raise MalformedError(f"not an ISCC of a picture: {shown}", hint="give its Content-Code Image")
    bits = 8 * len(digest)
    if iscc_lib.encode_component(main, sub, version, bits, digest) != plain:
        raise MalformedError(f"more than one ISCC, or half of one: {shown}", hint=one)
    if bits != CODE_BITS:
        raise MalformedError(f"an ISCC of {bits} bits: {shown}", hint=f"give the code of {CODE_BITS} bits")
    return PREFIX + plain, bytes(digest)
