from __future__ import annotations

import io
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pikepdf
import pytest

from assay.provenance.errors import ConfigurationError
from assay.provenance.page import page
from assay.provenance.pdf import pdf
from tests.reports import confirmed, laced, untrusted

try:
    pdf("<p>x")
except ConfigurationError as error:
    pytest.skip(f"{error.message}: {error.hint}", allow_module_level=True)


def opened(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(data))


def test_a_report_is_printed_on_a4():
    with opened(pdf(page([(confirmed(), None)], "Assay report"))) as document:
        assert document.docinfo["/Title"] == "Assay report"
        width, height = (float(v) for v in document.pages[0].mediabox[2:])
        assert (round(width), round(height)) == (595, 842)


def test_nothing_in_it_runs_or_leads_out():
    hostile = '"><img src=https://evil.example/x onerror=alert(1)><script>alert(1)</script>'
    with opened(pdf(page([(laced(hostile), None), (untrusted(), None)], hostile))) as document:
        for item in document.objects:
            if isinstance(item, pikepdf.Dictionary):
                assert not {"/JS", "/JavaScript", "/OpenAction", "/Launch", "/EmbeddedFiles", "/URI"} & set(
                    item.keys()
                )


def test_no_address_is_asked_even_of_a_page_that_names_one(tmp_path):
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    secret = tmp_path / "secret.css"
    secret.write_text("p { color: red }")
    server = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        pdf(
            f'<link rel=stylesheet href="{address}/a.css"><link rel=stylesheet href="{secret.as_uri()}">'
            f"<style>@import url({address}/b.css); p {{ background: url({address}/c.png) }}</style>"
            f'<p><img src="{address}/d.png"><object data="{address}/e.svg"></object>'
        )
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []
