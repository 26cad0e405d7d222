"""blind-watermark as it is (PyPI blind-watermark 0.4.4): the reader must be told how many bits there are."""

from __future__ import annotations

import multiprocessing

import numpy as np

from assay.provenance.errors import ConfigurationError, LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.filters import to_bytes
from assay.watermark.trial.methods import Answer, Bits

MOST_PIXELS = 4_000_000
"""Largest picture: some two seconds a megapixel and attack go into it."""


class Blind:
    """Singular values of DCT blocks; passwords 1, its default."""

    name, bits, most_pixels = "blind-watermark", 64, MOST_PIXELS
    note = "no rule of detection; larger pictures shrunk to 4 MP"

    def __init__(self) -> None:
        before = multiprocessing.get_start_method(allow_none=True)
        # Its import sets how processes start, and fails where that is decided; neither is its business.
        multiprocessing.set_start_method(None, force=True)
        try:
            import blind_watermark
        except ImportError as error:
            raise ConfigurationError(
                f"blind-watermark cannot be imported: {error}",
                hint="pip install --no-deps blind-watermark PyWavelets; it needs OpenCV",
            ) from error
        finally:
            multiprocessing.set_start_method(before, force=True)
        blind_watermark.bw_notes.close()  # its greeting would stand in our output
        self._library = blind_watermark

    def embed(self, picture: Samples, payload: Bits) -> Samples:
        """Return the marked picture; raises LimitError where the library has too few blocks."""
        mark = self._library.WaterMark()
        try:
            mark.read_img(img=picture[..., ::-1].copy())
            mark.read_wm(payload.astype(bool), mode="bit")
            marked = mark.embed()
        except Exception as error:  # an assertion or IndexError for small pictures, cv2's for odd ones
            raise LimitError(f"blind-watermark refuses the picture: {error}") from error
        return to_bytes(np.asarray(marked)[..., ::-1])

    def extract(self, picture: Samples) -> Answer:
        """Return the bits that the library makes of any picture."""
        try:
            answer = self._library.WaterMark().extract(
                embed_img=picture[..., ::-1].copy(), wm_shape=self.bits, mode="bit"
            )
        except Exception:  # whatever it raises, it has read nothing
            return Answer(None, None)
        return Answer((np.asarray(answer) > 0.5).astype(np.uint8), None)
