"""What each layer says about one file, gathered from the evidence, and the questions that several rules ask of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from assay.provenance.claim import AI_SOURCE_TYPES, CAPTURE_SOURCE_TYPES
from assay.provenance.evidence import Evidence, Status
from assay.provenance.files.disclosure import Disclosures
from assay.provenance.manifest import Ingredient, Manifest, ManifestState, TimeTrust
from assay.provenance.mark import Reading
from assay.provenance.recovered import Recovered
from assay.provenance.report import manifest_of, recovered_of

SURE_SIMILARITY = 0.97
"""Least likeness at which a match by fingerprint alone may contradict a manifest."""
TOLERANCE = dt.timedelta(days=1)
"""How far two clocks may differ before their times do not fit: time zones, and a clock that is a little off."""
WHOLLY_AI = "trainedAlgorithmicMedia"
"""The only source type that leaves no room for a photograph: an AI edit of one is a composite."""
OWN = "parentOf", "componentOf"
"""Relationships by which an ancestor's content is in the file; what was only an input is not."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What the file's bytes hold besides its one picture.

    ``appended`` bytes follow its end and look like ``appended_type``; ``second_formats`` are other formats that the
    same bytes are; ``unlike`` names small pictures in the file that show something else.
    """

    appended: int = 0
    appended_type: str = ""
    second_formats: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layers:
    """What each layer says, gathered from the evidence; None or empty where it says nothing.

    ``whole``: our mark lies where embedding puts it, so that only then may a picture unlike the original accuse.
    ``anchored`` is the moment (RFC 3339) by which an outside anchor proves the recovered entry to have existed.
    """

    manifest: Manifest | None = None
    mark: Reading | None = None
    known: Reading | None = None
    recovered: Recovered | None = None
    disclosures: Disclosures | None = None
    whole: bool = False
    anchored: str = ""
    structure: Structure = field(default_factory=Structure)

    @property
    def count(self) -> int:
        """How many layers say something."""
        return sum(
            x is not None for x in (self.manifest, self.mark, self.known, self.recovered, self.disclosures)
        )

    @property
    def speaking(self) -> Manifest | None:
        """The manifest where it is intact: only then do its words count, whoever signed it."""
        spoken = (ManifestState.TRUSTED, ManifestState.UNTRUSTED)
        return self.manifest if self.manifest and self.manifest.state in spoken else None

    @property
    def same(self) -> Recovered | None:
        """The entry of this very picture, sure enough to bear an accusation: one frame of a burst is like the next."""
        recovered = self.recovered
        if not recovered or not recovered.matches:
            return None
        likeness = recovered.comparison.similarity if recovered.comparison else 1.0
        return recovered if recovered.by != "fingerprint" or likeness >= SURE_SIMILARITY else None


def gather(seen: tuple[Evidence, ...]) -> Layers:
    """Collect the layers that the evidence carries."""
    manifest = manifest_of(seen)
    readings = {e.check: e.found for e in seen if isinstance(e.found, Reading)}
    disclosures = next(
        (e.found for e in seen if isinstance(e.found, Disclosures) and e.status is Status.PASS), None
    )
    mark = readings.get("mark")
    anchor = next((e for e in seen if e.check == "anchor" and e.status is Status.PASS), None)
    return Layers(
        manifest=manifest if manifest.state is not ManifestState.ABSENT else None,
        mark=mark,
        known=readings.get("known-marks"),
        recovered=recovered_of(seen),
        disclosures=disclosures,
        whole=bool(mark and mark.aligned),
        anchored=str(anchor.details.get("time") or "") if anchor else "",
        structure=next((structure_of(e) for e in seen if e.check == "metadata"), Structure()),
    )


def structure_of(evidence: Evidence) -> Structure:
    """Return what the metadata witness saw of the file's structure."""
    found = evidence.details.get("structure") or {}
    return Structure(
        int(found.get("appended", 0)),
        str(found.get("appended_type", "")),
        tuple(map(str, found.get("second_formats", ()))),
        tuple(map(str, found.get("unlike", ()))),
    )


def created_as(manifest: Manifest) -> str:
    """Return the source type with which the manifest's own first words say that the picture began."""
    return manifest.source_type


def captured(manifest: Manifest) -> bool:
    """Whether the manifest says camera, and nothing in it, its history included, says AI."""
    return created_as(manifest) in CAPTURE_SOURCE_TYPES and not tells_ai(manifest)


def generated(manifest: Manifest) -> bool:
    """Whether the manifest says that AI made all of it."""
    return created_as(manifest) == WHOLLY_AI


def tells_ai(manifest: Manifest) -> bool:
    """Whether any action, of the manifest or of an ancestor of any kind, says AI: then a sign of AI is no surprise."""
    own = {a.source_type for a in manifest.actions}
    return bool((own | {a.source_type for i in manifest.history() for a in i.actions}) & AI_SOURCE_TYPES)


def made_from(ingredients: tuple[Ingredient, ...]) -> list[Ingredient]:
    """Return the ancestors whose content is in the file, at any depth."""
    found = []
    for item in ingredients:
        if item.relationship in OWN:
            found += [item, *made_from(item.ingredients)]
    return found


def labels(manifest: Manifest) -> set[str]:
    """Return the labels of a manifest and of all its ancestors that have one."""
    return {manifest.label, *(i.label for i in manifest.history())} - {""}


def in_history(manifest: Manifest, recovered: Recovered) -> bool:
    """Whether the manifest tells of the entry's credentials itself: as its own, or as an ancestor's."""
    return recovered.entry.manifest_label in labels(manifest)


def one_house(manifest: Manifest, recovered: Recovered) -> bool:
    """Whether both signers are trusted and of one organisation, as after a certificate was renewed."""
    original = recovered.manifest
    if manifest.state is not ManifestState.TRUSTED or not original or not original.signer_trusted:
        return False
    return bool(manifest.signer.organization) and manifest.signer.organization == original.signer.organization


def outranks(manifest: Manifest, recovered: Recovered) -> bool:
    """Whether the file's own credentials weigh more than the entry: logging a stranger's picture proves nothing.

    Its signer is trusted and the entry's is not, or a trusted time-stamp is older than what the entry says of itself.
    """
    if manifest.state is not ManifestState.TRUSTED:
        return False
    if not recovered.manifest or not recovered.manifest.signer_trusted:
        return True
    stamped, logged = proven_time(manifest), moment(recovered.entry.time)
    return bool(stamped and logged and stamped < logged)


def unchanged(recovered: Recovered) -> bool:
    """Whether no region of this copy was found to differ from the original."""
    return recovered.by == "digest" or bool(recovered.comparison and not recovered.comparison.regions)


def proven_time(manifest: Manifest) -> dt.datetime | None:
    """Return when an authority on a chosen list stamped the manifest."""
    return moment(manifest.time.value or "") if manifest.time.trust is TimeTrust.TRUSTED else None


def moment(text: str) -> dt.datetime | None:
    """Read a time with its zone, RFC 3339; None for anything else, which then says nothing."""
    try:
        value = dt.datetime.fromisoformat(text.strip())
        return value.astimezone(dt.UTC) if value.tzinfo else None
    except (ValueError, OverflowError):
        return None


def after(one: dt.datetime | None, other: dt.datetime | None) -> bool:
    """Say whether one time lies later than another by more than clocks and time zones explain."""
    return bool(one and other and one - other > TOLERANCE)
