"""The HTTP client against servers that misbehave: each typed here byte by byte, on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

import pytest

from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.net import Net

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def peer(talk: Callable[[socket.socket, bytes], None], wrap=lambda s: s):
    """A server that reads one head and then does as it is told; yields its URL and what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    clients: list[socket.socket] = []

    def run() -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                clients.append(client)
                with suppress(OSError), wrap(client) as stream:
                    stream.settimeout(5)
                    while data := stream.recv(65536):
                        seen.append(data)
                        talk(stream, data)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        for held in (listener, *clients):
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def says(data: bytes):
    def talk(stream: socket.socket, _: bytes) -> None:
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)

    return talk


@pytest.fixture
def net():
    with Net(seconds=0.6, max_bytes=1000) as net:
        yield net


def test_an_answer_is_status_headers_and_bytes(net):
    with peer(lambda stream, _: stream.sendall(OK)) as (url, seen):
        answer = net.request("POST", url + "/x", body=b"body", headers={"Authorization": "Bearer t"})
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.headers["content-type"] == "text/plain"
        assert net.request("GET", url).status == 200
    assert seen[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"authorization: bearer t\r\n" in b"".join(seen).lower()
    assert b"python" not in b"".join(seen).lower()


def test_a_connection_is_kept(net):
    accepted = []
    with peer(lambda stream, _: (accepted.append(stream.getpeername()), stream.sendall(OK))) as (url, _):
        for _ in range(3):
            net.request("GET", url)
    assert len(accepted) == 3
    assert len(set(accepted)) == 1


@pytest.mark.parametrize("status", [301, 404, 409, 500])
def test_every_status_is_an_answer_and_redirects_are_not_followed(net, status):
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with peer(says(head.encode())) as (url, seen):
        assert net.request("GET", url).status == status
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, "more than 1000 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n",
            "broke off",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "broke off"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
            "not asked for",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "did not answer in HTTP"),
        (b"", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "did not answer in HTTP"),
    ],
    ids=["length", "endless", "chunks", "short", "encoded", "ssh", "nothing", "headers", "long header"],
)
def test_what_is_no_good_answer_is_said_in_words(net, answer, words):
    with peer(says(answer)) as (url, _), pytest.raises(NetworkError, match=words) as error:
        net.request("GET", url + "/secret-token")
    assert "secret" not in str(error.value)


def drip(head: bytes):
    def talk(stream: socket.socket, _: bytes) -> None:
        stream.sendall(head)
        for _ in range(100):
            time.sleep(0.05)
            stream.sendall(b"x")

    return talk


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_dripping_server_is_left(net, head):
    start = time.monotonic()
    with peer(drip(head)) as (url, _), pytest.raises(NetworkError, match=r"within 0\.6 seconds"):
        net.request("GET", url)
    assert time.monotonic() - start < 3


def test_a_silent_server_is_left_and_the_next_request_is_not_harmed(net):
    with peer(lambda *_: time.sleep(1.2)) as (url, _), pytest.raises(NetworkError, match=r"within 0\.6"):
        net.request("GET", url)
    with peer(lambda stream, _: stream.sendall(OK)) as (url, _):
        assert net.request("GET", url).body == b"hello"


def test_nobody_there(net):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(NetworkError, match=f"http://127.0.0.1:{port} cannot be reached"):
        net.request("GET", f"http://127.0.0.1:{port}/")
    with pytest.raises(NetworkError, match="is not known"):
        net.request("GET", "http://nobody.invalid/")


def test_a_stranger_s_certificate_is_refused(net, tmp_path):
    from datetime import UTC, datetime

    from assay.provenance.keys.certificates import development_chain

    chain = development_chain(datetime.now(UTC))
    (tmp_path / "chain.pem").write_bytes(chain.chain)
    (tmp_path / "key.pem").write_bytes(chain.signer_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")

    def wrap(client):
        return context.wrap_socket(client, server_side=True)

    with (
        peer(says(OK), wrap) as (url, seen),
        pytest.raises(NetworkError, match="did not prove who it is"),
    ):
        net.request("GET", url.replace("http:", "https:"))
    assert seen == []


def test_the_environment_s_proxy_is_not_asked(net, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with peer(says(OK)) as (url, _):
        assert net.request("GET", url).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "example.org",
        "",
        "http://",
        "http://user:pw@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "http://[::1",
        "http://127.0.0.1:99999/",
    ],
)
def test_other_urls_are_refused(net, url):
    with pytest.raises(UsageError):
        net.request("GET", url)
