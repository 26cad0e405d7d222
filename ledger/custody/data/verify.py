#!/usr/bin/env python3
"""Check an Assay bundle with the standard library alone: python3 verify.py [--policy FILE] [BUNDLE]

BUNDLE is the zip or the unpacked folder, by default the folder that this program lies in; or a single receipt
(.tlog-proof), which carries its entry, and then the policy must be given. FILE is a C2SP tlog-policy with the
keys that you trust; by default the bundle's own, and then the line "keys" says so.
One line a layer: ok, failed, pending or not checked. Exit code 0 if nothing failed and the files, the
checkpoint and the entries are ok, else 1. Ed25519 needs the Python package cryptography or the program
openssl; without both, signatures are "not checked". Nothing is written but temporary files, and no network
is used. Formats: C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy, tlog-proof; RFC 9162;
RFC 8493 (BagIt).
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

SMALL = 64 << 20  # most bytes of any file but an asset
PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
LAYOUT = re.compile(
    r"data/(checkpoint|policy|entries/\d+\.json|proofs/\d+\.tlog-proof|assets/\d+\.[a-z0-9]{1,8}|recovery/\d+\.json"
    r"|previous/(checkpoint|consistency)"
    r"|anchors/[a-z0-9-]+/(checkpoint|consistency|state|record\.json|token\.tsr|certificate\.pem|proof\.ots))"
)
SIGNATURE = "\u2014 "
OK, FAILED, PENDING, UNCHECKED = "ok", "failed", "pending", "not checked"
MUST = ("files", "checkpoint", "entries")


class Wrong(Exception):
    """Something is not as it must be."""


class Unable(Exception):
    """Something cannot be checked here."""


# ------------------------------------------------------------------------------------------------- files


def opened(path: Path) -> IO[bytes]:
    """Open a file to read its bytes."""
    return path.open("rb")


class Bag:
    """The files of a bundle, by path below its base folder; links and other oddities are refused."""

    def __init__(self, place: Path) -> None:
        self.open: dict[str, Callable[[], IO[bytes]]] = {}
        if place.is_dir():
            self._folder(place)
        else:
            self._zip(place)

    def _add(self, name: str, opener: Callable[[], IO[bytes]]) -> None:
        if not PATH.fullmatch(name) or ".." in name or name in self.open:
            raise Wrong(f"the file name {plain(name)} is not one of a bundle, or comes twice")
        self.open[name] = opener

    def _folder(self, place: Path) -> None:
        for item in sorted(place.rglob("*")):
            name = item.relative_to(place).as_posix()
            if item.is_symlink() or not (item.is_dir() or item.is_file()):
                raise Wrong(f"{plain(name)} is neither file nor folder")
            if item.is_file():
                self._add(name, functools.partial(opened, item))

    def _zip(self, place: Path) -> None:
        archive = zipfile.ZipFile(place)
        bases = set()
        for info in archive.infolist():
            base, _, name = info.filename.partition("/")
            bases.add(base)
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise Wrong("the archive is compressed or encrypted; bundles are stored as they are")
            self._add(name, functools.partial(archive.open, info))
        if len(bases) != 1:
            raise Wrong("the archive has not one base folder")

    def read(self, name: str) -> bytes:
        """Return a small file."""
        if name not in self.open:
            raise Wrong(f"{name} is missing")
        with self.open[name]() as stream:
            data = stream.read(SMALL + 1)
        if len(data) > SMALL:
            raise Wrong(f"{name} is too large")
        return data

    def text(self, name: str) -> str:
        """Return a small file of UTF-8."""
        return self.read(name).decode("utf-8")

    def sha256(self, name: str) -> str:
        """Return a file's digest in hexadecimal."""
        digest = hashlib.sha256()
        with self.open[name]() as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def below(self, folder: str) -> list[str]:
        """Return the files below a folder."""
        return sorted(name for name in self.open if name.startswith(folder + "/"))


