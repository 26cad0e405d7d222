"""The table of attacks: what is done, the verdict that it must get, and why where that is not plain.

Each attack has a desk of its own with an empty ledger. ``facts`` are values at dotted paths of the JSON report.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.provenance.claim import IPTC, Claim
from assay.provenance.files.write import encode_like
from assay.provenance.subject import Subject

from . import darkroom
from .authority import authority
from .forger import Part, bare_sign, created, definition, manifest_store, sign_with_hole
from .people import person
from .studio import FORMATS, HOSTILE, LARGE, SMALL, Desk, encode, photo

CONFLICT, AI, CONFIRMED = "conflict", "marked-ai", "source-confirmed"
RECOVERED, INCONCLUSIVE = "source-recovered", "inconclusive"
CAPTURE = definition(created("digitalCapture"))
XMP_AI = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
).encode()


@dataclass(frozen=True)
class Attack:
    """One row. ``verdict`` is a verdict, or the name of the error where there is nothing to report on.

    ``rule`` is the conflict's; ``says`` must stand in the headline and ``never`` must not.
    """

    name: str
    make: Callable[[Desk], Path]
    verdict: str
    rule: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    says: str = ""
    never: str = ""
    why: str = ""


ATTACKS: list[Attack] = []


def attack(
    verdict: str, *, formats: tuple[str, ...] = (), **expected: Any
) -> Callable[[Callable[..., Path]], Any]:
    """Enter a function into the table, once a format if it takes one."""

    def enter(make: Callable[..., Path]) -> Callable[..., Path]:
        name = make.__name__.replace("_", " ")
        if not formats:
            ATTACKS.append(Attack(name, make, verdict, **expected))
        for fmt in formats:
            ATTACKS.append(Attack(f"{name}, {fmt}", partial(make, fmt=fmt), verdict, **expected))
        return make

    return enter


def jpeg(size: tuple[int, int] = SMALL, **options: Any) -> bytes:
    return encode(photo("astronaut", size), "jpeg", **options)


# ---------------------------------------------------------------------------------- nothing is wrong


@attack(CONFIRMED, formats=tuple(FORMATS), facts={"axes.integrity": "intact", "manifest.where": "embedded"})
def as_signed(desk: Desk, fmt: str) -> Path:
    return desk.sign(desk.picture(fmt))


@attack(CONFIRMED, says="Assay Development")
def signed_with_a_mark(desk: Desk) -> Path:
    return desk.sign(desk.picture(size=LARGE))


@attack(CONFIRMED)
def named_as_another_format(desk: Desk) -> Path:
    return desk.file(desk.sign(desk.picture()).read_bytes(), ".png")


@attack(CONFIRMED, facts={"manifest.where": "sidecar"})
def sidecar_beside_its_file(desk: Desk) -> Path:
    return desk.sign(desk.picture(), sidecar=True)


@attack(
    CONFIRMED,
    facts={"manifest.where": "embedded"},
    why="what lies beside a file must not silence what is in it",
)
def rubbish_beside_a_signed_file(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False)
    signed.with_name(signed.name + ".c2pa").write_bytes(b"rubbish")
    return signed


@attack(CONFIRMED, facts={"manifest.where": "embedded", "axes.origin.signer": "Picture Agency"})
def strangers_sidecar_beside_a_signed_file(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.agency, ledger=False)
    store = manifest_store(signed.read_bytes(), "image/jpeg", desk.studio.stranger, CAPTURE)
    signed.with_name(signed.name + ".c2pa").write_bytes(store)
    return signed


@attack(CONFLICT, rule="hash-mismatch", why="fresh credentials beside it do not wash a changed file clean")
def trusted_sidecar_beside_a_changed_file(desk: Desk) -> Path:
    source = desk.picture()
    signed = desk.sign(source, ledger=False)
    changed = darkroom.flip(desk, signed, darkroom.content_offset(signed, source))
    store = manifest_store(changed.read_bytes(), "image/jpeg", desk.studio.agency, CAPTURE)
    changed.with_name(changed.name + ".c2pa").write_bytes(store)
    return changed


@attack(CONFIRMED, facts={"axes.origin.list": "agencies"})
def signer_with_the_official_key_usage(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.claim_signer)


@attack(
    CONFIRMED, facts={"axes.origin.status": "trusted"}, why="an intact ancestor of unknown origin is history"
)
def edited_from_a_strangers_picture(desk: Desk) -> Path:
    parent = desk.sign(desk.picture(), by=desk.studio.stranger, ledger=False)
    return desk.sign(parent, Claim(edit="brighter"), by=desk.studio.agency, ledger=False)


@attack(INCONCLUSIVE, facts={"recovered": None, "manifest.state": "absent", "leaning": "none"})
def unrelated_picture(desk: Desk) -> Path:
    desk.sign(desk.picture(size=LARGE))
    return desk.picture(name="coffee", size=LARGE)


# ---------------------------------------------------------------------------------- bytes are changed


@attack(CONFLICT, formats=tuple(FORMATS), rule="hash-mismatch", facts={"axes.integrity": "altered"})
def content_bit_flipped(desk: Desk, fmt: str) -> Path:
    source = desk.picture(fmt)
    signed = desk.sign(source, ledger=False)
    return darkroom.flip(desk, signed, darkroom.content_offset(signed, source))


@attack(CONFLICT, formats=("jpeg", "png", "webp", "tiff", "avif"), rule="hash-mismatch")
def claim_byte_flipped(desk: Desk, fmt: str) -> Path:
    signed = desk.sign(desk.picture(fmt), ledger=False)
    return darkroom.flip(desk, signed, darkroom.store_offset(signed, b"xmp.iid:") + 12)


@attack(CONFLICT, formats=("jpeg", "png"), rule="hash-mismatch")
def assertion_byte_flipped(desk: Desk, fmt: str) -> Path:
    signed = desk.sign(desk.picture(fmt), ledger=False)
    return darkroom.flip(desk, signed, darkroom.store_offset(signed, b"digitalCapture") + 13)


@attack(CONFLICT, rule="hash-mismatch")
def signature_byte_flipped(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False)
    data = signed.read_bytes()
    certificate = darkroom.store_offset(signed, b"Assay development signer")
    zeros = data.find(bytes(64), certificate)  # the signature stands before or after the padding
    return darkroom.flip(
        desk, signed, darkroom.store_offset(signed, b"\xf6\x58\x40", data[zeros - 8 : zeros]) + 20
    )


@attack(CONFLICT, formats=("jpeg", "png", "webp", "tiff"), rule="hash-mismatch")
def bytes_appended(desk: Desk, fmt: str) -> Path:
    signed = desk.sign(desk.picture(fmt), ledger=False)
    return desk.file(signed.read_bytes() + b"PK\x03\x04 something else", signed.suffix)


@attack(CONFLICT, rule="hash-mismatch")
def frame_size_swapped(desk: Desk) -> Path:
    data = bytearray(desk.sign(desk.picture(), ledger=False).read_bytes())
    at = darkroom.frame_header(data) + 5
    data[at : at + 4] = data[at + 2 : at + 4] + data[at : at + 2]
    return desk.file(bytes(data))


@attack(CONFLICT, rule="hash-mismatch")
def credentials_moved_to_another_picture(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False).read_bytes()
    other = desk.picture(name="coffee").read_bytes()
    return desk.file(other[:2] + darkroom.credentials(signed) + other[2:])


@attack(CONFLICT, rule="hash-mismatch")
def logged_credentials_moved_to_another_picture(desk: Desk) -> Path:
    signed = desk.sign(desk.picture()).read_bytes()
    other = desk.picture(name="coffee").read_bytes()
    return desk.file(other[:2] + darkroom.credentials(signed) + other[2:])


@attack(CONFLICT, rule="hash-mismatch")
def credentials_doubled(desk: Desk) -> Path:
    data = desk.sign(desk.picture(), ledger=False).read_bytes()
    return desk.file(data[:2] + darkroom.credentials(data) + data[2:])


@attack(CONFLICT, rule="hash-mismatch")
def pixels_edited_under_the_credentials(desk: Desk) -> Path:
    data = desk.sign(desk.picture(), ledger=False).read_bytes()
    edited = encode(darkroom.painted(photo("astronaut", SMALL)))
    return desk.file(data[:2] + darkroom.credentials(data) + edited[2:])


@attack(CONFLICT, rule="hash-mismatch", why="the store stands first in a JPEG, and its hash proves the loss")
def truncated_jpeg(desk: Desk) -> Path:
    data = desk.sign(desk.picture(), ledger=False).read_bytes()
    start, length = darkroom.scan(data)
    return desk.file(data[: start + length // 2])


@attack(
    INCONCLUSIVE,
    formats=("png", "webp", "tiff"),
    facts={"manifest.state": "malformed"},
    why="the engine cannot parse what is left, so no hash proves a change: a broken download is no forgery",
)
def truncated(desk: Desk, fmt: str) -> Path:
    signed = desk.sign(desk.picture(fmt), ledger=False)
    data = signed.read_bytes()
    return desk.file(data[: int(len(data) * 0.8)], signed.suffix)


@attack(INCONCLUSIVE, facts={"manifest.state": "malformed"}, says="break the rules")
def manifest_boxes_broken(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False)
    return darkroom.flip(desk, signed, darkroom.store_offset(signed, b"jumd", b"c2pa.assertions") + 1, 0x20)


@attack(INCONCLUSIVE, says="Not everything could be examined", facts={"manifest.state": "absent"})
def unsigned_and_truncated(desk: Desk) -> Path:
    data = desk.picture(size=LARGE).read_bytes()
    return desk.file(data[: int(len(data) * 0.7)])


@attack("MalformedError")
def empty_file(desk: Desk) -> Path:
    return desk.file(b"")


@attack(INCONCLUSIVE, facts={"asset.kind": "unknown", "manifest.state": "absent"})
def noise_called_jpeg(desk: Desk) -> Path:
    return desk.file(bytes((i * 197 + 31) % 251 for i in range(4096)))


# ---------------------------------------------------------------------------------- credentials are lost


@attack(
    RECOVERED, facts={"recovered.by": "watermark", "recovered.matches": True, "axes.origin.status": "trusted"}
)
def stripped(desk: Desk) -> Path:
    return darkroom.resaved(desk, darkroom.pixels(desk.sign(desk.picture(size=LARGE))), "png")


@attack(RECOVERED, formats=("jpeg", "webp", "avif"), facts={"recovered.changed_regions": []})
def stripped_and_recompressed_at_75(desk: Desk, fmt: str) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE)))
    return darkroom.resaved(desk, image, fmt, quality=75)


@attack(RECOVERED)
def stripped_and_shrunk_to_half(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=(640, 512))))
    return darkroom.resaved(desk, darkroom.half(image), quality=80)


@attack(RECOVERED)
def stripped_and_cropped(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=(480, 384))))
    return darkroom.resaved(desk, darkroom.crop(image), quality=85)


@attack(RECOVERED)
def a_screenshot_of_it(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=(480, 384))))
    return darkroom.resaved(desk, darkroom.screenshot(image), "png")


@attack(
    RECOVERED,
    facts={"axes.integrity": "altered"},
    says="differs",
    why="the pixels lead to the original, and the report shows where this copy differs: that is the answer",
)
def stripped_and_painted_over(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=(480, 384))))
    return darkroom.resaved(desk, darkroom.painted(image), quality=90)


@attack(RECOVERED, facts={"recovered.by": "fingerprint"})
def never_marked_but_logged_then_stripped(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE), mark=False))
    return darkroom.resaved(desk, image, quality=80)


@attack(INCONCLUSIVE, why="the URL is named; opening a file must not tell its author")
def remote_manifest_only(desk: Desk) -> Path:
    url = desk.studio.elsewhere.url + "/manifest.c2pa"
    return desk.file(
        bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, embed=False, remote_url=url), ".jpg"
    )


@attack(CONFLICT, rule="hash-mismatch")
def sidecar_of_another_file(desk: Desk) -> Path:
    other = desk.picture(name="coffee")
    store = manifest_store(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE)
    other.with_name(other.name + ".c2pa").write_bytes(store)
    return other


# ---------------------------------------------------------------------------------- marks


@attack(
    CONFLICT,
    rule="copied-mark",
    facts={"recovered.matches": False},
    why="whoever has the key, and the default key is public, can write any identifier",
)
def marks_identifier_written_into_another_picture(desk: Desk) -> Path:
    signed = desk.sign_fully(desk.picture(size=LARGE))
    assert signed.mark
    return _marked(desk, desk.picture(name="coffee", size=LARGE), signed.mark.id)


@attack(
    INCONCLUSIVE,
    facts={"recovered": None, "manifest.state": "absent"},
    why="the mark lies in the polarity of its own picture's content: on another one it is not read at all",
)
def mark_lifted_onto_another_picture(desk: Desk) -> Path:
    source = desk.picture("png", size=LARGE)
    signed = desk.sign_fully(source)
    assert signed.mark
    return _lifted(desk, source, signed.out)


@attack(
    INCONCLUSIVE,
    facts={"recovered": None},
    why="the key is secret, so a mark under the public one is none of ours",
)
def marks_identifier_written_without_the_key(desk: Desk) -> Path:
    public = desk.workspace.settings
    secret = desk.file(bytes(range(32)), ".key")
    secret.chmod(0o400)
    desk.workspace.settings = keyed = replace(public, mark_keys=(f"file:{secret}",))
    signed = desk.sign_fully(desk.picture(size=LARGE))
    assert signed.mark
    desk.workspace.settings = public
    forged = _marked(desk, desk.picture(name="coffee", size=LARGE), signed.mark.id)
    desk.workspace.settings = keyed
    return forged


@attack(CONFLICT, rule="soft-binding-collision")
def soft_binding_names_another_mark(desk: Desk) -> Path:
    marked = _marked(desk, desk.picture(size=LARGE), "0123456789abcdef").read_bytes()
    return desk.file(bare_sign(marked, "image/jpeg", desk.studio.agency, _soft_binding("fedcba9876543210")))


@attack(CONFIRMED, why="a mark may be lost on the way; that it is missing proves nothing")
def soft_binding_names_a_mark_that_is_not_there(desk: Desk) -> Path:
    data = jpeg(LARGE)
    return desk.file(bare_sign(data, "image/jpeg", desk.studio.agency, _soft_binding("fedcba9876543210")))


@attack(CONFLICT, rule="integrity-clash")
def generators_mark_in_a_cameras_picture(desk: Desk) -> Path:
    marked = encode(darkroom.sdxl(photo("chelsea", (512, 384))), "png")
    return desk.file(bare_sign(marked, "image/png", desk.studio.agency, CAPTURE), ".png")


@attack(AI, facts={"axes.synthesis": "marked", "leaning": "ai"})
def generators_mark_and_nothing_else(desk: Desk) -> Path:
    return darkroom.resaved(desk, darkroom.sdxl(photo("chelsea", (512, 384))), "png")


def _marked(desk: Desk, path: Path, identifier: str) -> Path:
    with Subject.open(path) as subject:
        picture = subject.picture()
        marked = desk.workspace.watermark().embed(picture.media, identifier).frame()
        return desk.file(encode_like(picture, marked), path.suffix)


def _lifted(desk: Desk, clean: Path, marked: Path) -> Path:
    """Add what the mark changed in one picture, exactly, to another of the same size."""
    change = np.asarray(darkroom.pixels(marked), np.int16) - np.asarray(darkroom.pixels(clean), np.int16)
    other = np.asarray(photo("coffee", LARGE), np.int16) + change
    return darkroom.resaved(desk, Image.fromarray(np.clip(other, 0, 255).astype(np.uint8)), "png")


def _soft_binding(identifier: str) -> dict[str, Any]:
    binding = {"alg": "io.assay.hallmark.1", "blocks": [{"scope": {}, "value": identifier}]}
    assertion = {"label": "c2pa.soft-binding", "data": binding, "created": True}
    return definition(created("digitalCapture"), {"action": "c2pa.watermarked.bound"}, assertions=[assertion])


# ---------------------------------------------------------------------------------- who signed


@attack(INCONCLUSIVE, says="calls itself “Somebody”", facts={"axes.origin.status": "untrusted"})
def signed_by_a_stranger(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.stranger, ledger=False)


@attack(
    INCONCLUSIVE,
    says="calls itself “Reuters”",
    facts={"axes.origin.status": "untrusted", "axes.origin.list": ""},
)
def signed_by_someone_who_calls_himself_reuters(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.reuters, ledger=False)


@attack(INCONCLUSIVE, facts={"axes.origin.status": "untrusted"})
def signed_by_a_self_made_certificate(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.self_signed, ledger=False)


@attack(RECOVERED, says="calls itself “Reuters”", facts={"axes.origin.status": "claimed"})
def logged_by_someone_who_calls_himself_reuters_then_stripped(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE), by=desk.studio.reuters))
    return darkroom.resaved(desk, image, "png")


@attack(CONFLICT, rule="dropped-history", says="without any history")
def stripped_and_re_signed_by_a_stranger(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE)))
    copy = darkroom.resaved(desk, image, quality=85)
    return desk.sign(copy, by=desk.studio.stranger, ledger=False, mark=False)


@attack(CONFLICT, rule="dropped-history")
def history_dropped_by_a_trusted_signer(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.wire)
    return desk.file(bare_sign(signed.read_bytes(), "image/jpeg", desk.studio.agency, CAPTURE))


@attack(CONFIRMED, why="the history is kept: the first signer is an ancestor, and nothing contradicts")
def history_kept_by_a_trusted_signer(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.wire)
    return desk.sign(signed, Claim(edit="cropped"), by=desk.studio.agency, ledger=False)


@attack(INCONCLUSIVE, says="not for signers of content", facts={"axes.origin.status": "untrusted"})
def signer_from_the_list_of_time_stamp_authorities(desk: Desk) -> Path:
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.clock_signer, CAPTURE))


@attack(INCONCLUSIVE, says="timeStamping", facts={"axes.origin.status": "untrusted"})
def certificate_for_time_stamps(desk: Desk) -> Path:
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.stamper, CAPTURE))


@attack(INCONCLUSIVE, says="OCSPSigning", facts={"axes.origin.status": "untrusted"})
def certificate_for_ocsp(desk: Desk) -> Path:
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.responder, CAPTURE))


@attack(
    INCONCLUSIVE, facts={"axes.origin.status": "untrusted"}, why="not established, and no proof of a change"
)
def certificate_for_a_usage_nobody_knows(desk: Desk) -> Path:
    usage = "1.3.6.1.4.1.99999.7"
    odd = person("Odd", desk.studio.now, issuer=desk.studio.agencies, usages=(usage,))
    return desk.file(bare_sign(jpeg(), "image/jpeg", odd, CAPTURE, usages=(usage,)))


@attack(
    CONFIRMED, says="\\u{202e}", never="\x1b", why="trusted, so its name is printed, but as harmless text"
)
def trusted_signer_with_a_hostile_name(desk: Desk) -> Path:
    return desk.sign(
        desk.picture(), Claim(source_type="digitalCapture", title=HOSTILE), by=desk.studio.hostile
    )


@attack(
    INCONCLUSIVE,
    never="Reuters signed",
    facts={"axes.origin.status": "untrusted"},
    why="who signed is unclear",
)
def trusted_signer_plants_a_certificate_with_another_name(desk: Desk) -> Path:
    """The engine tells the signer by serial number; an ancestor signed with the same number bears another name."""
    serial = desk.studio.agency.certificate.serial_number
    planted = person("Reuters", desk.studio.now, serial=serial, name="Reuters")
    parent = bare_sign(jpeg(), "image/jpeg", planted, CAPTURE)
    opened, part = definition({"action": "c2pa.edited"}), Part(parent, "image/jpeg")
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, opened, parts=[part], edit=True))


@attack(
    CONFLICT, rule="dropped-history", why="a borrowed certificate does not make it the first signer's own"
)
def stranger_borrows_the_first_signers_certificate(desk: Desk) -> Path:
    """A self-made certificate with the first signer's names and number, and the true one planted as a component."""
    signed = desk.sign(desk.picture(size=LARGE), by=desk.studio.wire)
    twin = person("Wire Service", desk.studio.now, serial=desk.studio.wire.certificate.serial_number)
    other = bare_sign(encode(photo("coffee", SMALL)), "image/jpeg", desk.studio.wire, CAPTURE)
    part = Part(other, "image/jpeg", relationship="componentOf")
    copy = encode(darkroom.pixels(signed), quality=85)
    return desk.file(bare_sign(copy, "image/jpeg", twin, CAPTURE, parts=[part]))


