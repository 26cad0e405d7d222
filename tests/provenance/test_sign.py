"""The sign line: what a signature leaves, and that a fault leaves nothing."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import resource
import shutil
import sqlite3
import subprocess

import c2pa
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import event
from sqlalchemy.engine import Engine

from assay.provenance.claim import IPTC, Claim
from assay.provenance.credentials.isolated import read_manifest
from assay.provenance.errors import (
    AssayError,
    CredentialError,
    InputError,
    LedgerError,
    NetworkError,
    UsageError,
)
from assay.provenance.files.disclosure import read_disclosures
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import DEFAULT_LIMITS
from assay.provenance.media import Media
from assay.provenance.sign import RECEIPT_SUFFIX

from .. import darkroom
from ..authority import Server
from ..forger import created, definition, manifest_store
from ..people import person
from ..studio import LARGE, encode, photo

MADE = Claim(source_type="trainedAlgorithmicMedia", generator="Example Model", generator_version="2.1")


def read(path):
    """Return the engine's own summary of a file, read in a child as everywhere here."""

    def work(own):
        with c2pa.Reader("image/jpeg", own) as reader:
            return Answer(json.loads(reader.json()))

    with path.open("rb") as stream:
        document = run(work, stream).header
    return document, document["manifests"][document["active_manifest"]]


def assertion(manifest, label):
    found = [a for a in manifest["assertions"] if a["label"].startswith(label)]
    assert len(found) == 1, [a["label"] for a in manifest["assertions"]]
    return found[0]


# ------------------------------------------------------------------------------------------- what it leaves


def test_a_capture_is_created_by_the_signer_with_its_source_type_and_its_mark(desk):
    signed = desk.sign_fully(desk.picture(size=LARGE))
    _, manifest = read(signed.out)
    actions = assertion(manifest, "c2pa.actions")
    assert actions["created"] is True
    assert [a["action"] for a in actions["data"]["actions"]] == ["c2pa.created", "c2pa.watermarked.bound"]
    assert actions["data"]["actions"][0]["digitalSourceType"] == f"{IPTC}digitalCapture"
    bindings = [a for a in manifest["assertions"] if a["label"].startswith("c2pa.soft-binding")]
    assert [b["created"] for b in bindings] == [True, True]
    assert [b["data"]["alg"] for b in bindings] == ["io.assay.hallmark.1", "io.iscc.v0"]
    values = [b["data"]["blocks"][0]["value"] for b in bindings]
    assert values[0] == signed.mark.id
    published = desk.workspace.fingerprinter.bindings(Media.still(np.asarray(darkroom.pixels(signed.out))))
    assert [values[1]] == [b.value for b in published]
    assert desk.verify(signed.out).manifest.soft_bindings[1] == published[0]
    assert manifest["claim_version"] == 2
    assert manifest.get("ingredients", []) == []


def test_no_thumbnail_leaks_the_picture(desk):
    _, manifest = read(desk.sign(desk.sign(desk.picture()), Claim(edit="cropped")))
    assert "thumbnail" not in manifest
    assert all("thumbnail" not in i for i in manifest["ingredients"])
    assert not any("thumbnail" in a["label"] for a in manifest["assertions"])


def test_training_and_mining_are_answered_when_asked(desk):
    _, manifest = read(
        desk.sign(desk.picture(), Claim(source_type="digitalCapture", training_mining="notAllowed"))
    )
    uses = assertion(manifest, "cawg.training-mining")["data"]["entries"]
    assert {u["use"] for u in uses.values()} == {"notAllowed"}
    assert len(uses) == 4


def test_a_second_signature_keeps_the_history(desk):
    first = desk.sign_fully(desk.picture())
    second = desk.sign(first.out, Claim(edit="brightened"))
    document, manifest = read(second)
    assert len(document["manifests"]) == 2
    (parent,) = manifest["ingredients"]
    assert parent["relationship"] == "parentOf"
    assert parent["active_manifest"] == first.manifest_label
    actions = [
        (a["action"], a.get("description")) for a in assertion(manifest, "c2pa.actions")["data"]["actions"]
    ]
    assert actions == [("c2pa.opened", None), ("c2pa.edited", "brightened")]


