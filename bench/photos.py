"""Bring a frozen list of photographs into a folder, each checked against its SHA-256.

    python bench/photos.py bench/photos/evaluation.json --into DIR [--mirrors DIR]

A list names pictures, it does not carry them. Each entry states where the file is: a public repository, a commit
and a path, or a path in the shared corpus (environment ``ASSAY_CORPUS``); and what it is: SHA-256 of the file's
bytes, width, height, licence and source group. Files are written unchanged as ``DIR/<source>__<sha12>.<ext>``;
one that is already there and right is kept. An entry with ``tiles`` is a sheet of several pictures: they are cut out
without loss as ``DIR/<source>__<sha12>-<left>-<top>.png`` and the sheet itself is not kept.

``--mirrors`` is a folder of git directories named ``owner+name``, which are read first and never fetch. A repository
that is not among them is cloned without its files, which git then brings one by one: the only use of the network.
Exit status 1 says that something is missing; the missing are named.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

LISTS = Path(__file__).parent / "photos"
LARGEST = 16 << 20
"""Bytes: no file of a list is larger."""
PATIENCE = 900.0
"""Seconds for one git command."""
SHORT = 12
"""Hexadecimal digits of the SHA-256 in a file name."""
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_.-]{1,100}")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
LABELS = frozenset({"", "real", "fake"})
FOLDS = frozenset({"", "train", "held"})
Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels."""


class MissingError(Exception):
    """A picture that could not be brought: the message says why."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One entry of a list.

    ``repository`` (owner/name on GitHub) and ``commit`` are empty where ``path`` lies in the shared corpus. ``width``
    and ``height`` are pixels as stored, before any EXIF orientation. ``source`` is the group that no other list
    shares; ``kind`` says what the picture shows. The lists that detectors learn from state more: ``label`` (real or
    fake), ``generator`` in the words of the repository, ``codec`` as found in the file, ``fold`` (held: no training),
    and ``tiles``, the boxes of the pictures in a sheet, empty where the file is one picture.
    """

    repository: str
    commit: str
    path: str
    sha256: str
    width: int
    height: int
    licence: str
    source: str
    kind: str = ""
    label: str = ""
    generator: str = ""
    codec: str = ""
    fold: str = ""
    tiles: tuple[Box, ...] = ()

    @property
    def megapixels(self) -> float:
        """Width times height, in millions."""
        return self.width * self.height / 1e6

    @property
    def name(self) -> str:
        """The file name it is given."""
        return f"{self.source}__{self.sha256[:SHORT]}{PurePosixPath(self.path).suffix.lower()}"

    def tile(self, box: Box) -> str:
        """The file name that one picture of a sheet is given."""
        left, top, _, _ = box
        return f"{self.source}__{self.sha256[:SHORT]}-{left}-{top}.png"

    def holds(self, box: Box) -> bool:
        """Whether the box lies in the picture."""
        left, top, width, height = box
        return (
            min(left, top) >= 0
            and min(width, height) > 0
            and left + width <= self.width
            and top + height <= self.height
        )


def entry(raw: Mapping[str, Any]) -> Photo:
    """The entry, or ``ValueError`` where a field is not of its form."""
    fields = dict(raw)
    corpus = fields.pop("corpus", None)
    if corpus is not None:
        fields |= {"repository": "", "commit": "", "path": corpus}
    try:
        fields["tiles"] = tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in fields.get("tiles", ()))
        photo = Photo(**fields)
    except TypeError as error:
        raise ValueError(f"{error}: {raw}") from error
    path = PurePosixPath(photo.path)
    sound = (
        (
            corpus is not None
            or (REPOSITORY.fullmatch(photo.repository) and re.fullmatch("[0-9a-f]{40}", photo.commit))
        )
        and re.fullmatch("[0-9a-f]{64}", photo.sha256)
        and re.fullmatch("[a-z0-9-]{1,40}", photo.source)
        and path.suffix.lower() in EXTENSIONS
        and not path.is_absolute()
        and ".." not in path.parts
        and photo.width > 0
        and photo.height > 0
        and photo.label in LABELS
        and photo.fold in FOLDS
        and all(photo.holds(box) for box in photo.tiles)
    )
    if not sound:
        raise ValueError(f"not an entry of a list of photographs: {raw}")
    return photo


def read_list(path: Path) -> tuple[Photo, ...]:
    """The photographs that a list names, in its order; ``ValueError`` where an entry is not well formed."""
    return tuple(entry(raw) for raw in json.loads(path.read_text("utf-8"))["photographs"])


