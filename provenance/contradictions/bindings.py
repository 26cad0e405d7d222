"""Rules about what leads where: soft bindings, our mark, the fingerprint, and the ledger's entry."""

from __future__ import annotations

from assay.provenance.contradictions.layers import SURE_SIMILARITY, Layers, in_history, labels, unchanged
from assay.provenance.contradictions.rule import Rule, Says, conflict, notice
from assay.provenance.manifest import Manifest
from assay.provenance.mark import Mark
from assay.provenance.recovered import Lead
from assay.provenance.text import safe_text


@conflict(
    "soft-binding-collision",
    ("manifest", "mark"),
    "A picture that was marked twice answers with either mark. Ask the signer for the file as it was signed.",
)
def soft_binding(layers: Layers) -> Says:
    """The manifest names a mark of ours, begins with itself, and another one is in the samples."""
    said = _other_mark(layers)
    manifest = layers.speaking
    return None if not manifest or manifest.ingredients else said


@notice(
    "soft-binding-of-an-ancestor",
    ("manifest", "mark"),
    "A picture that is edited and signed again is marked again, and an ancestor's mark can outlive the newer one.",
)
def ancestors_mark(layers: Layers) -> Says:
    """The manifest names a mark of ours and has ancestors, and another mark is in the samples."""
    said = _other_mark(layers)
    manifest, recovered = layers.speaking, layers.recovered
    if not said or not manifest or not manifest.ingredients:
        return None
    if recovered and recovered.by == "watermark" and in_history(manifest, recovered):
        return None  # the mark leads to an ancestor that the manifest names
    return said


@conflict(
    "copied-mark",
    ("mark", "receipt"),
    "The desk that made the mark can have written one identifier into two pictures by mistake. "
    "Compare with the picture that was logged.",
)
def copied_mark(layers: Layers) -> Says:
    """The mark leads to an entry whose picture is another one, though nothing was cropped that could hide it."""
    recovered = layers.recovered
    if not recovered or recovered.matches or recovered.by != "watermark" or not recovered.comparison:
        return None
    if not layers.whole:
        return None
    return (
        f"The watermark in this picture belongs to entry {recovered.receipt.index} of the ledger.",
        "The ledger's sketch of that entry shows a different picture: the mark was copied here, "
        "or the picture replaced under it.",
    )


@conflict(
    "mark-fingerprint-collision",
    ("mark", "fingerprint"),
    "A picture that was cut out of another and set into a new one can keep the old mark. "
    "Compare with both pictures that were logged.",
)
def mark_and_fingerprint(layers: Layers) -> Says:
    """The whole mark leads to one entry, whose picture is another one, and the fingerprint to this one's."""
    found = _two_entries(layers)
    if not found or not layers.recovered or not layers.recovered.manifest:
        return None
    return _both(found, layers)


@notice(
    "mark-and-fingerprint-differ",
    ("mark", "fingerprint"),
    "The second entry kept no credentials, so whether it was made from the first cannot be told. Compare with both.",
)
def mark_and_fingerprint_differ(layers: Layers) -> Says:
    """As the collision, where the entry that the fingerprint found kept no credentials to look for the other in."""
    found = _two_entries(layers)
    if not found or not layers.recovered or layers.recovered.manifest:
        return None
    return _both(found, layers)


@notice(
    "other-mark-than-logged",
    ("mark", "receipt"),
    "A picture that was signed again by another desk carries its mark too, and either may be read.",
)
def other_mark(layers: Layers) -> Says:
    """The entry of this unchanged picture names a mark, and another one of the same scheme is read."""
    recovered, read = layers.same, layers.mark.mark if layers.mark else None
    logged = recovered.entry.mark if recovered else None
    if not recovered or not read or not logged or not unchanged(recovered):
        return None
    if logged.scheme != read.scheme or _alike(logged, read.id):
        return None
    return (
        f"The picture carries the watermark {safe_text(read.id, 80)}.",
        f"The ledger's entry {recovered.receipt.index} for the same picture names "
        f"the watermark {safe_text(logged.id, 80)}.",
    )


@conflict(
    "manifest-on-another-picture",
    ("manifest", "receipt"),
    "The ledger's sketch can be of another file that was logged under the same credentials by mistake. "
    "Compare with the picture that was logged.",
)
def other_picture(layers: Layers) -> Says:
    """The manifest is one the ledger knows, intact, but on a different picture."""
    manifest, recovered = layers.speaking, layers.recovered
    if not manifest or not recovered or recovered.by != "manifest" or recovered.matches:
        return None
    if not recovered.comparison or not layers.whole:
        return None
    return (
        f"The ledger logged these credentials with another picture (entry {recovered.receipt.index}).",
        "Here they stand on a picture that is not that one.",
    )


@notice(
    "other-credentials-than-logged",
    ("manifest", "receipt"),
    "Credentials beside a file can be replaced by newer ones of the same signer. Ask which are meant.",
)
def other_credentials(layers: Layers) -> Says:
    """The very same bytes were logged, and the credentials that lie beside them are not those that were logged."""
    manifest, recovered = layers.speaking, layers.recovered
    if not manifest or not recovered or recovered.by != "digest" or manifest.where != "sidecar":
        return None
    logged = recovered.entry.manifest_label
    if not logged or in_history(manifest, recovered):
        return None
    return (
        f"The credentials beside the file are {safe_text(manifest.label, 120)}.",
        f"The ledger logged these very bytes with {safe_text(logged, 120)} (entry {recovered.receipt.index}).",
    )


RULES: tuple[Rule, ...] = (
    soft_binding,
    ancestors_mark,
    copied_mark,
    mark_and_fingerprint,
    mark_and_fingerprint_differ,
    other_mark,
    other_picture,
    other_credentials,
)


def _alike(mark: Mark, value: str) -> bool:
    return mark.id.lower() == value.lower()


def _other_mark(layers: Layers) -> Says:
    """Say which mark the manifest names and which is read, where none of those that it names is."""
    manifest, mark = layers.speaking, layers.mark.mark if layers.mark else None
    if not manifest or not mark:
        return None
    named = _named(manifest, mark.scheme)
    if not named or any(_alike(mark, value) for value in named):
        return None
    return (
        f"The credentials name the watermark {safe_text(named[0], 80)}.",
        f"The picture carries the watermark {safe_text(mark.id, 80)}.",
    )


def _named(manifest: Manifest, scheme: str) -> list[str]:
    return [binding.value for binding in manifest.soft_bindings if binding.alg == scheme]


def _two_entries(layers: Layers) -> Lead | None:
    """Return the entry of another picture that the mark leads to, where the fingerprint surely leads to this one's."""
    recovered = layers.recovered
    if not recovered or not recovered.matches or recovered.by != "fingerprint" or not layers.whole:
        return None
    if not recovered.comparison or recovered.comparison.similarity < SURE_SIMILARITY:
        return None
    led = (x for x in recovered.leads if x.by == "watermark" and x.compared and not x.matches)
    lead = next(led, None)
    told = labels(recovered.manifest) if recovered.manifest else set()
    if layers.speaking:
        told |= labels(layers.speaking)
    return None if lead and lead.manifest_label in told else lead


def _both(lead: Lead, layers: Layers) -> tuple[str, str]:
    index = layers.recovered.receipt.index if layers.recovered else 0
    return (
        f"The watermark in this picture belongs to entry {lead.index} of the ledger, which shows another picture.",
        f"The picture itself is that of entry {index}.",
    )