def check_files(bag: Bag) -> str:
    """Check both BagIt manifests: every file listed once, every listed file there, every digest right."""
    if bag.read("bagit.txt") != b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n":
        raise Wrong("bagit.txt does not say BagIt 1.0")
    seen: set[str] = set()
    for manifest, payload in (("manifest-sha256.txt", True), ("tagmanifest-sha256.txt", False)):
        text = bag.text(manifest)
        if not text.endswith("\n"):
            raise Wrong(f"{manifest} is cut off")
        for line in text[:-1].split("\n"):
            digest, _, name = line.partition("  ")
            if name in seen or name.startswith("data/") is not payload or name not in bag.open:
                raise Wrong(f"{manifest} lists {plain(name)}: twice, missing, or of another place")
            seen.add(name)
            if payload and not LAYOUT.fullmatch(name):
                raise Wrong(f"{name} has no place in a bundle")
            if bag.sha256(name) != digest:
                raise Wrong(f"{name} was changed")
    if extra := sorted(set(bag.open) - seen - {"tagmanifest-sha256.txt"}):
        raise Wrong(f"{extra[0]} is in no manifest")
    return f"{len(seen) + 1} files, as the manifests list them"


# ---------------------------------------------------------------------------------------------- Ed25519

PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key, RFC 8410
KNOWN = (  # RFC 8032 section 7.1, TEST 2
    bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
    b"\x72",
    bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ),
)


def by_cryptography(public: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature with the package cryptography."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def by_openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature with the program openssl."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("key", PREFIX + public), ("message", message), ("signature", signature)):
            Path(folder, name).write_bytes(data)
        asked = "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
        return openssl(asked.split(), folder)


def openssl(asked: list[str], folder: str) -> bool:
    """Run openssl in a folder and say whether it is content."""
    program = shutil.which("openssl")
    if program is None:
        raise Unable("there is no openssl here")
    return subprocess.run([program, *asked], cwd=folder, capture_output=True).returncode == 0


@functools.cache
def ed25519() -> Callable[[bytes, bytes, bytes], bool]:
    """Return a verifier that passes a known answer and refuses a wrong one; raises Unable."""
    public, message, signature = KNOWN
    for verifier in (by_cryptography, by_openssl):
        try:
            if verifier(public, message, signature) and not verifier(public, message + b"x", signature):
                return verifier
        except (ImportError, OSError, Unable):
            continue
    raise Unable("neither cryptography nor an openssl with Ed25519 is here")


# ----------------------------------------------------------------------------------------- notes, policy


def plain(text: str) -> str:
    """Return text that can only be read, whatever it holds."""
    return ascii(text)[1:-1]


