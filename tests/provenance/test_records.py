"""Files signed elsewhere, logged as they are, and found again without their credentials."""

from __future__ import annotations

from assay.provenance.claim import Claim
from assay.provenance.records import append_file, check_receipt, find

from .. import darkroom
from ..forger import bare_sign, created, definition
from ..studio import LARGE, encode, photo


def logged_elsewhere(desk, source_type):
    """A picture that a trusted signer signed without us, logged as it is."""
    data = bare_sign(
        encode(photo("astronaut", LARGE)), "image/jpeg", desk.studio.agency, definition(created(source_type))
    )
    path = desk.file(data, ".jpg")
    return path, append_file(desk.workspace, path)


def test_a_stripped_copy_leads_back_to_credentials_signed_elsewhere(desk):
    path, receipt = logged_elsewhere(desk, "digitalCapture")
    assert receipt.entry.manifest_label
    assert receipt.entry.source_type == "digitalCapture"
    copy = darkroom.resaved(desk, darkroom.pixels(path), "jpeg", quality=75)
    report = desk.verify(copy)
    assert report.verdict == "source-recovered"
    assert report.recovered.by == "fingerprint"
    assert report.recovered.manifest.state == "trusted"


def test_ai_declared_elsewhere_is_remembered(desk):
    path, _ = logged_elsewhere(desk, "trainedAlgorithmicMedia")
    copy = darkroom.resaved(desk, darkroom.pixels(path), "jpeg", quality=75)
    assert desk.verify(copy).verdict == "marked-ai"


def test_the_same_picture_under_another_claim_is_a_contradiction(desk):
    path, _ = logged_elsewhere(desk, "trainedAlgorithmicMedia")
    stripped = encode(darkroom.pixels(path))
    again = bare_sign(stripped, "image/jpeg", desk.studio.agency, definition(created("digitalCapture")))
    report = desk.verify(desk.file(again, ".jpg"))
    assert report.verdict == "conflict"
    assert "source-type-clash" in {c.rule for c in report.conflicts}


def test_changed_credentials_are_not_remembered(desk):
    signed = desk.sign(desk.picture(size=LARGE), Claim(source_type="digitalCapture"), ledger=False)
    changed = darkroom.flip(desk, signed, len(signed.read_bytes()) - 400)
    entry = append_file(desk.workspace, changed).entry
    assert (entry.manifest, entry.manifest_label, entry.source_type, entry.mark) == (None, "", "", None)


def test_a_receipt_is_checked_against_the_file_it_names(desk):
    path, receipt = logged_elsewhere(desk, "digitalCapture")
    proof = desk.file(receipt.text.encode(), ".tlog-proof")
    by = {"parse": desk.workspace.log.parse_receipt, "verify": desk.workspace.log.verify_receipt}
    assert check_receipt(proof, path, **by)[0] == ""
    other = desk.picture()
    assert "another file" in check_receipt(proof, other, **by)[0]
    assert [by for by, _ in find(desk.workspace, str(path))] == ["digest"]
