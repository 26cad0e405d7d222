"""Runs a web application on this machine, within limits, and stops it gently: the only home of the web server.

It speaks plain HTTP and binds to loopback; a front server in between adds TLS and the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assay.provenance.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 256
"""Most connections served at once; more are answered 503."""
MAX_HEAD_BYTES = 16 << 10
"""Largest request line with headers."""
KEEP_ALIVE_SECONDS = 15
"""How long an idle connection is kept."""
BODY_SECONDS = 10.0
"""Longest that a request's body may take to arrive."""
STOP_SECONDS = 5
"""How long running requests may take to end once the server was told to stop."""
BACKLOG = 256


class Server:
    """An ASGI application behind one listening socket, bound at once; ``port`` 0 takes any that is free.

    A request's body is read whole before the application sees it: over ``max_body`` bytes it is answered 413,
    one that arrives too slowly 408. Call ``run``, or use it in ``with`` to serve from a thread of its own.
    Raises ConfigurationError where the address cannot be had.
    """

    def __init__(self, app: ASGIApp, *, max_body: int, host: str = LOOPBACK, port: int = 0) -> None:
        self._socket = _listen(host, port)
        # Inherited by what is accepted: else an answer's body waits 40 ms for the client to acknowledge its head.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                _Bounded(app, max_body),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is served, without a final slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self, ready: Callable[[str], None]) -> None:
        """Call ``ready`` with the URL and serve until SIGINT or SIGTERM; running requests are ended first."""
        ready(self.url)  # the socket listens already
        with self._socket, contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_SECONDS + 1)
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"{host} port {port} cannot be served: {error.strerror}", hint="name another port"
        ) from error


class _Bounded:
    """Reads a request's body within limits before the application is called."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await asyncio.wait_for(self._body(scope, receive), BODY_SECONDS)
        except TimeoutError:
            await _refuse(send, 408, b"the request's body did not arrive in time\n")
        except _TooLargeError:
            await _refuse(send, 413, b"the request's body is larger than %d bytes\n" % self._max_body)
        else:
            if body is not None:  # else the client has gone: half a body is no request
                await self._app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if int(length) > self._max_body:  # the server has checked that it is a number
            raise _TooLargeError
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body:
                raise _TooLargeError
            more = message.get("more_body", False)
        return bytes(body)


class _TooLargeError(Exception):
    pass


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body in one message, and then what the server says next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def _refuse(send: Send, status: int, words: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(words)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
