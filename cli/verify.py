"""``assay verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, is_verbose, json_option, open_workspace, progress, talk

if TYPE_CHECKING:
    from assay.provenance.report import Report
    from assay.provenance.workspace import Workspace

FILE = click.Path(path_type=Path)
VERDICT_CODES = {"conflict": 1, "inconclusive": 3}
# The worst of several files, in the order of docs/formats/report.md.
SEVERITY = (5, 4, 1, 3, 0)
FORMATS = (".html", ".json")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="PATH…")
@click.option(
    "--report", "report_path", type=FILE, metavar="FILE", help="Also write a report: .html or .json."
)
@click.option(
    "--policy", "policy_name", default=None, metavar="NAME", help="Policy.  [default: the workspace's]"
)
@click.option("--checks", default="", metavar="NAME,…", help="Run only these checks.")
@click.option("--fail-on", default="", metavar="VERDICT,…", help="Verdicts that exit 1 as a conflict does.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    paths: tuple[Path, ...],
    report_path: Path | None,
    policy_name: str | None,
    checks: str,
    fail_on: str,
    as_json: bool,
) -> None:
    """Examine files of unknown history, offline, and say what can be defended about each.

    Folders are searched for files. Verdicts: source-confirmed, source-recovered, marked-ai, conflict,
    inconclusive; docs/verdicts.md says what each means and does not mean.

    \b
    Examples:
      assay verify incoming.jpg
      assay verify inbox/ --json > reports.jsonl
      assay verify photo.jpg --report photo.html
    """
    failing = _verdicts(fail_on)
    if report_path and report_path.suffix.lower() not in FORMATS:
        raise click.UsageError(
            f"--report writes {' or '.join(FORMATS)}, not {report_path.suffix or 'a file without suffix'}"
        )
    workspace = open_workspace(ctx)
    codes: list[int] = []
    kept: list[Report] = []
    files = list(_files(paths))
    with progress(ctx, "verifying", len(files)) as advance:
        for path in files:
            code, report = _one(ctx, workspace, path, policy_name, checks, as_json)
            if report:
                code = 1 if str(report.verdict) in failing else code
                kept.append(report)
            codes.append(code)
            advance()
    if report_path:
        _write(report_path, kept, workspace)
        talk(ctx, f"report: {report_path}")
    ctx.exit(next((c for c in SEVERITY if c in codes), 0))


def _verdicts(text: str) -> set[str]:
    from assay.provenance.report import Verdict

    names = {n.strip() for n in text.split(",") if n.strip()}
    unknown = names - {str(v) for v in Verdict}
    if unknown:
        raise click.UsageError(f"--fail-on: {sorted(unknown)[0]!r} is no verdict")
    return names


def _files(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            found.append(path)
    return found


def _one(
    ctx: click.Context, workspace: Workspace, path: Path, policy_name: str | None, checks: str, as_json: bool
) -> tuple[int, Report | None]:
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError

    chosen = tuple(c.strip() for c in checks.split(",") if c.strip()) or None
    try:
        report = workspace.verify(path, policy=policy_name, checks=chosen)
    except AssayError as error:
        if as_json:
            emit(
                {
                    "type": "assay.error/v1",
                    "path": str(path),
                    "error": type(error).__name__,
                    "message": error.message,
                    "hint": error.hint,
                    "exit_code": error.exit_code,
                }
            )
        say(error)
        return error.exit_code, None
    if as_json:
        emit(report.to_json())
    else:
        from assay.cli.show import show_report

        show_report(report, console(), is_verbose(ctx))
    return VERDICT_CODES.get(str(report.verdict), 0), report


def _write(path: Path, reports: list[Report], workspace: Workspace) -> None:
    from assay.provenance.files.atomic import atomic_output

    if path.suffix.lower() == ".json":
        documents = [r.to_json() for r in reports]
        data = json.dumps(documents[0] if len(documents) == 1 else documents, indent=2).encode() + b"\n"
    else:
        from assay.provenance.page import page

        data = page([(r, workspace.preview(r)) for r in reports], title="Assay report").encode()
    with atomic_output(path, overwrite=True) as stream:
        stream.write(data)
