"""The server met by clients typed byte by byte: what it gives, what it refuses, what it never shows."""

from __future__ import annotations

import base64
import json
import socket
import time

import pytest

from assay.ledger import serving
from assay.ledger.remote.wire import MAX_APPEND_BYTES
from assay.ledger.tlog.layout import ENTRIES, Resource, resources, unpack
from assay.provenance.anchor import AnchorRecord
from assay.provenance.net import Net

from ..worlds import entry, recovery
from .test_static import read_log


@pytest.fixture
def net():
    with Net() as net:
        yield net


def raw(station, request: bytes, *more: bytes) -> bytes:
    host, _, port = station.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as stream:
        stream.sendall(request)
        for part in more:
            time.sleep(0.05)
            stream.sendall(part)
        answer = b""
        while data := stream.recv(65536):
            answer += data
    return answer


def get(station, path, host=b"localhost"):
    return raw(station, b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")


def grow(log, start, stop):
    log.append_many([(entry(n, recovery(n)), recovery(n)) for n in range(start, stop)])


def test_it_serves_tiles_as_the_specification_has_them(log, station, net):
    """The reader typed from the specification reads the server as it reads a folder."""
    grow(log, 0, 600)

    def fetch(path):
        answer = net.request("GET", f"{station.url}/{path}")
        assert answer.status == 200
        return answer.body

    assert read_log(fetch, log.vkey) == list(log.leaves())
    # partial tiles of earlier checkpoints stay there, and are beginnings of the later ones
    assert fetch("tile/0/001.p/7") == fetch("tile/0/001")[: 7 * 32]
    assert unpack(fetch("tile/entries/000.p/3"), 3) == list(log.leaves(0, 3))
    assert {r.path for r in resources(600)} >= {"tile/0/002.p/88", "tile/1/000.p/2"}


def test_what_never_changes_may_be_kept_and_what_changes_may_not(log, station, net):
    grow(log, 0, 3)
    for path, cache in (
        ("tile/0/000.p/3", "public, max-age=31536000, immutable"),
        (Resource(ENTRIES, 0, 3).path, "public, max-age=31536000, immutable"),
        ("checkpoint", "no-cache"),
        ("v1/receipt/1", "no-store"),
        ("v1/find?bits=0&prefix=0", "no-store"),
        ("v1/recoveries?index=1", "no-store"),
    ):
        answer = net.request("GET", f"{station.url}/{path}")
        assert (answer.status, answer.headers["cache-control"]) == (200, cache), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "server" not in answer.headers


NOT_THERE = [
    b"/tile/0/../../../../etc/passwd",
    b"/tile/0/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    b"/tile/..%2f..%2fetc/passwd",
    b"/tile/0/000%00",
    b"/tile//0/000",
    b"/tile/0/000/",
    b"/tile/0/001",
    b"/tile/0/000.p/4",
    b"/tile/3/000",
    b"/tile/63/x999/x999/x999/x999/x999/x999/999",
    b"/tile/data/000",
    b"//checkpoint",
    b"/checkpoint/",
    b"/CHECKPOINT",
    b"/",
    b"/policy",
    b"/v1/receipt/3",
    b"/v1/receipt/99999999999999999999",
    b"/v1/receipt/-1",
    b"/v1/receipt/01",
    b"/v1/receipt/",
    b"/v1/consistency?old=0&new=9",
    b"/v1/consistency?old=9&new=3",
    b"/v1/consistency?old=1",
    b"/v1/consistency?old=1&old=2&new=3",
    b"/v1/find?bits=1",
    b"/v1/find?bits=1e9&prefix=0",
    b"/v1/recoveries",
    b"/v1/recoveries?" + b"&".join(b"index=%d" % n for n in range(9)),
    b"/v1/recoveries?index=x",
    b"/v1/fingerprints?start=-1",
    b"/v1/append",
    b"/keys/ledger.seed",
]


def test_what_is_not_there_is_refused_in_json(log, station):
    grow(log, 0, 3)
    for path in NOT_THERE:
        head, _, body = get(station, path).partition(b"\r\n\r\n")
        status = int(head.split()[1])
        assert status in (400, 404, 405), path
        document = json.loads(body)
        assert set(document) == {"error", "hint"}
        assert document["error"]
        assert b"Traceback" not in body
        assert b"nosniff" in head


METHODS = [b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"BREW"]


def test_only_reading_and_appending_are_there(log, station):
    for method in METHODS:
        answer = raw(
            station,
            method
            + b" /checkpoint HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n",
        )
        assert b" 405 " in answer.split(b"\r\n")[0] + b" "
        assert b"access-control" not in answer.lower()


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (b"localhost", True),
        (b"127.0.0.1:99", True),
        (b"[::1]:7381", True),
        (b"LOCALHOST", True),
        (b"ledger.example", True),
        (b"evil.example", False),
        (b"localhost.evil.example", False),
        (b"localhost@evil.example", False),
        (b"", False),
    ],
)
def test_a_page_elsewhere_cannot_lead_a_browser_here(log, serve, host, served):
    station = serve(log, hosts=frozenset({"localhost", "127.0.0.1", "[::1]", "ledger.example"}))
    answer = get(station, b"/checkpoint", host)
    assert (b" 200 " in answer.split(b"\r\n")[0]) is served
    assert served or b" 421 " in answer.split(b"\r\n")[0]


