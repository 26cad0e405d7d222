"""Signers: keys named by URI, asked to sign one message at a time."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import cryptography.hazmat.backends.openssl.backend  # noqa: F401  a sealed child, which signs, can load nothing
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from assay.provenance.asset import Digest
from assay.provenance.errors import CredentialError, UsageError
from assay.provenance.keys.certificates import DEVELOPMENT, describe, eku_problem, load_pem

Passphrase = Callable[[str], bytes | None]
"""Called with what it is for; returns the passphrase, or None where nobody can give one."""

MAX_SECRET_BYTES = 1 << 16
"""Most bytes read of a key file."""
LEAST_MARK_SECRET = 16
"""Fewest bytes of a watermark key."""
PUBLIC_MARK_KEY = "public:"
"""The URI of the watermark key that everybody knows."""

_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("es256", hashes.SHA256()),
    "secp384r1": ("es384", hashes.SHA384()),
    "secp521r1": ("es512", hashes.SHA512()),
}


class Signer(Protocol):
    """Signs claims; whoever holds the key decides what it signs.

    ``alg`` is the C2PA name (es256, es384, es512, ps256, ed25519), ``chain`` the PEM certificates, leaf first.
    """

    alg: str
    chain: bytes

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message`` (ECDSA in DER)."""
        ...


@dataclass(frozen=True, slots=True)
class SignerContext:
    """What a key URI may need to be opened: a passphrase callback and the environment."""

    passphrase: Passphrase
    environ: Mapping[str, str]


class KeySigner:
    """A private key in this process's memory, checked against its certificate chain."""

    def __init__(self, private: bytes, chain: bytes, origin: str, passphrase: Passphrase) -> None:
        self._key = _load_key(private, origin, passphrase)
        self.chain = chain
        self.alg, self._hash = _algorithm(self._key, origin)
        leaf = load_pem(chain, origin)[0]
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        if leaf.public_key().public_bytes(
            serialization.Encoding.DER, spki
        ) != self._key.public_key().public_bytes(serialization.Encoding.DER, spki):
            raise CredentialError(
                "the key does not belong to the first certificate of the chain",
                path=origin,
                hint="leaf first",
            )

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``."""
        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            assert self._hash is not None
            return key.sign(message, ec.ECDSA(self._hash))
        if isinstance(key, rsa.RSAPrivateKey):
            digest = hashes.SHA256()
            return key.sign(message, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), digest)
        return key.sign(message)


_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _load_key(private: bytes, origin: str, passphrase: Passphrase) -> _Key:
    secret = passphrase(origin) if b"ENCRYPTED" in private else None
    try:
        key = serialization.load_pem_private_key(private, secret)
    except TypeError as error:
        raise CredentialError("the key is encrypted", path=origin, hint="give its passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialError(
            "the key cannot be read",
            path=origin,
            hint="a PEM private key and the right passphrase are needed",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise CredentialError("the key is of a kind that C2PA does not use", path=origin, hint="use P-256")
    return key


def _algorithm(key: _Key, origin: str) -> tuple[str, hashes.HashAlgorithm | None]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519", None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < 2048:
            raise CredentialError("an RSA key of less than 2048 bits", path=origin, hint="use P-256")
        return "ps256", None
    if key.curve.name not in _CURVES:
        raise CredentialError(
            f"curve {key.curve.name} is not one that C2PA uses", path=origin, hint="use P-256"
        )
    return _CURVES[key.curve.name]


class FileSigner(KeySigner):
    """``file:PATH``: a PKCS#8 PEM file that only its owner can read."""

    @classmethod
    def open(cls, rest: str, chain: bytes, context: SignerContext) -> FileSigner:
        """Read the key file; raises CredentialError if it is missing, readable by others or of no use."""
        path = Path(rest).expanduser()
        return cls(_read_file(path), chain, str(path), context.passphrase)


