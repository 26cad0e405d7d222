"""Reports looked at again: what new lists, revocations, engines or policies, or time, change of what was once said.

A report names what it rested on. Where none of that changed, nothing is examined again, so that an archive of a hundred
thousand reports costs little more than reading them. Otherwise the file is, or where it is gone the signer alone, from
the manifest that the ledger kept. Format: docs/formats/reverify.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.provenance.credentials.isolated import read_manifest
from assay.provenance.errors import AssayError, MalformedError
from assay.provenance.furnish import TRUST
from assay.provenance.keys.denied import DENIED, Denial, read_denials
from assay.provenance.keys.trust import CERTIFICATES
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.past import Past, PastList, PastManifest
from assay.provenance.policy import SHIPPED, choose_policy
from assay.provenance.report import Report
from assay.provenance.subject import Subject

if TYPE_CHECKING:
    from assay.provenance.workspace import Workspace

REVERIFY_TYPE = "assay.reverify/v1"
MAX_KINDS = 1000
"""Sets of trust lists of which it is remembered what changed of them; an archive has a few."""
_STORE = "application/c2pa"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a report says of a file, as far as trust can change it; ``verdict`` is "" where only the signer was seen."""

    verdict: str
    origin: str
    list: str
    revocation: str
    time: str

    def to_json(self) -> dict[str, str]:
        """Return the form used in JSON outputs."""
        return {
            "verdict": self.verdict,
            "origin": self.origin,
            "list": self.list,
            "revocation": self.revocation,
            "time": self.time,
        }


@dataclass(frozen=True, slots=True)
class Again:
    """One report looked at again.

    ``inputs`` names what changed of that which it rested on, in words; ``examined`` is ``file``, ``manifest``, or ""
    where nothing was, because nothing changed or nothing is left; ``problem`` says why, and is "" where there is none.
    """

    path: str
    digest: str
    made: str
    inputs: tuple[str, ...]
    examined: str
    before: Standing
    after: Standing | None
    problem: str = ""

    @property
    def changed(self) -> bool:
        """Whether what was said then would not be said now."""
        if self.after is None:
            return False
        before = self.before if self.after.verdict else replace(self.before, verdict="")
        return self.after != before

    def to_json(self) -> dict[str, Any]:
        """Return what ``assay reverify --json`` prints."""
        return {
            "type": REVERIFY_TYPE,
            "path": self.path,
            "digest": self.digest,
            "made": self.made,
            "inputs": list(self.inputs),
            "examined": self.examined,
            "before": self.before.to_json(),
            "after": self.after.to_json() if self.after else None,
            "changed": self.changed,
            "problem": self.problem,
        }


