"""Make the two photographs that ship for ``assay demo`` from those in the scikit-image wheel.

    python bench/make_photos.py

Both are public domain or CC0; cli/data/README.md states source and licence. Needs scikit-image and Pillow.
"""

from __future__ import annotations

from pathlib import Path

import skimage
from PIL import Image

TARGET = Path(__file__).parent.parent / "cli" / "data"
PHOTOS = {"astronaut.png": "photo.jpg", "coffee.png": "other.jpg"}
QUALITY = 95


def main() -> None:
    """Write both files."""
    source = Path(skimage.__file__).parent / "data"
    for name, target in PHOTOS.items():
        with Image.open(source / name) as image:
            image.convert("RGB").save(TARGET / target, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
        print(TARGET / target)


if __name__ == "__main__":
    main()
