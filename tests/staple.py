"""Stapling: what anyone can put beside a signature, in the part of its COSE header that is not signed."""

from __future__ import annotations

from io import BytesIO

import cbor2

_COSE_SIGN1 = b"\xd2\x84"


def staple(data: bytes, *responses: bytes) -> bytes:
    """Return a signed file whose signature carries OCSP responses, of the same length: padding makes room."""
    start = data.index(_COSE_SIGN1)
    stream = BytesIO(data[start:])
    tagged = cbor2.load(stream)
    size = stream.tell()
    protected, header, payload, signature = tagged.value
    header = {**header, "rVals": {"ocspVals": list(responses)}}
    pad = len(header["pad"])
    for _ in range(4):  # the length of the padding's own length changes with it
        made = cbor2.dumps(cbor2.CBORTag(18, [protected, {**header, "pad": bytes(pad)}, payload, signature]))
        if len(made) == size:
            return data[:start] + made + data[start + size :]
        pad += size - len(made)
    raise AssertionError("there is no room beside the signature")
