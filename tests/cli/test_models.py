"""``assay models``: what is listed, added, checked and refused, as its user sees it."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assay.detect.fetch import fetch_weights
from assay.provenance.errors import MalformedError, NetworkError, UsageError
from assay.provenance.fetcher import Fetcher

from ..detect.weights import SIDE, card, network

ABOUT = ("--name", "probe", "--side", SIDE, "--licence", "MIT")


@pytest.fixture(scope="module")
def data():
    return network()


@pytest.fixture
def offer(desk, data):
    """A folder with a card and its weights."""
    folder = desk.folder / "offer"
    folder.mkdir()
    (folder / "card.json").write_bytes(card(data).to_bytes())
    (folder / "weights.onnx").write_bytes(data)
    return folder


def rows(answer):
    assert answer.out.isascii()
    return [json.loads(line) for line in answer.out.splitlines()]


def own(terminal):
    return [row["name"] for row in rows(terminal("models", "list", "--json")) if row["origin"] == "own"]


def test_a_model_from_its_card_to_its_removal(terminal, offer, data):
    (row,) = rows(terminal("models", "add", offer, "--json"))
    assert row["name"] == "mean"
    assert row["origin"] == "own"
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert row in rows(terminal("models", "list", "--json"))
    assert "mean" in terminal("models", "list").out
    shown = terminal("models", "show", "mean").out
    for words in (
        "Posters and drawings",
        "Kodak",
        "0.81 [0.74, 0.86]",
        "9 real and 7 generated",
        "Apache-2.0",
    ):
        assert words in shown
    # Only where the file lies may be longer than a page is wide.
    assert max(len(line) for line in shown.splitlines() if "/models/" not in line) <= 160
    (whole,) = rows(terminal("models", "show", "mean", "--json"))
    assert whole["weights"]["sha256"] == row["sha256"]
    assert whole["type"] == "assay.detector-card/v1"
    assert "mean                 ok" in terminal("models", "verify").out
    terminal("models", "remove", "mean")
    assert own(terminal) == []
    assert "no model 'mean'" in terminal("models", "show", "mean", expect=2).err


def test_weights_alone_are_added_and_never_weigh(terminal, offer):
    answer = terminal("models", "add", offer / "weights.onnx", *ABOUT)
    assert "weighs nothing" in answer.err
    assert "uncalibrated" in answer.out
    assert "Not calibrated" in terminal("models", "show", "probe").out
    assert own(terminal) == ["probe"]
    refused = terminal("models", "add", offer / "weights.onnx", *ABOUT, expect=2)
    assert "already" in refused.err
    assert "assay models remove probe" in refused.err
    terminal("models", "add", offer / "weights.onnx", *ABOUT, "--replace")


def test_a_card_may_be_added_under_another_name(terminal, offer):
    terminal("models", "add", offer / "card.json", "--name", "ours")
    assert own(terminal) == ["ours"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--name, --side and --licence"),
        (("--name", "probe", "--side", SIDE), "--licence"),
        (("--name", "../probe", "--side", SIDE, "--licence", "MIT"), "unusable name"),
        (("--name", "Probe", "--side", SIDE, "--licence", "MIT"), "unusable name"),
    ],
)
def test_what_the_call_lacks_is_said(terminal, offer, options, says):
    answer = terminal("models", "add", offer / "weights.onnx", *options, expect=2)
    assert says in answer.err
    assert own(terminal) == []


def test_what_is_refused_names_the_file_and_what_to_do(terminal, desk, offer, data):
    pickled = desk.folder / "stronger.onnx"
    pickled.write_bytes(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.")
    short = desk.folder / "short.onnx"
    short.write_bytes(data[:-40])
    wide = desk.folder / "wide.onnx"
    wide.write_bytes(network(("n", 3, 2 * SIDE, 2 * SIDE)))
    for path, says in ((pickled, "pickle"), (short, "no ONNX file"), (wide, "(free, 3, 64, 64)")):
        answer = terminal("models", "add", path, *ABOUT, expect=4)
        assert says in answer.err
        assert str(path) in answer.err
        assert "hint:" in answer.err
    (offer / "weights.onnx").write_bytes(network(scale=2.0))
    assert "SHA-256" in terminal("models", "add", offer, expect=4).err
    (offer / "weights.onnx").unlink()
    assert str(offer / "weights.onnx") in terminal("models", "add", offer, expect=4).err
    document = json.loads((offer / "card.json").read_bytes())
    document["weights"]["file"] = "../../weights.onnx"
    (offer / "card.json").write_text(json.dumps(document))
    assert "weights: file" in terminal("models", "add", offer, expect=4).err
    assert "does not exist" in terminal("models", "add", desk.folder / "nothing", expect=4).err
    assert own(terminal) == []


def test_changed_weights_are_told_by_name_and_exit_code(terminal, desk, offer):
    terminal("models", "add", offer)
    terminal("models", "add", offer / "card.json", "--name", "other")
    (path,) = (desk.workspace.home / "models").glob("*.onnx")
    path.write_bytes(path.read_bytes()[:-1])
    found = {row["name"]: row for row in rows(terminal("models", "verify", "--json", expect=5))}
    assert not found["mean"]["ok"]
    assert "SHA-256" in found["mean"]["problem"]
    assert not found["other"]["ok"]
    assert "SHA-256" in terminal("models", "verify", "mean", expect=5).out
    assert "no model" in terminal("models", "verify", "nobody", expect=2).err


def test_a_broken_card_stops_the_list_and_can_be_removed(terminal, desk, offer):
    terminal("models", "add", offer)
    (desk.workspace.home / "models" / "mean.json").write_bytes(b"{}")
    answer = terminal("models", "list", expect=5)
    assert "assay models remove mean" in answer.err
    terminal("models", "verify", expect=5)
    terminal("models", "remove", "mean")
    terminal("models", "list")


HOSTILE = ["\x1b[31mred\x1b]0;title\x07", "\u202egnp", "a\nb", "\x9b31m", "[bold]x[/bold]", "%s{0}", "😀 é"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_reach_no_terminal(terminal, desk, offer, text):
    """The fixture's own check fails where anything unsafe is printed."""
    document = json.loads((offer / "card.json").read_bytes())
    for change in (
        {"licence": text},
        {"fails": [text]},
        {"name": text},
        {"weights": {**document["weights"], "file": text}},
        {text: 1},
        {"settings": {text: 1}},
        {"calibration": {"id": "x", "lines": {text: {}}}},
    ):
        (offer / "card.json").write_text(json.dumps({**document, **change}))
        answer = terminal("models", "add", offer, "--replace", expect=None)
        assert answer.code in (0, 4)
        if answer.code == 0:
            for command in (("list",), ("list", "--json"), ("show", "mean"), ("verify",)):
                terminal("models", *command)
    path = desk.folder / text.replace("/", "")
    path.write_bytes(b"\x80\x04")
    terminal("models", "add", path, *ABOUT, expect=4)
    terminal("models", "show", text, expect=2)


