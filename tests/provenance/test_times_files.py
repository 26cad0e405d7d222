"""Each rule about time on at least one file that was really signed, stamped, logged and anchored."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import serialization
from PIL import Image

from assay.provenance.contradictions.times import RULES
from assay.provenance.records import append_file
from assay.provenance.settings import SETTINGS

from .. import darkroom
from ..authority import authority
from ..forger import Part, bare_sign, created, definition
from ..fuzz.boxes import parsed, resealed, taken_apart
from ..people import TIME_STAMPING, person
from ..studio import SMALL, encode, photo

DAY = dt.timedelta(days=1)
CHECKS = ("manifest", "metadata", "receipt", "anchor", "agreement")
CAPTURE = definition(created("digitalCapture"))


def rules(report):
    return {c.rule for c in report.conflicts}, {n.rule for n in report.notices}


@contextmanager
def clock(studio, ago, *, listed=True):
    """A time-stamp authority whose clock is ``ago`` late, on the desk's list or on none."""
    root = studio.clocks if listed else person("Rogue Clocks", studio.now, authority=True, since=90 * DAY)
    owner = person("Clockwork", studio.now, issuer=root, usages=(TIME_STAMPING,), since=90 * DAY)
    server = authority(owner, lambda: dt.datetime.now(dt.UTC) - ago)
    yield server
    server.close()


@contextmanager
def anchored(desk, ago):
    """Anchor the desk's ledger at an authority of its own whose clock is ``ago`` late."""
    root = person("Anchors", desk.now, authority=True, since=90 * DAY)
    owner = person("Anchor", desk.now, issuer=root, usages=(TIME_STAMPING,), since=90 * DAY)
    home = desk.workspace.home
    (home / "tsa.pem").write_bytes(owner.pem)
    (home / "roots.pem").write_bytes(root.pem)
    server = authority(owner, lambda: desk.studio.now - ago)
    with (home / SETTINGS).open("a") as settings:
        settings.write(
            f'\n[anchors.tsa]\nkind = "rfc3161"\nurl = "{server.url}"\n'
            'certificate = "tsa.pem"\nroots = "roots.pem"\n'
        )
    desk.workspace.log.close()
    desk.workspace = type(desk.workspace).open(home, now=lambda: desk.now, environ={})
    (outcome,) = desk.workspace.keeper.publish()
    assert outcome.problem is None
    yield
    server.close()


def jpeg(**options):
    return encode(photo("astronaut", SMALL), "jpeg", **options)


def exif(when):
    """EXIF with DateTimeOriginal (36867)."""
    made = Image.Exif()
    made.get_ifd(0x8769)[36867] = when.strftime("%Y:%m:%d %H:%M:%S")
    return made.tobytes()


def done(action, when):
    return {"action": action, "when": when.isoformat().replace("+00:00", "Z")}


def captured_at(when):
    return definition({**created("digitalCapture"), **done("c2pa.created", when)})


def test_a_stamp_of_before_the_certificate(desk):
    with clock(desk.studio, 5 * DAY) as tsa:
        data = bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, tsa=tsa.url)
    report = desk.verify(desk.file(data), checks=CHECKS)
    assert "time-before-certificate" in rules(report)[0]
    assert report.verdict == "conflict"


def test_an_unproven_stamp_of_before_the_certificate_is_said(desk):
    with clock(desk.studio, 5 * DAY, listed=False) as tsa:
        data = bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, tsa=tsa.url)
    report = desk.verify(desk.file(data), checks=CHECKS)
    assert rules(report) == (set(), {"claimed-time-before-certificate"})


def test_credentials_anchored_before_their_certificate(desk):
    signed = desk.sign(desk.picture(), by=desk.studio.agency, mark=False)
    with anchored(desk, 5 * DAY):
        report = desk.verify(signed, checks=CHECKS)
    assert rules(report) == ({"certificate-after-anchor"}, {"entry-after-anchor"})


def test_credentials_logged_by_a_late_clock_before_their_certificate(desk):
    signed = desk.sign(desk.picture(), by=desk.studio.agency, mark=False, ledger=False)
    desk.now = desk.studio.now - 5 * DAY
    append_file(desk.workspace, signed)
    desk.now = desk.studio.now
    report = desk.verify(signed, checks=CHECKS)
    assert rules(report) == (set(), {"certificate-after-logging"})
    assert report.verdict == "source-confirmed"


