"""Other people's C2PA files: what their own README or name says of them, what we say, and why where that differs.

Trust: the test roots of c2pa-rs, the official C2PA lists and the frozen interim list, each of its kind.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from assay.provenance.workspace import Workspace

VALID, INVALID, NONE, ODD = "valid", "invalid", "no credentials", "malformed"
EXPECTED = {VALID: "source-confirmed", INVALID: "conflict", NONE: "inconclusive", ODD: "inconclusive"}
CHECKS = ("manifest", "metadata", "receipt", "agreement")
ADOBE = "public-testfiles/image/jpeg/adobe-20220124-"
RUST = "c2pa-rs/sdk/tests/fixtures/"


@dataclass(frozen=True)
class File:
    """``says`` is what its makers say; ``verdict`` ours where it differs, and then ``why``."""

    path: str
    says: str
    verdict: str = ""
    rule: str = ""
    why: str = ""

    @property
    def expected(self) -> str:
        return self.verdict or EXPECTED[self.says]


NO_CREDENTIALS = (
    "c2pa-attacks/sample/image.jpg",
    f"{ADOBE}A.jpg",
    f"{ADOBE}I.jpg",
    "public-testfiles/font/ttf/monotype-20240712-monotype_sans.ttf",
    *(
        RUST + name
        for name in (
            "IMG_0003.jpg", "MultiPage.tif", "basic.pdf", "basic-annotation.pdf", "basic-attachments.pdf",
            "basic-no-xmp.pdf", "basic-password.pdf", "basic-signed.pdf", "c.mov", "libpng-test.png", "no_manifest.jpg",
            "sample1.avif", "sample1.gif", "sample1.svg", "sample1.wav", "sample1.webp", "sample2.svg", "sample5.svg",
            "test.avi", "test.webp", "test_lossless.webp", "test_xmp.webp", "thumbnail.jpg",
        )
    ),
)  # fmt: skip
INTACT = (
    "c2pa-attacks/sample/C.jpg",
    *(
        f"{ADOBE}{name}.jpg"
        for name in (
            "C", "CA", "CACA", "CACAICAICICA", "CAI", "CAIAIIICAICIICAIICICA", "CAICA", "CAICAI", "CI", "CICA",
            "CICACACA", "CII",
        )
    ),
    *(RUST + name for name in ("C.jpg", "C_with_CAWG_data.jpg")),
)  # fmt: skip

FILES = (
    *(File(path, NONE) for path in NO_CREDENTIALS),
    *(File(path, VALID) for path in INTACT),
    File(f"{ADOBE}E-clm-CAICAI.jpg", INVALID, rule="broken-ingredient"),
    File(f"{ADOBE}E-dat-CA.jpg", INVALID, rule="hash-mismatch"),
    File(f"{ADOBE}E-sig-CA.jpg", INVALID, rule="hash-mismatch"),
    File(f"{ADOBE}E-uri-CA.jpg", INVALID, rule="hash-mismatch"),
    File(f"{ADOBE}XCA.jpg", INVALID, rule="hash-mismatch"),
    File(f"{ADOBE}XCI.jpg", INVALID, rule="hash-mismatch"),
    File(f"{RUST}XCA.jpg", INVALID, rule="hash-mismatch"),
    File(f"{RUST}E-sig-CA.jpg", INVALID, rule="hash-mismatch"),
    # The engine calls these two Trusted: the broken signature is an ancestor's.
    File(f"{ADOBE}CIE-sig-CA.jpg", INVALID, rule="broken-ingredient"),
    File(f"{RUST}CIE-sig-CA.jpg", INVALID, rule="broken-ingredient"),
    File(f"{ADOBE}E-uri-CIE-sig-CA.jpg", INVALID, rule="broken-ingredient"),
    File(
        "public-testfiles/pdf/adobe-20240110-single_manifest_store.pdf",
        VALID,
        verdict="inconclusive",
        why="its certificate has expired, and the authority that stamped it is on no list of time-stamp authorities",
    ),
    File(f"{RUST}video1.mp4", VALID),
    File(
        f"{RUST}dashinit.mp4",
        ODD,
        why="the first part of a stream: its hash can be checked only with the other parts, so it proves nothing",
    ),
    File(f"{RUST}libpng-test_with_url.png", NONE, why="its credentials are elsewhere, and nothing is fetched"),
    File(f"{RUST}cloud.jpg", NONE, why="its credentials are elsewhere, and nothing is fetched"),
    *(
        File(f"{RUST}{name}", ODD)
        for name in (
            "nested_moov_1000.mp4", "no_alg.jpg", "prerelease.jpg", "sample3.invalid.wav", "sample3.svg", "sample4.svg",
            "tiff_poc.tiff", "riff_bomb_1000.wav", "id3v23_compression_underflow.mp3",
        )
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def c2pa(corpus):
    return corpus / "c2pa"


@pytest.fixture(scope="module")
def desk(c2pa, tmp_path_factory):
    workspace = Workspace.init(tmp_path_factory.mktemp("public") / "home")
    official = c2pa / "trust-official-c2pa" / "trust-list"
    interim = c2pa / "trust-interim-ITL-frozen" / "static" / "trust"
    lists = (
        ("c2pa", "signer", official / "C2PA-TRUST-LIST.pem", dt.date(2026, 8, 21)),
        ("c2pa-tsa", "tsa", official / "C2PA-TSA-TRUST-LIST.pem", dt.date(2026, 8, 21)),
        ("interim", "signer", interim / "anchors.pem", dt.date(2026, 1, 1)),
        ("interim-leaves", "signer", interim / "allowed.pem", dt.date(2026, 1, 1)),
        ("tests", "signer", c2pa / RUST / "certs/trust/test_cert_root_bundle.pem", dt.date(2026, 8, 20)),
    )
    for name, kind, path, date in lists:
        frozen = name.startswith("interim")
        workspace.trust.add(
            path.read_bytes(), name=name, kind=kind, source=path.name, date=date, frozen=frozen
        )
    return workspace


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.path.rpartition("/")[2])
def test_public_file(file, c2pa, desk):
    path = c2pa / file.path
    if not path.is_file():
        pytest.skip("this corpus holds only a part of the published files")
    report = desk.verify(path, checks=CHECKS)
    assert report.verdict == file.expected, (report.headline, report.manifest.codes, report.manifest.reasons)
    rules = {c.rule for c in report.conflicts}
    assert (file.rule in rules) if file.rule else not rules
    assert (report.manifest.state == "absent") is (file.says == NONE) or file.says == ODD
    assert not file.verdict or file.why


def test_an_unchosen_signer_is_never_called_by_name(c2pa, tmp_path):
    """The very same good file, on a desk that trusts nobody."""
    report = Workspace.init(tmp_path / "home").verify(c2pa / f"{ADOBE}CA.jpg", checks=CHECKS)
    assert (report.verdict, report.integrity, report.origin.status) == ("inconclusive", "intact", "untrusted")
    assert "calls itself" in report.headline


def test_every_stated_change_is_found_and_no_intact_file_is_accused(c2pa, desk):
    """The whole table at once, so that the two rates are seen: 0 misses, 0 false alarms."""
    missed, accused = [], []
    for file in FILES:
        path = c2pa / file.path
        if file.says not in (VALID, INVALID) or not path.is_file():
            continue
        conflict = desk.verify(path, checks=("manifest",)).verdict == "conflict"
        missed += [file.path] * (file.says == INVALID and not conflict)
        accused += [file.path] * (file.says == VALID and conflict)
    assert (missed, accused) == ([], [])
