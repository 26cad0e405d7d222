"""Reports as JUnit XML, the form in which build servers take tests: a file is a test case.

A failure is a conflict, or a verdict that the caller calls one; an inconclusive file is *skipped*, since nothing was
decided; a file that could not be processed is an error. There is no standard behind the form: elements and
attributes are those of the schema of Jenkins' xUnit plugin (junit-10.xsd), which GitLab and GitHub's actions read too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml  # writes only

from assay.provenance import wording
from assay.provenance.errors import AssayError
from assay.provenance.report import Report, Verdict
from assay.provenance.text import safe_text

SUITE = "assay verify"


def junit(answers: Sequence[tuple[Path, Report | AssayError]], failing: Collection[str] = ()) -> bytes:
    """Return a JUnit document in UTF-8; ``failing`` are verdicts that fail besides ``conflict``."""
    cases = [_case(path, answer, {*failing, str(Verdict.CONFLICT)}) for path, answer in answers]

    def count(name: str) -> str:
        return str(sum(case.find(name) is not None for case in cases))

    totals = {
        "name": SUITE,
        "tests": str(len(cases)),
        "failures": count("failure"),
        "errors": count("error"),
    }
    root = Xml.Element("testsuites", totals)
    suite = Xml.SubElement(root, "testsuite", {**totals, "skipped": count("skipped")})
    suite.extend(cases)
    Xml.indent(root)
    return bytes(Xml.tostring(root, "utf-8", xml_declaration=True)) + b"\n"


def _case(path: Path, answer: Report | AssayError, failing: set[str]) -> Xml.Element:
    case = Xml.Element("testcase", {"classname": SUITE, "name": safe_text(path), "time": "0"})
    if isinstance(answer, AssayError):
        told = {"type": type(answer).__name__, "message": safe_text(answer.message)}
        Xml.SubElement(case, "error", told).text = safe_text(answer.hint)
        return case
    if answer.unprocessed:
        told = {"type": "unprocessed", "message": safe_text(answer.unprocessed)}
        Xml.SubElement(case, "error", told)
    elif str(answer.verdict) in failing:
        told = {"type": str(answer.verdict), "message": safe_text(answer.headline)}
        Xml.SubElement(case, "failure", told).text = "\n".join(_lines(answer))
    elif answer.verdict is Verdict.INCONCLUSIVE:
        Xml.SubElement(case, "skipped", {"message": safe_text(answer.headline)})
    Xml.SubElement(case, "system-out").text = "\n".join(
        (f"{wording.LABELS[answer.verdict]}: {safe_text(answer.headline)}", str(answer.asset.digest))
    )
    return case


def _lines(report: Report) -> Iterator[str]:
    for conflict in report.conflicts:
        yield f"{safe_text(conflict.rule, 200)}: {' '.join(safe_text(s) for s in conflict.says)}"
