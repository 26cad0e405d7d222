"""Everything a file carries, without a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.provenance.checks.manifest import ManifestCheck
from assay.provenance.errors import AssayError
from assay.provenance.files.disclosure import read_disclosures_isolated
from assay.provenance.files.structure import layout_isolated
from assay.provenance.media import Kind
from assay.provenance.report import manifest_of
from assay.provenance.subject import Subject
from assay.provenance.workspace import Workspace

INSPECTION_TYPE = "assay.inspection/v1"


def inspect(workspace: Workspace, path: Path) -> dict[str, Any]:
    """Return format, picture facts, layout, manifest, disclosures and marks as JSON values.

    A part that cannot be read is ``{"error": …}``; raises InputError only if the file itself cannot be opened.
    """
    anchors, lists = workspace.anchors()
    with Subject.open(path, workspace.limits) as subject:
        now = workspace.now()
        manifest_check = ManifestCheck(anchors, lists, now, workspace.revocations(anchors, now))
        document: dict[str, Any] = {
            "type": INSPECTION_TYPE,
            "asset": subject.asset.to_json(),
            "manifest": _part(lambda: manifest_of((manifest_check(subject, ()),)).to_json()),
            "layout": _part(
                lambda: layout_isolated(subject.stream, subject.asset.media_type, subject.limits).to_json()
            ),
            "metadata": _part(
                lambda: read_disclosures_isolated(
                    subject.stream, subject.asset.media_type, subject.limits
                ).to_json()
            ),
        }
        if subject.asset.kind is Kind.IMAGE:
            document["picture"] = _part(lambda: _picture(subject))
            document["mark"] = _part(lambda: _marks(workspace, subject, "mark"))
            document["known_marks"] = _part(lambda: _marks(workspace, subject, "known-marks"))
        return document


def _part(make: Any) -> Any:
    try:
        return make()
    except AssayError as error:
        return {"error": error.message}


def _picture(subject: Subject) -> dict[str, Any]:
    picture = subject.picture()
    height, width = picture.pixels.shape[:2]
    return {
        "format": picture.format,
        "width": width,
        "height": height,
        "mode": picture.mode,
        "frames": picture.frames,
        "orientation": picture.orientation,
        "alpha": picture.alpha is not None,
        "exif_bytes": len(picture.exif),
        "xmp_bytes": len(picture.xmp),
        "icc_bytes": len(picture.icc),
        "notes": list(picture.notes),
    }


def _marks(workspace: Workspace, subject: Subject, name: str) -> dict[str, Any]:
    from dataclasses import replace

    from assay.provenance.policy import NEWSROOM

    check = workspace.checks(workspace.now(), replace(NEWSROOM, checks=(name,)))[0]
    return dict(check(subject, ()).details)
