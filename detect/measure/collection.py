"""The files of an evaluation and what is known of them: from a folder's names, or from a CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assay.provenance.errors import InputError, LimitError, MalformedError
from assay.provenance.text import safe_text

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".bmp"})
"""Files that are taken from a folder; one that a CSV names may have any suffix."""
MOST_FILES = 200_000
"""Files of one evaluation."""
MOST_BYTES = 64 << 20
"""Size of a CSV."""
MOST_CHARS = 200
"""Length of a source's, a generator's or an attribute's name."""
LABELS = {
    "real": False, "authentic": False, "0": False,
    "fake": True, "synthetic": True, "ai": True, "1": True,
}  # fmt: skip
"""What a CSV's column ``label`` may say, and whether it means synthetic."""
REQUIRED, KNOWN = ("path", "label", "source"), ("path", "label", "source", "generator", "kind")
"""Columns that a CSV must have, and columns with a meaning of their own; all others are attributes."""

_WORD = re.compile(r"(?:[01]_)?(real|fake)(?![a-z])[ _.-]*(.*)", re.IGNORECASE)
_NAME = re.compile(r"(?:[01]_)?(real|fake)(?![a-z])[ _.-]*(.*?)__", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of known origin.

    ``source`` is the collection, camera or gallery it comes from: what is drawn as one by the bootstrap.
    ``generator`` and ``kind`` (photo-like, art …) may be empty. ``attributes`` are whatever else was recorded,
    such as the group of people shown or the country.
    """

    path: Path
    synthetic: bool
    source: str
    generator: str = ""
    kind: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def collect(path: Path, limit: int = 0) -> tuple[Sample, ...]:
    """Return the files that a folder holds or a CSV names; at most ``limit`` of each source, evenly spread.

    In a folder the first folder or file name below it that begins with ``real`` or ``fake`` (or ``0_real``,
    ``1_fake``) labels what it holds. What follows in that name is the source (``real_kodak/12.png``), else the
    next folder (``fake/flux/12.png``), or in a file's name all before a double underscore
    (``fake_flux__12.png``). A fake's source is its generator too. Raises InputError where nothing is labelled,
    MalformedError for a broken CSV, LimitError for more than MOST_FILES files.
    """
    if path.is_dir():
        found = list(_in_folder(path))
        if not found:
            raise InputError(
                "holds no picture below a folder named real or fake",
                hint="sort them into real/ and fake/, or name a CSV with the columns path,label,source",
                path=path,
            )
    else:
        found = list(table(path))
    for synthetic, word in ((False, "real"), (True, "generated")):
        if not any(sample.synthetic is synthetic for sample in found):
            raise InputError(
                f"has no {word} pictures", hint="an evaluation needs real and generated ones", path=path
            )
    return tuple(spread(found, limit))


def spread(samples: list[Sample], limit: int) -> Iterator[Sample]:
    """Yield at most ``limit`` samples of each source and label, evenly spread, in the order given; all with 0."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault((sample.synthetic, sample.source), []).append(number)
    kept = set()
    for members in groups.values():
        few = min(limit, len(members)) if limit else len(members)
        kept |= {members[number * len(members) // few] for number in range(few)}
    return (sample for number, sample in enumerate(samples) if number in kept)


# --------------------------------------------------------------------------------------------- folders


def _in_folder(folder: Path) -> Iterator[Sample]:
    count = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        sample = _labelled(path, path.relative_to(folder).parts)
        if sample is None:
            continue
        count += 1
        if count > MOST_FILES:
            raise LimitError(f"holds more than {MOST_FILES} pictures", path=folder)
        yield sample


def _labelled(path: Path, parts: tuple[str, ...]) -> Sample | None:
    """Return the sample that a path's names make it; None where none of them labels it."""
    for place, part in enumerate(parts):
        is_file = place == len(parts) - 1
        found = (_NAME.match(part) or _WORD.match(part)) if is_file else _WORD.match(part)
        if not found:
            continue
        label = found[1].lower()
        named = "" if is_file and not _NAME.match(part) else found[2]
        if not named and place + 1 < len(parts) - 1:
            named = parts[place + 1]
        source = safe_text(named, MOST_CHARS) or label
        return Sample(path, label == "fake", source, source if label == "fake" and named else "")
    return None


# ------------------------------------------------------------------------------------------------- CSV


def table(path: Path) -> Iterator[Sample]:
    """Yield what a CSV names; raises InputError, MalformedError for a broken one, LimitError for too large a one."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise LimitError(f"has {size} bytes, more than the limit of {MOST_BYTES}", path=path)
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError("cannot be read", path=path) from error
    except UnicodeDecodeError as error:
        raise MalformedError("is no text in UTF-8", hint="name a folder or a CSV", path=path) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, restkey="")
    try:
        missing = [name for name in REQUIRED if name not in (rows.fieldnames or ())]
        if missing:
            raise MalformedError(
                f"has no column {' or '.join(missing)}",
                hint="its first line names columns: path,label,source[,generator,kind,…]",
                path=path,
            )
        for count, row in enumerate(rows, 1):
            if count > MOST_FILES:
                raise LimitError(f"names more than {MOST_FILES} files", path=path)
            yield _row(path, rows.line_num, row)
    except csv.Error as error:
        raise MalformedError(f"line {rows.line_num}: {safe_text(error, 200)}", path=path) from error


def _row(table: Path, line: int, row: Mapping[str, str | None]) -> Sample:
    values = {name: safe_text(value or "", MOST_CHARS) for name, value in row.items() if name in KNOWN[1:]}
    if "" in row or None in row.values():
        raise MalformedError(f"line {line} has another number of columns than the first", path=table)
    label = values["label"].strip().lower()
    if label not in LABELS:
        raise MalformedError(
            f"line {line}: the label {values['label'][:40]!r} means neither real nor fake",
            hint=f"labels are {', '.join(LABELS)}",
            path=table,
        )
    if not row["path"] or not values["source"]:
        raise MalformedError(f"line {line} has no path or no source", path=table)
    attributes = {
        safe_text(name, MOST_CHARS): safe_text(value, MOST_CHARS)
        for name, value in row.items()
        if name not in KNOWN and value
    }
    return Sample(
        table.parent / row["path"],
        LABELS[label],
        values["source"],
        values.get("generator", ""),
        values.get("kind", ""),
        attributes,
    )
