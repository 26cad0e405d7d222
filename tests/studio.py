"""A simulated world: people with certificates, time-stamp authorities, photographs, and desks that sign and verify.

The clock starts at the machine's own time, because the C2PA engine takes no other; randomness is seeded.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from assay.provenance.claim import Claim
from assay.provenance.files.picture import load_codecs
from assay.provenance.keys.signers import write_key
from assay.provenance.report import Report
from assay.provenance.settings import KEYS
from assay.provenance.sign import Signed
from assay.provenance.workspace import SignOptions, Workspace

from .authority import Server, authority
from .people import CLAIM_SIGNING, OCSP_SIGNING, TIME_STAMPING, Person, person

ORIGIN = "assay.test/ledger"
SMALL = (84, 63)
"""Too small for a mark to be written or looked for: for attacks on credentials alone, which are then fast."""
LARGE = (320, 256)
"""Large enough for every mark."""
FORMATS = {
    "jpeg": ("JPEG", ".jpg", "image/jpeg", {"quality": 92}),
    "png": ("PNG", ".png", "image/png", {}),
    "webp": ("WEBP", ".webp", "image/webp", {"quality": 92}),
    "tiff": ("TIFF", ".tif", "image/tiff", {}),
    "avif": ("AVIF", ".avif", "image/avif", {"quality": 90}),
    "gif": ("GIF", ".gif", "image/gif", {}),
}
HOSTILE = "<script>alert(1)</script>\x1b]8;;http://evil\x07\u202egpj"


@cache
def photo(name: str, size: tuple[int, int]) -> Image.Image:
    """Return a photograph that scikit-image's wheel carries (public domain or CC0), fitted into ``size``."""
    spec = importlib.util.find_spec("skimage")
    assert spec
    assert spec.origin
    path = next((Path(spec.origin).parent / "data").glob(f"{name}.*"))
    with Image.open(path) as image:
        scale = max(size[0] / image.width, size[1] / image.height)
        grown = image.convert("RGB").resize((round(image.width * scale) + 1, round(image.height * scale) + 1))
    return grown.crop((0, 0, *size))


def encode(image: Image.Image, fmt: str = "jpeg", **options: Any) -> bytes:
    """Encode a picture in one of FORMATS."""
    load_codecs()
    name, _, _, defaults = FORMATS[fmt]
    target = BytesIO()
    image.save(target, name, **{**defaults, **options})
    return target.getvalue()


class Studio:
    """The people and services that every desk knows of, and a workspace to copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self._random = random.Random(20260611)
        template = Workspace.init(self._template, origin=ORIGIN, now=lambda: self.now)
        trust = template.trust
        own = (template.home / KEYS / "development-authority.pem").read_bytes()
        for name, kind, pem in (
            ("desk", "signer", own),
            ("agencies", "signer", self.agencies.pem),
            ("clocks", "tsa", self.clocks.pem),
        ):
            trust.add(pem, name=name, kind=kind, source="the studio", date=self.now.date())

    @property
    def _template(self) -> Path:
        return self.folder / "template"

    def desk(self) -> Desk:
        """Return a desk with an empty ledger of its own."""
        folder = self.folder / f"desk-{self._random.randbytes(6).hex()}"
        folder.mkdir()
        shutil.copytree(self._template, folder / "workspace")
        return Desk(self, folder, self._random)

    # -- who is who. What is trusted: the authorities `agencies` (signers) and `clocks` (time-stamps).

    @cached_property
    def agencies(self) -> Person:
        return person("Agencies", self.now, authority=True)

    @cached_property
    def clocks(self) -> Person:
        return person(
            "Clocks", self.now, authority=True, since=dt.timedelta(days=900), until=dt.timedelta(days=900)
        )

    @cached_property
    def agency(self) -> Person:
        """Trusted."""
        return person("Picture Agency", self.now, issuer=self.agencies)

    @cached_property
    def wire(self) -> Person:
        """Trusted as well, with another certificate."""
        return person("Wire Service", self.now, issuer=self.agencies)

    @cached_property
    def claim_signer(self) -> Person:
        """Trusted, with the key usage of the official C2PA list."""
        return person("Camera Maker", self.now, issuer=self.agencies, usages=(CLAIM_SIGNING,))

    @cached_property
    def hostile(self) -> Person:
        """Trusted, with a name that attacks whoever prints it."""
        return person(HOSTILE, self.now, issuer=self.agencies, name="=cmd|' /C calc'!A0")

    @cached_property
    def stranger(self) -> Person:
        """Of an authority that nobody chose."""
        return person("Somebody", self.now, issuer=person("Elsewhere", self.now, authority=True))

    @cached_property
    def reuters(self) -> Person:
        """Calls itself Reuters."""
        return person(
            "Reuters", self.now, issuer=person("Reuters CA", self.now, authority=True), name="Reuters"
        )

    @cached_property
    def self_signed(self) -> Person:
        return person("Self-made", self.now)

    @cached_property
    def stamper(self) -> Person:
        """Of the signers' authority, but its certificate is for time-stamps."""
        return person("Stamper", self.now, issuer=self.agencies, usages=(TIME_STAMPING,))

    @cached_property
    def responder(self) -> Person:
        """Of the signers' authority, but its certificate is for OCSP."""
        return person("Responder", self.now, issuer=self.agencies, usages=(OCSP_SIGNING,))

    @cached_property
    def clock_signer(self) -> Person:
        """Of the time-stamp authority, with a certificate for signing content."""
        return person("Clockmaker", self.now, issuer=self.clocks)

    def soon_expired(self) -> Person:
        """Trusted for a few seconds from now: the engine signs with no certificate that has expired."""
        return person(
            "Old Camera", dt.datetime.now(dt.UTC), issuer=self.agencies, until=dt.timedelta(seconds=3)
        )

    # -- time-stamp authorities on loopback

    @cached_property
    def tsa(self) -> Server:
        """On the list; its clock is right."""
        return authority(self._clockwork(self.clocks), lambda: self.now)

    @cached_property
    def fast_tsa(self) -> Server:
        """On the list; its clock is two days fast."""
        return authority(self._clockwork(self.clocks), lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=2))

    @cached_property
    def rogue_tsa(self) -> Server:
        """On no list; it says what the attacker likes, here half a day ago."""
        root = person("Rogue Clocks", self.now, authority=True)
        return authority(self._clockwork(root), lambda: self.now - dt.timedelta(hours=12))

    def _clockwork(self, root: Person) -> Person:
        return person("Clockwork", self.now, issuer=root, usages=(TIME_STAMPING,))

    @cached_property
    def elsewhere(self) -> Server:
        """A web server that must never be asked."""
        return Server(lambda body: (200, b""))

    def close(self) -> None:
        for name in ("tsa", "fast_tsa", "rogue_tsa", "elsewhere"):
            if name in self.__dict__:
                getattr(self, name).close()


