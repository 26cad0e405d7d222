"""The words of a report, one home for page and terminal: labels, axis sentences, what a verdict means.

docs/verdicts.md carries the same sentences (a test compares them). Strings that come from files pass
``safe_text`` here where they become part of a sentence; escaping for HTML is the page's job.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping

from assay.provenance.evidence import PARTIES, Evidence, Fact, Status
from assay.provenance.keys.certificates import DEVELOPMENT
from assay.provenance.leaning import leaning_words
from assay.provenance.listening import spans_words
from assay.provenance.manifest import Ingredient, Manifest, ManifestState, SigningTime, TimeTrust
from assay.provenance.mark import Extent, Reading
from assay.provenance.media import Kind
from assay.provenance.opinion import Explanation
from assay.provenance.recovered import Recovered
from assay.provenance.report import Integrity, Report, Verdict
from assay.provenance.text import safe_text

NAME_CHARS = 120
"""Longest signer, list or file name inside a sentence."""

HOLES = 3
"""Most regions without the mark that one sentence names."""

Region = tuple[float, float, float, float]

NOUNS: Mapping[Kind, str] = {Kind.IMAGE: "picture", Kind.VIDEO: "film", Kind.AUDIO: "recording"}
"""What a file is called in sentences, by its kind; others are files."""

LABELS: Mapping[Verdict, str] = {
    Verdict.CONFLICT: "Conflict",
    Verdict.MARKED_AI: "Marked as AI",
    Verdict.SOURCE_CONFIRMED: "Source confirmed",
    Verdict.SOURCE_RECOVERED: "Source recovered",
    Verdict.INCONCLUSIVE: "Inconclusive",
}

MEANS: Mapping[Verdict, str] = {
    Verdict.CONFLICT: (
        "Two things that were found cannot both be right. They stand side by side in this report, and at "
        "least one of them is wrong. Where one of them is a hash, it proves that something was changed after "
        "signing."
    ),
    Verdict.MARKED_AI: (
        "The signer of the file, or of its original in the ledger, declares that AI made all or part of it, "
        "or a watermark that a known generator leaves was read. Nothing that was found contradicts this."
    ),
    Verdict.SOURCE_CONFIRMED: (
        "The file is, byte for byte, what this signer signed. The signer is on a list that you chose, and "
        "nothing that was found contradicts this."
    ),
    Verdict.SOURCE_RECOVERED: (
        "The file does not prove its source itself, but it led to an entry of the ledger: by its bytes, by a "
        "watermark or by its look. The entry's receipt verifies, and what the ledger knows of the original "
        "matches this file. Where the two were found to differ is marked."
    ),
    Verdict.INCONCLUSIVE: (
        "What was looked for was not there, could not be examined, or proves nothing by itself. This report "
        "lists what was looked for, what was found and what could not be checked."
    ),
}

DOES_NOT_MEAN: Mapping[Verdict, str] = {
    Verdict.CONFLICT: (
        "It does not say who changed what, or why. An attack, a faulty program and a careless export can "
        "look the same from here. It does not say that what the file shows is false."
    ),
    Verdict.MARKED_AI: (
        "It does not say that the content is false or meant to deceive, or that every part of it was "
        "generated. And where no such mark is found, that does not mean that no AI was used."
    ),
    Verdict.SOURCE_CONFIRMED: (
        "It does not say that the file shows what happened, that the scene was not staged or that a "
        "caption is right. It says who vouches for the file, not whether they are right."
    ),
    Verdict.SOURCE_RECOVERED: (
        "It does not say that this copy is unchanged: the comparison is with the little that the ledger keeps, "
        "and a change too small for that goes unseen. It does not say that the original shows what happened."
    ),
    Verdict.INCONCLUSIVE: (
        "It is not a suspicion: most honest files carry no credentials at all. It is not a clean bill "
        "either. It says nothing for or against the file."
    ),
}

STATUSES: Mapping[Status, str] = {
    Status.PASS: "looked, found good",
    Status.FAIL: "looked, found a contradiction",
    Status.ABSENT: "nothing there",
    Status.ERROR: "could not look",
}

CHECKS: Mapping[str, str] = {
    "manifest": "Content credentials",
    "metadata": "Metadata",
    "mark": "Our watermark",
    "known-marks": "Generators’ watermarks",
    "receipt": "Ledger",
    "anchor": "Outside anchor",
    "agreement": "Agreement",
}

DETECTORS: Mapping[str, str] = {"image": "of pictures", "film": "of films", "speech": "of speech"}

STATES: Mapping[ManifestState, str] = {
    ManifestState.TRUSTED: "intact, signer on your list",
    ManifestState.UNTRUSTED: "intact, signer not established",
    ManifestState.INVALID: "proven changed, or signer revoked",
    ManifestState.MALFORMED: "breaks rules of the format",
    ManifestState.ABSENT: "no credentials of its own",
}

RELATIONSHIPS: Mapping[str, str] = {
    "parentOf": "made from",
    "componentOf": "contains",
    "inputTo": "used as input",
}

LEANINGS: Mapping[str, str] = {"ai": "towards AI", "captured": "towards a camera", "none": "neither way"}

# https://cv.iptc.org/newscodes/digitalsourcetype/, names in everyday words.
SOURCE_TYPES: Mapping[str, str] = {
    "algorithmicMedia": "made by an algorithm without AI training",
    "algorithmicallyEnhanced": "altered by an algorithm",
    "composite": "composed of several elements",
    "compositeCapture": "composed of several captured elements",
    "compositeSynthetic": "composed of elements, some of them AI-generated",
    "compositeWithTrainedAlgorithmicMedia": "edited with generative AI",
    "computationalCapture": "captured by a camera, computed from several frames",
    "dataDrivenMedia": "drawn from data",
    "digitalArt": "made by a person with digital tools",
    "digitalCapture": "captured by a digital camera",
    "digitalCreation": "made by a person with digital tools",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "with minor edits by a person",
    "multiFrameComputationalCapture": "captured by a camera, computed from several frames",
    "negativeFilm": "digitised from a film negative",
    "positiveFilm": "digitised from a film positive",
    "print": "digitised from a print",
    "screenCapture": "captured from a screen",
    "softwareImage": "made by software",
    "trainedAlgorithmicData": "data made by a trained AI model",
    "trainedAlgorithmicMedia": "generated by an AI model",
    "virtualRecording": "recorded from a virtual event",
}

# Alphabets whose letters pass for one another; scripts that share words with Latin (Han, kana) are not here.
_LOOKALIKES = frozenset(
    {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL"}
)


# Where a witness looked and nothing contradicts it, what it found may still be no more than a claim.
_CLAIMS = frozenset({Fact.UNTRUSTED, Fact.CLAIMED, Fact.CLAIMED_AI})


def status_words(evidence: Evidence) -> tuple[str, str]:
    """Return a short key (``pass``, ``claim``, ``fail``, ``absent``, ``error``) and the status in words."""
    detector = evidence.check.startswith("detector:")
    if detector and evidence.status is Status.ABSENT:
        return "absent", "no opinion"
    if evidence.status is not Status.PASS:
        return str(evidence.status), STATUSES[evidence.status]
    if isinstance(evidence.found, Explanation):
        return "claim", f"looked, leans {LEANINGS[evidence.found.opinion.leaning]}"
    if isinstance(evidence.found, Recovered) and not evidence.found.matches:
        return "claim", "looked, found no match"
    if isinstance(evidence.found, Reading) or Fact.MARKED_AI in evidence.facts:
        return "claim", "looked, found a mark"
    if evidence.facts & _CLAIMS:
        return "claim", "looked, found a claim"
    return "pass", STATUSES[Status.PASS]


def check_name(check: str) -> str:
    """Return in words the name of a check, or of another party to a conflict."""
    if check.startswith("detector:"):
        name = DETECTORS.get(check[9:], f"“{safe_text(check[9:], NAME_CHARS)}”")
        return f"Detector {name}"
    return CHECKS.get(check) or PARTIES.get(check) or safe_text(check, NAME_CHARS)


def source_type_words(source_type: str) -> str:
    """Return a digital source type in everyday words, with its short name."""
    name = safe_text(source_type, NAME_CHARS)
    return (
        f"{SOURCE_TYPES[source_type]} ({name})"
        if source_type in SOURCE_TYPES
        else f"of the source type {name}"
    )


def signer_words(name: str, *, trusted: bool, development: bool = False) -> str:
    """Name a signer: as itself only where a chosen list vouches for it, else as what it calls itself."""
    shown = safe_text(name, NAME_CHARS)
    label = " (development signer)" if development else ""
    return f"{shown}{label}" if trusted else f"a signer that calls itself “{shown}”{label}"


def ingredient_signer(item: Ingredient) -> str:
    """Name an ancestor's signer, or return an empty string where none is known."""
    if not item.signer:
        return ""
    trusted = item.state is ManifestState.TRUSTED
    return signer_words(item.signer, trusted=trusted, development=item.signer == DEVELOPMENT)


