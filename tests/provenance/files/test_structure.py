import datetime as dt
import json
import struct
import zipfile
from io import BytesIO

import numpy as np
import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from assay.provenance.errors import MalformedError, UnsupportedError
from assay.provenance.files.sniff import sniff
from assay.provenance.files.structure import content_overlap, judge_paths, layout, layout_isolated
from assay.provenance.files.worker import Answer, run

c2pa = pytest.importorskip("c2pa")

SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
CREATED = {
    "label": "c2pa.actions",
    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType":
        "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"}]},
}  # fmt: skip


def certificate(name, key, issuer, issuer_key, authority):
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)  # fmt: skip
    usage["key_cert_sign" if authority else "digital_signature"] = True
    now = dt.datetime.now(dt.UTC)

    def named(text):
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
                x509.NameAttribute(NameOID.COMMON_NAME, text),
            ]
        )

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.KeyUsage(**usage), True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def sign():
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = certificate("leaf", leaf, "root", root, False) + certificate("root", root, "root", root, True)
    key = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def in_a_child(own, media_type):
        context = c2pa.Context.from_dict(SETTINGS)
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
        builder = c2pa.Builder({"title": "test", "assertions": [CREATED]}, context=context)
        out = BytesIO()
        builder.sign(c2pa.Signer.from_info(info), media_type, BytesIO(own.read()), out)
        signed = out.getvalue()
        report = json.loads(c2pa.Reader(media_type, BytesIO(signed), context=context).detailed_json())
        store = report["manifests"][report["active_manifest"]]["assertion_store"]
        exclusions = [e for name, a in store.items() if name.startswith("c2pa.hash") for e in a["exclusions"]]
        return Answer({"exclusions": exclusions}, (signed,))

    def work(data, media_type):
        # The engine's threads must not be in a process that forks later: a child would wait for them.
        answer = run(lambda own: in_a_child(own, media_type), BytesIO(data))
        return bytes(answer.blobs[0]), answer.header["exclusions"]

    return work


def wav():
    data = np.arange(400, dtype="<i2").tobytes()
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    body = b"WAVE" + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac():
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (8000 << 44 | 15 << 36).to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + b"\xff\xf8" + bytes(64)


def mp3():
    return (b"\xff\xfb\x90\x64" + bytes(413)) * 4


def pdf():
    out = BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(out)
    return out.getvalue()


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'


def jxl():
    box = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    return box + b"\0\0\0\x48jxlc" + b"\xff\x0a" + bytes(62)


def dng(save):
    block = Image.Exif()
    block[0xC612] = b"\x01\x04\0\0"
    return save("TIFF", exif=block)


@pytest.fixture(scope="module")
def files(save):
    return {
        "image/jpeg": save("JPEG"),
        "image/png": save("PNG"),
        "image/webp": save("WEBP"),
        "image/gif": save("GIF"),
        "image/tiff": save("TIFF", compression="tiff_lzw"),
        "image/x-adobe-dng": dng(save),
        "image/avif": save("AVIF"),
        "image/heic": save("HEIF"),
        "image/jxl": jxl(),
        "image/svg+xml": SVG,
        "application/pdf": pdf(),
        "audio/wav": wav(),
        "audio/mpeg": mp3(),
        "audio/flac": flac(),
    }


_PICTURES = ("jpeg", "png", "webp", "gif", "tiff", "x-adobe-dng", "avif", "heic", "jxl", "svg+xml")
FORMATS = [
    *(f"image/{name}" for name in _PICTURES),
    *("application/pdf", "audio/wav", "audio/mpeg", "audio/flac"),
]


@pytest.mark.parametrize("media_type", FORMATS)
def test_what_an_honest_signer_leaves_out_is_harmless(media_type, files, sign):
    assert sniff(files[media_type])[1] == media_type
    signed, exclusions = sign(files[media_type], media_type)
    ranges = [(e["start"], e["length"]) for e in exclusions if "start" in e]
    paths = [e for e in exclusions if "xpath" in e]
    assert ranges or paths
    assert content_overlap(BytesIO(signed), media_type, ranges) == []
    assert judge_paths(paths) == ([], [])
    assert layout(BytesIO(signed), media_type).appended == 0


@pytest.mark.parametrize("media_type", FORMATS)
def test_an_exclusion_that_reaches_into_the_content_is_seen_to_the_byte(media_type, files, sign):
    signed, _ = sign(files[media_type], media_type)
    harmless = content_overlap(BytesIO(signed), media_type, [(0, len(signed))])
    assert harmless, "some bytes are content"
    start, length = max(harmless, key=lambda span: span[1])
    middle = start + length // 2
    assert content_overlap(BytesIO(signed), media_type, [(middle, 1)]) == [(middle, 1)]


def test_a_second_exclusion_over_the_scan_is_seen(save):
    data = save("JPEG")
    scan = data.index(b"\xff\xda") + 40
    assert content_overlap(BytesIO(data), "image/jpeg", [(20, 3), (scan, 100)]) is not None
    assert (scan, 100) in content_overlap(BytesIO(data), "image/jpeg", [(scan, 100)])


