"""The main job over every kind of file: signed, confirmed, changed by one bit and caught; pictures also recovered."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from assay.provenance.claim import Claim

from .. import darkroom
from ..studio import LARGE, encode, photo

FIXTURES = "c2pa/c2pa-rs/sdk/tests/fixtures"
REAL = (
    "IMG_0003.jpg", "libpng-test.png", "sample1.webp", "test_lossless.webp", "sample1.avif", "sample1.gif",
    "MultiPage.tif", "sample1.svg", "basic.pdf", "c.mov", "test.avi", "sample1.wav", "video1_no_manifest.mp4",
    "sample1.mp3", "sample1.flac", "sample1.heic", "sample1.jxl", "sample1.m4a",
)  # fmt: skip
FAST = ("manifest", "metadata", "receipt", "agreement")


def modes():
    picture = photo("astronaut", LARGE)
    alpha = Image.linear_gradient("L").resize(LARGE)
    with_alpha = picture.copy()
    with_alpha.putalpha(alpha)
    exif = Image.Exif()
    exif[0x0112] = 6
    sixteen = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    return {
        "grey JPEG": (encode(picture.convert("L")), ".jpg"),
        "progressive JPEG 4:4:4": (encode(picture, progressive=True, subsampling=0), ".jpg"),
        "CMYK JPEG": (encode(picture.convert("CMYK")), ".jpg"),
        "turned JPEG": (encode(picture, exif=exif), ".jpg"),
        "PNG with alpha": (encode(with_alpha, "png"), ".png"),
        "PNG with a palette": (encode(picture.quantize(200), "png"), ".png"),
        "16-bit grey PNG": (encode(Image.fromarray(sixteen), "png"), ".png"),
        "lossless WebP": (encode(picture, "webp", lossless=True), ".webp"),
        "LZW TIFF": (encode(picture, "tiff", compression="tiff_lzw"), ".tif"),
    }


def upright(image):
    """Return what a viewer shows, in 8 bits a sample."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    return ImageOps.exif_transpose(image).convert("RGB")


@pytest.mark.parametrize("name", modes())
def test_pictures_of_every_mode_are_signed_confirmed_and_recovered(desk, name):
    data, suffix = modes()[name]
    source = desk.file(data, suffix)
    signed = desk.sign_fully(source)
    report = desk.verify(signed.out)
    assert report.verdict == "source-confirmed", (report.headline, signed.notes)
    with Image.open(source) as before, Image.open(signed.out) as after:
        # A palette has no room for a mark's shades: such a picture is written with full colours.
        mode = "RGB" if signed.mark and before.mode == "P" else before.mode
        assert (after.size, after.mode, after.format) == (before.size, mode, before.format)
        assert before.getexif().get(0x0112) == after.getexif().get(0x0112)
        stripped = darkroom.resaved(desk, upright(after), quality=85)
    if signed.mark is None:
        assert signed.notes, "what is left out is said"
    recovered = desk.verify(stripped)
    assert recovered.verdict == "source-recovered", (recovered.headline, signed.notes)


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_signed_and_a_changed_bit_is_caught(desk, corpus, name):
    path = corpus / FIXTURES / name
    if not path.is_file():
        pytest.skip("this corpus holds only a part of the published files")
    source = desk.file(path.read_bytes(), path.suffix)
    claim = Claim(source_type="trainedAlgorithmicMedia", generator="Example", generator_version="1")
    signed = desk.sign(source, claim, mark=False)
    report = desk.verify(signed, checks=FAST)
    assert report.verdict == "marked-ai", (report.headline, report.manifest.codes)
    assert source.read_bytes() == path.read_bytes()
    changed = darkroom.flip(desk, signed, darkroom.content_offset(signed, source))
    found = desk.verify(changed, checks=("manifest",))
    assert found.verdict == "conflict", (found.headline, found.manifest.codes)


def test_signing_twice_keeps_both_and_clashes_with_nothing(desk):
    first = desk.sign_fully(desk.picture(size=LARGE))
    second = desk.sign_fully(first.out, Claim(edit="brighter"), desk.studio.agency)
    assert first.mark != second.mark
    report = desk.verify(second.out)
    assert report.verdict == "source-confirmed", report.conflicts
    assert [i.label for i in report.manifest.history()] == [first.manifest_label]
    stripped = desk.verify(darkroom.resaved(desk, darkroom.pixels(second.out), quality=80))
    assert stripped.verdict == "source-recovered", stripped.conflicts


def test_a_file_that_was_only_logged_is_known_again(desk):
    from assay.provenance.records import append_file

    path = desk.picture(size=LARGE)
    receipt = append_file(desk.workspace, path)
    report = desk.verify(path)
    assert (report.verdict, report.recovered.by) == ("source-recovered", "digest")
    assert report.origin.status == "claimed"
    copy = desk.verify(darkroom.resaved(desk, darkroom.pixels(path), quality=70))
    assert (copy.verdict, copy.recovered.by) == ("source-recovered", "fingerprint")
    assert copy.recovered.receipt.index == receipt.index == 0


def test_several_programs_sign_into_one_ledger_at_once(desk):
    code = "from assay.cli.main import run; run()"
    targets = [desk.path() for _ in range(4)]
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "--home",
                desk.workspace.home,
                "sign",
                desk.picture(),
                "-o",
                target,
                "--no-watermark",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for target in targets
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert desk.workspace.log.size == len(targets)
    assert desk.workspace.log.check() == []
    for target in targets:
        assert desk.verify(target, checks=FAST).recovered.by == "digest"


def test_the_python_door_is_the_three_lines_of_the_readme(desk):
    from assay.provenance import Workspace

    ws = Workspace.open(desk.workspace.home)
    receipt = ws.sign(desk.picture(), target := desk.path(), Claim(source_type="digitalCapture"))
    report = ws.verify(target)
    assert report.recovered.receipt == receipt
    assert report.verdict == "source-confirmed"
    assert "<script" not in report._repr_html_()
    Image.open(BytesIO(target.read_bytes())).verify()
