"""``assay verify``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import (
    console,
    emit,
    home_of,
    is_verbose,
    json_option,
    listening,
    open_workspace,
    passphrase,
    progress,
    talk,
)
from assay.cli.reports import EVIDENCE, FORMATS, write_report
from assay.provenance.errors import AssayError, InputError, UsageError

if TYPE_CHECKING:
    from assay.cli.evidence import Recorder
    from assay.provenance.report import Report
    from assay.provenance.subject import Watch
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)
VERDICT_CODES = {"conflict": 1, "inconclusive": 3}
# The worst of several files, in the order of docs/formats/report.md.
SEVERITY = (5, 4, 1, 3, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about every file of one call."""

    policy: str | None
    checks: tuple[str, ...] | None
    reference: Path | None
    online: bool


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="PATH…")
@click.option(
    "--report",
    "report_path",
    type=FILE,
    metavar="FILE",
    help="Also write a report: .html, .pdf, .json, .sarif, .xml (JUnit), or .zip with all evidence.",
)
@click.option(
    "--policy", "policy_name", default=None, metavar="NAME", help="Policy.  [default: the workspace's]"
)
@click.option("--checks", default="", metavar="NAME,…", help="Run only these checks.")
@click.option(
    "--reference", type=FILE, metavar="FILE", help="An original to compare with, besides the ledger."
)
@click.option("--fail-on", default="", metavar="VERDICT,…", help="Verdicts that exit 1 as a conflict does.")
@click.option(
    "--online", is_flag=True, help="Let outside anchors, and authorities about revocation, be asked."
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Files examined at a time."
)
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    paths: tuple[Path, ...],
    report_path: Path | None,
    policy_name: str | None,
    checks: str,
    reference: Path | None,
    fail_on: str,
    online: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Examine files of unknown history, offline unless told otherwise, and say what can be defended about each.

    Folders are searched for files. Verdicts: source-confirmed, source-recovered, marked-ai, conflict,
    inconclusive; docs/verdicts.md says what each means and does not mean.

    \b
    Examples:
      assay verify incoming.jpg
      assay verify inbox/ --json --jobs 4 > reports.jsonl
      assay verify photo.jpg --report photo.html
    """
    failing = _verdicts(fail_on)
    if report_path and report_path.suffix.lower() not in FORMATS:
        raise click.UsageError(
            f"--report writes {', '.join(FORMATS)}, not {report_path.suffix or 'a file without suffix'}"
        )
    named = tuple(c.strip() for c in checks.split(",") if c.strip()) or None
    asked = Asked(policy_name, named, reference, online)
    workspace = open_workspace(ctx)
    _say_trust(ctx, workspace)
    recorder = _recorder(report_path, paths, asked, workspace)
    codes: list[int] = []
    kept: list[tuple[Path, Report | AssayError]] = []
    files = _files(paths)
    with progress(ctx, "verifying", len(files)) as advance:
        for path, answer in _answers(ctx, workspace, files, asked, jobs):
            codes.append(_show(ctx, path, answer, as_json, failing))
            if report_path:
                kept.append((path, answer))
            advance()
    if report_path and recorder:
        from assay.cli.evidence import write_evidence

        ((_, answer),) = kept
        if isinstance(answer, AssayError):
            raise answer
        write_evidence(report_path, answer, workspace, recorder, asked.checks, asked.policy)
    elif report_path:
        write_report(report_path, kept, workspace, failing)
    if report_path:
        talk(ctx, f"report: {report_path}")
    ctx.exit(next((c for c in SEVERITY if c in codes), 0))


def _say_trust(ctx: click.Context, workspace: Workspace) -> None:
    """Say at the start what the trust lists cannot do, so that a verdict is not misread for it."""
    from assay.provenance.keys.health import check_trust
    from assay.provenance.text import safe_text

    for finding in check_trust(workspace.trust, workspace.now()):
        talk(ctx, f"trust: {safe_text(finding.says, 300)}")


def _recorder(
    report_path: Path | None, paths: tuple[Path, ...], asked: Asked, workspace: Workspace
) -> Recorder | None:
    """Return what notes the ledger's answers where a bundle is to be written; raises UsageError where none can be."""
    if not report_path or report_path.suffix.lower() != EVIDENCE:
        return None
    if len(paths) != 1 or paths[0].is_dir():
        raise click.UsageError("a bundle of evidence is of one file; run verify once for each")
    if asked.online or asked.reference:
        raise click.UsageError("what --online and --reference add cannot be made again from a bundle")
    from assay.cli.evidence import Recorder

    return Recorder.of(workspace)