# ---------------------------------------------------------------------------------- when it was signed

NO_TIME = {"axes.origin.time.trust": "none"}
PROVEN = {"axes.origin.time.trust": "trusted"}
UNPROVEN = {"axes.origin.time.trust": "untrusted"}


@attack(CONFIRMED, facts=PROVEN, says="proven by a time-stamp")
def stamped_by_a_trusted_authority(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.agency, tsa=desk.studio.tsa.url)


@attack(
    CONFIRMED, facts=UNPROVEN, says="when is not proven", never="proven by", why="the signer is valid today"
)
def stamped_by_a_rogue_authority(desk: Desk) -> Path:
    return desk.sign(desk.picture(), by=desk.studio.agency, tsa=desk.studio.rogue_tsa.url)


@attack(
    CONFIRMED,
    facts=UNPROVEN,
    says="when is not proven",
    why="version 1 claims: the engine trusts any authority",
)
def stamped_by_a_rogue_authority_under_an_old_claim(desk: Desk) -> Path:
    old = definition(title="old")
    old["claim_version"] = 1
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, old, tsa=desk.studio.rogue_tsa.url))


@attack(
    CONFIRMED, facts=UNPROVEN, says="when is not proven", why="an authority of the wrong list proves no time"
)
def stamped_by_someone_on_the_list_of_signers(desk: Desk) -> Path:
    server = authority(desk.studio.stamper, lambda: dt.datetime.now(dt.UTC))
    try:
        return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, tsa=server.url))
    finally:
        server.close()


