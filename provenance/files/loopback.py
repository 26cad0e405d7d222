"""A child that talks to itself over TCP, and to nobody else.

The C2PA engine asks a time-stamp authority over HTTP by itself and offers no other way (c2pa-rs 0.91: the resolver
that its interface can be given is not asked for time-stamps). So the child that signs has a listener of its own on
loopback, and the engine talks to that. The child gets a network of its own where the kernel lets it have one, so that
there is nobody else; elsewhere Landlock (from its version 4) holds it to the listener's port, which is no rule about
hosts. docs/adr/0012-sandbox.md says what is left.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

from assay.provenance.files.sandbox import SealError

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # linux/sched.h; Python 3.11 has no unshare
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41  # SIOCSIFFLAGS; linux/if.h


class Loopback:
    """One child's listener on 127.0.0.1; ``alone`` says whether it has a network of its own."""

    def __init__(self) -> None:
        self.listener: socket.socket | None = None
        self.alone = False

    @property
    def port(self) -> int:
        """Where it listens; raises SealError where it does not yet."""
        if self.listener is None:
            raise SealError("there is no listener")
        return int(self.listener.getsockname()[1])

    def open(self) -> int:
        """In the child, before it is sealed: begin to listen, and return the port. Raises SealError."""
        self.alone = _own_network()
        try:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        except OSError as error:
            raise SealError(f"nothing can listen on loopback: {os.strerror(error.errno or 0)}") from error
        return self.port


def _own_network() -> bool:
    """Move this process into a network of its own, with loopback up; False where the kernel does not allow it."""
    if sys.platform != "linux":
        return False
    import fcntl  # not everywhere

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) and libc.unshare(_NEW_USER | _NEW_NETWORK):
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            fcntl.ioctl(asker, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
    except OSError as error:
        raise SealError(
            f"loopback of a network of its own does not start: {os.strerror(error.errno or 0)}"
        ) from error
    return True
