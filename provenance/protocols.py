"""What the rooms owe each other: the protocols through which they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.evidence import Evidence
from assay.provenance.files.worker import Job
from assay.provenance.leaf import Leaf
from assay.provenance.manifest import SoftBinding
from assay.provenance.mark import Frame, Mark, Reading
from assay.provenance.media import Kind, Media, Picture, Samples
from assay.provenance.opinion import Explanation, Opinion
from assay.provenance.receipt import Receipt

if TYPE_CHECKING:
    from assay.provenance.subject import Subject


@runtime_checkable
class Watermark(Protocol):
    """Hides a Mark in media and reads it back; knows its own payload, says nothing of it.

    ``scheme`` is the algorithm id that manifests and ledger entries name; ``id_bits`` the identifier's length;
    ``kinds`` the media that it marks, and it is asked for no others. An ``assay.watermarks`` entry point names what
    makes one when it is called without arguments; where keys are given and what it makes is a ``KeyedWatermark``,
    that is asked for itself under them.
    """

    scheme: str
    id_bits: int
    kinds: frozenset[Kind]

    def embed(self, media: Media, id: str) -> Media:
        """Return media of the same shape with the identifier (``id_bits`` as hex) hidden in it.

        Of video and audio it marks lazily, in the passes over what it returns (``Media.changed``): as many chunks, at
        the same times, of the same lengths, in bounded memory. Raises ``LimitError`` with the reason ``too small``
        where the scheme cannot carry it, at the latest in a pass.
        """
        ...

    def read(self, media: Media) -> Reading:
        """Look for an identifier; never raises on any samples, never answers on noise.

        Of video and audio it makes one pass in bounded memory, and ``details["intervals"]`` are the stretches that
        carry the mark, ascending, as [start, stop] in seconds of the media's own times; ``details["heard"]`` are the
        stretches that were looked at, in the same form.
        """
        ...


@runtime_checkable
class KeyedWatermark(Watermark, Protocol):
    """A Watermark that hides by a secret; without one it hides by a key that everybody knows."""

    def with_keys(self, keys: Sequence[bytes]) -> Watermark:
        """Return the scheme under these secrets: the first one writes, all are tried on reading.

        An empty secret stands for the public key. There is at least one.
        """
        ...


@runtime_checkable
class LocatingWatermark(Watermark, Protocol):
    """A Watermark that can also say which parts of a picture carry its mark."""

    def locate(self, media: Media) -> Reading:
        """Return what ``read`` returns, with the ``extent`` of a mark that is found."""
        ...


@runtime_checkable
class KnownMarks(Protocol):
    """Reads the marks that known generators leave."""

    def read(self, media: Media) -> Sequence[Reading]:
        """Return one Reading a known mark, the strongest first."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A neural witness: says whether the pixels look generated or photographed, and how often that is wrong.

    An ``assay.detectors`` entry point names what opens one when it is called with the workspace's folder and a clock
    (seconds from any start). It raises UsageError where there is nothing to open, ConfigurationError where what is
    there cannot be used. What is named may have ``kinds``, the media that it is asked for; without, it is pictures.
    """

    @property
    def name(self) -> str:
        """What it judges, as in ``detector:image``."""
        ...

    @property
    def version(self) -> str:
        """Which one it is: of another version, the same picture may get another opinion."""
        ...

    def examine(self, picture: Picture) -> Opinion:
        """Return what it thinks of a picture, or why it is silent; never raises on any picture."""
        ...


@runtime_checkable
class ExplainingDetector(Detector, Protocol):
    """A Detector that can also say why, and show where."""

    def explain(self, picture: Picture) -> Explanation:
        """Return what ``examine`` returns, with the reasons."""
        ...

    def draw(self, picture: Picture, opinion: Opinion) -> bytes:
        """Return a PNG of the picture with its own opinion laid over it, crop by crop; empty where there is none."""
        ...


@runtime_checkable
class TimedDetector(Protocol):
    """A neural witness of films or sounds; an ``assay.detectors`` entry point names its class, which has ``kinds``."""

    kinds: frozenset[Kind]

    @property
    def name(self) -> str:
        """What it judges, as in ``detector:speech``."""
        ...

    @property
    def version(self) -> str:
        """Which one it is: of another version, the same media may get another opinion."""
        ...

    def examine_media(self, media: Media) -> Opinion:
        """Return what it thinks of a film or a sound, with its ``moments``, or why it is silent.

        It makes at most a few passes in bounded memory; raises what they raise, and nothing else on any samples.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A ledger entry that a look-up led to, with its receipt and what was kept for recovery (None if erased).

    ``distance`` is the fingerprint's Hamming distance in bits, 0 for exact look-ups.
    """

    receipt: Receipt
    recovery: Recovery | None
    distance: int = 0

    @property
    def entry(self) -> Entry:
        """The entry itself."""
        return self.receipt.entry


class Log(Protocol):
    """The ledger as sign and verify see it."""

    origin: str

    @property
    def vkey(self) -> str:
        """The verifier key of its checkpoints, in text."""
        ...

    def append(self, entry: Leaf, recovery: Recovery | None) -> Receipt:
        """Append one leaf durably and return its receipt; raises LedgerError and changes nothing on failure."""
        ...

    def find_digest(self, digest: Digest) -> Sequence[Found]:
        """Return the entries whose signed file has this digest, oldest first."""
        ...

    def find_manifest(self, label: str) -> Sequence[Found]:
        """Return the entries with this active manifest label (URN), oldest first."""
        ...

    def find_mark(self, mark: Mark) -> Sequence[Found]:
        """Return the entries with this mark, oldest first."""
        ...

    def find_binding(self, alg: str, value: str) -> Sequence[Found]:
        """Return the entries beside which this soft binding is kept, oldest first."""
        ...

    def find_words(self, words: Sequence[str]) -> Sequence[Found]:
        """Return the entries of films and sounds that share most of these words of their trails, the best first."""
        ...

    def find_events(self, digest: Digest) -> Sequence[Receipt]:
        """Return the receipts of the events that are about the file with this digest, oldest first."""
        ...

    def find_fingerprint(self, fingerprint: Fingerprint) -> Sequence[Found]:
        """Return the entries near this fingerprint, nearest first, at most a handful."""
        ...

    def verify_receipt(self, receipt: Receipt) -> str:
        """Check inclusion proof and checkpoint signature; return "" or, in words, what is wrong."""
        ...

    def parse_receipt(self, text: str) -> Receipt:
        """Read a receipt file without believing it; raises LedgerError."""
        ...

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of one entry; raises LedgerError if there is none."""
        ...

    def check(self) -> list[str]:
        """Re-derive everything and return in words what does not fit."""
        ...

    @property
    def size(self) -> int:
        """How many entries there are."""
        ...