@attack(CONFIRMED, facts=UNPROVEN, says="when is not proven", why="a time that is yet to come proves nothing")
def stamped_in_the_future(desk: Desk) -> Path:
    return desk.file(
        bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, tsa=desk.studio.fast_tsa.url)
    )


@attack(
    INCONCLUSIVE,
    facts={**NO_TIME, "axes.origin.status": "untrusted", "manifest.state": "untrusted"},
    says="expired",
)
def expired_certificate_without_time_stamp(desk: Desk) -> Path:
    return _expired(desk, "")


@attack(INCONCLUSIVE, facts={**UNPROVEN, "axes.origin.status": "untrusted"}, says="expired")
def expired_certificate_with_a_rogue_time_stamp(desk: Desk) -> Path:
    return _expired(desk, desk.studio.rogue_tsa.url)


@attack(CONFIRMED, facts=PROVEN, why="the time-stamp proves that the certificate was valid when it signed")
def expired_certificate_with_a_trusted_time_stamp(desk: Desk) -> Path:
    return _expired(desk, desk.studio.tsa.url)


def _expired(desk: Desk, tsa: str) -> Path:
    signer = desk.studio.soon_expired()
    path = desk.file(bare_sign(jpeg(), "image/jpeg", signer, CAPTURE, tsa=tsa or None))
    # The engine looks at the machine's clock, so there is nothing for it but to wait.
    time.sleep(max(0.0, signer.certificate.not_valid_after_utc.timestamp() - time.time() + 1.1))
    desk.now = dt.datetime.now(dt.UTC)
    return path


