"""All rules that compare layers, family by family."""

from __future__ import annotations

from assay.provenance.contradictions import bindings, history, making, structure, times
from assay.provenance.contradictions.layers import Layers
from assay.provenance.contradictions.rule import Rule
from assay.provenance.evidence import Conflict

RULES: tuple[Rule, ...] = (*bindings.RULES, *making.RULES, *history.RULES, *times.RULES, *structure.RULES)


def contradictions(layers: Layers) -> tuple[tuple[Conflict, ...], tuple[Conflict, ...]]:
    """Return what does not fit between the layers: what decides, and what is only said."""
    found = [(rule.decides, said) for rule in RULES if (said := rule(layers))]
    return tuple(c for decides, c in found if decides), tuple(c for decides, c in found if not decides)
