"""A rule: a pure function over what each layer says, with the words for what it may mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assay.provenance.contradictions.layers import Layers
from assay.provenance.evidence import Conflict

Says = tuple[str, str] | None
"""A sentence for each of the two layers, safe to show; None where they fit, or where the rule must stay silent."""
Test = Callable[[Layers], Says]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of docs/contradictions.md.

    ``id`` never changes its meaning. ``between`` are the parties: check names, or ``file``, ``ingredient``,
    ``certificate``, ``time``, ``fingerprint``. ``decides``: the verdict becomes ``conflict``; else it is only said.
    ``innocent`` is as in Conflict.
    """

    id: str
    between: tuple[str, str]
    decides: bool
    innocent: str
    test: Test

    def __call__(self, layers: Layers) -> Conflict | None:
        """Return what does not fit, or None."""
        says = self.test(layers)
        return Conflict(self.id, self.between, says, self.innocent) if says else None


def conflict(id: str, between: tuple[str, str], innocent: str) -> Callable[[Test], Rule]:
    """Make a rule that decides of a function."""
    return lambda test: Rule(id, between, True, innocent, test)


def notice(id: str, between: tuple[str, str], innocent: str) -> Callable[[Test], Rule]:
    """Make a rule that is only said of a function."""
    return lambda test: Rule(id, between, False, innocent, test)