# ---------------------------------------------------------------------------------- what the credentials hide


@attack(CONFLICT, rule="uncovered-content")
def hash_leaves_out_the_pixels_which_are_then_replaced(desk: Desk) -> Path:
    original, other = jpeg(), encode(darkroom.painted(photo("astronaut", SMALL)))
    start, length = darkroom.scan(original)
    other_start, other_length = darkroom.scan(other)
    # The same length is needed: the shorter scan is filled up inside the hole.
    room = max(length, other_length)
    filled = original[: start + length] + bytes(room - length) + original[start + length :]
    signed = sign_with_hole(filled, desk.studio.agency, CAPTURE, (start, room))
    at = len(signed) - len(filled) + start
    fake = other[other_start : other_start + other_length].ljust(room, b"\0")
    return desk.file(signed[:at] + fake + signed[at + room :])


@attack(CONFLICT, rule="uncovered-content", why="nothing is replaced yet, but anything can be")
def hash_leaves_out_the_pixels(desk: Desk) -> Path:
    data = jpeg()
    return desk.file(sign_with_hole(data, desk.studio.agency, CAPTURE, darkroom.scan(data)))


@attack(
    CONFLICT, rule="uncovered-content", why="a comment may be left out, but not what has become a picture"
)
def hash_leaves_out_a_comment_which_then_becomes_the_picture(desk: Desk) -> Path:
    original, other = jpeg(), encode(darkroom.painted(photo("astronaut", SMALL)))
    comment = b"\xff\xfe" + (len(other) + 100).to_bytes(2, "big") + bytes(len(other) + 98)
    signed = sign_with_hole(
        original[:2] + comment + original[2:], desk.studio.agency, CAPTURE, (2, len(comment))
    )
    at = signed.index(comment)
    return desk.file(signed[:at] + other[2:].ljust(len(comment), b"\0") + signed[at + len(comment) :])


