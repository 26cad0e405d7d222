"""Photographs: scikit-image's own, and the corpus where ASSAY_CORPUS names it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="session")
def photo() -> Callable[[str], np.ndarray]:
    folder = Path(skimage.__file__).parent / "data"
    return lambda name: np.asarray(Image.open(folder / name).convert("RGB"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = Path(os.environ.get("ASSAY_CORPUS", "")) / "detect" / "image"
    if "ASSAY_CORPUS" not in os.environ or not folder.is_dir():
        pytest.skip("ASSAY_CORPUS names no corpus")
    return folder


@pytest.fixture(scope="session")
def saved() -> Callable[..., np.ndarray]:
    def encode(picture: np.ndarray, form: str = "JPEG", quality: int = 75) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, form, quality=quality)
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))

    return encode


@pytest.fixture(scope="session")
def library() -> Callable[[str], object]:
    """Load one module of the installed invisible-watermark by file, so that its torch is not needed."""
    import importlib.util
    from importlib import metadata

    pytest.importorskip("cv2")
    pytest.importorskip("pywt")
    try:
        distribution = metadata.distribution("invisible-watermark")
    except metadata.PackageNotFoundError:
        pytest.skip("invisible-watermark is not installed")

    def load(name: str) -> object:
        spec = importlib.util.spec_from_file_location(
            name, distribution.locate_file(f"imwatermark/{name}.py")
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
