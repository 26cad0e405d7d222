"""The rubric's signals, against the rubric itself where the corpus has it."""

from __future__ import annotations

import re

import pytest

from assay.provenance.manifest import Action, Ingredient, Manifest, ManifestState
from assay.provenance.signals import signals


def said(*actions, ingredients=()):
    return signals(Manifest(ManifestState.TRUSTED, actions=actions, ingredients=ingredients))


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([], []),
        ([Action("c2pa.created", "digitalCapture")], ["inception:signal_capturedMedia"]),
        ([Action("c2pa.opened", "trainedAlgorithmicMedia")], ["inception:signal_fullyGenAIMedia"]),
        ([Action("c2pa.created", "negativeFilm")], []),
        ([Action("c2pa.watermarked.bound")], ["transformation:signal_nonEditorial"]),
        ([Action("c2pa.converted", "trainedAlgorithmicMedia")], ["transformation:signal_nonEditorial"]),
        ([Action("c2pa.edited", "compositeSynthetic")], ["transformation:signal_perceptibleGenAI"]),
        ([Action("c2pa.edited")], []),
        (
            [Action("c2pa.edited", "composite")],
            ["transformation:signal_perceptibleNonGenAI", "transformation:signal_perceptiblePossiblyGenAI"],
        ),
        ([Action("metadata", "digitalCapture")], []),
    ],
)
def test_signals_of_actions(actions, expected):
    assert list(said(*actions)) == expected


def test_an_ingredient_without_credentials_is_of_unknown_provenance():
    bare = Ingredient("a", "parentOf", ManifestState.ABSENT, ())
    known = Ingredient("b", "parentOf", ManifestState.TRUSTED, (), label="urn:x")
    assert said(ingredients=(known,)) == ()
    assert said(ingredients=(known, bare)) == ("inception:signal_mediaUnknownProvenance",)


def test_names_source_types_and_actions_are_those_of_the_official_rubric(corpus):
    text = (corpus / "c2pa/trust-official-c2pa/asset-rubrics/asset-rubric-signals-local.yml").read_text()
    pairs = dict(
        pair[::-1]
        for rule in text.split("- id: ")[1:]
        for pair in [
            (rule.split("\n")[0], kind) for kind in re.findall(r'_createdWithDst\(@, "[^"]*/(\w+)"', rule)
        ]
    )
    assert len(pairs) == 9
    for kind, name in pairs.items():
        assert said(Action("c2pa.created", kind)) == (name,)
    head = text.split("expressions:")[0]
    plain = re.findall(r"- (c2pa\.[\w.]+)", head.split("$non_editorial_actions:")[1].split("$genai")[0])
    assert len(plain) == 11
    for action in plain:
        assert said(Action(action)) == ("transformation:signal_nonEditorial",)
    genai = re.findall(r"digitalsourcetype/(\w+)", head.split("$genai_dst_types:")[1].split("$possibly")[0])
    for kind in genai:
        assert said(Action("c2pa.edited", kind)) == ("transformation:signal_perceptibleGenAI",)
