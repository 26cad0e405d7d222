"""Fetching published weights: over https, from public addresses, of a SHA-256 that is known before."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urljoin, urlsplit

from assay.detect.card import MAX_WEIGHTS_BYTES
from assay.provenance.errors import MalformedError, NetworkError, UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.text import safe_text

SECONDS = 1_800.0
"""Longest that a download may take."""
REDIRECTS = 4
"""Most addresses that publishers may send us on to, as their stores of large files do."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REDIRECTING = frozenset({301, 302, 303, 307, 308})


def fetch_weights(url: str, sha256: str, *, fetcher: Fetcher | None = None) -> bytes:
    """Return the file at an https URL, whose SHA-256 must be ``sha256``, 64 lower-case hexadecimal digits.

    The guarded ``fetcher`` judges every address anew that the publisher sends us on to. Raises UsageError for any
    other URL or digest, NetworkError where it cannot be fetched, MalformedError where it is another file.
    """
    if not _SHA256.fullmatch(sha256):
        raise UsageError("--sha256 takes 64 lower-case hexadecimal digits", hint="its publisher names them")
    guarded = fetcher or Fetcher(seconds=SECONDS, max_bytes=MAX_WEIGHTS_BYTES)
    for _ in range(REDIRECTS + 1):
        host = _https(url)
        answer = guarded.ask("GET", url)
        if answer.status not in _REDIRECTING:
            break
        url = urljoin(url, answer.headers.get("location", ""))
    if answer.status != 200:
        raise NetworkError(
            f"{host} answered with status {answer.status}",
            hint="open the address in a browser: is it the file's own?",
        )
    found = hashlib.sha256(answer.body).hexdigest()
    if found != sha256:
        raise MalformedError(
            f"{host} has another file: its SHA-256 is {found}",
            hint="nothing of it was kept; ask its publisher which",
        )
    return answer.body


def _https(url: str) -> str:
    """Return the host of an https URL; raises UsageError for any other."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"not a URL: {safe_text(url, 80)!r}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise UsageError(f"not an https URL: {safe_text(url, 80)!r}", hint="weights come over https only")
    return safe_text(parts.hostname, 200)