def test_without_a_workspace_there_are_the_shipped_ones(nowhere, tmp_path, data):
    assert {row["origin"] for row in rows(nowhere("models", "list", "--json"))} <= {"shipped"}
    nowhere("models", "verify")
    (tmp_path / "w.onnx").write_bytes(data)
    assert "assay init" in nowhere("models", "add", "w.onnx", *ABOUT, expect=5).err
    assert not (tmp_path / "home").exists()


# ------------------------------------------------------------------------------------------- from elsewhere


@contextmanager
def publisher(folder, files):
    """Serve files over https: bytes, or the address that a request is sent on to."""

    class Shelf(BaseHTTPRequestHandler):
        def do_GET(self):
            found = files.get(self.path)
            self.send_response(404 if found is None else 302 if isinstance(found, str) else 200)
            if isinstance(found, str):
                self.send_header("Location", found)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(found)) if isinstance(found, bytes) else "0")
            self.end_headers()
            self.wfile.write(found if isinstance(found, bytes) else b"")

        def log_message(self, *words):
            pass

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    trusted, private = folder / "publisher.pem", folder / "publisher.key"
    trusted.write_bytes(certificate.public_bytes(pem))
    private.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", trusted
    finally:
        server.shutdown()
        server.server_close()


def test_published_weights_come_over_https_and_by_their_hash(desk, data, monkeypatch):
    right = hashlib.sha256(data).hexdigest()
    files = {
        "/w.onnx": data,
        "/release": "/moved",
        "/moved": "/w.onnx",
        "/round": "/round",
        "/down": "http://127.0.0.1:1/w.onnx",
        "/local": "file:///etc/passwd",
        "/inside": "https://[::ffff:10.0.0.1]/w.onnx",
    }
    with publisher(desk.folder, files) as (url, trusted):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        fetcher = Fetcher(seconds=5, allow={"127.0.0.1"})

        def fetch(path, sha256=right):
            return fetch_weights(url + path, sha256, fetcher=fetcher)

        for path in ("/w.onnx", "/release"):
            assert fetch(path) == data
        for path, sha256, kind, words in (
            ("/w.onnx", "0" * 64, MalformedError, "has another file"),
            ("/w.onnx", "abc", UsageError, "64 lower-case"),
            ("/none", right, NetworkError, "status 404"),
            ("/round", right, NetworkError, "status 302"),
            ("/down", right, UsageError, "not an https URL"),
            ("/local", right, UsageError, "not an https URL"),
            ("/inside", right, NetworkError, "not a public address"),
        ):
            with pytest.raises(kind, match=words):
                fetch(path, sha256)
        with pytest.raises(NetworkError, match=r"127\.0\.0\.1, which is not a public address"):
            fetch_weights(f"{url}/w.onnx", right)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(NetworkError, match="did not prove who it is"):
            fetch("/w.onnx")


def test_a_publisher_on_this_machine_s_own_network_is_not_asked(terminal, desk, data):
    with publisher(desk.folder, {"/w.onnx": data}) as (url, trusted):
        refused = terminal(
            "models", "add", f"{url}/w.onnx", *ABOUT, "--online", "--sha256", hashlib.sha256(data).hexdigest(),
            expect=5, SSL_CERT_FILE=str(trusted),
        )  # fmt: skip
    assert "not a public address" in refused.err
    assert own(terminal) == []


@pytest.mark.parametrize(
    "options", [(), ("--online",), ("--sha256", "0" * 64)], ids=["neither", "no hash", "not online"]
)
def test_the_network_is_not_asked_unasked(terminal, options):
    answer = terminal("models", "add", "https://nobody.invalid/w.onnx", *ABOUT, *options, expect=2)
    assert "--online" in answer.err
    plain = terminal(
        "models", "add", "http://nobody.invalid/w", *ABOUT, "--online", "--sha256", "0" * 64, expect=2
    )
    assert "not an https URL" in plain.err
