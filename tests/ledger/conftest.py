from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner

from .worlds import ORIGIN


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real files named by ASSAY_CORPUS; tests that need it skip without."""
    folder = Path(os.environ.get("ASSAY_CORPUS", "/nonexistent"))
    if not folder.is_dir():
        pytest.skip("ASSAY_CORPUS names no folder")
    return folder


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner.from_seed(ORIGIN, b"test seed of the ledger room 123")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def log(url: str, signer: NoteSigner):
    with SqlLog.create(url, ORIGIN, signer) as log:
        yield log
