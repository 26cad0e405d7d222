"""All rules that compare layers, family by family."""

from __future__ import annotations

import re
from dataclasses import replace

from assay.provenance.contradictions import bindings, history, making, structure, times
from assay.provenance.contradictions.layers import Layers
from assay.provenance.contradictions.rule import Rule
from assay.provenance.evidence import Conflict

RULES: tuple[Rule, ...] = (*bindings.RULES, *making.RULES, *history.RULES, *times.RULES, *structure.RULES)


# The word in a rule's own sentences; what stands in quotation marks is a file's, and stays as it is.
_PICTURE = re.compile(r"\bpicture(?=s?\b)(?![^“”]*”)")


def contradictions(
    layers: Layers, noun: str = "picture"
) -> tuple[tuple[Conflict, ...], tuple[Conflict, ...]]:
    """Return what does not fit between the layers: what decides, and what is only said.

    ``noun`` is what their sentences call the file: a picture, a film, a recording.
    """
    found = [(rule.decides, _about(said, noun)) for rule in RULES if (said := rule(layers))]
    return tuple(c for decides, c in found if decides), tuple(c for decides, c in found if not decides)


def _about(conflict: Conflict, noun: str) -> Conflict:
    # Metadata are cited without quotation marks, so that sentences about them keep their words.
    if "metadata" in conflict.between:
        return conflict
    first, second = (_PICTURE.sub(noun, sentence) for sentence in conflict.says)
    return replace(conflict, says=(first, second), innocent=_PICTURE.sub(noun, conflict.innocent))