def decoded(text: str) -> bytes:
    """Decode base64 in its one spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise Wrong(f"not base64: {plain(text[:60])}") from error
    if base64.b64encode(data).decode() != text:
        raise Wrong(f"not base64 in its one spelling: {plain(text[:60])}")
    return data


def decimal(text: str) -> int:
    """Read a decimal below 2^63 without leading zeros."""
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) >= 1 << 63:
        raise Wrong(f"not a decimal number: {plain(text[:40])}")
    return int(text)


class Key:
    """A verifier key in text: name+id+base64(algorithm, key)."""

    def __init__(self, text: str) -> None:
        self.name, _, rest = text.partition("+")
        identity, _, body = rest.partition("+")
        material = decoded(body)
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        self.algorithm, self.public = material[0], material[1:]
        if self.id.hex() != identity or not self.name:
            raise Wrong(f"not a verifier key: {plain(text[:80])}")
        if self.algorithm in (1, 4) and len(self.public) != 32:
            raise Wrong("an Ed25519 key has 32 bytes")


class Policy:
    """A tlog-policy: logs, witnesses, groups of them, and the quorum."""

    def __init__(self, text: str) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum = ""
        members: set[str] = set()
        for line in text.split("\n"):
            words = re.split("[ \t]+", line.strip(" \t"))
            if words == [""] or words[0].startswith("#"):
                continue
            if words[0] == "log" and len(words) in (2, 3):
                self.logs.append(Key(words[1]))
            elif words[0] == "witness" and len(words) in (3, 4) and self._new(words[1]):
                self.witnesses[words[1]] = Key(words[2])
            elif words[0] == "group" and len(words) > 3 and self._new(words[1]):
                named = words[3:]
                if members & set(named) or len(set(named)) != len(named) or any(map(self._new, named)):
                    raise Wrong(f"the policy's group {plain(words[1])} has members unknown or counted twice")
                members |= set(named)
                least = {"all": str(len(named)), "any": "1"}.get(words[2], words[2])
                self.groups[words[1]] = (decimal(least), named)
                if not 1 <= decimal(least) <= len(named):
                    raise Wrong(f"the policy's group {plain(words[1])} asks for {least} of {len(named)}")
            elif words[0] == "quorum" and len(words) == 2 and not self.quorum:
                self.quorum = words[1]
                if self.quorum != "none" and self._new(self.quorum):
                    raise Wrong("the policy's quorum names nothing defined before it")
            else:
                raise Wrong(f"the policy cannot be read: {plain(line[:80])}")
        keys = [key.public for key in (*self.logs, *self.witnesses.values())]
        if not self.quorum or not self.logs or len(set(keys)) != len(keys):
            raise Wrong("the policy lacks a log or a quorum, or has a key twice")

    def _new(self, name: str) -> bool:
        return name not in self.witnesses and name not in self.groups and name != "none"

    def satisfied(self, name: str, signed: set[str]) -> bool:
        """Say whether a witness or group has seen what these witnesses signed."""
        if name not in self.groups:
            return name in signed
        least, named = self.groups[name]
        return sum(self.satisfied(member, signed) for member in named) >= least


class Note:
    """A checkpoint: origin, size, root, the text that is signed, and the signatures."""

    def __init__(self, note: str) -> None:
        if any(ord(c) < 0x20 and c != "\n" for c in note):
            raise Wrong("a checkpoint has control characters")
        head, blank, tail = note.rpartition("\n\n")
        self.text = head + "\n"
        lines = head.split("\n")
        if not blank or not tail.endswith("\n") or len(lines) < 3 or not all(lines):
            raise Wrong("not a checkpoint")
        self.origin, self.size, self.root = lines[0], decimal(lines[1]), decoded(lines[2])
        if len(self.root) != 32:
            raise Wrong("a checkpoint's root has 32 bytes")
        self.signatures = []
        for line in tail[:-1].split("\n"):
            name, space, body = line.removeprefix(SIGNATURE).partition(" ")
            if not line.startswith(SIGNATURE) or not space or len(decoded(body)) < 5:
                raise Wrong("a checkpoint has a broken signature line")
            self.signatures.append((name, decoded(body)))

    def signed_by(self, key: Key) -> bool:
        """Say whether a key signed; raises Wrong where its signature is bad, Unable where nobody can tell."""
        found = False
        for name, data in self.signatures:
            if name != key.name or data[:4] != key.id:
                continue
            if key.algorithm == 1:
                message, signature = self.text, data[4:]
            elif key.algorithm == 4:
                time, signature = int.from_bytes(data[4:12], "big"), data[12:]
                if time >= 1 << 63:
                    raise Wrong(f"{plain(name)} cosigned at no time that there is")
                message = f"cosignature/v1\ntime {time}\n{self.text}"
            else:
                raise Unable(f"{plain(name)} signs with an algorithm that is not checked here")
            if not ed25519()(key.public, message.encode(), signature):
                raise Wrong(f"the signature of {plain(name)} is bad")
            found = True
        return found


def check_checkpoint(note: Note, policy: Policy) -> str:
    """Check that a log of the policy signed, under its own name."""
    if not [key for key in policy.logs if key.name == note.origin and note.signed_by(key)]:
        raise Wrong(f"no log of the policy signed the checkpoint of {plain(note.origin)}")
    return f"{plain(note.origin)} with {note.size} entries, signed by its key"


def check_witnesses(note: Note, policy: Policy) -> str:
    """Check that enough witnesses cosigned."""
    if policy.quorum == "none":
        raise Unable("the policy asks for none")
    signed, doubts = set(), []
    for name, key in policy.witnesses.items():
        try:
            if note.signed_by(key):
                signed.add(name)
        except Unable as doubt:
            doubts.append(str(doubt))
    if policy.satisfied(policy.quorum, signed):
        return f"{len(signed)} of {len(policy.witnesses)} cosigned, which is enough for the policy"
    if doubts:
        raise Unable(doubts[0])
    raise Wrong(f"{len(signed)} of {len(policy.witnesses)} cosigned, too few for the policy")


# --------------------------------------------------------------------------------------------- the tree


def joined(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def included(leaf: bytes, index: int, note: Note, path: list[bytes]) -> bool:
    """RFC 9162 section 2.1.3.2."""
    if not 0 <= index < note.size:
        return False
    fn, sn, result = index, note.size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for item in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            result = joined(item, result)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = joined(result, item)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and result == note.root


def extends(old: Note, new: Note, path: list[bytes]) -> bool:
    """RFC 9162 section 2.1.4.2, for trees that are not empty."""
    if old.size == new.size:
        return not path and old.root == new.root
    if not 0 < old.size < new.size:
        return False
    nodes = path if old.size & (old.size - 1) else [old.root, *path]
    if not nodes:
        return False
    fn, sn = old.size - 1, new.size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = nodes[0]
    for item in nodes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = joined(item, first), joined(item, second)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = joined(second, item)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and first == old.root and second == new.root


def hashes(lines: list[str]) -> list[bytes]:
    """Read a proof's lines."""
    found = [decoded(line) for line in lines]
    if len(found) > 63 or any(len(item) != 32 for item in found):
        raise Wrong("a proof has too many lines, or one that is not a hash")
    return found


