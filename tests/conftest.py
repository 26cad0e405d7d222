from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from .studio import Studio

# The same examples each time, and no deadline: a busy machine is no failure.
settings.register_profile("assay", deadline=None, derandomize=True)
settings.load_profile("assay")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of other people's files that ASSAY_CORPUS names; tests that need it skip without."""
    folder = Path(os.environ.get("ASSAY_CORPUS") or "/nonexistent")
    if not folder.is_dir():
        pytest.skip("ASSAY_CORPUS names no folder")
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    made = Studio(tmp_path_factory.mktemp("studio"))
    yield made
    made.close()


@pytest.fixture
def desk(studio):
    made = studio.desk()
    yield made
    made.close()
