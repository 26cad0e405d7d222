"""The web server's limits, met by clients typed byte by byte."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from starlette.responses import PlainTextResponse

from assay.ledger import serving
from assay.ledger.serving import Server
from assay.provenance.errors import ConfigurationError
from assay.provenance.net import Net


async def echo(scope, receive, send):
    message = await receive()
    await PlainTextResponse(b"got %d" % len(message["body"]))(scope, receive, send)


@pytest.fixture
def server():
    with Server(echo, max_body=1000) as server:
        yield server


def raw(server: Server, *parts: bytes, pause: float = 0) -> bytes:
    with socket.create_connection((server.host, server.port), 5) as stream:
        try:
            for part in parts:
                stream.sendall(part)
                time.sleep(pause)
            answer = b""
            while data := stream.recv(65536):
                answer += data
                if b"\r\n\r\n" in answer and b"close" not in answer.lower():
                    break
        except ConnectionError:
            pass
        return answer


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


def test_bodies_up_to_the_limit_arrive_whole(server):
    with Net() as net:
        for size in (0, 1, 999, 1000):
            assert net.request("POST", server.url, body=b"x" * size).body == b"got %d" % size
        assert net.request("POST", server.url, body=b"x" * 1001).status == 413


def test_an_endless_body_is_refused_whatever_it_claims(server):
    assert b" 413 " in raw(server, HEAD + b"Content-Length: 99999999999\r\n\r\n")
    chunks = b"1f4\r\n" + b"x" * 500 + b"\r\n"
    assert b" 413 " in raw(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 3)
    assert b" 400 " in raw(server, HEAD + b"Content-Length: x\r\n\r\n")


def test_a_head_without_end_is_refused(server):
    assert b" 400 " in raw(server, HEAD + b"X: " + b"y" * (serving.MAX_HEAD_BYTES + 1))


def test_a_body_that_does_not_come_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.3)
    start = time.monotonic()
    assert b" 408 " in raw(server, HEAD + b"Content-Length: 10\r\n\r\nabc")
    assert time.monotonic() - start < 3


def test_half_a_body_never_reaches_the_application():
    calls = []

    async def app(scope, receive, send):
        calls.append(await receive())

    with Server(app, max_body=1000) as server:
        with socket.create_connection((server.host, server.port), 5) as stream:
            stream.sendall(HEAD + b"Content-Length: 10\r\n\r\nabc")
        time.sleep(0.2)
        assert raw(server, HEAD + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc")
    assert [call["body"] for call in calls] == [b"abc"]


def test_a_port_in_use_is_said_in_words(server):
    with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {server.port} cannot be served"):
        Server(echo, max_body=1, port=server.port)
    with pytest.raises(ConfigurationError, match="cannot be served"):
        Server(echo, max_body=1, host="192.0.2.1")


PROGRAM = """
import asyncio, sys
from assay.ledger.serving import Server
async def app(scope, receive, send):
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
Server(app, max_body=10).run(lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_running_request_end(how):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        port = int(child.stdout.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(0.2)
            os.kill(child.pid, how)
            answer = b""
            while data := stream.recv(65536):
                answer += data
        assert answer.endswith(b"\r\n\r\ndone")
        assert child.wait(5) == (0 if how == signal.SIGINT else -signal.SIGTERM)
