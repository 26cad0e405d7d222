"""A panel calibrated on a desk's own archive: its false alarms are those of the desk's own sources.

With real photographs only, the desk's take the place of those that the shipped panel was calibrated on; what it
said of generated pictures, of sources that its detectors had not learned from, stays (``Fusion.synthetic``), and so do
its weights. With generated pictures too, everything is the desk's. False alarms are counted for each source under lines
that were fitted without it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.detect.archive import Heard
from assay.detect.calibrate import CONDITIONS, FEWEST_SOURCES, Line
from assay.detect.fuse import Fusion, counted, fuse, lined, ratios_of
from assay.detect.panel import BANDS
from assay.provenance.errors import UsageError

Shares = Mapping[float, float]
"""How many of 1,000 reach a log10 ratio for synthetic."""
_SORT = "sort the archive by photographer, camera or agency, a folder each"


@dataclass(frozen=True, slots=True)
class Row:
    """One real source: its files and their copies, and how they fare by the old panel and by the new.

    Of ``copies`` so many are ``weighed``; of 1,000 that all detectors speak of, so many reach each band: false alarms.
    """

    source: str
    files: int
    copies: int
    weighed_before: int
    weighed_after: int
    before: Shares
    after: Shares


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The desk's panel, a row for each of its real sources, and how many of these there are in each condition."""

    fusion: Fusion
    rows: tuple[Row, ...]
    real_sources: Mapping[str, int]

    @property
    def has_more_alarms(self) -> bool:
        """Whether the new lines raise more false alarms than the old, on the mean of sources, at some band."""
        return any(sum(r.after[b] for r in self.rows) > sum(r.before[b] for r in self.rows) for b, _ in BANDS)


@dataclass(frozen=True, slots=True)
class _Said:
    """Fused logits (n,) with their sources and conditions."""

    fused: NDArray[np.float64]
    sources: tuple[str, ...]
    conditions: tuple[str, ...]

    @classmethod
    def of(cls, heard: Sequence[Heard], fusion: Fusion) -> _Said:
        """Return what a fusion makes of what was heard; where it is silent, nothing is kept."""
        each = [(fusion.logit(h.logits), h.sample.source, h.condition) for h in heard]
        return cls._made([(logit, s, c) for logit, s, c in each if logit is not None])

    @classmethod
    def kept(cls, fusion: Fusion) -> _Said:
        """Return what a panel keeps of generated pictures."""
        scores = fusion.synthetic.items()
        return cls._made([(v, s, c) for c, by in scores for s, values in by.items() for v in values])

    @classmethod
    def _made(cls, rows: Sequence[tuple[float, str, str]]) -> _Said:
        logits, sources, conditions = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(logits, np.float64), tuple(sources), tuple(conditions))

    def without(self, source: str) -> _Said:
        """Return all but one source's."""
        mine = [s != source for s in self.sources]
        rows = zip(self.fused.tolist(), self.sources, self.conditions, strict=True)
        return self._made([row for row, m in zip(rows, mine, strict=True) if m])

    def sources_of(self) -> dict[str, int]:
        """Return how many sources there are in each condition."""
        return dict(Counter(c for _, c in set(zip(self.sources, self.conditions, strict=True))))

    def lines(self, generated: _Said, fewest: int = FEWEST_SOURCES) -> dict[str, Line]:
        """Return the lines that tell these, which are real, from generated ones."""
        return lined(
            np.concatenate([self.fused, generated.fused]),
            np.arange(len(self.fused) + len(generated.fused)) >= len(self.fused),
            self.sources + generated.sources,
            self.conditions + generated.conditions,
            fewest,
        )

    def left_out(
        self, generated: _Said, lines: Mapping[str, Line], inherited: Sequence[str]
    ) -> NDArray[np.float64]:
        """Return each log10 ratio by ``lines`` fitted without its own source; inherited ones never knew it."""
        ratios = np.zeros(len(self.fused))
        for source in set(self.sources):
            fitted = self.without(source).lines(generated, FEWEST_SOURCES - 1)
            # The bound is the whole line's: with one source less it would hide what reaches the highest bands.
            own = {c: replace(fitted.get(c, line), bound=line.bound) for c, line in lines.items()}
            own |= {c: lines[c] for c in inherited}
            mine = np.array([s == source for s in self.sources])
            ratios[mine] = ratios_of(own, self.fused, self.conditions)[mine]
        return ratios