def git(directory: Path, *arguments: str, fetch: bool) -> bytes:
    """What git prints; ``MissingError`` where it fails. Without ``fetch`` it stays off the network."""
    variables = os.environ | {"GIT_TERMINAL_PROMPT": "0"} | ({} if fetch else {"GIT_ALLOW_PROTOCOL": "none"})
    try:
        done = subprocess.run(
            ["git", "--git-dir", str(directory), *arguments],
            capture_output=True,
            env=variables,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"git did not answer: {error}") from error
    if done.returncode:
        raise MissingError(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "git failed")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Places:
    """Where pictures are read: ``mirrors`` and ``corpus`` where there are such folders, and ``clones`` for the rest."""

    mirrors: Path | None
    corpus: Path | None
    clones: Path

    def repository(self, name: str) -> tuple[Path, bool]:
        """The git directory of ``owner/name``, and whether git may fetch what it lacks."""
        folder = name.replace("/", "+")
        if self.mirrors is not None and (self.mirrors / folder / "HEAD").is_file():
            return self.mirrors / folder, False
        target = self.clones / folder
        if not target.exists():
            url = f"https://github.com/{name}.git"
            git(
                target, "clone", "--quiet", "--bare", "--filter=blob:none", "--", url, str(target), fetch=True
            )
        return target, True

    def bytes(self, photo: Photo) -> bytes:
        """The file's bytes, checked; ``MissingError`` where they are not to be had or are others."""
        if photo.repository:
            directory, fetch = self.repository(photo.repository)
            data = git(directory, "cat-file", "blob", f"{photo.commit}:{photo.path}", fetch=fetch)
        elif self.corpus is None:
            raise MissingError("the environment variable ASSAY_CORPUS does not name the shared corpus")
        else:
            file = self.corpus / photo.path
            if not file.is_file() or file.stat().st_size > LARGEST:
                raise MissingError("no such file in the shared corpus")
            data = file.read_bytes()
        if len(data) > LARGEST or hashlib.sha256(data).hexdigest() != photo.sha256:
            raise MissingError("the bytes there are not those of the list")
        return data


def cut(photo: Photo, data: bytes, into: Path) -> None:
    """Write the pictures of a sheet; ``MissingError`` where the sheet is not the size that the list says."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as sheet:
        if sheet.size != (photo.width, photo.height):
            raise MissingError("the sheet is not of the size of the list")
        whole = sheet.convert("RGB")
    for box in photo.tiles:
        left, top, width, height = box
        whole.crop((left, top, left + width, top + height)).save(into / photo.tile(box), "PNG")


def materialise(photos: Iterable[Photo], into: Path, places: Places) -> dict[Photo, str]:
    """Write the photographs into a folder; returns those that are missing, each with the reason."""
    missing: dict[Photo, str] = {}
    into.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        target = into / photo.name
        if photo.tiles and all((into / photo.tile(box)).is_file() for box in photo.tiles):
            continue
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == photo.sha256:
            continue
        try:
            data = places.bytes(photo)
            if photo.tiles:
                cut(photo, data, into)
            else:
                target.write_bytes(data)
        except MissingError as error:
            missing[photo] = str(error)
    return missing


def write_index(photos: Iterable[Photo], into: Path, index: Path) -> None:
    """Write a CSV of the pictures that are there, as ``assay detect train`` and ``evaluate`` read it."""
    with index.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "source", "generator", "kind", "repository", "commit", "licence"])
        for photo in photos:
            about = [photo.label or "real", photo.source, photo.generator, photo.kind]
            about += [photo.repository, photo.commit, photo.licence]
            names = [photo.tile(box) for box in photo.tiles] or [photo.name]
            rows.writerows([(into / name).resolve(), *about] for name in names if (into / name).is_file())


def main() -> int:
    """Bring a list, and say what is missing."""
    parser = argparse.ArgumentParser(description="Bring a frozen list of photographs into a folder.")
    parser.add_argument("list", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--mirrors", type=Path)
    parser.add_argument("--fold", choices=sorted(FOLDS - {""}), help="only the pictures of this fold")
    parser.add_argument(
        "--index", type=Path, metavar="CSV", help="also write which picture is what, for detectors"
    )
    options = parser.parse_args()
    photos = [photo for photo in read_list(options.list) if options.fold in (None, photo.fold)]
    corpus = os.environ.get("ASSAY_CORPUS")
    with tempfile.TemporaryDirectory() as clones:
        places = Places(options.mirrors, Path(corpus) if corpus else None, Path(clones))
        missing = materialise(photos, options.into, places)
    if options.index:
        write_index(photos, options.into, options.index)
    for photo, reason in missing.items():
        print(f"missing: {photo.repository or 'corpus'} {photo.path}: {reason}", file=sys.stderr)
    print(f"{len(photos) - len(missing)} of {len(photos)} photographs in {options.into}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
