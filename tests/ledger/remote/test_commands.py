"""The commands: a desk that signs and verifies against a ledger elsewhere, a folder published and mirrored."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from assay.provenance.workspace import Workspace

from ...cli.conftest import Terminal
from ...studio import LARGE, Desk


@pytest.fixture
def terminal(desk):
    return Terminal(desk.folder, desk.workspace.home)


class Served:
    """``assay ledger serve`` in a process of its own."""

    def __init__(self, home, *options):
        command = "from assay.cli.main import run; run()"
        words = ["--home", str(home), "ledger", "serve", "--port", "0", *options]
        self._process = subprocess.Popen(
            [sys.executable, "-c", command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        self.lines: list[str] = []
        self._thread = threading.Thread(target=lambda: self.lines.extend(self._process.stderr))
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        self._thread.join()
        self._process.stdout.close()
        self._process.stderr.close()


@pytest.fixture
def away(studio, desk, terminal):
    """Another desk, whose ledger is the first desk's, over HTTP; yields (its terminal, the server, itself)."""
    vkey = json.loads(terminal("keys", "show", "--json", expect=None).out or "{}").get("ledger_vkey", "")
    vkey = vkey or desk.workspace.log.vkey
    desk.workspace.log.close()
    del desk.workspace.log
    other = studio.desk()
    (other.folder / "token").write_text(terminal("ledger", "token", "new", "--name", "away").out)
    (other.folder / "token").chmod(0o600)
    with Served(desk.workspace.home) as server:
        settings = other.workspace.home / "assay.toml"
        text = re.sub(r"^ledger = .*$", f'ledger = "{server.url}"', settings.read_text(), flags=re.M)
        settings.write_text(f'{text}ledger_vkey = "{vkey}"\nledger_token = "file:{other.folder / "token"}"\n')
        other.workspace = Workspace.open(other.workspace.home, now=lambda: other.now, environ={})
        yield Terminal(other.folder, other.workspace.home), server, other
    other.close()


def test_sign_and_verify_against_a_ledger_elsewhere(away, terminal, desk: Desk):
    there, server, other = away
    source = other.picture("jpeg", size=LARGE)
    signed = json.loads(
        there("sign", source, "-o", "signed.jpg", "--source-type", "digitalCapture", "--json").out
    )
    assert signed["entry"]["index"] == 0
    report = json.loads(there("verify", "signed.jpg", "--json", expect=None).out)
    (receipt,) = [e for e in report["evidence"] if e["check"] == "receipt"]
    assert receipt["status"] == "pass", receipt
    assert report["recovered"]["by"] == "digest"
    # credentials lost: found again by the mark or the fingerprint, over the network
    from PIL import Image

    with Image.open(other.folder / "signed.jpg") as image:
        image.save(other.folder / "stripped.jpg", quality=80)
    report = json.loads(there("verify", "stripped.jpg", "--json", expect=None).out)
    assert report["verdict"] == "source-recovered", report["headline"]
    # the receipt holds offline and at the ledger itself; the ledger has the entry
    there("ledger", "receipt", "signed.jpg.tlog-proof", "--file", "signed.jpg")
    terminal("ledger", "receipt", other.folder / "signed.jpg.tlog-proof")
    found = json.loads(terminal("ledger", "find", other.folder / "signed.jpg", "--json").out)
    assert found["index"] == 0
    for command in (("ledger", "check"), ("ledger", "find", "signed.jpg"), ("ledger", "receipt", "0")):
        there(*command)
    there("ledger", "publish", "public", expect=2)
    there("ledger", "init", expect=2)
    # what the server saw holds nothing that names the picture
    server.stop()
    digest = signed["digest"]["value"]
    seen = "\n".join(server.lines)
    assert "POST /v1/append 200" in seen
    assert digest not in seen
    assert signed["mark"]["id"] not in seen
    assert "Traceback" not in seen


def test_a_dead_server_leaves_a_report_that_says_so(away):
    there, server, other = away
    source = other.picture("jpeg", size=LARGE)
    there("sign", source, "-o", "signed.jpg", "--source-type", "digitalCapture")
    server.stop()
    answer = there("verify", "signed.jpg", "--json", expect=None)
    report = json.loads(answer.out)
    (receipt,) = [e for e in report["evidence"] if e["check"] == "receipt"]
    assert receipt["status"] == "error"
    assert "cannot be reached" in receipt["summary"]
    assert report["verdict"] == "source-confirmed"  # the signature stands by itself
    assert answer.code == 0
    # signing needs the ledger, and leaves nothing behind without it
    answer = there("sign", source, "-o", "again.jpg", "--source-type", "digitalCapture", expect=5)
    assert "whether the entry was appended is not known" in answer.err
    assert not (other.folder / "again.jpg").exists()


