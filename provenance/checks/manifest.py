"""The manifest witness: what the file's own credentials say, by our policy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assay.provenance.claim import AI_SOURCE_TYPES
from assay.provenance.credentials import engine
from assay.provenance.credentials.isolated import judge_manifest, manifest_job, read_manifest
from assay.provenance.credentials.reader import changed_ancestors
from assay.provenance.credentials.revoked import Revocations
from assay.provenance.evidence import Conflict, Evidence, Fact, Status
from assay.provenance.files.worker import Job
from assay.provenance.limits import Limits
from assay.provenance.manifest import SIDECAR_SUFFIX, Ingredient, Manifest, ManifestState
from assay.provenance.subject import Subject
from assay.provenance.text import safe_text

_SUMMARIES = {
    ManifestState.TRUSTED: "Intact credentials of a signer on your list “{list}”.",
    ManifestState.UNTRUSTED: "Intact credentials of a signer that is not established.",
    ManifestState.INVALID: "Credentials that do not fit this file.",
    ManifestState.MALFORMED: "Credentials that break the rules of their format.",
    ManifestState.ABSENT: "No credentials in the file.",
}
_STATUS = {
    ManifestState.TRUSTED: Status.PASS,
    ManifestState.UNTRUSTED: Status.PASS,
    ManifestState.INVALID: Status.FAIL,
    ManifestState.MALFORMED: Status.ERROR,
    ManifestState.ABSENT: Status.ABSENT,
}


class ManifestCheck:
    """Reads embedded or sidecar credentials offline, in a worker, and judges them by status codes."""

    name = "manifest"

    def __init__(
        self,
        anchors: Sequence[engine.Anchors],
        lists: dict[str, str],
        now: dt.datetime,
        revocations: Revocations,
        *,
        interim: frozenset[str] = frozenset(),
    ) -> None:
        self.anchors, self.lists, self.now, self.revocations = anchors, lists, now, revocations
        self.interim = interim  # names of lists
        self.version = engine.engine_version()

    def job(self, subject: Subject) -> Job:
        """Return the parser of the embedded manifest."""
        return manifest_job(subject.asset.media_type, self.anchors, None)

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return what the credentials say; a broken store is an error, a missing one is absent."""
        answer = subject.answer(self.name, self.job(subject))
        manifest = judge_manifest(answer, self.lists, self.now, subject.limits)
        if manifest.state is ManifestState.ABSENT:
            # What lies beside a file speaks only where the file itself is silent: anyone can put it there.
            sidecar = _sidecar(subject.asset.path, subject.limits)
            manifest = self._beside(subject, sidecar) if sidecar else manifest
        manifest = self.revocations.judge(manifest)
        if manifest.trust_list in self.interim:
            reason = f"The list that names the signer, {manifest.trust_list}, is an interim one, frozen by its keeper."
            manifest = replace(manifest, reasons=(*manifest.reasons, reason))
        conflicts = manifest_conflicts(manifest)
        status = Status.FAIL if conflicts else _STATUS[manifest.state]
        summary = _SUMMARIES[manifest.state].format(list=manifest.trust_list)
        if manifest.state is ManifestState.ABSENT and manifest.remote_url:
            summary = (
                f"Credentials are kept elsewhere and were not fetched: {safe_text(manifest.remote_url, 200)}"
            )
        return Evidence(
            self.name,
            self.version,
            status,
            summary,
            facts=_facts(manifest, bool(conflicts)),
            conflicts=conflicts,
            reasons=manifest.reasons,
            found=manifest,
            details={"state": str(manifest.state), "codes": list(manifest.codes)},
        )

    def _beside(self, subject: Subject, sidecar: bytes) -> Manifest:
        return read_manifest(
            subject.stream,
            subject.asset.media_type,
            self.anchors,
            self.lists,
            self.now,
            limits=subject.limits,
            sidecar=sidecar,
        )


