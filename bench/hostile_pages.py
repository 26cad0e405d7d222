"""Load report pages that carry hostile strings in a real browser, and count requests and scripts: both must be none.

    python bench/hostile_pages.py --corpus $ASSAY_CORPUS
    python bench/hostile_pages.py --corpus $ASSAY_CORPUS --chromium /usr/bin/chromium --json out.json

Each string of the corpus (naughty strings, the attack strings of c2pa-attacks) and of tests/reports.py stands in every
field of a report that a file, a signer or a ledger can choose, and as the title of a page. Each page is opened three
times in a headless Chromium: on a screen; printed; and on a screen with its content security policy cut out, so that
escaping alone has to hold. The browser's proxy is a server of this program's own, which counts what is asked of any
host, but for the browser's own questions to its maker's hosts, which no string is left to name. What the policy refused
is read from the browser's console; scripts, handlers and foreign addresses from the document that the browser made. A
control page that asks and runs must be caught by each count, or nothing is said. The same reports are written as
terminal text, JSON, SARIF and JUnit, and parsed. Ends with 1 where anything was counted.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree

from lxml import html

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console

from assay.cli.show import show_report
from assay.provenance.junit import junit
from assay.provenance.page import page
from assay.provenance.sarif import sarif
from tests.reports import HOSTILE, laced

BATCH = 60
"""Reports on a page."""
SECONDS = 120
"""Longest that the browser may take for a page."""
FLAGS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    *("--no-default-browser-check", "--disable-extensions", "--disable-domain-reliability", "--no-pings"),
    *("--metrics-recording-only", "--disable-breakpad", "--disable-client-side-phishing-detection"),
    *("--enable-logging=stderr", "--log-level=0", "--proxy-bypass-list=<-loopback>"),
)
MAKER = re.compile(r"google(apis)?\.com")
"""Whose hosts the browser asks for reasons of its own; replaced in every string, so that no page can lead there."""
_OWN = re.compile(rb"(CONNECT |[A-Z]+ http://)([a-z0-9-]+\.)*google(apis)?\.com[:/]")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_CONTROL = (
    '<!doctype html><html><head><meta charset="utf-8">POLICY</head><body>'
    '<img src="http://evil.example/image"><script>console.log("ran")</script></body></html>'
)
_CSP = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
_ACTIVE = frozenset(
    {"script", "iframe", "object", "embed", "link", "base", "form", "frame", "audio", "video"}
)


@dataclass(slots=True)
class Count:
    """What the browser did: pages opened, connections made, lines on its console, active parts in its document."""

    pages: int = 0
    connections: int = 0
    console: int = 0
    active: int = 0
    unfinished: int = 0

    @property
    def faults(self) -> int:
        """How much of it should not have happened."""
        return self.connections + self.console + self.active + self.unfinished

    def __iadd__(self, other: Count) -> Count:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


class Trap:
    """Listens on a port of the loopback as a proxy and keeps the first bytes of whatever connects."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        Thread(target=self._listen, daemon=True).start()

    @property
    def asked(self) -> list[bytes]:
        """What was asked, over whichever connection, that was not the browser's own."""
        return [data for data in self.heard if data and not _OWN.match(data)]

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(1)
                try:
                    self.heard.append(connection.recv(300))
                except OSError:
                    self.heard.append(b"")


class Browser:
    """A headless Chromium whose proxy is the trap."""

    def __init__(self, program: str, trap: Trap, folder: Path) -> None:
        self._program, self._trap, self._folder = program, trap, folder

    def opened(self, text: str, *, printed: bool = False) -> Count:
        """Open a page, or print it, and count."""
        file = self._folder / "page.html"
        file.write_text(text, "utf-8")
        before = len(self._trap.asked)
        made = self._folder / "page.pdf"
        doing = [f"--print-to-pdf={made}"] if printed else ["--dump-dom"]
        with tempfile.TemporaryDirectory(dir=self._folder) as profile:
            command = [
                self._program,
                *FLAGS,
                f"--user-data-dir={profile}",
                *doing,
                self._proxy(),
                file.as_uri(),
            ]
            try:
                done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return Count(pages=1, unfinished=1)
        said = done.stderr.decode("utf-8", "replace")
        count = Count(pages=1, console=len(re.findall(r"CONSOLE[(:]", said)))
        if printed:
            count.unfinished = int(not (made.is_file() and made.read_bytes().startswith(b"%PDF")))
            made.unlink(missing_ok=True)
        else:
            count.unfinished = int(b"</html>" not in done.stdout)
            count.active = active_parts(done.stdout.decode("utf-8", "replace"))
        asked = self._trap.asked[before:]
        count.connections = len(asked)
        for data in asked:
            print(f"asked: {data[:100]!a}", file=sys.stderr)
        return count

    def _proxy(self) -> str:
        return f"--proxy-server=http://127.0.0.1:{self._trap.port}"


