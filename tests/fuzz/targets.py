"""Every parser of ours that reads what others wrote: a valid document for each, and what reads it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from assay.detect.card import Card
from assay.detect.graph import read_graph
from assay.detect.panels import read_fusion
from assay.detect.store import SHIPPED
from assay.ledger.custody.statement import Envelope
from assay.ledger.log import SqlLog
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.tlog.proof import read_receipt, verify_receipt
from assay.ledger.witness.witness import AddCheckpoint
from assay.provenance.asset import Digest
from assay.provenance.event import Details, Event, EventSubject
from assay.provenance.files import xmp
from assay.provenance.keys.denied import DENIED_TYPE, read_denials
from assay.provenance.keys.trust import read_certificates
from assay.provenance.leaf import read_leaf
from assay.provenance.policy import read_policy
from assay.provenance.settings import read_settings
from tests.ledger.worlds import ORIGIN, entry

SEEDS = Path(__file__).parent / "seeds"
"""Inputs that once did harm, by target: each is tried in every run."""

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>
</rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True)
class Target:
    """A parser: its valid documents, what reads bytes, whether it is text (UTF-8) that is read."""

    name: str
    documents: tuple[bytes, ...]
    read: Callable[[bytes], object]


def targets(folder: Path) -> list[Target]:
    """Return all targets; documents that need a ledger are made in ``folder``."""
    signer = NoteSigner.from_seed(ORIGIN, b"test seed of the ledger room 123")
    with SqlLog.create(f"sqlite:///{folder / 'ledger.db'}", ORIGIN, signer) as log:
        log.append_many([(entry(n), None) for n in range(5)])
        receipt = log.receipt(3).text.encode()
    note = sign_note(Checkpoint(ORIGIN, 7, leaf_hash(b"x")).to_text(), signer)
    event = Event(
        id="0123456789abcdef" * 2,
        kind="published",
        actor=Digest.of(b"someone"),
        role="desk",
        subjects=(EventSubject(Digest.of(b"picture"), "urn:c2pa:1"),),
        time="2026-11-21T10:00:00Z",
        software="Assay/0.1.0",
    )
    envelope = {"payload": "aGVsbG8=", "payloadType": "application/vnd.in-toto+json", "signatures": []}
    envelope["signatures"] = [{"keyid": "a", "sig": "AAAA"}]
    shipped = sorted(SHIPPED.glob("*/card.json"))
    network = min((p.with_name("weights.onnx").read_bytes() for p in shipped), key=len)[:60_000]
    data = Path(read_policy.__code__.co_filename).parent / "data"
    return [
        Target("policy", tuple(p.read_bytes() for p in sorted(data.glob("policy-*.toml"))), _policy),
        Target("card", tuple(p.read_bytes() for p in shipped), Card.from_bytes),
        Target("panel", ((SHIPPED / "panel.json").read_bytes(),), _file(read_fusion)),
        Target("graph", (network,), read_graph),
        Target("receipt", (receipt,), lambda b: verify_receipt(read_receipt(_text(b)), [signer.vkey])),
        Target("tlog-policy", (f"log {signer.vkey}\nquorum none\n".encode(),), TlogPolicy.parse),
        Target("add-checkpoint", (b"old 0\n\n" + note.encode(),), AddCheckpoint.parse),
        Target("leaf", (entry(1).to_bytes(), entry(2).to_bytes()), read_leaf),
        Target("event", (event.to_bytes(), replace(event, role="").to_bytes()), Event.from_bytes),
        Target("details", (b'{"type":"assay.details/v1"}',), Details.from_bytes),
        Target("envelope", (json.dumps(envelope).encode(),), Envelope.from_bytes),
        Target("xmp", (XMP,), xmp.parse),
        Target("settings", (b'policy = "newsroom"\ndetectors = ["image"]\n',), _file(read_settings)),
        Target(
            "denials",
            (f'type = "{DENIED_TYPE}"\n[[revoked]]\nserial = "01ab"\n'.encode(),),
            _file(read_denials),
        ),
        Target(
            "certificates",
            (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",),
            _certificates,
        ),
    ]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _policy(data: bytes) -> object:
    return read_policy(data, "policy")


def _certificates(data: bytes) -> object:
    return read_certificates(data, "list")


def _file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return what reads bytes from a file as ``read`` does."""

    def from_bytes(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "document"
            path.write_bytes(data)
            return read(path)

    return from_bytes
