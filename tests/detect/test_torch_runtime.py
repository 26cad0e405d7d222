"""Models that are kept as tensors: torch gives the scores that ONNX Runtime gives, and looks at them first."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: safetensors models cannot be run")
pytest.importorskip("safetensors", reason="safetensors is not installed: weights cannot be kept")

from assay.detect import tensors  # noqa: E402
from assay.detect.card import Input  # noqa: E402
from assay.detect.networks.export import TOLERANCE, export  # noqa: E402
from assay.detect.networks.published import written  # noqa: E402
from assay.detect.networks.registry import build  # noqa: E402
from assay.detect.runtime import BATCH, Session  # noqa: E402
from assay.detect.store import Store, bare_card  # noqa: E402
from assay.provenance.errors import ConfigurationError, MalformedError  # noqa: E402

from .weights import card, crops, weights_of  # noqa: E402

SIDE = 48


def model(seed=3, **settings):
    torch.manual_seed(seed)
    return build("residual", width=8, **settings).eval()


def offer(data, **changes):
    made = {
        "weights": weights_of(data, "safetensors"),
        "architecture": "residual",
        "settings": {"width": 8},
        "input": Input("crops", SIDE, 9, 64),
    }
    return card(data, **{**made, **changes})


def test_both_runtimes_say_the_same(tmp_path):
    network = model()
    export(network, SIDE, tmp_path / "model.onnx")
    onnx = (tmp_path / "model.onnx").read_bytes()
    data = written(network)
    store = Store(tmp_path / "models", tmp_path / "shipped")
    by_torch = Session.load(store.add(offer(data), data))
    by_onnx = Session.of(replace(offer(data), weights=weights_of(onnx)), onnx)
    given = crops(2 * BATCH + 1, side=SIDE)
    said = by_torch.run(given)
    assert said.shape == (len(given),)
    assert said.std() > 0
    assert np.abs(said - by_onnx.run(given)).max() <= TOLERANCE * max(1, np.abs(said).max())
    assert by_torch.run(given[:0]).shape == (0,)


def test_opening_a_model_draws_no_random_number_of_the_caller_s():
    data = written(model())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Session.of(offer(data), data)
    assert torch.equal(torch.rand(3), expected)


def test_weights_that_are_no_numbers_are_not_run(tmp_path):
    arrays = {name: tensor.numpy() for name, tensor in model().state_dict().items()}
    name = next(n for n in arrays if n.endswith("linear.bias"))
    data = tensors.save({**arrays, name: np.full_like(arrays[name], np.nan)})
    store = Store(tmp_path / "models", tmp_path / "shipped")
    kept = store.add(offer(data), data)
    with pytest.raises(ConfigurationError, match="no numbers") as caught:
        Session.load(kept)
    assert "assay models remove" in caught.value.hint
    with pytest.raises(MalformedError, match="no numbers"):
        Session.of(offer(data), data)


def test_a_side_that_a_network_is_not_built_for_is_named_when_it_runs():
    data = written(model())
    session = Session.of(offer(data), data)
    with pytest.raises(ConfigurationError, match="mean cannot be run"):
        session.run(crops(1, side=8))


def test_weights_alone_may_be_tensors():
    data = written(build("residual"))
    made = bare_card(
        data, name="bare", kind="image", side=SIDE, crops=9, family="residual", architecture="residual", licence="MIT",
        made="2026-11-21",
    )  # fmt: skip
    assert made.weights.format == "safetensors"
    assert Session.of(made, data).run(crops(1, side=SIDE)).shape == (1,)


OUTLINE = """
import resource
from dataclasses import replace
from assay.detect import torch_runtime
from assay.detect.card import CROPS, Card, Input, Weights
card = Card("big", "1", "image", "other", "resnet50", {"width": 300}, Weights("", "", "", 0), Input(CROPS, 224, 9, 224),
            None, (), "MIT", (), (), "2026-11-21")
torch_runtime.outline(replace(card, settings={"width": 64}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shapes = torch_runtime.outline(card)
import math
print(sum(math.prod(s) for s in shapes.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_network_is_looked_at_without_the_memory_that_it_would_take():
    done = subprocess.run([sys.executable, "-c", OUTLINE], capture_output=True, text=True, check=True)
    numbers, kilobytes = map(int, done.stdout.split())
    assert numbers > 400_000_000  # 1.6 GB
    assert kilobytes < 100_000


def test_torch_is_not_loaded_for_models_that_are_onnx():
    code = "import sys, assay.detect.store, assay.detect.panels; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
