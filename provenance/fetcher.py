"""The guarded fetcher: for addresses that come from a file, a certificate or a publisher, not from the user's settings.

Whoever writes such an address chooses where this machine connects to. So: https, or http where what comes back is
signed by itself; the name resolved once and only to public addresses; connected to the address that was judged; no
redirects, nothing of the environment, bounds on bytes and seconds, and only the types of content that were asked for.
What a desk's own settings name (its ledger, witnesses, chain nodes) goes through ``Net`` and may be on its own network.
A time-stamp authority is named by the user too, in settings or by ``--tsa``, but asked on behalf of a child that reads
a hostile file: it is asked through here, ``named_by_user``, which also takes the user's own network and nothing else.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.net import Answer, Net
from assay.provenance.text import safe_text

SECONDS = 10.0
"""Longest that resolving a name may take, connecting, and answering."""
MAX_BYTES = 5 << 20
"""Largest answer taken."""
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
_OWN = tuple(
    ipaddress.ip_network(block)
    for block in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)
_METADATA = ipaddress.ip_network("fd00:ec2::/32")  # among the private ones: a cloud's own services
_PORTS = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Sequence[str]]
"""Returns a name's IP addresses for a port; raises OSError where it is not known."""


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver for the addresses of a name, those of IPv4 first; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    ordered = sorted(found, key=lambda item: item[0] is not socket.AF_INET)
    return [str(item[4][0]) for item in ordered]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, also where it stands for another (IANA's registries)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone, for one
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if parsed in _TRANSLATED:
            inner = ipaddress.IPv4Address(parsed.packed[-4:])
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def is_own(address: str) -> bool:
    """Whether an IP address is this machine's or one of a private network; never link-local, where clouds keep keys."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in block for block in _OWN) and parsed not in _METADATA


class Fetcher:
    """Asks addresses that others chose; every request is judged anew and has a connection of its own.

    ``resolve`` looks names up. ``allow`` names IP addresses that are taken although they are not public: for tests on
    loopback, never filled from a file or the environment. ``named_by_user`` says that the user, and not a file, chose
    the addresses, so that they may also be of the user's own network (``is_own``).
    """

    def __init__(
        self,
        *,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
        resolve: Resolve = resolve_name,
        allow: Collection[str] = (),
        named_by_user: bool = False,
    ) -> None:
        self.seconds, self.max_bytes = seconds, max_bytes
        self._own = named_by_user
        self._resolve, self._allow = resolve, frozenset(allow)

    def ask(
        self,
        method: str,
        url: str,
        *,
        signed: bool = False,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one guarded request and return the answer of whatever status; a redirect is an answer.

        ``signed`` says that the answer proves by itself who made it (OCSP, revocation lists), so that http will do.
        Raises UsageError for a URL that is not taken, NetworkError where the host is not public or does not answer.
        """
        parts = _parts(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if parts.scheme != "https" and not signed:
            raise UsageError(
                f"not an https URL: {safe_text(url, 80)!r}", hint="what is not signed comes over https only"
            )
        address = self._pin(host, port)
        with Net(seconds=self.seconds, max_bytes=self.max_bytes) as net:
            return net.request(method, url, body=body, headers=headers, address=address)

    def get(
        self,
        url: str,
        types: Collection[str],
        *,
        signed: bool = False,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return what a URL answers with status 200 and one of the content ``types``; with a ``body`` it is a POST.

        Raises what ``ask`` does, and NetworkError for any other status, redirects among them, or type.
        """
        method = "GET" if body is None else "POST"
        answer = self.ask(method, url, signed=signed, body=body, headers=headers)
        host = safe_text(_parts(url).hostname, 200)
        if answer.status != 200:
            moved = "; redirects are not followed" if 300 <= answer.status < 400 else ""
            raise NetworkError(f"{host} answered with status {answer.status}{moved}")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in types:
            raise NetworkError(
                f"{host} answered with content of type {safe_text(kind or 'none', 80)}",
                hint=f"expected {' or '.join(sorted(types))}",
            )
        return answer.body

    def _pin(self, host: str, port: int) -> str:
        """Resolve a name once and return the address to connect to; every address it has must be one that is taken."""
        addresses = self._looked_up(host, port)
        refused = [a for a in addresses if not self._taken(a)]
        if refused:
            others = "addresses that others chose may only lead to the public Internet"
            yours = "it may lead to the public Internet or to your own network"
            raise NetworkError(
                f"{safe_text(host, 200)} is at {safe_text(refused[0], 60)}, which is not a public address",
                hint=f"nothing was sent; {yours if self._own else others}",
            )
        return addresses[0]

    def _taken(self, address: str) -> bool:
        return is_public(address) or address in self._allow or (self._own and is_own(address))

    def _looked_up(self, host: str, port: int) -> Sequence[str]:
        # The resolver has no deadline of its own; a thread that it keeps dies with the process.
        answers: queue.Queue[Sequence[str]] = queue.Queue()

        def look() -> None:
            try:
                answers.put(tuple(self._resolve(host, port)))
            except (OSError, UnicodeError):  # a name that is no name, for one
                answers.put(())

        threading.Thread(target=look, daemon=True).start()
        try:
            found = answers.get(timeout=min(self.seconds, SECONDS))
        except queue.Empty:
            found = ()
        if not found:
            raise NetworkError(f"{safe_text(host, 200)} is not known", hint="check the name, and the network")
        return found


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise UsageError(f"not a URL: {safe_text(url, 80)!r}") from error
    if not known or parts.username is not None or not url.isprintable() or " " in url:
        raise UsageError(f"not an http or https URL: {safe_text(url, 80)!r}")
    return parts