class Receipt:
    """A tlog-proof whose extra line carries the leaf: index, leaf, path, and the checkpoint as it is."""

    def __init__(self, text: str) -> None:
        head, _, self.checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
            raise Wrong("a proof is not one")
        if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise Wrong("a proof lacks its entry or its index")
        self.leaf, self.index = decoded(lines[1][6:]), decimal(lines[2][6:])
        self.path = hashes(lines[3:])


def check_entry(bag: Bag, number: str, note: Note) -> None:
    """Check one proof: the leaf it carries is the entry's file, and leads to the bundle's checkpoint."""
    proof = Receipt(bag.text(f"data/proofs/{number}.tlog-proof"))
    if proof.index != int(number) or proof.leaf != bag.read(f"data/entries/{number}.json"):
        raise Wrong(f"the proof of entry {number} is of another entry")
    if proof.checkpoint.encode() != bag.read("data/checkpoint"):
        raise Wrong(f"the proof of entry {number} is against another checkpoint")
    if not included(proof.leaf, proof.index, note, proof.path):
        raise Wrong(f"the proof of entry {number} does not lead to the checkpoint")


def numbered(bag: Bag, folder: str, ending: str) -> list[str]:
    """Return the index numbers that the files of a folder are named by."""
    numbers = []
    for name in bag.below(f"data/{folder}"):
        found = re.fullmatch(rf"data/{folder}/(0|[1-9][0-9]*)\.{ending}", name)
        if not found:
            raise Wrong(f"{name} does not belong there")
        numbers.append(found[1])
    if len(set(numbers)) != len(numbers):
        raise Wrong(f"data/{folder} has two files for one entry")
    return sorted(numbers, key=int)


def check_entries(bag: Bag, note: Note) -> str:
    """Check every entry's proof."""
    numbers = numbered(bag, "entries", "json")
    if not numbers or numbers != numbered(bag, "proofs", "tlog-proof"):
        raise Wrong("entries and proofs do not pair")
    for number in numbers:
        check_entry(bag, number, note)
    return f"{len(numbers)} lead to the checkpoint: {listed(numbers)}"