def manifest_signer(manifest: Manifest) -> str:
    """Name a manifest's signer; one without a certificate is no signer."""
    if manifest.state is ManifestState.ABSENT or not manifest.label:
        return ""
    signer = manifest.signer
    trusted = manifest.state is ManifestState.TRUSTED
    return signer_words(signer.display, trusted=trusted, development=signer.organization == DEVELOPMENT)


def lookalike_warning(name: str) -> str:
    """Return a warning where a name mixes alphabets with look-alike letters, else an empty string."""
    words = {unicodedata.name(c, "").partition(" ")[0] for c in name if c.isalpha()}
    found = sorted(words & _LOOKALIKES)
    if not found or found == ["LATIN"]:
        return ""
    scripts = " and ".join(w.capitalize() for w in found)
    if len(found) == 1:
        return f"This name is written in {scripts} letters, some of which look like Latin ones."
    return f"This name mixes {scripts} letters. Look-alike letters can imitate another name."


def moment(value: str) -> str:
    """Return an RFC 3339 time as ``18 November 2026, 14:02:09 UTC``; anything else as it stands."""
    try:
        time = dt.datetime.fromisoformat(value)
    except ValueError:
        return safe_text(value, 40)
    if len(value) == len("2026-11-18"):
        return f"{time.day} {_MONTHS[time.month - 1]} {time.year}"
    if time.tzinfo is None:
        return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M:%S} of an unknown time zone"
    zone = "UTC" if not time.utcoffset() else f"UTC{time:%z}"
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M:%S} {zone}"


