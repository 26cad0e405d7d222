from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import UnsupportedError
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.samples import as_stored
from assay.provenance.files.write import encode_like, losses


def decoded(data):
    return decode_isolated(BytesIO(data))


def marked(picture):
    """A faint pattern such as a watermark leaves, the same in all channels."""
    pattern = np.random.default_rng(1).integers(-3, 4, picture.pixels.shape[:2])[..., None]
    return (picture.pixels.astype(int) + pattern).clip(0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(float(np.mean((a.astype(float) - b) ** 2)), 1e-9))


def kept(before, after, *names):
    for name in ("exif", "xmp", "icc", "orientation", "format", "text", *names):
        assert getattr(before, name) == getattr(after, name), name


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_keeps_tables_sampling_progression_and_all_metadata(
    sampling, progressive, save, scene, exif, icc, xmp
):
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x50\0\x03Ann"
    extra = b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + b"\xff\xfe\0\x06said"
    coding = {"quality": 91, "subsampling": sampling, "progressive": progressive, "dpi": (240, 240)}
    metadata = {"exif": exif, "icc_profile": icc, "xmp": xmp, "extra": extra}
    before = decoded(save("JPEG", Image.fromarray(as_stored(scene, 6)), **coding, **metadata))
    assert before.orientation == 6
    pixels = marked(before)
    after = decoded(encode_like(before, pixels))
    kept(before, after, "encoding", "mode")
    assert after.encoding["qtables"][0] != after.encoding["qtables"][1]
    assert (after.encoding["subsampling"], after.encoding["progressive"]) == (sampling, progressive)
    assert [name for name, _ in after.encoding["segments"]] == ["APP13", "COM"]
    assert psnr(pixels, after.pixels) > (36 if sampling == 0 else 33)


def test_jpeg_grey_stays_grey_and_rgb_stays_rgb(save, scene):
    grey = decoded(save("JPEG", Image.fromarray(scene).convert("L"), quality=92))
    after = decoded(encode_like(grey, marked(grey)))
    assert (after.mode, after.encoding["qtables"]) == ("L", grey.encoding["qtables"])
    rgb = decoded(save("JPEG", keep_rgb=True, quality=92))
    assert decoded(encode_like(rgb, marked(rgb))).encoding["keep_rgb"] is True


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
    ],
)
def test_lossless_formats_hold_the_marked_pixels_exactly(name, options, save, exif, icc, xmp):
    metadata = {} if name == "BMP" or "compression" in options else {"exif": exif, "icc_profile": icc}
    if name == "WEBP":
        metadata["xmp"] = xmp
    before = decoded(save(name, **options, **metadata))
    pixels = marked(before)
    after = decoded(encode_like(before, pixels))
    assert (after.pixels == pixels).all()
    kept(before, after, "encoding")


def test_a_compressed_tiff_keeps_its_exif_before_its_compression(save, exif):
    before = decoded(save("TIFF", exif=exif))
    before.encoding["compression"] = "tiff_lzw"
    after = decoded(encode_like(before, marked(before)))
    assert (after.exif, after.encoding["compression"]) == (before.exif, "raw")
    assert losses(before) == ("its compression (tiff_lzw) becomes another",)


@pytest.mark.parametrize("name", ["WEBP", "AVIF", "HEIF"])
def test_lossy_formats_stay_close_and_keep_metadata(name, save, exif, icc, xmp):
    before = decoded(save(name, quality=90, exif=exif, icc_profile=icc, xmp=xmp))
    pixels = marked(before)
    after = decoded(encode_like(before, pixels))
    kept(before, after)
    assert psnr(pixels, after.pixels) > 35
    assert any("compressed anew" in loss for loss in losses(before))


def test_png_keeps_its_text_gamma_and_resolution(save):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "Harbour")
    info.add_itxt("Description", "Häfen", lang="de")
    info.add(b"gAMA", (45_455).to_bytes(4, "big"))
    info.add(b"tEXt", b"Comment\0at the end", after_idat=True)
    before = decoded(save("PNG", pnginfo=info, dpi=(300, 300)))
    after = decoded(encode_like(before, marked(before)))
    kept(before, after, "encoding")
    assert after.text["Comment"] == "at the end"
    assert round(after.encoding["dpi"][0]) == 300


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_alpha_survives_untouched(name, save, scene):
    alpha = np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    before = decoded(save(name, Image.fromarray(np.dstack([scene, alpha])), **options))
    pixels = marked(before)
    after = decoded(encode_like(before, pixels))
    assert (after.alpha == alpha).all()
    assert (after.pixels == pixels).all()


def test_what_cannot_be_kept_is_refused_with_the_reason(save, scene, png16):
    image = Image.fromarray(scene)
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - scene)]}
    cases = {
        "256 colours": save("GIF"),
        "2 frames": save("WEBP", **frames),
        "CMYK": save("JPEG", image.convert("CMYK")),
        "16 bits": png16(np.zeros((8, 8, 3)), 2),
        "black and white": save("PNG", image.convert("1")),
    }
    for reason, data in cases.items():
        picture = decoded(data)
        with pytest.raises(UnsupportedError, match=reason):
            encode_like(picture, picture.pixels)


def test_losses_are_named(save, scene):
    image = Image.fromarray(scene)
    two = decoded(save("MPO", save_all=True, append_images=[image]))
    assert any("further picture" in loss for loss in losses(two))
    palette = decoded(save("PNG", image.convert("P")))
    assert losses(palette) == ("the palette becomes full colour",)
    assert losses(decoded(save("PNG"))) == ()


def test_another_format_can_be_asked_for(save, scene):
    before = decoded(save("BMP"))
    assert (decoded(encode_like(before, scene, "PNG")).pixels == scene).all()
    with pytest.raises(UnsupportedError):
        encode_like(before, scene, "EPS")