@attack(CONFIRMED, why="what is left out is a comment and nothing else")
def hash_leaves_out_a_comment(desk: Desk) -> Path:
    data = jpeg()
    commented = data[:2] + b"\xff\xfe\x00\x22" + bytes(32) + data[2:]
    return desk.file(sign_with_hole(commented, desk.studio.agency, CAPTURE, (2, 36)))


@attack(CONFLICT, rule="broken-ingredient")
def changed_parent_laundered_by_a_trusted_signer(desk: Desk) -> Path:
    parent = _tampered(desk)
    clean = darkroom.without_credentials(parent)
    opened = definition({"action": "c2pa.edited"})
    part = Part(parent, "image/jpeg")
    return desk.file(bare_sign(clean, "image/jpeg", desk.studio.agency, opened, parts=[part], edit=True))


@attack(CONFLICT, rule="broken-ingredient")
def changed_component_laundered_by_a_trusted_signer(desk: Desk) -> Path:
    part = Part(_tampered(desk), "image/jpeg", relationship="componentOf")
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, parts=[part]))


@attack(CONFLICT, rule="broken-ingredient", why="two signatures above it do not wash it clean")
def changed_grandparent_laundered_twice(desk: Desk) -> Path:
    first = changed_parent_laundered_by_a_trusted_signer(desk).read_bytes()
    opened, part = definition({"action": "c2pa.edited"}), Part(first, "image/jpeg")
    clean = darkroom.without_credentials(first)
    return desk.file(bare_sign(clean, "image/jpeg", desk.studio.wire, opened, parts=[part], edit=True))