def _verdicts(text: str) -> set[str]:
    from assay.provenance.report import Verdict

    names = {n.strip() for n in text.split(",") if n.strip()}
    unknown = names - {str(v) for v in Verdict}
    if unknown:
        raise click.UsageError(f"--fail-on: {sorted(unknown)[0]!r} is no verdict")
    return names


def _files(paths: tuple[Path, ...]) -> list[Path]:
    from assay.provenance.manifest import SIDECAR_SUFFIX
    from assay.provenance.receipt import RECEIPT_SUFFIX

    # Receipts and sidecars lie beside files; in a folder they are not files to examine by themselves.
    companions = (RECEIPT_SUFFIX, SIDECAR_SUFFIX)
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            found += sorted(p for p in inside if p.suffix not in companions)
        else:
            found.append(path)
    return found


def _answers(
    ctx: click.Context, workspace: Workspace, files: list[Path], asked: Asked, jobs: int
) -> Iterator[tuple[Path, Report | AssayError]]:
    """Yield each file's report, or why there is none, in the order asked for."""
    if jobs == 1 or len(files) < 2:
        for path in files:
            with listening(ctx, len(files)) as watch:
                answer = _examine(workspace, asked, path, watch)
            yield path, answer
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned, not forked: each process has its own C2PA engine and its own worker children.
    with ProcessPoolExecutor(min(jobs, len(files)), mp_context=get_context("spawn")) as pool:
        yield from zip(files, pool.map(partial(_examine_at, home_of(ctx), asked), files), strict=True)


def _examine(
    workspace: Workspace, asked: Asked, path: Path, watch: Watch | None = None
) -> Report | AssayError:
    try:
        return workspace.verify(
            path,
            policy=asked.policy,
            checks=asked.checks,
            reference=asked.reference,
            online=asked.online,
            watch=watch,
        )
    except AssayError as error:
        return error


_opened: dict[Path, Workspace] = {}


def _examine_at(home: Path, asked: Asked, path: Path) -> Report | AssayError:
    """Examine one file in a process of a pool, which opens the workspace once."""
    from assay.provenance.workspace import Workspace

    if home not in _opened:
        _opened[home] = Workspace.open(home, passphrase=passphrase, environ=os.environ)
    return _examine(_opened[home], asked, path)


def _show(
    ctx: click.Context, path: Path, answer: Report | AssayError, as_json: bool, failing: set[str]
) -> int:
    """Print one answer and return its exit code."""
    from assay.cli.failure import say

    if isinstance(answer, UsageError):
        raise answer  # the call itself makes no sense: said once, not for every file
    if isinstance(answer, AssayError):
        if as_json:
            emit(
                {
                    "type": "assay.error/v1",
                    "path": str(path),
                    "error": type(answer).__name__,
                    "message": answer.message,
                    "hint": answer.hint,
                    "exit_code": answer.exit_code,
                }
            )
        say(answer)
        return answer.exit_code
    if as_json:
        emit(answer.to_json())
    else:
        from assay.cli.show import show_report

        show_report(answer, console(), is_verbose(ctx))
    if answer.unprocessed:
        say(InputError(answer.unprocessed, path=answer.asset.path))
        return InputError.exit_code
    return 1 if str(answer.verdict) in failing else VERDICT_CODES.get(str(answer.verdict), 0)
