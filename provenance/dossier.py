"""Evidence bundles: a report with the file and all that it rests on. Format: docs/formats/evidence.md."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from assay.provenance.canonical import load_json
from assay.provenance.errors import ConfigurationError, InputError, LimitError, MalformedError
from assay.provenance.files.bag import BagWriter
from assay.provenance.keys.certificates import pem_of, signer_and_others
from assay.provenance.manifest import SIDECAR_SUFFIX
from assay.provenance.replay import receipts_in
from assay.provenance.report import Report
from assay.provenance.text import safe_text

BASE = "evidence"
REPLAY_TYPE = "assay.replay/v2"
MAX_MEMBERS = 50_000
"""Most files in a bundle that is read."""
MAX_BYTES = 4 << 30
"""Most bytes that a bundle holds which is read."""
MAX_JSON_BYTES = 256 << 20
"""Largest report or record that is read."""

_TAGS = frozenset(
    {"bagit.txt", "bag-info.txt", "README.txt", "verify.sh", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
)
_PLACE = re.compile(
    r"data/(asset\.[a-z0-9]{1,8}(\.c2pa)?|report\.(json|html)|manifest\.c2pa|certificates\.pem|signer\.pem|replay\.json"
    r"|policy\.toml|models/[A-Za-z0-9_-][A-Za-z0-9._-]*\.json|trust/[A-Za-z0-9_-][A-Za-z0-9._-]*|receipts/[0-9]+\.tlog-proof|ledger/keys"
    r"|ledger/bundle/([A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*)"
)
_NEEDED = ("data/report.json", "data/policy.toml", "data/ledger/keys", "data/trust/lists.json")
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_TRUST_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Dossier:
    """What goes into a bundle besides the report: the page, the recorded answers, the lists, the ledger's own proofs.

    ``replay`` is the document of replay.json without type, suffix and path; ``policy`` the TOML in force; ``trust`` the
    trust folder; ``vkey`` the ledger's verifier key; ``ledger`` an unpacked bundle of the ledger's, by path, or empty;
    ``models`` cards and panel of the workspace's own detectors, by file name.
    """

    report: Report
    html: bytes
    replay: Mapping[str, Any]
    policy: bytes
    trust: Path
    vkey: str
    software: str
    ledger: Mapping[str, bytes] = field(default_factory=dict)
    models: Mapping[str, bytes] = field(default_factory=dict)


def report_bytes(report: Report) -> bytes:
    """Return a report as the one file that ``--report FILE.json`` writes."""
    return json.dumps(report.to_json(), indent=2).encode() + b"\n"


def write_dossier(stream: BinaryIO, given: Dossier) -> None:
    """Write a bundle; the same input makes the same bytes. Raises InputError if the file is not the one examined."""
    report, manifest = given.report, given.report.manifest
    ending = report.asset.path.suffix.lower().removeprefix(".")
    suffix = ending if re.fullmatch("[a-z0-9]{1,8}", ending) else "bin"
    replay = {"type": REPLAY_TYPE, "path": str(report.asset.path), "suffix": suffix, **given.replay}
    with BagWriter(stream, BASE) as bag:
        bag.add_file(f"data/asset.{suffix}", report.asset.path, report.asset.digest)
        if manifest.where == "sidecar":
            bag.add(f"data/asset.{suffix}{SIDECAR_SUFFIX}", manifest.store)
        bag.add("data/report.json", report_bytes(report))
        bag.add("data/report.html", given.html)
        bag.add("data/replay.json", json.dumps(replay, indent=1).encode() + b"\n")
        if manifest.store:
            bag.add("data/manifest.c2pa", manifest.store)
            signer, others = signer_and_others(manifest.store, manifest.signer.serial)
            bag.add("data/certificates.pem", pem_of(others))
            if signer:
                bag.add("data/signer.pem", pem_of(signer))
        for name, data in _folder(given.trust):
            bag.add(f"data/trust/{name}", data)
        bag.add("data/policy.toml", given.policy)
        for name, data in sorted(given.models.items()):
            bag.add(f"data/models/{name}", data)
        bag.add("data/ledger/keys", f"{given.vkey}\n".encode())
        for name, data in sorted(given.ledger.items()):
            bag.add(f"data/ledger/bundle/{name}", data)
        for index, text in sorted(receipts_in(given.replay["ledger"]).items()):
            bag.add(f"data/receipts/{index}.tlog-proof", text.encode())
        for name, mode in (("README.txt", 0o644), ("verify.sh", 0o755)):
            bag.add(name, files("assay.provenance").joinpath("data", name).read_bytes(), mode)
        bag.finish({"Bag-Software-Agent": given.software, "External-Identifier": str(report.asset.digest)})


def _folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and _TRUST_NAME.fullmatch(path.name):
                yield path.name, path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"a trust list cannot be read: {error.strerror}", path=folder) from error


def unpack_dossier(path: Path, folder: Path) -> int:
    """Unpack a bundle into an empty folder and return how many files it has; each was checked while it was written.

    Every file must have a place in the format and be in exactly one of the two manifests with its digest.
    Raises InputError, MalformedError, LimitError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, folder)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise MalformedError(f"this is no bundle: {safe_text(error, 120)}", path=path) from error
    except InputError as error:
        raise type(error)(error.message, hint=error.hint, path=path) from error


