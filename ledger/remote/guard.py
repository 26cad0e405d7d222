"""What stands before every answer of the server: the host's name, headers that browsers obey, a log of accesses."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assay.provenance.text import safe_text

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Lets requests through that name a known host; turns any fault of ours into a plain 500.

    A page elsewhere that makes a browser ask this machine (DNS rebinding) names its own host and is refused. No
    CORS header is ever sent, so that no page elsewhere can read an answer.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], say: Callable[[str], None]) -> None:
        self._app, self._hosts, self._say = app, hosts, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began, status, sent = time.monotonic(), 0, 0

        async def guarded(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            if self._is_known(scope):
                await self._app(scope, receive, guarded)
            else:
                await _plain(guarded, 421, "this ledger is not served under that name")
        except Exception as error:  # nothing of it is told to the client
            self._say(safe_text(f"fault: {type(error).__name__}: {error}", 500))
            if not status:
                await _plain(guarded, 500, "the server failed")
        self._say(_line(scope, status, sent, time.monotonic() - began))

    def _is_known(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(given[0].decode("latin-1").lower()) if len(given) == 1 else None
        return match is not None and match[1] in self._hosts


def _line(scope: Scope, status: int, sent: int, seconds: float) -> str:
    """Return a line for the access log: no address and no header, since look-ups are meant to be private."""
    query = scope["query_string"].decode("latin-1")
    path = scope["path"] + (f"?{query}" if query else "")
    who = scope.get("assay.who", "-")
    return safe_text(f"{scope['method']} {path} {status} {sent} {seconds * 1000:.0f}ms {who}", 1000)


async def _plain(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message, "hint": ""}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