def calibrated(heard: Sequence[Heard], base: Fusion, id: str, digests: Mapping[str, str]) -> Calibrated:
    """Return a panel calibrated on what was heard of a desk's pictures. ``base`` is the shipped panel.

    With real photographs only, the detectors of ``base`` are weighed as they are there; with generated ones too, all
    detectors of ``digests`` are fused anew. Conditions with too few sources keep the lines of ``base``, named as
    ``inherited``, where the detectors are weighed as there. Raises UsageError where no condition has enough sources.
    """
    real = [h for h in heard if not h.sample.synthetic]
    fake = [h for h in heard if h.sample.synthetic]
    _refuse_few(real, "photographs", _SORT)
    if fake:
        _refuse_few(
            fake, "generated pictures", "without --fake, what the shipped panel was made with stands in"
        )
        start = _anew(heard, id, digests)
        said, generated = _Said.of(real, start), _Said.of(fake, start)
    elif base.synthetic:
        start = base
        said, generated = _Said.of(real, base), _Said.kept(base)
    else:
        raise UsageError(
            f"the panel {base.id} does not say what its detectors made of generated pictures",
            hint="give generated pictures of your own with --fake",
        )
    lines = said.lines(generated)
    if not lines:
        raise UsageError(
            f"no condition has {FEWEST_SOURCES} sources of either kind that the detectors tell apart; sources of "
            f"photographs: {_told(said)}, of generated pictures: {_told(generated)}",
            hint=_SORT,
        )
    same = dict(start.weights) == dict(base.weights) and start.intercept == base.intercept
    inherited = tuple(c for c in CONDITIONS if same and c in base.lines and c not in lines)
    lines |= {c: base.lines[c] for c in inherited}
    after = said.left_out(generated, lines, inherited)
    fusion = Fusion(
        id,
        start.weights,
        start.intercept,
        lines,
        counted(after, said.sources),
        inherited=inherited,
        digests={name: digests[name] for name in start.weights},
    )
    return Calibrated(fusion, tuple(_rows(real, base, fusion, said, after)), said.sources_of())


def _refuse_few(heard: Sequence[Heard], what: str, hint: str) -> None:
    sources = {h.sample.source for h in heard}
    if len(sources) < FEWEST_SOURCES:
        raise UsageError(
            f"{what} of {len(sources)} sources are too few to calibrate on: {FEWEST_SOURCES} are needed",
            hint=hint,
        )


def _told(said: _Said) -> str:
    counts = said.sources_of()
    return (
        ", ".join(f"{c} {counts[c]}" for c in CONDITIONS if c in counts) or "none that all detectors speak of"
    )


def _anew(heard: Sequence[Heard], id: str, digests: Mapping[str, str]) -> Fusion:
    """Return a fusion of all detectors, from the copies that all of them speak of."""
    whole = [h for h in heard if digests.keys() <= h.logits.keys()]
    for synthetic, what in ((False, "photographs"), (True, "generated pictures")):
        _refuse_few(
            [h for h in whole if h.sample.synthetic is synthetic],
            f"{what} that all detectors speak of",
            _SORT,
        )
    return fuse(
        id,
        {name: np.array([h.logits[name] for h in whole]) for name in digests},
        np.array([h.sample.synthetic for h in whole]),
        [h.sample.source for h in whole],
        [h.condition for h in whole],
    )


def _rows(
    real: Sequence[Heard], base: Fusion, fusion: Fusion, said: _Said, after: NDArray[np.float64]
) -> list[Row]:
    old = _Said.of(real, base)
    before = _shares(old, ratios_of(base.lines, old.fused, old.conditions))
    now = _shares(said, after)
    old_weighed, new_weighed = _weighed(old, base), _weighed(said, fusion)
    files: dict[str, set[str]] = defaultdict(set)
    for h in real:
        files[h.sample.source].add(str(h.sample.path))
    copies = Counter(h.sample.source for h in real)
    nothing = dict.fromkeys((band for band, _ in BANDS), 0.0)
    return [
        Row(
            source,
            len(files[source]),
            copies[source],
            old_weighed[source],
            new_weighed[source],
            before.get(source, nothing),
            now.get(source, nothing),
        )
        for source in sorted(files)
    ]


def _weighed(said: _Said, fusion: Fusion) -> Counter[str]:
    return Counter(s for s, c in zip(said.sources, said.conditions, strict=True) if c in fusion.lines)


def _shares(said: _Said, ratios: NDArray[np.float64]) -> dict[str, Shares]:
    by_source: dict[str, list[float]] = defaultdict(list)
    for source, ratio in zip(said.sources, ratios.tolist(), strict=True):
        by_source[source].append(ratio)
    return {
        source: {band: 1000 * float(np.mean(np.array(values) >= band)) for band, _ in BANDS}
        for source, values in by_source.items()
    }
