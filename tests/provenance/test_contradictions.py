"""Each rule fires on its own clash, and stays silent on its innocent double."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from io import StringIO
from itertools import combinations
from pathlib import Path

import pytest
from lxml import html as lxml_html
from rich.console import Console

from assay.cli.show import show_report
from assay.provenance.asset import Digest
from assay.provenance.contradictions.layers import Layers, Structure
from assay.provenance.contradictions.rules import RULES, contradictions
from assay.provenance.files.disclosure import Disclosures
from assay.provenance.manifest import (
    Action,
    Ingredient,
    Manifest,
    ManifestState,
    SignerName,
    SigningTime,
    SoftBinding,
    TimeTrust,
)
from assay.provenance.mark import Reading
from assay.provenance.page import page
from assay.provenance.recovered import Lead

from ..reports import HOSTILE
from .matrix import (
    AI,
    CAPTURE,
    OTHERS,
    OURS,
    PART_AI,
    SCHEME,
    STRANGER,
    WIRE,
    entry,
    judge,
    of_known,
    of_manifest,
    of_mark,
    of_metadata,
    of_receipt,
    signed,
)

DOC = Path(__file__).resolve().parents[2] / "docs" / "contradictions.md"
LAYERS = (
    *("manifest", "metadata", "our mark", "generators' marks", "fingerprint"),
    *("ledger entry", "time", "certificate", "ingredients"),
)
BY_ID = {rule.id: rule for rule in RULES}
GENERATOR = of_known("SDXL").found
MARK = Reading(SCHEME, OURS, 1e-40, aligned=True)
OTHER_MARK = replace(MARK, mark=OTHERS)


def ancestor(source_type=CAPTURE, label="urn:c2pa:first", relationship="parentOf", when=""):
    action = Action("c2pa.created", source_type, when=when)
    return Ingredient("first", relationship, ManifestState.TRUSTED, (), label, "Wire", (action,))


def bound(*values, **fields):
    return signed(CAPTURE, soft_bindings=tuple(SoftBinding(SCHEME, v) for v in values), **fields)


def stamped(time, trust=TimeTrust.TRUSTED, **fields):
    return signed(CAPTURE, time=SigningTime(time, trust), **fields)


def kept(*ancestors):
    return Manifest(
        ManifestState.TRUSTED, label="urn:c2pa:first", signer=WIRE, signer_trusted=True, ingredients=ancestors
    )


CAMERA = Disclosures(source_type=CAPTURE, camera="Maker One", captured="2026:02:01 10:00:00")
SAYS_AI = Disclosures(source_type=AI)
UNSEALED = ("assertion.dataHash.additionalExclusionsPresent",)
OWN = entry(
    by="manifest", label="urn:c2pa:this", signer=signed(CAPTURE).signer, time="2025-10-01T00:00:00+00:00"
)
FILLED = signed(CAPTURE, Action("c2pa.edited", PART_AI))
LEAD = Lead("watermark", 3, "urn:c2pa:other", matches=False, compared=True)
ON_TWO = entry(by="fingerprint", leads=(LEAD,))

# rule: what must fire, and innocent doubles that must not, each with its reason.
CASES: dict[str, tuple[Layers, dict[str, Layers]]] = {
    "soft-binding-collision": (
        Layers(manifest=bound(OTHERS.id), mark=MARK),
        {
            "the mark that is named": Layers(manifest=bound(OURS.id.upper()), mark=MARK),
            "one of two that are named": Layers(manifest=bound(OTHERS.id, OURS.id), mark=MARK),
            "no mark is read": Layers(manifest=bound(OTHERS.id)),
            "an ancestor's mark": Layers(manifest=bound(OTHERS.id, ingredients=(ancestor(),)), mark=MARK),
            "changed credentials say nothing": Layers(
                manifest=replace(bound(OTHERS.id), state=ManifestState.INVALID), mark=MARK
            ),
        },
    ),
    "soft-binding-of-an-ancestor": (
        Layers(manifest=bound(OTHERS.id, ingredients=(ancestor(label="urn:c2pa:unrelated"),)), mark=MARK),
        {
            "it leads to that ancestor": Layers(
                manifest=bound(OTHERS.id, ingredients=(ancestor(),)), mark=MARK, recovered=entry()
            )
        },
    ),
    "copied-mark": (
        Layers(mark=MARK, recovered=entry(matches=False), whole=True),
        {
            "a crop may hide the likeness": Layers(mark=MARK, recovered=entry(matches=False)),
            "the same picture": Layers(mark=MARK, recovered=entry(), whole=True),
        },
    ),
    "mark-fingerprint-collision": (
        Layers(mark=MARK, recovered=ON_TWO, whole=True),
        {
            "an ancestor's mark": Layers(
                mark=MARK,
                recovered=replace(ON_TWO, manifest=kept(ancestor(label="urn:c2pa:other"))),
                whole=True,
            ),
            "a frame of the same burst": Layers(
                mark=MARK, recovered=entry(by="fingerprint", leads=(LEAD,), similarity=0.9), whole=True
            ),
            "a crop": Layers(mark=MARK, recovered=ON_TWO),
            "the mark's picture is this one too": Layers(
                mark=MARK, recovered=replace(ON_TWO, leads=(replace(LEAD, matches=True),)), whole=True
            ),
            "nothing was kept to compare with": Layers(
                mark=MARK, recovered=replace(ON_TWO, leads=(replace(LEAD, compared=False),)), whole=True
            ),
        },
    ),
    "mark-and-fingerprint-differ": (
        Layers(mark=MARK, recovered=replace(ON_TWO, manifest=None), whole=True),
        {
            "told by the file's own history": Layers(
                manifest=signed(CAPTURE, ingredients=(ancestor(label="urn:c2pa:other"),)),
                mark=MARK,
                recovered=replace(ON_TWO, manifest=None),
                whole=True,
            )
        },
    ),
    "other-mark-than-logged": (
        Layers(mark=OTHER_MARK, recovered=entry(by="digest")),
        {
            "the same": Layers(mark=MARK, recovered=entry(by="digest")),
            "an edited copy": Layers(mark=OTHER_MARK, recovered=entry(changed=True)),
        },
    ),
    "manifest-on-another-picture": (
        Layers(manifest=signed(CAPTURE), mark=MARK, recovered=replace(OWN, matches=False), whole=True),
        {
            "the mark was cut": Layers(
                manifest=signed(CAPTURE), mark=MARK, recovered=replace(OWN, matches=False)
            )
        },
    ),
    "other-credentials-than-logged": (
        Layers(manifest=signed(CAPTURE, where="sidecar"), recovered=entry(by="digest")),
        {
            "those that were logged": Layers(
                manifest=signed(CAPTURE, where="sidecar"), recovered=replace(OWN, by="digest")
            )
        },
    ),
    "integrity-clash": (
        Layers(manifest=signed(CAPTURE), known=GENERATOR),
        {
            "an AI fill is declared": Layers(manifest=FILLED, known=GENERATOR),
            "an ancestor says AI": Layers(
                manifest=signed(CAPTURE, ingredients=(ancestor(AI),)), known=GENERATOR
            ),
            "made by AI": Layers(manifest=signed(AI), known=GENERATOR),
            "broken credentials": Layers(
                manifest=signed(CAPTURE, state=ManifestState.MALFORMED), known=GENERATOR
            ),
        },
    ),
    "human-creation-clash": (
        Layers(manifest=signed("digitalCreation"), known=GENERATOR),
        {
            "made from others": Layers(
                manifest=signed("digitalCreation", ingredients=(ancestor(),)), known=GENERATOR
            )
        },
    ),
    "disclosure-clash": (
        Layers(manifest=signed(CAPTURE), disclosures=SAYS_AI),
        {
            "anyone can have written it": Layers(
                manifest=signed(CAPTURE, codes=UNSEALED), disclosures=SAYS_AI
            ),
            "an AI fill is declared": Layers(manifest=FILLED, disclosures=SAYS_AI),
            "AI only possibly": Layers(
                manifest=signed(CAPTURE), disclosures=Disclosures(aigc={"Label": "3"})
            ),
        },
    ),
    "unsealed-disclosure": (
        Layers(manifest=signed(CAPTURE, codes=UNSEALED), disclosures=Disclosures(aigc={"Label": "1"})),
        {"a camera's label": Layers(manifest=signed(CAPTURE, codes=UNSEALED), disclosures=CAMERA)},
    ),
    "generator-settings-in-a-capture": (
        Layers(manifest=signed(CAPTURE), disclosures=Disclosures(generators=("Adobe Firefly",))),
        {
            "an AI fill is declared": Layers(
                manifest=FILLED, disclosures=Disclosures(generators=("Adobe Firefly",))
            )
        },
    ),
    "capture-label-on-ai": (
        Layers(manifest=signed(AI), disclosures=CAMERA),
        {
            "AI in a part only": Layers(manifest=signed(PART_AI), disclosures=CAMERA),
            "the photograph is an ancestor": Layers(
                manifest=signed(AI, ingredients=(ancestor(),)), disclosures=CAMERA
            ),
        },
    ),
    "camera-metadata-with-a-mark": (
        Layers(known=GENERATOR, disclosures=replace(CAMERA, source_type="")),
        {"a program's name is no camera": Layers(known=GENERATOR, disclosures=Disclosures(software="Gimp"))},
    ),
    "source-type-clash": (
        Layers(manifest=signed(CAPTURE), recovered=entry(AI)),
        {
            "the history is told": Layers(
                manifest=signed(AI, ingredients=(ancestor(),)), recovered=entry(CAPTURE)
            ),
            "an AI edit of the photograph": Layers(manifest=signed(PART_AI), recovered=entry(CAPTURE)),
            "a frame of the same burst": Layers(
                manifest=signed(CAPTURE), recovered=entry(AI, by="fingerprint", similarity=0.9)
            ),
        },
    ),
    "label-against-entry": (
        Layers(disclosures=SAYS_AI, recovered=entry(CAPTURE)),
        {
            "this copy was changed, perhaps by AI": Layers(
                disclosures=SAYS_AI, recovered=entry(CAPTURE, changed=True)
            )
        },
    ),
    "mark-against-entry": (
        Layers(known=GENERATOR, recovered=entry(CAPTURE)),
        {
            "this copy was changed, perhaps by AI": Layers(
                known=GENERATOR, recovered=entry(CAPTURE, changed=True)
            ),
            "an AI fill is declared": Layers(manifest=FILLED, known=GENERATOR, recovered=entry(CAPTURE)),
            "the ledger says nothing of a camera": Layers(known=GENERATOR, recovered=entry("")),
        },
    ),
    "ancestor-clash": (
        Layers(manifest=signed(CAPTURE, ingredients=(ancestor(AI),))),
        {
            "an AI picture was in front of the camera": Layers(
                manifest=signed(CAPTURE, ingredients=(ancestor(AI, relationship="inputTo"),))
            ),
            "a part of the ancestor": Layers(manifest=signed(CAPTURE, ingredients=(ancestor(PART_AI),))),
            "the label was carried over": Layers(
                manifest=replace(
                    signed(CAPTURE, ingredients=(ancestor(AI),)),
                    actions=(Action("c2pa.opened"), Action("metadata", CAPTURE)),
                )
            ),
        },
    ),
    "dropped-history": (
        Layers(manifest=signed(CAPTURE), recovered=entry()),
        {
            "the history is told": Layers(
                manifest=signed(CAPTURE, ingredients=(ancestor(),)), recovered=entry()
            ),
            "logged by a stranger": Layers(
                manifest=signed(CAPTURE), recovered=entry(signer=STRANGER, trusted=False)
            ),
            "proven older than the entry": Layers(
                manifest=stamped("2026-02-01T00:00:00Z"), recovered=entry()
            ),
            "its own entry": Layers(manifest=signed(CAPTURE), recovered=OWN),
        },
    ),
    "logged-by-another": (
        Layers(manifest=signed(CAPTURE), recovered=entry(signer=STRANGER, trusted=False)),
        {"its own entry": Layers(manifest=signed(CAPTURE), recovered=replace(OWN, manifest=None))},
    ),
    "omitted-ai-ancestor": (
        Layers(manifest=signed(CAPTURE), recovered=entry(kept=kept(ancestor(AI, "urn:c2pa:source")))),
        {
            "AI is declared": Layers(
                manifest=FILLED, recovered=entry(kept=kept(ancestor(AI, "urn:c2pa:source")))
            ),
            "a reference picture": Layers(
                manifest=signed(CAPTURE),
                recovered=entry(kept=kept(ancestor(AI, "urn:x", relationship="inputTo"))),
            ),
        },
    ),
    "omitted-ancestor": (
        Layers(
            manifest=signed(CAPTURE, signer=WIRE),
            recovered=entry(kept=kept(ancestor(CAPTURE, "urn:c2pa:source"))),
        ),
        {
            "the history is told": Layers(
                manifest=signed(CAPTURE, ingredients=(ancestor(),)),
                recovered=entry(kept=kept(ancestor(CAPTURE, "urn:c2pa:source"))),
            )
        },
    ),
    "time-before-certificate": (
        Layers(manifest=stamped("2025-06-01T00:00:00Z")),
        {
            "within a day": Layers(manifest=stamped("2025-12-31T12:00:00Z")),
            "nobody vouches for the time": Layers(
                manifest=stamped("2025-06-01T00:00:00Z", TimeTrust.UNTRUSTED)
            ),
            "an old capture, signed now": Layers(
                manifest=stamped("2026-02-01T00:00:00Z"),
                disclosures=Disclosures(captured="1999:01:01 00:00:00"),
            ),
        },
    ),
    "claimed-time-before-certificate": (
        Layers(manifest=stamped("2025-06-01T00:00:00Z", TimeTrust.UNTRUSTED)),
        {
            "no time": Layers(manifest=signed(CAPTURE)),
            "no time at all": Layers(manifest=stamped("yesterday")),
        },
    ),
    "certificate-after-anchor": (
        Layers(manifest=signed(CAPTURE), recovered=OWN, anchored="2025-11-01T00:00:00Z"),
        {
            "anchored later": Layers(
                manifest=signed(CAPTURE), recovered=OWN, anchored="2026-02-01T00:00:00Z"
            ),
            "another's entry": Layers(
                manifest=signed(CAPTURE), recovered=entry(), anchored="2025-11-01T00:00:00Z"
            ),
        },
    ),
    "certificate-after-logging": (
        Layers(manifest=signed(CAPTURE), recovered=OWN),
        {"another's entry": Layers(manifest=signed(CAPTURE), recovered=entry(time="2025-11-01T00:00:00Z"))},
    ),
    "action-after-signature": (
        Layers(
            manifest=replace(
                stamped("2026-02-01T00:00:00Z"), actions=(Action("c2pa.edited", when="2026-03-01T00:00:00Z"),)
            )
        ),
        {
            "a time without its zone": Layers(
                manifest=replace(
                    stamped("2026-02-01T00:00:00Z"),
                    actions=(Action("c2pa.edited", when="2026-03-01T00:00:00"),),
                )
            )
        },
    ),
    "ancestor-after-signature": (
        Layers(
            manifest=stamped("2026-02-01T00:00:00Z", ingredients=(ancestor(when="2026-03-01T00:00:00Z"),))
        ),
        {
            "earlier": Layers(
                manifest=stamped("2026-02-01T00:00:00Z", ingredients=(ancestor(when="2026-01-03T00:00:00Z"),))
            )
        },
    ),
    "captured-after-signature": (
        Layers(manifest=stamped("2026-01-20T00:00:00Z"), disclosures=CAMERA),
        {"another time zone": Layers(manifest=stamped("2026-01-31T22:00:00Z"), disclosures=CAMERA)},
    ),
    "captured-after-logging": (
        Layers(recovered=entry(time="2026-01-20T00:00:00Z"), disclosures=CAMERA),
        {
            "logged later": Layers(recovered=entry(), disclosures=CAMERA),
            "nonsense": Layers(recovered=entry(), disclosures=Disclosures(captured="0000:00:00 00:00:00")),
        },
    ),
    "created-after-logging": (
        Layers(
            manifest=replace(
                signed(CAPTURE), actions=(Action("c2pa.created", CAPTURE, when="2026-05-01T00:00:00Z"),)
            ),
            recovered=entry(),
        ),
        {
            "its own entry": Layers(
                manifest=replace(
                    signed(CAPTURE), actions=(Action("c2pa.created", CAPTURE, when="2026-05-01T00:00:00Z"),)
                ),
                recovered=OWN,
            )
        },
    ),
    "entry-after-anchor": (
        Layers(recovered=entry(), anchored="2026-01-01T00:00:00Z"),
        {"anchors come later": Layers(recovered=entry(), anchored="2026-03-09T00:00:00Z")},
    ),
    "stamped-after-logging": (
        Layers(manifest=stamped("2026-05-01T00:00:00Z"), recovered=OWN, anchored="2026-03-01T00:00:00Z"),
        {
            "stamped at once": Layers(
                manifest=stamped("2026-02-28T00:00:00Z"), recovered=OWN, anchored="2026-03-01T00:00:00Z"
            )
        },
    ),
    "other-signer-than-logged": (
        Layers(
            manifest=signed(CAPTURE, signer=SignerName("Agency", certificate=Digest.of(b"forged"))),
            recovered=OWN,
        ),
        {
            "which certificate cannot be told": Layers(
                manifest=signed(CAPTURE, signer=SignerName("Agency")), recovered=OWN
            )
        },
    ),
    "small-picture-differs": (
        Layers(structure=Structure(unlike=("thumbnail",))),
        {
            "an edit is declared": Layers(
                manifest=signed(CAPTURE, Action("c2pa.cropped")), structure=Structure(unlike=("thumbnail",))
            )
        },
    ),
    "appended-bytes": (
        Layers(structure=Structure(appended=9, appended_type="image/gif")),
        {"padding": Layers(structure=Structure(appended=9))},
    ),
    "second-format": (
        Layers(structure=Structure(second_formats=("application/zip",))),
        {"one format": Layers()},
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule(rule):
    clash, doubles = CASES[rule.id]
    found = rule(clash)
    assert found, "the clash is not seen"
    assert (found.rule, found.between, found.innocent) == (rule.id, rule.between, rule.innocent)
    assert all(s.endswith((".", "…")) for s in (*found.says, found.innocent))
    for reason, layers in doubles.items():
        assert rule(layers) is None, reason
    assert doubles


@pytest.mark.parametrize("rule", [r for r in RULES if r.decides], ids=lambda rule: rule.id)
def test_no_innocent_double_is_a_conflict_of_any_rule(rule):
    for reason, layers in CASES[rule.id][1].items():
        others = {c.rule for c in contradictions(layers)[0]}
        assert others <= KNOWN_OTHERS.get((rule.id, reason), set()), reason


# Doubles of one rule that are honestly the clash of another.
KNOWN_OTHERS = {
    ("integrity-clash", "an ancestor says AI"): {"ancestor-clash"},
    ("certificate-after-anchor", "another's entry"): {"dropped-history"},
    ("mark-against-entry", "an AI fill is declared"): {"dropped-history"},
    ("source-type-clash", "an AI edit of the photograph"): {"dropped-history"},
    ("source-type-clash", "a frame of the same burst"): set(),
    ("omitted-ai-ancestor", "AI is declared"): {"dropped-history"},
    ("omitted-ai-ancestor", "a reference picture"): {"dropped-history"},
}


def test_ids_are_unique_and_every_rule_has_its_case():
    assert len(BY_ID) == len(RULES)
    assert set(CASES) == set(BY_ID)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in BY_ID)


def test_hostile_words_stay_words():
    """Strings of a file stand in sentences only as text that is safe to show."""
    evil = "<b>\x1b[2J\u202e"
    layers = Layers(
        manifest=signed(
            CAPTURE,
            soft_bindings=(SoftBinding(SCHEME, evil),),
            ingredients=(replace(ancestor(AI), title=evil),),
        ),
        mark=MARK,
        known=replace(GENERATOR, mark=replace(GENERATOR.mark, id=evil)),
        recovered=entry(AI, time=evil, label=evil),
        disclosures=Disclosures(source_type=evil, generators=(evil,), aigc={"Label": "1"}, camera=evil),
        structure=Structure(99, evil, (evil,), (evil,)),
    )
    found = [c for part in contradictions(layers) for c in part]
    assert len(found) >= 3
    assert not any(ch in sentence for c in found for sentence in c.says for ch in "\x1b\u202e")


@pytest.mark.skipif(not DOC.exists(), reason="docs/contradictions.md is not in this checkout")
def test_the_document_lists_every_rule_and_every_pair_of_layers():
    text = DOC.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| (decides|said) \|", text, re.MULTILINE)
    listed = {name: (pair.strip(), kind == "decides") for name, pair, kind in rows}
    for rule in RULES:
        assert listed[rule.id] == (", ".join(rule.between), rule.decides)
    pairs = {
        frozenset((one.strip(), other.strip()))
        for one, other in re.findall(r"^\| ([^|]+) – ([^|]+) \|", text, re.MULTILINE)
    }
    assert pairs == {frozenset(pair) for pair in combinations(LAYERS, 2)}
    for name in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text.split("## Every pair")[1]):
        assert name in listed


@pytest.mark.parametrize("s", HOSTILE)
def test_hostile_strings_in_every_layer_reach_every_output_as_text(s):
    """What the rules say of files that are hostile in every field: JSON that reads back, a page without a script."""
    action = Action("c2pa.created", CAPTURE, s, "2026-05-01T00:00:00Z", s)
    of = replace(
        signed(
            CAPTURE, soft_bindings=(SoftBinding(SCHEME, s),), ingredients=(replace(ancestor(AI), title=s),)
        ),
        actions=(action,),
        title=s,
        generator=s,
        reasons=(s,),
    )
    seen = (
        of_manifest(of),
        of_metadata(
            Disclosures(aigc={"Label": "1", s: s}, generators=(s,), camera=s, captured=s, texts=(s,)),
            {"appended": 99, "appended_type": s, "second_formats": [s], "unlike": [s]},
        ),
        of_mark(OURS),
        of_known(s),
        of_receipt(entry(AI, label=s, time="2026-01-01T00:00:00Z", mark=OTHERS)),
    )
    report = judge(*seen)
    assert {"ancestor-clash"} <= {c.rule for c in report.conflicts}
    assert {"appended-bytes", "second-format", "created-after-logging"} <= {n.rule for n in report.notices}
    document = json.loads(report.dumps())
    assert document["notices"] == [n.to_json() for n in report.notices]
    tree = lxml_html.document_fromstring(page([(report, None)], "t"))
    assert not tree.xpath(
        "//script | //iframe | //object | //base | //*[@onerror or @onload or @onmouseover]"
    )
    assert not [a for a in tree.xpath("//@href | //@src") if not a.startswith(("#", "data:image/"))]
    plain = StringIO()
    show_report(report, Console(file=plain, width=100, force_terminal=False), True)
    assert not [c for c in plain.getvalue() if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]
