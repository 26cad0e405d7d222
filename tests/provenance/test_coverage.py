from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import pytest

from assay.provenance.coverage import (
    GAPS,
    Coverage,
    Gap,
    Held,
    coverage_sentence,
    coverage_view,
    fuse,
    gap_words,
)
from assay.provenance.credentials.gaps import STORE, map_gaps
from assay.provenance.credentials.isolated import read_manifest
from assay.provenance.files.boxpaths import excluded_boxes
from assay.provenance.files.bytemap import View
from assay.provenance.files.structure import layout
from assay.provenance.subject import Subject

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


def coverage_of(path: Path) -> Coverage | None:
    with Subject.open(path) as subject:
        stream, kind = subject.stream, subject.asset.media_type
        return read_manifest(stream, kind, (), {}, NOW, limits=subject.limits).coverage


def kinds(found: Coverage) -> set[str]:
    return {str(gap.held) for gap in found.gaps}


def test_of_a_signed_photo_only_the_credentials_are_outside(desk):
    signed = desk.sign(desk.picture())
    found = coverage_of(signed)
    assert kinds(found) == {"manifest"}
    (gap,) = found.gaps
    data = signed.read_bytes()
    assert STORE in data[gap.start : gap.start + gap.length]
    assert STORE not in data[: gap.start] + data[gap.start + gap.length :]
    assert found.size == len(data)
    assert found.covered == len(data) - gap.length


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("c2pa-rs/sdk/tests/fixtures/C.jpg", {"manifest"}),
        ("c2pa-rs/sdk/tests/fixtures/video1.mp4", {"manifest", "metadata", "structure"}),
        ("public-testfiles/pdf/adobe-20240110-single_manifest_store.pdf", {"manifest"}),
    ],
)
def test_other_people_s_files(corpus, name, held):
    assert kinds(coverage_of(corpus / "c2pa" / name)) == held


def test_a_file_without_credentials_has_no_map(corpus):
    assert coverage_of(corpus / "c2pa/c2pa-rs/sdk/tests/fixtures/no_manifest.jpg") is None


def mapped(data: bytes, kind: str, *ranges: tuple[int, int], content=()) -> Coverage | None:
    stream = io.BytesIO(data)
    assertion = {"exclusions": [{"start": start, "length": length} for start, length in ranges]}
    return map_gaps(stream, layout(io.BytesIO(data), kind), {"c2pa.hash.data": assertion}, content)


def jpeg(*segments: tuple[int, bytes], tail: bytes = b"") -> bytes:
    """Return a picture with application segments put behind its first two bytes."""
    from tests.studio import encode, photo

    data = encode(photo("chelsea", (64, 48)))
    extra = b"".join(b"\xff" + bytes([m]) + (len(b) + 2).to_bytes(2, "big") + b for m, b in segments)
    return data[:2] + extra + data[2:] + tail


def test_each_piece_of_a_range_is_named_by_what_lies_there():
    store = b"JP\0\1\0\0\0\1" + b"\0\0\0\x40jumb" + b"\0\0\0\x30jumd" + STORE
    first, second, note = (0xEB, store), (0xEB, b"JP\0\1\0\0\0\2" + b"x" * 50), (0xFE, b"a comment")
    data = jpeg(first, second, note, tail=b"appended")
    found = mapped(data, "image/jpeg", (2, 200), (len(data) - 8, 8), content=[(150, 52)])
    by = {gap.held: gap for gap in found.gaps}
    assert by[Held.MANIFEST].start == 2
    assert by[Held.MANIFEST].length == len(store) + 4 + 58 + 4  # both segments: one store, cut in two
    assert [g.length for g in found.gaps if g.name == "COM"] == [13]
    assert by[Held.CONTENT].length == 52
    assert by[Held.APPENDED].start == len(data) - 8
    assert found.covered == found.size - sum(g.length for g in found.gaps)


def test_a_range_that_is_content_is_content_whatever_its_part_is_called():
    data = jpeg((0xE1, b"Exif\0\0" + b"x" * 90))
    (gap,) = mapped(data, "image/jpeg", (2, 100), content=[(2, 100)]).gaps
    assert gap.held is Held.CONTENT


def test_ranges_that_overlap_or_leave_the_file_are_counted_once():
    data = jpeg((0xFE, b"x" * 96))
    found = mapped(data, "image/jpeg", (2, 60), (30, 70), (2, 100), (len(data) - 1, 10**12))
    assert found.size - found.covered == 101
    assert mapped(data, "image/jpeg", (-50, 10)).covered == len(data)


def box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def test_boxes_are_found_by_path_and_by_what_they_hold():
    uuid = bytes(range(16))
    film = box(b"ftyp", b"isom") + box(b"moov", box(b"trak", b"1") + box(b"trak", b"22"))
    film += box(b"uuid", uuid + b"mine") + box(b"uuid", uuid[::-1] + b"other") + box(b"free", b"")
    view = View(io.BytesIO(film))

    def found(**exclusion):
        return [film[a:b] for _, (a, b) in excluded_boxes(view, [exclusion])]

    assert found(xpath="/uuid", data=[{"offset": 8, "value": list(uuid)}]) == [box(b"uuid", uuid + b"mine")]
    assert found(xpath="/moov/trak") == [box(b"trak", b"1"), box(b"trak", b"22")]
    assert found(xpath="/moov/trak", length=10) == [box(b"trak", b"22")]
    assert found(xpath="/moov/trak", subset=[{"offset": 8, "length": 1}]) == [b"1", b"2"]
    assert found(xpath="/nothing") == []


@pytest.mark.parametrize("data", [b"", b"\0" * 40, box(b"moov", b"\xff" * 30), b"\0\0\0\1free" + b"\xff" * 8])
def test_broken_boxes_end_the_walk(data):
    assert excluded_boxes(View(io.BytesIO(data)), [{"xpath": "/moov/trak"}, {"xpath": "/free"}]) == []


def test_gaps_are_fused_bounded_and_survive_the_way_through_json():
    many = [Gap(n * 10, 5 + (n == 7), Held.METADATA, f"tag {n}") for n in range(GAPS + 50)]
    kept = fuse(many)
    assert len(kept) == GAPS
    assert many[7] in kept
    halves = fuse([Gap(5, 5, Held.MANIFEST, "APP11"), Gap(0, 5, Held.MANIFEST, "APP11")])
    assert halves == (Gap(0, 10, Held.MANIFEST, "APP11"),)
    found = Coverage("data", 10_000, kept)
    assert Coverage.of_json(found.to_json()) == found


def test_words_and_strip_stay_short_and_inside():
    found = Coverage("data", 1_000_000, fuse([Gap(n * 100, 1, Held.METADATA, "x\u202e") for n in range(40)]))
    said = gap_words(found)
    assert said[-1] == "and 28 more"
    assert "metadata (x\\u{202e})" in said[0]
    assert "999,960 of 1,000,000 bytes; 40 it leaves out" in coverage_sentence(found)
    for piece in coverage_view(Coverage("data", 50, (Gap(49, 1, Held.UNKNOWN),)))["strip"]:
        assert float(piece["x"]) + float(piece["width"]) <= 1000