def _tampered(desk: Desk) -> bytes:
    source = desk.picture()
    signed = desk.sign(source, by=desk.studio.wire, ledger=False)
    return darkroom.flip(desk, signed, darkroom.content_offset(signed, source)).read_bytes()


# ---------------------------------------------------------------------------------- made by AI

MADE = Claim(source_type="trainedAlgorithmicMedia", generator="Example Model", generator_version="2")
DECLARED = {"axes.synthesis": "declared", "leaning": "ai"}


@attack(AI, formats=("jpeg", "png", "webp", "avif"), facts=DECLARED, says="declares that an AI model made it")
def declared_by_a_trusted_signer(desk: Desk, fmt: str) -> Path:
    return desk.sign(desk.picture(fmt), MADE)


@attack(AI, facts={**DECLARED, "recovered.by": "watermark"}, says="The ledger holds the original")
def declared_then_stripped_and_recompressed(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE), MADE))
    return darkroom.resaved(desk, image, quality=75)


@attack(AI, facts=DECLARED, why="what it was made from is still in it")
def declared_then_edited_by_another_signer_who_says_nothing_of_it(desk: Desk) -> Path:
    made = desk.sign(desk.picture(), MADE, by=desk.studio.wire, ledger=False)
    return desk.sign(made, Claim(edit="brighter"), by=desk.studio.agency, ledger=False)


@attack(
    INCONCLUSIVE, facts={"leaning": "ai", "axes.synthesis": "leaning-ai"}, why="a stranger's word is a claim"
)
def declared_by_a_stranger(desk: Desk) -> Path:
    return desk.sign(desk.picture(), MADE, by=desk.studio.stranger, ledger=False)


@attack(INCONCLUSIVE, facts={"leaning": "ai", "manifest.state": "absent"}, says="claim")
def ai_in_unsigned_metadata_only(desk: Desk) -> Path:
    return desk.picture(xmp=XMP_AI)


@attack(CONFLICT, rule="disclosure-clash")
def metadata_say_ai_and_a_trusted_camera_signed(desk: Desk) -> Path:
    return desk.file(bare_sign(jpeg(xmp=XMP_AI), "image/jpeg", desk.studio.agency, CAPTURE))


@attack(CONFLICT, rule="source-type-clash")
def made_by_ai_then_re_signed_as_a_capture(desk: Desk) -> Path:
    image = darkroom.pixels(desk.sign(desk.picture(size=LARGE), MADE, by=desk.studio.wire))
    copy = encode(image, quality=90)
    return desk.file(bare_sign(copy, "image/jpeg", desk.studio.agency, CAPTURE))
