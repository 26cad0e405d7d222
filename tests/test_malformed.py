"""A sample of other people's broken files through the whole command line, where there is no network."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1] / "bench" / "malformed.py"


def test_a_sample_of_malformed_files_through_the_commands(corpus, tmp_path):
    """The bench judges each run: no traceback, no crash, its time and memory, an exit code of the table."""
    log = tmp_path / "runs"
    command = [
        sys.executable,
        str(BENCH),
        "--corpus",
        str(corpus),
        "--sample",
        "60",
        "--in-turn",
        "--json",
        str(log),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert Counter(run["verb"] for run in runs) == {"verify": 20, "inspect": 20, "sign": 20}
    # That the commands neither refuse everything nor take everything.
    assert {run["code"] for run in runs if run["verb"] == "verify"} >= {3, 4}
    assert {run["code"] for run in runs if run["verb"] == "sign"} >= {4}
