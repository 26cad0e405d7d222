"""The workspace: keys, ledger, trust lists and settings in one folder, assembled once for every door.

Nothing here is made on the fly: ``init`` creates, ``open`` opens, and neither does the other's work.
Layout and settings file: docs/formats/workspace.md.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from assay.provenance.anchor import Keeper
from assay.provenance.claim import Claim
from assay.provenance.credentials.engine import Anchors
from assay.provenance.credentials.revoked import Revocations
from assay.provenance.errors import ConfigurationError, CredentialError, UsageError
from assay.provenance.furnish import SEED_BYTES, TRUST, furnish, sqlite_url
from assay.provenance.keys.denied import DENIED, read_denials
from assay.provenance.keys.signers import (
    Passphrase,
    Signer,
    SignerContext,
    open_signer,
    read_mark_key,
    read_secret,
)
from assay.provenance.keys.trust import CERTIFICATES, LOG, TrustStore, issuers, split_pem
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Kind
from assay.provenance.plugins import detector_kinds, has_plugin, load_plugin, open_detector, open_watermark
from assay.provenance.policy import Policy, choose_policy
from assay.provenance.protocols import (
    Check,
    Detector,
    Fingerprinter,
    KnownMarks,
    Log,
    TimedDetector,
    Watermark,
)
from assay.provenance.receipt import Receipt
from assay.provenance.report import Report
from assay.provenance.settings import (
    REMOTE,
    SETTINGS,
    Settings,
    read_settings,
    read_witnesses,
)
from assay.provenance.sign import Signed, Signing
from assay.provenance.sign import sign as sign_line
from assay.provenance.subject import Subject, Watch
from assay.provenance.verify import verify as verify_line
from assay.provenance.witnessed import read_witnessed

if TYPE_CHECKING:
    from assay.provenance.fetcher import Fetcher
    from assay.provenance.page import Preview, Strip


def utc_now() -> dt.datetime:
    """Return the machine's time in UTC."""
    return dt.datetime.now(dt.UTC)


def no_passphrase(what: str) -> bytes | None:
    """Give no passphrase."""
    return None


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What one signature may do otherwise than the workspace's settings."""

    watermark: str | None = None
    mark: bool = True
    ledger: bool = True
    tsa: str | None = None
    key: str | None = None
    chain: Path | None = None
    sidecar: bool = False
    remote_url: str = ""
    overwrite: bool = False


