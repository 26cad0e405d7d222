"""What the kernel takes from a worker's child: its file system (Landlock) and its system calls (seccomp).

Landlock has three system calls, whose numbers and structure the kernel keeps stable (linux/landlock.h); the packages
for it on PyPI are alphas that make the same calls. seccomp's filter is written by libseccomp, the C library that
systemd, containers and browsers use, which knows every machine's call numbers; it is asked once in the parent, and
the child hands the finished filter to the kernel. docs/adr/0012-sandbox.md gives the reasons.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

LAYERS = ("landlock", "seccomp")
"""What can be asked of the kernel, in the order in which it is applied."""

# ------------------------------------------------------------------------------------------ Landlock

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
# The rights that each version of the interface knows, as bits (linux/landlock.h): what is handled is refused.
_FS_BITS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_BITS = {4: 0b11}  # to bind, and to connect, TCP
_CONNECT, _PORT_RULE = 0b10, 2
_SCOPES = {6: 0b11}  # abstract sockets, and signals, to processes outside

# ------------------------------------------------------------------------------------------ seccomp

_SONAME = "libseccomp.so.2"
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_EQUAL, _MASKED = 4, 7
_OPTIMIZE, _BINARY_TREE = 8, 2
_FOREIGN_CALLS, _KILL_PROCESS = 2, 0x80000000
_CLONE_THREAD, _AT_EMPTY_PATH, _PR_SET_NAME = 0x00010000, 0x1000, 15
_INET, _STREAM, _TYPES, _FIONBIO, _F_SETFL = 2, 1, 0xF, 0x5421, 4
_FCNTL = (0, 1, 2, 3, 1030)  # duplicate, flags; never an owner of signals, a lease, a seal

ALLOWED = (
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
    "lseek", "_llseek", "close", "close_range", "dup", "fstat", "fstat64",
    "ftruncate", "ftruncate64", "fallocate", "fsync", "fdatasync", "fadvise64", "copy_file_range", "sendfile",
    "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "msync", "brk", "mincore", "membarrier",
    "futex", "futex_waitv", "futex_wait", "futex_wake", "futex_requeue", "sched_yield", "sched_getaffinity", "getcpu",
    "rseq", "set_robust_list", "set_tid_address", "restart_syscall", "exit", "exit_group",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "sigaltstack", "sigreturn",
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep", "clock_nanosleep_time64", "nanosleep",
    "gettimeofday", "time", "times", "getrusage", "sysinfo", "uname", "getrandom",
    "getrlimit", "ugetrlimit", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid",
    "poll", "ppoll", "select", "pselect6", "_newselect", "pipe2", "eventfd2",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
)  # fmt: skip
"""The system calls a decoder needs on what it already holds; none of them names a file, a host or another process."""
REFUSED = (
    "open", "openat", "openat2", "creat", "access", "faccessat", "faccessat2", "stat", "lstat", "readlink",
    "readlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "symlink", "symlinkat",
    "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "chdir", "fchdir", "chroot",
    "truncate", "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg",
    "execve", "execveat", "fork", "vfork", "kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal",
    "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "mount", "unshare", "setns", "keyctl", "add_key",
    "userfaultfd", "io_uring_setup", "memfd_create", "perf_event_open", "setrlimit", "ioctl",
)  # fmt: skip
"""Refused as not permitted; every other call is not implemented in the child, so that libraries fall back."""
LOOPBACK = (
    "connect", "accept", "accept4", "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown", "socketpair",
    "getsockopt", "setsockopt", "getsockname", "getpeername",
)  # fmt: skip
"""What a child that talks to itself needs besides, on sockets of TCP."""


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What holds the child that reads a file: ``layers`` in force, and by name why one that was asked for is not.

    ``layers`` is a tuple of ``process`` (a child of its own), ``rlimits`` (memory, time, writing), ``landlock`` (no
    file system) and ``seccomp`` (an allow-list of system calls).
    """

    layers: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {"layers": list(self.layers), "missing": dict(self.missing)}

    def __str__(self) -> str:
        held = ", ".join(self.layers) or "none: files are read in the program itself"
        return held + "".join(f"; no {name}: {why}" for name, why in self.missing.items())


NO_SANDBOX = Sandbox()
"""What is said where nothing is known of a file's reading."""


class SealError(Exception):
    """The kernel refused a layer; the message says why."""


def seal(layers: Iterable[str], *, port: int | None = None) -> None:
    """Take from this process, for good, the file system and all system calls that decoding does not need.

    ``port`` is for a child that talks to itself over TCP (``files.loopback``): it may connect to that port and use
    sockets of that kind, and no other. Privileges must have been given up (PR_SET_NO_NEW_PRIVS). Raises SealError
    where the kernel refuses.
    """
    for layer in LAYERS:  # seccomp last: it would refuse the calls of the other
        if layer in layers and layer == "landlock":
            _seal_files(port)
        elif layer in layers:
            _seal_calls(_filter(port is not None))


@cache
def missing_layers(fork: Callable[[], int]) -> dict[str, str]:
    """Try each layer in a child, made by ``fork``, and say why those fail that do; empty where all hold.

    Nothing is concluded from version numbers: containers and kernels refuse in many ways.
    """
    return {layer: why for layer in LAYERS if (why := _tried(layer, fork))}


def _tried(layer: str, fork: Callable[[], int]) -> str:
    if sys.platform != "linux":
        return f"{sys.platform} has no such thing"
    try:
        if layer == "seccomp":
            _filter(False)  # here, so that children inherit it
    except SealError as error:
        return str(error)
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        said = b"the child that tried it failed"
        try:
            _libc().prctl(38, 1, 0, 0, 0)
            seal((layer,))
            said = b""
        except SealError as error:
            said = str(error).encode()
        finally:
            os.write(writer, said + b"\n")
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        said = answers.read(1000)
    os.waitpid(child, 0)
    return said.decode().strip() if said.endswith(b"\n") else "the child that tried it died"


