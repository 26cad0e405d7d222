"""What we write into a manifest: the definition that the engine signs (C2PA 2.x claims, actions, soft bindings)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.provenance.claim import IPTC, Claim
from assay.provenance.manifest import SoftBinding
from assay.provenance.mark import Mark

_TRAINING = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining", "cawg.ai_inference")


def definition(
    claim: Claim,
    mark: Mark | None,
    bindings: Sequence[SoftBinding] = (),
    *,
    title: str,
    when: str,
    version: str,
    has_parent: bool,
    components: int,
) -> dict[str, Any]:
    """Return the manifest definition for one signature.

    Without a parent the first action is ``c2pa.created`` with the claim's source type; with one, the engine
    puts ``c2pa.opened`` first and what we add follows. Every assertion is marked ``created``: it is the
    signer's own statement, not something gathered from elsewhere. ``bindings`` are soft bindings besides the
    mark. ``when`` is RFC 3339.
    """
    assertions: list[dict[str, Any]] = [
        _created("c2pa.actions.v2", {"actions": _actions(claim, mark, when, has_parent, components)})
    ]
    if mark:
        # The value is the identifier as text: an index into the ledger, not a fingerprint of the picture.
        assertions.append(_soft_binding(SoftBinding(mark.scheme, mark.id)))
    assertions += [_soft_binding(binding) for binding in bindings]
    if claim.training_mining:
        entries = {name: {"use": claim.training_mining} for name in _TRAINING}
        assertions.append(_created("cawg.training-mining", {"entries": entries}))
    return {
        "claim_generator_info": [{"name": "Assay", "version": version}],
        "title": claim.title or title,
        "assertions": assertions,
    }


def _soft_binding(binding: SoftBinding) -> dict[str, Any]:
    soft = {"alg": binding.alg, "blocks": [{"scope": {}, "value": binding.value}]}
    return _created("c2pa.soft-binding", soft)


def _created(label: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "data": data, "created": True}


def _agent(claim: Claim) -> dict[str, Any]:
    if not claim.generator:
        return {}
    version = {"version": claim.generator_version} if claim.generator_version else {}
    return {"softwareAgent": {"name": claim.generator, **version}}


def _actions(
    claim: Claim, mark: Mark | None, when: str, has_parent: bool, components: int
) -> list[dict[str, Any]]:
    source = {"digitalSourceType": IPTC + claim.source_type} if claim.source_type else {}
    actions: list[dict[str, Any]] = []
    if not has_parent:
        actions.append({"action": "c2pa.created", "when": when, **source, **_agent(claim)})
    elif claim.edit or claim.source_type or claim.generator:
        description = {"description": claim.edit} if claim.edit else {}
        actions.append({"action": "c2pa.edited", "when": when, **description, **source, **_agent(claim)})
    actions += [
        {"action": "c2pa.placed", "when": when, "parameters": {"ingredientIds": [f"component-{i}"]}}
        for i in range(components)
    ]
    if mark:
        actions.append({"action": "c2pa.watermarked.bound", "when": when, "softwareAgent": {"name": "Assay"}})
    return actions