def _sidecar(path: Path, limits: Limits) -> bytes | None:
    for candidate in (path.with_name(path.name + SIDECAR_SUFFIX), path.with_suffix(SIDECAR_SUFFIX)):
        try:
            if (
                candidate != path
                and candidate.is_file()
                and candidate.stat().st_size <= limits.manifest_bytes
            ):
                return candidate.read_bytes()
        except OSError:
            continue
    return None


def _facts(manifest: Manifest, contradicted: bool) -> frozenset[Fact]:
    facts: set[Fact] = set()
    types = {manifest.source_type, *(a.source_type for a in manifest.actions)}
    types |= {a.source_type for i in _made_from(manifest.ingredients) for a in i.actions}
    declares_ai = bool(types & AI_SOURCE_TYPES)
    if manifest.state is ManifestState.INVALID:
        facts.add(Fact.ALTERED)
    elif manifest.state is ManifestState.TRUSTED and not contradicted:
        facts |= {Fact.INTACT, Fact.TRUSTED} | ({Fact.DECLARED_AI} if declares_ai else set())
    elif manifest.state is ManifestState.UNTRUSTED and not contradicted:
        facts |= {Fact.INTACT, Fact.UNTRUSTED} | ({Fact.CLAIMED_AI} if declares_ai else set())
    elif manifest.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED) and not manifest.uncovered:
        facts.add(Fact.INTACT)  # the file itself is as it was signed; an ancestor is not
    return frozenset(facts)


def _made_from(ingredients: Sequence[Ingredient]) -> list[Ingredient]:
    # What was only an input to a model does not make this file AI; what it is or holds does.
    found = []
    for item in ingredients:
        if item.relationship in ("parentOf", "componentOf"):
            found += [item, *_made_from(item.ingredients)]
    return found


def manifest_conflicts(manifest: Manifest) -> tuple[Conflict, ...]:
    """Return the contradictions inside one manifest store: changed bytes, holes, broken ancestors, revocation."""
    found: list[Conflict] = []
    codes = ", ".join(c for c in manifest.codes if ".mismatch" in c or ".missing" in c) or ", ".join(
        manifest.codes
    )
    if manifest.revoked:
        found.append(
            Conflict(
                "revoked-signer",
                ("manifest", "trust"),
                (
                    "The credentials carry a signature.",
                    "Its certificate is on your own list of those that no longer count."
                    if manifest.revocation.source == "deny-list"
                    else "Its certificate was revoked by the authority that issued it.",
                ),
                "A house can revoke a certificate that it merely replaced. Ask it which signatures it stands by.",
            )
        )
    elif manifest.state is ManifestState.INVALID:
        found.append(
            Conflict(
                "hash-mismatch",
                ("manifest", "file"),
                (
                    "The file carries signed credentials.",
                    f"A hash proves that file or credentials were changed after signing ({safe_text(codes, 300)}).",
                ),
                "A program that writes into signed files breaks the hash without touching the picture. "
                "Ask for the file as it was signed.",
            )
        )
    if manifest.uncovered:
        size = sum(length for _, length in manifest.uncovered)
        found.append(
            Conflict(
                "uncovered-content",
                ("manifest", "file"),
                (
                    "The credentials claim to be bound to this file.",
                    f"Their hash leaves out {size or 'some'} bytes of the content itself, "
                    "so that part can be anything.",
                ),
                "A faulty program can leave out too much. Ask for another copy all the same.",
            )
        )
    for ancestor in changed_ancestors(manifest.ingredients):
        named = f", “{safe_text(ancestor.title, 80)}”," if ancestor.title else ""
        found.append(
            Conflict(
                "broken-ingredient",
                ("manifest", "ingredient"),
                (
                    "The credentials name the files that this one was made from.",
                    f"The credentials of one of them{named} are proven changed "
                    f"({safe_text(', '.join(ancestor.codes), 200)}).",
                ),
                "It may have been changed by a careless export before it was used. Ask the signer for it.",
            )
        )
    return tuple(found)
