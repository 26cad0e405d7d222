"""Signed files with their boxes damaged, through `verify` as a desk runs it: what may come of it, and what never.

The law: damage makes no file more than it was. A file is `source-confirmed` only if every byte that signatures vouch
for is still there (claims, signatures, the assertions they name, the picture), and its integrity is intact, or better
than that of the file it was made from, only if what the newest signature vouches for is; or whoever signed it signed it
anew.
"""

from __future__ import annotations

import io
import json
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import cbor2
import numpy as np
from rich.console import Console

from assay.cli.show import show_report
from assay.cli.verify import VERDICT_CODES
from assay.provenance.errors import AssayError
from assay.provenance.report import Report, Verdict

from .. import darkroom
from ..cli.conftest import UNSAFE
from ..forger import Part, bare_sign, created, definition
from ..people import Person
from ..studio import SMALL, Desk, encode, photo
from .boxes import Box, Carrier, essence, parsed, resealed, taken_apart
from .damage import FORM, MEANING, Rng, carry, pick
from .targets import SEEDS

KEPT = SEEDS / "manifests"
"""Files that once did harm: each is verified in every run of the tests."""
LONGEST = 10.0
"""Seconds that one file may take (issue: every file within 10 s)."""
LARGEST_STORE = 4 << 20
CHECKS = ("manifest", "metadata", "receipt", "agreement")
EXITS = {0, 1, 3, 4}
RANKS = {"altered": 0, "unknown": 1, "as-declared": 2, "intact": 3}


@dataclass(frozen=True)
class Seed:
    """A signed file taken apart, its boxes, who signed it, and what is said of it undamaged.

    ``vouched`` are the bytes that all signatures in it vouch for, ``own`` those of the newest one.
    """

    carrier: Carrier
    root: Box
    signer: Person
    report: Report
    vouched: tuple[bytes, ...]
    own: tuple[bytes, ...]
    beside: bool = False


@dataclass(frozen=True)
class Case:
    """One damaged file: ``anew`` where its signer signed the damage, ``touched`` where the picture was changed too.

    ``intact``: nothing of what is vouched for is missing; ``own``: nothing of what the newest signature vouches for.
    """

    data: bytes
    suffix: str
    anew: bool = False
    touched: bool = False
    intact: bool = False
    own: bool = False
    sidecar: bytes = b""


@dataclass(frozen=True)
class Outcome:
    """What came of it: a verdict or the name of an error, how long it took, and "" or what must not have happened."""

    said: str
    seconds: float
    finding: str = ""


def seeds(desk: Desk) -> list[Seed]:
    """Sign the files to damage: four carriers, a history with a time-stamp, a stranger's, a changed one, a sidecar."""
    studio = desk.studio
    small = encode(photo("astronaut", SMALL))
    first = bare_sign(small, "image/jpeg", studio.wire, definition(created("digitalCapture")))
    binding = {"alg": "io.assay.hallmark.1", "blocks": [{"scope": {}, "value": "0123456789abcdef"}]}
    author = {"@type": "Person", "name": "x"}
    work = {"@context": "https://schema.org", "@type": "CreativeWork", "author": [author]}
    more = [
        {"label": "c2pa.soft-binding", "data": binding, "created": True},
        {"label": "stds.schema-org.CreativeWork", "kind": "Json", "data": work},
    ]
    edited = definition(
        {"action": "c2pa.edited", "softwareAgent": {"name": "x"}, "description": "y"}, assertions=more
    )
    history = bare_sign(
        small, "image/jpeg", studio.agency, edited, edit=True, tsa=studio.tsa.url,
        parts=[Part(first, "image/jpeg"), Part(small, "image/jpeg", relationship="componentOf")],
    )  # fmt: skip
    files = [(desk.file(history), studio.agency)]
    files += [
        (desk.sign(desk.picture(f), by=studio.agency, ledger=False), studio.agency)
        for f in ("jpeg", "png", "webp", "avif")
    ]
    files.append((desk.sign(desk.picture(), by=studio.stranger, ledger=False), studio.stranger))
    source = desk.picture("png")
    signed = desk.sign(source, by=studio.agency, ledger=False)
    files.append((darkroom.flip(desk, signed, darkroom.content_offset(signed, source)), studio.agency))
    made = [_seed(desk, path, signer) for path, signer in files]
    beside = desk.sign(desk.picture(), by=studio.agency, ledger=False, sidecar=True)
    store = beside.with_name(beside.name + ".c2pa").read_bytes()
    bare = Carrier("sidecar", ".jpg", beside.read_bytes(), b"", store, lambda store: b"")
    (root,) = parsed(store)
    report = desk.verify(beside, checks=CHECKS)
    return [
        *made,
        Seed(bare, root, studio.agency, report, essence(root), essence(root, active=True), beside=True),
    ]


def _seed(desk: Desk, path: Path, signer: Person) -> Seed:
    carrier = taken_apart(path.read_bytes(), path.stem, path.suffix)
    (root,) = parsed(carrier.store)
    assert carrier.with_store(root.to_bytes()) == path.read_bytes(), (
        "taken apart and put together it is the same"
    )
    return Seed(
        carrier, root, signer, desk.verify(path, checks=CHECKS), essence(root), essence(root, active=True)
    )


