"""More rows of the table of attacks: on time, revocation, companions of other files, second pictures, boxes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from assay.provenance.claim import Claim
from assay.provenance.furnish import TRUST
from assay.provenance.keys.denied import DENIED, Denial, write_denials
from assay.provenance.receipt import RECEIPT_SUFFIX

from . import darkroom
from .attacks import CAPTURE, CONFIRMED, CONFLICT, INCONCLUSIVE, RECOVERED, UNPROVEN, attack, jpeg
from .authority import authority
from .forger import Part, bare_sign, created, definition, sign_with_identity
from .fuzz.boxes import Box, parsed, resealed, taken_apart
from .people import TIME_STAMPING, Person, person
from .provenance.test_revocation import answer
from .staple import staple
from .studio import LARGE, SMALL, Desk, encode, photo

DAY = dt.timedelta(days=1)


# ---------------------------------------------------------------------------------- back-dated


def _stamped_early(desk: Desk, root: Person) -> Path:
    owner = person("Clockwork", desk.now, issuer=root, usages=(TIME_STAMPING,), since=90 * DAY)
    server = authority(owner, lambda: desk.studio.now - 5 * DAY)
    try:
        return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, tsa=server.url))
    finally:
        server.close()


@attack(CONFLICT, rule="time-before-certificate", says="")
def stamped_before_the_certificate_by_a_listed_authority(desk: Desk) -> Path:
    return _stamped_early(desk, desk.studio.clocks)


@attack(
    CONFIRMED,
    facts=UNPROVEN,
    says="when is not proven",
    why="an unknown authority's word is no proof, also not against the signer; the oddity is a notice",
)
def stamped_before_the_certificate_by_a_rogue_authority(desk: Desk) -> Path:
    return _stamped_early(desk, person("Rogue Clocks", desk.now, authority=True, since=90 * DAY))


@attack(
    CONFIRMED,
    says="when is not proven",
    never="2001",
    why="a claimed old day is a claim: old pictures are signed today",
)
def created_in_2001_says_the_claim(desk: Desk) -> Path:
    old = {**created("digitalCapture"), "when": "2001-02-03T04:05:06Z"}
    return desk.file(bare_sign(jpeg(), "image/jpeg", desk.studio.agency, definition(old)))


@attack(CONFLICT, rule="other-signer-than-logged")
def logged_claim_signed_anew_by_another_house(desk: Desk) -> Path:
    signed, wire = desk.sign(desk.picture(), by=desk.studio.agency, mark=False), desk.studio.wire
    return _as_another(desk, signed, wire)


@attack(
    INCONCLUSIVE,
    says="calls itself “Reuters”",
    facts={"axes.origin.status": "untrusted"},
    why="nobody logged it, so there is nothing that the name could be compared with",
)
def claim_signed_anew_by_someone_who_calls_himself_reuters(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.agency, ledger=False)
    return _as_another(desk, signed, desk.studio.reuters)


def _as_another(desk: Desk, signed: Path, by: Person) -> Path:
    """Put another certificate into a signature and sign the same claim with its key; padding makes room."""
    carrier, root, manifest = _opened(signed)
    leaf = _signature(manifest)
    protected, header, payload, signature = cbor2.loads(leaf.content).value
    der = by.certificate.public_bytes(serialization.Encoding.DER)
    ours = cbor2.dumps({**cbor2.loads(protected), 33: der})
    header = {**header, "pad": bytes(len(header["pad"]) + len(protected) - len(ours))}
    leaf.content = cbor2.dumps(cbor2.CBORTag(18, [ours, header, payload, signature]))
    resealed(manifest, by.key)
    return desk.file(carrier.with_store(root.to_bytes()))


def _opened(signed: Path) -> tuple:
    carrier = taken_apart(signed.read_bytes(), signed.stem, signed.suffix)
    (root,) = parsed(carrier.store)
    return carrier, root, [b for b in root.inside if b.label.startswith(b"urn")][-1]


def _signature(manifest: Box) -> Box:
    box = manifest.child(b"c2pa.signature")
    assert box
    return box.inside[1]


def _pad(manifest: Box, room: int) -> None:
    """Let a signature's padding grow by ``room`` bytes, so that the store keeps its length; nobody signs padding."""
    leaf = _signature(manifest)
    protected, header, payload, signature = cbor2.loads(leaf.content).value
    header = {**header, "pad": bytes(len(header["pad"]) + room)}
    leaf.content = cbor2.dumps(cbor2.CBORTag(18, [protected, header, payload, signature]))


