from __future__ import annotations

import http.server
import threading
from contextlib import ExitStack
from functools import partial

import pytest

from assay.ledger.tlog.cosignature import ED25519_COSIGNATURE, Cosigner
from assay.ledger.tlog.policy import TlogPolicy


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
