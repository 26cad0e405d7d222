"""Runs a parser on one file in a child process that may die.

A decoder is assumed to be breakable by the file it reads. It therefore runs in a forked child under limits,
and what comes back is a fixed frame, never an object: four bytes ``ASAY``, a 32-bit length, a JSON header of
that length, and raw blobs in shared memory whose places the header names. The child is dead before the parent
looks at any of it. docs/adr/0006-one-canonical-decode.md gives the reasons.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import mmap
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from assay.provenance import errors
from assay.provenance.errors import AssayError, LimitError, MalformedError
from assay.provenance.files.arena import Arena
from assay.provenance.files.confinement import confine, own_stream
from assay.provenance.files.loopback import Loopback
from assay.provenance.files.questions import QUESTION, QUESTION_BYTES, Questions
from assay.provenance.files.sandbox import LAYERS, Sandbox, SealError, missing_layers, seal
from assay.provenance.files.stalled import StalledError, Watch
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.text import safe_text

MAGIC = b"ASAY"
HEADER_BYTES = 32 << 20
"""Longest JSON header taken from a child."""

_REPORT = "this is no fault of the file; please report it"
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS"})
_RAISABLE: dict[str, type[AssayError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, AssayError)
}
_BLAS_SETTERS = tuple(
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_")
)
_fork_lock = threading.Lock()
_calmed: set[str] = set()
_modules_seen = 0


# The arena of this process where it is a child; a child that asks again is isolated already.
_arena: Arena | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a parser hands back: a JSON object and raw byte blobs (bytes, or C-contiguous arrays)."""

    header: dict[str, Any]
    blobs: tuple[Any, ...] = field(default=(), repr=False)


def sandbox(limits: Limits = DEFAULT_LIMITS) -> Sandbox:
    """Say what holds the child that reads a file on this machine, and what was asked for and is missing."""
    if not hasattr(os, "fork"):
        return Sandbox((), dict.fromkeys(limits.sandbox, f"{sys.platform} cannot fork"))
    lacking = missing_layers(_fork)
    missing = {layer: lacking.get(layer, "switched off") for layer in LAYERS if layer not in _held(limits)}
    return Sandbox(("process", "rlimits", *_held(limits)), missing)


def _held(limits: Limits) -> tuple[str, ...]:
    lacking = missing_layers(_fork)
    return tuple(layer for layer in LAYERS if layer in limits.sandbox and layer not in lacking)


def buffer(size: int) -> memoryview:
    """Return ``size`` zeroed writable bytes; in a child, shared memory in which a blob crosses uncopied."""
    return memoryview(bytearray(size)) if _arena is None else _arena.take(size)


