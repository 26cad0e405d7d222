"""The learned image mark: RivaGAN's networks, a word in each quarter. Format: docs/formats/mark.md."""

from __future__ import annotations

import hashlib
import math
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import ConfigurationError, LimitError
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind, Media, Samples
from assay.watermark.blocks import resample
from assay.watermark.payload import PUBLIC_KEY, RATE_HALF, Payload, key_stream

DISTRIBUTION = "invisible-watermark"
WEIGHTS = {
    "encoder": "66bc7814fadac7d686105c8ab26c6cf2cc8e40deb83e67bb6ef5b9de9b8ece0d",
    "decoder": "6b006690cf352fa50a91a0b6d6241dbcded0a9957969e2c0665cf9a7011b3880",
}
"""SHA-256 of each network as published in invisible-watermark 0.2.0, checked at every load."""
CANONICAL_PIXELS = 320_000
"""Pictures are brought to this area before a network sees them: bounds time and memory, undoes resizing."""
MIN_PIXELS = 256 * 256
"""Fewest pixels of a picture."""
MAX_ASPECT = 4.0
"""Longest side over shortest."""
ALARM = 1e-9
"""Largest p-value at which an identifier is reported."""
_SIDE = 2  # words in each direction
_WORD = 32  # bits the networks carry
_HINT = "pip install 'assay[rivagan]'"

Colour = NDArray[np.float32]


class RivaGan:
    """Watermark for images: 32 bits under 32 check bits, as four 32-bit words of a rate-1/2 code.

    RivaGAN (Zhang, Xu, Cuesta-Infante, Veeramachaneni 2019, arXiv 1909.01285). Survives mild JPEG, crops and
    some resizing; not flips or rotation. Some pictures refuse it. Raises ConfigurationError where the
    networks or onnxruntime are not installed, or the networks are not those published.
    """

    scheme = "io.assay.rivagan.1"
    id_bits = 32
    kinds = frozenset({Kind.IMAGE})

    def __init__(self, key: bytes = PUBLIC_KEY) -> None:
        self.payload = Payload(32, 32, RATE_HALF, key)
        bits = self.payload.coded_bits
        self._order = np.argsort(key_stream("assay rivagan order", key, bits), kind="stable")
        self._mask = (key_stream("assay rivagan mask", key, bits) >> np.uint64(63)).astype(np.uint8)
        self._encoder, self._decoder = (_session(name, digest) for name, digest in WEIGHTS.items())

    def embed(self, media: Media, id: str) -> Media:
        """Return the picture with the identifier, 8 hexadecimal digits; some pictures do not take it.

        Raises LimitError where the picture is too small or too long, or where the networks cannot read back
        what they wrote (about one photograph in six), UsageError on a malformed identifier.
        """
        code = self.payload.encode(id)
        pixels = media.frame()
        reason = _unsuitable(pixels)
        if reason:
            raise LimitError(f"the picture is {reason} for a mark", hint="use --scheme hallmark")
        picture = _canonical(pixels)
        words = (code[self._order] ^ self._mask).reshape(_SIDE * _SIDE, _WORD).astype(np.float32)
        change = np.zeros_like(picture)
        for word, part in zip(words, _parts(picture), strict=True):
            change[part] = self._write(picture[part], word) - picture[part]
        marked = _add(pixels, change)
        if not self.read(Media.still(marked)).found:
            raise LimitError("the networks cannot write a readable mark here", hint="use --scheme hallmark")
        return Media.still(marked)

    def read(self, media: Media) -> Reading:
        """Look for an identifier in an uncropped picture of any size.

        ``p_value`` bounds, over the choice of the key, the probability of so good a code word in a picture
        not marked with it: 2^32 x exp(-64 rho^2), rho the correlation (Hoeffding 1963); one decoding.
        """
        pixels = media.frame()
        reason = _unsuitable(pixels)
        if reason:
            return Reading(self.scheme, None, None, reason)
        picture = _canonical(pixels)
        answers = np.concatenate([self._look(picture[part]) for part in _parts(picture)])
        # The networks answer about 0 or 1; what lies beyond is no more certain.
        signed = np.clip((0.5 - answers) * 2, -1, 1) * (1.0 - 2.0 * self._mask)
        soft = np.empty_like(answers)
        soft[self._order] = signed
        word = self.payload.decode(soft[None])[0]
        if word is None or word.correlation <= 0:
            return Reading(self.scheme, None, 1.0, "no mark")
        bits = self.payload.coded_bits
        p_value = min(1.0, math.exp(self.id_bits * math.log(2) - bits * word.correlation**2 / 2))
        details = {"correlation": round(word.correlation, 4)}
        if p_value >= ALARM:
            return Reading(self.scheme, None, p_value, "no mark", details)
        return Reading(self.scheme, Mark(self.scheme, word.id), p_value, "", details)

    def _write(self, part: Colour, word: NDArray[np.float32]) -> Colour:
        (answer,) = _run(self._encoder, {"frame": _frame(part), "data": word[None]})
        return (np.clip(answer[0, ::-1, 0], -1, 1).transpose(1, 2, 0) + 1) * np.float32(127.5)

    def _look(self, part: Colour) -> NDArray[np.float32]:
        (answer,) = _run(self._decoder, {"frame": _frame(part)})
        return np.asarray(answer[0], np.float32)


