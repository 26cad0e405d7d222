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
        """In the child, before it is sealed: leave the network, listen, and return the port. Raises SealError."""
        self.alone = _own_network()
        return self.listen()

    def listen(self) -> int:
        """Begin to listen, in the network that this process is in, and return the port. Raises SealError."""
        try:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        except OSError as error:
            raise SealError(f"nothing can listen on loopback: {os.strerror(error.errno or 0)}") from error
        return self.port


def _own_network() -> bool:
    """Move this process into a network of its own, with loopback up; False where the kernel does not allow it.

    There is no way back, and some systems give such a network without the right to start its loopback: a process that
    is thrown away tries it first.
    """
    if sys.platform != "linux":
        return False
    trial = os.fork()
    if trial == 0:
        code = 1
        try:
            _move()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(trial, 0)[1]:
        return False
    try:
        _move()
    except OSError as error:
        raise SealError(f"no network of its own: {os.strerror(error.errno or 0)}") from error
    return True


def _move() -> None:
    import fcntl  # not everywhere

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) and libc.unshare(_NEW_USER | _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        fcntl.ioctl(asker, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
