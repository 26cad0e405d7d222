"""What anchors need round them: a context whose clock stands still, checkpoints, a calendar on loopback."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from pathlib import Path

from assay.ledger.anchors.context import Context
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.provenance.net import Net

NOW = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
SIGNER = NoteSigner.from_seed("example.org/ledger", b"seed of the anchors' test ledger")


def context(home: Path, now: dt.datetime = NOW) -> Context:
    """Return a context whose time stands still and whose network is loopback's."""
    return Context(
        home=home,
        now=lambda: now,
        read_secret=lambda uri: b"",
        net=lambda: Net(seconds=5),
        random=random.Random(3).randbytes,
    )


def checkpoint(size: int = 7) -> str:
    """Return a signed checkpoint of an imaginary ledger."""
    root = hashlib.sha256(b"root %d" % size).digest()
    return sign_note(Checkpoint(SIGNER.name, size, root).to_text(), SIGNER)
