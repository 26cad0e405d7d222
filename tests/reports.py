"""Reports made by decide() from evidence worded as the checks word it; any string can be a hostile one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from assay.provenance.asset import Asset, Digest
from assay.provenance.coverage import Coverage, Gap, Held
from assay.provenance.decide import decide
from assay.provenance.entry import Entry
from assay.provenance.evidence import Conflict, Evidence, Fact, Status
from assay.provenance.identity import Identity, IdentityStatus, Verified
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
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind
from assay.provenance.opinion import Answered, Calibration, Explanation, Opinion, Region, Spectrum
from assay.provenance.policy import NEWSROOM
from assay.provenance.protocols import Comparison
from assay.provenance.receipt import Receipt
from assay.provenance.recovered import Recovered
from assay.provenance.report import Report

NOW = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)
REGIONS = ((0.62, 0.05, 0.25, 0.33), (0.04, 0.71, 0.12, 0.14))

# What files have been seen to carry, or could: HTML, attribute and URL breakouts, terminal control, OSC 8
# links, direction and width tricks, NUL, templates, rich markup, spreadsheet formulas, length.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "</style></pre></details></title><base href=https://evil.example/><svg onload=alert(1)>",
    "--><!-- ]]> <![CDATA[",
    "&lt;script&gt;&#60;script&#62;",
    "url(https://evil.example/x);}*{background:red",
    "{{ 7 * 7 }}{% include 'style.css' %}{# x #}",
    "\x1b[2J\x1b[1;31mVERIFIED\x1b[0m\x07",
    "\x1b]0;owned\x07\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31mred\x90dcs\x9c",
    "photo\u202egpj.exe\u2066\u200b\ufeff",
    "a\x00b\r\nSource confirmed\u2028\u2029\x85",
    "[link=https://evil.example]click[/link][bold red]x[/]",
    '=HYPERLINK("https://evil.example","x")',
    "\ud800 half a pair",
    "no characters: \ufffe\uffff\ufdd0\U0001ffff",
    "W" * 10_000,
)


def build(
    *evidence: Evidence, name: str = "photo.jpg", trusting: bool = True, engine: str = "0.38.1"
) -> Report:
    asset = Asset(
        Path("/desk") / name, Kind.IMAGE, "image/jpeg", 1_843_221, Digest.of(name.encode("utf-8", "replace"))
    )
    trust = [{"name": "press", "kind": "signer", "source": engine, "date": "2026-11-02", "sha256": "ab" * 32}]
    return decide(
        asset, evidence, NEWSROOM, now=NOW, trust=trust if trusting else (), engines={"c2pa": engine}
    )


def manifest(state: ManifestState, s: str | None = None, **changes: object) -> Manifest:
    """Return a manifest with history; ``s``, where given, stands in every string of it."""
    trusted = state is ManifestState.TRUSTED
    parent = Ingredient(
        s or "DSC_0412.jpg",
        s or "parentOf",
        ManifestState.INVALID if s else state,
        (s or "claimSignature.validated",),
        s or "urn:c2pa:parent",
        s or "Parent Camera Works",
        (Action(s or "c2pa.created", s or "digitalCapture", s or "Camera 1", s or "", s or ""),),
        (Ingredient(s or "grandparent.dng", "componentOf", ManifestState.ABSENT, ()),),
    )
    fields: dict[str, object] = {
        "codes": (s or "signingCredential.untrusted",),
        "reasons": (s or "The signature holds.",),
        "label": s or "urn:c2pa:active",
        "title": s or "harbour.jpg",
        "generator": s or "Darkroom/3.1",
        "signer": SignerName(
            s or "Mallory News",
            s or "Mallory Signing 4",
            s or "4f21",
            s or "2026-01-05T00:00:00+00:00",
            s or "2027-01-05T00:00:00+00:00",
            Digest.of(b"certificate"),
            (s or "documentSigning",),
        ),
        "signer_trusted": trusted,
        "trust_list": (s or "press") if trusted else "",
        "time": SigningTime(
            s or "2026-11-18T14:02:09+00:00", TimeTrust.TRUSTED if trusted else TimeTrust.NONE
        ),
        "actions": (Action(s or "c2pa.opened", "", s or "Darkroom/3.1", s or "", s or ""),),
        "soft_bindings": (SoftBinding(s or "io.assay.dwtdctsvd.1", s or "9f3c"),),
        "ingredients": (parent,),
        "cawg": (s or "cawg.x509.credential.untrusted",),
        "identities": (identity(s),),
        "remote_url": s or "",
        "where": s or "embedded",
        "coverage": Coverage(
            "data",
            1_843_221,
            (Gap(2, 51_179, Held.MANIFEST, s or "APP11"), Gap(1_800_000, 43_221, Held.APPENDED, s or "")),
        ),
    }
    return Manifest(state, **{**fields, **changes})  # type: ignore[arg-type]


def identity(s: str | None = None) -> Identity:
    """Return a CAWG identity; ``s``, where given, stands in every string of it."""
    return Identity(
        s or "cawg.identity",
        s or "cawg.x509.cose",
        IdentityStatus.UNLISTED,
        s or "Guild of Reporters",
        s or "Jane Reporter",
        s or "77",
        s or "",
        (Verified(s, s, s, s, s, s),) if s else (),
        s or "",
        s or "",
        (s or "cawg.creator",),
        (s or "c2pa.hash.data",),
        s or "",
        (s or "cawg.x509.credential.untrusted",),
        s or "",
    )


def receipt(s: str | None = None) -> Receipt:
    entry = Entry(
        Digest.of(b"original"),
        s or "image/jpeg",
        2_411_008,
        s or "2026-11-18T14:02:11+00:00",
        Mark(s or "io.assay.dwtdctsvd.1", s or "9f3c6a01b2d4"),
        manifest_label=s or "urn:c2pa:original",
        signer=Digest.of(b"signer"),
        source_type=s or "digitalCapture",
        generator=s or "Camera 1",
    )
    text = f"c2sp.org/tlog-proof@v1\nindex 41\n{s or 'sV8mF0aXh1'}\n"
    return Receipt(entry, 41, bytes(range(32)), s or "press.example/ledger", 128, text)


def found(
    by: str = "watermark",
    *,
    matches: bool = True,
    changed: float = 0.104,
    s: str | None = None,
    state: ManifestState = ManifestState.TRUSTED,
) -> Evidence:
    comparison = Comparison(0.93, matches, changed, REGIONS if changed else (), s or "cropped to 88%")
    kept = manifest(state, s, label=s or "urn:c2pa:original")
    return Evidence(
        "receipt",
        s or "1",
        Status.PASS,
        s or "The file leads to entry 41.",
        facts=frozenset({Fact.RECOVERED}) if matches else frozenset(),
        reasons=(s or "Laid over the original.",),
        found=Recovered(by, receipt(s), comparison, kept, matches),
    )


def looked(llr: float | None = -0.7, s: str | None = None) -> Evidence:
    """Return what a detector of pictures says; ``s``, where given, stands in every string of it."""
    opinion = Opinion(
        s or "image",
        s or "statistics-1",
        Answered.OK,
        logit=1.5,
        score=0.5 if llr is None else 1 / (1 + 10**llr),
        llr=llr,
        conditions={s or "condition": s or "fine"},
        regions=(Region(0, 0, 30, 30, 1.2), Region(30, 10, 30, 30, -0.4)),
        says=(s or "The pixels are moderately more like generated pictures than like photographs.",),
        calibration=Calibration(
            s or "statistics-1", s or "real photographs", s or "fine", 1976, 1.4, 8.5, 48.2
        ),
    )
    spectrum = Spectrum((0.1, 0.2, 0.3), (3.0, 1.0, -4.0), (2.0, 0.0, -2.0), s or "the pictures learned from")
    explanation = Explanation(
        opinion, (s or "Towards generated pictures: the noise.",), {s or "noise": 0.8}, spectrum
    )
    facts = {"ai": Fact.LEANS_AI, "captured": Fact.LEANS_CAPTURED}
    return Evidence(
        "detector:image",
        s or "statistics-1",
        Status.PASS,
        s or opinion.says[0],
        llr=llr,
        facts=frozenset({facts[opinion.leaning]} if opinion.leaning in facts else ()),
        reasons=explanation.reasons,
        found=explanation,
        details={"opinion": explanation.to_json(), "calibration": opinion.calibration.to_json()},
    )


def credentials(state: ManifestState, *facts: Fact, s: str | None = None) -> Evidence:
    return Evidence(
        "manifest",
        s or "c2pa-rs",
        Status.PASS,
        s or "Credentials.",
        facts=frozenset(facts),
        found=manifest(state, s),
    )


NOTHING = (
    Evidence("manifest", "c2pa-rs", Status.ABSENT, "No credentials in the file."),
    Evidence("mark", "1", Status.ABSENT, "No watermark of ours was read."),
    Evidence("receipt", "1", Status.ERROR, "Could not look: the ledger is locked.", reasons=("try again",)),
)
KNOWN_MARK = Evidence(
    "known-marks",
    "1",
    Status.PASS,
    "A watermark that StableDiffusionV1 leaves was read.",
    llr=-3.0,
    facts=frozenset({Fact.MARKED_AI}),
    found=Reading("imwatermark", Mark("imwatermark", "StableDiffusionV1"), 1e-9),
    details={
        "calibration": {"id": "known/1", "false_alarms_per_1000": 1, "condition": "unmarked photographs"}
    },
)
CLASH = Evidence(
    "agreement",
    "1",
    Status.FAIL,
    "1 contradiction between layers.",
    conflicts=(
        Conflict(
            "dropped-history",
            ("manifest", "receipt"),
            ("Created here, say the credentials.", "Logged earlier."),
        ),
    ),
)


def confirmed() -> Report:
    return build(credentials(ManifestState.TRUSTED, Fact.INTACT, Fact.TRUSTED))


def recovered() -> Report:
    return build(found())


def marked_ai() -> Report:
    return build(*NOTHING, KNOWN_MARK)


def conflict() -> Report:
    return build(credentials(ManifestState.UNTRUSTED, Fact.INTACT, Fact.UNTRUSTED), found(changed=0.0), CLASH)


def inconclusive() -> Report:
    return build(*NOTHING, trusting=False)


def untrusted(**changes: object) -> Report:
    item = Evidence(
        "manifest",
        "1",
        Status.PASS,
        "Intact credentials of a signer that is not established.",
        facts=frozenset({Fact.INTACT, Fact.UNTRUSTED}),
        found=manifest(ManifestState.UNTRUSTED, **changes),  # type: ignore[arg-type]
    )
    return build(item)


EACH = (confirmed, recovered, marked_ai, conflict, inconclusive)


def laced(s: str) -> Report:
    """Return a report with ``s`` in every string that a file, a signer or a ledger could have chosen."""
    metadata = Evidence(
        "metadata",
        s,
        Status.PASS,
        s,
        llr=-1.0,
        facts=frozenset({Fact.CLAIMED_AI}),
        reasons=(s, f"once more: {s}"),
        details={"text": {s: s}, "calibration": {"id": s, "condition": s, "false_alarms_per_1000": 2}},
    )
    detector = Evidence(f"detector:{s}", s, Status.ERROR, s, reasons=(s,))
    leaning = looked(s=s)
    odd = Conflict(s, (s, s), (s, s), s)
    clash = Evidence("agreement", "1", Status.FAIL, s, conflicts=(odd,), notices=(odd,))
    name = s.replace("/", "_").replace("\x00", "_")[:255] or "_"
    return build(
        credentials(ManifestState.UNTRUSTED, Fact.INTACT, s=s),
        metadata,
        detector,
        leaning,
        found(s=s),
        clash,
        name=name,
        engine=s,
    )
