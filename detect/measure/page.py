"""An evaluation as one self-contained HTML page in the house's style: no script, nothing fetched."""

from __future__ import annotations

from pathlib import Path

from assay.detect.measure import plot
from assay.detect.measure.figures import Findings
from assay.detect.measure.plot import charts
from assay.detect.measure.table import tables
from assay.provenance.page import environment

_FIRST = ("What we aim at", "All files")  # tables before the charts


def page(found: Findings, title: str) -> str:
    """Return the document: what is aimed at, all files, the charts, then the other tables.

    Strings from files are made visible and escaped, as in every page of the house.
    """
    made = tables(found)
    return (
        environment(Path(__file__).with_name("templates"))
        .get_template("evaluation.html")
        .render(
            title=title,
            samples=len(found.result.samples),
            witnesses=list(found.result.plan.witnesses),
            seed=found.result.plan.seed,
            unread=[str(error) for error in found.result.unread],
            first=[table for table in made if table.title in _FIRST],
            rest=[table for table in made if table.title not in _FIRST],
            charts=charts(found),
            plot=plot,
        )
    )