def listed(numbers: list[str]) -> str:
    """Name a few."""
    return ", ".join(numbers[:8]) + (" …" if len(numbers) > 8 else "")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice."""
    if len(dict(pairs)) != len(pairs):
        raise Wrong("an entry has a name twice")
    return dict(pairs)


def check_beside(bag: Bag, folder: str, ending: str, field: str) -> str:
    """Check files kept beside entries against the digests that the entries hold."""
    numbers = numbered(bag, folder, ending)
    for number in numbers:
        entry = json.loads(bag.read(f"data/entries/{number}.json"), object_pairs_hook=once)
        name = next(
            name for name in bag.below(f"data/{folder}") if name.split("/")[2].split(".")[0] == number
        )
        if entry.get(field) != "sha256:" + bag.sha256(name):
            raise Wrong(f"{name} is not what entry {number} holds the digest of")
    if not numbers:
        raise Unable("there are none in this bundle")
    return f"{len(numbers)} as the entries have them: {listed(numbers)}"


# ------------------------------------------------------------------------------- earlier trees, anchors


def check_related(bag: Bag, folder: str, note: Note, policy: Policy) -> Note:
    """Check that another checkpoint of the log and the bundle's are of one history; return it."""
    other = Note(bag.text(f"{folder}/checkpoint"))
    if other.origin != note.origin:
        raise Wrong("it is of another ledger")
    check_checkpoint(other, policy)
    old, new = sorted((other, note), key=lambda one: one.size)
    head, _, rest = bag.text(f"{folder}/consistency").partition("\n\n")
    lines = head.split("\n")
    if lines[0] != f"old {old.size}" or Note(rest).text != new.text:
        raise Wrong("its consistency proof is between other checkpoints")
    if not extends(old, new, hashes(lines[1:])):
        raise Wrong("the ledger was rewritten: the larger tree does not extend the smaller one")
    return other


def check_previous(bag: Bag, note: Note, policy: Policy) -> str:
    """Check the proof that this ledger extends the one that an earlier bundle showed."""
    if not bag.below("data/previous"):
        raise Unable("this bundle names no earlier one")
    other = check_related(bag, "data/previous", note, policy)
    return f"the earlier bundle's checkpoint ({other.size} entries) is of the same history"


def check_anchor(bag: Bag, folder: str, note: Note, policy: Policy) -> tuple[str, str]:
    """Check one anchored checkpoint, and its time-stamp token if it has one."""
    other = check_related(bag, folder, note, policy)
    covered = [n for n in numbered(bag, "entries", "json") if int(n) < other.size]
    about = f"{other.size} entries, {listed(covered) or 'none'} of these among them"
    if bag.text(f"{folder}/state") == "pending\n":
        return PENDING, f"under way, proves nothing yet ({about})"
    if f"{folder}/token.tsr" not in bag.open:
        return UNCHECKED, f"see {folder}/record.json for what to compare ({about})"
    if f"{folder}/certificate.pem" not in bag.open:
        return UNCHECKED, "the authority's certificate is not in this bundle"
    with tempfile.TemporaryDirectory() as place:
        for name in ("token.tsr", "certificate.pem"):
            Path(place, name).write_bytes(bag.read(f"{folder}/{name}"))
        digest = hashlib.sha256(other.text.encode()).hexdigest()
        asked = (
            f"ts -verify -digest {digest} -in token.tsr -CAfile certificate.pem -partial_chain -no_check_time"
        )
        bare = asked.replace("-in token.tsr", "-in token.tsr -token_in")
        if not (openssl(asked.split(), place) or openssl(bare.split(), place)):
            raise Wrong("the time-stamp is not of this checkpoint, or not by the certificate beside it")
    return OK, f"time-stamped under the certificate beside it ({about})"


# ------------------------------------------------------------------------------------------- the layers


