"""The lists that detectors learn from: labelled, apart from what is measured, and without the reserved generators."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

BENCH = Path(__file__).resolve().parents[1] / "bench"
LEARNED = ("detect_real", "detect_fake")
APART = ("evaluation", "training", "negatives")
RESERVED = re.compile(
    r"mid.?journey|\bmj\b|\bmidj\b|kolors|vq-?gan|\bmuse\b|styledrop|infinity|seedream", re.IGNORECASE
)
"""Generators that measure generalisation, and what is built on them; no list that is learned from may name one."""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_pictures", BENCH / "photos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


photos = load()
LISTS = {name: photos.read_list(photos.LISTS / f"{name}.json") for name in LEARNED + APART}


@pytest.mark.parametrize("name", LEARNED)
def test_every_picture_is_labelled_and_once_there(name: str) -> None:
    chosen = LISTS[name]
    assert {photo.label for photo in chosen} == {name.removeprefix("detect_")}
    assert {photo.codec for photo in chosen} <= {"jpeg", "png", "webp"}
    for field in ("generator", "kind", "licence", "fold"):
        assert all(getattr(photo, field).strip() for photo in chosen), field
    assert max(Counter(photo.sha256 for photo in chosen).values()) == 1
    names = [photo.tile(box) for photo in chosen for box in photo.tiles]
    names += [photo.name for photo in chosen if not photo.tiles]
    assert len(set(names)) == len(names)
    assert (
        min(min(box[2:]) for photo in chosen for box in photo.tiles or ((0, 0, photo.width, photo.height),))
        >= 256
    )


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("other", APART)
def test_no_file_and_no_measured_source_is_learned_from(name: str, other: str) -> None:
    fields = ("sha256", "source", "repository") if other == "evaluation" else ("sha256", "source")
    for field in fields:
        shared = {getattr(p, field) for p in LISTS[name]} & {getattr(p, field) for p in LISTS[other]}
        assert shared <= {""}, (field, shared)


def test_no_file_is_both_real_and_fake() -> None:
    real, fake = (LISTS[name] for name in LEARNED)
    assert not {photo.sha256 for photo in real} & {photo.sha256 for photo in fake}
    assert not {photo.source for photo in real} & {photo.source for photo in fake}


def test_no_reserved_generator_is_learned_from() -> None:
    for name in LEARNED:
        for photo in LISTS[name]:
            words = f"{photo.generator} {photo.source} {photo.repository} {photo.path.replace('_', ' ')}"
            assert not RESERVED.search(words), words


@pytest.mark.parametrize("name", LEARNED)
def test_a_source_is_held_whole_or_not_at_all(name: str) -> None:
    folds: dict[str, set[str]] = defaultdict(set)
    for photo in LISTS[name]:
        folds[photo.source].add(photo.fold)
    assert all(len(fold) == 1 for fold in folds.values())
    held = sum(fold == {"held"} for fold in folds.values())
    assert 0.1 <= held / len(folds) <= 0.4, (held, len(folds))
    assert max(Counter(photo.repository for photo in LISTS[name]).values()) <= 0.35 * len(LISTS[name])


def sheet() -> tuple[bytes, dict[str, Any]]:
    """A sheet of two pictures, red and blue, and its entry."""
    image = Image.new("RGB", (16, 8), "red")
    image.paste("blue", (8, 0, 16, 8))
    file = io.BytesIO()
    image.save(file, "PNG")
    data = file.getvalue()
    return data, {
        "corpus": "sheet.png",
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": 16,
        "height": 8,
        "licence": "CC0-1.0",
        "source": "sheet",
        "label": "fake",
        "generator": "test",
        "codec": "png",
        "fold": "train",
        "tiles": [[0, 0, 8, 8], [8, 0, 8, 8]],
    }


def test_a_sheet_is_cut_into_its_pictures_and_not_kept(tmp_path: Path) -> None:
    data, raw = sheet()
    (tmp_path / "sheet.png").write_bytes(data)
    photo = photos.entry(raw)
    places = photos.Places(None, tmp_path, tmp_path / "clones")
    into = tmp_path / "into"
    assert not photos.materialise([photo], into, places)
    assert sorted(path.name for path in into.iterdir()) == sorted(photo.tile(box) for box in photo.tiles)
    colours = []
    for box in photo.tiles:
        with Image.open(into / photo.tile(box)) as image:
            assert image.size == (8, 8)
            colours.append(image.getpixel((4, 4)))
    assert colours == [(255, 0, 0), (0, 0, 255)]
    (tmp_path / "sheet.png").write_bytes(data + b"x")  # other bytes than the list says: nothing is cut
    assert photos.materialise([photo], tmp_path / "again", places)
    assert not list((tmp_path / "again").iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"label": "maybe"},
        {"fold": "test"},
        {"tiles": [[0, 0, 17, 8]]},
        {"tiles": [[-1, 0, 8, 8]]},
        {"tiles": [[0, 0, 0, 8]]},
        {"tiles": [[0, 0, 8]]},
        {"tiles": [["a", 0, 8, 8]]},
    ],
)
def test_a_label_a_fold_or_a_box_that_cannot_be_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    _, raw = sheet()
    assert photos.entry(raw)
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"photographs": [raw | change]}), "utf-8")
    with pytest.raises(ValueError, match=r"list of photographs|unpack|invalid literal"):
        photos.read_list(file)
