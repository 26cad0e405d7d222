import struct
import time
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import AssayError, LimitError, MalformedError, UnsupportedError
from assay.provenance.files.picture import decode, decode_isolated
from assay.provenance.files.samples import as_stored, upright
from assay.provenance.limits import Limits


def picture(data, **limits):
    return decode_isolated(BytesIO(data), Limits(**limits))


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_decode_to_what_was_saved(name, save, scene):
    found = picture(save(name))
    assert (found.pixels == scene).all()
    assert (found.format, found.frames, found.orientation, found.alpha) == (name, 1, 1, None)


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_lossy_formats_decode_to_the_scene(name, save, scene):
    error = picture(save(name, quality=95)).pixels.astype(int) - scene
    assert np.abs(error).mean() < 4


def test_worker_and_process_decode_alike(save, exif, icc, xmp):
    data = save("JPEG", exif=exif, icc_profile=icc, xmp=xmp, comment=b"said")
    inside, outside = picture(data), decode(BytesIO(data))
    assert (inside.pixels == outside.pixels).all()
    for name in ("exif", "icc", "xmp", "text", "encoding", "notes", "mode", "orientation"):
        assert getattr(inside, name) == getattr(outside, name)
    assert (inside.exif, inside.icc, inside.xmp) == (exif, icc, xmp)
    assert inside.text == {"comment": "said"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_orientation_shows_the_same_scene(name, orientation, save, scene):
    block = Image.Exif()
    block[0x0112] = orientation
    options = (
        {"quality": 95, "subsampling": 0} if name == "JPEG" else {"lossless": True} if name == "WEBP" else {}
    )
    found = picture(save(name, Image.fromarray(as_stored(scene, orientation)), exif=block, **options))
    assert found.pixels.shape == scene.shape
    assert np.abs(found.pixels.astype(int) - scene).mean() < (4 if name == "JPEG" else 0.01)
    assert found.orientation == orientation


def test_orientation_follows_the_exif_standard():
    # CIPA DC-008: where the stored row 0 and column 0 belong. Stored: A B / C D.
    stored = np.array([["A", "B"], ["C", "D"]])
    shown = {1: "AB CD", 2: "BA DC", 3: "DC BA", 4: "CD AB", 5: "AC BD", 6: "CA DB", 7: "DB CA", 8: "BD AC"}
    for orientation, rows in shown.items():
        assert " ".join("".join(row) for row in upright(stored, orientation)) == rows
        assert (as_stored(upright(stored, orientation), orientation) == stored).all()


def test_orientation_of_avif_and_heif_is_applied_once(save, scene, exif):
    for name in ("AVIF", "HEIF"):
        stored = Image.fromarray(as_stored(scene, 6))
        found = picture(save(name, stored, exif=exif, quality=95))
        assert found.pixels.shape == scene.shape
        assert np.abs(found.pixels.astype(int) - scene).mean() < 5


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_is_rounded_not_cut(png16, colour, channels):
    values = np.random.default_rng(colour).integers(0, 65_536, (9, 11, channels))
    values[0, 0], values[0, 1] = 0, 65_535
    found = picture(png16(values, colour))
    expected = np.rint(values / 257).astype(np.uint8)
    light = expected[..., :1].repeat(3, axis=2) if channels < 3 else expected[..., :3]
    assert (found.pixels == light).all()
    assert (found.alpha is not None) == (channels in (2, 4))
    if found.alpha is not None:
        assert (found.alpha == expected[..., -1]).all()
    assert "16 bits a sample reduced to 8" in found.notes
    assert found.encoding["bits"] == 16


def tiff16(values, order, compression=1):
    """Write a TIFF 6.0 file of 16-bit RGB, since Pillow writes none."""
    height, width, _ = values.shape
    e = "<" if order == "II" else ">"
    data = values.astype(f"{e}u2").tobytes()
    packed = zlib.compress(data) if compression == 8 else data
    after = 8 + 2 + 10 * 12 + 4
    entries = [
        *(
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, after),
            (259, 3, 1, compression),
            (262, 3, 1, 2),
        ),
        *(
            (273, 4, 1, after + 6),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, len(packed)),
            (284, 3, 1, 1),
        ),
    ]
    body = struct.pack(e + "H", len(entries))
    for tag, kind, count, value in entries:
        field = struct.pack(e + "HH", value, 0) if kind == 3 and count == 1 else struct.pack(e + "L", value)
        body += struct.pack(e + "HHL", tag, kind, count) + field
    head = order.encode() + struct.pack(e + "HL", 42, 8)
    return head + body + struct.pack(e + "L", 0) + struct.pack(e + "HHH", 16, 16, 16) + packed


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("compression", [1, 8])
def test_sixteen_bit_tiff_is_rounded_in_both_byte_orders(order, compression):
    values = np.random.default_rng(3).integers(0, 65_536, (9, 11, 3))
    found = picture(tiff16(values, order, compression))
    assert (found.pixels == np.rint(values / 257)).all()


def test_sixteen_bit_grey_tiff(save):
    values = np.random.default_rng(3).integers(0, 65_536, (9, 11)).astype(np.uint16)
    found = picture(save("TIFF", Image.fromarray(values)))
    assert (found.pixels == np.rint(values / 257)[..., None]).all()


