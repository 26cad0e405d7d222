"""Assay's core: the nouns, C2PA, the sign line and the verify line. It imports no other room.

::

    from assay.provenance import Workspace
    ws = Workspace.open(path)
    receipt = ws.sign(source, target, Claim(source_type="digitalCapture"))
    report = ws.verify(target)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.provenance.claim import Claim
    from assay.provenance.policy import Policy
    from assay.provenance.receipt import Receipt
    from assay.provenance.report import Report
    from assay.provenance.workspace import Workspace

__all__ = ["Claim", "Policy", "Receipt", "Report", "Workspace"]

_HOMES = {
    "Claim": "claim",
    "Policy": "policy",
    "Receipt": "receipt",
    "Report": "report",
    "Workspace": "workspace",
}


def __getattr__(name: str) -> Any:
    # Imported on use: the nouns are cheap, the workspace is not, and the command line starts with neither.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"assay.provenance.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
