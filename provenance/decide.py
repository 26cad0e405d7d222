"""Evidence in, report out: a pure function.

Laws (tests/provenance/test_decide.py): ABSENT and ERROR carry no weight; a conflict wins; order does not
matter; more evidence for authenticity never lowers the score; same inputs and policy, same report.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from assay.provenance.asset import Asset
from assay.provenance.blocks import BlockCalibration, shipped
from assay.provenance.claim import AI_SOURCE_TYPES, CAPTURE_SOURCE_TYPES
from assay.provenance.evidence import TOLD_BY, Conflict, Evidence, Fact, Status
from assay.provenance.files.sandbox import NO_SANDBOX, Sandbox
from assay.provenance.keys.certificates import DEVELOPMENT
from assay.provenance.listening import spans_words
from assay.provenance.manifest import Manifest, ManifestState, TimeTrust
from assay.provenance.media import Kind
from assay.provenance.opinion import LEANS
from assay.provenance.policy import Policy
from assay.provenance.recovered import Recovered
from assay.provenance.report import Integrity, Origin, Report, Score, Verdict, manifest_of, recovered_of
from assay.provenance.text import safe_text
from assay.provenance.weighing import weigh
from assay.provenance.wording import NOUNS, check_name

# ENFSI guideline for evaluative reporting (2015), verbal scale, by |log10 LR|; below LEANS, a ratio of 2, it is silent.
_BANDS = ((1.0, "weak"), (2.0, "moderate"), (3.0, "moderately strong"), (4.0, "strong"))


def decide(
    asset: Asset,
    seen: Sequence[Evidence],
    policy: Policy,
    *,
    now: dt.datetime,
    trust: Sequence[Mapping[str, object]] = (),
    engines: Mapping[str, str] | None = None,
    sandbox: Sandbox = NO_SANDBOX,
    blocks: BlockCalibration | None = None,
) -> Report:
    """Weigh all evidence about one file under a policy and return the report.

    ``blocks`` says how blocks of evidence are joined, as shipped unless given.
    """
    evidence = tuple(sorted(seen, key=lambda e: (_rank(e.check, policy), e.check)))
    facts = _facts(evidence)
    conflicts = _conflicts(evidence)
    verdict = _verdict(facts, conflicts)
    manifest, recovered = manifest_of(evidence), recovered_of(evidence)
    origin = _origin(manifest, recovered)
    source_type = _source_type(manifest, recovered)
    return Report(
        asset=asset,
        verdict=verdict,
        headline=_headline(
            verdict,
            facts,
            conflicts,
            manifest,
            recovered,
            origin,
            evidence,
            policy,
            NOUNS.get(asset.kind, "file"),
        ),
        leaning=_leaning(verdict, facts, source_type),
        integrity=_integrity(facts, recovered, policy),
        origin=origin,
        synthesis=_synthesis(facts),
        source_type=source_type,
        evidence=evidence,
        conflicts=conflicts,
        manifest=manifest,
        recovered=recovered,
        score=_score(evidence, policy, blocks or shipped()),
        without=_without(evidence),
        policy=policy.id,
        trust=tuple(dict(t) for t in trust),
        engines=dict(engines or {}),
        time=now.isoformat(timespec="seconds"),
        sandbox=sandbox,
    )


def _rank(check: str, policy: Policy) -> int:
    return policy.checks.index(check) if check in policy.checks else len(policy.checks)


def _heard(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return tuple(e for e in evidence if e.status in (Status.PASS, Status.FAIL))


def _facts(evidence: Sequence[Evidence]) -> frozenset[Fact]:
    return frozenset(f for e in _heard(evidence) for f in e.facts)


def _conflicts(evidence: Sequence[Evidence]) -> tuple[Conflict, ...]:
    found = {c for e in _heard(evidence) for c in e.conflicts}
    return tuple(sorted(found, key=lambda c: (c.rule, c.between, c.says)))


def _verdict(facts: frozenset[Fact], conflicts: Sequence[Conflict]) -> Verdict:
    if conflicts or Fact.ALTERED in facts:
        return Verdict.CONFLICT
    if Fact.DECLARED_AI in facts or Fact.MARKED_AI in facts:
        return Verdict.MARKED_AI
    if Fact.TRUSTED in facts and Fact.INTACT in facts:
        return Verdict.SOURCE_CONFIRMED
    if Fact.RECOVERED in facts:
        return Verdict.SOURCE_RECOVERED
    return Verdict.INCONCLUSIVE


def settled(evidence: Sequence[Evidence]) -> bool:
    """Say whether evidence makes any verdict but ``inconclusive``: what merely leans is then outweighed."""
    return _verdict(_facts(evidence), _conflicts(evidence)) is not Verdict.INCONCLUSIVE


def _without(evidence: Sequence[Evidence]) -> dict[str, str]:
    # Agreement only compares what others said: without one of them, what it said about that one falls too.
    result = {}
    for left in evidence:
        rest = [e for e in evidence if e is not left]
        conflicts = tuple(
            c for c in _conflicts(rest) if left.check not in (TOLD_BY.get(b, b) for b in c.between)
        )
        result[left.check] = str(_verdict(_facts(rest), conflicts))
    return result


def _integrity(facts: frozenset[Fact], recovered: Recovered | None, policy: Policy) -> Integrity:
    if Fact.ALTERED in facts:
        return Integrity.ALTERED
    if Fact.INTACT in facts:
        return Integrity.INTACT
    if (
        recovered
        and recovered.matches
        and recovered.comparison
        and recovered.comparison.differs(policy.changed_area)
    ):
        return Integrity.ALTERED
    return Integrity.UNKNOWN


def _synthesis(facts: frozenset[Fact]) -> str:
    if Fact.DECLARED_AI in facts:
        return "declared"
    if Fact.MARKED_AI in facts:
        return "marked"
    if Fact.CLAIMED_AI in facts:
        return "leaning-ai"
    leaning = _leaning_of_pixels(facts)
    return f"leaning-{leaning}" if leaning != "none" else "none"


def _leaning_of_pixels(facts: frozenset[Fact]) -> str:
    """Return where detectors lean; where they contradict each other, nowhere."""
    ai, captured = Fact.LEANS_AI in facts, Fact.LEANS_CAPTURED in facts
    return "none" if ai == captured else "ai" if ai else "captured"


def _leaning(verdict: Verdict, facts: frozenset[Fact], source_type: str) -> str:
    if facts & {Fact.DECLARED_AI, Fact.MARKED_AI, Fact.CLAIMED_AI}:
        return "ai"
    confirmed = verdict in (Verdict.SOURCE_CONFIRMED, Verdict.SOURCE_RECOVERED)
    if confirmed and source_type in CAPTURE_SOURCE_TYPES:
        return "captured"
    return _leaning_of_pixels(facts) if verdict is Verdict.INCONCLUSIVE else "none"


def _source_type(manifest: Manifest, recovered: Recovered | None) -> str:
    if manifest.source_type:
        return manifest.source_type
    own = [i for i in manifest.history() if i.relationship == "parentOf"]
    inherited = next((a.source_type for i in own for a in i.actions if a.source_type), "")
    return inherited or (recovered.entry.source_type if recovered and recovered.matches else "")


def _origin(manifest: Manifest, recovered: Recovered | None) -> Origin:
    if (
        manifest.state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED, ManifestState.MALFORMED)
        and manifest.label
    ):
        trusted = manifest.state is ManifestState.TRUSTED
        return Origin(
            status="trusted" if trusted else "untrusted",
            signer=manifest.signer.display,
            list=manifest.trust_list,
            time=manifest.time,
            development=manifest.signer.organization == DEVELOPMENT,
        )
    if recovered and recovered.matches:
        original = recovered.manifest
        trusted = bool(original and original.state is ManifestState.TRUSTED)
        return Origin(
            status="trusted" if trusted else "claimed",
            signer=original.signer.display if original else "",
            list=original.trust_list if original else "",
            time=original.time if original else Origin().time,
            development=bool(original and original.signer.organization == DEVELOPMENT),
        )
    if manifest.label:
        return Origin(status="claimed", signer=manifest.signer.display, time=manifest.time)
    return Origin()


def _score(evidence: Sequence[Evidence], policy: Policy, calibration: BlockCalibration) -> Score | None:
    decided = settled(evidence)
    weight = weigh(evidence, policy.llr_cap, calibration, decided=decided)
    if weight is None:
        return None
    total, most = weight.log10_lr, weight.bound
    ratio = 10.0**total
    strength = next((word for bound, word in _BANDS if abs(total) < bound), "very strong")
    direction = "that a camera took it" if total > 0 else "that it is generated"
    band = f"{strength} support {direction}" if abs(total) >= LEANS else "no support either way"
    calibrations = [dict(b.calibration) for b in weight.blocks if b.calibration]
    alarms = [c["false_alarms_per_1000"] for c in calibrations if "false_alarms_per_1000" in c]
    return Score(
        value=round(ratio / (1 + ratio), 6),
        log10_lr=round(total, 3),
        interval=(-most, round(total, 3)) if total < 0 else (round(total, 3), most),
        band=band,
        false_alarms_per_1000=max(alarms) if alarms else None,
        calibration=calibrations[0] if calibrations else {},
        blocks=weight.blocks,
    )


def _headline(
    verdict: Verdict,
    facts: frozenset[Fact],
    conflicts: Sequence[Conflict],
    manifest: Manifest,
    recovered: Recovered | None,
    origin: Origin,
    evidence: Sequence[Evidence],
    policy: Policy,
    noun: str,
) -> str:
    match verdict:
        case Verdict.CONFLICT:
            first, second = (
                conflicts[0].says if conflicts else ("The file was changed after it was signed.", "")
            )
            return f"{first} {second}".strip()
        case Verdict.MARKED_AI:
            return _ai_sentence(facts, manifest, recovered, origin, evidence, noun)
        case Verdict.SOURCE_CONFIRMED:
            return (
                f"Unchanged since {_who(origin)} signed it{_when(origin)}. "
                "This says who vouches for the file, not that it shows the truth."
            )
        case Verdict.SOURCE_RECOVERED:
            return _recovered_sentence(recovered, origin, policy, noun)
        case _:
            return _open_sentence(facts, manifest, recovered, evidence, noun)


def _who(origin: Origin) -> str:
    name = safe_text(origin.signer, 120)
    if origin.status != "trusted":
        return f"a signer that calls itself “{name}”"
    return f"{name}{' (a development signer)' if origin.development else ''}"


def _when(origin: Origin) -> str:
    if origin.time.trust is TimeTrust.TRUSTED and origin.time.value:
        return f" on {safe_text(origin.time.value[:10], 40)} (proven by a time-stamp)"
    return " (when is not proven)"


def _ai_sentence(
    facts: frozenset[Fact],
    manifest: Manifest,
    recovered: Recovered | None,
    origin: Origin,
    evidence: Sequence[Evidence],
    noun: str,
) -> str:
    if Fact.DECLARED_AI in facts:
        own = {manifest.source_type, *(a.source_type for a in manifest.actions)}
        if recovered and recovered.matches:
            own.add(recovered.entry.source_type)
        part = "it" if own & AI_SOURCE_TYPES == {"trainedAlgorithmicMedia"} else "all or part of it"
        who = _who(origin) if origin.signer else "the signer in the ledger"
        if manifest.state is ManifestState.TRUSTED and not own & AI_SOURCE_TYPES:
            return (
                f"Credentials that {who} signed name a file that this one was made from, whose own credentials say "
                "that an AI model made all or part of it; the file is unchanged since."
            )
        if manifest.state is ManifestState.TRUSTED:
            return f"{who} declares that an AI model made {part}; the file is unchanged since."
        return (
            f"The ledger holds the original of this {noun}, and its signer ({who}) declares "
            f"that an AI model made {part}."
        )
    marked = next((e for e in _heard(evidence) if Fact.MARKED_AI in e.facts), None)
    return marked.summary if marked else "A generator's watermark was read."


def _recovered_sentence(recovered: Recovered | None, origin: Origin, policy: Policy, noun: str) -> str:
    if recovered is None:
        return "The ledger holds the original of this file."
    where = f"entry {recovered.receipt.index} of the ledger {safe_text(recovered.receipt.origin, 80)}"
    signer = f", signed by {_who(origin)}" if origin.signer else ""
    comparison = recovered.comparison
    if recovered.by == "digest" or comparison is None:
        return (
            f"These exact bytes are {where}{signer}. "
            "That says when and by whom they were logged, not that they show the truth."
        )
    laid = "" if comparison.alignment == "as is" else f" ({comparison.alignment})"
    original = f"The original of this {noun} is {where}{signer}{laid}"
    if not comparison.differs(policy.changed_area):
        what = "region of this copy"
        if comparison.span:
            what = "second of its pictures" if noun == NOUNS[Kind.VIDEO] else "second of this copy"
        return f"{original}; no {what} was found to differ."
    if comparison.changes:
        return f"{original}, and this copy differs from it in the seconds {spans_words(comparison.changes)}."
    return (
        f"{original}, and this copy differs from it in "
        f"{_regions(len(comparison.regions))}, {round(comparison.changed * 100)} % of the picture."
    )


def _regions(count: int) -> str:
    return "one marked region" if count <= 1 else f"{count} marked regions"


def _open_sentence(
    facts: frozenset[Fact],
    manifest: Manifest,
    recovered: Recovered | None,
    evidence: Sequence[Evidence],
    noun: str,
) -> str:
    name = safe_text(manifest.signer.display, 120)
    if manifest.state is ManifestState.UNTRUSTED:
        reason = manifest.reasons[0] if manifest.reasons else "The signer is not on a list that you chose."
        return f"Unchanged since it was signed, by a signer that calls itself “{name}” and is not established. {reason}"
    if manifest.state is ManifestState.MALFORMED:
        return (
            "The file carries credentials that break the rules of their format; "
            "nothing proves a change, and nothing confirms a source."
        )
    if recovered and not recovered.matches:
        return f"A watermark leads to a ledger entry, but the {noun}s could not be matched. That is no proof of either."
    if Fact.CLAIMED_AI in facts:
        return (
            "Unsigned metadata says that an AI model made it; "
            "anyone can write such metadata, so this is a claim and not proof."
        )
    if manifest.remote_url:
        return "The file says that its credentials are kept elsewhere; they were not fetched, so nothing is confirmed."
    unheard = [check_name(e.check) for e in evidence if e.status is Status.ERROR]
    if unheard:
        return (
            f"Not everything could be examined ({safe_text(', '.join(unheard), 120)}), "
            "and nothing was found in the rest. "
            "This says nothing for or against it."
        )
    return (
        "No credentials, watermark or ledger entry was found. "
        "Most honest files have none: this says nothing for or against it."
    )