# Not strftime, whose month names follow the machine's language.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def time_words(time: SigningTime) -> str:
    """Say when something was signed and who vouches for that time."""
    if not time.value:
        return "no signing time is stated"
    value = moment(time.value)
    return {
        TimeTrust.TRUSTED: f"{value}, proven by a time-stamp authority on your lists",
        TimeTrust.UNTRUSTED: f"{value}, from a time-stamp authority that is not on your lists",
        TimeTrust.NONE: f"{value}, by the signer’s own clock: not proven",
    }[time.trust]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ------------------------------------------------------------------------------------------- the three axes


def integrity_sentence(report: Report) -> str:
    """Say whether these are the bytes or pixels that were signed or logged."""
    recovered = report.recovered if report.recovered and report.recovered.matches else None
    comparison = recovered.comparison if recovered else None
    match report.integrity:
        case Integrity.INTACT:
            return "Intact: every byte that the signature covers is as it was signed."
        case Integrity.AS_DECLARED:
            return "Changed, and only in ways that its signed history declares."
        case Integrity.ALTERED if any(Fact.ALTERED in e.facts for e in report.evidence):
            return "Changed: a hash proves that file or credentials are not as they were signed."
        case Integrity.ALTERED if comparison and comparison.changes:
            return f"Changed: this copy differs from the original in the seconds {spans_words(comparison.changes)}."
        case Integrity.ALTERED if comparison:
            return (
                f"Changed: this copy differs from the ledger’s sketch of the original in "
                f"{share(comparison.changed)} of the compared picture."
            )
        case Integrity.ALTERED:
            return "Changed since it was signed or logged."
        case _ if recovered and recovered.by == "digest":
            return "No signature covers this file, but these exact bytes are in the ledger."
        case _ if comparison and comparison.span:
            return "Not the bytes that were signed; no second was found to differ from what the ledger keeps."
        case _ if comparison:
            return "Not the bytes that were signed; against the ledger’s sketch no more than traces differ."
        case _:
            return "Unknown: there is nothing signed or logged to compare it with."


