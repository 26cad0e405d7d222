"""Keys of marks: who has them finds and writes marks, old ones are read on, and none is ever shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assay.provenance.errors import ConfigurationError, CredentialError, UsageError
from assay.provenance.keys.signers import read_mark_key
from assay.provenance.plugins import open_watermark
from assay.provenance.settings import SETTINGS, read_settings
from assay.provenance.subject import Subject
from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.payload import PUBLIC_KEY

from .. import darkroom
from ..studio import LARGE

SECRETS = {"old": b"an old secret of the desk", "new": b"the desk's secret of this year"}


@pytest.fixture
def keys(desk):
    """Key URIs by name, the files beside the workspace's own."""
    uris = {"public": "public:"}
    for name, secret in SECRETS.items():
        path = desk.workspace.home / "keys" / name
        path.write_bytes(secret)
        path.chmod(0o400)
        uris[name] = f"file:keys/{name}"
    return uris


def under(desk, *uris, **more):
    desk.workspace.settings = replace(desk.workspace.settings, mark_keys=uris, **more)


def mark_read(desk, path):
    """Return what the workspace's readers find in a file, under the keys that they have now."""
    with Subject.open(path) as subject:
        media = subject.picture().media
    readings = [reader.read(media) for reader in desk.workspace.mark_readers()]
    return next((r.mark for r in readings if r.mark), None)


def test_a_mark_is_read_under_its_key_alone_and_still_after_the_key_was_changed(desk, keys):
    under(desk, keys["old"])
    signed = desk.sign_fully(desk.picture(size=LARGE))
    assert signed.mark
    under(desk, keys["new"], keys["old"], keys["public"])
    assert mark_read(desk, signed.out) == signed.mark
    stripped = darkroom.resaved(desk, darkroom.pixels(signed.out), quality=75)
    assert desk.verify(stripped).recovered.by == "watermark"
    under(desk, keys["new"], read_marks=("hallmark",))
    assert mark_read(desk, signed.out) is None


def test_the_first_key_writes(desk, keys):
    under(desk, keys["new"], keys["old"])
    signed = desk.sign_fully(desk.picture(size=LARGE))
    under(desk, keys["new"])
    assert mark_read(desk, signed.out) == signed.mark


def test_pictures_marked_before_there_was_a_key_are_read_if_the_public_key_is_kept(desk, keys):
    signed = desk.sign_fully(desk.picture(size=LARGE))
    under(desk, keys["new"], keys["public"])
    assert mark_read(desk, signed.out) == signed.mark


def test_marks_of_the_first_scheme_and_their_entries_are_found_for_ever(desk, keys):
    first = desk.sign_fully(desk.picture("png", size=LARGE), watermark="dwtdctsvd")
    assert (first.mark.scheme, len(first.mark.id)) == ("io.assay.dwtdctsvd.1", 12)
    copy = darkroom.resaved(desk, darkroom.pixels(first.out), quality=85)
    under(desk, keys["new"])
    report = desk.verify(copy)
    assert (report.recovered.by, report.recovered.receipt.index) == ("watermark", 0)
    (found,) = desk.workspace.log.find_mark(first.mark)
    assert found.receipt.index == 0


def test_longer_identifiers_lead_back_as_well(desk):
    under(desk, read_marks=("hallmark128",))
    signed = desk.sign_fully(desk.picture("png", size=LARGE), watermark="hallmark128")
    assert (signed.mark.scheme, len(signed.mark.id)) == ("io.assay.hallmark128.1", 32)
    assert desk.verify(darkroom.resaved(desk, darkroom.pixels(signed.out), "png")).recovered.by == "watermark"


def test_what_was_to_be_secret_is_not_written_for_everybody(desk, keys):
    under(desk, keys["new"])
    for scheme in ("dwtdctsvd", "no-such-scheme"):
        with pytest.raises(UsageError):
            desk.sign(desk.picture(size=LARGE), watermark=scheme)
    with pytest.raises(UsageError, match="takes no key"):
        open_watermark("dwtdctsvd", [b"sixteen bytes or more"])
    assert open_watermark("dwtdctsvd", [b"sixteen bytes or more"], reading=True).id_bits == 48


def test_keys_of_no_use_are_refused_and_never_shown(tmp_path):
    short, open_to_all = tmp_path / "short", tmp_path / "open"
    short.write_bytes(b"fifteen letters")
    short.chmod(0o400)
    open_to_all.write_bytes(b"everybody reads this one")
    open_to_all.chmod(0o444)
    refused = [
        ("file:short", CredentialError, "16 to"),
        ("file:open", CredentialError, "other users"),
        ("file:gone", CredentialError, "cannot be read"),
        ("env:SHORT", CredentialError, "16 to"),
        ("env:UNSET", CredentialError, "UNSET"),
        ("correct horse battery staple", UsageError, "file:PATH"),
        ("hunter2:hunter2hunter2hunter2", UsageError, "file:PATH"),
        ("", UsageError, "file:PATH"),
    ]
    for uri, error, words in refused:
        with pytest.raises(error, match=words) as caught:
            read_mark_key(uri, tmp_path, {"SHORT": "hunter2"})
        told = f"{caught.value} {caught.value.hint} {caught.value.path}"
        assert not any(secret in told for secret in ("horse", "hunter2", "fifteen", "everybody"))
    assert read_mark_key("env:LONG", tmp_path, {"LONG": "x" * 16}) == b"x" * 16
    assert read_mark_key("public:", tmp_path, {}) == b""


@pytest.mark.parametrize("scheme", ["hallmark", "hallmark128", "hallmark256"])
def test_a_scheme_takes_no_secret_that_can_be_tried_out(scheme):
    for secrets in ([b"fifteen letters"], [b"a secret of the desk", b"short"]):
        with pytest.raises(UsageError, match="at least 16 bytes") as caught:
            open_watermark(scheme, secrets)
        assert "letters" not in f"{caught.value}"
    with pytest.raises(UsageError, match="at least 16 bytes"):
        Hallmark([b""])
    assert open_watermark(scheme, [b"", b"a secret of the desk"]).voices[0].secret == PUBLIC_KEY


def test_the_setting_is_a_list(desk):
    path = desk.workspace.home / SETTINGS
    text = path.read_text()
    path.write_text(text + 'mark_keys = ["env:MARK"]\n')
    assert read_settings(path).mark_keys == ("env:MARK",)
    for wrong in ('"env:MARK"', "[5]", "true"):
        path.write_text(text + f"mark_keys = {wrong}\n")
        with pytest.raises(ConfigurationError, match="mark_keys is a list of key URIs"):
            read_settings(path)
