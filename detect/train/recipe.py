"""Recipes: what is trained, from what, how; a TOML file, so that a training can be done again."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from assay.detect.train.cuttings import Cut
from assay.detect.train.judge import Course
from assay.detect.train.lesson import Draw
from assay.detect.train.loop import Drill
from assay.detect.train.vectors import Plan
from assay.provenance.errors import ConfigurationError, InputError

FOLDS = 5
"""Folds by source, of which each leaves its sources out."""

MOST = 60
"""Pictures of one source that are learned from: more of the same kind teach little."""

Table = TypeVar("Table", Plan, Course, Cut, Draw, Drill)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training: the detector's name, its architecture, most pictures of a source, and tables of the rest.

    ``fails`` are sentences for the card: where it is known to fail. By statistics: [vectors] and [course]. A network:
    its [settings], how pictures are [cut], the [drill], and how crops are drawn, [draw].
    """

    name: str
    architecture: str
    folds: int = FOLDS
    most: int = MOST
    seed: int = 0
    fails: tuple[str, ...] = ()
    settings: dict[str, float | str] = field(default_factory=dict)
    vectors: Plan = field(default_factory=Plan)
    course: Course = field(default_factory=Course)
    cut: Cut = field(default_factory=Cut)
    drill: Drill = field(default_factory=Drill)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises InputError where there is none, ConfigurationError where something in it is not known."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe: {error.strerror}", path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"the recipe is not TOML: {error}", path=path) from error
    try:
        settings = data.pop("settings", {})
        tables = {
            "vectors": _table(Plan, data.pop("vectors", {})),
            "course": _table(Course, data.pop("course", {})),
            "cut": _table(Cut, data.pop("cut", {})),
        }
        fails = data.pop("fails", [])
        if not isinstance(fails, list) or not all(isinstance(sentence, str) for sentence in fails):
            raise TypeError("fails is no list of sentences")
        draw = _table(Draw, data.pop("draw", {}))
        tables["drill"] = replace(_table(Drill, data.pop("drill", {})), draw=draw)
        if not isinstance(settings, dict) or not all(
            isinstance(v, int | float | str) for v in settings.values()
        ):
            raise TypeError("settings is no table of numbers and words")
        recipe: Recipe = _known(Recipe, {**data, **tables, "settings": settings, "fails": tuple(fails)})
        return recipe
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the recipe cannot be followed: {error}", path=path) from error


def _table(kind: type[Table], data: Any) -> Table:
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__.lower()} is no table")
    table: Table = _known(kind, data)
    return table


def _known(kind: Any, data: dict[str, Any]) -> Any:
    """Make a dataclass of plain values; raises TypeError on an unknown name, ValueError on another type."""
    types = {f.name: str(f.type) for f in fields(kind)}
    for name, value in data.items():
        if name not in types or not _KINDS.get(types[name], _anything)(value):
            raise ValueError(f"{name} = {value!r}")
    return kind(**data)


def _anything(value: object) -> bool:
    return True


_KINDS: dict[str, Callable[[object], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
}