def active_parts(document: str) -> int:
    """Return how many elements of a document could run or fetch, and how many attributes handle events or lead out."""
    if "</html>" not in document:
        return 0
    found = 0
    for element in html.document_fromstring(document).iter():
        if not isinstance(element.tag, str):
            continue
        found += element.tag in _ACTIVE
        for name, value in element.attrib.items():
            leads = name in ("src", "href", "srcset", "poster", "background", "action", "formaction", "data")
            found += name.startswith("on") or name == "srcdoc"
            found += leads and not re.match(r"#|data:image/(png|jpeg);base64,", value)
    return found


def strings_of(corpus: Path) -> list[str]:
    """Return the strings of the corpus and of tests/reports.py, each once."""
    found = list(HOSTILE)
    found += json.loads((corpus / "malformed/naughty-strings/blns.json").read_text("utf-8"))
    for folder in ("malformed/c2pa-attack-strings", "c2pa/c2pa-attacks/attacks"):
        for path in sorted((corpus / folder).glob("*.attack")):
            found += path.read_text("utf-8", "replace").splitlines()
    return list(dict.fromkeys(MAKER.sub("elsewhere.example", s) for s in found))


def batches(strings: Sequence[str]) -> Iterator[str]:
    """Yield pages that hold all strings."""
    for start in range(0, len(strings), BATCH):
        some = strings[start : start + BATCH]
        yield page([(laced(s), None) for s in some], some[0])


def faults_in_texts(strings: Sequence[str]) -> dict[str, int]:
    """Return for each other output how many strings break it or come through with a control character."""
    faults = dict.fromkeys(("terminal", "json", "sarif", "junit"), 0)
    for s in strings:
        report = laced(s)
        shown = io.StringIO()
        show_report(report, Console(file=shown, width=100, no_color=True), verbose=True)
        hidden = {c for c in shown.getvalue() if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        faults["terminal"] += bool(hidden - {"\n"})
        written = json.dumps(report.to_json(), indent=2)
        faults["json"] += not written.isascii() or json.loads(written) != report.to_json()
        log = sarif([(report.asset.path, report)], "0")
        places = [a["location"]["uri"] for a in log["runs"][0]["artifacts"]]
        faults["sarif"] += not json.dumps(log).isascii() or not all(
            re.fullmatch(r"[!-~]+", p) for p in places
        )
        try:
            root = ElementTree.fromstring(junit([(report.asset.path, report)]))
            faults["junit"] += len(root.findall("testsuite/testcase")) != 1
        except ElementTree.ParseError:
            faults["junit"] += 1
    return faults


def controls(browser: Browser) -> list[str]:
    """Return which counts did not notice a page that asks and runs."""
    bare, kept = (
        browser.opened(_CONTROL.replace("POLICY", "")),
        browser.opened(_CONTROL.replace("POLICY", _CSP)),
    )
    printed = browser.opened(_CONTROL.replace("POLICY", ""), printed=True)
    noticed = {
        "a request": bare.connections,
        "a script that ran": bare.console,
        "a script in the document": bare.active,
        "what a policy refused": kept.console,
        "a request when printed": printed.connections,
        "a script when printed": printed.console,
    }
    return [name for name, seen in noticed.items() if not seen]


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "", metavar="FILE")
    parser.add_argument("--sample", type=int, metavar="N", help="only the first N strings")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    if not given.chromium:
        parser.error("there is no chromium here; name one with --chromium")
    strings = strings_of(given.corpus)[: given.sample]
    start = time.monotonic()
    modes = {"on a screen": Count(), "printed": Count(), "without its policy": Count()}
    with tempfile.TemporaryDirectory() as name:
        browser = Browser(given.chromium, Trap(), Path(name))
        missed = controls(browser)
        if missed:
            print(f"the control went unnoticed: {', '.join(missed)}; nothing can be said", file=sys.stderr)
            return 5
        for text in batches(strings):
            modes["on a screen"] += browser.opened(text)
            modes["printed"] += browser.opened(text, printed=True)
            modes["without its policy"] += browser.opened(_POLICY.sub("", text))
    texts = faults_in_texts(strings)
    for mode, count in modes.items():
        print(
            f"{mode:20} {count.pages:4} pages  {count.connections} requests  {count.console} lines on the console  "
            f"{count.active} active parts  {count.unfinished} unfinished"
        )
    for output, faults in texts.items():
        print(f"{output:20} {len(strings):4} strings  {faults} broken")
    print(f"{len(strings)} strings in every field, {time.monotonic() - start:.0f} s")
    if given.json:
        counts = {mode: asdict(count) for mode, count in modes.items()}
        document = {"strings": len(strings), "modes": counts, "texts": texts}
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(any(count.faults for count in modes.values()) or any(texts.values()))


if __name__ == "__main__":
    sys.exit(main())
