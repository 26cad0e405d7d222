"""What a worker's child may ask its parent while it works: a few short questions, answered in bytes.

A child has no network and needs none: what a signature wants from outside (a time-stamp, a signer that is elsewhere)
the parent gets for it. The parent answers only what it was started for, to whom its own settings say; a child that
was taken over can ask, and neither choose whom nor ask often.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

from assay.provenance.errors import AssayError, LimitError, MalformedError

QUESTION = b"ASAQ"
"""What a question begins with, where an answer's frame begins with another four bytes."""
QUESTION_BYTES = 1 << 20
"""Longest question taken from a child."""
REPLY_BYTES = 48 << 10
"""Longest reply given; it fits a pipe, so that giving it never waits for the child."""
QUESTIONS = 8
"""Most questions a child may ask."""


class Questions:
    """One child's way to ask; ``answer`` runs in the parent and gets what the child wrote.

    What ``answer`` raises ends the child and is raised where it was started. Make one for each ``run``.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._out: int | None = None
        self._lock = threading.Lock()
        self.asked = 0

    @property
    def descriptor(self) -> int:
        """What a child keeps to hear its replies."""
        return self._reader

    def begin(self, out: int) -> None:
        """In the child: ask by writing to ``out``."""
        self._out = out

    def ask(self, question: bytes) -> bytes:
        """Return the reply; in a child the parent's, elsewhere the answer itself. Raises OSError where it is gone."""
        if self._out is None:
            return self._answer(question)
        with self._lock:
            view = memoryview(QUESTION + len(question).to_bytes(4, "big") + question)
            while view:
                view = view[os.write(self._out, view) :]
            return self._heard(int.from_bytes(self._heard(4), "big"))

    def _heard(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = os.read(self._reader, count - len(data))
            if not piece:
                raise OSError("nobody answers")
            data += piece
        return data

    def reply(self, question: bytes, deadline: float) -> None:
        """In the parent: answer one question before ``deadline``, by the monotonic clock.

        Raises what the answer raises; LimitError where it takes too long or is too long, MalformedError for a child
        that asks too often or does not listen.
        """
        self.asked += 1
        if self.asked > QUESTIONS:
            raise MalformedError(f"made its parser ask more than {QUESTIONS} questions")
        reply = self._in_time(question, deadline)
        if len(reply) > REPLY_BYTES:
            raise LimitError(f"was given {len(reply)} bytes from outside, more than {REPLY_BYTES}")
        data = len(reply).to_bytes(4, "big") + reply
        try:
            written = os.write(self._writer, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            raise MalformedError("made its parser ask and not listen")

    def _in_time(self, question: bytes, deadline: float) -> bytes:
        """Answer on a thread, which is left behind where it does not end."""
        found: queue.Queue[bytes | Exception] = queue.Queue()

        def work() -> None:
            try:
                found.put(self._answer(question))
            except Exception as error:  # handed on below
                found.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            outcome = found.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise LimitError("waited for an answer from outside until its time was up") from None
        if isinstance(outcome, AssayError):
            raise outcome
        if isinstance(outcome, Exception):
            raise AssayError(f"could not be answered from outside: {outcome}") from outcome
        return outcome

    def close(self) -> None:
        """Close the parent's ends."""
        os.close(self._reader)
        os.close(self._writer)
