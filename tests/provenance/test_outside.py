"""Signing with help from outside: the child has no network, and the parent asks only whom the user named."""

import os
import time
from contextlib import closing, contextmanager

import pytest

from assay.provenance.claim import Claim
from assay.provenance.credentials import outside
from assay.provenance.credentials.outside import desk as answering
from assay.provenance.credentials.outside import time_stamp
from assay.provenance.errors import CredentialError, MalformedError, NetworkError, UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.files import loopback
from assay.provenance.files.questions import REPLY_BYTES
from assay.provenance.sign import Signing
from assay.provenance.sign import sign as sign_line
from assay.provenance.workspace import SignOptions

from ..authority import Server
from .test_net import peer, says

CLAIM = Claim(source_type="digitalCapture")


@contextmanager
def serving(answer, **options):
    with closing(Server(answer, **options)) as server:
        yield server


def stamped(desk, url):
    target = desk.path()
    done = desk.workspace.sign_file(
        desk.picture(), target, CLAIM, SignOptions(tsa=url, ledger=False, mark=False)
    )
    return target, done


@pytest.mark.parametrize("alone", [True, False])
def test_a_good_authority_is_asked_once_and_stamps(desk, monkeypatch, alone):
    """Also where the child can have no network of its own."""
    if not alone:
        monkeypatch.setattr(loopback, "_own_network", lambda: False)
    before = len(desk.studio.tsa.requests)
    target, done = stamped(desk, desk.studio.tsa.url + "/path?a=b")
    assert done.time_stamped
    assert desk.studio.tsa.requests[before:] == ["/path?a=b"]
    assert target.exists()


def test_a_redirect_is_not_followed(desk):
    with peer(says(b"")) as (inside, hits):
        head = f"HTTP/1.1 307 X\r\nLocation: {inside}\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            peer(says(head)) as (url, seen),
            pytest.raises(NetworkError, match="redirects are not followed") as error,
        ):
            stamped(desk, url)
    assert url in error.value.message
    assert b"".join(seen).count(b"POST ") == 1
    assert hits == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, bytes(REPLY_BYTES + 1)), f"more than {REPLY_BYTES} bytes"),
        ((503, b"busy"), "status 503"),
        ((200, b"garbage"), "did not give a time-stamp"),
        ((200, b""), "did not give a time-stamp"),
    ],
    ids=["oversized", "busy", "garbage", "empty"],
)
def test_an_authority_that_answers_wrongly_stops_the_signature(desk, answer, words):
    with serving(lambda _: answer) as server, pytest.raises(NetworkError, match=words) as error:
        stamped(desk, server.url)
    assert server.url in error.value.message
    assert len(server.requests) == 1


def test_another_type_of_content_is_no_time_stamp(desk):
    words = "content of type text/html"
    with (
        serving(lambda _: (200, b"<html>"), kind="text/html") as server,
        pytest.raises(NetworkError, match=words),
    ):
        stamped(desk, server.url)


def test_an_authority_that_hangs_is_left():
    with peer(lambda stream, _: time.sleep(3)) as (url, _):
        start = time.monotonic()
        with pytest.raises(NetworkError, match="did not answer within"):
            time_stamp(url, b"request", Fetcher(seconds=0.5, named_by_user=True))
        assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]"])
def test_a_forbidden_address_is_not_asked(desk, host):
    with pytest.raises(NetworkError, match="not a public address"):
        stamped(desk, f"http://{host}/tsa")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://user:word@127.0.0.1/", "http://"]
)
def test_what_is_no_address_is_a_mistake_of_the_call(desk, url):
    with pytest.raises(UsageError):
        stamped(desk, url)


class Elsewhere:
    """A plug-in's signer: it remembers in which process it was asked."""

    def __init__(self, real, fails=False):
        self.alg, self.chain = real.alg, real.chain
        self.real, self.fails, self.processes = real, fails, []

    def sign(self, message):
        self.processes.append(os.getpid())
        if self.fails:
            raise RuntimeError("the token was pulled out")
        return self.real.sign(message)


def signed_elsewhere(desk, **options):
    real, origin = desk.workspace.signer()
    signer = Elsewhere(real, **options)
    target = desk.path()
    setup = Signing(signer=signer, signer_origin=origin, now=desk.studio.now)
    return signer, lambda: sign_line(desk.picture(), target, CLAIM, setup), target


def test_a_plug_in_s_signer_is_asked_in_the_parent(desk):
    signer, sign, target = signed_elsewhere(desk)
    sign()
    assert target.exists()
    assert signer.processes == [os.getpid()]


def test_a_plug_in_s_signer_that_fails_is_named(desk):
    _, sign, target = signed_elsewhere(desk, fails=True)
    with pytest.raises(CredentialError, match="the token was pulled out"):
        sign()
    assert not target.exists()


def test_a_child_that_was_taken_over_gets_one_signature_and_no_time_stamp_that_nobody_asked_for(desk):
    signer = Elsewhere(desk.workspace.signer()[0])
    with closing(answering(signer, None)) as questions:
        assert questions.ask(b"S" + b"message")
        for question in (b"S" + b"another", b"T" + b"request", b"", b"X"):
            with pytest.raises(MalformedError):
                questions.ask(question)
    with closing(answering(signer, lambda request: request)) as questions, pytest.raises(MalformedError):
        questions.ask(b"T" + bytes(outside.REQUEST_BYTES + 1))
    with closing(answering(signer, lambda request: request)) as questions:
        assert questions.ask(b"T" + b"request") == b"request"
        with pytest.raises(MalformedError):
            questions.ask(b"T" + b"request")