def run(
    function: Callable[[BinaryIO], Answer],
    stream: BinaryIO,
    limits: Limits = DEFAULT_LIMITS,
    *,
    also: Sequence[BinaryIO] = (),
    writes: bool = False,
    questions: Questions | None = None,
    loopback: Loopback | None = None,
    waits: bool = False,
) -> Answer:
    """Call ``function(stream)`` in a child and return its answer; blobs come back as memoryviews.

    The child holds ``stream``, the open files ``also``, and nothing else: no file can be opened and no module
    imported there. ``writes`` lets it write to what it holds, ``questions`` ask this process, ``loopback`` talk to
    itself over TCP. A child that stops working before it has asked anything is started once more: beside threads it
    may have inherited a lock that nobody can open there. One that ``waits``, for whom it hands blocks to, is not.

    ``function`` may be any callable, closures too: it is inherited, not sent. It sees its own stream on the
    same file, at its start; the caller's position is unchanged. An AssayError raised by it is raised here
    again, same class, message and hint.

    Raises LimitError where the child runs out of time or memory or answers too much, MalformedError where the
    file kills it or any other exception escapes.
    """
    if _arena is not None or not hasattr(os, "fork"):
        with _as_assay_errors(limits):
            if loopback:
                loopback.listen()
            stream.seek(0)
            given = function(stream)
            header = json.loads(json.dumps(given.header))
            return Answer(header, tuple(memoryview(blob).cast("B") for blob in given.blobs))
    start = _Start(function, stream, limits, also, writes, questions, loopback)
    deadline = time.monotonic() + limits.worker_seconds
    try:
        return _attempt(start, deadline, watched=not waits)
    except StalledError:
        return _attempt(start, deadline, watched=False)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a child is started with."""

    function: Callable[[BinaryIO], Answer]
    stream: BinaryIO
    limits: Limits
    also: Sequence[BinaryIO]
    writes: bool
    questions: Questions | None
    loopback: Loopback | None


def _attempt(start: _Start, deadline: float, *, watched: bool) -> Answer:
    """Run one child; raises StalledError where it is ``watched`` and stopped working."""
    arena = _new_arena(start.limits)
    held = _held(start.limits)
    reader, writer = os.pipe()
    try:
        child = _fork()
        if child == 0:
            _child(start, arena, writer, held)
    except BaseException:
        os.close(writer)
        os.close(reader)
        raise
    os.close(writer)
    try:
        frame = _read_frame(reader, deadline, start, Watch(child) if watched else None)
    finally:
        os.close(reader)
        # The child has answered, or never will: it is dead before its answer is looked at.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = _reap(child)
    if frame is None:
        raise _obituary(status, start.limits)
    return _answer(frame, arena.memory)


Job = Callable[[BinaryIO], Answer]
"""A parser as a worker runs it: it gets its own stream on the file and answers."""


def run_together(
    jobs: Mapping[str, Job], stream: BinaryIO, limits: Limits = DEFAULT_LIMITS
) -> dict[str, Answer | AssayError]:
    """Run several parsers of one file in one child; each answer, or the error that stands for it, by name.

    If the child dies, each parser has a child of its own instead, so that a crash silences one and not all;
    they share the time that one may take.
    """

    def work(own: BinaryIO) -> Answer:
        headers: dict[str, Any] = {}
        blobs: list[Any] = []
        for name, job in jobs.items():
            own.seek(0)
            try:
                with _as_assay_errors(limits):
                    answer = job(own)
            except AssayError as error:
                headers[name] = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
                continue
            headers[name] = {"header": answer.header, "first": len(blobs), "count": len(answer.blobs)}
            blobs += answer.blobs
        return Answer(headers, tuple(blobs))

    try:
        together = run(work, stream, limits)
    except AssayError:
        shared = replace(limits, worker_seconds=limits.worker_seconds / max(1, len(jobs)))
        return {name: _outcome(job, stream, shared) for name, job in jobs.items()}
    found: dict[str, Answer | AssayError] = {}
    for name, part in together.header.items():
        if "error" in part:
            kind = _RAISABLE.get(str(part["error"]), MalformedError)
            found[name] = kind(str(part["message"]), hint=str(part["hint"]))
        else:
            blobs = together.blobs[part["first"] : part["first"] + part["count"]]
            found[name] = Answer(dict(part["header"]), blobs)
    return found


def _outcome(job: Job, stream: BinaryIO, limits: Limits) -> Answer | AssayError:
    try:
        return run(job, stream, limits)
    except AssayError as error:
        return error


# ---------------------------------------------------------------------------------------------- the parent


def _new_arena(limits: Limits) -> Arena:
    try:
        return Arena(limits.answer_bytes)
    except (OSError, ValueError) as error:
        raise LimitError(
            f"no room for an answer of up to {limits.answer_bytes} bytes", hint="lower the limit answer_bytes"
        ) from error


def _calm_blas() -> None:
    """Hold every loaded OpenBLAS to one thread, before anything can be forked.

    OpenBLAS stops its threads in a handler that ``fork`` calls; where another thread is multiplying matrices
    at that moment, both wait for each other for ever, with Python's lock held (seen with 0.3.31: every fork
    beside two busy threads). With one thread there is nothing to stop. Libraries loaded later read the
    environment.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError), Path("/proc/self/maps").open("rb") as maps:
        paths = {os.fsdecode(line.split(None, 5)[5].strip()) for line in maps if b"openblas" in line}
        for path in paths - _calmed:
            library = ctypes.CDLL(path)
            for name in _BLAS_SETTERS:
                if hasattr(library, name):
                    getattr(library, name)(1)
            _calmed.add(path)


def _fork() -> int:
    global _modules_seen
    with _fork_lock, warnings.catch_warnings():
        if len(sys.modules) != _modules_seen:  # nothing new can have been loaded otherwise
            _modules_seen = len(sys.modules)
            _calm_blas()
        # The warning is about children that go on as Python programs; this one decodes, answers and exits,
        # and one that hangs on a lock it inherited is started again.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
        return os.fork()


def _reap(child: int) -> int:
    while True:
        try:
            return os.waitpid(child, 0)[1]
        except InterruptedError:
            continue
        except ChildProcessError:  # someone else reaps all children (SIGCHLD ignored)
            return 0