class Fingerprinter(Protocol):
    """Makes the fingerprint and the sketch that lead back from altered media to their original."""

    def fingerprint(self, media: Media) -> Fingerprint | None:
        """Return a perceptual hash, or None where the picture has too little structure to tell apart."""
        ...

    def fingerprints(self, media: Media) -> Sequence[Fingerprint]:
        """Return the fingerprints to look received media up by: as they are, then turned and mirrored; or none."""
        ...

    def bindings(self, media: Media) -> Sequence[SoftBinding]:
        """Return the soft bindings of C2PA's list that the media themselves give; or none."""
        ...

    def coded(self, text: str) -> tuple[SoftBinding, Fingerprint]:
        """Return the soft binding that an ISCC in text names, and the value to look near it.

        Raises MalformedError where the text is none, or not of a picture.
        """
        ...

    def leads(self, fingerprint: Fingerprint, recovery: Recovery) -> bool:
        """Say whether a look-up near a fingerprint finds what is kept in a recovery record."""
        ...

    def sketch(self, media: Media) -> bytes:
        """Return what is kept for comparing: of a picture a small one (docs/formats/sketch.md), else the trail."""
        ...

    def trail(self, media: Media) -> bytes:
        """Return what a received film or sound is found and followed by, in one pass (docs/formats/trail.md)."""
        ...

    def words(self, trail: bytes) -> Sequence[str]:
        """Return the words of a trail, some of which the original's trail has too."""
        ...

    def follow(self, trail: bytes, sketch: bytes) -> Comparison:
        """Lay a received trail over what is kept of an original; raises MalformedError where either is none."""
        ...

    def picture(self, sketch: bytes) -> Samples | None:
        """Return a sketch as uint8 (height, width, 3) RGB to look at, None if it cannot be read."""
        ...

    def compare(self, media: Media, sketch: bytes, frame: Frame | None = None) -> Comparison:
        """Align media with a sketch and say how alike they are and where they differ.

        ``frame`` says how their pixels lie on the original, as a mark found in them tells; it is tried first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """How received media compare with what the ledger knows of an original.

    ``similarity`` 0..1 (normalised correlation after alignment); ``same`` whether both show the same picture;
    ``regions`` are changed rectangles as fractions (left, top, width, height) of the *received* picture;
    ``changed`` the fraction of the compared area that differs; ``alignment`` says in words how the received
    picture had to be laid over the original (``"as is"``, ``"cropped to 71 %"``), or, told by a mark,
    what was done to it (``"turned by 17° clockwise, cropped to 22%"``), or which seconds of the original they are. Of
    a film or a sound ``span`` are those seconds, (start, stop), and ``changes`` the seconds of the received in which
    it shows or says something else.
    """

    similarity: float
    same: bool
    changed: float
    regions: tuple[tuple[float, float, float, float], ...]
    alignment: str
    span: tuple[float, float] | None = None
    changes: tuple[tuple[float, float], ...] = ()

    def differs(self, least: float) -> bool:
        """Say whether more than ``least`` of a picture differs, or any stretch of a film or a sound."""
        return bool(self.changes) if self.span else self.changed > least


class Check(Protocol):
    """Everything that can testify, and nothing else; ``version`` names the engine behind it."""

    name: str
    version: str

    def job(self, subject: Subject) -> Job | None:
        """Return the parser that this check needs run in a worker, None if it needs none."""
        ...

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Examine one file in the light of what earlier checks saw; an AssayError means "could not look"."""
        ...
