"""The matrix: what each layer can say of one file, every combination of it, and what Assay then answers.

``python -m tests.provenance.matrix`` prints the table that ``matrix.tsv`` pins; whoever changes a rule writes it anew
and reads the difference: ``python -m tests.provenance.matrix > tests/provenance/matrix.tsv``.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

from assay.provenance.asset import Asset, Digest
from assay.provenance.checks.agreement import AgreementCheck
from assay.provenance.decide import decide
from assay.provenance.entry import Entry
from assay.provenance.evidence import Conflict, Evidence, Fact, Status
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
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind
from assay.provenance.policy import NEWSROOM
from assay.provenance.protocols import Comparison
from assay.provenance.receipt import Receipt
from assay.provenance.recovered import Lead, Recovered
from assay.provenance.report import Report

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SCHEME = "io.assay.hallmark.1"
PHOTO = SimpleNamespace(asset=SimpleNamespace(kind=Kind.IMAGE))
"""All that the agreement asks of a file: what its sentences are to call it."""
OURS, OTHERS = Mark(SCHEME, "0123456789abcdef"), Mark(SCHEME, "fedcba9876543210")
CAPTURE, AI, PART_AI = "digitalCapture", "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
AGENCY = SignerName(
    "Picture Agency", not_before="2026-01-01T00:00:00+00:00", certificate=Digest.of(b"agency")
)
WIRE = SignerName("Wire", not_before="2026-01-01T00:00:00+00:00", certificate=Digest.of(b"wire"))
STRANGER = SignerName("Somebody", not_before="2026-01-01T00:00:00+00:00", certificate=Digest.of(b"somebody"))


def signed(
    source_type: str, *more: Action, state: ManifestState = ManifestState.TRUSTED, **fields: object
) -> Manifest:
    """Return intact credentials that say how the picture was created."""
    trusted = state is ManifestState.TRUSTED
    said = {
        "label": "urn:c2pa:this",
        "signer": AGENCY if trusted else STRANGER,
        "signer_trusted": trusted,
        **fields,
    }
    return Manifest(state, actions=(Action("c2pa.created", source_type), *more), **said)  # type: ignore[arg-type]


def entry(
    source_type: str = CAPTURE,
    *,
    by: str = "watermark",
    label: str = "urn:c2pa:first",
    signer: SignerName = WIRE,
    similarity: float = 0.99,
    matches: bool = True,
    changed: bool = False,
    mark: Mark | None = OURS,
    kept: Manifest | None = None,
    trusted: bool = True,
    leads: tuple[Lead, ...] = (),
    time: str = "2026-03-01T00:00:00+00:00",
) -> Recovered:
    """Return an entry of the ledger that the file led to."""
    regions = ((0.1, 0.1, 0.2, 0.2),) if changed else ()
    comparison = None if by == "digest" else Comparison(similarity, matches, 0.04 * changed, regions, "as is")
    leaf = Entry(
        Digest.of(b"original"),
        "image/jpeg",
        9,
        time,
        mark=mark,
        manifest_label=label,
        signer=signer.certificate,
        source_type=source_type,
    )
    state = ManifestState.TRUSTED if trusted else ManifestState.UNTRUSTED
    original = kept or Manifest(state, label=label, signer=signer, signer_trusted=trusted)
    receipt = Receipt(leaf, 7, bytes(32), "press.example/ledger", 9, "")
    return Recovered(by, receipt, comparison, original, matches, leads)


def of_manifest(manifest: Manifest | None, *facts: Fact, conflicts: tuple[Conflict, ...] = ()) -> Evidence:
    """Return what the manifest witness says."""
    if manifest is None:
        return Evidence(
            "manifest",
            "1",
            Status.ABSENT,
            "No credentials in the file.",
            found=Manifest(ManifestState.ABSENT),
        )
    status = Status.FAIL if conflicts else Status.PASS
    return Evidence("manifest", "1", status, "-", facts=frozenset(facts), conflicts=conflicts, found=manifest)


def of_metadata(found: Disclosures | None, structure: dict[str, object] | None = None) -> Evidence:
    """Return what the metadata witness says."""
    says_ai = bool(found and (found.source_type == AI or found.generators or found.aigc))
    return Evidence(
        "metadata",
        "1",
        Status.PASS if found else Status.ABSENT,
        "-",
        facts=frozenset({Fact.CLAIMED_AI} if says_ai else ()),
        found=found or Disclosures(),
        details={"structure": structure} if structure else {},
    )


def of_mark(mark: Mark | None, *, whole: bool = True) -> Evidence:
    """Return what the witness of our own mark says."""
    reading = Reading(SCHEME, mark, 1e-40, aligned=whole)
    return Evidence("mark", "1", Status.PASS if mark else Status.ABSENT, "-", found=reading if mark else None)


def of_known(name: str = "") -> Evidence:
    """Return what the witness of generators' marks says."""
    if not name:
        return Evidence("known-marks", "1", Status.ABSENT, "-")
    return Evidence(
        "known-marks",
        "1",
        Status.PASS,
        f"A watermark that {name} leaves was read.",
        llr=-3.0,
        facts=frozenset({Fact.MARKED_AI}),
        found=Reading("imwatermark", Mark("imwatermark", name), 1e-9),
    )


def of_receipt(found: Recovered | None) -> Evidence:
    """Return what the ledger witness says."""
    if not found:
        return Evidence("receipt", "1", Status.ABSENT, "-")
    facts = {Fact.RECOVERED} if found.matches else set()
    if found.matches and found.entry.source_type in (AI, PART_AI):
        facts.add(Fact.DECLARED_AI)
    return Evidence("receipt", "1", Status.PASS, "-", facts=frozenset(facts), found=found)