def _refused(what: str, number: int) -> SealError:
    return SealError(f"{what}: {os.strerror(number)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _seal_files(port: int | None) -> None:
    libc, size = _libc(), ctypes.c_size_t
    version = libc.syscall(_CREATE_RULESET, None, size(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1:
        raise _refused("the kernel does not offer it", ctypes.get_errno())
    bits = [max((b for v, b in t.items() if v <= version), default=0) for t in (_FS_BITS, _NET_BITS, _SCOPES)]
    # A kernel takes a structure longer than its own where the rest is zero.
    ruleset = (ctypes.c_uint64 * 3)(*bits)
    number = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), size(24), ctypes.c_uint32(0))
    if number < 0:
        raise _refused("the kernel refuses its rules", ctypes.get_errno())
    try:
        if port is not None and bits[1]:
            rule = (ctypes.c_uint64 * 2)(_CONNECT, port)
            added = (ctypes.c_int(number), ctypes.c_int(_PORT_RULE), ctypes.byref(rule), ctypes.c_uint32(0))
            if libc.syscall(_ADD_RULE, *added):
                raise _refused("the kernel refuses its rule for a port", ctypes.get_errno())
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(number), ctypes.c_uint32(0)):
            raise _refused("the kernel does not apply it", ctypes.get_errno())
    finally:
        os.close(number)


def _seal_calls(program: bytes) -> None:
    holder = _Program(len(program) // 8, program)
    if _libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(holder), 0, 0):
        raise _refused("the kernel does not apply it", ctypes.get_errno())


_filter_lock = threading.Lock()


def _filter(loopback: bool) -> bytes:
    with _filter_lock:
        return _written_filter(loopback)


@cache
def _written_filter(loopback: bool) -> bytes:
    """Have libseccomp write the filter for this machine; raises SealError where the library is missing or fails."""
    talking = LOOPBACK if loopback else ()
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError as error:
        raise SealError(f"the library {_SONAME} is not installed") from error
    library.seccomp_init.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_REFUSE | errno.ENOSYS)))
    if not handle:
        raise SealError(f"{_SONAME} makes no filter on this machine")
    try:
        # The default kills one thread, and a child whose others live on would be waited for until its time is up.
        library.seccomp_attr_set(handle, _FOREIGN_CALLS, ctypes.c_uint32(_KILL_PROCESS))
        library.seccomp_attr_set(handle, _OPTIMIZE, ctypes.c_uint32(_BINARY_TREE))  # older ones know no trees
        for name in (*ALLOWED, *talking):
            _rule(library, handle, _ALLOW, name)
        for name in REFUSED:
            if not loopback or name not in (*talking, "socket", "ioctl"):
                _rule(library, handle, _REFUSE | errno.EPERM, name)
        if loopback:  # TCP over IPv4 only; a socket made to wait or not
            stream = (_Comparison(0, _EQUAL, _INET, 0), _Comparison(1, _MASKED, _TYPES, _STREAM))
            _rule(library, handle, _ALLOW, "socket", *stream)
            _rule(library, handle, _ALLOW, "ioctl", _Comparison(1, _EQUAL, _FIONBIO, 0))
        # Threads are the same process; glibc asks by clone3, whose flags no filter can read, and falls back.
        _rule(library, handle, _ALLOW, "clone", _Comparison(0, _MASKED, _CLONE_THREAD, _CLONE_THREAD))
        _rule(library, handle, _REFUSE | errno.EPERM, "clone", _Comparison(0, _MASKED, _CLONE_THREAD, 0))
        for name, at in (("newfstatat", 3), ("fstatat64", 3), ("statx", 2)):  # of a descriptor
            _rule(library, handle, _ALLOW, name, _Comparison(at, _MASKED, _AT_EMPTY_PATH, _AT_EMPTY_PATH))
            _rule(library, handle, _REFUSE | errno.EPERM, name, _Comparison(at, _MASKED, _AT_EMPTY_PATH, 0))
        for command in (*_FCNTL, *((_F_SETFL,) if loopback else ())):
            for name in ("fcntl", "fcntl64"):
                _rule(library, handle, _ALLOW, name, _Comparison(1, _EQUAL, command, 0))
        _rule(library, handle, _ALLOW, "prctl", _Comparison(0, _EQUAL, _PR_SET_NAME, 0))
        # Its own limits, to ask and not to set.
        _rule(
            library, handle, _ALLOW, "prlimit64", _Comparison(0, _EQUAL, 0, 0), _Comparison(2, _EQUAL, 0, 0)
        )
        return _exported(library, handle)
    finally:
        library.seccomp_release(handle)


def _rule(
    library: ctypes.CDLL, handle: ctypes.c_void_p, action: int, name: str, *comparisons: _Comparison
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:  # this machine, or this library, has no such call
        return
    array = (_Comparison * len(comparisons))(*comparisons)
    failed = library.seccomp_rule_add_array(
        handle, ctypes.c_uint32(action), ctypes.c_int(number), ctypes.c_uint(len(comparisons)), array
    )
    if failed:
        raise SealError(f"{_SONAME} does not take a rule for {name}: {os.strerror(-failed)}")


def _exported(library: ctypes.CDLL, handle: ctypes.c_void_p) -> bytes:
    reader, writer = os.pipe()  # a filter is some 2 KB, a pipe takes 64
    try:
        failed = library.seccomp_export_bpf(handle, ctypes.c_int(writer))
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        program = stream.read()
    if failed or not program or len(program) % 8:
        raise SealError(f"{_SONAME} does not hand out its filter")
    return program
