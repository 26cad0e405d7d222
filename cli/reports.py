"""Writing what ``assay verify`` found into the file that ``--report`` names; its ending says which form."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.provenance.errors import AssayError
    from assay.provenance.report import Report
    from assay.provenance.workspace import Workspace

    Answers = Sequence[tuple[Path, Report | AssayError]]


def write_report(path: Path, answers: Answers, workspace: Workspace, failing: Collection[str]) -> None:
    """Write all answers into one file, whole or not at all; ``failing`` are verdicts that count as failures."""
    from assay.provenance.files.atomic import atomic_output

    data = _WRITERS[path.suffix.lower()](answers, workspace, failing)
    with atomic_output(path, overwrite=True) as stream:
        stream.write(data)


def _reports(answers: Answers) -> list[Report]:
    from assay.provenance.errors import AssayError

    return [answer for _, answer in answers if not isinstance(answer, AssayError)]


def _json(answers: Answers, workspace: Workspace, failing: Collection[str]) -> bytes:
    from assay.provenance.dossier import report_bytes

    reports = _reports(answers)
    if len(reports) == 1:
        return report_bytes(reports[0])
    return json.dumps([report.to_json() for report in reports], indent=2).encode() + b"\n"


def _page(answers: Answers, workspace: Workspace) -> str:
    from assay.provenance.page import page

    return page([(r, workspace.preview(r)) for r in _reports(answers)], title="Assay report")


def _html(answers: Answers, workspace: Workspace, failing: Collection[str]) -> bytes:
    return _page(answers, workspace).encode()


def _pdf(answers: Answers, workspace: Workspace, failing: Collection[str]) -> bytes:
    from assay.provenance.pdf import pdf

    return pdf(_page(answers, workspace))


def _sarif(answers: Answers, workspace: Workspace, failing: Collection[str]) -> bytes:
    from assay.provenance.sarif import sarif
    from assay.provenance.sign import VERSION

    return json.dumps(sarif(answers, VERSION), indent=2).encode() + b"\n"


def _junit(answers: Answers, workspace: Workspace, failing: Collection[str]) -> bytes:
    from assay.provenance.junit import junit

    return junit(answers, failing)


_WRITERS: Mapping[str, Callable[[Answers, Workspace, Collection[str]], bytes]] = {
    ".html": _html,
    ".pdf": _pdf,
    ".json": _json,
    ".sarif": _sarif,
    ".xml": _junit,
}
EVIDENCE = ".zip"
"""The ending of an evidence bundle, which cli/evidence.py writes."""
FORMATS = (*_WRITERS, EVIDENCE)
"""The endings that ``--report`` takes."""
