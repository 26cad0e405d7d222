"""False alarms: read pictures that carry no mark, or somebody else's, and count what is claimed to be there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from assay.provenance.errors import AssayError, LimitError
from assay.provenance.media import Samples
from assay.watermark.trial.attacks import generator
from assay.watermark.trial.changes import Rng, jpeg, resized
from assay.watermark.trial.methods import Answer, Method, under_foreign_key
from assay.watermark.trial.photographs import load, seed_of
from assay.watermark.trial.robustness import opened, random_payload, within

LEVELS = tuple(10.0**-n for n in range(1, 10))
"""P-values at which the calibration is tabled: of n readings n times the level may lie below it."""
MATCH = 1e-6
"""Chance of as many equal bits, were they fair coins, at which a peer without a rule counts as alarmed."""
SHORT, LONG = 208, 768
"""Shortest and longest side of a random crop in pixels."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """What one method answered on pictures without its mark.

    ``reads`` and ``found`` count by kind: ``whole`` photographs, ``foreign`` (marked by another method, or by
    the same under another key), ``crop`` (random crops of either). ``with_p`` counts readings that gave a
    p-value, ``below`` how many of them lay under each of LEVELS. ``agree`` counts, for a method without a
    rule, answers that match a fixed payload better than MATCH allows.
    """

    method: str
    reads: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    with_p: int = 0
    below: Counter[float] = field(default_factory=Counter)
    has_rule: bool = True
    agree: int = 0

    def __add__(self, other: Alarms) -> Alarms:
        """Return the counts of both."""
        return Alarms(
            self.method,
            self.reads + other.reads,
            self.found + other.found,
            self.with_p + other.with_p,
            self.below + other.below,
            self.has_rule and other.has_rule,
            self.agree + other.agree,
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """One photograph without a mark, read by every method.

    Methods with a rule of detection also read it with others' marks, and in so many random ``crops`` of all
    these; the others find bits in everything.
    """

    path: Path
    methods: tuple[str, ...]
    crops: int
    seed: int = 0

    def __call__(self) -> list[Alarms] | AssayError:
        """Count; an AssayError says why the photograph could not be read."""
        try:
            picture = load(self.path)
        except AssayError as error:
            return error
        seed = seed_of(picture, self.seed)
        marked = dict(_marked_by_others(self.methods, picture, seed))
        return [
            _alarms(opened(name), picture, [p for by, p in marked.items() if by != name], self.crops, seed)
            for name in self.methods
        ]


def total(parts: Iterable[list[Alarms]]) -> list[Alarms]:
    """Return the sum of the photographs' counts, one a method."""
    sums: dict[str, Alarms] = {}
    for part in parts:
        for alarms in part:
            sums[alarms.method] = sums[alarms.method] + alarms if alarms.method in sums else alarms
    return list(sums.values())


def _marked_by_others(
    methods: tuple[str, ...], picture: Samples, seed: bytes
) -> Iterator[tuple[str, Samples]]:
    for name in methods:
        for who, method in ((name, opened(name)), (f"{name}, another key", under_foreign_key(name))):
            if method is not None:
                try:
                    yield who, method.embed(within(method, picture), random_payload(method, seed))
                except LimitError:
                    continue  # what it refuses to mark it cannot alarm anyone with


def _alarms(method: Method, picture: Samples, foreign: list[Samples], crops: int, seed: bytes) -> Alarms:
    counts = Alarms(method.name)
    fixed = generator(b"", "a payload that nobody wrote").integers(0, 2, method.bits)

    def read(kind: str, received: Samples) -> Answer:
        answer = method.extract(within(method, received))
        counts.reads[kind] += 1
        counts.found[kind] += bool(answer.found)
        return answer

    first = read("whole", picture)
    if first.found is None:
        agree = first.bits is not None and int((first.bits == fixed).sum()) >= _enough_bits(method.bits)
        return Alarms(method.name, counts.reads, counts.found, has_rule=False, agree=int(agree))
    answers = [first, *(read("foreign", other) for other in foreign)]
    rng = generator(seed, "crops")
    for number in range(crops):
        answers.append(read("crop", random_crop([picture, *foreign][number % (1 + len(foreign))], rng)))
    given = [a.p_value for a in answers if a.p_value is not None]
    below = Counter({level: sum(p < level for p in given) for level in LEVELS})
    return Alarms(method.name, counts.reads, counts.found, len(given), below)


def random_crop(picture: Samples, rng: Rng) -> Samples:
    """Return a random part, perhaps mirrored, perhaps at another size, perhaps through JPEG."""
    low, high = math.log(SHORT), math.log(LONG)
    tall, wide = (min(side, int(math.exp(rng.uniform(low, high)))) for side in picture.shape[:2])
    top, left = (
        int(rng.integers(0, size - part + 1))
        for size, part in zip(picture.shape[:2], (tall, wide), strict=True)
    )
    part = picture[top : top + tall, left : left + wide]
    part = np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.25 else part)
    if rng.random() < 0.25:
        part = resized(rng.uniform(0.5, 2.0))(part, rng)
    return jpeg(int(rng.integers(40, 98)))(part, rng) if rng.random() < 0.5 else part


def _enough_bits(bits: int) -> int:
    """Return the fewest equal bits among so many fair coins that are rarer than MATCH."""
    tail = 0
    for equal in range(bits, -1, -1):
        tail += math.comb(bits, equal)
        if tail / 2**bits >= MATCH:
            return equal + 1
    return bits + 1
