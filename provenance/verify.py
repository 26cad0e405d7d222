"""The verify line: independent witnesses one after the other, then one pure decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from assay.provenance.checks.detector import fitting
from assay.provenance.decide import decide
from assay.provenance.errors import AssayError
from assay.provenance.evidence import Evidence, Status
from assay.provenance.files.worker import sandbox
from assay.provenance.policy import Policy
from assay.provenance.protocols import Check
from assay.provenance.report import Report
from assay.provenance.subject import Subject


def verify(
    subject: Subject,
    checks: Sequence[Check],
    policy: Policy,
    *,
    now: dt.datetime,
    trust: Sequence[Mapping[str, object]] = (),
    engines: Mapping[str, str] | None = None,
) -> Report:
    """Examine one opened file.

    1. The subject was opened under limits; what the checks need parsed is parsed in a worker that may die.
    2. Each check the policy names, of detectors those of such media, speaks in order and sees what was seen before;
       one that fails could not look.
    3. ``decide`` weighs it all.
    """
    asked = fitting([check for check in checks if check.name in policy.checks], subject.asset.kind)
    subject.parse({check.name: job for check in asked if (job := check.job(subject))})
    seen: tuple[Evidence, ...] = ()
    for check in asked:
        seen += (_ask(check, subject, seen),)
    return decide(
        subject.asset, seen, policy, now=now, trust=trust, engines=engines, sandbox=sandbox(subject.limits)
    )


def _ask(check: Check, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
    try:
        return check(subject, seen)
    except AssayError as error:
        return Evidence(
            check.name,
            check.version,
            Status.ERROR,
            f"Could not look: {error.message}.",
            reasons=(error.message, *((error.hint,) if error.hint else ())),
        )