def test_an_input_of_unknown_origin_is_opened_and_not_created(desk):
    _, manifest = read(desk.sign(desk.picture(), Claim()))
    actions = assertion(manifest, "c2pa.actions")["data"]["actions"]
    assert [a["action"] for a in actions] == ["c2pa.opened"]
    assert [i["relationship"] for i in manifest["ingredients"]] == ["parentOf"]


def test_components_and_parent_are_named(desk):
    parent, part = desk.sign(desk.picture(name="coffee")), desk.picture(name="chelsea")
    claim = Claim(source_type="compositeCapture", parent=parent, ingredients=(part,), title="two in one")
    _, manifest = read(desk.sign(desk.picture(), claim))
    assert manifest["title"] == "two in one"
    named = [(i["relationship"], i["title"]) for i in manifest["ingredients"]]
    assert sorted(named) == [("componentOf", part.name), ("parentOf", parent.name)]
    assert "c2pa.placed" in [a["action"] for a in assertion(manifest, "c2pa.actions")["data"]["actions"]]


@pytest.mark.parametrize("fmt", ["jpeg", "png", "webp"])
def test_ai_is_disclosed_in_the_metadata_and_the_signature_covers_it(desk, fmt):
    signed = desk.sign(desk.picture(fmt), MADE)
    media_type = f"image/{fmt}"
    with signed.open("rb") as stream:
        found = read_disclosures(stream, media_type)
    assert found.source_type == "trainedAlgorithmicMedia"
    assert found.aigc["Label"] == "1"
    assert found.aigc["ContentProducer"].startswith("Example Model")
    at = signed.read_bytes().find(b"trainedAlgorithmicMedia</") if fmt != "jpeg" else -1
    at = at if at >= 0 else signed.read_bytes().find(b"trainedAlgorithmicMedia")
    report = desk.verify(darkroom.flip(desk, signed, at + 2), checks=("manifest",))
    assert report.verdict == "conflict"


def test_a_marked_ai_picture_carries_the_marks_identifier_in_its_label(desk):
    signed = desk.sign_fully(desk.picture(size=LARGE), MADE)
    with signed.out.open("rb") as stream:
        assert read_disclosures(stream, "image/jpeg").aigc["ProduceID"] == signed.mark.id


@pytest.mark.parametrize(
    "claim", [Claim(source_type=MADE.source_type, disclose=False), Claim(source_type="digitalCapture")]
)
def test_nothing_is_disclosed_unasked(desk, claim):
    with desk.sign(desk.picture(), claim).open("rb") as stream:
        found = read_disclosures(stream, "image/jpeg")
    assert not found.source_type
    assert not found.aigc


def test_the_output_reads_back_and_its_receipt_is_of_its_own_bytes(desk):
    signed = desk.sign_fully(desk.picture("png", size=LARGE))
    receipt_file = signed.out.with_name(signed.out.name + RECEIPT_SUFFIX)
    receipt = desk.workspace.log.parse_receipt(receipt_file.read_text())
    assert receipt == signed.receipt
    assert desk.workspace.log.verify_receipt(receipt) == ""
    with signed.out.open("rb") as stream:
        assert type(signed.digest).of_file(stream) == receipt.entry.digest == signed.digest
    report = desk.verify(signed.out)
    assert (report.verdict, report.manifest.label) == ("source-confirmed", signed.manifest_label)
    assert desk.workspace.log.check() == []


def test_the_mark_is_hardly_seen(desk):
    source = desk.picture("png", size=LARGE)
    with Image.open(source) as before, Image.open(desk.sign(source)) as after:
        assert before.size == after.size
        error = (np.asarray(before.convert("L"), float) - np.asarray(after.convert("L"), float)).std()
    assert 0 < error < 2.55  # a PSNR of 40 dB


def test_the_same_seed_and_time_give_the_same_mark(studio):
    marks = []
    for _ in range(2):
        desk = studio.desk()
        desk.workspace.random = lambda n: bytes(range(n))
        marks.append(desk.sign_fully(desk.picture(size=LARGE), ledger=False).mark)
        desk.close()
    assert marks[0] == marks[1] == type(marks[0])("io.assay.hallmark.1", "0001020304050607")