def test_two_host_lines_are_no_host_line(station):
    request = b"GET /vkey HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert b" 200 " not in raw(station, request).split(b"\r\n")[0]


def post(station, net, body, token=None, **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return net.request("POST", f"{station.url}/v1/append", body=body, headers=headers)


def body_of(n=1, kept=None, **changes):
    document = {
        "entry": base64.b64encode(entry(n, kept).to_bytes()).decode(),
        "recovery": kept and json.loads(kept.to_bytes()),
    }
    return json.dumps(document | changes).encode()


NO_ENTRIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 200_000,
    body_of(entry="not base64"),
    body_of(entry=base64.b64encode(b"{}").decode()),
    body_of(entry=base64.b64encode(b'{"type": "assay.entry/v1"}').decode()),
    body_of(entry=base64.b64encode(entry(1).to_bytes() + b" ").decode()),
    body_of(entry=base64.b64encode(entry(1).to_bytes().replace(b'"size":1', b'"size":01')).decode()),
    body_of(entry=base64.b64encode(entry(1).to_bytes().replace(b"{", b'{"zzz":1,', 1)).decode()),
    body_of(entry=None),
    body_of(entry=7),
    body_of(extra=1),
    body_of(recovery={}),
    body_of(recovery=json.loads(recovery(1).to_bytes())),
    body_of(1, recovery(1), recovery=None),
    body_of(1, recovery(1), recovery=json.loads(recovery(2).to_bytes())),
    body_of(1, recovery(1), recovery={**json.loads(recovery(1).to_bytes()), "salt": "00"}),
    body_of(1, recovery(1), recovery={**json.loads(recovery(1).to_bytes()), "fingerprint": [1]}),
]


def test_what_is_no_entry_is_not_appended(log, station, net):
    token = station.token()
    for body in NO_ENTRIES:
        answer = post(station, net, body, token)
        assert answer.status == 400, body
        assert json.loads(answer.body)["error"]
        assert log.size == 0


def test_a_right_body_is_appended_once(log, station, net):
    token = station.token()
    first = post(station, net, body_of(1, recovery(1)), token)
    again = post(station, net, body_of(1, recovery(1)), token)
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body == log.receipt(0).text.encode()
    assert log.size == 1
    assert station.lines[-1].startswith("POST /v1/append 200 ")
    assert station.lines[-1].endswith(" desk")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer x{token}"])
def test_the_token_is_asked_for_as_it_should_be(log, station, net, header):
    answer = post(station, net, body_of(), Authorization=header.format(token=station.token()))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert log.size == 0


def test_too_much_is_refused_before_it_is_read(log, station):
    head = b"POST /v1/append HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (
        MAX_APPEND_BYTES + 1
    )
    assert b" 413 " in raw(station, head)
    assert log.size == 0


def test_a_body_that_drips_is_not_waited_for(log, station, monkeypatch):
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.4)
    head = b"POST /v1/append HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    began = time.monotonic()
    assert b" 408 " in raw(station, head, *[b"x"] * 5)
    assert time.monotonic() - began < 5


def test_a_fault_of_ours_is_a_plain_500(log, station, net, monkeypatch):
    monkeypatch.setattr(type(log), "consistency", lambda *_: 1 / 0)
    answer = net.request("GET", f"{station.url}/v1/consistency?old=0&new=0")
    assert answer.status == 500
    assert json.loads(answer.body) == {"error": "the server failed", "hint": ""}
    assert "fault: ZeroDivisionError: division by zero" in station.lines


def test_a_damaged_ledger_says_so_and_hands_nothing_out(log, station, net, url):
    import sqlite3

    grow(log, 0, 3)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("DROP TRIGGER entries_no_update")
        database.execute("UPDATE entries SET data = ? WHERE idx = 1", (entry(999).to_bytes(),))
    for path in ("v1/receipt/1", "tile/entries/000.p/3", "v1/find?bits=0&prefix=0"):
        answer = net.request("GET", f"{station.url}/{path}")
        assert answer.status == 503
        assert "changed in the database" in json.loads(answer.body)["error"]


def test_lines_of_the_access_log_cannot_be_forged(station):
    get(station, b"/v1/receipt/1%0a%1b[2JGET%20/forged%20200?%0d=%e2%80%ae")
    (line,) = station.lines
    assert line.isprintable()
    assert "\u202e" not in line


def test_anchors_are_listed_without_what_is_their_own(log, serve, net):
    record = AnchorRecord(
        "tsa",
        "rfc3161",
        "https://tsa.example",
        3,
        bytes(32),
        "note",
        "stamped",
        "2026",
        "2026",
        {"secret": "x"},
        7,
    )
    station = serve(log, anchors=lambda: [record])
    answer = net.request("GET", f"{station.url}/v1/anchors")
    (shown,) = json.loads(answer.body)["anchors"]
    assert shown["root"] == "00" * 32
    assert shown["checkpoint"] == "note"
    assert b"secret" not in answer.body


def test_the_policy_lies_beside_where_there_is_one(log, serve, net):
    station = serve(log, policy="quorum none\n")
    assert net.request("GET", f"{station.url}/policy").body == b"quorum none\n"
    assert net.request("GET", f"{station.url}/vkey").body.decode().strip() == log.vkey


def test_an_answer_does_not_wait_for_its_head_to_be_acknowledged(station, net):
    """Without TCP_NODELAY every answer on a kept connection takes the 40 ms of a delayed acknowledgement."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        net.request("GET", f"{station.url}/vkey")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.035