def test_a_manifest_range_overwritten_by_a_second_picture_is_content(save, sign):
    """c2pa-rs PR 2643: bytes that were the manifest when signed are picture when read."""
    signed, exclusions = sign(save("JPEG"), "image/jpeg")
    start, length = exclusions[0]["start"], exclusions[0]["length"]
    other = save("JPEG", quality=5)[2:-2][:length]
    forged = signed[:start] + other.ljust(length, b"\0") + signed[start + length :]
    assert content_overlap(BytesIO(forged), "image/jpeg", [(start, length)])


def test_colour_profiles_count_as_content(save, icc):
    for name, media_type, mark in (("JPEG", "image/jpeg", b"ICC_PROFILE"), ("PNG", "image/png", b"iCCP")):
        data = save(name, icc_profile=icc)
        at = data.index(mark) + 20
        assert content_overlap(BytesIO(data), media_type, [(at, 10)]) == [(at, 10)]


def test_a_tiff_tag_cannot_pass_strips_off_as_its_own(save):
    block = Image.Exif()
    block[270] = "x" * 100
    data = bytearray(save("TIFF", exif=block))
    strips = layout(BytesIO(data), "image/tiff").claimed[-1]
    at = data.index(struct.pack("<HH", 270, 2))
    data[at + 4 : at + 12] = struct.pack("<LL", 1000, strips[0])  # the description now lies over the picture
    assert content_overlap(BytesIO(data), "image/tiff", [(strips[0], 100)]) == [(strips[0], 100)]


def test_svg_comments_do_not_hide_shapes():
    shape = b'<rect width="9" height="9"/>'
    trick = (
        b'<svg xmlns="http://www.w3.org/2000/svg"><!-- <metadata> -->' + shape + b"<!-- </metadata> --></svg>"
    )
    at = trick.index(shape)
    assert content_overlap(BytesIO(trick), "image/svg+xml", [(at, 5)]) == [(at, 5)]
    honest = b'<svg xmlns="http://www.w3.org/2000/svg"><metadata>' + shape + b"</metadata></svg>"
    assert content_overlap(BytesIO(honest), "image/svg+xml", [(honest.index(shape), 5)]) == []
    entity = b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'
    assert content_overlap(BytesIO(entity), "image/svg+xml", [(0, 5)]) is None


def test_pdf_pages_are_content_and_what_cannot_be_judged_says_so():
    data = pdf()
    assert content_overlap(BytesIO(data), "application/pdf", [(20, 30)]) == [(20, 30)]
    assert content_overlap(BytesIO(b"OggS" + bytes(99)), "application/ogg", [(0, 4)]) is None


def test_bmff_paths():
    value = "2P7D1hsOSDySl1goh37EgQ=="
    good = {"xpath": "/uuid", "data": [{"offset": 8, "value": value}]}
    assert judge_paths([good, {"xpath": "/ftyp"}, {"xpath": "/mfra"}]) == ([], [])
    assert judge_paths([{"xpath": "/mdat"}, {"xpath": "/uuid"}]) == (["/mdat", "/uuid"], [])
    assert judge_paths([{"xpath": "/moov/trak/mdia/minf/stbl/stco"}])[1]
    assert judge_paths([{"xpath": "/uuid", "data": [{"offset": 8, "value": "AAAA"}]}])[0] == ["/uuid"]


@pytest.mark.parametrize(
    "media_type", ["image/jpeg", "image/png", "image/gif", "image/webp", "audio/wav", "application/pdf"]
)
def test_appended_bytes_are_counted_and_named(media_type, files, save):
    clean = layout_isolated(BytesIO(files[media_type]), media_type)
    assert (clean.appended, clean.appended_type, clean.oddities) == (0, "", ())
    found = layout_isolated(BytesIO(files[media_type] + b"\0\0" + save("GIF")), media_type)
    assert found.appended == len(save("GIF")) + 2
    assert found.appended_type == "image/gif"
    assert "appended" in found.oddities[0]


def test_polyglots_are_named(files):
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("payload", b"x" * 100)
    both = layout(BytesIO(files["image/png"] + archive.getvalue()), "image/png")
    assert both.second_formats == ("application/zip",)
    gif = files["image/gif"]
    at = 13 + 3 * 256
    comment = gif[:at] + b"!\xfe\x09%PDF-1.7\n\0" + gif[at:]
    assert layout(BytesIO(comment), "image/gif").second_formats == ("application/pdf",)


def test_further_pictures_are_counted(save, scene):
    data = save("MPO", save_all=True, append_images=[Image.fromarray(scene)] * 2)
    found = layout(BytesIO(data), "image/jpeg")
    assert (found.pictures, found.appended) == (3, 0)
    assert found.end < len(data)
    assert "2 further picture(s)" in found.oddities[0]


def test_broken_structures_are_malformed(files):
    for media_type in ("image/jpeg", "image/png", "image/gif", "image/webp", "audio/wav", "image/avif"):
        data = files[media_type]
        with pytest.raises(MalformedError):
            layout_isolated(BytesIO(data[: len(data) // 2]), media_type)
    with pytest.raises(UnsupportedError):
        layout_isolated(BytesIO(b"x"), "application/zip")


def test_a_loop_of_tiff_directories_ends(save):
    data = bytearray(save("TIFF"))
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    data[at + 2 + 12 * count : at + 6 + 12 * count] = struct.pack("<L", at)
    assert layout_isolated(BytesIO(data), "image/tiff").frames == 1