class Workspace:
    """Keys, ledger, trust and settings of one desk or one generator.

    ``now`` gives the time, ``random`` n random bytes, ``passphrase`` unlocks keys, ``environ`` is consulted by
    ``env:`` keys only, ``fetcher`` asks what authorities' certificates name. Heavy parts are loaded on first use.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        *,
        now: Callable[[], dt.datetime] = utc_now,
        random: Callable[[int], bytes] = secrets.token_bytes,
        passphrase: Passphrase = no_passphrase,
        environ: Mapping[str, str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.home, self.settings, self.limits, self.fetcher = home, settings, limits, fetcher
        self.now, self.random = now, random
        self._secrets = SignerContext(passphrase, environ or {})
        self._detectors: dict[str, Detector | TimedDetector] = {}

    @classmethod
    def init(
        cls,
        home: Path,
        *,
        origin: str = "",
        passphrase: bytes | None = None,
        now: Callable[[], dt.datetime] = utc_now,
        **options: Any,
    ) -> Workspace:
        """Make a workspace with a development PKI, a ledger key, an empty SQLite ledger and empty trust lists.

        Raises ConfigurationError if the folder holds anything. It appears whole or not at all.
        """
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise ConfigurationError(
                "there is something already", path=home, hint="choose another folder with --home"
            )
        home.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".assay-init-", dir=home.parent))
        try:
            furnish(draft, origin or f"assay.local/{secrets.token_hex(4)}", passphrase, now())
            home.mkdir(exist_ok=True)
            home.rmdir()
            draft.rename(home)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        home.chmod(0o700)
        return cls.open(home, now=now, **options)

    @classmethod
    def open(cls, home: Path | str, **options: Any) -> Workspace:
        """Open a workspace; raises ConfigurationError if there is none or its settings cannot be read."""
        home = Path(home)
        return cls(home, read_settings(home / SETTINGS), **options)

    @cached_property
    def trust(self) -> TrustStore:
        """The trust lists."""
        return TrustStore(self.home / TRUST)

    def ledger_key(self) -> bytes:
        """Return the seed of the ledger's checkpoint key, 32 bytes; raises CredentialError."""
        return self._read_secret(self.home / self.settings.log_key)

    @cached_property
    def log(self) -> Log:
        """The ledger, opened; raises LedgerError if it is missing. One on a server is asked only when it is used."""
        if self.settings.is_remote:
            return self._remote_log()
        if self.settings.ledger_vkey:  # a mirror of somebody else's
            opened = load_plugin("assay.logs", "sql").read(
                self._ledger_url(), origin=self.settings.origin, vkeys=[self.settings.ledger_vkey]
            )
            return cast(Log, opened)
        seed = self.ledger_key()
        opened = load_plugin("assay.logs", "sql").open(
            self._ledger_url(), origin=self.settings.origin, seed=seed, pins=read_witnessed(self.home)
        )
        return cast(Log, opened)

    def _remote_log(self) -> Log:
        settings, trust = self.settings, self.trust
        lists = [trust.content(entry) for entry in trust.lists() if entry.kind == LOG]
        opened = load_plugin("assay.logs", "http").open(
            settings.ledger,
            origin=settings.origin,
            folder=self.home / REMOTE,
            vkeys=[settings.ledger_vkey] if settings.ledger_vkey else [],
            policies=[*read_witnesses(self.home, settings), *lists],
            token=lambda: read_secret(settings.ledger_token, self.home, self._secrets.environ),
        )
        return cast(Log, opened)

    def create_log(self) -> Log:
        """Make the ledger that the settings name; raises LedgerError if there is one, UsageError if it is elsewhere."""
        if self.settings.is_remote:
            raise UsageError("the settings name a ledger elsewhere", hint="it is made where its database is")
        seed = self.ledger_key()
        made = load_plugin("assay.logs", "sql").create(
            self._ledger_url(), origin=self.settings.origin, seed=seed
        )
        return cast(Log, made)

    def upgrade_log(self) -> tuple[int, Path | None]:
        """Bring the ledger's database to this program's schema; return the one it had, and the copy made of it."""
        schema, copy = load_plugin("assay.logs", "sql").upgrade(self._ledger_url())
        return int(schema), copy

    @cached_property
    def keeper(self) -> Keeper | None:
        """What publishes the ledger to the anchors of the settings; None where the ledger keeps no journal.

        Raises ConfigurationError or CredentialError where an anchor's settings are of no use.
        """
        if not hasattr(self.log, "journal"):
            return None
        from assay.provenance.net import Net

        made = load_plugin("assay.logs", "sql").keeper(
            self.log,
            self.settings.anchors,
            home=self.home,
            now=self.now,
            read_secret=lambda uri: read_secret(uri, self.home, self._secrets.environ),
            net=Net,
            random=self.random,
        )
        return cast(Keeper, made)

    @cached_property
    def fingerprinter(self) -> Fingerprinter:
        """The maker of fingerprints and sketches."""
        return cast(Fingerprinter, load_plugin("assay.fingerprints", "pdq")())

    def watermark(self, name: str | None = None) -> Watermark:
        """Load the scheme to mark with, by default the settings' for pictures, under the workspace's keys."""
        return open_watermark(name or self.settings.watermark, self.mark_keys())

    def marker(self, kind: Kind, name: str | None = None) -> Watermark | None:
        """Load the scheme to mark a kind of media with, or the named one; None where none is installed for it.

        Raises UsageError where there is none of that name.
        """
        scheme = name or self.settings.scheme(kind)
        if kind is not Kind.IMAGE and not name and not has_plugin("assay.watermarks", scheme):
            return None
        found = self.watermark(scheme)
        return found if kind in found.kinds else None

    def mark_readers(self) -> list[Watermark]:
        """Load the schemes to look for, in the settings' order, under the workspace's keys."""
        keys = self.mark_keys()
        return [open_watermark(name, keys, reading=True) for name in self.settings.read_marks]

    def readers(self, kind: Kind) -> list[Watermark]:
        """Load the schemes to look for in a kind of media, under the workspace's keys."""
        if kind is Kind.IMAGE:
            return self.mark_readers()
        name = self.settings.scheme(kind)
        if kind not in (Kind.VIDEO, Kind.AUDIO) or not has_plugin("assay.watermarks", name):
            return []
        return [open_watermark(name, self.mark_keys(), reading=True)]

    def mark_keys(self) -> tuple[bytes, ...]:
        """Return the secrets of our marks, the writing one first; none means the public key.

        Raises CredentialError where one cannot be read, UsageError for what names none.
        """
        environ = self._secrets.environ
        return tuple(read_mark_key(uri, self.home, environ) for uri in self.settings.mark_keys)

    def detector(self, name: str) -> Detector | TimedDetector:
        """Open a detector with the workspace's own models, and keep it; raises what ``open_detector`` does."""
        if name not in self._detectors:
            self._detectors[name] = open_detector(name, self.home, lambda: self.now().timestamp())
        return self._detectors[name]

    def signer(self, key: str | None = None, chain: Path | None = None) -> tuple[Signer, str]:
        """Open the signer of a key URI, by default the workspace's; returns it and where its chain came from."""
        path = chain or self.home / self.settings.chain
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise CredentialError(
                f"the certificate chain cannot be read: {error.strerror}", path=path, hint="give --chain FILE"
            ) from error
        return open_signer(key or self._key_uri(), pem, self._secrets), str(path)

    def sign(self, source: Path | str, target: Path | str, claim: Claim, **options: Any) -> Receipt:
        """Sign a file, log it and return its receipt; ``options`` are those of SignOptions."""
        signed = self.sign_file(Path(source), Path(target), claim, SignOptions(**options))
        if signed.receipt is None:
            raise UsageError("without the ledger there is no receipt", hint="use sign_file")
        return signed.receipt

    def sign_file(
        self, source: Path, target: Path, claim: Claim, options: SignOptions | None = None
    ) -> Signed:
        """Sign a file and return all that the signature left."""
        chosen = options or SignOptions()
        signer, origin = self.signer(chosen.key, chosen.chain)
        setup = Signing(
            signer=signer,
            signer_origin=origin,
            now=self.now(),
            watermark=partial(self.marker, name=chosen.watermark) if chosen.mark else None,
            log=self.log if chosen.ledger else None,
            fingerprinter=self.fingerprinter if chosen.ledger else None,
            tsa=chosen.tsa or self.settings.tsa or None,
            sidecar=chosen.sidecar,
            remote_url=chosen.remote_url,
            overwrite=chosen.overwrite,
            random=self.random,
            limits=self.limits,
        )
        return sign_line(source, target, claim, setup)

    def verify(
        self,
        path: Path | str,
        *,
        policy: str | None = None,
        checks: tuple[str, ...] | None = None,
        reference: Path | None = None,
        online: bool = False,
        watch: Watch | None = None,
    ) -> Report:
        """Examine one file and return the report; raises InputError only where there is nothing to report on.

        ``policy`` is a policy's name, by default the workspace's; ``checks`` narrows the checks it names;
        ``reference`` is an original to compare with besides; ``online`` lets the anchor check ask the network.
        ``watch`` is told how far each pass over a film or a sound has come.
        """
        now = self.now()
        chosen = choose_policy(policy or self.settings.policy, checks, self.settings.detectors)
        witnesses = self.checks(now, chosen, online=online)
        if reference:
            from assay.provenance.checks.reference import ReferenceCheck

            witnesses.append(ReferenceCheck(reference, self.fingerprinter))
            chosen = replace(chosen, checks=(*chosen.checks, ReferenceCheck.name))
        with Subject.open(Path(path), self.limits, watch) as subject:
            return verify_line(
                subject,
                witnesses,
                chosen,
                now=now,
                trust=[t.to_json() for t in self.trust.lists() if t.kind in CERTIFICATES],
                engines=self.engines(),
            )

    def preview(self, report: Report) -> Preview | Strip | None:
        """Return what a report shows of its file: a picture and its original's sketch, or a film's or sound's strip."""
        from assay.provenance.strip import shown

        return shown(report, self.limits, self.log, self.fingerprinter, self.detector)

    def checks(self, now: dt.datetime, policy: Policy, *, online: bool = False) -> list[Check]:
        """Assemble the witnesses that a policy names, in its order; ``online`` lets those ask that have whom to."""
        from assay.provenance.checks.agreement import AgreementCheck
        from assay.provenance.checks.anchor import AnchorCheck
        from assay.provenance.checks.detector import PREFIX, DetectorCheck
        from assay.provenance.checks.manifest import ManifestCheck
        from assay.provenance.checks.marks import KnownMarksCheck, MarkCheck
        from assay.provenance.checks.metadata import MetadataCheck
        from assay.provenance.checks.receipt import ReceiptCheck

        anchors, lists = self.anchors()
        revocations = self.revocations(anchors, now, online=online)
        interim = frozenset(e.name for e in self.trust.lists() if e.standing == "interim")
        makers: dict[str, Callable[[], Check]] = {
            "manifest": lambda: ManifestCheck(anchors, lists, now, revocations, interim=interim),
            "metadata": MetadataCheck,
            "mark": lambda: MarkCheck(self.readers),
            "known-marks": lambda: KnownMarksCheck(
                cast(KnownMarks, load_plugin("assay.knownmarks", "imwatermark")())
            ),
            "receipt": lambda: ReceiptCheck(self.log, self.fingerprinter, anchors, lists, now, revocations),
            "anchor": lambda: AnchorCheck(lambda: self.keeper, online=online),
            "agreement": AgreementCheck,
        }
        for name in self.settings.detectors:
            makers[f"{PREFIX}{name}"] = partial(
                DetectorCheck, name, partial(self.detector, name), detector_kinds(name)
            )
        return [makers[name]() for name in policy.checks if name in makers]

    def anchors(self) -> tuple[list[Anchors], dict[str, str]]:
        """Return the trust lists as the engine takes them, signer lists first, and their names by URI."""
        entries = sorted(
            (e for e in self.trust.lists() if e.kind in CERTIFICATES),
            key=lambda e: (e.kind != "signer", e.kind, e.name),
        )
        anchors = []
        for entry in entries:
            data = self.trust.content(entry)
            named = issuers(data) if entry.kind == "cawg" else ()
            anchors.append(Anchors(entry.uri, entry.kind, *split_pem(data), named))
        return anchors, {e.uri: e.name for e in entries}

    def revocations(self, anchors: list[Anchors], now: dt.datetime, *, online: bool = False) -> Revocations:
        """Return who asks whether signers were revoked: the deny-list, staples, and ``online`` their authorities."""
        from assay.provenance.fetcher import Fetcher

        asks = (self.fetcher or Fetcher()) if online else None
        return Revocations(read_denials(self.home / TRUST / DENIED), anchors, now, asks)

    def engines(self) -> dict[str, str]:
        """Return the versions behind a report."""
        from assay.provenance.credentials.engine import engine_version
        from assay.provenance.files.picture import decoder_versions
        from assay.provenance.files.reel import versions
        from assay.provenance.sign import VERSION as ASSAY

        others = {name: f"{name} {version(name)}" for name in ("onnxruntime", "cryptography")}
        return {"assay": ASSAY, "c2pa": engine_version(), **decoder_versions(), **versions(), **others}

    def _key_uri(self) -> str:
        scheme, _, rest = self.settings.key.partition(":")
        if scheme == "file" and not Path(rest).is_absolute():
            return f"file:{self.home / rest}"
        return self.settings.key

    def _ledger_url(self) -> str:
        return sqlite_url(self.home, self.settings.ledger)

    def _read_secret(self, path: Path) -> bytes:
        try:
            mode = path.stat().st_mode
            data = path.read_bytes()
        except OSError as error:
            raise CredentialError(f"the ledger key cannot be read: {error.strerror}", path=path) from error
        if os.name == "posix" and mode & 0o077:
            raise CredentialError("other users can read the ledger key", path=path, hint=f"chmod 0400 {path}")
        if len(data) != SEED_BYTES:
            raise CredentialError(f"the ledger key has {len(data)} bytes, not {SEED_BYTES}", path=path)
        return data
