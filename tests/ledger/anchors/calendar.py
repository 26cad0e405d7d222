"""An OpenTimestamps calendar on loopback over a made-up chain of little work: promises first, delivers later."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bitcoin.core import CBlockHeader
from bitcoin.core.serialize import uint256_from_compact, uint256_from_str
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, PendingAttestation
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import Timestamp

EASY = 0x207FFFFF
TIME = 1_795_258_800  # 2026-11-21T11:00:00Z


def mine(previous: bytes, root: bytes, time: int, bits: int = EASY) -> CBlockHeader:
    """Return a header with as much work as ``bits`` asks."""
    nonce = 0
    while True:
        header = CBlockHeader(4, previous, root, time, bits, nonce)
        if uint256_from_str(header.GetHash()) <= uint256_from_compact(bits):
            return header
        nonce += 1


def chain(roots: list[bytes], time: int = TIME) -> list[CBlockHeader]:
    """Return linked headers, ten minutes apart, that commit to these Merkle roots."""
    headers: list[CBlockHeader] = []
    for number, root in enumerate(roots):
        previous = headers[-1].GetHash() if headers else bytes(32)
        headers.append(mine(previous, root, time + 600 * number))
    return headers


def lines(headers: list[CBlockHeader], first: int) -> str:
    return "".join(f"{first + n} {header.serialize().hex()}\n" for n, header in enumerate(headers))


class Calendar:
    """Answers as calendars do; ``mined`` maps what was committed to the message that a block attests.

    ``heights`` says in which block each commitment is; until it is there, the answer is 404. ``owner`` is the
    address that promises name, by default its own.
    """

    def __init__(self, owner: str = "") -> None:
        self.asked: list[str] = []
        self.commitments: list[bytes] = []
        self.heights: dict[bytes, int] = {}
        self.status = 200
        self.garbage: bytes | None = None
        calendar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calendar.asked.append(f"POST {self.path}")
                message = self.rfile.read(int(self.headers["Content-Length"]))
                calendar.commitments.append(message)
                self._say(calendar.status, calendar.garbage or calendar.promise(message))

            def do_GET(self) -> None:
                calendar.asked.append(f"GET {self.path}")
                message = bytes.fromhex(self.path.rpartition("/")[2])
                if message in calendar.heights:
                    self._say(calendar.status, calendar.garbage or calendar.delivery(message))
                else:
                    self._say(404, b"not yet")

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.opentimestamps.v1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.owner = owner or self.url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _salted(self, message: bytes) -> Timestamp:
        """Return the calendar's own commitment, which it prepends its time to, as real ones do."""
        stamp = Timestamp(message)
        timed = stamp.ops.add(OpPrepend(b"\x69\x20\x11\x00"))
        return stamp, timed.ops.add(OpSHA256())

    def promise(self, message: bytes) -> bytes:
        stamp, own = self._salted(message)
        own.attestations.add(PendingAttestation(self.owner))
        return serialized(stamp)

    def promised(self, message: bytes) -> bytes:
        """Return the message that the promise is for: what is asked for later."""
        return self._salted(message)[1].msg

    def delivery(self, message: bytes) -> bytes:
        stamp = Timestamp(message)
        paired = stamp.ops.add(OpAppend(hashlib.sha256(b"a neighbour in the block").digest()))
        root = paired.ops.add(OpSHA256()).ops.add(OpSHA256())
        root.attestations.add(BitcoinBlockHeaderAttestation(self.heights[message]))
        return serialized(stamp)

    def mine(self, height: int) -> list[bytes]:
        """Put everything promised into a block; return the Merkle roots that its header must have."""
        roots = []
        for commitment in self.commitments:
            message = self.promised(commitment)
            self.heights[message] = height
            inner = message + hashlib.sha256(b"a neighbour in the block").digest()
            roots.append(hashlib.sha256(hashlib.sha256(inner).digest()).digest())
        return roots

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serialized(stamp: Timestamp) -> bytes:
    writer = BytesSerializationContext()
    stamp.serialize(writer)
    return writer.getbytes()
