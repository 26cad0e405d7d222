"""What a child that was taken over by its file can still do: nothing but answer."""

import ctypes
import errno
import os
import platform
import socket
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest

from assay.provenance.errors import AssayError, InputError, MalformedError
from assay.provenance.files import loopback
from assay.provenance.files.loopback import Loopback
from assay.provenance.files.worker import Answer, run, sandbox
from assay.provenance.limits import Limits

BOTH = Limits().sandbox
pytestmark = pytest.mark.skipif(bool(sandbox().missing), reason=f"sandbox here: {sandbox()}")


def outcome(attempt):
    """Say how an attempt ended: ``done``, or the name of the error number."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def attempts(folder):
    """Return what an intruder would try first."""
    inside = folder / "inside"
    return {
        "open a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "list a folder": lambda: list(Path("/").iterdir()),
        "make a file": lambda: os.open(inside, os.O_WRONLY | os.O_CREAT),
        "make a folder": inside.mkdir,
        "remove a file": (folder / "there").unlink,
        "start a program": lambda: os.execv("/bin/sh", ["sh", "-c", "exit 0"]),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX),
        "fork": lambda: os.fork() or os._exit(0),
        "signal the parent": lambda: os.kill(os.getppid(), 0),
        "look at a file": lambda: Path("/etc/passwd").stat(),
        "make memory to run": lambda: os.memfd_create("x"),
    }


def tried(folder, names, **limits):
    (folder / "there").write_bytes(b"x")
    chosen = {name: attempt for name, attempt in attempts(folder).items() if name in names}
    work = lambda _: Answer({name: outcome(attempt) for name, attempt in chosen.items()})  # noqa: E731
    return run(work, BytesIO(), Limits(**limits)).header


def test_an_intruder_is_refused_everything(tmp_path):
    found = tried(tmp_path, attempts(tmp_path))
    assert set(found) == set(attempts(tmp_path))
    assert set(found.values()) <= {"EPERM", "EACCES"}, found
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def test_each_layer_holds_alone(tmp_path):
    files = {
        "open a file",
        "list a folder",
        "make a file",
        "make a folder",
        "remove a file",
        "start a program",
    }
    calls = {"connect", "open a local socket", "fork", "signal the parent", "make memory to run"}
    assert set(tried(tmp_path, files, sandbox=("landlock",)).values()) == {"EACCES"}
    assert set(tried(tmp_path, files | calls, sandbox=("seccomp",)).values()) == {"EPERM"}


def test_without_layers_the_same_attempts_succeed(tmp_path):
    """So that the tests above say something; what is left is then said to be missing."""
    found = tried(tmp_path, {"open a file", "list a folder", "look at a file"}, sandbox=())
    assert set(found.values()) == {"done"}


def test_the_ladder_says_what_holds_and_what_is_missing():
    assert sandbox().to_json() == {"layers": ["process", "rlimits", "landlock", "seccomp"], "missing": {}}
    for asked in (("landlock",), ("seccomp",), ()):
        said = sandbox(Limits(sandbox=asked))
        assert said.layers == ("process", "rlimits", *asked)
        assert said.missing == {layer: "switched off" for layer in BOTH if layer not in asked}
        assert all(f"no {layer}: switched off" in str(said) for layer in BOTH if layer not in asked)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are this machine's")
@pytest.mark.parametrize(
    ("number", "refused"),
    [(257, errno.EPERM), (41, errno.EPERM), (59, errno.EPERM), (425, errno.EPERM), (435, errno.ENOSYS),
     (165, errno.EPERM), (310, errno.EPERM), (272, errno.EPERM), (250, errno.EPERM),
     (246, errno.ENOSYS), (999, errno.ENOSYS)],
    ids=["openat", "socket", "execve", "io_uring_setup", "clone3", "mount", "process_vm_readv", "unshare", "keyctl",
         "kexec_load", "no call"],
)  # fmt: skip
def test_system_calls_are_refused_below_python_too(number, refused):
    def work(_):
        libc = ctypes.CDLL(None, use_errno=True)
        return Answer({"is": libc.syscall(number, 0, 0, 0, 0, 0, 0), "errno": ctypes.get_errno()})

    assert run(work, BytesIO()).header == {"is": -1, "errno": refused}


def test_the_other_calling_convention_kills():
    """Old 32-bit calls have numbers of their own, which the filter does not know."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("only there")

    def work(_):
        import mmap

        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        return Answer({"pid": call()})

    with pytest.raises(MalformedError, match=r"SIGSYS|SIGSEGV"):
        run(work, BytesIO())


