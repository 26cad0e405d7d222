"""invisible-watermark's three methods as they are (PyPI invisible-watermark 0.2.0)."""

from __future__ import annotations

import numpy as np

from assay.provenance.errors import ConfigurationError, LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.methods import Answer, Bits

MIN_PIXELS = 256 * 256
"""The library marks nothing smaller."""
RIVAGAN_PIXELS = 1_000_000
"""Largest picture for RivaGAN: it takes 0.9 GB of memory and some five seconds a megapixel."""


class _Library:
    """What the three have in common: BGR, bits, no rule of detection."""

    name, method = "", ""
    bits, most_pixels, note = 64, 0, "no rule of detection"

    def __init__(self) -> None:
        try:
            import imwatermark
        except ImportError as error:
            raise ConfigurationError(
                f"invisible-watermark cannot be imported: {error}",
                hint="pip install --no-deps invisible-watermark PyWavelets; it needs torch and OpenCV",
            ) from error
        self._library = imwatermark

    def embed(self, picture: Samples, payload: Bits) -> Samples:
        """Return the marked picture; raises LimitError where the library raises."""
        encoder = self._library.WatermarkEncoder()
        encoder.set_watermark("bits", [int(bit) for bit in payload])
        try:
            marked = encoder.encode(picture[..., ::-1].copy(), self.method)
        except Exception as error:  # RuntimeError for small pictures; cv2's and numpy's for odd ones
            raise LimitError(f"invisible-watermark refuses the picture: {error}") from error
        return np.ascontiguousarray(marked[..., ::-1])

    def extract(self, picture: Samples) -> Answer:
        """Return the bits that the library makes of any picture."""
        if picture.shape[0] * picture.shape[1] < MIN_PIXELS:
            return Answer(None, None)
        try:
            bits = self._library.WatermarkDecoder("bits", self.bits).decode(
                picture[..., ::-1].copy(), self.method
            )
        except Exception:  # whatever it raises, it has read nothing
            return Answer(None, None)
        return Answer(np.asarray(bits).astype(np.uint8), None)


class DwtDct(_Library):
    """Its default, in the chroma of 4 x 4 Haar blocks."""

    name, method = "imwatermark-dwtDct", "dwtDct"


class DwtDctSvd(_Library):
    """Its more robust method."""

    name, method = "imwatermark-dwtDctSvd", "dwtDctSvd"


class RivaGan(_Library):
    """Its learned method: 32 bits; larger pictures are shrunk to a megapixel first."""

    name, method = "imwatermark-rivaGan", "rivaGan"
    bits, most_pixels = 32, RIVAGAN_PIXELS
    note = "no rule of detection; larger pictures shrunk to 1 MP"

    def __init__(self) -> None:
        super().__init__()
        try:
            self._library.WatermarkEncoder.loadModel()
        except Exception as error:  # RuntimeError without onnxruntime; onnxruntime's have no common base
            raise ConfigurationError(
                f"RivaGAN cannot be loaded: {error}", hint="pip install onnxruntime"
            ) from error