# ------------------------------------------------------------------------------------------- what it refuses


def fails(desk, source, target, error, *, claim=None, **options):
    """Sign, expect ``error``, and see that the input is untouched and nothing new lies beside it."""
    before = source.read_bytes() if source.is_file() else None
    listed = {p.name for p in desk.files()}
    size = desk.workspace.log.size if options.pop("ledger_stays", True) else None
    from assay.provenance.workspace import SignOptions

    with pytest.raises(error) as caught:
        desk.workspace.sign_file(
            source, target, claim or Claim(source_type="digitalCapture"), SignOptions(**options)
        )
    assert {p.name for p in desk.files()} == listed
    if before is not None:
        assert source.read_bytes() == before
    assert size is None or desk.workspace.log.size == size
    assert caught.value.message
    return caught.value


def test_input_and_output_must_differ(desk):
    source = desk.picture()
    fails(desk, source, source, UsageError)


def test_a_link_to_the_input_is_the_input(desk):
    source, link, hard = desk.picture(), desk.path(), desk.path()
    link.symlink_to(source)
    hard.hardlink_to(source)
    for target in (link, hard):
        fails(desk, source, target, UsageError)
        fails(desk, source, target, UsageError, overwrite=True)


def test_an_output_that_exists_is_kept(desk):
    kept = desk.file(b"precious")
    error = fails(desk, desk.picture(), kept, UsageError)
    assert kept.read_bytes() == b"precious"
    assert "exists" in error.message


def test_an_existing_receipt_is_kept_and_nothing_is_logged_twice(desk):
    target = desk.path()
    receipt = target.with_name(target.name + RECEIPT_SUFFIX)
    receipt.write_text("an older receipt")
    fails(desk, desk.picture(), target, UsageError)
    assert receipt.read_text() == "an older receipt"


def test_the_folder_must_be_there(desk):
    error = fails(desk, desk.picture(), desk.folder / "nowhere" / "out.jpg", UsageError)
    assert "folder" in error.message


def test_a_missing_key_is_named(desk):
    error = fails(desk, desk.picture(), desk.path(), CredentialError, key=f"file:{desk.folder}/no.key")
    assert error.path.endswith("no.key")


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [(-1, 10, "not valid before"), (10, -1, "expired")],
)
def test_a_certificate_out_of_its_time_is_refused_before_anything_is_written(desk, since, until, words):
    days = dt.timedelta(days=1)
    odd = person("Odd", desk.now, issuer=desk.studio.agencies, since=since * days, until=until * days)
    key, chain = desk.file(odd.private, ".key"), desk.file(odd.chain, ".pem")
    key.chmod(0o400)
    error = fails(desk, desk.picture(), desk.path(), CredentialError, key=f"file:{key}", chain=chain)
    assert words in error.message


@pytest.mark.parametrize("who", ["stamper", "responder"])
def test_a_certificate_for_something_else_is_refused(desk, who):
    odd = getattr(desk.studio, who)
    key, chain = desk.file(odd.private, ".key"), desk.file(odd.chain, ".pem")
    key.chmod(0o400)
    error = fails(desk, desk.picture(), desk.path(), CredentialError, key=f"file:{key}", chain=chain)
    assert "not for signing content" in error.message


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"only words\n", ".txt"),
        (b"BM", ".bmp"),
        (b"%!PS-Adobe-3.0\n", ".jpg"),
        (bytes(range(256)) * 8, ".png"),
    ],
)
def test_a_format_that_cannot_carry_credentials_is_refused(desk, data, suffix):
    if suffix == ".bmp":
        target = io.BytesIO()
        photo("coffee", (64, 48)).save(target, "BMP")
        data = target.getvalue()
    error = fails(desk, desk.file(data, suffix), desk.path(suffix), InputError)
    assert error.path


def test_a_missing_and_an_empty_input_are_named(desk):
    for source in (desk.folder / "missing.jpg", desk.file(b"")):
        assert fails(desk, source, desk.path(), InputError).path == str(source)


def test_a_changed_input_is_not_laundered(desk):
    source = desk.picture()
    signed = desk.sign(source, ledger=False)
    changed = darkroom.flip(desk, signed, darkroom.content_offset(signed, source))
    assert "launder" in fails(desk, changed, desk.path(), InputError).message


