"""The laws of the decision, held against any evidence at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assay.provenance.asset import Asset, Digest
from assay.provenance.decide import decide
from assay.provenance.evidence import Conflict, Evidence, Fact, Status
from assay.provenance.manifest import Manifest, ManifestState, SignerName, SigningTime, TimeTrust
from assay.provenance.media import Kind
from assay.provenance.policy import NEWSROOM
from assay.provenance.report import Verdict

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
ASSET = Asset(Path("photo.jpg"), Kind.IMAGE, "image/jpeg", 9, Digest.of(b"a picture"))
CHECKS = (*NEWSROOM.checks, "detector:one", "detector:two")
STRENGTH = [
    Verdict.CONFLICT,
    Verdict.MARKED_AI,
    Verdict.SOURCE_CONFIRMED,
    Verdict.SOURCE_RECOVERED,
    Verdict.INCONCLUSIVE,
]

words = st.text(max_size=12)
conflicts = st.builds(
    Conflict, st.sampled_from(["one-rule", "another-rule"]), st.tuples(words, words), st.tuples(words, words)
)
manifests = st.builds(
    Manifest,
    state=st.sampled_from(ManifestState),
    label=words,
    signer=st.builds(SignerName, organization=words, common_name=words),
    time=st.builds(SigningTime, st.none() | words, st.sampled_from(TimeTrust)),
    reasons=st.tuples(words),
    remote_url=words,
)


def evidence(check=None):
    weights = st.none() | st.floats(-9, 9, allow_nan=False)
    return st.builds(
        Evidence,
        check=st.just(check) if check else st.sampled_from(CHECKS),
        version=st.just("1"),
        status=st.sampled_from(Status),
        summary=words,
        llr=weights,
        facts=st.frozensets(st.sampled_from(Fact), max_size=3),
        conflicts=st.lists(conflicts, max_size=2).map(tuple),
        found=st.none() | manifests,
    )


several = st.lists(st.sampled_from(CHECKS), unique=True, max_size=6).flatmap(
    lambda names: st.tuples(*(evidence(n) for n in names))
)


def judge(seen, policy=NEWSROOM):
    return decide(ASSET, seen, policy, now=NOW)


def weighed(report):
    """Return the score with the blocks that weigh: those that do not say why, which may well differ."""
    score = report.score
    return score and replace(score, blocks=tuple(b for b in score.blocks if not b.reason))


def silence(item, status):
    return Evidence(item.check, item.version, status, "nothing", found=item.found)


@given(several)
def test_the_same_inputs_give_the_same_report(seen):
    assert judge(seen).dumps() == judge(seen).dumps()


@given(several.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_the_order_of_the_evidence_does_not_matter(pair):
    seen, shuffled = pair
    assert judge(seen).dumps() == judge(tuple(shuffled)).dumps()


@given(several, st.sampled_from([Status.ABSENT, Status.ERROR]))
def test_absent_and_error_carry_no_weight_whatever_they_claim(seen, status):
    loud = tuple(replace(e, status=status) for e in seen)
    quiet = tuple(silence(e, status) for e in seen)
    for report in (judge(loud), judge(quiet)):
        assert report.verdict is Verdict.INCONCLUSIVE
        assert report.score is None
        assert report.conflicts == ()


@given(several, evidence("detector:three"))
@example(  # the first witness whose facts named the mark gave the headline, even if it had nothing to say
    (Evidence("detector:two", "1", Status.PASS, "0", facts=frozenset({Fact.MARKED_AI})),),
    Evidence("detector:three", "1", Status.PASS, "", facts=frozenset({Fact.MARKED_AI})),
)
def test_a_silent_witness_changes_nothing_that_is_weighed(seen, extra):
    without, with_it = judge(seen), judge((*seen, replace(extra, status=Status.ABSENT, found=None)))
    assert (with_it.verdict, with_it.conflicts, weighed(with_it)) == (
        without.verdict,
        without.conflicts,
        weighed(without),
    )
    assert with_it.headline == without.headline


@given(several, conflicts)
def test_a_conflict_wins_over_everything(seen, conflict):
    witness = Evidence("detector:three", "1", Status.FAIL, "clash", conflicts=(conflict,))
    report = judge((*seen, witness))
    assert report.verdict is Verdict.CONFLICT
    assert conflict in report.conflicts
    assert Verdict(report.without["detector:three"]) is judge(seen).verdict or "detector:three" in {
        c for found in report.conflicts for c in found.between
    }


@given(several)
def test_a_proven_change_wins_over_everything(seen):
    report = judge((*seen, Evidence("detector:three", "1", Status.FAIL, "", facts=frozenset({Fact.ALTERED}))))
    assert report.verdict is Verdict.CONFLICT
    assert report.integrity == "altered"


@given(several, st.floats(0, 9, allow_nan=False))
def test_more_evidence_for_authenticity_never_lowers_the_score(seen, weight):
    before = judge(seen).score
    after = judge((*seen, Evidence("detector:three", "1", Status.PASS, "", llr=weight))).score
    assert after is not None
    assert 0 <= after.value <= 1
    assert before is None or after.value >= before.value


@given(several, st.floats(-9, 0, allow_nan=False))
def test_more_evidence_against_it_never_raises_the_score(seen, weight):
    before = judge(seen).score
    after = judge((*seen, Evidence("detector:three", "1", Status.PASS, "", llr=weight))).score
    assert before is None or after.value <= before.value


@given(several, st.floats(0.5, 4))
def test_no_score_leaves_its_cap(seen, cap):
    score = judge(seen, replace(NEWSROOM, llr_cap=cap)).score
    assert score is None or abs(score.log10_lr) <= cap + 1e-3


@given(several)
def test_weight_alone_never_makes_a_verdict(seen):
    """Detectors weigh, and a weight is a leaning: only facts and conflicts decide."""
    heard = [replace(e, llr=-9.0) for e in seen]
    assert judge(heard).verdict is judge(seen).verdict


@given(several)
def test_the_verdict_follows_from_the_facts_that_were_heard(seen):
    heard = [e for e in seen if e.status in (Status.PASS, Status.FAIL)]
    facts = {f for e in heard for f in e.facts}
    clash = any(e.conflicts for e in heard)
    possible = [
        clash or Fact.ALTERED in facts,
        bool(facts & {Fact.DECLARED_AI, Fact.MARKED_AI}),
        {Fact.TRUSTED, Fact.INTACT} <= facts,
        Fact.RECOVERED in facts,
        True,
    ]
    assert judge(seen).verdict is STRENGTH[possible.index(True)]


@given(several)
def test_a_report_is_one_line_of_ascii(seen):
    line = judge(seen).dumps()
    assert line.isascii()
    assert line.isprintable()


@given(several)
def test_headlines_never_say_what_cannot_be_known(seen):
    said = judge(tuple(replace(e, summary="", found=None, conflicts=()) for e in seen)).headline.lower()
    assert not any(
        word in said.split() for word in ("fake", "real", "tampered", "authentic", "true", "genuine")
    )


@pytest.mark.parametrize("status", ["untrusted", "trusted"])
def test_an_untrusted_name_is_what_it_calls_itself(status):
    manifest = Manifest(
        ManifestState(status), label="urn:c2pa:1", signer=SignerName("Reuters"), trust_list="agencies"
    )
    facts = {Fact.INTACT, Fact.TRUSTED if status == "trusted" else Fact.UNTRUSTED}
    report = judge((Evidence("manifest", "1", Status.PASS, "", facts=frozenset(facts), found=manifest),))
    assert ("calls itself “Reuters”" in report.headline) is (status == "untrusted")
    assert report.origin.status == status


def test_the_policy_s_identity_changes_with_any_value():
    changed = ({}, {"changed_area": 0.03}, {"llr_cap": 2.0}, {"checks": ("manifest",)})
    ids = {replace(NEWSROOM, **values).id for values in changed}
    assert len(ids) == 4
    assert replace(NEWSROOM).id == NEWSROOM.id