# ---------------------------------------------------------------------------------- revoked


@attack(CONFLICT, rule="revoked-signer", says="")
def signer_on_the_desks_own_deny_list(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.agency, ledger=False)
    write_denials(
        desk.workspace.home / TRUST / DENIED, [Denial(str(desk.studio.agency.certificate.serial_number))]
    )
    return signed


@attack(CONFLICT, rule="revoked-signer")
def revocation_stapled_by_the_signers_authority(desk: Desk) -> Path:
    return _stapled(desk, answer(desk.studio.agency, desk.studio.agencies, desk.now, revoked=desk.now - DAY))


@attack(CONFIRMED, why="anyone can put an answer there; only the authority's own counts")
def revocation_stapled_by_a_stranger(desk: Desk) -> Path:
    by, about = desk.studio.stranger, desk.studio.agency
    forged = answer(about, desk.studio.agencies, desk.now, by=by, revoked=desk.now - DAY, include=[by])
    return _stapled(desk, forged)


@attack(CONFIRMED, why="rubbish in the part of the signature that is not signed says nothing")
def rubbish_stapled(desk: Desk) -> Path:
    return _stapled(desk, b"\x30\x84\xff\xff\xff\xff rubbish")


@attack(
    CONFLICT, rule="revoked-signer", why="a good answer of yesterday does not outweigh the desk's own list"
)
def good_answer_stapled_for_a_signer_on_the_deny_list(desk: Desk) -> Path:
    path = _stapled(desk, answer(desk.studio.agency, desk.studio.agencies, desk.now))
    write_denials(
        desk.workspace.home / TRUST / DENIED, [Denial(str(desk.studio.agency.certificate.serial_number))]
    )
    return path


@attack(CONFIRMED, why="an answer about another certificate is none about this one")
def revocation_of_another_signer_stapled(desk: Desk) -> Path:
    return _stapled(desk, answer(desk.studio.wire, desk.studio.agencies, desk.now, revoked=desk.now - DAY))


@attack(CONFLICT, rule="revoked-signer")
def answer_of_removal_from_a_list_is_not_taken_for_good(desk: Desk) -> Path:
    reason = x509.ReasonFlags.key_compromise
    said = answer(desk.studio.agency, desk.studio.agencies, desk.now, revoked=desk.now - DAY, reason=reason)
    return _stapled(desk, said)


def _stapled(desk: Desk, response: bytes) -> Path:
    signed = desk.sign(desk.picture(), by=desk.studio.agency, ledger=False)
    return desk.file(staple(signed.read_bytes(), response))


# ---------------------------------------------------------------------------------- companions of other files


@attack(
    INCONCLUSIVE,
    facts={"recovered": None},
    why="a receipt that lies beside a file is of the file it names, and of its ledger",
)
def receipt_of_another_file_beside_it(desk: Desk) -> Path:
    signed = desk.sign_fully(desk.picture(size=LARGE))
    other = desk.picture(name="coffee", size=LARGE)
    beside = signed.out.with_name(signed.out.name + RECEIPT_SUFFIX)
    if beside.exists():
        other.with_name(other.name + RECEIPT_SUFFIX).write_bytes(beside.read_bytes())
    return other


