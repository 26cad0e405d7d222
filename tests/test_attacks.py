"""Every attack in the table gets the verdict that the table says."""

from __future__ import annotations

import json
from functools import reduce

import pytest

from assay.provenance.errors import AssayError

from .attacks import ATTACKS


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_attack(attack, desk):
    path = attack.make(desk)
    try:
        report = desk.verify(path)
    except AssayError as error:
        assert type(error).__name__ == attack.verdict
        return
    document = json.loads(report.dumps())
    seen = [(e["check"], e["status"], e["summary"]) for e in document["evidence"]]
    assert document["verdict"] == attack.verdict, (document["headline"], document["manifest"]["codes"], seen)
    rules = {c["rule"] for c in document["conflicts"]}
    assert (attack.rule in rules) if attack.rule else not rules, rules
    found = {name: reduce(lambda part, key: part[key], name.split("."), document) for name in attack.facts}
    assert found == dict(attack.facts)
    assert attack.says in document["headline"]
    assert not attack.never or attack.never not in document["headline"]
    # An untrusted name is never an identity.
    if document["axes"]["origin"]["status"] == "untrusted" and document["verdict"] == "inconclusive":
        assert "calls itself" in document["headline"] or not document["manifest"]["signer"]["organization"]
    assert all(e["status"] != "error" for e in document["evidence"] if e["check"] in ("receipt", "agreement"))


def test_the_table_is_as_large_as_it_claims():
    assert len(ATTACKS) >= 60
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)


def test_no_file_makes_a_desk_call_home(desk, studio):
    from .attacks import remote_manifest_only

    path = remote_manifest_only(desk)
    report = desk.verify(path)
    assert studio.elsewhere.url in report.manifest.remote_url
    assert any(studio.elsewhere.url in e.summary for e in report.evidence if e.check == "manifest")
    assert studio.elsewhere.requests == []
