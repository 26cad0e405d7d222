"""The ledger witness: which entry a file leads to, by digest, manifest, mark or fingerprint, with its receipt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace

from assay.provenance.asset import Digest
from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.credentials.engine import Anchors
from assay.provenance.credentials.isolated import read_manifest
from assay.provenance.credentials.revoked import Revocations
from assay.provenance.entry import Recovery
from assay.provenance.errors import AssayError, InputError, MalformedError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.listening import spans_words
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.mark import Frame, Reading
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import Comparison, Fingerprinter, Found, Log
from assay.provenance.recovered import Lead, Recovered
from assay.provenance.report import manifest_of
from assay.provenance.subject import Subject

CANDIDATES = 5
"""Most ledger entries compared with one file."""

# What re-encoding breaks of a recovered manifest, and the ledger replaces: the binding to the file's bytes.
_BINDING = frozenset(
    {"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch"}
)


class ReceiptCheck:
    """Finds the file, or the original it was made from, in the ledger, and compares the two."""

    name = "receipt"
    version = "1"

    def __init__(
        self,
        log: Log,
        fingerprinter: Fingerprinter,
        anchors: Sequence[Anchors],
        lists: dict[str, str],
        now: dt.datetime,
        revocations: Revocations,
    ) -> None:
        self.revocations = revocations
        self.log, self.fingerprinter = log, fingerprinter
        self._trailed: tuple[Digest, bytes] | None = None
        self.anchors, self.lists, self.now = anchors, lists, now

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the best entry: one that matches before one that does not, exact before similar."""
        best: Recovered | None = None
        kept: Recovery | None = None
        problems: list[str] = []
        leads: list[Lead] = []
        for by, found, frame in self._candidates(subject, seen):
            problem = self.log.verify_receipt(found.receipt)
            if problem:
                problems.append(f"entry {found.receipt.index}: {problem}")
                continue
            candidate = self._compare(by, found, subject, frame)
            leads.append(_lead(candidate))
            # A fingerprint alone that does not hold up is no lead at all; a mark or a manifest is.
            if candidate.matches or (best is None and by != "fingerprint"):
                best, kept = candidate, found.recovery
            if candidate.matches:
                break
        if problems and best is None:
            return Evidence(
                self.name,
                self.version,
                Status.ERROR,
                f"A receipt does not verify: {problems[0]}.",
                reasons=tuple(problems),
            )
        if best is None:
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                f"Nothing in the ledger {self.log.origin} leads to this file.",
            )
        others = tuple(lead for lead in leads if lead.index != best.receipt.index)
        return self._evidence(replace(self._with_manifest(best, kept, subject), leads=others), problems)

    def _candidates(
        self, subject: Subject, seen: tuple[Evidence, ...]
    ) -> Iterator[tuple[str, Found, Frame | None]]:
        yield from (("digest", f, None) for f in self.log.find_digest(subject.asset.digest)[:CANDIDATES])
        manifest = manifest_of(seen)
        if manifest.label:
            yield from (("manifest", f, None) for f in self.log.find_manifest(manifest.label)[:CANDIDATES])
        for reading in (e.found for e in seen if e.check == "mark"):
            if isinstance(reading, Reading) and reading.mark:
                marked = self.log.find_mark(reading.mark)[:CANDIDATES]
                yield from (("watermark", f, reading.frame) for f in marked)
        media = _media(subject)
        for fingerprint in self.fingerprinter.fingerprints(media) if media else ():
            near = self.log.find_fingerprint(fingerprint)[:CANDIDATES]
            yield from (("fingerprint", f, None) for f in near)
        if trail := self._trail(subject):
            alike = self.log.find_words(self.fingerprinter.words(trail))[:CANDIDATES]
            yield from (("fingerprint", f, None) for f in alike)

    def _trail(self, subject: Subject) -> bytes:
        """Return the trail of a film or a sound, made once a file; b"" of others, and of what cannot be read."""
        if subject.asset.kind not in (Kind.VIDEO, Kind.AUDIO):
            return b""
        if self._trailed is None or self._trailed[0] != subject.asset.digest:
            try:
                self._trailed = (subject.asset.digest, self.fingerprinter.trail(subject.media()))
            except InputError:
                self._trailed = (subject.asset.digest, b"")
        return self._trailed[1]

    def _compare(self, by: str, found: Found, subject: Subject, frame: Frame | None) -> Recovered:
        if by == "digest":
            return Recovered(by, found.receipt, None, None, matches=True)
        comparison: Comparison | None = None
        sketch = found.recovery.sketch if found.recovery else b""
        if sketch and subject.asset.kind is Kind.IMAGE:
            media = _media(subject)
            comparison = self.fingerprinter.compare(media, sketch, frame) if media else None
        elif sketch and (trail := self._trail(subject)):
            comparison = _followed(self.fingerprinter, trail, sketch)
        return Recovered(by, found.receipt, comparison, None, matches=bool(comparison and comparison.same))

    def _with_manifest(self, best: Recovered, kept: Recovery | None, subject: Subject) -> Recovered:
        if not kept or not kept.manifest:
            return best
        try:
            manifest = read_manifest(
                subject.stream,
                subject.asset.media_type,
                self.anchors,
                self.lists,
                self.now,
                limits=subject.limits,
                sidecar=kept.manifest,
            )
        except AssayError:
            return best
        return replace(best, manifest=replace(self.revocations.judge(_unbound(manifest)), coverage=None))

    def _evidence(self, best: Recovered, problems: Sequence[str]) -> Evidence:
        facts: set[Fact] = set()
        if best.matches:
            facts.add(Fact.RECOVERED)
            if best.entry.source_type in AI_SOURCE_TYPES:
                facts.add(Fact.DECLARED_AI)
        how = {"digest": "its digest", "manifest": "its manifest", "watermark": "its watermark"}.get(
            best.by, "its fingerprint"
        )
        match = "and matches it" if best.matches else "but could not be matched with it"
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            f"The file leads to entry {best.receipt.index} of {self.log.origin} by {how} {match}; "
            "the receipt verifies.",
            facts=frozenset(facts),
            reasons=(
                *((f"Laid over the original: {best.comparison.alignment}.",) if best.comparison else ()),
                *changes_sentences(best.comparison),
                *problems,
            ),
            found=best,
            details={"by": best.by, "index": best.receipt.index, "matches": best.matches},
        )


