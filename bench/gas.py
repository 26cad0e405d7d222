"""Measure what a checkpoint costs on an EVM chain: gas on a real node, money a file at stated prices.

    python bench/gas.py                 a table
    python bench/gas.py --json          the same for machines

Starts the anvil node that 'make test' installs (.venv/node), or one on the PATH, on loopback; everything goes the
way that 'assay ledger contract deploy' and 'assay ledger anchor' go.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from assay.ledger.anchors.chain import Account, Endpoint
from assay.ledger.anchors.context import Context
from assay.ledger.anchors.evm import EvmAnchor, open_endpoints
from assay.ledger.anchors.evm_deploy import deploy, deployed
from assay.ledger.anchors.evm_fees import GWEI
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.provenance.anchor import AnchorRecord
from assay.provenance.errors import NetworkError
from assay.provenance.net import Net

CHAIN_ID = 31337
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's first development key
ORIGIN = "bench.example/ledger"
GAS_PRICES = (0.05, 0.5, 5, 30)
"""Gwei for a unit of gas: a layer 2, and Ethereum when it is quiet, busy, very busy."""
ETHER_PRICE = 3000
"""Dollars; an assumption, as the gas prices are. Multiply."""
BATCHES = (1_000, 1_000_000)
GOAL = 40_000


class Records:
    """A journal that lasts as long as the measurement."""

    def __init__(self) -> None:
        self.kept: dict[int, AnchorRecord] = {}

    def save(self, record: AnchorRecord) -> AnchorRecord:
        """Keep a record."""
        record = record if record.id else replace(record, id=len(self.kept) + 1)
        self.kept[record.id] = record
        return record

    def records(self, name: str = "") -> list[AnchorRecord]:
        """Return the records of one anchor, or all."""
        return [record for record in self.kept.values() if name in ("", record.name)]


def find_anvil() -> str:
    packaged = Path(__file__).parents[1] / ".venv/node/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    found = str(packaged) if packaged.exists() else shutil.which("anvil")
    if not found:
        sys.exit("no anvil: 'make test' installs it for Linux on x86-64, or put one on the PATH")
    return found


def start(binary: str, context: Context) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    node = subprocess.Popen([binary, "--port", str(port), "--silent"], stdout=subprocess.DEVNULL)
    endpoint: Endpoint = open_endpoints([url], context, "", "bench")[0]
    for _ in range(200):
        try:
            endpoint.chain_id()
            return node, url
        except NetworkError:
            time.sleep(0.05)
    node.kill()
    sys.exit("anvil did not start")


def measure(url: str, context: Context, rounds: int) -> dict[str, object]:
    """Deploy, anchor ``rounds`` checkpoints of a growing log, and return the gas that each took."""
    endpoints = open_endpoints([url], context, "", "bench")
    sent = deploy(endpoints, CHAIN_ID, Account.load(KEY.encode(), bytes, "bench"), 50 * GWEI)
    made = deployed(endpoints, CHAIN_ID, sent.tx)
    settings = {
        "kind": "evm",
        "chain_id": CHAIN_ID,
        "contract": made.address,
        "rpc": [url],
        "key": "env:KEY",
    }
    anchor, journal, signer = (
        EvmAnchor("bench", settings, context),
        Records(),
        NoteSigner.from_seed(ORIGIN, bytes(32)),
    )
    used, started = [], time.perf_counter()
    for number in range(1, rounds + 1):
        note = sign_note(Checkpoint(ORIGIN, number * 1_000_003, os.urandom(32)).to_text(), signer)
        record = anchor.publish(note, journal)
        used.append(record.detail["mined"]["gas_used"])
    seconds = time.perf_counter() - started
    return {
        "deploy": made.gas_used,
        "first": used[0],
        "next_min": min(used[1:]),
        "next_max": max(used[1:]),
        "checkpoints_per_second": rounds / seconds,
    }


def costs(gas: int) -> list[dict[str, float]]:
    table = []
    for price in GAS_PRICES:
        dollars = gas * price * 1e-9 * ETHER_PRICE
        row = {"gwei": price, "checkpoint": dollars, "year_daily": 365 * dollars}
        table.append(row | {f"file_at_{batch}": dollars / batch for batch in BATCHES})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="checkpoints to anchor (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    context = Context(Path(), lambda: dt.datetime.now(dt.UTC), lambda uri: KEY.encode(), Net)
    node, url = start(find_anvil(), context)
    try:
        gas = measure(url, context, max(2, options.rounds))
    finally:
        node.kill()
        node.wait()
    table = costs(int(str(gas["next_max"])))
    if options.json:
        print(json.dumps({"gas": gas, "goal": GOAL, "ether_dollars": ETHER_PRICE, "costs": table}))
        return
    print("gas, measured on anvil")
    for name, value in gas.items():
        print(f"  {name:<24}{value:>12,.1f}" if isinstance(value, float) else f"  {name:<24}{value:>12,}")
    met = "met" if int(str(gas["next_max"])) <= GOAL else "MISSED"
    print(f"  goal: a checkpoint for at most {GOAL:,} gas: {met}\n\ndollars, at {ETHER_PRICE} an ether")
    print(
        f"  {'gwei':>6}{'checkpoint':>14}{'daily, a year':>16}"
        + "".join(f"{f'file at {b:,}':>20}" for b in BATCHES)
    )
    for row in table:
        files = "".join(f"{row[f'file_at_{batch}']:>20.2e}" for batch in BATCHES)
        print(f"  {row['gwei']:>6}{row['checkpoint']:>14.4f}{row['year_daily']:>16.2f}{files}")


if __name__ == "__main__":
    main()