@attack(INCONCLUSIVE, facts={"recovered": None}, why="what another ledger holds proves nothing at this desk")
def receipt_of_another_ledger_beside_it(desk: Desk) -> Path:
    other = desk.studio.desk()
    try:
        signed = other.sign(other.picture(size=LARGE))
        copy = darkroom.resaved(desk, darkroom.pixels(signed), "png")
        beside = signed.with_name(signed.name + RECEIPT_SUFFIX)
        if beside.exists():
            copy.with_name(copy.name + RECEIPT_SUFFIX).write_bytes(beside.read_bytes())
        return copy
    finally:
        other.close()


@attack(CONFLICT, rule="hash-mismatch")
def sidecar_of_the_first_edition_beside_the_second(desk: Desk) -> Path:
    first = desk.sign(desk.picture(), ledger=False, sidecar=True)
    second = desk.file(encode(darkroom.painted(photo("astronaut", SMALL))))
    store = first.with_name(first.name + ".c2pa").read_bytes()
    second.with_name(second.name + ".c2pa").write_bytes(store)
    return second


@attack(
    CONFLICT,
    rule="hash-mismatch",
    why="the address of other credentials is signed: who swaps it breaks the hash",
)
def address_of_remote_credentials_swapped(desk: Desk) -> Path:
    url = desk.studio.elsewhere.url + "/manifest-1.c2pa"
    data = bare_sign(jpeg(), "image/jpeg", desk.studio.agency, CAPTURE, remote_url=url)
    assert data.count(b"manifest-1.c2pa") >= 1
    return desk.file(data.replace(b"manifest-1.c2pa", b"manifest-2.c2pa"))


# ---------------------------------------------------------------------------------- second pictures


@attack(
    CONFLICT, rule="hash-mismatch", why="a whole second picture after the first is outside of what was signed"
)
def second_picture_appended(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False)
    return desk.file(signed.read_bytes() + encode(photo("coffee", SMALL)))


@attack(
    INCONCLUSIVE,
    facts={"manifest.state": "absent"},
    why="the picture that programs show carries no credentials; what follows its end is not its own",
)
def second_picture_put_before_the_first(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False).read_bytes()
    return desk.file(encode(photo("coffee", SMALL)) + signed)


