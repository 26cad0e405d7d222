"""One trial from its plan to its result: robustness first, then false alarms, then the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from assay.provenance.errors import AssayError
from assay.watermark.trial.alarms import Alarms, Silence, total
from assay.watermark.trial.methods import open_method, present
from assay.watermark.trial.photographs import Answer, work
from assay.watermark.trial.robustness import Task, Trial
from assay.watermark.trial.speed import PIXELS, Speed, alone


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried.

    ``methods`` are schemes of ours and peers by name, ``negatives`` photographs without a mark, ``crops`` the
    random crops of these in all, ``timed_pixels`` the size at which seconds and memory are measured, 0 for
    not at all.
    """

    photographs: tuple[Path, ...]
    methods: tuple[str, ...]
    attacks: tuple[str, ...]
    negatives: tuple[Path, ...] = ()
    crops: int = 0
    seed: int = 0
    jobs: int = 1
    timed_pixels: int = PIXELS


@dataclass(frozen=True, slots=True)
class Contestant:
    """A method as the tables name it."""

    name: str
    bits: int
    note: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that was seen. ``absent`` says of methods that are not here why; ``unread`` of photographs."""

    plan: Plan
    methods: tuple[Contestant, ...]
    absent: dict[str, str]
    trials: tuple[Trial, ...]
    alarms: tuple[Alarms, ...]
    speeds: tuple[Speed, ...]
    unread: tuple[AssayError, ...]


class Steps:
    """The jobs of a plan. ``total`` counts them; ``run`` calls ``advance`` after each.

    Raises UsageError where a name means nothing.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names, self.absent = present(plan.methods)
        timed = len(self.names) if plan.timed_pixels else 0
        self.total = len(plan.photographs) * len(self.names) + len(plan.negatives) + timed

    def run(self, advance: Callable[[], None]) -> Result:
        """Do everything; raises LimitError where the system ends a process."""
        plan, names = self.plan, tuple(self.names)
        tasks = [Task(path, name, plan.attacks, plan.seed) for path in plan.photographs for name in names]
        trials, unread = _sorted_out(work(tasks, plan.jobs), advance)
        share, more = divmod(plan.crops, max(1, len(plan.negatives)))
        silences = [
            Silence(path, names, share + (number < more), plan.seed)
            for number, path in enumerate(plan.negatives)
        ]
        quiet, unheard = _sorted_out(work(silences, plan.jobs), advance)
        opened = [open_method(name) for name in names]
        return Result(
            plan,
            tuple(Contestant(method.name, method.bits, method.note) for method in opened),
            self.absent,
            tuple(trials),
            tuple(total(quiet)),
            tuple(self._speeds(advance, {str(error.path) for error in unread})),
            tuple({str(error): error for error in (*unread, *unheard)}.values()),
        )

    def _speeds(self, advance: Callable[[], None], unread: set[str]) -> list[Speed]:
        """Time each method on the largest photograph, one after the other."""
        readable = [path for path in self.plan.photographs if str(path) not in unread]
        if not self.plan.timed_pixels or not readable:
            return []
        # The largest file stands for the largest picture: opening all of them again would take minutes.
        path = max(readable, key=lambda p: p.stat().st_size)
        speeds = []
        for name in self.names:
            speeds.append(alone(name, path, self.plan.seed, self.plan.timed_pixels))
            advance()
        return speeds


def _sorted_out(
    answers: Iterable[Answer | AssayError], advance: Callable[[], None]
) -> tuple[list[Answer], list[AssayError]]:
    """Return what was seen and what could not be."""
    seen: list[Answer] = []
    errors: list[AssayError] = []
    for answer in answers:
        if isinstance(answer, AssayError):
            errors.append(answer)
        else:
            seen.append(answer)
        advance()
    return seen, errors