def attempt(check: Callable[[], str | tuple[str, str]]) -> tuple[str, str]:
    """Run one check; whatever is unreadable has failed."""
    try:
        said = check()
    except Unable as doubt:
        return UNCHECKED, str(doubt)
    except Wrong as problem:
        return FAILED, str(problem)
    except (
        ValueError,
        KeyError,
        IndexError,
        OSError,
        RecursionError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        return FAILED, f"it cannot be read ({type(error).__name__})"
    return said if isinstance(said, tuple) else (OK, said)


def receipt_layers(place: Path, trusted: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield (layer, state, words) of one receipt file."""
    try:
        with place.open("rb") as stream:
            proof = Receipt(stream.read(SMALL).decode("utf-8"))
        note = Note(proof.checkpoint)
    except (Wrong, OSError, ValueError) as error:
        yield "files", FAILED, str(error)
        return
    yield "files", OK, "the receipt can be read"
    if trusted is None:
        yield "keys", FAILED, "a receipt has no keys in it: give --policy"
        return
    try:
        policy = Policy(trusted)
    except (Wrong, ValueError) as error:
        yield "keys", FAILED, str(error)
        return
    yield "keys", OK, "the policy is the one given by you"
    yield ("checkpoint", *attempt(lambda: check_checkpoint(note, policy)))
    yield ("witnesses", *attempt(lambda: check_witnesses(note, policy)))
    if included(proof.leaf, proof.index, note, proof.path):
        yield (
            "entries",
            OK,
            f"entry {proof.index} leads to the checkpoint: {plain(proof.leaf.decode('utf-8', 'replace'))}",
        )
    else:
        yield "entries", FAILED, f"entry {proof.index} does not lead to the checkpoint"


def layers(place: Path, trusted: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield (layer, state, words) until a layer fails that the rest builds on."""
    try:
        bag = Bag(place)
    except (Wrong, OSError, zipfile.BadZipFile) as error:
        yield "files", FAILED, str(error)
        return
    state, said = attempt(lambda: check_files(bag))
    yield "files", state, said
    if state != OK:
        return
    try:
        policy = Policy(bag.text("data/policy") if trusted is None else trusted)
    except (Wrong, ValueError) as error:
        yield "keys", FAILED, str(error)
        return
    if trusted is None:
        keys = " ".join(f"{plain(key.name)}+{key.id.hex()}" for key in policy.logs)
        yield (
            "keys",
            UNCHECKED,
            f"the policy came with the bundle; compare data/policy with its owner's {keys}",
        )
    else:
        yield "keys", OK, "the policy is the one given by you"
    try:
        note = Note(bag.text("data/checkpoint"))
    except (Wrong, ValueError) as error:
        yield "checkpoint", FAILED, str(error)
        return
    yield ("checkpoint", *attempt(lambda: check_checkpoint(note, policy)))
    yield ("witnesses", *attempt(lambda: check_witnesses(note, policy)))
    state, said = attempt(lambda: check_entries(bag, note))
    yield "entries", state, said
    for layer, ending, field in (("assets", "[a-z0-9]{1,8}", "digest"), ("recovery", "json", "recovery")):
        if state == OK:
            yield (layer, *attempt(functools.partial(check_beside, bag, layer, ending, field)))
        else:
            yield layer, UNCHECKED, "the entries are not proven"
    yield ("previous", *attempt(lambda: check_previous(bag, note, policy)))
    for folder in sorted({name.split("/")[2] for name in bag.below("data/anchors")}):
        path = f"data/anchors/{folder}"
        yield (folder, *attempt(functools.partial(check_anchor, bag, path, note, policy)))


def main() -> int:
    """Print the layers and return the exit code."""
    parser = argparse.ArgumentParser(description="Check an Assay bundle.")
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--policy", type=Path, help="a tlog-policy with the keys that you trust")
    asked = parser.parse_args()
    trusted = asked.policy.read_text("utf-8") if asked.policy else None
    found = {}
    chosen = receipt_layers if asked.bundle.suffix == ".tlog-proof" else layers
    for layer, state, words in chosen(asked.bundle, trusted):
        found[layer] = state
        sys.stdout.write(f"{layer:<18}  {state:<11}  {words}\n")
    return int(FAILED in found.values() or any(found.get(layer) != OK for layer in MUST))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(main())
