from __future__ import annotations

import io
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from assay.cli.show import show_histories, show_report, show_signed
from assay.cli.show_inspection import show_inspection
from assay.provenance.asset import Digest
from assay.provenance.manifest import SignerName
from assay.provenance.mark import Mark
from assay.provenance.report import Report
from assay.provenance.sign import Signed
from assay.provenance.wording import LABELS
from tests.reports import (
    EACH,
    HOSTILE,
    confirmed,
    conflict,
    inconclusive,
    laced,
    receipt,
    recovered,
    untrusted,
)

STYLE = re.compile(r"\x1b\[[\d;]*m")


def printed(show, *args, width: int = 80, terminal: bool = False, encoding: str = "utf-8") -> str:
    """Run a show function on a console of the given kind and return what reaches the screen."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(
        file=file,
        width=width,
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        _environ={},
    )
    show(*args, console) if show is not show_report else show(args[0], console, *args[1:])
    file.flush()
    return raw.getvalue().decode(encoding)


def flat(text: str) -> str:
    """Undo wrapping and frames."""
    return " ".join(re.sub(r"[│╭╮╰╯|+─]", " ", text).split())


def inspection(s: str) -> dict[str, object]:
    return {
        "type": "x",
        "asset": {"path": s, s: s},
        "metadata": {s: [s, {s: [s]}], "error": s},
        s: [[s]],
        "deep": [s] * 99,
    }


def signed(s: str | None = None) -> Signed:
    return Signed(
        Path((s or "in.jpg").replace("\x00", "_")),
        Path((s or "out.jpg").replace("\x00", "_")),
        Digest.of(b"x"),
        Mark(s or "io.assay.dwtdctsvd.1", s or "9f3c"),
        s or "urn:c2pa:x",
        receipt(s),
        time_stamped=False,
        development=True,
        notes=(s or "no watermark: too small",),
    )


def histories(console_rows, console: Console) -> None:
    show_histories(console, console_rows)


SHOWN = {
    "report": lambda s, **k: printed(show_report, laced(s), **k),
    "verbose report": lambda s, **k: printed(show_report, laced(s), True, **k),
    "signed": lambda s, **k: printed(show_signed, signed(s), **k),
    "histories": lambda s, **k: printed(histories, [(s, s, laced(s)), (s, "conflict", recovered())], **k),
    "inspection": lambda s, **k: printed(show_inspection, inspection(s), **k),
}


@pytest.mark.parametrize("what", SHOWN)
@pytest.mark.parametrize("s", HOSTILE, ids=lambda s: ascii(s[:24]))
def test_nothing_in_a_file_reaches_the_terminal_as_control(what, s):
    for width, terminal in ((60, False), (120, True)):
        text = SHOWN[what](s, width=width, terminal=terminal)
        if terminal:
            # Bold, dim and plain are ours; anything else came out of the file.
            assert {c for part in STYLE.findall(text) for c in part[2:-1].split(";")} <= {"0", "1", "2"}
            text = STYLE.sub("", text)
        unshown = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
        assert unshown <= {"\n"}


@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
def test_only_weight_is_set_never_colour(make):
    text = printed(show_report, make(), True, terminal=True)
    assert {code for part in STYLE.findall(text) for code in part[2:-1].split(";")} <= {"0", "1", "2"}


def test_markup_in_a_file_is_shown_and_not_obeyed():
    text = flat(
        printed(show_report, laced("[bold red]x[/] [link=https://evil.example]y[/link] :warning:"), width=100)
    )
    assert "[bold red]x[/] [link=https://evil.example]y[/link] :warning:" in text


def test_hidden_characters_are_written_out():
    assert "photo\\u{202e}gpj.exe" in printed(show_report, laced("photo\u202egpj.exe"), width=100)


@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_report_has_verdict_sentence_axes_and_every_witness(make, width):
    report = make()
    text = printed(show_report, report, width=width)
    assert max(Text(line).cell_len for line in text.splitlines()) <= width
    read = flat(text)
    assert LABELS[report.verdict].upper() in read
    assert report.headline in read
    assert all(word in read for word in ("Integrity", "Origin", "Synthesis"))
    assert all(e.summary in read for e in report.evidence)


def test_conflicts_regions_and_history_are_told_in_words():
    read = flat(printed(show_report, conflict()))
    assert "[ ≠ CONFLICT ]" in read
    assert "dropped-history" in read
    assert "Created here, say the credentials. (Content credentials)" in read
    assert "Logged earlier. (Ledger)" in read
    read = flat(printed(show_report, recovered()))
    assert "1 upper right, 8 % of the picture 2 lower left, 2 % of the picture" in read
    assert "The original in the ledger (intact, signer on your list)" in read
    assert "grandparent.dng" in read


def test_statuses_differ_by_shape():
    read = printed(show_report, conflict())
    assert "◐ found a claim" in read
    assert "◆ found a contradiction" in read
    read = printed(show_report, inconclusive())
    assert "○ nothing there" in read
    assert "? could not look" in read


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
def test_terminals_without_unicode_get_ascii(make, encoding):
    text = printed(show_report, make(), True, encoding=encoding)
    assert text.isascii()
    assert "\\u{" not in text


def test_letters_that_a_terminal_lacks_are_shown_by_number():
    text = printed(show_report, untrusted(signer=SignerName("ВВС", "x")), encoding="ascii")
    assert '"\\u{412}\\u{412}\\u{421}"' in text


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm", "PYTHONIOENCODING": "ascii"}]
)
def test_plain_terminals_get_the_same_words(environment):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.reports import recovered\n"
        "from assay.cli.show import show_report\n"
        "from rich.console import Console\n"
        "show_report(recovered(), Console(force_terminal=True, width=70))\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path[1:]), "LANG": "C.UTF-8", **environment},
    )
    text = STYLE.sub("", run.stdout.decode())
    assert "[ SOURCE RECOVERED ]" in text
    assert "\x1b" not in text
    if "NO_COLOR" in environment:
        assert not re.search(rb"\x1b\[[\d;]*3\d", run.stdout)


def test_verbose_adds_what_was_not_checked_and_what_it_rests_on():
    short, long = (flat(printed(show_report, confirmed(), verbose)) for verbose in (False, True))
    for part in ("What it does not mean", "Not checked", "newsroom/3#", "sha256:", "neural detector"):
        assert part in long
    assert "Not checked" not in short


def test_the_name_of_an_unknown_signer_is_never_an_identity():
    read = flat(printed(show_report, untrusted(), True, width=140))
    assert "Mallory News" in read
    assert all(before == "calls itself “" for before in re.findall(r"(.{14})Mallory News", read))


def test_the_same_report_prints_the_same():
    assert printed(show_report, recovered(), True) == printed(show_report, recovered(), True)


def test_a_signature_says_what_it_left_and_what_it_did_not():
    read = flat(printed(show_signed, signed()))
    for part in (
        "in.jpg → out.jpg",
        "entry 41 of press.example/ledger",
        "out.jpg.tlog-proof",
        "development signer",
    ):
        assert part in read
    assert "not proven" in read
    assert "too small" in read


@pytest.mark.parametrize("width", [60, 130])
def test_histories_mark_what_was_not_expected(width):
    rows: list[tuple[str, str, Report]] = [
        ("painted over", "source-recovered", recovered()),
        ("never signed", "source-confirmed", inconclusive()),
    ]
    text = printed(histories, rows, width=width)
    assert max(Text(line).cell_len for line in text.splitlines()) <= width
    assert text.count("≠") == 1
    assert "upper right, 8 % of the picture" in flat(text) or width == 60
    assert "painted over" in text


def test_an_inspection_is_complete_and_bounded():
    found = {"asset": {"path": "a.jpg", "size": 7}, "mark": {}, "layout": [{"name": "APP1", "note": ""}] * 99}
    read = flat(printed(show_inspection, found))
    assert "a.jpg" in read
    assert "size 7" in read
    assert "mark nothing" in read
    assert "and 59 more" in read


def test_the_module_loads_nothing_heavy():
    code = "import sys, assay.cli.show; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path[1:])},
    )
    assert not {"rich", "jinja2", "numpy", "PIL", "c2pa", "sqlalchemy", "cryptography"} & set(
        run.stdout.decode().split()
    )
