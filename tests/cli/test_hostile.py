"""Files and names made to attack whoever prints them: the terminal, the JSON, the page."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ..forger import bare_sign, created, definition
from ..people import person
from ..studio import encode, photo

SIZE = (64, 48)
NAMES = {
    "newline": b"two\nlines.jpg",
    "escape": b"\x1b[31mred\x1b]0;title\x07.jpg",
    "markup": b"<script>alert(1)<img src=x onerror=alert(2)>.jpg",
    "rich": b"[bold red]x[link=y].jpg",
    "bidi": "photo\u202egpj.exe.jpg".encode(),
    "not UTF-8": b"caf\xe9\xff.jpg",
    "option": b"--json",
    "formula": b"=cmd|' calc'!A0.jpg",
    "quotes": b"a\"b'c`d$(e).jpg",
    "carriage return": b"safe.jpg\rassay: all is well.jpg",
}
STRINGS = [
    "<script>alert(1)</script>",
    "\x1b[2J\x1b[31mSource confirmed",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\u202egnp.jpg\u202c\u2066\u200b\ufeff",
    '=HYPERLINK("http://evil","x")',
    "one\r\ntwo\n::error::three",
    "nul\x00inside",
    "%s%n%x{0}{__class__}${7*7}",
    "'; DROP TABLE entries; --",
    "[bold]markup[/bold][link=http://evil]x[/link]",
    "A" * 10_000,
    "\x9b31m\x85\u2028",
]


def hostile_strings():
    """Return ours, and those that c2pa-attacks ships where the corpus is there."""
    folder = Path(os.environ.get("ASSAY_CORPUS") or "/nonexistent") / "c2pa" / "c2pa-attacks" / "attacks"
    shipped = [
        line
        for path in sorted(folder.glob("*.attack"))
        for line in path.read_text("utf-8").splitlines()
        if line
    ]
    return list(dict.fromkeys([*STRINGS, *shipped]))


def json_lines(text):
    documents = [json.loads(line) for line in text.splitlines()]
    assert text.isascii()
    return documents


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_file_s_name_harms_no_one(desk, terminal, name):
    inbox = desk.folder / "inbox"
    inbox.mkdir()
    path = os.fsencode(inbox) + b"/" + name
    try:
        with open(path, "wb") as stream:  # noqa: PTH123  a path of bytes
            stream.write(encode(photo("coffee", SIZE)))
    except OSError:
        pytest.skip("this file system takes no such name")
    checks = ["--checks", "manifest,metadata,receipt"]
    (report,) = json_lines(terminal("verify", inbox, "--json", *checks, expect=3).out)
    assert os.fsencode(report["asset"]["path"]) == path or "\ufffd" in report["asset"]["path"]
    terminal("verify", inbox, *checks, expect=3)
    terminal("-v", "verify", inbox, *checks, expect=3)
    terminal("verify", inbox, *checks, "--report", "page.html", expect=3)
    text = (desk.folder / "page.html").read_text("utf-8")
    assert "<script>alert" not in text
    assert "onerror=alert(2)>" not in text
    out = desk.folder / "signed"
    out.mkdir()
    terminal("sign", *inbox.iterdir(), "-o", out, "--no-watermark", "--json")
    (entry,) = json_lines(terminal("ledger", "append", *inbox.iterdir(), "--json").out)
    assert entry["index"] == 1
    terminal("inspect", *inbox.iterdir())
    terminal("watermark", "read", *inbox.iterdir(), expect=3)


def test_names_that_are_not_utf8_come_through_the_real_command(desk, terminal):
    path = os.fsencode(desk.folder) + b"/caf\xe9\x1b[31m.jpg"
    with open(path, "wb") as stream:  # noqa: PTH123  a path of bytes
        stream.write(encode(photo("coffee", SIZE)))
    terminal.alone("verify", path, "--checks", "manifest", expect=3)
    (report,) = json_lines(terminal.alone("verify", path, "--checks", "manifest", "--json", expect=3).out)
    assert os.fsencode(report["asset"]["path"]) == path
    missing = terminal.alone("verify", path + b"\n\x1b]0;no", "--checks", "manifest", expect=4)
    assert "caf" in missing.err
    assert len(missing.err.splitlines()) <= 2


class Tags(HTMLParser):
    """Collects the tags, handlers and addresses of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.handlers, self.addresses = set(), set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}
        self.addresses |= {value for name, value in attrs if name in ("href", "src", "action") and value}


