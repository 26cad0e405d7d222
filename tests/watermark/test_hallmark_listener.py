"""The network that listens: what is said where it cannot, and that it leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Media
from assay.watermark.hallmark import listener
from assay.watermark.hallmark.scheme import Hallmark

PLANE = np.random.default_rng(0).normal(128, 20, (64, 64)).astype(np.float32)


@pytest.fixture(autouse=True)
def loaded_anew():
    listener._session.cache_clear()
    yield
    listener._session.cache_clear()


def test_without_the_runtime_a_reading_fails_and_does_not_say_no_mark(monkeypatch, photo):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigurationError, match="network cannot be loaded") as caught:
        Hallmark().read(Media.still(photo("coffee.png")))
    assert "onnxruntime" in caught.value.hint


def test_networks_that_are_missing_changed_or_broken_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(listener, "files", lambda package: tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        listener.by_network(PLANE)
    (tmp_path / listener.WEIGHTS).write_bytes(b"not a network")
    with pytest.raises(ConfigurationError, match="not the one"):
        listener.by_network(PLANE)
    monkeypatch.setattr(listener, "SHA256", hashlib.sha256(b"not a network").hexdigest())
    with pytest.raises(ConfigurationError, match="ONNX Runtime cannot load") as caught:
        listener.by_network(PLANE)
    assert caught.value.hint


def test_what_the_runtime_refuses_is_translated(monkeypatch):
    monkeypatch.setattr(listener, "senses", lambda plane: np.zeros((3, *plane.shape), np.float32))
    with pytest.raises(ConfigurationError, match="ONNX Runtime cannot run"):
        listener.by_network(PLANE)


def test_listening_leaves_nothing_in_the_home(tmp_path):
    """Releases of ONNX Runtime from 1.29 on write an identifier of the machine there when they are imported."""
    code = (
        "import numpy as np; from assay.watermark.hallmark.listener import by_network;"
        "by_network(np.zeros((64, 64), np.float32))"
    )
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    subprocess.run(
        [sys.executable, "-c", code], env={**keep, "HOME": str(tmp_path)}, cwd=tmp_path, check=True
    )
    assert not list(tmp_path.iterdir())
