"""What the chain tests run: the Solidity compiler and an anvil node, both from npm, and proxies that misbehave.

``npm ci`` of ``tests/node`` puts them into ``.venv/node`` (``make test`` does it); ASSAY_NODE names another place.
Run as a program it compiles the contract and writes its build beside the source.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[3]
NODE = Path(os.environ.get("ASSAY_NODE") or ROOT / ".venv" / "node") / "node_modules"
CONTRACT = ROOT / "ledger" / "anchors" / "contract"
SOURCE = CONTRACT / "CheckpointAnchor.sol"
BUILD = CONTRACT / "CheckpointAnchor.json"
# What decides the bytes. No metadata: the same source gives the same bytes wherever it lies. Shanghai: the newest
# instruction it uses is PUSH0, which every chain of note has had since 2024.
COMPILER_SETTINGS = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": False,
    "evmVersion": "shanghai",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
_COMPILE = (
    "const s=require(process.argv[1]);let d='';"
    "process.stdin.on('data',c=>d+=c).on('end',()=>console.log(JSON.stringify([s.version(),s.compile(d)])))"
)


def solidity_missing() -> str:
    """Why the contract cannot be compiled here, or ""."""
    if not shutil.which("node"):
        return "no node: the Solidity compiler comes from npm"
    return "" if (NODE / "solc").is_dir() else f"no solc in {NODE}: run 'npm ci --prefix' there (tests/node)"


def anvil_binary() -> Path | None:
    """The native program: npm's own starter leaves its child alive when it is ended."""
    packaged = NODE / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
    found = str(packaged) if packaged.exists() else shutil.which("anvil")
    return Path(found) if found else None


def compile_contract() -> dict[str, Any]:
    """Compile the contract with the pinned settings into the document that ships as package data."""
    source = SOURCE.read_text("utf-8")
    wanted = {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}}
    task = {
        "language": "Solidity",
        "sources": {SOURCE.name: {"content": source}},
        "settings": {**COMPILER_SETTINGS, "outputSelection": wanted},
    }
    done = subprocess.run(
        ["node", "-e", _COMPILE, str(NODE / "solc")],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
    )
    version, answer = json.loads(done.stdout)
    answer = json.loads(answer)
    assert not answer.get("errors"), answer["errors"]
    built = answer["contracts"][SOURCE.name]["CheckpointAnchor"]
    return {
        "type": "assay.contract/v1",
        "name": "CheckpointAnchor",
        "source": SOURCE.name,
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        "compiler": f"solc {version.split('.Emscripten')[0]}",
        "settings": COMPILER_SETTINGS,
        "abi": built["abi"],
        "bytecode": built["evm"]["bytecode"]["object"],
        "runtime": built["evm"]["deployedBytecode"]["object"],
    }


# -------------------------------------------------------------------------------------------------- the node

# anvil's first development key: the same one on every machine, never used for anything of value.
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WRITER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
SECOND_KEY = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
CHAIN_ID = 31337
EPOCH = 4
"""Slots in an epoch: anvil's finalized block is two epochs behind the newest."""


class Anvil:
    """A real EVM node on loopback that makes blocks when it is told to."""

    def __init__(self, binary: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [
            str(binary),
            "--port",
            str(self.port),
            "--silent",
            "--no-mining",
            "--slots-in-an-epoch",
            str(EPOCH),
        ]
        self._process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                self.rpc("eth_chainId")
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.close()
                raise RuntimeError("anvil did not start")
            time.sleep(0.02)

    def rpc(self, method: str, *params: Any) -> Any:
        return rpc(self.url, method, *params)

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks), "0xc")

    def finalize(self) -> None:
        """Make enough blocks for what is in the newest one to be final."""
        self.mine(2 * EPOCH + 1)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rpc(url: str, method: str, *params: Any) -> Any:
    """Ask a node; raises RuntimeError with its error."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=10) as answer:
        document = json.load(answer)
    if "error" in document:
        raise RuntimeError(document["error"])
    return document["result"]


# ------------------------------------------------------------------------------------------------- the liars

Alter = Callable[[str, list[Any], Any], Any]
"""Called with method, parameters and the honest result; returns what is answered instead."""


class Silence(Exception):
    """Raised by a proxy's rules: the connection is closed without an answer."""


@dataclass
class Proxy:
    """An RPC endpoint between the program and a node: it may lie, go silent before or after it has asked the node."""

    upstream: str
    alter: Alter = lambda method, params, result: result
    before: Callable[[str], None] = lambda method: None
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                task = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                method, params = task["method"], task["params"]
                proxy.asked.append(method)
                try:
                    proxy.before(method)
                    request = Request(
                        proxy.upstream, json.dumps(task).encode(), {"Content-Type": "application/json"}
                    )
                    with urlopen(request, timeout=10) as answer:
                        document = json.load(answer)
                    if "result" in document:
                        document["result"] = proxy.alter(method, params, document["result"])
                except Silence:
                    self.close_connection = True
                    return
                body = (
                    document["result"]
                    if isinstance(document.get("result"), bytes)
                    else json.dumps(document).encode()
                )
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has read enough hangs up: that is its right."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    BUILD.write_text(json.dumps(compile_contract(), indent=1) + "\n")
