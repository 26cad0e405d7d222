"""The lists of photographs: no list has learned from another, each is what it says, and a wrong file does not pass."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

BENCH = Path(__file__).resolve().parents[1] / "bench"
NAMES = ("training", "evaluation", "negatives")
CLASSES = (0.3, 0.6, 1.5, 4.0)
"""Lower edges, in megapixels, of the size classes that results are told by."""
SUBJECTS = {"people", "sky", "night", "text", "foliage", "architecture", "water", "food", "animals"}
SORTS = {"photograph", "screenshot", "chart", "drawing", "text", "pattern"}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_photos", BENCH / "photos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


photos = load()
LISTS = {name: photos.read_list(photos.LISTS / f"{name}.json") for name in NAMES}


def size_class(photo: Any) -> float:
    return max(edge for edge in CLASSES if photo.megapixels >= edge)


@pytest.mark.parametrize("one", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_no_list_shares_a_file_a_repository_or_a_source_with_another(one: str, other: str) -> None:
    if one >= other:
        return
    for field in ("sha256", "source", "repository"):
        shared = {getattr(p, field) for p in LISTS[one]} & {getattr(p, field) for p in LISTS[other]}
        assert shared <= {""}, (field, shared)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_once_there_and_states_its_licence(name: str) -> None:
    assert max(Counter(photo.sha256 for photo in LISTS[name]).values()) == 1
    assert max(Counter(photo.name for photo in LISTS[name]).values()) == 1
    assert all(photo.licence.strip() for photo in LISTS[name])


def test_what_is_measured_on_is_wide_and_even() -> None:
    chosen = LISTS["evaluation"]
    assert len(chosen) >= 220
    sizes = Counter(size_class(photo) for photo in chosen)
    assert min(sizes[edge] for edge in CLASSES) >= 40, sizes
    assert max(Counter(photo.source for photo in chosen).values()) <= 0.15 * len(chosen)
    subjects = Counter(photo.kind for photo in chosen)
    assert min(subjects[subject] for subject in SUBJECTS) >= 10, subjects


def test_a_part_of_the_list_is_a_fair_part() -> None:
    # Benchmarks that take the first N photographs must not take them all from one source.
    first = LISTS["evaluation"][:60]
    assert max(Counter(photo.source for photo in first).values()) <= 0.25 * len(first)
    assert {size_class(photo) for photo in first} == set(CLASSES)


def test_what_is_trained_on_may_be_trained_on() -> None:
    chosen = LISTS["training"]
    assert len(chosen) >= 400
    assert min(photo.megapixels for photo in chosen) >= 0.4
    assert not [p for p in chosen if "none stated" in p.licence or "-NC" in p.licence]


def test_negatives_are_of_every_sort() -> None:
    chosen = LISTS["negatives"]
    assert len(chosen) >= 300
    assert min(photo.megapixels for photo in chosen) >= 0.1
    assert min(Counter(photo.kind for photo in chosen)[sort] for sort in SORTS) >= 20


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


def mirror(folder: Path, data: bytes) -> str:
    """A git directory with one picture; its commit."""
    work = folder / "work"
    work.mkdir()
    (work / "a.png").write_bytes(data)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(work)]
    for command in (["init", "-q"], ["add", "a.png"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (work / ".git").rename(folder / "someone+photos")
    done = subprocess.run([*git[:1], "--git-dir", str(folder / "someone+photos"), "rev-parse", "HEAD"],
                          check=True, capture_output=True, text=True)  # fmt: skip
    return done.stdout.strip()


def test_a_mirror_is_read_and_only_the_right_bytes_are_written(tmp_path: Path) -> None:
    right, wrong = picture("red"), picture("blue")
    commit = mirror(tmp_path, right)
    common = {"repository": "someone/photos", "commit": commit, "width": 8, "height": 6, "licence": "CC0-1.0"}
    good = photos.entry(
        {**common, "path": "a.png", "sha256": hashlib.sha256(right).hexdigest(), "source": "good"}
    )
    other = photos.entry(
        {**common, "path": "a.png", "sha256": hashlib.sha256(wrong).hexdigest(), "source": "bad"}
    )
    absent = photos.entry(
        {**common, "path": "b.png", "sha256": hashlib.sha256(right).hexdigest(), "source": "no"}
    )
    into = tmp_path / "into"
    places = photos.Places(tmp_path, None, tmp_path / "clones")
    missing = photos.materialise([good, other, absent], into, places)
    assert set(missing) == {other, absent}
    assert [path.name for path in into.iterdir()] == [good.name]
    assert (into / good.name).read_bytes() == right
    (into / good.name).write_bytes(wrong)  # a file that went bad is brought again
    assert not photos.materialise([good], into, places)
    assert (into / good.name).read_bytes() == right


def test_a_repository_that_is_no_mirror_is_cloned_without_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = picture("green")
    commit = mirror(tmp_path, right)
    server = tmp_path / "server" / "someone" / "photos.git"
    server.parent.mkdir(parents=True)
    (tmp_path / "someone+photos").rename(server)
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        subprocess.run(["git", "--git-dir", str(server), "config", key, "true"], check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/server/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    photo = photos.Photo(
        "someone/photos", commit, "a.png", hashlib.sha256(right).hexdigest(), 8, 6, "CC0-1.0", "here"
    )
    places = photos.Places(None, None, tmp_path / "clones")
    git = ["git", "--git-dir", str(places.repository("someone/photos")[0])]
    absent = subprocess.run(
        [*git, "cat-file", "-e", f"{commit}:a.png"],
        env=os.environ | {"GIT_ALLOW_PROTOCOL": "none"},
        capture_output=True,
    )
    assert absent.returncode, "the clone already carries the file"
    as_mirror = photos.Places(tmp_path / "clones", None, tmp_path / "none")
    assert set(photos.materialise([photo], tmp_path / "into", as_mirror)) == {photo}, "a mirror fetched"
    assert not photos.materialise([photo], tmp_path / "into", places)
    assert (tmp_path / "into" / photo.name).read_bytes() == right


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../../etc/passwd.png"},
        {"path": "/etc/passwd.png"},
        {"path": "run.sh"},
        {"source": "../x"},
        {"repository": "https://example.org/x"},
        {"repository": "--upload-pack=x/y"},
        {"commit": "HEAD"},
        {"sha256": "0"},
        {"width": 0},
        {"surprise": 1},
    ],
)
def test_a_hostile_entry_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    sound = {
        "repository": "someone/photos",
        "commit": "0" * 40,
        "path": "a.png",
        "sha256": "0" * 64,
        "width": 8,
        "height": 6,
        "licence": "CC0-1.0",
        "source": "here",
    }
    assert photos.entry(sound)
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"photographs": [sound | change]}), "utf-8")
    with pytest.raises(ValueError, match=r"list of photographs|surprise"):
        photos.read_list(file)


def test_what_the_corpus_gives_is_what_the_list_says(tmp_path: Path) -> None:
    folder = os.environ.get("ASSAY_CORPUS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ASSAY_CORPUS names no corpus")
    chosen = [photo for photo in LISTS["evaluation"] if not photo.repository]
    assert chosen
    places = photos.Places(None, Path(folder), tmp_path / "clones")
    assert not photos.materialise(chosen, tmp_path / "into", places)
    for photo in chosen:
        with Image.open(tmp_path / "into" / photo.name) as image:
            assert image.size == (photo.width, photo.height)