@pytest.mark.parametrize("answer", [(404, b"no"), (500, b""), (200, b"garbage"), (200, b"")])
def test_a_time_stamp_authority_that_fails_stops_the_signature(desk, answer):
    server = Server(lambda body: answer)
    try:
        error = fails(desk, desk.picture(), desk.path(), NetworkError, tsa=server.url)
        assert server.url in error.message
        assert len(server.requests) >= 1
    finally:
        server.close()


def test_a_time_stamp_authority_that_is_down_stops_the_signature(desk):
    server = Server(lambda body: (200, b""))
    server.close()
    fails(desk, desk.picture(), desk.path(), NetworkError, tsa=server.url)


def test_a_missing_ledger_stops_the_signature(desk):
    for part in desk.workspace.home.glob("ledger.sqlite*"):
        part.unlink()
    source, target = desk.picture(), desk.path()
    with pytest.raises(LedgerError) as caught:
        desk.workspace.sign_file(source, target, Claim(source_type="digitalCapture"))
    assert caught.value.hint
    assert not target.exists()
    assert {p.name for p in desk.files()} == {source.name}
    assert not list(desk.workspace.home.glob("ledger.sqlite*")), "a missing ledger is never made on the fly"


@pytest.fixture
def impatient():
    """Let SQLite wait half a second for another writer, not half a minute."""

    def hurry(connection, record):
        connection.execute("PRAGMA busy_timeout = 500")

    event.listen(Engine, "connect", hurry)
    yield
    event.remove(Engine, "connect", hurry)


@pytest.mark.usefixtures("impatient")
def test_a_locked_ledger_stops_the_signature(desk):
    assert desk.workspace.log.size == 0
    desk.workspace.log.close()
    del desk.workspace.__dict__["log"]
    holder = sqlite3.connect(desk.workspace.home / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        fails(desk, desk.picture(), desk.path(), LedgerError, ledger_stays=False)
    finally:
        holder.rollback()
        holder.close()
    assert desk.workspace.log.size == 0


def test_a_read_only_ledger_stops_the_signature(desk):
    """Root writes where it may not, so the database itself says no: a URI in SQLite's read-only mode."""
    from dataclasses import replace

    file = desk.workspace.home / "ledger.sqlite"
    settings = replace(desk.workspace.settings, ledger=f"sqlite:///file:{file}?mode=ro&uri=true")
    desk.workspace.settings = settings
    fails(desk, desk.picture(), desk.path(), LedgerError, ledger_stays=False)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small file system"
)
def test_a_full_disk_leaves_nothing(desk):
    small = desk.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        error = fails(desk, desk.picture(size=LARGE), small / "out.jpg", AssayError)
        assert "full" in str(error) or "space" in str(error).lower()
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_file_size_limit_leaves_nothing(desk):
    desk.workspace.log  # noqa: B018  opened before the limit: only the output is to fail
    source, target = desk.picture(size=LARGE), desk.path()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        fails(desk, source, target, AssayError, ledger_stays=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert desk.workspace.log.size == 0


def test_a_sidecar_cannot_be_made_for_a_file_that_carries_credentials(desk):
    """The engine would hash the file without them, and the sidecar would fit no file that exists."""
    fails(desk, desk.sign(desk.picture(), ledger=False), desk.path(), AssayError, sidecar=True)


def test_a_picture_too_small_for_a_mark_is_signed_and_said_to_be_without(desk):
    signed = desk.sign_fully(desk.picture())
    assert signed.mark is None
    assert any("too small" in note for note in signed.notes)


def test_a_store_beside_the_file_judges_the_file_it_was_made_for(desk):
    data = encode(photo("astronaut", (96, 80)))
    store = manifest_store(data, "image/jpeg", desk.studio.agency, definition(created("digitalCapture")))
    anchors, lists = desk.workspace.anchors()
    for content, state in ((data, "trusted"), (data[:-40] + bytes(38) + data[-2:], "invalid")):
        read_back = read_manifest(
            io.BytesIO(content), "image/jpeg", anchors, lists, desk.now, limits=DEFAULT_LIMITS, sidecar=store
        )
        assert read_back.state == state
