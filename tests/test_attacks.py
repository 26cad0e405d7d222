"""Every attack in the table gets the verdict that the table says."""

from __future__ import annotations

import datetime as dt
import json
from functools import reduce

import pytest

from assay.provenance.decide import decide
from assay.provenance.errors import AssayError
from assay.provenance.policy import NEWSROOM
from assay.provenance.report import Verdict

from . import attacks_time, attacks_trust  # noqa: F401  they enter their own
from .attacks import ATTACKS
from .provenance import matrix


def problems(attack, desk):
    """Return what is wrong about the report on an attack, nothing where all is as the table says."""
    path = attack.make(desk)
    try:
        report = desk.verify(path)
    except AssayError as error:
        return [] if type(error).__name__ == attack.verdict else [repr(error)]
    document = json.loads(report.dumps())
    seen = [(e["check"], e["status"], e["summary"]) for e in document["evidence"]]
    rules = {c["rule"] for c in document["conflicts"]}
    found = {name: reduce(lambda part, key: part[key], name.split("."), document) for name in attack.facts}
    # An untrusted name is never an identity.
    unknown = document["axes"]["origin"]["status"] == "untrusted" and document["verdict"] == "inconclusive"
    named = document["manifest"]["signer"]["organization"]
    wrong = {
        (document["verdict"], document["headline"], *document["manifest"]["codes"], *seen): document[
            "verdict"
        ]
        != attack.verdict,
        ("rules", *rules): (attack.rule not in rules) if attack.rule else bool(rules),
        ("facts", str(found)): found != dict(attack.facts),
        ("headline", document["headline"]): attack.says not in document["headline"]
        or bool(attack.never and attack.never in document["headline"])
        or (unknown and bool(named) and "calls itself" not in document["headline"]),
        ("could not look", *seen): any(
            e["status"] == "error" for e in document["evidence"] if e["check"] in ("receipt", "agreement")
        ),
        ("a detector changed it",): not detectors_change_nothing(report),
    }
    return [what for what, is_so in wrong.items() if is_so]


def detectors_change_nothing(report):
    """Whether a detector that is added, whatever it says, changes the leaning of the inconclusive and nothing else."""
    alone = tuple(e for e in report.evidence if not e.check.startswith("detector:"))
    now = dt.datetime.fromisoformat(report.time)
    without = decide(report.asset, alone, NEWSROOM, now=now)
    same = without.verdict == report.verdict
    for leaning in ("", "ai", "captured"):
        after = decide(report.asset, (*alone, matrix.of_detector(leaning)), NEWSROOM, now=now)
        same &= (after.verdict, after.conflicts) == (without.verdict, without.conflicts)
        same &= (after.integrity, after.origin) == (without.integrity, without.origin)
        same &= after.leaning == without.leaning or after.verdict == Verdict.INCONCLUSIVE
        same &= after.without.get("detector:image", str(without.verdict)) == without.verdict
    return bool(same)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_attack(attack, desk):
    assert problems(attack, desk) == []


def test_the_table_is_as_large_as_it_claims():
    assert len(ATTACKS) >= 135
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)


def test_no_file_makes_a_desk_call_home(desk, studio):
    from .attacks import remote_manifest_only

    path = remote_manifest_only(desk)
    report = desk.verify(path)
    assert studio.elsewhere.url in report.manifest.remote_url
    assert any(studio.elsewhere.url in e.summary for e in report.evidence if e.check == "manifest")
    assert studio.elsewhere.requests == []


def test_seconds_of_a_splice_are_gaps_of_the_mark_too(desk):
    report = desk.verify(attacks_time.recording_with_a_foreign_passage(desk))
    (mark,) = (e for e in report.evidence if e.check == "mark")
    assert "missing in 4.0–8.0" in mark.summary
    ((start, stop),) = report.recovered.comparison.changes
    assert 4 <= start < stop <= 8.3


def test_a_films_report_says_that_its_sound_was_not_compared(desk):
    from assay.provenance.unchecked import not_checked

    report = desk.verify(attacks_time.film_with_another_soundtrack(desk))
    assert any("another soundtrack" in sentence for sentence in not_checked(report))