def _followed(fingerprinter: Fingerprinter, trail: bytes, sketch: bytes) -> Comparison | None:
    try:
        return fingerprinter.follow(trail, sketch)
    except MalformedError:  # a picture's sketch, to which a copied mark led
        return None


def changes_sentences(comparison: Comparison | None) -> tuple[str, ...]:
    """Return in words which seconds of a film or a sound are not those of its original; none where all are."""
    if comparison is None or not comparison.changes:
        return ()
    return (f"Other than the original in the seconds {spans_words(comparison.changes)}.",)


def _lead(candidate: Recovered) -> Lead:
    entry = candidate.entry
    compared = candidate.comparison is not None
    return Lead(candidate.by, candidate.receipt.index, entry.manifest_label, candidate.matches, compared)


def _media(subject: Subject) -> Media | None:
    if subject.asset.kind is not Kind.IMAGE:
        return None
    try:
        return subject.picture().media
    except AssayError:
        return None


def _unbound(manifest: Manifest) -> Manifest:
    """Judge a recovered manifest without the binding to the received bytes, which the ledger replaces."""
    codes = tuple(c for c in manifest.codes if c not in _BINDING)
    if manifest.state is not ManifestState.INVALID or any(".mismatch" in c for c in codes):
        return manifest
    trusted = bool(manifest.signer_trusted)
    state = ManifestState.TRUSTED if trusted else ManifestState.UNTRUSTED
    reasons = tuple(r for r in manifest.reasons if not r.startswith("What was signed"))
    return replace(manifest, state=state, codes=codes, reasons=reasons, uncovered=(), where="ledger")
