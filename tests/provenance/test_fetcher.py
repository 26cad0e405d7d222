"""The guarded fetcher against names, addresses and servers that were chosen by somebody else, on loopback."""

from __future__ import annotations

import threading
import time

import pytest

from assay.provenance.errors import NetworkError, UsageError
from assay.provenance.fetcher import Fetcher, is_own, is_public

from .test_net import drip, peer, says

TYPES = ("text/plain",)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello"
HOME = frozenset({"127.0.0.1"})


def fetcher(addresses=("127.0.0.1",), **options):
    """A fetcher for which every name is at ``addresses``."""
    return Fetcher(**{"seconds": 0.6, "max_bytes": 1000, "resolve": lambda *_: addresses, **options})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "2002:7f00:1::", "2002:0a00:1::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
        "localhost", "", "127.1", "2130706433",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_public_internet(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0"])
def test_loopback_is_not_asked_under_any_of_its_names(host):
    """With the machine's own resolver: 0 hits, as long as no argument allows it."""
    with peer(says(OK)) as (url, seen):
        port = url.rpartition(":")[2]
        with pytest.raises(NetworkError, match=r"not a public address|not known"):
            Fetcher(seconds=2).get(f"http://{host}:{port}/", TYPES, signed=True)
    assert seen == []


def test_the_allowed_address_is_asked():
    with peer(says(OK)) as (url, seen):
        port = url.rpartition(":")[2]
        body = fetcher(allow=HOME).get(f"http://crl.example.org:{port}/a?b", TYPES, signed=True)
    assert body == b"hello"
    assert b"".join(seen).startswith(b"GET /a?b HTTP/1.1\r\n")
    assert f"host: crl.example.org:{port}\r\n".encode() in b"".join(seen).lower()


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(NetworkError, match=r"at 10\.0\.0\.7, which is not a public address"):
        fetcher(("93.184.216.34", "10.0.0.7")).get("https://example.org/", TYPES)


def test_a_rebinding_name_is_resolved_once_and_the_judged_address_is_connected_to():
    """The second answer, loopback, is never used: the fetcher goes where the first one said."""
    answers = [("127.0.0.1",), ("127.0.0.2",)]
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    with peer(says(OK)) as (url, seen):
        port = url.rpartition(":")[2]
        guarded = fetcher(resolve=rebinding, allow=HOME)
        assert guarded.get(f"http://rebind.example:{port}/", TYPES, signed=True) == b"hello"
        assert asked == ["rebind.example"]
        with pytest.raises(NetworkError, match=r"127\.0\.0\.2, which is not a public"):
            guarded.get(f"http://rebind.example:{port}/", TYPES, signed=True)
    assert len(seen) == 1


def test_plain_http_is_for_what_is_signed_by_itself():
    with peer(says(OK)) as (url, seen), pytest.raises(UsageError, match="not an https URL"):
        fetcher(allow=HOME).get(url, TYPES)
    assert seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with peer(says(OK)) as (inside, hits):
        head = f"HTTP/1.1 {status} X\r\nLocation: {inside}\r\nContent-Length: 0\r\n\r\n"
        with peer(says(head.encode())) as (url, seen), pytest.raises(NetworkError, match="not followed"):
            fetcher(allow=HOME).get(url, TYPES, signed=True)
    assert len(seen) == 1
    assert hits == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 100_000, "more than 1000 bytes"),
        (OK.replace(b"text/plain", b"text/html"), "type text/html"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "type none"),
        (OK.replace(b"200 OK", b"404 No"), "status 404"),
    ],
    ids=["length", "endless", "html", "no type", "missing"],
)
def test_what_was_not_asked_for_is_not_taken(answer, words):
    with peer(says(answer)) as (url, _), pytest.raises(NetworkError, match=words):
        fetcher(allow=HOME).get(url, TYPES, signed=True)


def test_a_slow_loris_is_left():
    start = time.monotonic()
    with peer(drip(b"HTTP/1.1 200 OK\r\nX: ")) as (url, _), pytest.raises(NetworkError, match="within"):
        fetcher(allow=HOME).get(url, TYPES, signed=True)
    assert time.monotonic() - start < 3


def test_a_resolver_that_does_not_answer_is_left():
    never = threading.Event()
    start = time.monotonic()
    with pytest.raises(NetworkError, match="not known"):
        fetcher(resolve=lambda *_: never.wait(20) and ()).get("https://example.org/", TYPES)
    never.set()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/", "//example.org/", "example.org", "", "https://",
        "https://user:pw@example.org/", "https://@example.org/", "https://example.org/a b",
        "https://example.org/\r\nX: y", "https://[::1", "https://example.org:99999/", "https://example.org:0/",
    ],
)  # fmt: skip
def test_other_urls_are_refused_before_a_name_is_looked_up(url):
    looked = []
    with pytest.raises(UsageError):
        fetcher(resolve=lambda *a: looked.append(a)).get(url, TYPES, signed=True)
    assert looked == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.7.7", "100.64.1.1", "::1", "fd12::1"]
)
def test_what_the_user_named_may_be_on_the_users_own_network(address):
    assert is_own(address)
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "240.0.0.1", "::ffff:169.254.169.254",
     "192.0.2.1", "93.184.216.34", "fe80::1%lo", "localhost"],
)  # fmt: skip
def test_what_is_no_network_of_anybodys(address):
    assert not is_own(address)


def test_a_name_of_the_users_that_leads_to_a_cloud_s_keys_is_refused():
    asked = fetcher(("169.254.169.254",), named_by_user=True)
    with pytest.raises(NetworkError, match=r"169\.254\.169\.254"):
        asked.get("http://tsa.example/", TYPES, signed=True)
