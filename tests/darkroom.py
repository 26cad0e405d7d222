"""What is done to files after they were signed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .studio import FORMATS, Desk, encode


def pixels(path: Path) -> Image.Image:
    """Return a file's pixels and nothing else."""
    with Image.open(path) as image:
        return image.convert("RGB")


def flip(desk: Desk, signed: Path, offset: int, bit: int = 1) -> Path:
    """Flip bits of one byte."""
    data = bytearray(signed.read_bytes())
    data[offset] ^= bit
    return desk.file(bytes(data), signed.suffix)


def content_offset(signed: Path, source: Path) -> int:
    """Return where in ``signed`` the middle of ``source`` stands: picture data, which signing does not change."""
    data, original = signed.read_bytes(), source.read_bytes()
    for start in range(len(original) // 2, len(original) - 24, 24):
        found = data.find(original[start : start + 24])
        if found >= 0 and data.find(original[start : start + 24], found + 1) < 0:
            return found + 12
    raise AssertionError("no picture data found")


def store_offset(signed: Path, needle: bytes, after: bytes = b"") -> int:
    """Return where ``needle`` stands in the manifest store, the last one (the newest manifest) first."""
    data = signed.read_bytes()
    begin = data.find(after) if after else 0
    found = data.find(needle, begin)
    assert found >= 0, f"{needle!r} is not in the manifest"
    return found


def app11(data: bytes) -> list[tuple[int, int]]:
    """Return (start, end) of each APP11 segment of a JPEG, where its credentials are."""
    return [(start, end) for marker, start, end in _segments(data) if marker == 0xEB]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at, end
        at = end


def without_credentials(data: bytes) -> bytes:
    """Cut the credentials out of a JPEG and leave every other byte."""
    for start, end in reversed(app11(data)):
        data = data[:start] + data[end:]
    return data


def credentials(data: bytes) -> bytes:
    """Return a JPEG's APP11 segments."""
    return b"".join(data[start:end] for start, end in app11(data))


def frame_header(data: bytes) -> int:
    """Return where a JPEG's frame header (SOF0 to SOF2) starts."""
    return next(start for marker, start, _ in _segments(data) if marker in (0xC0, 0xC1, 0xC2))


def scan(data: bytes) -> tuple[int, int]:
    """Return (start, length) of a JPEG's entropy-coded data."""
    start = max(end for _, _, end in _segments(data))
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return start, len(data) - 2 - start


def crop(image: Image.Image) -> Image.Image:
    return image.crop((image.width // 10, image.height // 12, image.width, image.height - image.height // 8))


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def painted(image: Image.Image) -> Image.Image:
    """Cover about a ninth of the picture with a piece of it, turned over."""
    image = image.copy()
    piece = image.crop((0, 0, image.width // 3, image.height // 3)).transpose(Image.Transpose.ROTATE_180)
    image.paste(piece, (image.width // 2, image.height // 2))
    return image


def screenshot(image: Image.Image) -> Image.Image:
    """Show it in an application's window."""
    screen = Image.new("RGB", (image.width + 160, image.height + 110), (245, 246, 248))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, screen.width, 40), fill=(38, 50, 72))
    for line in range(4):
        draw.rectangle(
            (image.width + 40, 70 + 40 * line, image.width + 140, 84 + 40 * line), fill=(205, 210, 218)
        )
    screen.paste(image, (20, 60))
    return screen


def sdxl(image: Image.Image) -> Image.Image:
    """Leave the mark of Stable Diffusion XL, with invisible-watermark's own code (pytest.skip without it)."""
    import pytest

    spec = importlib.util.find_spec("imwatermark")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("invisible-watermark is not installed")
    # The package imports torch for another of its methods; the module of this one needs only OpenCV.
    pytest.importorskip("cv2")
    path = Path(spec.submodule_search_locations[0]) / "maxDct.py"
    own = importlib.util.spec_from_file_location("imwatermark_maxdct", path)
    assert own
    assert own.loader
    module = importlib.util.module_from_spec(own)
    own.loader.exec_module(module)
    bits = [
        int(b) for b in "101100111110110010010000011110111011000110011110"
    ]  # diffusers, SDXL's watermark.py
    bgr = np.asarray(image)[:, :, ::-1].astype(np.float32)
    marked = module.EmbedMaxDct(bits, wmLen=len(bits)).encode(bgr)
    return Image.fromarray(np.clip(np.round(marked), 0, 255).astype(np.uint8)[:, :, ::-1].copy())


def resaved(desk: Desk, image: Image.Image, fmt: str = "jpeg", **options: object) -> Path:
    """Write a picture as a platform would: without any metadata."""
    return desk.file(encode(image, fmt, **options), FORMATS[fmt][1])
