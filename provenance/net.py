"""The one HTTP client: bounded in time and bytes, no redirects, no proxies from the environment, TLS verified."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RDWR, socket
from types import TracebackType
from typing import Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
    TimeoutError,  # noqa: A004  (urllib3's own, of connecting and of reading)
)
from urllib3.util import Url, parse_url

from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.text import safe_text

SECONDS = 20.0
"""Longest that one request may take, from the connection to the last byte of the answer."""
MAX_BYTES = 8 << 20
"""Largest answer taken."""
CONNECTIONS = 8
"""Most connections kept open to one host."""
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: ``status``, ``headers`` by lower-case name, the whole ``body``."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Watch:
    """Breaks a connection off when its time is up, whatever the server drips meanwhile."""

    def __init__(self, sock: socket, seconds: float) -> None:
        self.expired = False
        self._sock = sock  # kept here: an answer without a length takes it from its connection
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        self.expired = True
        with suppress(OSError):  # closed meanwhile
            self._sock.shutdown(SHUT_RDWR)

    def end(self) -> None:
        self._timer.cancel()


_WATCH = threading.local()  # the watch of the request that this thread is making


class _WatchedHTTP(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own
        _WATCH.current = _Watch(self.sock, _WATCH.seconds)
        return super().getresponse()


class _WatchedHTTPS(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own
        _WATCH.current = _Watch(self.sock, _WATCH.seconds)
        return super().getresponse()


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


class Net:
    """Connections kept open between requests, safe to share between threads; close it, or use it in ``with``.

    ``seconds`` bounds one request as a whole (connecting and answering each have that long), ``max_bytes`` an
    answer. Nothing is repeated: whoever asks decides whether asking twice is safe.
    """

    def __init__(self, *, seconds: float = SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self.seconds = seconds
        self.max_bytes = max_bytes
        self._pools = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
            headers={"User-Agent": "assay"},
        )
        self._pools.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        address: str | None = None,
    ) -> Answer:
        """Send one request and return the answer, of whatever status; redirects are answers too.

        ``url`` is http or https. ``address`` is the IP address to connect to in place of what the host's name
        resolves to; who answers must all the same prove, over https, that it is the host of the URL. Raises
        UsageError for any other URL; NetworkError where the host cannot be reached or is not who it says, answers
        too late, too much, or not in HTTP. No message shows more of the URL than scheme and host: the rest may hold
        a secret.
        """
        place = _place(url)
        limit = self.max_bytes if max_bytes is None else max_bytes
        _WATCH.seconds, _WATCH.current = self.seconds, None
        try:
            response = self._send(method, url, body, {"User-Agent": "assay", **(headers or {})}, address)
            try:
                answer = _read(response, limit, place)
            finally:
                response.close() if _expired() else response.release_conn()
        except HTTPError as error:
            raise self._in_words(error, place) from error
        finally:
            watch: _Watch | None = _WATCH.current
            if watch is not None:
                watch.end()
        if _expired():  # an answer without a length ends where its connection was broken off
            raise self._late(place)
        return answer

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], address: str | None
    ) -> urllib3.BaseHTTPResponse:
        if address is None:
            return self._pools.request(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        parts = parse_url(url)
        host, secure = str(parts.host).strip("[]"), parts.scheme == "https"
        pool = self._pools.connection_from_host(
            address,
            parts.port or (443 if secure else 80),
            parts.scheme,
            {"server_hostname": host, "assert_hostname": host} if secure else None,
        )
        return pool.urlopen(
            method,
            parts.request_uri,
            body=body,
            headers={"Host": str(parts.netloc), **headers},
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _late(self, place: str) -> NetworkError:
        return NetworkError(f"{place} did not answer within {self.seconds:g} seconds", hint="try again later")

    def _in_words(self, error: HTTPError, place: str) -> NetworkError:
        if _expired():
            return self._late(place)
        if isinstance(error, NameResolutionError):
            return NetworkError(f"{place} is not known", hint="check the name, and the network")
        if isinstance(error, NewConnectionError):
            reason = safe_text(str(error).rpartition(": ")[2], 120)
            return NetworkError(f"{place} cannot be reached: {reason}", hint="is it running?")
        if isinstance(error, TimeoutError):
            return self._late(place)
        if isinstance(error, SSLError):
            return NetworkError(
                f"{place} did not prove who it is: {safe_text(error, 200)}", hint="nothing was sent to it"
            )
        return NetworkError(f"{place} did not answer in HTTP, or broke off: {safe_text(error, 200)}")


def _expired() -> bool:
    watch: _Watch | None = _WATCH.current
    return watch is not None and watch.expired


def _place(url: str) -> str:
    """Return scheme and host for messages; raises UsageError for what is not an http or https URL."""
    try:
        parts: Url = parse_url(url)
    except LocationValueError as error:
        raise UsageError(f"not a URL: {safe_text(url, 80)!r}") from error
    if parts.scheme not in ("http", "https") or not parts.host or not url.isprintable() or " " in url:
        raise UsageError(f"not an http or https URL: {safe_text(url, 80)!r}")
    if parts.auth:
        raise UsageError("a URL with a password is not used", hint="it would end up in logs and messages")
    port = f":{parts.port}" if parts.port else ""
    return safe_text(f"{parts.scheme}://{parts.host}{port}", 200)


def _read(response: urllib3.BaseHTTPResponse, limit: int, place: str) -> Answer:
    """Read the body, at most ``limit`` bytes, as it was sent."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    too_large = NetworkError(f"{place} answered with more than {limit} bytes")
    if headers.get("content-encoding", "identity") != "identity":
        raise NetworkError(f"{place} answered in an encoding that was not asked for")
    if headers.get("content-length", "").isdecimal() and int(headers["content-length"]) > limit:
        response.close()
        raise too_large
    body = bytearray()
    while chunk := response.read(min(_CHUNK, limit + 1 - len(body))):
        body += chunk
        if len(body) > limit:
            response.close()
            raise too_large
    return Answer(response.status, headers, bytes(body))
