import os
from io import BytesIO

import pytest

from assay.provenance.errors import InputError, LimitError, MalformedError
from assay.provenance.files.sniff import open_asset, sniff, sniff_stream
from assay.provenance.limits import Limits
from assay.provenance.media import Kind


def ftyp(major, *others):
    body = major + b"\0\0\0\0" + b"".join(others)
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body + b"\0" * 64


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (ftyp(b"avif", b"mif1", b"miaf"), "image/avif"),
        (ftyp(b"mif1", b"mif1", b"avif", b"miaf"), "image/avif"),
        (ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"mif1", b"mif1"), "image/heif"),
        (ftyp(b"isom", b"isom", b"mp42"), "video/mp4"),
        (ftyp(b"qt  ", b"qt  "), "video/quicktime"),
        (ftyp(b"mp42", b"isom", b"qt  "), "video/mp4"),
        (ftyp(b"M4A ", b"M4A ", b"mp42", b"isom"), "audio/mp4"),
        (b"\xff\x0a\x00", "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
        (b"ID3\x03\0\0\0\0\0\x0a" + b"\0" * 10 + b"fLaC", "audio/flac"),
        (b"ID3\x03\0\0\0\0\0\x0a" + b"\0" * 10 + b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b'<?xml version="1.0"?><!-- <html> --><svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
        (b'\xef\xbb\xbf<!DOCTYPE svg PUBLIC "-//W3C" "x">\n<svg:svg xmlns:svg="x">', "image/svg+xml"),
        (b"<!DOCTYPE html><svg>", "text/html"),
        (b"<html><body><svg></svg>", "text/html"),
        (b"<?xml version='1.0'?><note><svg/></note>", "text/xml"),
        (b"BM\0\0", "image/bmp"),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\x82\x84webm", "video/webm"),
        (b"PK\x03\x04", "application/zip"),
        (b"\0\0\x10\x00jumb\0\0\0\x1ejumdc2pa\0\x11", "application/c2pa"),
        (b"", "application/octet-stream"),
        (b"svg", "application/octet-stream"),
        (b"RIFF\0\0\0\0ACON", "application/octet-stream"),
    ],
)
def test_content_decides(head, media_type):
    assert sniff(head)[1] == media_type


def test_dng_is_told_from_tiff_even_with_its_directory_at_the_end(save):
    data = bytearray(save("TIFF"))
    at = int.from_bytes(data[4:8], "little")
    assert sniff_stream(BytesIO(data)) == (Kind.IMAGE, "image/tiff")
    data[at + 2 : at + 4] = (0xC612).to_bytes(2, "little")  # the first tag becomes DNGVersion
    moved = bytes(data[:4]) + (len(data) + 100_000).to_bytes(4, "little") + bytes(data[8:]) + b"\0" * 100_000
    assert sniff_stream(BytesIO(moved + bytes(data[at:])))[1] == "image/x-adobe-dng"


def test_open_asset_hashes_what_it_opened(tmp_path, save):
    path = tmp_path / "picture.txt"
    path.write_bytes(save("PNG"))
    asset, stream = open_asset(path)
    with stream:
        assert (asset.kind, asset.media_type, asset.size) == (Kind.IMAGE, "image/png", path.stat().st_size)
        path.unlink()  # the descriptor, not the name, is what is read
        assert stream.read(4) == b"\x89PNG"


def test_links_that_the_user_names_are_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"BM12")
    (tmp_path / "link").symlink_to("real")
    asset, stream = open_asset(tmp_path / "link")
    stream.close()
    assert asset.media_type == "image/bmp"


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "dangling"])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    with pytest.raises(InputError):
        open_asset(path)


def test_empty_and_large_files_are_refused_before_reading(tmp_path):
    empty, large = tmp_path / "empty", tmp_path / "large"
    empty.touch()
    with pytest.raises(MalformedError, match="is empty"):
        open_asset(empty)
    with large.open("wb") as stream:
        stream.truncate(9 << 30)
    with pytest.raises(LimitError, match="file_bytes"):
        open_asset(large)
    with pytest.raises(LimitError):
        open_asset(large, Limits(file_bytes=100))


def test_hostile_names_are_shown_harmless(tmp_path):
    with pytest.raises(InputError) as caught:
        open_asset(tmp_path / "x\x1b[2J\n.jpg")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