class Reverification:
    """Looks at past reports with a workspace's present lists, deny-list, engine and policies."""

    def __init__(self, workspace: Workspace, *, online: bool = False) -> None:
        self.workspace, self.online = workspace, online
        self.now = workspace.now()
        self._versions: dict[str, str] = {}  # of policies, by name
        self._said_of_lists: dict[tuple[PastList, ...], tuple[str, ...]] = {}

    @cached_property
    def _lists(self) -> dict[tuple[str, str], str]:
        lists = self.workspace.trust.lists()
        return {(e.kind, e.name): e.sha256 for e in lists if e.kind in CERTIFICATES}

    @cached_property
    def _denials(self) -> dict[str, tuple[Denial, ...]]:
        found: dict[str, tuple[Denial, ...]] = {}
        for denial in read_denials(self.workspace.home / TRUST / DENIED):
            found[denial.serial] = (*found.get(denial.serial, ()), denial)
        return found

    @cached_property
    def _engines(self) -> dict[str, str]:
        return self.workspace.engines()

    def look(self, report: Past) -> Again:
        """Look at one report again; raises MalformedError where it is not one that Assay wrote."""
        try:
            inputs = tuple(self._changed(report))
        except ValueError as error:
            raise MalformedError("a report names a time that is none", path=report.asset.path[:80]) from error
        digest = f"{report.asset.digest.alg}:{report.asset.digest.value}"
        again = Again(report.asset.path, digest, report.time, inputs, "", _said(report), None)
        if not inputs:
            return again
        try:
            return self._examined(again, report)
        except AssayError as error:
            return replace(again, problem=error.message)

    def _changed(self, report: Past) -> Iterator[str]:
        """Yield in words what a report rested on and is otherwise now."""
        for name in ("assay", "c2pa"):
            was, now = report.engines.get(name), self._engines.get(name)
            if was != now:
                yield f"{name}: {was} then, {now} now"
        if changed := self._policy_changed(report.policy):
            yield changed
        manifest = report.signed
        if manifest.state == "absent":
            return  # nobody signed it: no list, revocation or clock bears on it
        yield from self._lists_changed(report.trust)
        yield from self._signer_changed(report, manifest)

    def _lists_changed(self, trust: tuple[PastList, ...]) -> tuple[str, ...]:
        found = self._said_of_lists.get(trust)
        if found is None:
            then = {(t.kind, t.name): t.sha256 for t in trust}
            found = tuple(
                f"{key[0]} list {key[1]}: "
                + ("new" if key not in then else "gone" if key not in self._lists else "another edition")
                for key in sorted(then.keys() | self._lists.keys())
                if then.get(key) != self._lists.get(key)
            )
            if len(self._said_of_lists) < MAX_KINDS:
                self._said_of_lists[trust] = found
        return found

    def _policy_changed(self, then: str) -> str:
        name, _, rest = then.partition("/")
        version = rest.partition("#")[0]
        if name not in self._versions and name in SHIPPED:  # a report names no file that would then be read
            self._versions[name] = str(choose_policy(name).version)
        now = self._versions.get(name)
        if not now:
            return f"policy: {name} is not known here"
        return "" if now == version else f"policy: {name} {version} then, {now} now"

    def _signer_changed(self, report: Past, manifest: PastManifest) -> Iterator[str]:
        denied = manifest.revocation is not None and manifest.revocation.source == "deny-list"
        if (manifest.signer.serial in self._denials) != denied:
            yield (
                "the deny-list: the signer is on it now"
                if not denied
                else "the deny-list: the signer is off it"
            )
        trusted = report.axes.origin.status == "trusted"
        if self.online and trusted:
            yield "revocation: asked again"
        end = manifest.signer.not_after
        unproven = trusted and end and manifest.time.trust != "trusted"
        if unproven and dt.datetime.fromisoformat(end) < self.now:
            yield "time: the signer's certificate has expired since"

    def _examined(self, again: Again, report: Past) -> Again:
        path = Path(again.path)
        if self._is_there(path, again.digest):
            checks = tuple(e.check for e in report.evidence if e.check in _CHECKS)
            name = report.policy.partition("/")[0]
            policy = name if self._versions.get(name) else None
            now = self.workspace.verify(path, policy=policy, checks=checks, online=self.online)
            return replace(again, examined="file", after=_now(now))
        kept = self._kept(report.signed.label)
        if again.before.origin not in ("trusted", "untrusted"):
            return replace(
                again, problem="the file is gone or another, and its signature alone decides nothing"
            )
        if kept is None:
            return replace(again, problem="the file is gone or another, and no manifest of it was kept")
        return replace(again, examined="manifest", after=_of_signer(self._signer(kept)))

    def _is_there(self, path: Path, digest: str) -> bool:
        try:
            with Subject.open(path, self.workspace.limits) as subject:
                return str(subject.asset.digest) == digest
        except AssayError:
            return False

    def _kept(self, label: str) -> bytes | None:
        found = self.workspace.log.find_manifest(label) if label else ()
        return next((f.recovery.manifest for f in found if f.recovery and f.recovery.manifest), None)

    def _signer(self, store: bytes) -> Manifest:
        """Judge who signed a manifest store, apart from the file that it was bound to."""
        anchors, lists = self.workspace.anchors()
        limits = self.workspace.limits
        manifest = read_manifest(BytesIO(store), _STORE, anchors, lists, self.now, limits=limits)
        apart = replace(manifest, state=ManifestState.UNTRUSTED)  # its binding to no file is no change of it
        return self.workspace.revocations(anchors, self.now, online=self.online).judge(apart)


_CHECKS = ("manifest", "metadata", "mark", "known-marks", "receipt", "anchor", "agreement")


def _said(report: Past) -> Standing:
    origin, revocation = report.axes.origin, report.signed.revocation
    state = revocation.state if revocation else "unknown"
    return Standing(report.verdict, origin.status, origin.list, state or "unknown", origin.time.trust)


def _now(report: Report) -> Standing:
    original = report.recovered.manifest if report.recovered else None
    manifest = report.manifest if report.manifest.label else original or report.manifest
    return Standing(
        str(report.verdict),
        report.origin.status,
        report.origin.list,
        manifest.revocation.state,
        str(report.origin.time.trust),
    )


def _of_signer(manifest: Manifest) -> Standing:
    status = "trusted" if manifest.signer_trusted else "untrusted"
    name = manifest.trust_list if manifest.signer_trusted else ""
    return Standing("", status, name, manifest.revocation.state, str(manifest.time.trust))
