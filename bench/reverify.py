"""How fast `assay reverify` passes over reports that nothing changed for, and over those of a signer then revoked.

    python bench/reverify.py --reports 100000

Prints one line a case: reports, how many were examined and changed, seconds, reports a second,
and how loaded the machine was. One report in a thousand
is of the revoked signer; its file is gone, so that the manifest that the ledger kept is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from PIL import Image

from assay.provenance.claim import Claim
from assay.provenance.furnish import TRUST
from assay.provenance.keys.denied import DENIED, Denial, write_denials
from assay.provenance.past import read_reports
from assay.provenance.reverify import Reverification
from assay.provenance.settings import KEYS
from assay.provenance.workspace import SignOptions, Workspace

CHECKS = ("manifest", "receipt")
SHARE = 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=100_000, help="how many  [default: 100000]")
    count = parser.parse_args().reports
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workspace = Workspace.init(home / "workspace")
        pem = (workspace.home / KEYS / "development-authority.pem").read_bytes()
        workspace.trust.add(pem, name="own", kind="signer", source="bench", date=workspace.now().date())
        report = _report(workspace, home)
        _pass("nothing changed", workspace, _write(home, report, count, serial="1" * 20))
        write_denials(workspace.home / TRUST / DENIED, [Denial(report["manifest"]["signer"]["serial"])])
        _pass("one signer revoked", workspace, _write(home, report, count, serial="1" * 20))


def _report(workspace: Workspace, home: Path) -> dict:
    source, signed = home / "in.jpg", home / "out.jpg"
    Image.new("RGB", (64, 48), (90, 120, 60)).save(source)
    workspace.sign_file(source, signed, Claim(source_type="digitalCapture"), SignOptions(mark=False))
    document = workspace.verify(signed, checks=CHECKS).to_json()
    signed.unlink()
    return document


def _write(home: Path, report: dict, count: int, serial: str) -> Path:
    """Write ``count`` reports, of which one in a thousand keeps its signer and all others are of another."""
    signer = {**report["manifest"]["signer"], "serial": serial}
    own, other = (
        json.dumps(r) + "\n"
        for r in (report, {**report, "manifest": {**report["manifest"], "signer": signer}})
    )
    path = home / "reports.jsonl"
    with path.open("w") as stream:
        stream.writelines(own if n % SHARE == 0 else other for n in range(count))
    return path


def _pass(name: str, workspace: Workspace, path: Path) -> None:
    start, spent = time.perf_counter(), sum(os.times()[:4])
    looking = Reverification(workspace)
    found = [looking.look(report) for report in read_reports(path)]
    seconds, spent = time.perf_counter() - start, sum(os.times()[:4]) - spent
    changed = sum(again.changed for again in found)
    examined = sum(bool(again.examined) for again in found)
    print(
        f"{name:20} {len(found):8} reports  {examined:6} examined  {changed:6} changed  {seconds:7.1f} s"
        f"  {spent:6.1f} s of processor time  {len(found) / seconds:8.0f} a second  load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
