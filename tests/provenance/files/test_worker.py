import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.errors import AssayError, LimitError, MalformedError, UnsupportedError
from assay.provenance.files import worker
from assay.provenance.files.questions import QUESTION, Questions
from assay.provenance.files.stalled import Watch
from assay.provenance.files.worker import MAGIC, Answer, buffer, run
from assay.provenance.limits import Limits

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


def ask(function, data=b"hello", **limits):
    return run(function, BytesIO(data), Limits(**limits))


def test_header_and_blobs_come_back():
    array = np.arange(300, dtype=np.uint8).reshape(10, 30)
    answer = ask(lambda s: Answer({"said": s.read().decode()}, (b"", array, b"xyz")))
    assert answer.header == {"said": "hello"}
    assert [bytes(blob) for blob in answer.blobs] == [b"", array.tobytes(), b"xyz"]


def test_memory_from_buffer_crosses_with_its_values():
    def work(_):
        first, second = buffer(1000), buffer(1000)
        first[:], second[:] = b"a" * 1000, b"b" * 1000
        return Answer({}, (second, first))

    assert [bytes(blob[:2]) for blob in ask(work).blobs] == [b"bb", b"aa"]


def test_a_segfault_is_the_files_fault():
    with pytest.raises(MalformedError, match="SIGSEGV"):
        ask(lambda _: ctypes.string_at(0))


def test_a_hang_ends_at_the_deadline():
    start = time.monotonic()
    with pytest.raises(LimitError, match="worker_seconds"):
        ask(lambda _: time.sleep(60), worker_seconds=0.3)
    assert time.monotonic() - start < 5


def test_spinning_ends_at_the_cpu_limit():
    def spin(_):
        while True:
            pass

    with pytest.raises(LimitError, match="worker_cpu_seconds"):
        ask(spin, worker_cpu_seconds=1)


def test_allocating_ends_at_the_memory_limit():
    with pytest.raises(LimitError, match="worker_memory_bytes"):
        ask(lambda _: Answer({}, (bytearray(1 << 30),)), worker_memory_bytes=256 << 20)


def test_leaving_without_an_answer_is_malformed():
    with pytest.raises(MalformedError, match="without an answer"):
        ask(lambda _: os._exit(0))


def test_an_answer_over_the_limit_is_refused():
    with pytest.raises(LimitError, match="answer_bytes"):
        ask(lambda _: Answer({}, (bytes(5000),)), answer_bytes=4096)


def test_our_errors_keep_class_message_and_hint():
    def work(_):
        raise UnsupportedError("no such thing", hint="try another")

    with pytest.raises(UnsupportedError) as caught:
        ask(work)
    assert (caught.value.message, caught.value.hint) == ("no such thing", "try another")


def test_other_errors_become_malformed_and_harmless_to_show():
    def work(_):
        raise KeyError("\x1b]0;owned\a" * 1000)

    with pytest.raises(MalformedError, match="KeyError") as caught:
        ask(work)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


def frame(header):
    return MAGIC + len(header).to_bytes(4, "big") + header


def hostile(answer):
    """A child that has been taken over writes what it likes to its pipe."""

    def work(_):
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, answer)
            except OSError:
                continue
        os._exit(0)

    return work


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense" * 4,
        MAGIC + (1 << 31).to_bytes(4, "big"),
        frame(b"null"),
        frame(b"{}"),
        frame(b'{"header": {}, "blobs": [[-1, 9]]}'),
        frame(b'{"header": {}, "blobs": [[0, 99999999999999]]}'),
        frame(b'{"error": "SystemExit", "message": "bye", "hint": ""}'),
        frame(b"[" * 50_000),
    ],
)
def test_a_lying_child_raises_nothing_but_our_errors(answer):
    with pytest.raises((MalformedError, LimitError)):
        ask(hostile(answer))


def test_the_child_cannot_write_files_nor_reach_the_parents(tmp_path):
    victim = tmp_path / "victim"
    with victim.open("w+b") as held:
        number = held.fileno()

        def work(_):
            outcome = []
            for attempt in (
                lambda: os.write(number, b"x"),
                lambda: Path(tmp_path / "new").write_bytes(b"x" * 10),
            ):
                try:
                    attempt()
                    outcome.append("wrote")
                except OSError:
                    outcome.append("refused")
            return Answer({"outcome": outcome})

        assert ask(work).header == {"outcome": ["refused", "refused"]}
    assert victim.read_bytes() == b""


def test_the_callers_position_is_untouched_and_the_child_reads_from_the_start():
    with tempfile.TemporaryFile() as stream:
        stream.write(b"0123456789")
        stream.seek(5)
        answer = run(lambda s: Answer({"read": s.read().decode(), "end": s.seek(0, 2)}), stream)
        assert answer.header == {"read": "0123456789", "end": 10}
        assert stream.tell() == 5


def test_a_child_that_asks_again_is_isolated_already():
    def outer(stream):
        inner = run(lambda s: Answer({"pid": os.getpid(), "read": s.read().decode()}), stream)
        return Answer({"same": inner.header["pid"] == os.getpid(), "read": inner.header["read"]})

    assert ask(outer).header == {"same": True, "read": "hello"}


def test_threads_may_ask_at_once_and_leave_no_zombies():
    answers = []

    def one(number):
        answers.append(ask(lambda _: Answer({"n": number})).header["n"])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == list(range(8))
    # Children of other tests may still run; none of ours waits to be buried.
    with contextlib.suppress(ChildProcessError):
        assert os.waitpid(-1, os.WNOHANG) == (0, 0)


def test_nothing_of_the_parents_output_is_written_twice(capfd):
    sys.stdout.write("once")
    ask(lambda _: Answer({}))
    sys.stdout.flush()
    assert capfd.readouterr().out.count("once") == 1


BESIDE_BLAS = """
import io, threading
import numpy
from assay.provenance.files import worker
from assay.provenance.files.questions import QUESTION, Questions
from assay.provenance.files.stalled import Watch
from assay.provenance.files.worker import Answer, run
matrix = numpy.random.rand(400, 400)
def busy():
    while True:
        matrix @ matrix
for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
for number in range(5):
    assert run(lambda _: Answer({"n": number}), io.BytesIO(b"x")).header == {"n": number}
print("done", flush=True)
import os; os._exit(0)
"""


def test_a_fork_beside_busy_matrix_threads_does_not_hang():
    """OpenBLAS deadlocks there unless it is held to one thread; in a process of its own, which may hang."""
    finished = subprocess.run(
        [sys.executable, "-c", BESIDE_BLAS], capture_output=True, timeout=90, check=False
    )
    assert finished.stdout.strip() == b"done", finished.stderr


def test_a_child_that_inherited_a_lock_is_started_again():
    """A thread holds the lock while the first child is forked; there nobody can open it."""
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.5, lock.release).start()

    def work(_):
        with lock:
            return Answer({"pid": os.getpid()})

    with pytest.MonkeyPatch.context() as patch:
        tries = counted(patch, 0.3)
        start = time.monotonic()
        ask(work)
    assert len(tries) == 2
    assert time.monotonic() - start < 5


def counted(patch, seconds):
    """Count the children that are started, each watched so closely."""
    tries = []
    attempt = worker._attempt
    patch.setattr(worker, "_attempt", lambda *a, **k: tries.append(1) or attempt(*a, **k))
    patch.setattr(worker, "Watch", lambda child: Watch(child, seconds))
    return tries


def test_one_that_works_long_is_not_started_again_and_one_that_hangs_always_meets_the_deadline():
    def spin(_):
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            pass
        return Answer({"pid": os.getpid()})

    with pytest.MonkeyPatch.context() as patch:
        tries = counted(patch, 0.2)
        ask(spin)
        assert len(tries) == 1
        with pytest.raises(LimitError, match="worker_seconds"):
            ask(lambda _: time.sleep(60), worker_seconds=1.5)
        assert len(tries) == 3


def questioned(work, answer, **limits):
    questions = Questions(answer)
    with contextlib.closing(questions):
        return run(lambda _: work(questions.ask), BytesIO(), Limits(**limits), questions=questions)


def test_a_child_may_ask_its_parent():
    mine = os.getpid()

    def work(question):
        return Answer({"first": question(b"one").decode(), "second": len(question(b"two" * 50_000))})

    answer = questioned(work, lambda q: f"{q[:3].decode()} {os.getpid() == mine}".encode())
    assert answer.header == {"first": "one True", "second": 8}


def refused(_):
    raise UnsupportedError("not that", hint="ask otherwise")


@pytest.mark.parametrize(
    ("work", "answer", "error", "words"),
    [
        (lambda ask: ask(b"x"), refused, UnsupportedError, "not that"),
        (lambda ask: ask(b"x"), lambda _: 1 / 0, AssayError, "division"),
        (lambda ask: [ask(b"x") for _ in range(9)], lambda _: b"y", MalformedError, "more than 8"),
        (lambda ask: ask(b"x" * (2 << 20)), lambda _: b"y", LimitError, "more than 1048576"),
        (lambda ask: ask(b"x"), lambda _: bytes(50 << 10), LimitError, "more than 49152"),
        (lambda ask: ask(b"x"), lambda _: time.sleep(5), LimitError, "until its time was up"),
    ],
    ids=["refused", "broken", "often", "long", "much", "late"],
)
def test_questions_have_limits_and_their_errors_are_the_parents(work, answer, error, words):
    with pytest.raises(error, match=words):
        questioned(work, answer, worker_seconds=2)


def test_a_child_that_does_not_listen_stops_nobody():
    """It asks and asks; the replies that it leaves lying fill the pipe, and nobody waits for it."""

    def work(question):
        writer = question.__self__._out
        for _ in range(8):
            os.write(writer, QUESTION + (1).to_bytes(4, "big") + b"x")
        time.sleep(30)

    start = time.monotonic()
    with pytest.raises(MalformedError, match="not listen"):
        questioned(work, lambda _: bytes(40 << 10))
    assert time.monotonic() - start < 5
