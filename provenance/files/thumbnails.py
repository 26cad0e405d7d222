"""Whether the small pictures that a photograph carries show what the photograph shows.

Looked at are the thumbnail of EXIF (IFD1) and the large thumbnails of a multi-picture file (CIPA DC-007). Gain maps,
depth maps and stereo frames are other pictures by design and are left alone. Programs that crop and retouch leave
thumbnails behind, so the comparison searches turns, and crops to no less than 0.7 of a side. A thumbnail that is found
different is only ever said: unlike pictures of a like layout pass, and one that shows what was cut away does not.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from assay.provenance.files.picture import load_codecs
from assay.provenance.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

UNLIKE = 0.5
"""Below this correlation of the best fit a small picture is said to show something else."""
SIDE = 24
"""Side of the grids that are correlated, in samples."""
_SCALES = (1.0, 0.92, 0.84, 0.77, 0.7)
_OVERLAP = 8
"""Windows of a scale lie an eighth of their side apart."""
_BYTES = 1 << 20
"""Largest thumbnail looked at, in bytes."""
_PIXELS = 4_000_000
_FLAT = 6.0
"""Least standard deviation of samples in 0..255 at which a picture shows anything to compare."""
_OFFSET, _LENGTH, _MP_ENTRIES = 0x201, 0x202, 0xB002
_LARGE_THUMBNAILS = ("Large Thumbnail (VGA Equivalent)", "Large Thumbnail (Full HD Equivalent)")

Grey = NDArray[np.float32]


def unlike(stream: BinaryIO, limits: Limits) -> list[str]:
    """Name the small pictures of a JPEG that show something else than its picture; meant for the worker.

    What cannot be read is left out: a broken thumbnail is no contradiction.
    """
    from PIL import Image

    load_codecs()
    stream.seek(0)
    try:
        with Image.open(stream, formats=("JPEG", "MPO")) as image:
            if image.width * image.height > limits.pixels:
                return []
            small = list(_small(image, stream))
            if not small:
                return []
            stream.seek(0)
            image.seek(0)
            image.draft("L", (256, 256))
            main = image.convert("L")
            main.thumbnail((128, 128))
        return [name for name, picture in small if likeness(main, picture) < UNLIKE]
    except Exception:  # thumbnails are where programs are sloppiest, and nothing else rests on them
        return []
    finally:
        stream.seek(0)


def likeness(main: PillowImage, small: PillowImage) -> float:
    """Return the best correlation, -1..1, of a small picture with any part of the main one, or the reverse.

    Both are grey (``L``). 1 where either is too flat to compare.
    """
    one, other = _untrimmed(main), _untrimmed(small)
    if one.std() < _FLAT or other.std() < _FLAT:
        return 1.0
    best = -1.0
    for quarters in (0, 1, 3, 2):  # programs that turn a picture upright often leave its thumbnail lying
        turned = np.rot90(other, quarters)
        best = max(best, _fits(one, turned), _fits(turned, one))
        if best >= 0.9:
            break
    return best


def _small(image: Any, stream: BinaryIO) -> Iterator[tuple[str, PillowImage]]:
    from PIL import ExifTags

    block = image.getexif().get_ifd(ExifTags.IFD.IFD1)
    start, length = block.get(_OFFSET), block.get(_LENGTH)
    raw = image.info.get("exif", b"")
    if isinstance(start, int) and isinstance(length, int) and 0 < length <= _BYTES and start >= 0:
        begin = 6 + start if raw.startswith(b"Exif\0\0") else start
        found = _open(raw[begin : begin + length])
        if found:
            yield "thumbnail", found
    for at, entry in enumerate(getattr(image, "mpinfo", {}).get(_MP_ENTRIES, ())):
        if at and entry.get("Attribute", {}).get("MPType") in _LARGE_THUMBNAILS:
            stream.seek(image._MpoImageFile__mpoffsets[at])
            found = _open(stream.read(_BYTES))
            if found:
                yield "second picture", found


def _open(data: bytes) -> PillowImage | None:
    from PIL import Image

    if not data.startswith(b"\xff\xd8"):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            if not 64 <= image.width * image.height <= _PIXELS:
                return None
            image.draft("L", (128, 128))
            return image.convert("L")
    except Exception:  # as above
        return None


def _untrimmed(image: PillowImage) -> Grey:
    """Return the samples without the black bars with which cameras fill a thumbnail."""
    samples = np.asarray(image, np.float32)
    rows, columns = samples.max(1) > 24, samples.max(0) > 24
    if rows.sum() < 8 or columns.sum() < 8:
        return samples
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    return samples[top : bottom + 1, left : right + 1]


def _fits(large: Grey, small: Grey) -> float:
    """Return the best correlation of ``small`` with all of ``large`` or a window of it of the same proportions."""
    wanted = _grid(small)
    best = _correlation(_grid(large), wanted)
    height, width = large.shape
    ratio = small.shape[1] / small.shape[0]
    tall, wide = (height, height * ratio) if height * ratio <= width else (width / ratio, width)
    for scale in _SCALES:
        rows, columns = round(tall * scale), round(wide * scale)
        if min(rows, columns) < 8:
            break
        for top in _places(height - rows, rows):
            for left in _places(width - columns, columns):
                part = large[top : top + rows, left : left + columns]
                best = max(best, _correlation(_grid(part), wanted))
        if best >= 0.9:
            break
    return best


def _places(room: int, side: int) -> list[int]:
    steps = max(1, math.ceil(room * _OVERLAP / side))
    return sorted({round(room * n / steps) for n in range(steps + 1)})


def _grid(samples: Grey) -> Grey:
    from PIL import Image

    return np.asarray(
        Image.fromarray(np.ascontiguousarray(samples)).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32
    )


def _correlation(one: Grey, other: Grey) -> float:
    first, second = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0