def test_strings_in_credentials_harm_no_one(desk, terminal):
    """Each string stands in title, generator, action, soft binding and signer's name."""
    paths = []
    for text in hostile_strings():
        manifest = definition(
            {**created("digitalCapture"), "softwareAgent": {"name": text}, "description": text},
            title=text,
            assertions=[
                {
                    "label": "c2pa.soft-binding",
                    "data": {"alg": text, "blocks": [{"scope": {}, "value": text}]},
                }
            ],
        )
        manifest["claim_generator_info"] = [{"name": text, "version": text}]
        signer = person(text[:64] or "x", desk.studio.now, issuer=desk.studio.agencies, name=text[:64] or "x")
        paths.append(desk.file(bare_sign(encode(photo("astronaut", SIZE)), "image/jpeg", signer, manifest)))
    checks = ["--checks", "manifest,metadata,receipt,agreement"]
    reports = json_lines(terminal("verify", *paths, "--json", *checks, expect=None).out)
    assert len(reports) == len(paths) >= 12
    assert {r["verdict"] for r in reports} == {"source-confirmed"}
    for report in reports:
        assert len(report["headline"]) < 600
    shown = terminal("verify", *paths, *checks, "--report", "all.html", expect=0)
    assert max(map(len, shown.out.splitlines())) <= 200
    terminal("-v", "verify", *paths, *checks)
    page = (desk.folder / "all.html").read_text("utf-8")
    tags = Tags()
    tags.feed(page)
    assert not tags.tags & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert not tags.handlers
    assert all(re.match(r"(#|data:image/)", a) for a in tags.addresses), tags.addresses
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", page)
    for path in paths[: len(STRINGS)]:
        terminal("inspect", path)
        json_lines(terminal("inspect", path, "--json").out)


def test_strings_given_to_the_signer_come_back_unchanged_and_harmless(desk, terminal):
    for text in STRINGS[:8]:
        source, out = desk.picture(), desk.path()
        words = text.replace("\x00", "")  # no argument holds a NUL
        terminal(
            "sign", source, "-o", out, "--title", words, "--source-type", "digitalCapture", "--no-watermark"
        )
        (report,) = json_lines(terminal("verify", out, "--json", "--checks", "manifest").out)
        assert report["manifest"]["title"] == words


def test_a_broken_pipe_is_no_error(desk, terminal):
    import subprocess
    import sys

    paths = [str(desk.picture()) for _ in range(2)]
    code = "from assay.cli.main import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "verify", *paths, "--checks", "manifest", "--json"],
        env={**os.environ, "ASSAY_HOME": str(terminal.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        err = process.stderr.read().decode()
    assert err == ""


def test_an_interrupted_signature_leaves_nothing(desk, terminal):
    """Killed at any moment, the command leaves either no output or the whole of it."""
    import signal
    import subprocess
    import sys
    import time

    source = desk.picture(size=(320, 256))
    code = "from assay.cli.main import run; run()"
    for delay in (0.2, 0.5, 0.8):
        out = desk.path()
        process = subprocess.Popen(
            [sys.executable, "-c", code, "sign", str(source), "-o", str(out)],
            env={**os.environ, "ASSAY_HOME": str(terminal.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        if out.exists():
            assert desk.verify(out, checks=("manifest",)).verdict == "source-confirmed"
        assert not [p.name for p in desk.files() if p.name.endswith(".tmp")]
    assert desk.workspace.log.check() == []


def test_what_a_file_says_is_never_taken_for_our_word(desk, terminal):
    """A title that looks like a verdict is quoted or marked as the file's own words."""
    claim = "Source confirmed: signed by Reuters"
    stranger = bare_sign(
        encode(photo("astronaut", SIZE)),
        "image/jpeg",
        desk.studio.stranger,
        definition(created("digitalCapture"), title=claim),
    )
    answer = terminal("verify", desk.file(stranger), "--checks", "manifest", expect=3)
    assert "INCONCLUSIVE" in answer.out
    assert not any(
        line.strip(" │|[").upper().startswith("SOURCE CONFIRMED") for line in answer.out.splitlines()
    )


def test_debris_of_every_kind_is_answered(desk, terminal, corpus):
    """The corpus' malformed files: an answer for each, never a fault of ours."""
    folder = corpus / "malformed"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size < 1 << 20][::12]
    if not files:
        pytest.skip("the corpus holds no malformed files")
    answer = terminal("verify", *files, "--json", "--checks", "manifest,metadata,receipt", expect=None)
    assert answer.code in (0, 1, 3, 4)
    assert len(json_lines(answer.out)) == len(files)
