"""Pictures in every format and every odd form, made here so that what they should decode to is known."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from assay.provenance.files.picture import load_codecs

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="kept"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def _corpus():
    folder = os.environ.get("ASSAY_CORPUS", "")
    return Path(folder) if folder and Path(folder).is_dir() else None


@pytest.fixture(scope="session")
def corpus():
    folder = _corpus()
    if folder is None:
        pytest.skip("ASSAY_CORPUS names no folder")
    return folder


@pytest.fixture(scope="session")
def scene():
    """A photograph-like picture, RGB uint8 (96, 128, 3): smooth light, edges and some grain."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:96, 0:128]
    base = np.stack([x * 1.7, y * 2.2, 255 - (x + y)], axis=2)
    base[20:60, 30:80] = base[20:60, 30:80] * 0.5 + 60
    return (base + random.normal(0, 4, base.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def exif():
    block = Image.Exif()
    block[0x0112], block[271], block[272], block[305] = 6, "Acme", "Eye 1", "Darkroom 2"
    block.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes()


@pytest.fixture(scope="session")
def icc():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="session")
def save(scene):
    """Encode the scene (or ``picture``) with Pillow."""
    load_codecs()

    def encode(name, picture=None, **options):
        out = BytesIO()
        (Image.fromarray(scene) if picture is None else picture).save(out, name, **options)
        return out.getvalue()

    return encode


@pytest.fixture(scope="session")
def png16():
    """Write a 16-bit PNG by hand, since Pillow writes no colour ones; ``colour`` is IHDR's colour type."""

    def write(samples, colour):
        height, width = samples.shape[:2]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        return png_file(width, height, 16, colour, zlib.compress(rows))

    return write


def png_file(width, height, bits, colour, data):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def png_header():
    return png_file


@pytest.fixture(scope="session")
def xmp():
    return XMP


@pytest.fixture
def kept(tmp_path):
    """Write bytes to a file and open it: children read from a descriptor."""
    opened = []

    def keep(data, name="clip"):
        path = tmp_path / name
        path.write_bytes(data)
        opened.append(path.open("rb"))
        return opened[-1]

    yield keep
    for stream in opened:
        stream.close()
