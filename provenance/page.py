"""Reports as one self-contained HTML page: nothing in it runs, and nothing in it is fetched.

What the page promises (tests/provenance/test_page.py): no script, no request, and no string from a file that
is not first made visible (``safe_text``) and then escaped. Both happen for every expression of the template,
so that a forgotten filter cannot undo them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from assay.provenance import wording
from assay.provenance.coverage import coverage_view
from assay.provenance.evidence import Conflict
from assay.provenance.identity import PROVES
from assay.provenance.leaning import block_words, spectrum_words
from assay.provenance.lineage import certificates, codes, history, kept_entry, raw_lines
from assay.provenance.looks import detector_views, plot
from assay.provenance.opinion import Spectrum
from assay.provenance.plates import alignment, extent_of, holes_of, lies_as_it_is, regions_of
from assay.provenance.preview import Preview
from assay.provenance.reel_view import reel
from assay.provenance.report import Integrity, Report, Verdict
from assay.provenance.strip import Strip
from assay.provenance.text import safe_text
from assay.provenance.unchecked import not_checked

__all__ = ["Preview", "Strip", "environment", "fragment", "page", "spectrum_svg"]

REGIONS = 40
"""Most changed regions drawn on a picture."""
SAME_SHAPE = 0.03
"""How far the ratios of sides of two pictures may be apart for one to be laid over the other."""
PICTURE_REM = 34
"""Greatest height of a picture, in rem."""


def page(reports: Sequence[tuple[Report, Preview | Strip | None]], title: str) -> str:
    """Return one HTML document with all reports, and an index at the top where there are several."""
    views = [_view(report, preview, f"report-{n}") for n, (report, preview) in enumerate(reports, 1)]
    return environment().get_template("page.html").render(title=title, views=views)


def fragment(report: Report, preview: Preview | Strip | None = None) -> str:
    """Return one report as HTML to put into another document, its style included."""
    view = _view(report, preview, f"report-{report.asset.digest.hex[:12]}")
    return environment().get_template("fragment.html").render(view=view)


def spectrum_svg(spectrum: Spectrum) -> str:
    """Return the plot of a spectrum as an SVG file, the same that a report shows; "" where there is none to draw."""
    drawn = plot(spectrum)
    if drawn is None:
        return ""
    template = environment().get_template("spectrum.svg")
    return template.render(plot=drawn, words=spectrum_words(spectrum))


@cache
def environment(*folders: Path) -> Environment:
    """Return what fills every page's template: the house's own templates, and those of further folders.

    Each expression is made visible and escaped; a name that is not there is an error.
    """
    return Environment(
        loader=FileSystemLoader([Path(__file__).with_name("templates"), *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else safe_text(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class _View:
    """A report as the template takes it: the report itself, and what has to be worked out in Python."""

    id: str
    report: Report
    name: str
    examined: str
    label: str
    means: str
    does_not_mean: str
    axes: tuple[dict[str, str], ...]
    conflicts: tuple[dict[str, Any], ...]
    notices: tuple[dict[str, Any], ...]
    plate: dict[str, Any] | None
    reel: dict[str, Any] | None
    regions: tuple[dict[str, Any], ...]
    more_regions: int
    holes: tuple[dict[str, Any], ...]
    evidence: tuple[dict[str, Any], ...]
    detectors: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...]
    certificates: tuple[dict[str, Any], ...]
    identities_prove: str
    coverage: dict[str, Any] | None
    recovered: dict[str, Any] | None
    without: tuple[dict[str, Any], ...]
    weight: tuple[str, ...]
    not_checked: tuple[str, ...]
    codes: tuple[dict[str, Any], ...]
    raw: tuple[str, ...]


def _view(report: Report, shown: Preview | Strip | None, ident: str) -> _View:
    preview = shown if isinstance(shown, Preview) else None
    regions = regions_of(report.recovered, extent_of(report))
    return _View(
        id=ident,
        report=report,
        name=report.asset.path.name,
        examined=wording.moment(report.time),
        label=wording.LABELS[report.verdict],
        means=wording.MEANS[report.verdict],
        does_not_mean=wording.DOES_NOT_MEAN[report.verdict],
        axes=_axes(report),
        conflicts=_clashes(report.conflicts),
        notices=_clashes(report.notices),
        plate=_plate(report, preview),
        reel=_reel(report, shown if isinstance(shown, Strip) else None),
        regions=regions[:REGIONS],
        more_regions=max(0, len(regions) - REGIONS),
        holes=holes_of(report),
        evidence=_evidence(report),
        detectors=tuple(
            {**view, "map": Markup(view["map"])}  # noqa: S704  (Preview vouches for it)
            for view in detector_views(report, preview)
        ),
        history=tuple(history(report)),
        certificates=tuple(certificates(report)),
        identities_prove=PROVES,
        coverage=coverage_view(report.manifest.coverage),
        recovered=kept_entry(report.recovered),
        without=_without(report),
        weight=tuple(_weight(report)),
        not_checked=not_checked(report),
        codes=tuple(codes(report)),
        raw=raw_lines(json.dumps(report.to_json(), indent=2, ensure_ascii=True)),
    )


def _clashes(found: Sequence[Conflict]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "rule": c.rule,
            "says": c.says,
            "between": [wording.check_name(b) for b in c.between],
            "innocent": c.innocent,
        }
        for c in found
    )


def _axes(report: Report) -> tuple[dict[str, str], ...]:
    """Return each axis's name, question, sentence and hallmark (struck, half, split or blank)."""
    integrity = {Integrity.UNKNOWN: "blank", Integrity.ALTERED: "split"}.get(report.integrity, "struck")
    origin = {"trusted": "struck", "unknown": "blank"}.get(report.origin.status, "half")
    synthesis = {"declared": "struck", "marked": "struck", "none": "blank", "not-examined": "blank"}
    return (
        {
            "name": "Integrity",
            "question": "Is it what was signed or logged?",
            "sentence": wording.integrity_sentence(report),
            "mark": integrity,
        },
        {
            "name": "Origin",
            "question": "Who vouches for it?",
            "sentence": wording.origin_sentence(report),
            "mark": origin,
        },
        {
            "name": "Synthesis",
            "question": "Does anything say AI?",
            "sentence": wording.synthesis_sentence(report),
            "mark": synthesis.get(report.synthesis, "half"),
        },
    )


