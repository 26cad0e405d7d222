"""Every machine-readable output against its schema, with hostile strings and without."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from lxml import etree

from assay.provenance.coverage import Coverage, Gap, Held
from assay.provenance.errors import InputError
from assay.provenance.evidence import Conflict, Evidence, Status
from assay.provenance.junit import junit
from assay.provenance.manifest import ManifestState
from assay.provenance.sarif import sarif
from tests.reports import EACH, HOSTILE, build, confirmed, conflict, inconclusive, laced, manifest, marked_ai

ROOT = Path(__file__).resolve().parents[2]
LOST = (Path("/desk/lost\udcff\x1b[2J.jpg"), InputError("was \x1b]0;lost", hint="look <here> ]]>"))


def schema(name: str) -> jsonschema.Draft202012Validator:
    document = json.loads((ROOT / f"docs/schemas/{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def written(document: object) -> object:
    return json.loads(json.dumps(document, allow_nan=False))


@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
def test_reports_keep_their_schema(make):
    schema("report").validate(written(make().to_json()))


@pytest.mark.parametrize("s", HOSTILE, ids=lambda s: ascii(s[:24]))
def test_reports_of_hostile_files_keep_their_schema(s):
    document = written(laced(s).to_json())
    # the places for a state's own words are free text in a file, and only there may the schema be left
    for found in (document["manifest"], document["recovered"]["manifest"]):
        found["where"] = "embedded"
    schema("report").validate(document)


def change(path: str, value: object) -> dict:
    document = written(conflict().to_json())
    *way, last = path.split(".")
    place = document
    for name in way:
        place = place[name]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "assay.report/v2"),
        ("verdict", "authentic"),
        ("verdict", "inconclusive"),  # with a conflict in it
        ("score", 1.5),
        ("score_detail", {"log10_lr": 1}),
        ("axes.integrity", "fine"),
        ("asset.digest.value", "AB" * 32),
        ("without", {"mark": "probably real"}),
        ("policy", "newsroom"),
        ("manifest.coverage.gaps", [{"start": -1, "length": 0, "held": "nothing", "name": ""}]),
        ("recovered.changed_regions", [[0, 0, 1]]),
    ],
)
def test_the_schema_of_reports_refuses(path, value):
    with pytest.raises(jsonschema.ValidationError):
        schema("report").validate(change(path, value))


def test_cards_panels_and_what_is_printed_keep_their_schemas():
    models = ROOT / "detect/models"
    for card in models.glob("*/card.json"):
        schema("card").validate(json.loads(card.read_text("utf-8")))
    for panel in (models / "panel.json", models / "film.json", models / "speech/panel.json"):
        schema("panel").validate(json.loads(panel.read_text("utf-8")))


def test_a_leaf_keeps_its_schema(desk):
    document = json.loads(desk.sign_fully(desk.picture()).receipt.entry.to_bytes())
    schema("entry").validate(document)
    with pytest.raises(jsonschema.ValidationError):
        schema("entry").validate({**document, "digest": "md5:00"})


# ------------------------------------------------------------------------------------------------ SARIF


def uncovered():
    gaps = (Gap(2, 100, Held.MANIFEST, "APP11"), Gap(5000, 700, Held.CONTENT, ""))
    found = manifest(ManifestState.TRUSTED, coverage=Coverage("data", 9000, gaps), uncovered=((5000, 700),))
    clash = Conflict("uncovered-content", ("manifest", "file"), ("Bound.", "Not all of it."))
    return build(Evidence("manifest", "1", Status.FAIL, "A hole.", found=found, conflicts=(clash,)))


def answers(*reports):
    return [(r.asset.path, r) for r in reports]


def runs(document: dict) -> dict:
    """Check what SARIF 2.1.0 asks of the members used here, sections by number; return the one run."""
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]  # 3.27.6
        assert result["kind"] == "fail" or result["level"] == "none"  # 3.27.9
        assert result["kind"] in ("pass", "open", "informational", "review", "fail")
        for place in result["locations"]:
            where = place["physicalLocation"]["artifactLocation"]
            assert run["artifacts"][where["index"]]["location"]["uri"] == where["uri"]  # 3.4.5
            assert where["uri"].isascii()
            assert not set(where["uri"]) & set(" <>\"'\\^`{|}")
    return run


@pytest.mark.parametrize("s", ["harmless", *HOSTILE], ids=lambda s: ascii(s[:24]))
def test_sarif_keeps_its_rules_whatever_files_say(s):
    document = written(sarif([*answers(*(m() for m in EACH), laced(s), uncovered()), LOST], "0.1.0"))
    run = runs(document)
    names = [artifact["location"]["uri"] for artifact in run["artifacts"]]
    assert len(names) == len(set(names))
    official = os.environ.get("ASSAY_SARIF_SCHEMA")
    if official:
        jsonschema.Draft4Validator(json.loads(Path(official).read_text("utf-8"))).validate(document)


def test_sarif_calls_nothing_an_error_but_contradictions():
    run = runs(sarif(answers(*(m() for m in EACH)), "0.1.0"))
    errors = {r["ruleId"] for r in run["results"] if r["level"] == "error"}
    assert errors == {"verdict/conflict", "dropped-history"}
    kinds = {r["ruleId"]: r["kind"] for r in run["results"]}
    assert kinds["verdict/inconclusive"] == "open"
    assert kinds["verdict/source-confirmed"] == "pass"
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_sarif_points_at_the_bytes_that_are_not_covered():
    run = runs(sarif(answers(uncovered()), "0.1.0"))
    (found,) = (r for r in run["results"] if r["ruleId"] == "uncovered-content")
    (place,) = found["locations"]
    region = place["physicalLocation"]["region"]
    assert (region["byteOffset"], region["byteLength"]) == (5000, 700)


def test_sarif_names_files_that_could_not_be_examined():
    document = sarif([LOST], "0.1.0")
    (invocation,) = document["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "was \\u{1b}]0;lost; look <here> ]]>"
    assert (
        note["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        == "file:///desk/lost%FF%1B%5B2J.jpg"
    )


# ------------------------------------------------------------------------------------------------ JUnit


@pytest.mark.parametrize("s", ["harmless", *HOSTILE], ids=lambda s: ascii(s[:24]))
def test_junit_is_xml_whatever_files_say(s):
    given = [*answers(*(m() for m in EACH), laced(s)), LOST]
    root = ElementTree.fromstring(junit(given))
    (suite,) = root
    for element in (root, suite):
        assert element.get("tests") == str(len(given)) == str(len(suite))
        assert element.get("errors") == "1"
    assert {e.tag for e in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out",
    }  # fmt: skip
    assert "\x1b" not in "".join(root.itertext())
    official = os.environ.get("ASSAY_JUNIT_XSD")
    if official:
        etree.XMLSchema(etree.parse(official)).assertValid(etree.fromstring(junit(given)))


def test_junit_counts_what_was_skipped_where_the_schema_of_jenkins_has_a_place_for_it():
    root = ElementTree.fromstring(junit(answers(inconclusive(), confirmed())))
    assert set(root.attrib) == {"name", "tests", "failures", "errors"}
    assert root[0].get("skipped") == "1"


def test_junit_fails_conflicts_and_what_the_caller_names():
    given = answers(conflict(), confirmed(), marked_ai(), inconclusive())

    def outcomes(*failing):
        (suite,) = ElementTree.fromstring(junit(given, failing))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        return [next((e.tag for e in case if e.tag != "system-out"), "passed") for case in suite]

    assert outcomes() == ["failure", "passed", "passed", "skipped"]
    assert outcomes("marked-ai", "inconclusive") == ["failure", "passed", "failure", "failure"]