def test_threads_run_in_it_and_are_held_too():
    def work(_):
        found = []
        thread = threading.Thread(target=lambda: found.append(outcome(lambda: os.open("/", os.O_RDONLY))))
        thread.start()
        thread.join()
        return Answer({"found": found})

    assert run(work, BytesIO()).header == {"found": ["EPERM"]}


@pytest.mark.parametrize(
    "death", [lambda: ctypes.string_at(0), os.abort], ids=["segmentation fault", "abort"]
)
def test_a_crash_is_the_file_s_fault(death):
    with pytest.raises(MalformedError, match="crashed its decoder"):
        run(lambda _: death(), BytesIO())


def test_a_module_that_was_not_loaded_is_our_fault_and_not_the_file_s():
    name = next(n for n in ("this", "antigravity", "turtledemo") if n not in sys.modules)
    with pytest.raises(AssayError, match="the sandbox failed") as caught:
        run(lambda _: __import__(name), BytesIO())
    assert not isinstance(caught.value, InputError)
    assert caught.value.exit_code == 5


def test_a_network_without_a_loopback_that_starts_is_not_taken(monkeypatch):
    """As Ubuntu 24.04 gives one to users without privileges: the child stays where it can listen."""

    def refused():
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(loopback, "_move", refused)
    talk = Loopback()

    def work(_):
        socket.create_connection(("127.0.0.1", talk.port), 5).close()
        return Answer({"alone": talk.alone})

    assert run(work, BytesIO(), loopback=talk).header == {"alone": False}


@pytest.mark.parametrize("alone", [True, False])
def test_a_child_that_talks_to_itself_talks_to_nobody_else(tmp_path, monkeypatch, alone):
    """In a network of its own, and where it can have none: there Landlock holds it to its own port."""
    if not alone:
        monkeypatch.setattr(loopback, "_own_network", lambda: False)
    (tmp_path / "there").write_bytes(b"x")
    here = attempts(tmp_path)
    del here["connect"]
    talk = Loopback()

    def echo():
        peer = talk.listener.accept()[0]
        peer.sendall(peer.recv(10))

    def work(_):
        thread = threading.Thread(target=echo)
        thread.start()
        with socket.create_connection(("127.0.0.1", talk.port), 5) as line:
            line.sendall(b"hello")
            heard = line.recv(10).decode()
        thread.join()
        tries = {
            **here,
            "another port": lambda: socket.create_connection(("127.0.0.1", port), 1),
            "far away": lambda: socket.create_connection(("192.0.2.1", port), 1),
            "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "IPv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
            "listen again": lambda: socket.create_server(("127.0.0.1", 0)),
        }
        return Answer({"alone": talk.alone, "heard": heard, **{n: outcome(t) for n, t in tries.items()}})

    with socket.create_server(("127.0.0.1", 0)) as parents:
        port = parents.getsockname()[1]
        found = run(work, BytesIO(), loopback=talk).header
        parents.settimeout(0)
        with pytest.raises(BlockingIOError):
            parents.accept()
    assert found.pop("heard") == "hello"
    if alone and not found["alone"]:
        pytest.skip("no network namespaces here")
    assert found.pop("alone") is alone
    assert set(found.values()) <= {"EPERM", "EACCES", "ENOSYS"}, found
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
