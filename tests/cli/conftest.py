from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.cli.failure import guarded
from assay.cli.main import assay

# What may never reach a terminal: controls (tab and newline aside), bidirectional overrides and isolates,
# zero-width and other format characters, line and paragraph separators.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ue000-\uf8ff]"
)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


class Terminal:
    """Runs commands in a folder, with a home of their own and nothing of this machine's environment.

    Calls run in this process, through the same door as the installed command; ``alone`` starts a process.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home

    def __call__(self, *arguments: str | Path, expect: int | None = 0, **environment: str) -> Answer:
        words = [str(a) for a in arguments]
        settings: dict[str, str | None] = {
            "ASSAY_PASSPHRASE": None,
            "ASSAY_DEBUG": None,
            **self._own(environment),
        }
        runner = CliRunner(env=settings)
        with contextlib.chdir(self.folder), runner.isolation() as (out, err, _):
            code = guarded(lambda **options: assay.main(words, "assay", **options))
            sys.stdout.flush()
            sys.stderr.flush()
            answer = Answer(code, out.getvalue().decode("utf-8"), err.getvalue().decode("utf-8"))
        return self._checked(answer, expect)

    def alone(self, *arguments: str | bytes | Path, expect: int | None = 0, **environment: str) -> Answer:
        """Run the command in a process of its own; arguments may be bytes."""
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "LANG", "LC_ALL")}
        done = subprocess.run(
            [sys.executable, "-c", "from assay.cli.main import run; run()", *arguments],
            cwd=self.folder,
            env={**keep, **self._own(environment)},
            capture_output=True,
            check=False,
            timeout=300,
        )
        return self._checked(
            Answer(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")), expect
        )

    def _own(self, environment: dict[str, str]) -> dict[str, str]:
        return {"HOME": str(self.folder), "ASSAY_HOME": str(self.home), "COLUMNS": "100", **environment}

    @staticmethod
    def _checked(answer: Answer, expect: int | None) -> Answer:
        assert "Traceback" not in answer.err
        assert "our fault" not in answer.err, answer.err
        for text in (answer.out, answer.err):
            assert not UNSAFE.search(text), repr(text[max(0, UNSAFE.search(text).start() - 80) :][:160])
        assert expect is None or answer.code == expect, (answer.code, answer.out[-2000:], answer.err[-2000:])
        return answer


@pytest.fixture
def terminal(desk):
    return Terminal(desk.folder, desk.workspace.home)


@pytest.fixture
def nowhere(tmp_path):
    """A terminal without a workspace."""
    return Terminal(tmp_path, tmp_path / "home")