class EnvironmentSigner(KeySigner):
    """``env:NAME``: a PKCS#8 PEM key in an environment variable, for machines that inject secrets."""

    @classmethod
    def open(cls, rest: str, chain: bytes, context: SignerContext) -> EnvironmentSigner:
        """Read the variable; raises CredentialError if it is not set or of no use."""
        return cls(_read_variable(rest, context.environ), chain, f"env:{rest}", context.passphrase)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            secret = stream.read(MAX_SECRET_BYTES)
    except OSError as error:
        raise CredentialError(
            f"the key cannot be read: {error.strerror}", path=path, hint="see 'assay keys show'"
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise CredentialError("other users can read the key", path=path, hint=f"chmod 0400 {path}")
    return secret


def _read_variable(name: str, environ: Mapping[str, str]) -> bytes:
    secret = environ.get(name)
    if not secret:
        raise CredentialError(f"the environment variable {name} holds no key", hint=f"set {name}")
    return secret.encode()


def read_secret(uri: str, home: Path, environ: Mapping[str, str]) -> bytes:
    """Return what a ``file:`` or ``env:`` URI names, as it is; a bare path means ``file:``, relative to ``home``.

    Raises CredentialError where there is nothing, or others can read the file; UsageError for another kind of URI.
    """
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "env":
        return _read_variable(rest, environ)
    if colon and scheme != "file":
        raise UsageError(f"unknown kind of key {scheme!r}", hint="one of env, file")
    return _read_file(home / Path(rest if colon else uri).expanduser())


def read_mark_key(uri: str, home: Path, environ: Mapping[str, str]) -> bytes:
    """Return the secret that a ``file:`` or ``env:`` URI names, byte by byte; empty for ``public:``.

    Raises as ``read_secret``, and CredentialError where the secret is too short or too long to be one. What is no
    URI is not repeated in the message: it may be the secret itself.
    """
    if uri == PUBLIC_MARK_KEY:
        return b""
    if not uri.startswith(("file:", "env:")):
        raise UsageError(
            "a watermark key is named by file:PATH, env:NAME or public:",
            hint="the key itself is never written",
        )
    secret = read_secret(uri, home, environ)
    if not LEAST_MARK_SECRET <= len(secret) < MAX_SECRET_BYTES:
        raise CredentialError(
            f"a watermark key has {LEAST_MARK_SECRET} to {MAX_SECRET_BYTES - 1} bytes",
            path=uri,
            hint="make one with 'assay keys mark'",
        )
    return secret


def open_signer(uri: str, chain: bytes, context: SignerContext) -> Signer:
    """Open a signer by key URI through the ``assay.signers`` entry points; a bare path means ``file:``."""
    scheme, colon, rest = uri.partition(":")
    if not colon:
        scheme, rest = "file", uri
    found = {e.name: e for e in entry_points(group="assay.signers")}
    if scheme not in found:
        raise UsageError(f"unknown kind of key {scheme!r}", hint=f"one of {', '.join(sorted(found))}")
    signer: Signer = found[scheme].load().open(rest, chain, context)
    return signer


def check_certificate(chain: bytes, origin: str, now: dt.datetime) -> x509.Certificate:
    """Return the leaf of a chain; raises CredentialError if it is expired, not yet valid or may not sign."""
    leaf = load_pem(chain, origin)[0]
    if now > leaf.not_valid_after_utc:
        raise CredentialError(
            f"the signing certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}",
            path=origin,
            hint="renew it; for development, 'assay keys new'",
        )
    if now < leaf.not_valid_before_utc:
        raise CredentialError(
            f"the signing certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            path=origin,
            hint="check this machine's clock",
        )
    problem = eku_problem(leaf)
    if problem:
        raise CredentialError(
            problem, path=origin, hint="ask your authority for an emailProtection certificate"
        )
    return leaf


def is_development(chain: bytes, origin: str) -> bool:
    """Whether a chain's leaf was made by ``assay init`` or ``assay keys new``."""
    return describe(load_pem(chain, origin)[0]).organization == DEVELOPMENT


def certificate_digest(chain: bytes, origin: str) -> Digest:
    """Return the SHA-256 of the leaf (DER)."""
    digest = describe(load_pem(chain, origin)[0]).certificate
    assert digest is not None
    return digest


def write_key(path: Path, private: bytes, passphrase: bytes | None) -> None:
    """Write a private key (PEM) as PKCS#8, encrypted if there is a passphrase, born 0400 and never overwritten."""
    key = serialization.load_pem_private_key(private, None)
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    data = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    write_secret(path, data)


def write_secret(path: Path, data: bytes) -> None:
    """Write a secret with O_EXCL and mode 0400; raises CredentialError if the file exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError as error:
        raise CredentialError(
            "a key is already there", path=path, hint="keys are never overwritten"
        ) from error
    except OSError as error:
        raise CredentialError(f"the key cannot be written: {error.strerror}", path=path) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
