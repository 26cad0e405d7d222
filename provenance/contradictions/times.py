"""Rules about when: a signature cannot be older than its certificate, nor a picture younger than its first record.

Only what somebody else proves decides: a trusted time-stamp, an outside anchor. What a clock at hand wrote is often
wrong, so that it is only said. A claimed time that is early is no contradiction: old pictures are signed today.
"""

from __future__ import annotations

import datetime as dt

from assay.provenance.contradictions.layers import Layers, after, moment, proven_time
from assay.provenance.contradictions.rule import Rule, Says, conflict, notice
from assay.provenance.manifest import Manifest, TimeTrust
from assay.provenance.recovered import Recovered

_CLOCK = "A clock that was set wrong does this too, so ask whoever wrote the later time how it was set."


@conflict(
    "time-before-certificate",
    ("time", "certificate"),
    "An authority can issue a certificate with a late first day. Ask the signer when it was issued.",
)
def time_before_certificate(layers: Layers) -> Says:
    """A trusted authority stamped the signature before the certificate that made it was valid."""
    manifest = layers.speaking
    if not manifest:
        return None
    stamped, begins = proven_time(manifest), moment(manifest.signer.not_before)
    if not stamped or not begins or not after(begins, stamped):
        return None
    return f"A time-stamp proves that the signature existed on {_day(stamped)}.", _valid_from(begins)


@notice(
    "claimed-time-before-certificate",
    ("time", "certificate"),
    "Nobody vouches for that time: anyone can replace an unknown authority's time-stamp, also to discredit the signer.",
)
def claimed_before_certificate(layers: Layers) -> Says:
    """A time-stamp that no list vouches for puts the signature before the certificate was valid."""
    manifest = layers.speaking
    if not manifest or manifest.time.trust is not TimeTrust.UNTRUSTED:
        return None
    claimed, begins = moment(manifest.time.value or ""), moment(manifest.signer.not_before)
    if not claimed or not begins or not after(begins, claimed):
        return None
    return f"An unproven time-stamp puts the signature on {_day(claimed)}.", _valid_from(begins)


@conflict(
    "certificate-after-anchor",
    ("certificate", "anchor"),
    "An authority can issue a certificate with a late first day. Ask the signer when it was issued.",
)
def certificate_after_anchor(layers: Layers) -> Says:
    """These very credentials were in an anchored ledger before the certificate in them was valid."""
    manifest, recovered = layers.speaking, _logged(layers)
    if not manifest or not recovered:
        return None
    begins, proven = moment(manifest.signer.not_before), moment(layers.anchored)
    if not begins or not proven or not after(begins, proven) or other_signer(layers):
        return None
    return (
        _valid_from(begins),
        f"An outside anchor proves that these credentials were in the ledger by {_day(proven)}.",
    )


@notice("certificate-after-logging", ("certificate", "receipt"), _CLOCK)
def certificate_after_logging(layers: Layers) -> Says:
    """These very credentials were logged, as the logger's clock had it, before the certificate in them was valid."""
    manifest, recovered = layers.speaking, _logged(layers)
    if not manifest or not recovered or certificate_after_anchor(layers) or other_signer(layers):
        return None
    begins, logged = moment(manifest.signer.not_before), moment(recovered.entry.time)
    if not begins or not logged or not after(begins, logged):
        return None
    return _valid_from(begins), f"The ledger's entry for these credentials names {_day(logged)}."


@notice("action-after-signature", ("manifest", "time"), _CLOCK)
def action_after_signature(layers: Layers) -> Says:
    """The manifest tells of an action that lies after the time at which it is proven to have been signed."""
    manifest = layers.speaking
    stamped = proven_time(manifest) if manifest else None
    latest = _latest(manifest) if manifest else None
    if not stamped or not latest or not after(latest, stamped):
        return None
    return (
        f"The credentials tell of something that was done on {_day(latest)}.",
        f"A time-stamp proves that they were signed by {_day(stamped)}.",
    )


@notice("ancestor-after-signature", ("ingredient", "time"), _CLOCK)
def ancestor_after_signature(layers: Layers) -> Says:
    """An ancestor tells of an action that lies after the time at which the file is proven to have been signed."""
    manifest = layers.speaking
    stamped = proven_time(manifest) if manifest else None
    if not manifest or not stamped:
        return None
    times = [t for i in manifest.history() for a in i.actions if (t := moment(a.when))]
    if not times or not after(max(times), stamped):
        return None
    return (
        f"An ancestor tells of something that was done on {_day(max(times))}.",
        f"A time-stamp proves that this file, made from it, was signed by {_day(stamped)}.",
    )


@notice("captured-after-signature", ("metadata", "time"), _CLOCK)
def captured_after_signature(layers: Layers) -> Says:
    """The camera's clock puts the capture after the time at which the file is proven to have been signed."""
    manifest, taken = layers.speaking, _taken(layers)
    stamped = proven_time(manifest) if manifest else None
    if not stamped or not taken or not after(taken, stamped):
        return None
    return (
        f"The metadata say that the picture was captured on {_day(taken)}.",
        f"A time-stamp proves that the file was signed by {_day(stamped)}.",
    )