def _session(name: str, digest: str) -> Any:
    """Load one network, checked, without importing the package that carries it."""
    try:
        import onnxruntime

        path = Path(str(metadata.distribution(DISTRIBUTION).locate_file(f"imwatermark/rivagan_{name}.onnx")))
        data = path.read_bytes()
    except (ImportError, OSError) as error:
        raise ConfigurationError("RivaGAN's networks are not installed", hint=_HINT) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise ConfigurationError("RivaGAN's networks are not those published", hint=_HINT, path=path)
    try:
        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # the arena would keep the largest picture's memory for good
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise ConfigurationError(
            f"onnxruntime cannot load RivaGAN: {error}", hint=_HINT, path=path
        ) from error


def _run(session: Any, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    try:
        answers: list[NDArray[np.float32]] = session.run(None, inputs)
    except Exception as error:  # as above
        raise ConfigurationError(f"onnxruntime cannot run RivaGAN: {error}", hint=_HINT) from error
    return answers


def _frame(part: Colour) -> NDArray[np.float32]:
    """Return a picture as the networks take it: one BGR frame of a video, -1..1, shape (1, 3, 1, h, w)."""
    return np.ascontiguousarray((part[..., ::-1] / np.float32(127.5) - 1).transpose(2, 0, 1)[None, :, None])


def _unsuitable(pixels: Samples) -> str:
    height, width = pixels.shape[:2]
    if height * width < MIN_PIXELS:
        return "too small"
    return "too long" if max(height, width) > MAX_ASPECT * min(height, width) else ""


def _canonical(pixels: Samples) -> Colour:
    """Return the picture at the canonical area, float32 RGB, halved by squares and then bilinear."""
    halvings, area = 0, pixels.shape[0] * pixels.shape[1]
    while area >> (2 * halvings) >= 4 * CANONICAL_PIXELS:
        halvings += 1
    side = 1 << halvings
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    factor = (CANONICAL_PIXELS / (area / 4**halvings)) ** 0.5
    planes = []
    for channel in range(3):
        plane = pixels[: height * side, : width * side, channel].reshape(height, side, width, side)
        planes.append(resample(plane.mean((1, 3), dtype=np.float32), factor))
    return np.stack(planes, -1)


def _parts(picture: Colour) -> list[tuple[slice, slice]]:
    """Return the quarters, row by row."""
    edges = [[size * n // _SIDE for n in range(_SIDE + 1)] for size in picture.shape[:2]]
    rows, columns = ([slice(a, b) for a, b in pairwise(edge)] for edge in edges)
    return [(row, column) for row in rows for column in columns]


def _add(pixels: Samples, change: Colour) -> Samples:
    """Return the picture plus the enlarged change."""
    marked = np.empty_like(pixels)
    for channel in range(3):
        full = resample(change[..., channel], 1.0, pixels.shape[:2])
        np.clip(np.round(full + pixels[..., channel]), 0, 255, out=full)
        marked[..., channel] = full
    return marked
