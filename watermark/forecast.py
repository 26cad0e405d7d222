"""What will be left of a marked picture where people publish it: the usual passages, tried and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assay.provenance.entry import Recovery
from assay.provenance.errors import ConfigurationError
from assay.provenance.mark import Mark
from assay.provenance.media import Media
from assay.provenance.protocols import Fingerprinter, Watermark
from assay.watermark.trial.attacks import ATTACKS, Attack, generator
from assay.watermark.trial.changes import at_most, at_most_wide, in_turn, jpeg

PIXELS = 4_000_000
"""Pixels to which a larger picture is reduced first: platforms publish no more, and small pictures fare worse."""
SECONDS = 8.0
"""Seconds of the clock after which no further passage is begun."""

PASSAGES: tuple[Attack, ...] = (
    *(ATTACKS[name] for name in ("jpeg75", "jpeg50", "webp50", "resize0.5", "social")),
    Attack("messenger", "screens", "720 wide, JPEG 60", in_turn(at_most_wide(720), jpeg(60))),
    *(ATTACKS[name] for name in ("screen_ui", "crop50", "hflip")),
)
"""What platforms, messengers and readers usually do to a picture."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can still be read after one passage; each None where that layer was not there or not tried.

    ``mark``: the watermark, with the right identifier. ``fingerprint``: the picture's look leads to its entry.
    ``matches``: it is found to be the picture of its entry. Credentials in the file do not outlast any passage,
    for platforms strip them and every other coding breaks their hash.
    """

    passage: str
    told: str
    mark: bool | None
    fingerprint: bool | None
    matches: bool | None

    @property
    def tried(self) -> bool:
        """Whether there was time for this passage."""
        return self.mark is not None or self.fingerprint is not None

    @property
    def recovered(self) -> bool | None:
        """Whether a verifier with the ledger at hand is led to the entry and can tell that it is this picture."""
        if self.matches is None:
            return None
        return self.matches and bool(self.mark or self.fingerprint)

    def to_json(self) -> dict[str, object]:
        """Return the form that ``--json`` prints."""
        return {
            "passage": self.passage,
            "told": self.told,
            "tried": self.tried,
            "credentials": False,
            "mark": self.mark,
            "fingerprint": self.fingerprint,
            "recovered": self.recovered,
        }


def forecast(
    media: Media,
    mark: Mark | None,
    scheme: Watermark | None,
    likeness: Fingerprinter | None,
    *,
    clock: Callable[[], float],
    seconds: float = SECONDS,
) -> tuple[Outlook, ...]:
    """Put a marked picture through every one of PASSAGES and say what can be read afterwards.

    ``mark`` is what ``scheme`` hid in it, or None; ``likeness`` is the ledger's fingerprinter, or None where there is
    no entry. ``clock`` counts seconds, of work or of waiting; passages that there was no time to begin, or no codec
    for, are in the answer, untried. The random numbers of a passage come from the mark, so that the same picture has
    the same forecast.
    """
    picture = media.frame()
    kept = _kept(media, likeness) if likeness else None
    small = at_most(picture, PIXELS)
    seed = mark.id.encode() if mark else b""
    start = clock()

    def look(passage: Attack) -> Outlook:
        untried = Outlook(passage.name, passage.told, None, None, None)
        if clock() - start > seconds:
            return untried
        try:
            changed = Media.still(passage.change(small, generator(seed, passage.name)))
        except ConfigurationError:  # a codec that this machine lacks
            return untried
        found = leads = matches = frame = None
        if mark and scheme:
            reading = scheme.read(changed)
            found = reading.mark == mark
            frame = reading.frame if found else None
        if likeness and kept:
            leads = any(likeness.leads(each, kept) for each in likeness.fingerprints(changed))
            matches = likeness.compare(changed, kept.sketch, frame).same
        return Outlook(passage.name, passage.told, found, leads, matches)

    return tuple(look(passage) for passage in PASSAGES)


def _kept(media: Media, likeness: Fingerprinter) -> Recovery:
    """Return what the ledger keeps of a picture to find it by, without salt and credentials."""
    bindings = tuple((binding.alg, binding.value) for binding in likeness.bindings(media))
    return Recovery(b"", likeness.fingerprint(media), likeness.sketch(media), b"", bindings)