def _unpack(archive: zipfile.ZipFile, folder: Path) -> int:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_BYTES:
        raise LimitError(f"has more than {MAX_MEMBERS} files or {MAX_BYTES} bytes")
    names: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        base, _, name = member.filename.partition("/")
        if base != BASE or name in names or not (name in _TAGS or _PLACE.fullmatch(name)):
            raise MalformedError(f"has a file without a place in it: {safe_text(member.filename, 120)}")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise MalformedError("is packed in a way that no bundle is")
        names[name] = member
    digests = {name: _write(archive, member, folder / name) for name, member in names.items()}
    listed: dict[str, str] = {}
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        if manifest not in names or names[manifest].file_size > MAX_JSON_BYTES:
            raise MalformedError(f"this is no bundle: it has no {manifest}")
        for line in (folder / manifest).read_text("ascii", "replace").splitlines():
            found = _LINE.fullmatch(line)
            if not found or found[2] in listed:
                raise MalformedError(f"its {manifest} cannot be read")
            listed[found[2]] = found[1]
    digests.pop("tagmanifest-sha256.txt")
    changed = sorted(set(listed.items()) ^ set(digests.items()))
    if changed:
        raise MalformedError(f"{safe_text(changed[0][0], 120)} was changed, is missing or is in no manifest")
    return len(names)


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> str:
    """Write one member and return its SHA-256 in hexadecimal."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), member.file_size
    with archive.open(member) as source, target.open("xb") as out:
        while block := source.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise MalformedError("holds more than it says")
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def read_replay(folder: Path) -> dict[str, Any]:
    """Return an unpacked bundle's replay.json; raises MalformedError where it is none of this version."""
    try:
        path = folder / "data/replay.json"
        if path.stat().st_size > MAX_JSON_BYTES:
            raise LimitError(f"its replay.json is larger than {MAX_JSON_BYTES} bytes")
        document = load_json(path.read_bytes())
        if document["type"] != REPLAY_TYPE:
            raise MalformedError("its replay.json is of an unknown version")
        texts = all(isinstance(document[name], str) for name in ("path", "time", "suffix", "origin"))
        settings = document["settings"]
        if not texts or not isinstance(document["ledger"], dict) or not isinstance(settings["policy"], str):
            raise MalformedError("its replay.json cannot be read")
        timed = dt.datetime.fromisoformat(document["time"]).tzinfo is not None
        anchors = document["anchors"] is None or isinstance(document["anchors"], dict)
        marks, detectors = document["marks"], document["detectors"]
        if not (marks is None or isinstance(marks, list)) or not (
            detectors is None or isinstance(detectors, dict)
        ):
            raise MalformedError("its replay.json cannot be read")
        if not re.fullmatch("[a-z0-9]{1,8}", document["suffix"]) or not timed or not anchors:
            raise MalformedError("its replay.json cannot be read")
        receipts_in(document["ledger"])
        for name in (*_NEEDED, f"data/asset.{document['suffix']}"):
            if not (folder / name).is_file():
                raise MalformedError(f"it has no {name}")
        return dict(document)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedError("its replay.json cannot be read") from error


def differences(here: Any, there: Any, path: str = "") -> Iterator[str]:
    """Yield the places, as dotted paths, at which two JSON values differ."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted({*here, *there}, key=str):
            below = f"{path}.{name}" if path else str(name)
            if name not in here or name not in there:
                yield below
            else:
                yield from differences(here[name], there[name], below)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for number, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif here != there or type(here) is not type(there):
        yield path
