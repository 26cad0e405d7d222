from __future__ import annotations

import http.server
import random
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from assay.ledger.remote.guard import LOOPBACK_NAMES
from assay.ledger.remote.plugin import HttpLedger
from assay.ledger.remote.server import Terms, application
from assay.ledger.remote.tokens import Tokens
from assay.ledger.remote.wire import MAX_APPEND_BYTES
from assay.ledger.serving import Server
from assay.ledger.tlog.cosignature import ED25519_COSIGNATURE, Cosigner
from assay.ledger.tlog.policy import TlogPolicy
from assay.provenance.net import Net

from ..worlds import ORIGIN


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    """Serve folders with Python's own web server, which knows nothing of logs: web(folder) -> URL."""
    with ExitStack() as stack:

        def serve(folder):
            server = stack.enter_context(
                http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
            )
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield serve


@pytest.fixture
def witness():
    return Cosigner.from_seed("witness.example/w1", ED25519_COSIGNATURE, bytes(31) + b"w")


@pytest.fixture
def cosigned(log, witness):
    """Have the log's head cosigned, and kept so: cosigned() -> note."""

    def keep():
        note = log.checkpoint()
        return log.keep_checkpoint(note + witness.cosign(note.rpartition("\n\n")[0] + "\n", 1_790_000_000))

    return keep


@pytest.fixture
def quorum(signer, witness):
    """The policy that asks for the witness."""
    return TlogPolicy.parse(f"log {signer.vkey}\nwitness w {witness.key.vkey}\nquorum w\n".encode())


class Seen:
    """An application in front of another: notes what was asked, and changes answers as ``lie`` says.

    ``lie(path, status, body) -> (status, body)`` is called with whole answers; ``drop(path)`` breaks the
    connection instead of answering, after the application has done its work.
    """

    def __init__(self, app):
        self.app = app
        self.asked = []
        self.lie = lambda path, status, body: (status, body)
        self.drop = lambda path: False

    async def __call__(self, scope, receive, send):
        request = scope["path"] + "?" + scope["query_string"].decode()
        parts = []
        status, headers = 0, []

        async def keep(message):
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            else:
                parts.append(message.get("body", b""))

        message = await receive()

        async def again():
            return message

        self.asked.append((request, dict(scope["headers"]), message.get("body", b"")))
        await self.app(scope, again, keep)
        if self.drop(scope["path"]):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b""})  # the server then breaks off
        status, body = self.lie(request, status, b"".join(parts))
        headers = [(k, v) for k, v in headers if k != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Station:
    """A ledger server on loopback."""

    url: str
    seen: Seen
    lines: list[str]
    tokens: Tokens
    folder: Path
    vkey: str

    def client(self, name="client", token="", policy=None, url="") -> HttpLedger:
        vkeys = [] if policy else [self.vkey]
        policies = [policy.to_bytes()] if policy else []
        return HttpLedger.open(
            url or self.url,
            origin=ORIGIN,
            folder=self.folder / name,
            vkeys=vkeys,
            policies=policies,
            token=token.encode if token else None,
            net=Net(seconds=10),
        )

    def token(self, name="desk"):
        return self.tokens.new(name, "2026-11-21", random.Random(name).randbytes)


@pytest.fixture
def serve(tmp_path):
    """Serve a log: serve(log, **terms) -> Station."""
    with ExitStack() as stack:

        def start(log, **terms):
            lines: list[str] = []
            tokens = Tokens(tmp_path / "append.tokens")
            chosen = {"hosts": LOOPBACK_NAMES, "tokens": tokens, "say": lines.append, **terms}
            seen = Seen(application(log, Terms(**chosen)))
            server = stack.enter_context(Server(seen, max_body=MAX_APPEND_BYTES))
            return Station(server.url, seen, lines, tokens, tmp_path, log.vkey)

        yield start


@pytest.fixture
def station(serve, log):
    return serve(log)
