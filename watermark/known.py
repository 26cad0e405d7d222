"""Marks that image generators leave with invisible-watermark's dwtDct, read by what they must say.

The library decodes bits and compares none; after JPEG it reads nothing. Here each known message is tested
as a whole: every block says where in its quantiser step the largest coefficient lies, and the message is
found by the correlation of those phases with it. Sources of the messages: CompVis/stable-diffusion
scripts/txt2img.py, Stability-AI/stablediffusion scripts, diffusers
pipelines/stable_diffusion_xl/watermark.py,
black-forest-labs/flux src/flux/util.py, invoke-ai/InvokeAI invisible_watermark.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Media, Samples

ALARM = 1e-9
"""Largest p-value, all hypotheses counted, at which a mark is reported."""
MIN_PIXELS = 256 * 256
"""The library marks nothing smaller."""
DEGENERATE = 0.9
"""Mean resultant of the phases above which a picture (grey, flat) says nothing."""
_STEP = 36.0  # the library's quantiser step
_BLOCK = 8  # pixels; four Haar coefficients
_STRIP = 512

Vector = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """What one generator writes: ``bits`` as the library numbers them, first block first."""

    scheme: str
    generator: str
    bits: NDArray[np.uint8]


def _of_text(text: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(text, np.uint8))


def _of_digits(digits: str) -> NDArray[np.uint8]:
    return np.array([int(digit) for digit in digits], np.uint8)


MESSAGES = (
    KnownMessage("imwatermark.dwtdct:sd1", "stable-diffusion-1", _of_text(b"StableDiffusionV1")),
    KnownMessage("imwatermark.dwtdct:sd2", "stable-diffusion-2", _of_text(b"SDV2")),
    KnownMessage(
        "imwatermark.dwtdct:sdxl",
        "stable-diffusion-xl",
        _of_digits("101100111110110010010000011110111011000110011110"),
    ),
    # 48 digits in the source, of which bin() drops the two leading zeros: 46 are embedded.
    KnownMessage(
        "imwatermark.dwtdct:flux", "flux", _of_digits("1010101111111010000111100111001111010100101110")
    ),
    KnownMessage("imwatermark.dwtdct:invokeai", "invokeai", _of_text(b"InvokeAI")),
)
"""Every message looked for."""


class GeneratorMarks:
    """Reader of ``MESSAGES`` in uncropped, unscaled pictures; conforms to the KnownMarks protocol."""

    def read(self, media: Media) -> Sequence[Reading]:
        """Return one Reading a known message, the strongest first; ``Mark.id`` is the generator's name.

        ``p_value`` is (1 - rho^2)^(n - 1), the chance that phases of no order correlate as well with the
        message in the n dimensions compared, times the number of tests: a model, which the benchmark tries on
        photographs.
        """
        pixels = media.frame()
        if pixels.shape[0] * pixels.shape[1] < MIN_PIXELS or min(pixels.shape[:2]) < _BLOCK:
            return [Reading(m.scheme, None, None, "too small") for m in MESSAGES]
        domains = {"uint8": _phases(pixels, _chroma_of_bytes), "float": _phases(pixels, _chroma_of_floats)}
        readings = [_best(message, domains) for message in MESSAGES]
        readings.sort(key=lambda r: 2.0 if r.p_value is None else r.p_value)
        # A picture carries one mark; messages made of ASCII resemble each other enough to echo the strongest.
        return readings[:1] + [
            replace(r, mark=None, reason="echo of a stronger mark") if r.found else r for r in readings[1:]
        ]


def _best(message: KnownMessage, domains: dict[str, Vector]) -> Reading:
    """Return the reading of one message in its best domain."""
    tests = len(MESSAGES) * len(domains)
    best: tuple[float, float, str] | None = None
    for name, phases in domains.items():
        rho2 = _correlation(phases, message.bits)
        if rho2 is not None and (best is None or rho2 > best[1]):
            best = (min(1.0, tests * (1 - rho2) ** (_dimensions(len(message.bits)) - 1)), rho2, name)
    if best is None:
        return Reading(message.scheme, None, None, "no colour to read in")
    p_value, rho2, name = best
    details = {"rho2": round(rho2, 4), "bits": len(message.bits), "domain": name}
    if p_value < ALARM:
        return Reading(message.scheme, Mark(message.scheme, message.generator), p_value, "", details)
    return Reading(message.scheme, None, p_value, "no mark", details)


def _correlation(phases: Vector, bits: NDArray[np.uint8]) -> float | None:
    """Return the squared correlation of the message with the mean phase of each of its bits.

    Whatever repeats every eight bits is taken out of both first: texts share it, and a mark of another length
    folds into it. The correlation is complex: a common turn of all phases (a change of brightness) costs
    nothing. None where the phases are degenerate or a bit has fewer than two
    blocks.
    """
    length = len(bits)
    if len(phases) < 2 * length or abs(phases.mean()) > DEGENERATE:
        return None
    place = np.arange(len(phases)) % length
    counts = np.bincount(place, minlength=length)
    sums = np.bincount(place, phases.real, length) + 1j * np.bincount(place, phases.imag, length)
    means = _without_period((sums / counts).astype(np.complex128))
    signs = _without_period((1.0 - 2.0 * bits).astype(np.complex128))
    energy = float(np.vdot(means, means).real * np.vdot(signs, signs).real)
    return float(abs(np.vdot(signs, means)) ** 2 / energy) if energy > 0 else None


def _period(length: int) -> int:
    return 8 if length % 8 == 0 else 1


def _dimensions(length: int) -> int:
    """Return how many dimensions ``_without_period`` leaves."""
    return length - _period(length)


def _without_period(values: Vector) -> Vector:
    """Subtract from each value the mean of those a multiple of the period away."""
    rows = values.reshape(-1, _period(len(values)))
    rest: Vector = (rows - rows.mean(0)).reshape(-1)
    return rest


def _phases(pixels: Samples, chroma: Callable[[Samples], NDArray[np.float32]]) -> Vector:
    """Return each block's phase, a unit complex number, in the library's order: row by row."""
    rows, columns = pixels.shape[0] // _BLOCK, pixels.shape[1] // _BLOCK
    parts = []
    for top in range(0, rows, _STRIP // _BLOCK):
        bottom = min(rows, top + _STRIP // _BLOCK)
        plane = chroma(pixels[top * _BLOCK : bottom * _BLOCK, : columns * _BLOCK])
        low = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).sum((1, 3)) / 2
        blocks = np.abs(low.reshape(bottom - top, 4, columns, 4)).transpose(0, 2, 1, 3)
        largest = blocks.reshape(bottom - top, columns, 16)[..., 1:].max(-1)
        parts.append(np.exp(2j * math.pi * largest.astype(np.float64) / _STEP).reshape(-1))
    return np.concatenate(parts)


def _chroma_of_bytes(pixels: Samples) -> NDArray[np.float32]:
    """Return U as OpenCV makes it of bytes: rounded, about 128."""
    luma = np.round(pixels @ np.array([0.299, 0.587, 0.114], np.float32))
    return np.clip(np.round((pixels[..., 2] - luma) * np.float32(0.492) + 128), 0, 255)


def _chroma_of_floats(pixels: Samples) -> NDArray[np.float32]:
    """Return U as OpenCV makes it of floats: about 0.5, whatever the range."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return (pixels[..., 2] - luma) * np.float32(0.492) + np.float32(0.5)
