"""Recipes: what is trained, from what, how; a TOML file, so that a training can be done again."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from assay.detect.train.judge import Course
from assay.detect.train.vectors import Plan
from assay.provenance.errors import ConfigurationError, InputError

FOLDS = 5
"""Folds by source, of which each leaves its sources out."""

MOST = 60
"""Pictures of one source that are learned from: more of the same kind teach little."""

Table = TypeVar("Table", Plan, Course)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training: the detector's name, its architecture, most pictures of a source, [vectors] and [course]."""

    name: str
    architecture: str
    folds: int = FOLDS
    most: int = MOST
    seed: int = 0
    vectors: Plan = field(default_factory=Plan)
    course: Course = field(default_factory=Course)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises InputError where there is none, ConfigurationError where something in it is not known."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe: {error.strerror}", path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the recipe is not TOML: {error}", path=path) from error
    try:
        plan, course = _table(Plan, data.pop("vectors", {})), _table(Course, data.pop("course", {}))
        recipe: Recipe = _known(Recipe, {**data, "vectors": plan, "course": course})
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
    types = {f.name: f.type for f in fields(kind)}
    for name, value in data.items():
        wanted = {"int": int, "float": (int, float), "str": str}.get(str(types.get(name)))
        if name not in types or (wanted and (not isinstance(value, wanted) or isinstance(value, bool))):  # type: ignore[arg-type]
            raise ValueError(f"{name} = {value!r}")
    return kind(**data)
