"""What the ledger's benchmarks share: entries of imaginary files, a log to put them in, and a table."""

from __future__ import annotations

import json
from pathlib import Path

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Recovery
from assay.provenance.mark import Mark

ORIGIN = "bench.example/ledger"
SCHEME = "org.example.mark.1"
SIGNER = NoteSigner.from_seed(ORIGIN, bytes(32))
MANIFEST, BY = Digest.of(b"manifest"), Digest.of(b"signer")


def new_log(folder: str) -> SqlLog:
    """Make an empty ledger in a folder."""
    return SqlLog.create(f"sqlite:///{folder}/ledger.db", ORIGIN, SIGNER)


def new_entry(number: int, recovery: Recovery | None = None) -> Entry:
    """Return the entry of a signed picture, all fields filled."""
    return Entry(
        digest=Digest.of(b"%d" % number),
        media_type="image/jpeg",
        size=number,
        time="2026-11-21T08:00:00Z",
        mark=Mark(SCHEME, f"{number:016x}"),
        manifest=MANIFEST,
        manifest_label=f"urn:c2pa:{number:08x}",
        signer=BY,
        recovery=recovery.digest if recovery else None,
        source_type="trainedAlgorithmicMedia",
        generator="bench/1",
    )


def show(figures: dict[str, dict[str, float]], file: Path | None) -> None:
    """Print tables of figures, and write them to a file."""
    for title, lines in figures.items():
        print(title)
        for name, value in lines.items():
            print(f"  {name:<62} {value:>12,.{0 if abs(value) >= 20 or value == int(value) else 2}f}")
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n")
