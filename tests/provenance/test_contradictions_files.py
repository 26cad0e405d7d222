"""The rules on real pictures: what must be seen, and the honest doubles that must not be accused."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest
from PIL import Image, ImageOps

from assay.provenance.claim import IPTC, Claim
from assay.provenance.files.thumbnails import UNLIKE, likeness

from .. import darkroom
from ..forger import Part, bare_sign, created, definition
from ..studio import LARGE, SMALL, encode, photo

FILL = {"action": "c2pa.edited", "digitalSourceType": IPTC + "compositeWithTrainedAlgorithmicMedia"}
FAST = ("manifest", "metadata", "agreement")
CAPTURE = definition(created("digitalCapture"))


def rules(report):
    return {c.rule for c in report.conflicts}, {n.rule for n in report.notices}


def with_thumbnail(image, small, **options):
    """Encode a JPEG whose EXIF carries ``small`` as its thumbnail (TIFF 6.0, JPEGInterchangeFormat)."""
    thumbnail = encode(small, quality=70)
    entries = (
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((0x201, 56), (0x202, len(thumbnail)))
    )
    first = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 3, 1, 1, 26)
    block = first + struct.pack("<H", 2) + b"".join(entries) + struct.pack("<I", 0)
    assert len(block) == 56
    return encode(image, exif=b"Exif\0\0" + block + thumbnail, **options)


def letterboxed(image):
    """Draw a camera's thumbnail: 160 × 120 whatever the picture's shape, the rest black."""
    small = Image.new("RGB", (160, 120))
    fitted = ImageOps.contain(image, (160, 120))
    small.paste(fitted, ((160 - fitted.width) // 2, (120 - fitted.height) // 2))
    return small


def test_a_stranger_who_logs_a_picture_does_not_make_its_maker_a_liar(desk):
    original = desk.sign(
        desk.picture(size=LARGE), "digitalCapture", by=desk.studio.agency, ledger=False, mark=False
    )
    copy = darkroom.resaved(desk, darkroom.pixels(original), quality=95)
    desk.sign(copy, "digitalCapture", by=desk.studio.stranger, mark=False)
    report = desk.verify(original)
    assert report.recovered.matches
    assert (report.verdict, rules(report)) == ("source-confirmed", (set(), {"logged-by-another"}))


def test_an_ai_fill_that_is_declared_does_not_clash_with_the_fillers_mark(desk):
    marked = encode(darkroom.sdxl(photo("chelsea", (512, 384))), "png")
    filled = bare_sign(marked, "image/png", desk.studio.agency, definition(created("digitalCapture"), FILL))
    report = desk.verify(desk.file(filled, ".png"))
    assert (report.verdict, rules(report)[0]) == ("marked-ai", set())


def test_a_generators_mark_added_to_a_logged_photograph_is_told_from_a_generated_picture(desk):
    source = desk.file(encode(photo("chelsea", (512, 384)), "png"), ".png")
    logged = desk.sign(source, "digitalCapture")
    framed = darkroom.resaved(desk, darkroom.sdxl(darkroom.pixels(logged)), "png")
    report = desk.verify(framed)
    assert (report.verdict, rules(report)[0]) == ("conflict", {"mark-against-entry"})
    assert "Anyone who has a photograph can add" in report.conflicts[0].innocent


def test_a_picture_made_by_ai_that_is_called_a_capture_above_it_clashes(desk):
    made = bare_sign(
        encode(photo("coffee", SMALL)),
        "image/jpeg",
        desk.studio.wire,
        definition(created("trainedAlgorithmicMedia")),
    )
    data = encode(photo("coffee", SMALL), quality=80)
    parent = bare_sign(data, "image/jpeg", desk.studio.agency, CAPTURE, parts=[Part(made, "image/jpeg")])
    assert rules(desk.verify(desk.file(parent), checks=FAST))[0] == {"ancestor-clash"}
    screen = Part(made, "image/jpeg", relationship="inputTo")  # what was in front of the camera
    report = desk.verify(
        desk.file(bare_sign(data, "image/jpeg", desk.studio.agency, CAPTURE, parts=[screen])), checks=FAST
    )
    assert rules(report) == (set(), set())


def test_an_old_thumbnail_of_a_crop_is_silent_and_one_of_another_picture_is_said(desk):
    image, other = photo("astronaut", (400, 300)), photo("coffee", (400, 300))
    lives = {
        "whole": image,
        "cropped": darkroom.crop(image),
        "zoomed": image.crop((50, 30, 350, 255)),
        "toned": ImageOps.autocontrast(image.convert("L").point(lambda v: v // 2)).convert("RGB"),
        "turned": image.transpose(Image.Transpose.ROTATE_90),
        "turned with its thumbnail lying": image.transpose(Image.Transpose.ROTATE_270),
    }
    for life, picture in lives.items():
        small = letterboxed(picture if life == "turned" else image)
        report = desk.verify(desk.file(with_thumbnail(picture, small)), checks=FAST)
        assert rules(report) == (set(), set()), life
    report = desk.verify(desk.file(with_thumbnail(image, letterboxed(other))), checks=FAST)
    assert (report.verdict, rules(report)) == ("inconclusive", (set(), {"small-picture-differs"}))
    assert "a thumbnail that shows something else" in report.notices[0].says[1]


def test_a_declared_crop_explains_whatever_the_thumbnail_shows(desk):
    data = with_thumbnail(photo("astronaut", (400, 300)), letterboxed(photo("coffee", (400, 300))))
    cropped = definition(created("digitalCapture"), {"action": "c2pa.cropped"})
    assert rules(
        desk.verify(desk.file(bare_sign(data, "image/jpeg", desk.studio.agency, cropped)), checks=FAST)
    ) == (set(), set())
    plain = desk.verify(desk.file(bare_sign(data, "image/jpeg", desk.studio.agency, CAPTURE)), checks=FAST)
    assert (plain.verdict, rules(plain)) == ("source-confirmed", (set(), {"small-picture-differs"}))


@pytest.mark.parametrize(
    "broken", [b"", b"\xff\xd8\xff", b"\xff\xd8" + bytes(4000)], ids=["none", "cut", "rubbish"]
)
def test_a_thumbnail_that_cannot_be_read_accuses_nobody(desk, broken):
    data = with_thumbnail(photo("astronaut", SMALL), letterboxed(photo("coffee", SMALL)))
    start = data.index(b"\xff\xd8", 2)
    end = data.index(b"\xff\xd9", start) + 2
    data = data[:start] + broken[: end - start].ljust(end - start, b"\0") + data[end:]
    assert rules(desk.verify(desk.file(data), checks=FAST)) == (set(), set())


def test_flat_pictures_are_not_compared():
    flat = Image.new("L", (160, 120), 90)
    assert likeness(flat, photo("coffee", SMALL).convert("L")) == 1
    assert likeness(photo("astronaut", LARGE).convert("L"), photo("coffee", LARGE).convert("L")) < UNLIKE


def test_what_follows_a_signed_picture_is_said_and_decides_nothing(desk):
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("page.html", "<p>another reader sees this</p>")
    joined = encode(photo("astronaut", SMALL)) + archive.getvalue()
    report = desk.verify(desk.file(joined), checks=FAST)
    assert (report.verdict, rules(report)) == ("inconclusive", (set(), {"appended-bytes", "second-format"}))
    padded = desk.verify(desk.file(encode(photo("astronaut", SMALL)) + bytes(16)), checks=FAST)
    assert rules(padded) == (set(), set())


def test_an_edit_that_keeps_its_history_may_carry_its_ancestors_mark(desk):
    first = desk.sign(desk.picture(size=LARGE), "digitalCapture")
    edited = desk.sign(first, Claim(edit="brighter"), by=desk.studio.agency)
    assert rules(desk.verify(edited)) == (set(), set())
