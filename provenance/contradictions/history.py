"""Rules about where the picture comes from: what the ledger knows of it and the credentials leave out."""

from __future__ import annotations

from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.contradictions.layers import (
    Layers,
    in_history,
    labels,
    made_from,
    one_house,
    outranks,
    tells_ai,
)
from assay.provenance.contradictions.rule import Rule, Says, conflict, notice
from assay.provenance.manifest import Ingredient, Manifest
from assay.provenance.recovered import Recovered
from assay.provenance.text import safe_text
from assay.provenance.wording import moment

_ALONE = "The credentials say that this picture was created under them, without any history."


@conflict(
    "dropped-history",
    ("manifest", "receipt"),
    "A client who bought a picture may sign it as new without bad intent, and so may a photographer who logged it "
    "through an agency. Ask both signers who was first.",
)
def dropped_history(layers: Layers) -> Says:
    """The manifest says the picture began with it, and the ledger knows it from another signer."""
    manifest, recovered = layers.speaking, layers.same
    return None if manifest and recovered and outranks(manifest, recovered) else _from_another(layers)


@notice(
    "logged-by-another",
    ("manifest", "receipt"),
    "Whoever may write to a ledger can log a stranger's picture: that is no proof against the signer, who is on your "
    "list or proves an earlier time.",
)
def logged_by_another(layers: Layers) -> Says:
    """As dropped history, where the file's own credentials weigh more than the entry."""
    manifest, recovered = layers.speaking, layers.same
    return _from_another(layers) if manifest and recovered and outranks(manifest, recovered) else None


@conflict(
    "omitted-ai-ancestor",
    ("ingredient", "receipt"),
    "An export can lose its history when a program does not keep it. Ask the signer for the version with history.",
)
def omitted_ai(layers: Layers) -> Says:
    """The ledger's credentials for the same picture name an ancestor made by AI, and these say created, without it."""
    omitted = _omitted(layers)
    wanted = (i for i in omitted if {a.source_type for a in i.actions} & AI_SOURCE_TYPES)
    item = next(wanted, None)
    if not item or not layers.speaking or tells_ai(layers.speaking):
        return None
    return _ALONE, _names(layers, item, ", which AI made all or part of")


@notice(
    "omitted-ancestor",
    ("ingredient", "receipt"),
    "A house that exports a picture anew may leave its history out. Ask for the version with history.",
)
def omitted_ancestor(layers: Layers) -> Says:
    """The ledger's credentials for the same picture name ancestors, and these say created, without them."""
    omitted = _omitted(layers)
    if not omitted or omitted_ai(layers) or dropped_history(layers):
        return None
    return _ALONE, _names(layers, omitted[0], "")


RULES: tuple[Rule, ...] = (dropped_history, logged_by_another, omitted_ai, omitted_ancestor)


def _begins(manifest: Manifest) -> bool:
    return any(a.action == "c2pa.created" for a in manifest.actions)


def _from_another(layers: Layers) -> Says:
    manifest, recovered = layers.speaking, layers.same
    if not manifest or not recovered or not _begins(manifest):
        return None
    entry = recovered.entry
    if not entry.manifest_label or in_history(manifest, recovered):
        return None
    if not entry.signer or entry.signer == manifest.signer.certificate or one_house(manifest, recovered):
        return None
    return (
        _ALONE,
        f"The ledger holds the same picture from another signer, logged on {moment(entry.time)} "
        f"(entry {recovered.receipt.index}).",
    )


def _omitted(layers: Layers) -> list[Ingredient]:
    """Return what the ledger's credentials say that the picture was made from, where the file's say: from nothing."""
    manifest, recovered = layers.speaking, layers.same
    if not manifest or not recovered or not recovered.manifest or not _begins(manifest):
        return []
    if manifest.ingredients or in_history(manifest, recovered):
        return []
    known = labels(manifest)
    return [i for i in made_from(_kept(recovered)) if i.label and i.label not in known]


def _kept(recovered: Recovered) -> tuple[Ingredient, ...]:
    return recovered.manifest.ingredients if recovered.manifest else ()


def _names(layers: Layers, item: Ingredient, made: str) -> str:
    index = layers.recovered.receipt.index if layers.recovered else 0
    return (
        f"The ledger's entry {index} for the same picture says that it was made from "
        f"“{safe_text(item.title, 80)}”{made}."
    )