def damaged(seed: Seed, rng: Rng) -> Case:
    """Return a seed after one to three changes, sometimes signed anew, sometimes with its picture touched."""
    root = seed.root.copy()
    # What breaks the form ends in the engine's parser; what keeps it and is signed anew comes furthest.
    deep = rng.random() < 0.7
    for _ in range(int(rng.integers(0 if rng.random() < 0.1 else 1, 3))):
        pick(rng, MEANING if deep else FORM)(root, rng)
    anew = rng.random() < (0.7 if deep else 0.2)
    if anew:
        manifests = [b for b in root.inside if b.label.startswith(b"urn")]
        if manifests:
            resealed(manifests[-1], seed.signer.key)
            _refit(seed, root, manifests[-1])
    store = root.to_bytes()
    if len(store) > LARGEST_STORE:
        return damaged(seed, rng)
    wrapped = seed.carrier.wrap(store)
    if wrapped and rng.random() < 0.15:
        wrapped = carry(wrapped, store, rng)
    before, after = seed.carrier.before, seed.carrier.after
    touched = rng.random() < 0.15
    if touched:
        whole = bytearray(before + after)
        at = int(rng.integers(len(whole) // 2, len(whole)))
        whole[at] ^= 1 << int(rng.integers(8))
        before, after = bytes(whole[: len(before)]), bytes(whole[len(before) :])
    held = wrapped + (store if seed.beside else b"")
    intact, own = (not touched and all(part in held for part in parts) for parts in (seed.vouched, seed.own))
    sidecar = store if seed.beside else b""
    return Case(before + wrapped + after, seed.carrier.suffix, anew, touched, intact, own, sidecar)


def _refit(seed: Seed, root: Box, manifest: Box) -> None:
    """Let the hash of the file leave out as much as the credentials now take, so that it fits again; sign anew."""
    held = manifest.child(b"c2pa.assertions")
    bound = held.child(b"c2pa.hash.data") if held else None
    if not bound or bound.inside[-1].kind != b"cbor":
        return
    excess = 0
    for _ in range(4):  # the number's own length can change with it
        grown = len(seed.carrier.wrap(root.to_bytes())) - len(seed.carrier.wrap(seed.carrier.store))
        if grown == excess:
            return
        try:
            value = cbor2.loads(bound.inside[-1].content)
            value["exclusions"][0]["length"] += grown - excess
            bound.inside[-1].content = cbor2.dumps(value)
        except Exception:  # what is left out was itself damaged
            return
        excess = grown
        resealed(manifest, seed.signer.key)


def tried(desk: Desk, seed: Seed | None, case: Case, page: bool = False) -> Outcome:
    """Verify a damaged file and judge what came of it; ``seed`` is None for a kept one, which only must do no harm."""
    path = desk.folder / f"damaged{case.suffix}"
    beside = path.with_name(path.name + ".c2pa")
    path.write_bytes(case.data)
    beside.unlink(missing_ok=True)
    if case.sidecar:
        beside.write_bytes(case.sidecar)
    start = time.monotonic()
    try:
        report = desk.verify(path, checks=CHECKS)
        said = _printed(report, page)
    except AssayError as error:
        took = time.monotonic() - start
        bad = UNSAFE.search(str(error)) or error.exit_code not in (2, 4)
        return Outcome(
            type(error).__name__, took, f"an error that is not the file's: {error!r}" if bad else ""
        )
    except Exception:
        return Outcome("traceback", time.monotonic() - start, traceback.format_exc(limit=-4))
    took = time.monotonic() - start
    if took > LONGEST:
        return Outcome(str(report.verdict), took, f"took {took:.1f} s")
    return Outcome(_told(report), took, said or (_broken(seed, case, report) if seed else ""))


def _told(report: Report) -> str:
    died = any(
        e.check == "manifest" and ("crashed" in e.summary or "limit" in e.summary) for e in report.evidence
    )
    return "engine died" if died else f"{report.verdict}, {report.manifest.state}"


def _printed(report: Report, page: bool) -> str:
    """Return "" where JSON, terminal and exit code are as promised, else what is not."""
    text = report.dumps()
    document = json.loads(text)
    if document["verdict"] not in set(Verdict) or VERDICT_CODES.get(document["verdict"], 0) not in EXITS:
        return f"a verdict of no table: {document['verdict']}"
    stream = io.StringIO()
    show_report(report, Console(file=stream, markup=False, highlight=False, width=100), True)
    if found := UNSAFE.search(stream.getvalue()):
        return f"the terminal gets {found.group()!r}"
    if page:
        from assay.provenance.page import fragment

        if "<script>alert" in fragment(report):
            return "the page gets a script"
    return ""


def _broken(seed: Seed, case: Case, report: Report) -> str:
    """Return which law the report breaks, "" for none."""
    was, now = seed.report, report
    if case.touched and (now.verdict == Verdict.SOURCE_CONFIRMED or now.integrity == "intact"):
        return f"the picture was changed and is {now.verdict}, {now.integrity}"
    if case.intact or case.anew:
        if now.origin.status == "trusted" and was.origin.status != "trusted":
            return "a stranger became trusted"
        return ""
    if now.verdict == Verdict.SOURCE_CONFIRMED:
        return f"confirmed, though what was signed is not all there: {now.manifest.codes}"
    if case.own:
        return ""  # an ancestor is damaged: that is a conflict, and the file itself is as it was signed
    if RANKS[now.integrity] > RANKS[was.integrity] and now.manifest.label:
        return f"integrity rose from {was.integrity} to {now.integrity}"
    if now.integrity == "intact":
        return f"intact, though what was signed is not all there: {now.manifest.codes}"
    return ""


def drawn(number: int, seed: int) -> Rng:
    """Return the randomness of one run, the same for the same numbers."""
    return np.random.default_rng((seed, number))