@attack(CONFLICT, rule="hash-mismatch")
def metadata_block_added_after_signing(desk: Desk) -> Path:
    data = desk.sign(desk.picture(), ledger=False).read_bytes()
    return desk.file(data[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x08" + data[2:])


@attack(CONFLICT, rule="hash-mismatch")
def text_chunk_added_after_signing(desk: Desk) -> Path:
    import struct
    import zlib

    data = desk.sign(desk.picture("png"), ledger=False).read_bytes()
    body = b"tEXtComment\0made by nobody"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return desk.file(data[:33] + chunk + data[33:], ".png")


# ---------------------------------------------------------------------------------- the boxes of a history


def _assertion(manifest: Box, label: bytes) -> tuple[Box, Box]:
    """Return the store of a manifest's assertions and the first of them whose label begins so."""
    held = manifest.child(b"c2pa.assertions")
    return held, next(b for b in held.inside if b.label.startswith(label))


@attack(CONFLICT, rule="hash-mismatch")
def needed_assertion_removed(desk: Desk) -> Path:
    """The action that says how it was made is taken out, and its place is filled."""
    carrier, root, manifest = _opened(desk.sign(desk.picture(), ledger=False))
    held, gone = _assertion(manifest, b"c2pa.actions")
    held.inside.remove(gone)
    _pad(manifest, len(gone.to_bytes()))
    return desk.file(carrier.with_store(root.to_bytes()))


@attack(
    INCONCLUSIVE,
    facts={"manifest.state": "malformed"},
    says="break the rules",
    why="the engine reads no store in which zeros stand for an assertion: no hash proves anything, nothing is believed",
)
def needed_assertion_emptied_as_if_redacted(desk: Desk) -> Path:
    """Zeros stand where the action stood, as a redaction leaves them, and nobody signed that."""
    carrier, root, manifest = _opened(desk.sign(desk.picture(), ledger=False))
    _, gone = _assertion(manifest, b"c2pa.actions")
    gone.inside[1].content = bytes(len(gone.inside[1].content))
    return desk.file(carrier.with_store(root.to_bytes()))


@attack(
    INCONCLUSIVE,
    facts={"manifest.state": "malformed"},
    says="break the rules",
    why="the engine reads no store in which what the claim names is missing: nothing of it is believed",
)
def hash_of_the_file_left_out_of_the_store(desk: Desk) -> Path:
    carrier, root, manifest = _opened(desk.sign(desk.picture(), ledger=False))
    held, gone = _assertion(manifest, b"c2pa.hash")
    held.inside.remove(gone)
    _pad(manifest, len(gone.to_bytes()))
    return desk.file(carrier.with_store(root.to_bytes()))


@attack(
    INCONCLUSIVE,
    facts={"manifest.state": "malformed"},
    says="break the rules",
    why="the engine reads no store with a foreign box in it: no hash proves anything, nothing is believed",
)
def box_that_nobody_signed_added(desk: Desk) -> Path:
    signed = desk.sign(desk.picture(), ledger=False)
    carrier, root, manifest = _opened(signed)
    extra = Box(b"free", b"\x1b[2J<script>alert(1)</script>".ljust(64))
    _pad(manifest, -len(extra.to_bytes()))
    root.inside.append(extra)
    return desk.file(carrier.with_store(root.to_bytes()))


@attack(CONFLICT, rule="broken-ingredient")
def credentials_of_an_ancestor_changed_inside_the_store(desk: Desk) -> Path:
    parent = bare_sign(
        jpeg(), "image/jpeg", desk.studio.wire, definition(created("digitalCapture"), title="first")
    )
    opened, part = definition({"action": "c2pa.edited"}), Part(parent, "image/jpeg")
    signed = bare_sign(jpeg(), "image/jpeg", desk.studio.agency, opened, parts=[part], edit=True)
    at = signed.index(b"digitalCapture")  # the ancestor stands first
    return desk.file(signed[:at] + b"digitalXapture" + signed[at + 14 :])


@attack(
    RECOVERED,
    facts={"recovered.by": "watermark"},
    why="the edit's own mark leads to the edit, and its history is kept",
)
def edited_with_history_then_stripped(desk: Desk) -> Path:
    first = desk.sign(desk.picture(size=LARGE), by=desk.studio.wire)
    edited = desk.sign(first, Claim(edit="brighter"), by=desk.studio.agency)
    return darkroom.resaved(desk, darkroom.pixels(edited), "png")


# ---------------------------------------------------------------------------------- updates and redactions

UPDATED = definition({"action": "c2pa.edited.metadata"})


@attack(
    CONFIRMED,
    facts={"axes.origin.signer": "Picture Agency"},
    why="an update by one house of what another signed",
)
def updated_by_another_house(desk: Desk) -> Path:
    signed = bare_sign(jpeg(), "image/jpeg", desk.studio.wire, CAPTURE)
    return desk.file(bare_sign(signed, "image/jpeg", desk.studio.agency, UPDATED, update=True))


@attack(CONFLICT, rule="hash-mismatch")
def changed_after_the_update(desk: Desk) -> Path:
    return _flipped(desk, updated_by_another_house(desk).read_bytes())


@attack(
    CONFLICT,
    rule="hash-mismatch",
    why="an update vouches for credentials, and their hash is that of other bytes",
)
def changed_before_the_update(desk: Desk) -> Path:
    signed = _flipped(desk, bare_sign(jpeg(), "image/jpeg", desk.studio.wire, CAPTURE))
    return desk.file(bare_sign(signed.read_bytes(), "image/jpeg", desk.studio.agency, UPDATED, update=True))


@attack(INCONCLUSIVE, facts={"axes.origin.status": "untrusted"}, says="calls itself “Reuters”")
def updated_by_someone_who_calls_himself_reuters(desk: Desk) -> Path:
    signed = bare_sign(jpeg(), "image/jpeg", desk.studio.wire, CAPTURE)
    return desk.file(bare_sign(signed, "image/jpeg", desk.studio.reuters, UPDATED, update=True))


@attack(
    CONFIRMED, why="the author's name may be taken out by whoever edits, and it is told that something was"
)
def authors_name_redacted(desk: Desk) -> Path:
    return _redacted(desk, "stds.schema-org.CreativeWork")


@attack(
    CONFLICT,
    rule="broken-ingredient",
    why="what was done to a picture may not be redacted; a trusted house that does so breaks the rules",
)
def actions_redacted_by_a_trusted_house(desk: Desk) -> Path:
    return _redacted(desk, "c2pa.actions.v2")


@attack(CONFLICT, rule="broken-ingredient", why="nor may the hash of the ancestor")
def hash_redacted_by_a_trusted_house(desk: Desk) -> Path:
    return _redacted(desk, "c2pa.hash.data")


def _flipped(desk: Desk, data: bytes) -> Path:
    start, length = darkroom.scan(data)
    at = start + length // 2
    return desk.file(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def _redacted(desk: Desk, what: str) -> Path:
    """Redact an author's name as the engine does; or let the trusted signer's claim name another assertion."""
    work = {"@context": "https://schema.org", "@type": "CreativeWork", "author": [{"name": "x"}]}
    said = {"label": "stds.schema-org.CreativeWork", "data": work}
    first = bare_sign(
        jpeg(), "image/jpeg", desk.studio.wire, definition(created("digitalCapture"), assertions=[said])
    )
    parent = taken_apart(first, "first", ".jpg")
    label = parsed(parent.store)[0].inside[-1].label.decode()
    uri = f"self#jumbf=/c2pa/{label}/c2pa.assertions/stds.schema-org.CreativeWork"
    actions = ({"action": "c2pa.edited"}, {"action": "c2pa.redacted", "parameters": {"redacted": uri}})
    made = bare_sign(
        first, "image/jpeg", desk.studio.agency, definition(*actions, redactions=[uri]), edit=True
    )
    path = desk.file(made)
    carrier, root, manifest = _opened(path)
    if uri.endswith(what):
        return path
    claim = manifest.child(b"c2pa.claim")
    ancestor = next(b for b in root.inside if b.label == label.encode())
    held = ancestor.child(b"c2pa.assertions")
    assert claim
    assert held
    named = cbor2.loads(claim.inside[1].content)
    named["redacted_assertions"] = [uri.replace("stds.schema-org.CreativeWork", what)]
    claim.inside[1].content = cbor2.dumps(named)
    held.inside.remove(next(b for b in held.inside if b.label == what.encode()))
    _pad(manifest, len(made) - len(carrier.with_store(root.to_bytes())))
    resealed(manifest, desk.studio.agency.key)
    assert len(carrier.with_store(root.to_bytes())) == len(made)
    return desk.file(carrier.with_store(root.to_bytes()))


# ---------------------------------------------------------------------------------- who stands by it


@attack(
    INCONCLUSIVE,
    facts={"axes.origin.status": "untrusted"},
    says="calls itself “Somebody”",
    never="Picture Agency",
    why="a listed house that is named as an identity does not make a stranger's signature one that counts",
)
def stranger_names_a_listed_house_as_identity(desk: Desk) -> Path:
    by, named = desk.studio.stranger, desk.studio.agency
    return desk.file(sign_with_identity(jpeg(), "image/jpeg", by, named, CAPTURE))


@attack(
    CONFIRMED,
    facts={"axes.origin.signer": "Picture Agency"},
    never="Reuters",
    why="the signer vouches; an identity that is on no list is shown apart and named in no headline",
)
def signer_names_someone_who_calls_himself_reuters_as_identity(desk: Desk) -> Path:
    by, named = desk.studio.agency, desk.studio.reuters
    return desk.file(sign_with_identity(jpeg(), "image/jpeg", by, named, CAPTURE))
