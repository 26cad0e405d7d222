"""Run every malformed file of the corpus through the command line, and say what each run cost and how it ended.

    python bench/malformed.py --corpus $ASSAY_CORPUS
    python bench/malformed.py --corpus $ASSAY_CORPUS --sample 60 --json out.json

Each file goes through ``verify --json``, ``inspect --json`` and ``sign``, each in a process of its own that is forked
from one with the modules loaded, and where the kernel allows it in a network namespace without interfaces. Ends with 1
where a run left a traceback, died, took more than 10 s or 1 GiB, or ended with an
exit code of no table. The files are other people's (corpus/malformed/FILES.csv names each one's source).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TextIO

SECONDS, BYTES = 10.0, 1 << 30
"""What one run may take, of processor time and on the clock, and of memory at its peak."""
CODES = {"verify": {0, 1, 3, 4}, "inspect": {0, 4}, "sign": {0, 4}}
"""The exit codes that each command's table allows for a file that it was given (docs/verdicts.md)."""
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000


@dataclass(frozen=True, slots=True)
class Run:
    """One command on one file: ``code`` is negative where a signal killed it, ``bytes`` the peak of memory."""

    file: str
    verb: str
    code: int
    seconds: float
    cpu: float
    bytes: int
    output: int
    said: str

    @property
    def faults(self) -> tuple[str, ...]:
        """What must not have happened and did."""
        return tuple(
            name
            for name, there in {
                "traceback": "Traceback" in self.said or "our fault" in self.said,
                "killed": self.code < 0,
                "exit code": self.code >= 0 and self.code not in CODES[self.verb],
                "time": max(self.cpu, self.seconds) > SECONDS,
                "memory": self.bytes > BYTES,
                "no answer": not self.output and not self.said,
            }.items()
            if there
        )


def without_network() -> str:
    """Put this process where there is no network, or say why that failed."""
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET):
        if libc.unshare(flags) == 0:
            return ""
    return os.strerror(ctypes.get_errno())


def interfaces() -> list[str]:
    """Return the network interfaces of this process's namespace."""
    return sorted(
        line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]
    )


def once(arguments: list[str], out: Path) -> tuple[int, float, float, int, int, str]:
    """Run the command line in a fork; return exit code, seconds, CPU seconds, peak bytes, bytes answered, words."""
    start = time.perf_counter()
    answers, words = out / "stdout", out / "stderr"
    child = os.fork()
    if child == 0:
        _become(arguments, answers, words)
    status, usage = os.wait4(child, 0)[1:]
    seconds = time.perf_counter() - start
    said = words.read_text("utf-8", "replace")
    code = os.waitstatus_to_exitcode(status)
    return (
        code,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
        answers.stat().st_size,
        said,
    )


def _become(arguments: list[str], answers: Path, words: Path) -> None:
    try:
        for path, number in ((answers, 1), (words, 2)):
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.alarm(120)
        sys.argv = ["assay", *arguments]
        from assay.cli.main import run

        run()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(70)


def survey(files: list[Path], root: Path, verbs: list[str], log: TextIO | None) -> list[Run]:
    """Run all commands on all files, with a line of JSON a run in ``log``; workspace and outputs are temporary."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["ASSAY_HOME"] = str(folder / "home")
        assert once(["init"], folder)[0] == 0
        for number, path in enumerate(files):
            target = folder / f"signed{path.suffix}"
            for verb in verbs:
                arguments = {
                    "verify": ["verify", "--json", "--", str(path)],
                    "inspect": ["inspect", "--json", "--", str(path)],
                    "sign": ["sign", "-o", str(target), "--source-type", "digitalCapture", "--", str(path)],
                }[verb]
                code, seconds, cpu, peak, output, said = once(arguments, folder)
                name = str(path.relative_to(root))
                run = Run(name, verb, code, round(seconds, 3), round(cpu, 3), peak, output, said[:2000])
                found.append(run)
                if log:
                    print(json.dumps(asdict(run) | {"said": run.said[:200]}), file=log, flush=True)
            for left in folder.glob("signed*"):
                left.unlink()
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{len(files)}", end="", file=sys.stderr)
    return found


def load() -> None:
    """Load what the commands load, so that a fork has it; the engine stays outside (it starts threads)."""
    from assay.provenance.files.picture import load_codecs

    load_codecs()
    for group in (
        "assay.watermarks",
        "assay.knownmarks",
        "assay.detectors",
        "assay.logs",
        "assay.fingerprints",
    ):
        for plugin in entry_points(group=group):
            with contextlib.suppress(ImportError):  # an extra that is not installed
                plugin.load()


def table(runs: list[Run]) -> None:
    """Print a line a command, and each run that did what none may."""
    print(
        f"{'command':9}{'files':>6}  {'exit codes':32}{'median s':>9}{'max s':>8}{'max CPU s':>11}{'max MB':>8}  faults"
    )
    for verb in dict.fromkeys(r.verb for r in runs):
        own = [r for r in runs if r.verb == verb]
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(Counter(r.code for r in own).items()))
        times = [r.seconds for r in own]
        print(
            f"{verb:9}{len(own):6}  {codes:32}{statistics.median(times):9.2f}{max(times):8.2f}"
            f"{max(r.cpu for r in own):11.2f}{max(r.bytes for r in own) / 1e6:8.0f}  {sum(bool(r.faults) for r in own)}"
        )
    for run in runs:
        if run.faults:
            print(f"  {run.verb} {run.file}: {', '.join(run.faults)}; {run.code}, {run.seconds:.1f} s, "
                  f"{run.bytes / 1e6:.0f} MB; {run.said.strip()[-200:]!r}")  # fmt: skip


def main() -> int:
    """Survey, print, and return 1 where anything happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="so many files, drawn the same way each time")
    parser.add_argument("--verbs", default="verify,inspect,sign")
    parser.add_argument("--in-turn", action="store_true", help="each file through one of the commands only")
    parser.add_argument("--part", default="1/1", help="only the K-th of N equal parts, as K/N")
    parser.add_argument("--json", type=Path, help="a file for one line of JSON a run")
    options = parser.parse_args()
    root = options.corpus / "malformed"
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "FILES.csv")
    if options.sample:
        files = sorted(random.Random(1).sample(files, min(options.sample, len(files))))
    part, parts = map(int, options.part.split("/"))
    files = files[part - 1 :: parts]
    why_not = without_network()
    print(
        f"network: {'may be reached: ' + why_not if why_not else 'none'} (interfaces: {', '.join(interfaces())})"
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    load()
    from assay.provenance.files.worker import sandbox

    print(f"sandbox: {sandbox()}")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(options.json.open("w", encoding="utf-8")) if options.json else None
        verbs = options.verbs.split(",")
        turns = (
            [(files[k :: len(verbs)], [verb]) for k, verb in enumerate(verbs)]
            if options.in_turn
            else [(files, verbs)]
        )
        runs = [run for own, asked in turns for run in survey(own, root, asked, log)]
    table(runs)
    return int(any(run.faults for run in runs))


if __name__ == "__main__":
    sys.exit(main())