@notice("captured-after-logging", ("metadata", "receipt"), _CLOCK)
def captured_after_logging(layers: Layers) -> Says:
    """The camera's clock puts the capture after the same picture was logged."""
    first, taken = _first_seen(layers), _taken(layers)
    if not first or not taken or not after(taken, first):
        return None
    return (
        f"The metadata say that the picture was captured on {_day(taken)}.",
        f"The ledger holds the same picture since {_day(first)}.",
    )


@notice(
    "created-after-logging",
    ("manifest", "receipt"),
    "Many programs write the day of export as the day of creation. Ask when the picture was made.",
)
def created_after_logging(layers: Layers) -> Says:
    """The manifest says that the picture was created after the same picture was logged."""
    manifest, first = layers.speaking, _first_seen(layers)
    if not manifest or not first or _logged(layers):
        return None
    created = [t for a in manifest.actions if a.action == "c2pa.created" and (t := moment(a.when))]
    if not created or not after(min(created), first):
        return None
    return (
        f"The credentials say that the picture was created on {_day(min(created))}.",
        f"The ledger holds the same picture since {_day(first)}.",
    )


@notice("entry-after-anchor", ("receipt", "anchor"), _CLOCK)
def entry_after_anchor(layers: Layers) -> Says:
    """The entry names a time that lies after the one by which an anchor proves it to have been in the ledger."""
    recovered, proven = layers.recovered, moment(layers.anchored)
    logged = moment(recovered.entry.time) if recovered else None
    if not logged or not proven or not after(logged, proven):
        return None
    return (
        f"The ledger's entry says that it was logged on {_day(logged)}.",
        f"An outside anchor proves that it was in the ledger by {_day(proven)}.",
    )


@notice(
    "stamped-after-logging",
    ("time", "anchor"),
    "Archives stamp old signatures anew so that they outlive their certificates; a thief of the file can do so too.",
)
def stamped_after_logging(layers: Layers) -> Says:
    """The credentials bear a time-stamp that is younger than the anchored entry that holds them."""
    manifest, recovered, proven = layers.speaking, _logged(layers), moment(layers.anchored)
    stamped = proven_time(manifest) if manifest else None
    if not recovered or not stamped or not proven or not after(stamped, proven):
        return None
    return (
        f"The time-stamp in the credentials is of {_day(stamped)}.",
        f"An outside anchor proves that the ledger held these credentials by {_day(proven)}.",
    )


@conflict(
    "other-signer-than-logged",
    ("certificate", "receipt"),
    "No honest program signs two manifests under one name. Ask the signer which certificate is theirs.",
)
def other_signer(layers: Layers) -> Says:
    """The ledger logged credentials of this name with another signing certificate."""
    manifest, recovered = layers.speaking, _logged(layers)
    if not manifest or not recovered or recovered.by not in ("digest", "manifest"):
        return None
    logged, here = recovered.entry.signer, manifest.signer.certificate
    if not logged or not here or logged == here:
        return None
    return (
        f"The credentials were signed with the certificate {here.hex[:16]}….",
        f"The ledger logged credentials of the same name, signed with the certificate {logged.hex[:16]}… "
        f"(entry {recovered.receipt.index}).",
    )


RULES: tuple[Rule, ...] = (
    time_before_certificate,
    claimed_before_certificate,
    certificate_after_anchor,
    certificate_after_logging,
    action_after_signature,
    ancestor_after_signature,
    captured_after_signature,
    captured_after_logging,
    created_after_logging,
    entry_after_anchor,
    stamped_after_logging,
    other_signer,
)


def _day(value: dt.datetime) -> str:
    return value.isoformat(timespec="minutes")


def _valid_from(begins: dt.datetime) -> str:
    return f"The signer's certificate is valid only from {_day(begins)}."


def _logged(layers: Layers) -> Recovered | None:
    """Return the entry that holds the very credentials of the file, by their name."""
    manifest, recovered = layers.manifest, layers.recovered
    if not manifest or not recovered or not manifest.label:
        return None
    return recovered if recovered.entry.manifest_label == manifest.label else None


def _first_seen(layers: Layers) -> dt.datetime | None:
    """Return when the ledger surely held the same picture: the later of what an anchor proves and the entry says."""
    recovered = layers.same
    if not recovered:
        return None
    known = [t for t in (moment(layers.anchored), moment(recovered.entry.time)) if t]
    return max(known, default=None)


def _latest(manifest: Manifest) -> dt.datetime | None:
    return max((t for a in manifest.actions if (t := moment(a.when))), default=None)


def _taken(layers: Layers) -> dt.datetime | None:
    """Read EXIF's time of capture, which has no zone."""
    text = layers.disclosures.captured.strip() if layers.disclosures else ""
    day, _, clock = text.partition(" ")
    return moment(f"{day.replace(':', '-')}T{clock}+00:00") if clock else None