def test_an_action_and_an_ancestor_of_after_the_stamp(desk):
    late = desk.studio.now + 5 * DAY
    first = bare_sign(jpeg(), "image/jpeg", desk.studio.wire, captured_at(late))
    part = Part(first, "image/jpeg")
    opened = definition({"action": "c2pa.edited"})
    for manifest, parts, expected in (
        (captured_at(late), (), "action-after-signature"),
        (opened, (part,), "ancestor-after-signature"),
    ):
        data = bare_sign(
            jpeg(), "image/jpeg", desk.studio.agency, manifest,
            parts=parts, edit=bool(parts), tsa=desk.studio.tsa.url,
        )  # fmt: skip
        report = desk.verify(desk.file(data), checks=CHECKS)
        assert report.origin.time.trust == "trusted"
        assert rules(report) == (set(), {expected})


def test_a_camera_s_clock_after_the_stamp(desk):
    source = jpeg(exif=exif(desk.studio.now + 5 * DAY))
    data = bare_sign(source, "image/jpeg", desk.studio.agency, CAPTURE, tsa=desk.studio.tsa.url)
    report = desk.verify(desk.file(data), checks=CHECKS)
    assert rules(report) == (set(), {"captured-after-signature"})


def test_a_camera_s_clock_and_a_creation_after_the_same_picture_was_logged(desk):
    signed = desk.sign(desk.picture(), by=desk.studio.agency, mark=False)
    image, late = darkroom.pixels(signed), desk.studio.now + 5 * DAY
    copy = desk.file(encode(image, quality=95, exif=exif(late)))
    assert rules(desk.verify(copy, checks=CHECKS)) == (set(), {"captured-after-logging"})
    again = bare_sign(encode(image, quality=95), "image/jpeg", desk.studio.agency, captured_at(late))
    assert "created-after-logging" in rules(desk.verify(desk.file(again), checks=CHECKS))[1]


def test_a_stamp_of_after_the_anchored_entry(desk):
    studio = desk.studio
    root = person("Old Agencies", studio.now, authority=True, since=60 * DAY)
    signer = person("Old Agency", studio.now, issuer=root, since=30 * DAY)
    desk.workspace.trust.add(root.pem, name="old", kind="signer", source="x", date=desk.now.date())
    desk.now = studio.now - 5 * DAY
    signed = desk.sign(desk.picture(), by=signer, mark=False, tsa=studio.tsa.url)
    desk.now = studio.now
    with anchored(desk, 5 * DAY):
        report = desk.verify(signed, checks=CHECKS)
    assert rules(report) == (set(), {"stamped-after-logging"})


def test_credentials_of_a_logged_name_by_another_signer(desk):
    """The logged claim, signed anew by another trusted house, under the same name."""
    signed, wire = desk.sign(desk.picture(), by=desk.studio.agency, mark=False), desk.studio.wire
    carrier = taken_apart(signed.read_bytes(), "x", ".jpg")
    (root,) = parsed(carrier.store)
    (manifest,) = (b for b in root.inside if b.label.startswith(b"urn"))
    leaf = manifest.child(b"c2pa.signature").inside[1]
    protected, header, payload, signature = cbor2.loads(leaf.content).value
    certificate = wire.certificate.public_bytes(serialization.Encoding.DER)
    ours = cbor2.dumps({**cbor2.loads(protected), 33: certificate})
    header = {**header, "pad": bytes(len(header["pad"]) + len(protected) - len(ours))}
    leaf.content = cbor2.dumps(cbor2.CBORTag(18, [ours, header, payload, signature]))
    resealed(manifest, wire.key)
    forged = carrier.with_store(root.to_bytes())
    assert len(forged) == len(signed.read_bytes())
    report = desk.verify(desk.file(forged), checks=CHECKS)
    assert report.manifest.signer.organization == "Wire Service"
    assert "other-signer-than-logged" in rules(report)[0]


def test_each_rule_about_time_is_tried_on_a_file():
    """So that a rule that is added asks for its file."""
    here = Path(__file__).read_text("utf-8")
    assert [r.id for r in RULES if f'"{r.id}"' not in here] == []