def test_without_a_token_one_verifies_but_does_not_sign(away):
    there, _, other = away
    settings = other.workspace.home / "assay.toml"
    settings.write_text(
        re.sub(
            r"^ledger_token = .*$", 'ledger_token = "env:NO_SUCH_VARIABLE"', settings.read_text(), flags=re.M
        )
    )
    source = other.picture("jpeg", size=LARGE)
    assert json.loads(there("verify", source, "--json", expect=None).out)["verdict"] == "inconclusive"
    answer = there("sign", source, "-o", "signed.jpg", "--source-type", "digitalCapture", expect=5)
    assert "NO_SUCH_VARIABLE" in answer.err
    assert not (other.folder / "signed.jpg").exists()


def test_whose_ledger_it_is_must_be_said_in_the_settings_or_a_trust_list(away):
    there, _, other = away
    settings = other.workspace.home / "assay.toml"
    text = settings.read_text()
    vkey = re.search(r'ledger_vkey = "(.*)"', text)[1]
    settings.write_text(re.sub(r"^ledger_vkey = .*\n", "", text, flags=re.M))
    answer = there("ledger", "check", expect=5)
    assert "whose signature counts for the ledger" in answer.err
    (other.folder / "policy").write_text(f"log {vkey}\nquorum none\n")
    there("trust", "add", "policy", "--kind", "log", "--name", "agency")
    there("ledger", "check")


def test_publish_then_mirror(terminal, desk: Desk, tmp_path, web):
    signed = desk.sign(desk.picture("jpeg", size=LARGE))
    vkey, origin = desk.workspace.log.vkey, desk.workspace.settings.origin
    done = json.loads(terminal("ledger", "publish", "public", "--json").out)
    assert (done["size"], done["before"]) == (1, 0)
    url = web(desk.folder / "public")
    terminal("ledger", "import", url, "-o", "mirror.sqlite", expect=2)
    done = json.loads(terminal("ledger", "import", url, "--vkey", vkey, "-o", "mirror.sqlite", "--json").out)
    assert (done["origin"], done["size"]) == (origin, 1)
    desk.sign(desk.picture("png", size=LARGE))
    assert "1 of them new" in terminal("ledger", "publish", "public").out
    assert "1 of them new" in terminal("ledger", "import", "public", "-o", "mirror.sqlite").out
    # a reader elsewhere uses the mirror as the ledger
    home = tmp_path / "reader"
    shutil.copytree(desk.workspace.home, home)
    settings = home / "assay.toml"
    text = re.sub(
        r"^ledger = .*$", f'ledger = "{desk.folder / "mirror.sqlite"}"', settings.read_text(), flags=re.M
    )
    settings.write_text(f'{text}ledger_vkey = "{vkey}"\n')
    (home / "keys" / "ledger.seed").unlink()
    reader = Terminal(desk.folder, home)
    assert json.loads(reader("ledger", "find", signed, "--json").out)["index"] == 0
    assert reader("ledger", "check").code == 0
    report = json.loads(reader("verify", signed, "--json", expect=None).out)
    assert report["recovered"]["by"] == "digest"
    answer = reader("sign", signed, "-o", "no.jpg", "--source-type", "digitalCapture", expect=2)
    assert "opened for reading" in answer.err


def test_a_rewritten_ledger_is_named_by_whoever_mirrored_it(terminal, desk: Desk, studio):
    desk.sign(desk.picture("jpeg"), mark=False)
    vkey = desk.workspace.log.vkey
    terminal("ledger", "publish", "public")
    terminal("ledger", "import", "public", "--vkey", vkey, "-o", "mirror.sqlite")
    rewritten = studio.desk()  # the same template: the same key and name, another history
    rewritten.sign(rewritten.picture("png"), mark=False)
    Terminal(rewritten.folder, rewritten.workspace.home)("ledger", "publish", desk.folder / "other")
    rewritten.close()
    answer = terminal("ledger", "import", "other", "-o", "mirror.sqlite", expect=5)
    assert "shows another history" in answer.err
    assert list(desk.folder.glob("mirror.sqlite.contradiction-*"))
    answer = Terminal(desk.folder, desk.workspace.home)("ledger", "publish", "public", "--json")
    assert json.loads(answer.out)["files"] == 0


def test_tokens_come_and_go(terminal, desk):
    secret = json.loads(terminal("ledger", "token", "new", "--name", "desk", "--json").out)["token"]
    assert secret.startswith("assay_")
    assert len(secret) > 40
    terminal("ledger", "token", "new", "--name", "desk", expect=2)
    terminal("ledger", "token", "new", "--name", "Not A Name", expect=2)
    listed = terminal("ledger", "token", "list").out
    assert listed.startswith("desk  ")
    assert secret not in listed
    terminal("ledger", "token", "remove", "desk")
    terminal("ledger", "token", "remove", "desk", expect=2)
    assert terminal("ledger", "token", "list").out == ""


def test_serving_to_others_needs_a_name(terminal):
    assert "--name" in terminal("ledger", "serve", "--host", "0.0.0.0", expect=2).err