def of_anchor(time: str = "") -> Evidence:
    """Return what the outside anchor says."""
    return Evidence(
        "anchor", "1", Status.PASS if time else Status.ABSENT, "-", details={"time": time or None}
    )


def of_detector(leaning: str = "") -> Evidence:
    """Return what the detector says."""
    facts = {"ai": {Fact.LEANS_AI}, "captured": {Fact.LEANS_CAPTURED}}.get(leaning, set())
    llr = {"ai": -0.8, "captured": 0.8}.get(leaning)
    status = Status.PASS if leaning else Status.ABSENT
    return Evidence("detector:image", "1", status, "-", llr=llr, facts=frozenset(facts))


def judge(*seen: Evidence) -> Report:
    """Return the report on evidence, with what the agreement witness makes of it."""
    asset = Asset(Path("photo.jpg"), Kind.IMAGE, "image/jpeg", 9, Digest.of(b"this"))
    agreement = AgreementCheck()(PHOTO, seen)  # type: ignore[arg-type]  (it needs no more of a file)
    return decide(asset, (*seen, agreement), NEWSROOM, now=NOW)


# ------------------------------------------------------------------------------------------- what a layer can say

HASH = Conflict(
    "hash-mismatch", ("manifest", "file"), ("The file carries signed credentials.", "A hash differs.")
)
PARENT = Ingredient(
    "first",
    "parentOf",
    ManifestState.TRUSTED,
    (),
    "urn:c2pa:first",
    "Wire",
    (Action("c2pa.created", CAPTURE),),
)
STAMPED = SigningTime("2026-02-01T00:00:00+00:00", TimeTrust.TRUSTED)

MANIFESTS = {
    "none": of_manifest(None),
    "camera": of_manifest(
        signed(CAPTURE, soft_bindings=(SoftBinding(SCHEME, OURS.id),)), Fact.INTACT, Fact.TRUSTED
    ),
    "camera, unknown signer": of_manifest(
        signed(CAPTURE, state=ManifestState.UNTRUSTED), Fact.INTACT, Fact.UNTRUSTED
    ),
    "camera, stamped before the entry": of_manifest(signed(CAPTURE, time=STAMPED), Fact.INTACT, Fact.TRUSTED),
    "AI": of_manifest(signed(AI), Fact.INTACT, Fact.TRUSTED, Fact.DECLARED_AI),
    "camera, then AI fill": of_manifest(
        signed(CAPTURE, Action("c2pa.edited", PART_AI)), Fact.INTACT, Fact.TRUSTED, Fact.DECLARED_AI
    ),
    "edited from the entry": of_manifest(
        Manifest(
            ManifestState.TRUSTED,
            label="urn:c2pa:this",
            signer=AGENCY,
            signer_trusted=True,
            actions=(Action("c2pa.opened"),),
            ingredients=(PARENT,),
        ),
        Fact.INTACT,
        Fact.TRUSTED,
    ),
    "changed": of_manifest(
        replace(signed(CAPTURE), state=ManifestState.INVALID), Fact.ALTERED, conflicts=(HASH,)
    ),
}
METADATA = {
    "none": of_metadata(None),
    "camera": of_metadata(Disclosures(source_type=CAPTURE, camera="Maker One")),
    "AI": of_metadata(Disclosures(source_type=AI)),
}
KNOWN = {"none": of_known(), "generator": of_known("SDXL")}
ENTRIES = {
    "none": (of_mark(None), of_receipt(None)),
    "camera, same picture": (of_mark(OURS), of_receipt(entry(CAPTURE))),
    "camera, with changes": (of_mark(OURS), of_receipt(entry(CAPTURE, changed=True))),
    "AI, same picture": (of_mark(OURS), of_receipt(entry(AI))),
    "camera, logged by a stranger": (
        of_mark(OURS),
        of_receipt(entry(CAPTURE, signer=STRANGER, trusted=False)),
    ),
    "another picture, whole mark": (of_mark(OURS), of_receipt(entry(CAPTURE, matches=False, similarity=0.3))),
    "another picture, cut mark": (
        of_mark(OURS, whole=False),
        of_receipt(entry(CAPTURE, matches=False, similarity=0.3)),
    ),
}
DETECTORS = {"none": of_detector(), "ai": of_detector("ai"), "captured": of_detector("captured")}
COLUMNS = (
    "manifest",
    "metadata",
    "generator's mark",
    "ledger entry",
    "verdict",
    "leaning",
    "conflicts",
    "notices",
)


def combinations() -> Iterator[tuple[tuple[str, ...], tuple[Evidence, ...]]]:
    """Yield the names of what each layer says, and the evidence, of every combination."""
    for named in product(MANIFESTS, METADATA, KNOWN, ENTRIES):
        manifest, metadata, known, ledger = named
        yield named, (MANIFESTS[manifest], METADATA[metadata], KNOWN[known], *ENTRIES[ledger], of_anchor())


def outcome(report: Report) -> tuple[str, ...]:
    """Return verdict, leaning, conflicts and notices in words."""
    rules = (", ".join(sorted({c.rule for c in found})) for found in (report.conflicts, report.notices))
    return str(report.verdict), report.leaning, *rules


def table() -> str:
    """Return the matrix as tab-separated values, a line a combination."""
    rows = ((*named, *outcome(judge(*seen))) for named, seen in combinations())
    return "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows))


if __name__ == "__main__":
    sys.stdout.write(table())
