"""The film mark on a real clip through real codecs: two seconds, cut anywhere, after H.264 and VP9."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.media import Media
from assay.watermark.film.scheme import FilmMark

av = pytest.importorskip("av")

ID = "8899aabbccddeeff"
CLIP = Path("detect/video/video_real_a/68e7c8325aa8.mp4")
RATE = 16
Frames = list[np.ndarray]


@pytest.fixture(scope="module")
def marked() -> Frames:
    """Two seconds of a marked clip, from seven seconds of the mark's clock on: its pattern moves on in the middle."""
    path = Path(os.environ.get("ASSAY_CORPUS", "")) / CLIP
    if "ASSAY_CORPUS" not in os.environ or not path.is_file():
        pytest.skip("ASSAY_CORPUS names no corpus")
    with av.open(str(path)) as container:
        first = islice(container.decode(video=0), 2 * RATE)
        frames = [frame.to_ndarray(format="rgb24") for frame in first]
    film = Media.film([(7 + Fraction(n, RATE), frame) for n, frame in enumerate(frames)], Fraction(RATE))
    return [frame for _, frame in FilmMark().embed(film, ID).timed()]


def coded(frames: Frames, codec: str, options: dict[str, str], rate: int = RATE) -> Frames:
    memory = io.BytesIO()
    height, width = (n // 2 * 2 for n in frames[0].shape[:2])
    with av.open(memory, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def read(frames: Frames, rate: int = RATE) -> str | None:
    film = Media.film([(Fraction(n, rate), frame) for n, frame in enumerate(frames)], Fraction(rate))
    mark = FilmMark().read(film).mark
    return mark.id if mark else None


def test_h264_at_crf_32(marked: Frames) -> None:
    assert read(coded(marked, "libx264", {"crf": "32"})) == ID


def test_half_the_area_at_half_the_rate_after_vp9_at_crf_40(marked: Frames) -> None:
    cropped = [frame[48:286, 90:510] for frame in marked[::2]]
    options = {"crf": "40", "b": "0", "cpu-used": "8", "deadline": "realtime"}
    assert read(coded(cropped, "libvpx-vp9", options, RATE // 2), RATE // 2) == ID


def test_a_codec_leaves_an_unmarked_cut_unmarked(marked: Frames) -> None:
    calm = [np.full_like(frame, 128) for frame in marked]
    assert read(coded(calm, "libx264", {"crf": "32"})) is None
