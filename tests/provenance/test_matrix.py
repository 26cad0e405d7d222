"""Every combination of what the layers can say gets the pinned outcome, and the laws hold on all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assay.provenance.decide import decide
from assay.provenance.policy import NEWSROOM

from . import matrix

PINNED = Path(__file__).with_name("matrix.tsv")
ALL = tuple(matrix.combinations())


def test_the_matrix_is_as_large_as_it_claims_and_every_outcome_is_the_pinned_one():
    assert len(ALL) >= 64
    assert len({named for named, _ in ALL}) == len(ALL)
    assert matrix.table().splitlines() == PINNED.read_text("utf-8").splitlines()


def test_a_detector_changes_nothing_but_where_the_inconclusive_lean():
    for named, seen in ALL:
        without = matrix.judge(*seen, matrix.of_detector())
        for leaning in ("ai", "captured"):
            with_it = matrix.judge(*seen, matrix.of_detector(leaning))
            assert (with_it.verdict, with_it.conflicts, with_it.notices) == (
                without.verdict,
                without.conflicts,
                without.notices,
            ), named
            assert with_it.without["detector:image"] == without.verdict
            if without.verdict != "inconclusive":
                assert with_it.leaning == without.leaning, named
        assert matrix.judge(*seen).verdict == without.verdict  # nor does one that was never asked


def test_only_what_decides_decides():
    for named, seen in ALL:
        report = matrix.judge(*seen)
        assert (report.verdict == "conflict") == bool(report.conflicts), named
        assert all(c.innocent for c in report.conflicts if c.rule != "hash-mismatch")
        assert all(n.innocent for n in report.notices)
        assert not {c.rule for c in report.conflicts} & {n.rule for n in report.notices}, named
        quiet = tuple(replace(e, notices=()) for e in report.evidence)
        assert decide(report.asset, quiet, NEWSROOM, now=matrix.NOW).verdict == report.verdict


def test_a_layer_that_says_nothing_accuses_nobody():
    """With one layer alone there is nothing to contradict; only the manifest's own hash can."""
    for named, seen in ALL:
        if sum(name != "none" for name in named) == 1 and named[0] != "changed" and "whole" not in named[3]:
            assert matrix.judge(*seen).verdict != "conflict", named


def test_a_signature_hides_no_contradiction():
    """Whatever conflicts without the manifest's word still conflicts beside an intact one that says nothing of it."""
    rows = {named: matrix.judge(*seen) for named, seen in ALL}
    for (manifest, *rest), report in rows.items():
        alone = rows["none", *rest]
        lost = {c.rule for c in alone.conflicts} - {c.rule for c in report.conflicts}
        assert not lost or manifest in ("AI", "camera, then AI fill"), (manifest, rest, lost)
        assert lost <= {"mark-against-entry"}  # a manifest that itself tells of AI explains the mark


@pytest.mark.parametrize(
    ("named", "verdict", "rules"),
    [  # the four states of arXiv 2603.02378: manifest says human or AI, watermark there or not
        (("camera", "none", "none", "none"), "source-confirmed", set()),
        (("camera", "none", "generator", "none"), "conflict", {"integrity-clash"}),
        (("AI", "none", "none", "none"), "marked-ai", set()),
        (("AI", "none", "generator", "none"), "marked-ai", set()),
        # a stranger who logs somebody's picture cannot turn it into a conflict
        (("camera", "none", "none", "camera, logged by a stranger"), "source-confirmed", set()),
        (
            ("camera, stamped before the entry", "none", "none", "camera, same picture"),
            "source-confirmed",
            set(),
        ),
        # a photograph that was honestly filled by AI is no clash with the filler's mark
        (("camera, then AI fill", "camera", "generator", "none"), "marked-ai", set()),
        # a mark added to a photograph that the ledger knows does not make it AI
        (("none", "none", "generator", "camera, same picture"), "conflict", {"mark-against-entry"}),
        (("none", "none", "generator", "camera, with changes"), "marked-ai", set()),
        (("edited from the entry", "camera", "none", "camera, with changes"), "source-confirmed", set()),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "",
)
def test_rows_that_were_thought_through(named, verdict, rules):
    report = matrix.judge(*dict(ALL)[named])
    assert (report.verdict, {c.rule for c in report.conflicts}) == (verdict, rules)


def test_without_a_witness_its_contradictions_fall_too():
    seen = dict(ALL)["camera", "none", "generator", "none"]
    assert matrix.judge(*seen).without == {
        **dict.fromkeys(("metadata", "mark", "receipt", "anchor"), "conflict"),
        "manifest": "marked-ai",
        "known-marks": "source-confirmed",
        "agreement": "marked-ai",
    }
