from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
sys.path.append(str(BENCH))  # the judge is tried here too: one that sees nothing would always be content


class Disk:
    """A small disk of its own, so that no room is left when it is full and not when a counter says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> Path:
        """Take all the room that is left; return the file that holds it."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    return ballast

    def remount(self, how: str) -> None:
        """Mount it again, ``ro`` or ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True, timeout=20)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Make one file of it read-only, whoever asks."""
        file = str(self.folder / name)
        subprocess.run(["mount", "--bind", file, file], check=True, timeout=20)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", file], check=True, timeout=20)
            yield
        finally:
            subprocess.run(["umount", file], check=True, timeout=20)


@pytest.fixture
def disk(tmp_path):
    """A mounted tmpfs of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode()[:200]}")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)
