"""CAWG identities on a terminal, apart from the answer about the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.cli.show import Pen
    from assay.provenance.manifest import Manifest
    from assay.provenance.report import Report


def identity_blocks(report: Report, pen: Pen, verbose: bool) -> Iterator[list[RenderableType]]:
    """Yield a block for the file, and for its original, where its credentials state identities.

    ``verbose`` adds what each states, and how names are written.
    """
    kept = report.recovered.manifest if report.recovered else None
    original = kept if kept and kept.label != report.manifest.label else None
    for manifest, where in ((report.manifest, ""), (original, " in the original’s credentials")):
        if manifest and manifest.identities:
            yield [pen(f"Identity (CAWG), stated apart{where}", "bold"), *_identities(manifest, pen, verbose)]


def _identities(manifest: Manifest, pen: Pen, verbose: bool) -> Iterator[RenderableType]:
    from assay.provenance.identity import PROVES, identity_facts
    from assay.provenance.wording import lookalike_warning

    for identity in manifest.stated:
        yield pen(identity.says)
        if verbose:
            warnings = dict.fromkeys(lookalike_warning(name) for name in identity.names)
            yield from (pen(f"- {warning}") for warning in warnings if warning)
            yield from (pen(f"- {name}: {value}", "dim") for name, value in identity_facts(identity))
    yield pen(PROVES, "dim")