@pytest.mark.parametrize("mode", ["F", "I"])
def test_samples_without_a_range_are_refused_not_guessed(mode, save):
    with pytest.raises(UnsupportedError, match="range"):
        picture(save("TIFF", Image.new(mode, (8, 8), 70_000)))


def test_cmyk_of_adobe_and_of_others_look_alike(save):
    image = Image.new("CMYK", (16, 16), (200, 30, 10, 0))
    adobe = save("JPEG", image, quality=98)
    at = adobe.index(b"\xff\xee")
    length = int.from_bytes(adobe[at + 2 : at + 4], "big")
    found = picture(adobe)
    assert np.abs(found.pixels[8, 8].astype(int) - (55, 225, 245)).max() <= 6
    assert any("CMYK" in note for note in found.notes)
    # Without Adobe's marker the same samples mean their opposite: 55 225 245 255, all black ink.
    assert picture(adobe[:at] + adobe[at + 2 + length :]).pixels[8, 8].max() <= 6
    plain = picture(save("TIFF", image))
    assert np.abs(plain.pixels[8, 8].astype(int) - (55, 225, 245)).max() <= 1


def test_alpha_is_kept_apart_and_colours_under_it_stay(save, scene):
    alpha = np.zeros(scene.shape[:2], np.uint8)
    alpha[:, 64:] = 200
    image = Image.fromarray(np.dstack([scene, alpha]))
    found = picture(save("PNG", image))
    assert (found.pixels == scene).all()
    assert (found.alpha == alpha).all()
    grey = picture(save("PNG", Image.fromarray(np.dstack([scene[..., 0], alpha]), "LA")))
    assert (grey.pixels == scene[..., :1]).all()
    assert (grey.alpha == alpha).all()


def test_palette_and_bilevel_are_looked_up(save):
    image = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    found = picture(save("PNG", image, transparency=2))
    assert found.pixels.tolist() == [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [10, 20, 30]]]
    assert found.alpha.tolist() == [[255, 255], [0, 255]]
    black_white = picture(save("PNG", Image.fromarray(np.array([[True, False]]))))
    assert black_white.pixels[..., 0].tolist() == [[255, 0]]


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_animations_give_their_first_frame_and_their_count(name, save, scene):
    frames = [Image.fromarray(np.roll(scene, 20 * step, axis=1)) for step in range(3)]
    options = {"lossless": True} if name == "WEBP" else {}
    found = picture(save(name, frames[0], save_all=True, append_images=frames[1:], **options))
    assert found.frames == 3
    assert np.abs(found.pixels.astype(int) - scene).mean() < 12


def test_the_first_picture_of_an_mpo_is_taken_and_the_other_said(save, scene):
    image = Image.fromarray(scene)
    found = picture(
        save("MPO", image, save_all=True, append_images=[Image.fromarray(255 - scene)], quality=95)
    )
    assert (found.format, found.frames, found.encoding["pictures"]) == ("JPEG", 1, 2)
    assert np.abs(found.pixels.astype(int) - scene).mean() < 5
    assert any("pictures in the file" in note for note in found.notes)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_files_are_malformed_never_half_a_picture(name, part, save):
    data = save(name)
    with pytest.raises(MalformedError):
        picture(data[: int(len(data) * part)])


def test_bombs_are_stopped_at_their_header(png_header):
    start = time.monotonic()
    with pytest.raises(LimitError, match="pixels"):
        picture(png_header(65_535, 65_535, 8, 2, zlib.compress(b"\0" * 1_000_000)))
    with pytest.raises(LimitError, match="side"):
        picture(png_header(100_000, 1, 8, 0, zlib.compress(b"\0" * 100_001)))
    with pytest.raises(LimitError, match="pixels"):
        picture(b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0," + b"\0" * 32)
    assert time.monotonic() - start < 5


def test_a_million_frames_are_counted_no_further_than_the_limit(save):
    gif = save("GIF", Image.new("L", (1, 1)))
    frame = gif[gif.index(b",") : -1]
    found = picture(gif[:-1] + frame * 1_000_000 + b";", frames=500)
    assert found.frames == 500
    assert "first of 500 or more frames" in found.notes


def test_text_bombs_in_png_are_refused(save):
    data = save("PNG")
    body = b"zTXtbomb\0\0" + zlib.compress(b"A" * (80 << 20))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(AssayError):
        picture(data[:33] + chunk + data[33:])


def test_large_metadata_are_left_out_and_said(save, icc, xmp):
    found = picture(save("PNG", icc_profile=icc), metadata_bytes=100)
    assert found.icc == b""
    assert any("ICC" in note for note in found.notes)
    assert found.encoding["left_out"] == ["ICC"]


def test_broken_exif_does_not_spoil_a_good_picture(save, scene):
    found = picture(save("PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 30))
    assert (found.pixels == scene).all()
    assert found.orientation == 1


@pytest.mark.parametrize(
    "head", [b"%!PS-Adobe-3.0 EPSF", b"BLP2" + bytes(200), b"8BPS" + bytes(60), b"\0\0\x01\0" + bytes(40)]
)
def test_no_other_decoder_is_reached(head):
    with pytest.raises(UnsupportedError):
        picture(head)
