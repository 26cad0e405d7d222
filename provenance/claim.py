"""What the signer says about a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.provenance.errors import UsageError

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"

# https://cv.iptc.org/newscodes/digitalsourcetype/ (concepts in force and retired ones still met in files)
SOURCE_TYPES = frozenset(
    {
        "digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print", "humanEdits",
        "algorithmicallyEnhanced", "compositeCapture", "composite", "compositeSynthetic", "dataDrivenMedia",
        "digitalCreation", "digitalArt", "virtualRecording", "screenCapture", "minorHumanEdits", "softwareImage",
        "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia",
        "multiFrameComputationalCapture",
    }
)  # fmt: skip
AI_SOURCE_TYPES = frozenset(
    {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "compositeSynthetic",
        "trainedAlgorithmicData",
    }
)
CAPTURE_SOURCE_TYPES = frozenset(
    {
        "digitalCapture",
        "computationalCapture",
        "multiFrameComputationalCapture",
        "negativeFilm",
        "positiveFilm",
        "print",
    }
)
TRAINING_MINING = ("allowed", "notAllowed", "constrained")


def short_source_type(uri: str) -> str:
    """Return the short name at the end of a digital source type URI; the whole string where it is none."""
    return uri.rstrip("/").rpartition("/")[2] if "://" in uri else uri


@dataclass(frozen=True, slots=True)
class Claim:
    """What the signer says: source type (IPTC short name), generator, title, history, uses.

    ``parent`` is the file that this one was made from, ``ingredients`` others that went into it; ``edit``
    describes in words what was done to the parent. ``training_mining`` is one of TRAINING_MINING or empty.
    ``disclose`` writes the IPTC and AIGC labels into AI files before signing. Raises UsageError where the
    parts contradict each other.
    """

    source_type: str = ""
    generator: str = ""
    generator_version: str = ""
    title: str = ""
    edit: str = ""
    parent: Path | None = None
    ingredients: tuple[Path, ...] = ()
    training_mining: str = ""
    disclose: bool = True

    def __post_init__(self) -> None:
        for text in (self.generator, self.generator_version, self.title, self.edit):
            if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                raise UsageError("what is signed must be Unicode text", hint="check this terminal's encoding")
        if self.source_type and self.source_type not in SOURCE_TYPES:
            raise UsageError(
                f"unknown digital source type {self.source_type!r}",
                hint="use an IPTC short name such as digitalCapture or trainedAlgorithmicMedia",
            )
        if self.training_mining and self.training_mining not in TRAINING_MINING:
            raise UsageError(
                f"unknown training-mining value {self.training_mining!r}",
                hint=f"one of {', '.join(TRAINING_MINING)}",
            )

    @property
    def is_ai(self) -> bool:
        """Whether the source type says that a trained model made all or part of it."""
        return self.source_type in AI_SOURCE_TYPES

    @property
    def agent(self) -> str:
        """Generator name and version as one string."""
        return f"{self.generator}/{self.generator_version}" if self.generator_version else self.generator
