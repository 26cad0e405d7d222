"""An evaluation from its plan to its result: every file under every condition before every witness."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

from assay.detect.measure.collection import Sample
from assay.detect.measure.conditions import Condition, seed_of
from assay.provenance.errors import AssayError, InputError, LimitError
from assay.provenance.media import Picture
from assay.provenance.opinion import Answered, Opinion
from assay.provenance.subject import Subject

MOST_JOBS = 64
"""Processes at a time."""


Witness = Callable[[Picture], Opinion]
Opener = Callable[[], Witness]
"""Opens a witness in the process that asks it, so that what it holds need not travel: picklable."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of one witness's opinion of one file under one condition, and its time in milliseconds.

    ``score`` and ``llr`` are the opinion's, both None where it is silent. Where it has a logit and no score, for
    want of a calibration, the score is the logit's share, which ranks and weighs nothing.
    """

    status: Answered
    reason: str
    score: float | None
    llr: float | None
    ms: float
    leaning: str = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated: witnesses by name, the first one ours; ``seed`` moves every random number."""

    witnesses: Mapping[str, Opener]
    samples: tuple[Sample, ...]
    conditions: tuple[Condition, ...]
    seed: int = 0
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """All that was said. ``answers`` holds, for (witness, condition), one answer for each of ``samples``.

    ``samples`` are those that could be read; ``unread`` says of the others why not.
    """

    plan: Plan
    samples: tuple[Sample, ...]
    answers: Mapping[tuple[str, str], tuple[Answer, ...]]
    unread: tuple[InputError, ...] = field(default=())


def evaluate(plan: Plan, advance: Callable[[], None] = lambda: None) -> Result:
    """Do everything; call ``advance`` after each file. Equal plans give equal answers, but for the times.

    Files are decoded by provenance's own decoder under its limits. An AssayError of a witness is its answer
    ``error``; one of a file puts it among the unread. Raises ConfigurationError for a codec that Pillow lacks, what
    opening a witness raises, and LimitError where the system ends a process, which is how memory runs out.
    """
    keys = [(name, condition.name) for name in plan.witnesses for condition in plan.conditions]
    kept: list[Sample] = []
    unread: list[InputError] = []
    columns: dict[tuple[str, str], list[Answer]] = {key: [] for key in keys}
    for sample, row in zip(plan.samples, _rows(plan), strict=True):
        advance()
        if isinstance(row, InputError):
            unread.append(row)
            continue
        kept.append(sample)
        for key in keys:
            columns[key].append(row[key])
    return Result(plan, tuple(kept), {key: tuple(column) for key, column in columns.items()}, tuple(unread))


# ---------------------------------------------------------------------------------------------- the work

_Row = dict[tuple[str, str], Answer] | InputError


@dataclass(frozen=True, slots=True)
class _Desk:
    """The witnesses, opened, and the conditions: what a process keeps from file to file."""

    witnesses: Mapping[str, Witness]
    conditions: Sequence[Condition]
    seed: int

    @classmethod
    def opened(cls, plan: Plan) -> _Desk:
        return cls({name: opener() for name, opener in plan.witnesses.items()}, plan.conditions, plan.seed)

    def row(self, sample: Sample) -> _Row:
        try:
            with Subject.open(sample.path) as subject:
                picture = subject.picture()
        except InputError as error:
            error.path = error.path or str(sample.path)
            return error
        seed = seed_of(picture, self.seed)
        found = {}
        for condition in self.conditions:
            shown = condition(picture, sample.synthetic, seed)
            for name, witness in self.witnesses.items():
                found[name, condition.name] = asked(witness, shown)
        return found


def asked(witness: Witness, picture: Picture) -> Answer:
    """Return what a witness says of a picture; an AssayError, and a number that is none, are its answer ERROR."""
    start = time.perf_counter()
    try:
        said = witness(picture)
    except AssayError as error:
        return Answer(Answered.ERROR, error.message, None, None, 1e3 * (time.perf_counter() - start))
    ms = 1e3 * (time.perf_counter() - start)
    if said.answered is not Answered.OK:
        return Answer(said.answered, said.reason, None, None, ms)
    score = _share(said.logit) if said.score is None else said.score
    if score is None or not math.isfinite(score) or not math.isfinite(said.llr or 0.0):
        return Answer(Answered.ERROR, "its score is no number", None, None, ms)
    return Answer(Answered.OK, "", score, said.llr, ms, said.leaning)


def _share(logit: float | None) -> float | None:
    """Return a logit as a share 0..1 that keeps the order of logits of any size, unlike a logistic one."""
    return None if logit is None else 0.5 + 0.5 * logit / (1 + abs(logit))


_DESKS: list[_Desk] = []  # a pool's process has no other place for what its jobs share


def _open_desk(plan: Plan) -> None:
    _DESKS.append(_Desk.opened(plan))


def _row_at_desk(sample: Sample) -> _Row:
    return _DESKS[-1].row(sample)


def _rows(plan: Plan) -> Iterator[_Row]:
    """Yield the row of each sample in order, from so many processes."""
    jobs = min(plan.jobs, MOST_JOBS, len(plan.samples))
    if jobs < 2:
        yield from map(_Desk.opened(plan).row, plan.samples)
        return
    # Spawned, not forked: the runtimes of networks have threads of their own. A process that cannot open a witness
    # would only be "broken": opening them here first says why.
    _Desk.opened(plan)
    without = Plan(plan.witnesses, (), plan.conditions, plan.seed, 1)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=partial(_open_desk, without))
    try:
        yield from pool.map(_row_at_desk, plan.samples, chunksize=1)
    except BrokenProcessPool as error:
        raise LimitError(
            "a process ended abruptly, probably for want of memory", hint="fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
