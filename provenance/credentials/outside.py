"""What a signature needs from outside: a time-stamp, or a signer that is elsewhere. The parent gets both.

The child that signs has no way out. The engine's request for a time-stamp ends at a listener of that child itself,
which hands it to the parent; the parent sends it to the authority that the user named, through the guarded fetcher.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import TYPE_CHECKING

from assay.provenance.errors import CredentialError, MalformedError, NetworkError
from assay.provenance.files.loopback import Loopback
from assay.provenance.files.questions import REPLY_BYTES, Questions
from assay.provenance.keys.signers import Signer
from assay.provenance.text import safe_text

if TYPE_CHECKING:
    from assay.provenance.fetcher import Fetcher

REQUEST_BYTES = 512
"""Longest request for a time-stamp: it holds one digest."""
_STAMP, _SIGN = b"T", b"S"
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


def time_stamp(url: str, request: bytes, fetcher: Fetcher | None = None) -> bytes:
    """Return what the RFC 3161 authority at ``url``, which the user named, answers to ``request``, both DER.

    Without a ``fetcher``, by one that may also reach the user's own network. Raises NetworkError, and UsageError for
    what is no http or https URL.
    """
    from assay.provenance.fetcher import Fetcher

    guarded = fetcher or Fetcher(named_by_user=True, max_bytes=REPLY_BYTES)
    try:
        # A time-stamp proves by itself who made it, and authorities offer http as often as https.
        return guarded.get(url, (_REPLY,), signed=True, body=request, headers={"Content-Type": _QUERY})
    except NetworkError as error:
        raise NetworkError(
            f"the time-stamp authority {safe_text(url, 200)} did not give a time-stamp: {error.message}",
            hint="nothing was written; check the address, or sign without --tsa",
        ) from error


def desk(signer: Signer, stamp: Callable[[bytes], bytes] | None) -> Questions:
    """Return what answers a signing child: one signature by ``signer``, and one time-stamp by ``stamp``."""
    given: set[bytes] = set()

    def answer(question: bytes) -> bytes:
        kind, message = question[:1], question[1:]
        if kind not in given:
            given.add(kind)
            if kind == _STAMP and stamp and len(message) <= REQUEST_BYTES:
                return stamp(message)
            if kind == _SIGN:
                return _signed(signer, message)
        raise MalformedError("made its signing ask for what it may not have")

    return Questions(answer)


def _signed(signer: Signer, message: bytes) -> bytes:
    try:
        return signer.sign(message)
    except Exception as error:  # whatever a plug-in raises
        raise CredentialError(f"the signer failed: {safe_text(error, 200)}") from error


class SignerElsewhere:
    """In the child: a signer that asks the parent, which holds the real one."""

    def __init__(self, signer: Signer, questions: Questions) -> None:
        self.alg, self.chain = signer.alg, signer.chain
        self._questions = questions

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``."""
        return self._questions.ask(_SIGN + message)


class Relay:
    """In the child: a time-stamp authority on its own loopback that asks the parent; it ends with the child."""

    def __init__(self, loopback: Loopback, questions: Questions) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdecimal() or int(length) > REQUEST_BYTES:
                    self.send_error(413)
                    return
                token = questions.ask(_STAMP + self.rfile.read(int(length)))
                self.send_response(200)
                self.send_header("Content-Type", _REPLY)
                self.send_header("Content-Length", str(len(token)))
                self.end_headers()
                self.wfile.write(token)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.url = f"http://127.0.0.1:{loopback.port}/"
        self._server = TCPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        assert loopback.listener is not None
        self._server.socket = loopback.listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._server.handle_request()
