"""What the project wants of its image detectors, beside what they reach: never the mean alone, the worst case too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from assay.detect.measure.conditions import Condition
from assay.detect.measure.figures import COVERAGE, Findings, Group

FEWEST = 15
"""Files below which a generator or a source is no worst case: chance alone would make one."""
EQUAL, RAW = "q90", "raw"
"""The conditions that the aims are stated for."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim of the first witness: ``told`` in words, ``sign`` the side of ``wanted`` on which it is met.

    ``reached`` is NaN where the files do not tell; ``remark`` says who the worst is.
    """

    told: str
    sign: str
    wanted: float
    reached: float
    remark: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.reached >= self.wanted if self.sign == "≥" else self.reached <= self.wanted


def aims(found: Findings) -> list[Aim]:
    """Return the aims for which there are answers, as the first witness reaches them."""
    return [aim for aim in _all(found) if not math.isnan(aim.reached)]


def _all(found: Findings) -> Iterator[Aim]:
    witness = next(iter(found.result.plan.witnesses))
    raw, equal = (found.headline.get((witness, name), {}) for name in (RAW, EQUAL))
    if equal:
        yield Aim("AUC, equalised (q90)", "≥", 0.82, equal["auc"].value)
        for group in _groups(found, "kind", EQUAL):
            if "photo" in group.name.lower() and group.fake:
                yield Aim(f"AUC on {group.name} fakes, equalised", "≥", 0.86, group.auc.value)
        yield _worst(_groups(found, "generator", EQUAL), "worst generator, equalised", 0.65)
    if raw and equal:
        yield Aim("raw against equalised, AUC", "≤", 0.05, abs(raw["auc"].value - equal["auc"].value))
    if raw:
        yield _worst(_groups(found, "generator", RAW), "worst generator, raw", 0.5)
    if equal:
        yield Aim("Cllr, equalised", "≤", 0.75, equal["cllr"].value)
        yield Aim("ECE, equalised", "≤", 0.05, equal["ece"].value)
        yield Aim(f"error among decided at {COVERAGE:.0%} coverage", "≤", 0.08, equal["error"].value)
        yield _alarms(_groups(found, "real source", EQUAL), found.columns[witness, EQUAL].weighs)
    for condition in found.result.plan.conditions:
        if condition.is_attack and condition.level == 2 and condition.name.startswith("pgd"):
            yield Aim(f"hits lost to {condition.told}", "≤", 0.3, lost(found, witness, condition))
    for speed in found.speeds[:1]:
        yield Aim(
            f"seconds for {speed.megapixels:.0f} MP", "≤", 0.5, math.nan if speed.refused else speed.wall
        )


def lost(found: Findings, witness: str, condition: Condition) -> float:
    """Return the share of a witness's hits that an attack costs it; NaN without hits or without the control."""
    rows = found.result.plan.conditions
    control = next((c.name for c in rows if c.is_attack and c.group == condition.group and not c.level), None)
    if control is None or not condition.level:
        return math.nan
    before, after = (found.hits[witness, name].value for name in (control, condition.name))
    return 1 - after / before if before else math.nan


def _groups(found: Findings, division: str, condition: str) -> list[Group]:
    witness = next(iter(found.result.plan.witnesses))
    return list(found.groups.get(division, {}).get((witness, condition), ()))


def _worst(groups: list[Group], told: str, wanted: float) -> Aim:
    known = [g for g in groups if g.fake >= FEWEST and not math.isnan(g.auc.value)]
    if not known:
        return Aim(told, "≥", wanted, math.nan)
    worst = min(known, key=lambda g: g.auc.value)
    return Aim(f"AUC of the {told}", "≥", wanted, worst.auc.value, f"{worst.name}, {worst.fake} files")


def _alarms(groups: list[Group], weighs: bool) -> Aim:
    told = "false alarms of the worst real source, equalised"
    known = [g for g in groups if g.real >= FEWEST]
    if not known or not weighs:
        return Aim(told, "≤", 0.05, math.nan)
    worst = max(known, key=lambda g: g.alarms.value.value)
    return Aim(told, "≤", 0.05, worst.alarms.value.value, f"{worst.name}, {worst.real} files")
