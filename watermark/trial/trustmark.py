"""TrustMark Q, where it is installed with its weights (PyPI trustmark, arXiv 2311.18297)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from assay.provenance.errors import ConfigurationError, LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.methods import Answer, Bits

WEIGHTS = (
    "trustmark_Q.yaml",
    "encoder_Q.ckpt",
    "decoder_Q.ckpt",
    "trustmark_rm_Q.yaml",
    "trustmark_rm_Q.ckpt",
)
"""The files that model Q consists of, in the package's folder ``models``."""


class TrustMarkQ:
    """Its model Q with BCH_SUPER: 40 bits, its own rule of detection."""

    name, bits, most_pixels = "trustmark", 40, 0
    note = "model Q, BCH_SUPER"

    def __init__(self) -> None:
        spec = importlib.util.find_spec("trustmark")
        if spec is None or not spec.origin:
            raise ConfigurationError("TrustMark is not installed", hint="pip install trustmark")
        folder = Path(spec.origin).parent / "models"
        # The library fetches what it misses from the network, which nobody asked for.
        missing = [name for name in WEIGHTS if not (folder / name).is_file()]
        if missing:
            raise ConfigurationError(f"TrustMark's weights are not installed: {missing[0]}", path=folder)
        try:
            import trustmark

            self._mark = trustmark.TrustMark(verbose=False, model_type="Q", encoding_type=0)
        except Exception as error:  # ImportError, torch's and omegaconf's: no common base
            raise ConfigurationError(f"TrustMark cannot be loaded: {error}") from error

    def embed(self, picture: Samples, payload: Bits) -> Samples:
        """Return the marked picture; raises LimitError where the library raises."""
        try:
            marked = self._mark.encode(
                Image.fromarray(picture), "".join(str(int(bit)) for bit in payload), MODE="binary"
            )
        except Exception as error:  # torch's have no common base
            raise LimitError(f"TrustMark refuses the picture: {error}") from error
        return np.asarray(marked.convert("RGB"))

    def extract(self, picture: Samples) -> Answer:
        """Read with the library's own rule."""
        try:
            secret, present, _ = self._mark.decode(Image.fromarray(picture), MODE="binary")
        except Exception:  # whatever it raises, it has read nothing
            return Answer(None, False)
        bits = np.array([int(bit) for bit in secret[: self.bits]], np.uint8) if present else None
        return Answer(bits, bool(present))