def origin_sentence(report: Report) -> str:
    """Say who vouches for the file, as far as that is established."""
    origin = report.origin
    own = bool(report.manifest.label)
    what = "it" if own else "the original"
    match origin.status:
        case "trusted":
            who = signer_words(origin.signer, trusted=True, development=origin.development)
            named = (
                f" The list “{safe_text(origin.list, NAME_CHARS)}” names this signer." if origin.list else ""
            )
            return f"{_capital(who)} signed {what} ({time_words(origin.time)}).{named}"
        case "untrusted" | "claimed" if origin.signer:
            who = signer_words(origin.signer, trusted=False, development=origin.development)
            broken = own and report.manifest.state is ManifestState.INVALID
            verb = "is named by credentials that do not hold" if broken else f"signed {what}"
            established = f"who that is, is not established ({time_words(origin.time)})."
            return f"{_capital(who)} {verb}; {established} {lookalike_warning(origin.signer)}".strip()
        case "claimed":
            return "The ledger has an entry for it, but no signer whose name could be checked."
        case _:
            return "Unknown: nobody is known to vouch for it."


def synthesis_sentence(report: Report) -> str:
    """Say whether anything says that AI made it, and how much that is worth."""
    established = report.origin.status == "trusted"
    says = "Its signer states" if established else "Claimed, by nobody who is established"
    stated = f" {says}: {source_type_words(report.source_type)}." if report.source_type else ""
    match report.synthesis:
        case "declared":
            return f"Declared: its signer says that AI made all or part of it.{stated}"
        case "marked":
            return f"Marked: a watermark that a known generator leaves was read.{stated}"
        case "leaning-ai" if any(Fact.CLAIMED_AI in e.facts for e in report.evidence):
            return f"Claimed: something that anyone could have written says that AI was used.{stated}"
        case "leaning-ai" | "leaning-captured":
            return f"{leaning_words(report.leaning, report.evidence)}{stated}"
        case "not-examined":
            return f"Not examined.{stated}"
        case _:
            return f"No sign of AI was found, which does not mean that none was used.{stated}"


# ------------------------------------------------------------------------------------- changed regions


def share(fraction: float) -> str:
    """Return a fraction 0..1 as a rounded percentage, small ones as ``less than 1 %``."""
    percent = round(_unit(fraction) * 100)
    return f"{percent} %" if percent else "less than 1 %"


def _unit(value: float) -> float:
    # Fractions come from comparison, but NaN and excess must not reach a page's layout.
    return min(1.0, max(0.0, value)) if value == value else 0.0


def clipped(region: Region) -> Region:
    """Return a region (left, top, width, height as fractions) cut to the picture."""
    left, top = _unit(region[0]), _unit(region[1])
    return left, top, min(_unit(region[2]), 1 - left), min(_unit(region[3]), 1 - top)


def place(region: Region) -> str:
    """Say in words where in the picture a region lies."""
    left, top, width, height = clipped(region)
    column = _third(left + width / 2)
    row = _third(top + height / 2)
    if width > 0.8 and height > 0.8:
        return "nearly the whole picture"
    if width > 0.8:
        return ("across the top", "across the middle", "across the bottom")[row]
    if height > 0.8:
        return ("down the left side", "down the middle", "down the right side")[column]
    return (
        ("upper left", "top", "upper right"),
        ("left", "centre", "right"),
        ("lower left", "bottom", "lower right"),
    )[row][column]


def _third(centre: float) -> int:
    return min(2, int(centre * 3))


def region_words(region: Region) -> str:
    """Return place and size of a changed region: ``upper left, 12 % of the picture``."""
    _, _, width, height = clipped(region)
    return f"{place(region)}, {share(width * height)} of the picture"


def spans(region: Region) -> str:
    """Say which share of either side a region takes: ``27–40 % from the left, 36–55 % from the top``."""
    left, top, width, height = clipped(region)
    across, down = (
        f"{round(start * 100)}–{round((start + size) * 100)} %"
        for start, size in ((left, width), (top, height))
    )
    return f"{across} from the left, {down} from the top"


def missing_sentence(extent: Extent | None) -> str:
    """Say where a mark is missing in a picture that carries it; nothing where it is missing nowhere."""
    if not extent or not extent.holes:
        return ""
    count = len(extent.holes)
    where = "; ".join(spans(hole) for hole in extent.holes[:HOLES])
    more = f"; and {count - HOLES} more" if count > HOLES else ""
    if count == 1:
        return f"It is missing in one region ({where}): that part may have been replaced, or painted over."
    return f"It is missing in {count} regions ({where}{more}): those parts may have been replaced, or painted over."


HOLE_CAUTION = (
    "Captions, stickers, bars, frames and heavy local retouching silence a mark just as a replaced part does."
)
