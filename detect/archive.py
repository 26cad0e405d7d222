"""A desk's own pictures: which file comes from which source, and what the detectors say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.detect.measure.collection import MOST_CHARS, MOST_FILES, SUFFIXES, Sample, spread, table
from assay.detect.measure.conditions import equalised
from assay.detect.witness import Witness
from assay.provenance.errors import InputError, LimitError, MalformedError
from assay.provenance.media import Picture
from assay.provenance.opinion import Answered
from assay.provenance.subject import Subject
from assay.provenance.text import safe_text

QUALITIES = (90, 75)
"""JPEG qualities of the equalised copies of each picture, whose longer side is at most 1024 pixels."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the detectors said of one copy of a file: the condition it was in, and the logits of those that spoke."""

    sample: Sample
    condition: str
    logits: Mapping[str, float]


def archive(path: Path, *, synthetic: bool, limit: int = 0, column: str = "") -> tuple[Sample, ...]:
    """Return the pictures of a folder, whose sub-folders are the sources, or those that a CSV names.

    ``synthetic`` says what a folder holds; a CSV says it of each picture. ``column`` of the CSV names the source
    instead of ``source``; at most ``limit`` pictures of each are taken, all with 0. Raises InputError where there are
    none, MalformedError for a broken CSV or one without the column, LimitError for too many files.
    """
    found = list(_in_folder(path, synthetic) if path.is_dir() else _in_table(path, column))
    if not found:
        raise InputError("holds no pictures", hint="a folder for each source, pictures in them", path=path)
    return tuple(spread(found, limit))


def _in_folder(folder: Path, synthetic: bool) -> Iterator[Sample]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if len(paths) > MOST_FILES:
        raise LimitError(f"holds more than {MOST_FILES} pictures", path=folder)
    for path in paths:
        first, *more = path.relative_to(folder).parts
        yield Sample(path, synthetic, safe_text(first if more else folder.resolve().name, MOST_CHARS) or ".")


def _in_table(path: Path, column: str) -> Iterator[Sample]:
    for sample in table(path):
        if column and column != "source":
            named = {**sample.attributes, "generator": sample.generator, "kind": sample.kind}.get(column, "")
            if not named:
                raise MalformedError(
                    f"says no {safe_text(column, 40)} of {safe_text(sample.path.name, 80)}",
                    hint="--source-column names a column that every picture has",
                    path=path,
                )
            sample = replace(sample, source=named)
        yield sample


def heard(
    samples: Sequence[Sample],
    witnesses: Sequence[Witness],
    *,
    copies: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[Heard], list[InputError]]:
    """Ask all detectors about every file as it is and, with ``copies``, equalised; call ``advance`` after each.

    Returns what they said and, of files that could not be read, why. Files are decoded under provenance's limits.
    """
    said: list[Heard] = []
    unread: list[InputError] = []
    for sample in samples:
        try:
            with Subject.open(sample.path) as subject:
                picture = subject.picture()
            shown = [picture, *(equalised(picture, quality=q) for q in QUALITIES if copies)]
            said += [_asked(sample, one, witnesses) for one in shown]
        except InputError as error:
            error.path = error.path or str(sample.path)
            unread.append(error)
        advance()
    return said, unread


def _asked(sample: Sample, picture: Picture, witnesses: Sequence[Witness]) -> Heard:
    opinions = [witness.examine(picture) for witness in witnesses]
    logits = {o.detector: o.logit for o in opinions if o.answered is Answered.OK and o.logit is not None}
    return Heard(sample, str(opinions[0].conditions.get("condition")), logits)
