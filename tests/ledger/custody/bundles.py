"""Bundles to check and to tamper with: a real log, a witness's cosignature, a time-stamp by openssl's own TSA."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.ledger.custody.bundle import Item, Witnessed, export
from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.anchor import Anchored, AnchorRecord, Judgement, Standing, checkpoint_digest
from assay.provenance.asset import Digest

from ..worlds import ORIGIN, entry, recovery

SEED = b"test seed of the ledger room 123"
SOFTWARE = "Assay/test"
WITNESS = "witness.example/w1"


def witness_key(name: str = WITNESS, seed: bytes = bytes(32)) -> tuple[Ed25519PrivateKey, str]:
    """Return a witness's key and its vkey, straight from C2SP tlog-cosignature."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    material = b"\x04" + key.public_key().public_bytes_raw()
    identity = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return key, f"{name}+{identity.hex()}+{base64.b64encode(material).decode()}"


def cosigned(note: str, name: str = WITNESS, seed: bytes = bytes(32), time: int = 1_795_000_000) -> str:
    """Return the note with one more signature line, as the witness would add it."""
    key, vkey = witness_key(name, seed)
    text = note.rpartition("\n\n")[0] + "\n"
    signature = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    data = bytes.fromhex(vkey.split("+")[1]) + time.to_bytes(8, "big") + signature
    return note + f"\u2014 {name} {base64.b64encode(data).decode()}\n"


TSA_SETTINGS = """
[v]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = dn
[dn]
[tsa]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


class Authority:
    """A time-stamp authority that is openssl's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "tsa.cnf").write_text(TSA_SETTINGS)
        (folder / "serial").write_text("01")
        self._run(
            "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=tsa"
            " -config tsa.cnf -extensions v"
        )
        self.certificate = (folder / "cert.pem").read_bytes()

    def _run(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)

    def stamp(self, digest: bytes) -> bytes:
        """Return a time-stamp response over a digest."""
        self._run(f"ts -query -digest {digest.hex()} -sha256 -cert -out q.tsq")
        self._run(
            "ts -reply -queryfile q.tsq -config tsa.cnf -section tsa -signer cert.pem -inkey key.pem -out r.tsr"
        )
        return (self.folder / "r.tsr").read_bytes()


@dataclass
class World:
    """A log of 300 entries, two of them of files that lie here; an earlier bundle; two anchors."""

    folder: Path
    log: SqlLog
    media: dict[int, Path]
    earlier: Path
    policy: str
    anchored: tuple[Witnessed, ...]

    def items(self) -> list[Item]:
        return [Item(123, self.media[123]), Item(299)]

    def export(self, name: str, **change) -> Path:
        options = {
            "policy": self.policy,
            "software": SOFTWARE,
            "recovery": True,
            "since": self.earlier,
            "anchored": self.anchored,
        }
        out = self.folder / name
        export(self.log, out, change.pop("items", self.items()), **(options | change))
        return out


def anchored(
    number: int, kind: str, standing: Standing, note: str, certificate: bytes = b"", **detail: str
) -> Witnessed:
    """Return an anchor's record of a checkpoint, as the ledger's keeper judges it."""
    _, size, root, *_ = note.split("\n")
    time = "2026-11-21T10:00:00Z"
    record = AnchorRecord(
        "an", kind, "there", int(size), base64.b64decode(root), note, "state", time, time, detail, number
    )
    return Witnessed(Anchored(record, Judgement(standing, "so it is")), certificate)


def build(folder: Path) -> World:
    """Make the world."""
    media = {}
    for index in (20, 123):
        media[index] = folder / f"Photo of {index}.JPG"
        media[index].write_bytes(b"picture %d" % index * 1000)
    log = SqlLog.create(f"sqlite:///{folder / 'ledger.db'}", ORIGIN, NoteSigner.from_seed(ORIGIN, SEED))

    def leaves(numbers: range):
        from dataclasses import replace

        for number in numbers:
            kept = recovery(number) if number % 123 == 0 else None
            made = entry(number, kept)
            if number in media:
                made = replace(made, digest=Digest.of(media[number].read_bytes()))
            yield made, kept

    log.append_many(list(leaves(range(90))))
    policy = f"log {log.vkey}\nwitness w {witness_key()[1]}\nquorum w\n"
    earlier = folder / "earlier.zip"
    export(log, earlier, [Item(20)], policy=policy, software=SOFTWARE)
    log.append_many(list(leaves(range(90, 150))))
    stamped = log.checkpoint()
    log.append_many(list(leaves(range(150, 300))))
    log.keep_checkpoint(cosigned(log.checkpoint()))
    log.append_many(list(leaves(range(300, 310))))
    later = log.checkpoint()
    authority = Authority(folder / "tsa")
    reply = base64.b64encode(authority.stamp(checkpoint_digest(stamped))).decode()
    anchors = (
        anchored(1, "rfc3161", Standing.OK, stamped, authority.certificate, reply=reply),
        anchored(2, "evm", Standing.UNCHECKED, later, block="0x1"),
        anchored(3, "opentimestamps", Standing.PENDING, later, proof="AAAA"),
        anchored(4, "rfc3161", Standing.BROKEN, later),
    )
    return World(folder, log, media, earlier, policy, anchors)


def unpack(bundle: Path, folder: Path) -> Path:
    """Unpack a bundle and return its base folder."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder / "bundle"


def reseal(folder: Path) -> None:
    """Do what a forger does who knows BagIt: make both manifests right again."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    tagged = [n for n in names if not n.startswith("data/") and n != "tagmanifest-sha256.txt"]
    for manifest, listed in (
        ("manifest-sha256.txt", [n for n in names if n.startswith("data/")]),
        ("tagmanifest-sha256.txt", tagged),
    ):
        lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in listed]
        (folder / manifest).write_text("".join(lines))


@dataclass(frozen=True)
class Said:
    """What a script said: state by layer, all its words, its exit code."""

    code: int
    states: dict[str, str]
    text: str


LINE = re.compile(r"(\S+) +(ok|failed|pending|not checked) +(.*)")


def said(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Said:
    """Run a script far from this project's environment."""
    done = subprocess.run(command, cwd=folder, env=environment or {}, capture_output=True, timeout=60)
    text = done.stdout.decode()
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), (text, done.stderr)
    return Said(done.returncode, {m[1]: m[2] for m in found}, text)


def by_python(place: Path, *options: str, script: Path | None = None) -> Said:
    """Ask verify.py, isolated: no environment, no site-packages."""
    program = script or place / "verify.py"
    return said([sys.executable, "-I", "-S", str(program), *options, str(place)], place.parent)


def by_shell(place: Path, *options: str, script: Path | None = None, shell: str = "/bin/sh") -> Said:
    """Ask verify.sh, with an empty environment."""
    return said([shell, str(script or place / "verify.sh"), *options, str(place)], place.parent)


HAS_OPENSSL = shutil.which("openssl") is not None
