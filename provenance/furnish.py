"""What a new workspace holds: development keys, a ledger key, an empty ledger, empty trust lists, settings."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path

from assay.provenance.errors import UsageError
from assay.provenance.keys.certificates import development_chain
from assay.provenance.keys.signers import write_key, write_secret
from assay.provenance.keys.trust import TrustStore
from assay.provenance.plugins import load_plugin
from assay.provenance.settings import KEYS, LEDGER_FILE, SETTINGS, first_settings

TRUST = "trust"
"""The folder of the trust lists in a workspace."""
SEED_BYTES = 32
"""Length of the seed of a ledger's checkpoint key."""


def sqlite_url(home: Path, setting: str) -> str:
    """Return a ledger setting as SQLAlchemy's URL: a path is a SQLite database in the workspace."""
    return setting if "://" in setting else f"sqlite:///{(home / setting).absolute()}"


def furnish(home: Path, origin: str, passphrase: bytes | None, now: dt.datetime) -> None:
    """Fill an empty folder with what a workspace needs; ``origin`` names its ledger. Raises UsageError for the name."""
    _check_name(origin)
    keys = home / KEYS
    keys.mkdir()
    keys.chmod(0o700)
    chain = development_chain(now)
    write_key(keys / "signing.key", chain.signer_key, passphrase)
    write_key(keys / "development-authority.key", chain.authority_key, passphrase)
    (keys / "signing.pem").write_bytes(chain.chain)
    (keys / "development-authority.pem").write_bytes(chain.authority)
    seed = secrets.token_bytes(SEED_BYTES)
    write_secret(keys / "ledger.seed", seed)
    TrustStore.create(home / TRUST)
    load_plugin("assay.logs", "sql").create(sqlite_url(home, LEDGER_FILE), origin=origin, seed=seed).close()
    (home / SETTINGS).write_text(first_settings(origin), "utf-8")


def _check_name(origin: str) -> None:
    if not origin.isascii() or not origin.isprintable() or any(c in origin for c in ' "+\\'):
        raise UsageError(f"unusable ledger name {origin!r}", hint="use something like example.org/ledger")