# ------------------------------------------------------------------------------------------- the pictures


def _plate(report: Report, preview: Preview | None) -> dict[str, Any] | None:
    """Return the pictures and their sizes; only their URIs pass unescaped, as Preview vouches for them."""
    if preview is None:
        return None
    ratio = preview.width / preview.height
    natural = max(preview.width, 240) / 16
    original_ratio = preview.original_width / preview.original_height if preview.original_height else ratio
    return {
        "received": Markup(preview.received),  # noqa: S704
        "original": Markup(preview.original),  # noqa: S704
        "width": preview.width,
        "height": preview.height,
        "max_width": f"{ratio * PICTURE_REM if preview.original else min(ratio * PICTURE_REM, natural):.2f}",
        "original_max_width": f"{original_ratio * PICTURE_REM:.2f}",
        "original_width": preview.original_width,
        "original_height": preview.original_height,
        "notes": preview.notes,
        "matches": bool(report.recovered and report.recovered.matches),
        # One can be laid over the other only where both show the same frame.
        "wipe": lies_as_it_is(report.recovered) and abs(original_ratio / ratio - 1) < SAME_SHAPE,
        "alignment": alignment(report.recovered),
    }


def _reel(report: Report, strip: Strip | None) -> dict[str, Any] | None:
    """Return frames, wave and lanes; only what Strip vouches for, and a path of numbers, pass unescaped."""
    found = reel(report, strip)
    if found is None:
        return None
    frames = [{**frame, "uri": Markup(frame["uri"])} for frame in found["frames"]]  # noqa: S704
    return {**found, "frames": frames, "wave": Markup(found["wave"])}  # noqa: S704


# ------------------------------------------------------------------------------------------- the evidence


def _evidence(report: Report) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "name": wording.check_name(e.check),
            "check": e.check,
            "version": e.version,
            "status": wording.status_words(e)[0],
            "words": wording.status_words(e)[1],
            "summary": e.summary,
            "reasons": [r for r in e.reasons if r not in e.summary],
            "llr": "" if e.llr is None else f"{e.llr:+.2f}",
        }
        for e in report.evidence
    )


def _without(report: Report) -> tuple[dict[str, Any], ...]:
    rows = []
    for check, verdict in report.without.items():
        known = verdict in set(Verdict)
        rows.append(
            {
                "name": wording.check_name(check),
                "label": wording.LABELS[Verdict(verdict)] if known else verdict,
                "differs": verdict != str(report.verdict),
            }
        )
    return tuple(rows)


def _weight(report: Report) -> Iterator[str]:
    if report.leaning != "none":
        yield f"The evidence leans {wording.LEANINGS.get(report.leaning, report.leaning)}."
    score = report.score
    if score is None:
        yield "No witness here weighs in numbers, so there is no score."
        return
    low, high = score.interval
    yield (
        f"Weight of evidence: {score.band} (log10 likelihood ratio {score.log10_lr:+.2f}, "
        f"bounds {low:+.2f} to {high:+.2f})."
    )
    yield from block_words(score.blocks)
    if score.false_alarms_per_1000 is None:
        yield "How often like files would wrongly get such a score has not been measured."
    elif not score.false_alarms_per_1000:
        yield "None of the files of the calibration wrongly got such a score; how rare that is, they cannot tell."
    else:
        condition = score.calibration.get("condition", "files of the calibration set")
        yield (
            f"In 1,000 {safe_text(condition, 200)}, about {score.false_alarms_per_1000:g} would wrongly get "
            f"such a score (calibration {safe_text(score.calibration.get('id', 'unnamed'), 120)})."
        )