def _read_frame(reader: int, deadline: float, start: _Start, watch: Watch | None) -> bytes | None:
    """Return the header's bytes, or None where the child died first; questions are answered on the way.

    Raises LimitError at the deadline, StalledError as ``watch`` does.
    """
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    questions = start.questions
    data = bytearray()
    wanted = 8
    while len(data) < wanted:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _too_long(start.limits)
        if not poll.poll(1000 * (min(left, watch.seconds) if watch else left)):
            if watch:
                watch.look()
            continue
        piece = os.read(reader, min(wanted - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
        if len(data) == 8:
            wanted = 8 + int.from_bytes(data[4:8], "big")
            asks = questions is not None and data[:4] == QUESTION
            if not asks and data[:4] != MAGIC:
                raise MalformedError("its parser answered in no known form")
            limit = QUESTION_BYTES if asks else HEADER_BYTES
            if wanted > limit:
                raise LimitError(f"its parser answered {wanted} bytes of header, more than {limit}")
        if len(data) == wanted and questions is not None and data[:4] == QUESTION:
            watch = None  # who has asked is not started again
            questions.reply(bytes(data[8:]), deadline)
            data, wanted = bytearray(), 8
    return bytes(data[8:])


def _too_long(limits: Limits) -> LimitError:
    return LimitError(
        f"took longer than the limit worker_seconds of {limits.worker_seconds:g} s",
        hint="raise the limit if the file is known to be large",
    )


def _answer(frame: bytes, arena: mmap.mmap) -> Answer:
    try:
        document = json.loads(frame)
        if "error" in document:
            kind = _RAISABLE[document["error"]]
            raise kind(str(document["message"]), hint=str(document["hint"]))
        view = memoryview(arena)
        blobs = []
        for start, length in document["blobs"]:
            if not (
                isinstance(start, int)
                and isinstance(length, int)
                and 0 <= start <= start + length <= len(view)
            ):
                raise MalformedError("its parser answered in no known form")
            blobs.append(view[start : start + length])
        return Answer(dict(document["header"]), tuple(blobs))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedError("its parser answered in no known form") from error


def _obituary(status: int, limits: Limits) -> AssayError:
    """Say what the death of a child means for its file."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not number:
        return MalformedError("made its decoder end without an answer")
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if name == "SIGXCPU":
        return LimitError(f"took more than the limit worker_cpu_seconds of {limits.worker_cpu_seconds} s")
    if name in _CRASHES:
        return MalformedError(f"crashed its decoder ({name})", hint="do not open it with other programs")
    return LimitError(f"its decoder was ended from outside ({name}), most likely for want of memory")


# ----------------------------------------------------------------------------------------------- the child


def _child(start: _Start, arena: Arena, writer: int, held: tuple[str, ...]) -> NoReturn:
    """Run in the child: nothing here may return, flush, or run the parent's exit handlers."""
    global _arena
    code = 1
    try:
        _arena = arena
        gc.disable()  # collecting the parent's garbage would close descriptor numbers that are ours now
        limits = start.limits
        own, keep = own_stream(start.stream)
        others = {s.fileno() for s in start.also if not isinstance(s, io.BytesIO)}
        if start.questions:
            start.questions.begin(writer)
            others.add(start.questions.descriptor)
        confine(limits, {writer, *keep, *others}, limits.file_bytes if start.writes else 0)
        try:
            seal(held, port=start.loopback.open() if start.loopback else None)
            with _as_assay_errors(limits):
                frame = _pack(start.function(own), arena)
        except (SealError, ImportError) as error:
            frame = _told(AssayError(f"was not read; the sandbox failed: {error}", hint=_REPORT))
        except AssayError as error:
            frame = _told(error)
        _send(writer, MAGIC + len(frame).to_bytes(4, "big") + frame)
        code = 0
    finally:
        os._exit(code)


def _told(error: AssayError) -> bytes:
    return json.dumps({"error": type(error).__name__, "message": error.message, "hint": error.hint}).encode()


def _send(writer: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(writer, view) :]


def _pack(answer: Answer, arena: Arena) -> bytes:
    places = []
    for blob in answer.blobs:
        data = memoryview(blob)
        data = data.cast("B") if data.nbytes else memoryview(b"")
        places.append((arena.place(data), data.nbytes))
    frame = json.dumps({"header": answer.header, "blobs": places}).encode()
    if len(frame) + 8 > HEADER_BYTES:
        raise LimitError(f"its metadata need {len(frame)} bytes, more than {HEADER_BYTES}")
    return frame


@contextlib.contextmanager
def _as_assay_errors(limits: Limits) -> Iterator[None]:
    try:
        yield
    except (AssayError, ImportError):  # a sealed child can load no module: what it needs is loaded before
        raise
    except MemoryError as error:
        raise LimitError(
            f"needs more memory than the limit worker_memory_bytes of {limits.worker_memory_bytes}"
        ) from error
    except Exception as error:
        # Whatever a parser did not expect is the file's doing; the words are kept, short and inert.
        raise MalformedError(f"broke its parser: {type(error).__name__}: {safe_text(error, 200)}") from error


_calm_blas()  # as early as can be: the first fork may come while matrices are multiplied
