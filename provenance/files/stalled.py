"""Tells a child that waits for ever from one that works.

A child forked beside threads inherits the locks that they held, and nobody in it can open them: the loader's, a
library's, Python's own of an import or of logging. Such a child sleeps and takes no processor time, which a decoder,
whose file is in memory and whose only company are its own threads, never does for long.
"""

from __future__ import annotations

from pathlib import Path

STALL_SECONDS = 2.0
"""How long a child sleeps without any processor time before another is started in its place."""


class StalledError(Exception):
    """The child waits for something that will not come."""


class Watch:
    """Watches one child's processor time; where the system does not tell (no ``/proc``), no child ever stalls."""

    def __init__(self, child: int, seconds: float = STALL_SECONDS) -> None:
        self.seconds = seconds
        self._stat = Path(f"/proc/{child}/stat")
        self._last: tuple[bytes, ...] = ()

    def look(self) -> None:
        """Call every ``seconds``; raises StalledError for a child that sleeps and did nothing since the last call."""
        try:
            fields = self._stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            return
        state, now = fields[0], tuple(fields[11:13])  # proc(5): its state; its time, and the kernel's for it
        if state == b"S" and now == self._last:
            raise StalledError
        self._last = now
