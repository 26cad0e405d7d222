"""Whether a passage is speech that the detector was made for: where it is not, it is silent and says why.

The limits lie at about the hundredth of 2,350 passages of speech that was learned from; docs/measured.md says what they
do elsewhere. They are for silence, not for classification: some music passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.detect.speech.features import BANDS, Vector

TOO_SHORT, NO_SPEECH, NOISE, MUSIC, NARROW = "too-short", "no-speech", "noise", "music", "narrow-band"
WORDS = {
    TOO_SHORT: "too short: less than two seconds of sound",
    NO_SPEECH: "no speech: too little of it is louder than its silence",
    NOISE: "not speech but noise: hardly any of it has a pitch",
    MUSIC: "not speech alone: its loudness changes as in music",
    NARROW: "a telephone's band: nothing above 4 kHz to judge",
}
"""Reasons in words, by their codes."""
LEAST_VOICED = 0.2
"""Share of active frames with a pitch below which a passage counts as noise."""
STEADY = -21.0
"""Decibels of the quietest twentieth of the frames below the loudest, above which there are no pauses, as in music."""
SLOW = 2.7
"""Spread of the change of loudness from frame to frame below which it counts as music."""
LEAST_SYLLABLES = 3.0
"""How much stronger, in nepers, swings of 4 to 12 a second are than those of 16 and more; less counts as music."""
EMPTY = 9.0
"""Nepers by which 4.3 to 6 kHz may lie below 0.8 to 3 kHz; more counts as a telephone's band."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is looked at of a passage: voiced share, floor in dB, swiftness, syllables, emptiness above 4 kHz."""

    voiced: float
    floor: float
    swiftness: float
    syllables: float
    emptiness: float

    @property
    def reason(self) -> str:
        """Why the passage is not judged, as a code; empty where it is."""
        if self.voiced < LEAST_VOICED:
            return NOISE
        if self.emptiness > EMPTY:
            return NARROW
        odd = (self.floor > STEADY) + (self.swiftness < SLOW) + (self.syllables < LEAST_SYLLABLES)
        return MUSIC if odd else ""


def looked(numbers: list[tuple[str, Vector]]) -> Kept:
    """Return what the gate looks at in the numbers of a passage."""
    by = dict(numbers)
    paces = by["modulation"].reshape(8, -1)
    spectrum = by["spectrum"][:BANDS]
    return Kept(
        voiced=float(by["pitch"][0]),
        floor=float(by["pauses"][32]),
        swiftness=float(by["cepstra"][29]),
        syllables=float(paces[:, 3:6].mean() - paces[:, 7:].mean()),
        emptiness=float(np.mean(spectrum[5:20]) - np.mean(spectrum[28:38])),
    )
