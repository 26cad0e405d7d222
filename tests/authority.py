"""A time-stamp authority (RFC 3161) on loopback: with any certificate, any clock, or out of order."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .people import Person


def time_stamp(request: bytes, owner: Person, now: dt.datetime) -> bytes:
    """Answer one RFC 3161 request with a token of ``owner`` that says ``now``."""
    asked = tsp.TimeStampReq.load(request)
    info: dict[str, Any] = {
        "version": "v1",
        "policy": "1.3.6.1.4.1.99999.1",
        "message_imprint": asked["message_imprint"],
        "serial_number": int.from_bytes(hashlib.sha256(request).digest()[:8], "big"),
        "gen_time": now.replace(microsecond=0),
    }
    if asked["nonce"].native is not None:
        info["nonce"] = asked["nonce"].native
    content = tsp.TSTInfo(info).dump()
    certificate = owner.certificate.public_bytes(serialization.Encoding.DER)
    binding = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(certificate).digest()}]})
    signed = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [binding]}),
        ]
    )
    leaf = asn1_x509.Certificate.load(certificate)
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.IssuerAndSerialNumber({"issuer": leaf.issuer, "serial_number": leaf.serial_number}),
            "digest_algorithm": sha256,
            "signed_attrs": signed,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": owner.key.sign(signed.dump(), ec.ECDSA(hashes.SHA256())),
        }
    )
    chain: list[bytes] = []
    link: Person | None = owner
    while link:
        chain.append(link.certificate.public_bytes(serialization.Encoding.DER))
        link = link.issuer
    data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
            "certificates": [asn1_x509.Certificate.load(c) for c in chain],
            "signer_infos": [signer],
        }
    )
    token = cms.ContentInfo({"content_type": "signed_data", "content": data})
    return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()


class Server:
    """An HTTP server on a free loopback port that counts what it is asked and answers with ``answer(body)``."""

    def __init__(
        self, answer: Callable[[bytes], tuple[int, bytes]], kind: str = "application/timestamp-reply"
    ) -> None:
        self.requests: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner.requests.append(self.path)
                status, body = answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def authority(owner: Person, clock: Callable[[], dt.datetime]) -> Server:
    """Start a time-stamp authority."""
    return Server(lambda body: (200, time_stamp(body, owner, clock())))