class Desk:
    """One workspace in a folder of its own, and what happens around it."""

    def __init__(self, studio: Studio, folder: Path, source: random.Random) -> None:
        self.studio, self.folder = studio, folder
        self.now = studio.now
        self._random = source
        self.workspace = Workspace.open(
            folder / "workspace", now=lambda: self.now, random=source.randbytes, environ={}
        )
        self._names = (f"{n:03}" for n in range(1000))

    def path(self, suffix: str = ".jpg") -> Path:
        """Return a fresh name."""
        return self.folder / f"{next(self._names)}{suffix}"

    def file(self, data: bytes, suffix: str = ".jpg") -> Path:
        """Write bytes under a fresh name."""
        path = self.path(suffix)
        path.write_bytes(data)
        return path

    def picture(
        self, fmt: str = "jpeg", *, name: str = "astronaut", size: tuple[int, int] = SMALL, **options: Any
    ) -> Path:
        """Write an unsigned photograph."""
        return self.file(encode(photo(name, size), fmt, **options), FORMATS[fmt][1])

    def sign(
        self, source: Path, claim: Claim | str = "digitalCapture", by: Person | None = None, **options: Any
    ) -> Path:
        """Sign with Assay and return the output; ``by`` defaults to the desk's own development signer."""
        return self.sign_fully(source, claim, by, **options).out

    def sign_fully(
        self, source: Path, claim: Claim | str = "digitalCapture", by: Person | None = None, **options: Any
    ) -> Signed:
        """Sign with Assay and return all that it left."""
        if by is not None:
            key, chain = self.path(".key"), self.path(".pem")
            write_key(key, by.private, None)
            chain.write_bytes(by.chain)
            options |= {"key": f"file:{key}", "chain": chain}
        said = Claim(source_type=claim) if isinstance(claim, str) else claim
        return self.workspace.sign_file(source, self.path(source.suffix), said, SignOptions(**options))

    def verify(self, path: Path, **options: Any) -> Report:
        return self.workspace.verify(path, **options)

    def files(self) -> Iterator[Path]:
        """Iterate over the files beside the workspace, hidden ones too."""
        return (p for p in self.folder.iterdir() if p.is_file())

    def close(self) -> None:
        with suppress(AttributeError):
            if "log" in self.workspace.__dict__:
                self.workspace.log.close()  # type: ignore[attr-defined]
        shutil.rmtree(self.folder, ignore_errors=True)
