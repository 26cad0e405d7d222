"""A page as PDF, printed from the very HTML that a browser would show. Needs the extra ``pdf`` and the library Pango.

Nothing is fetched: of all addresses only ``data:`` is open, and the page holds no other.
"""

from __future__ import annotations

import logging
import warnings

from assay.provenance.errors import AssayError, ConfigurationError


def pdf(html: str) -> bytes:
    """Print a page; raises ConfigurationError where WeasyPrint or Pango is missing, AssayError where it fails."""
    try:
        with warnings.catch_warnings():  # of libraries that it will want one day
            warnings.simplefilter("ignore")
            from weasyprint import HTML
            from weasyprint.urls import URLFetcher
    except ImportError as error:
        raise ConfigurationError(
            "PDF reports need WeasyPrint", hint="pip install 'assay[pdf]', or print the .html report"
        ) from error
    except OSError as error:  # its C libraries are looked for when it is imported
        raise ConfigurationError(
            "PDF reports need the library Pango",
            hint="install it (Debian: libpango-1.0-0, libpangoft2-1.0-0), or print the .html report",
        ) from error
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # styles that only browsers know are no news
    fetcher = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    try:
        return bytes(HTML(string=html, url_fetcher=fetcher).write_pdf() or b"")
    except Exception as error:  # it has no errors of its own
        raise AssayError(
            f"the report could not be printed: {type(error).__name__}", hint="write it as .html"
        ) from error
