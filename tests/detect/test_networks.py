"""The networks: what goes in and comes out, what they must not see, and that the exported model is the same one."""

from __future__ import annotations

import time

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the networks cannot be tried")

from assay.detect.networks.export import TOLERANCE, difference, example, export  # noqa: E402
from assay.detect.networks.registry import NETWORKS, build, count  # noqa: E402
from assay.detect.networks.residual import FILTERS, kernels  # noqa: E402
from assay.provenance.errors import UsageError  # noqa: E402

SIDE = 64
SMALL = {
    "residual": {"width": 8},
    "frequency": {"width": 16, "depth": 1},
    "resnet50": {"width": 8},
    "xception": {"width": 8},
    "mobile": {"width": 0.25},
    "vit-s": {"width": 48, "depth": 2, "heads": 3, "side": SIDE},
    "cnn-lstm": {"width": 8, "hidden": 8},
    "npr": {"width": 8},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(name, **settings):
    torch.manual_seed(3)
    return build(name, **(SMALL[name] | settings))


def seen(name, **settings):
    """A small network whose normalisation has seen crops, so that examining does not see an untouched one."""
    model = small(name, **settings).train()
    with torch.no_grad():
        model(example(model, SIDE, 4))
    return model.eval()


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    opened = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda crops: opened.run(["logit"], {opened.get_inputs()[0].name: crops})[0]


def test_all_networks_are_tried_here():
    assert set(SMALL) == set(NETWORKS) - {"clip", "timm"}, "tests/detect/test_published.py has those"


@pytest.mark.parametrize("name", SMALL)
def test_each_crop_has_one_logit_and_every_weight_learns(name):
    model = small(name).train()
    crops = example(model, SIDE, 4)
    logit, places = model.evidence(crops)
    assert logit.shape == (4,)
    assert logit.dtype == torch.float32
    assert places.ndim == 3
    assert places.shape[0] == 4
    wanted = torch.tensor([0.0, 1.0, 0.0, 1.0])
    torch.nn.functional.binary_cross_entropy_with_logits(logit, wanted).backward()
    still = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


@pytest.mark.parametrize("name", SMALL)
def test_crops_do_not_hear_each_other(name):
    model = seen(name)
    crops = example(model, SIDE, 3)
    with torch.no_grad():
        together, alone = model(crops), torch.cat([model(crop[None]) for crop in crops])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_map_explains_the_logit(name):
    model = seen(name)
    with torch.no_grad():
        logit, places = model.evidence(example(model, SIDE, 3))
    mean = places.flatten(1).mean(1)
    if name == "residual":  # its highest places count besides
        assert (logit > mean).all()
        assert (logit < places.flatten(1).max(1).values).all()
    else:
        torch.testing.assert_close(logit, mean, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["residual", "frequency", "cnn-lstm"])
def test_light_is_not_seen(name):
    model = seen(name)
    crops = 0.3 + 0.4 * example(model, SIDE, 3)
    with torch.no_grad():
        assert (model(crops + 0.2) - model(crops)).abs().max() < 1e-3


def test_strength_of_grain_is_not_seen_where_residuals_are_relative():
    grain = example(small("residual"), SIDE, 3) / 20
    moved = {}
    for relative in (False, True):
        model = seen("residual", relative=relative)
        with torch.no_grad():
            left = model.residuals(0.3 + grain), model.residuals(0.3 + 1.5 * grain)
        moved[relative] = float((left[1] - left[0]).abs().mean())
    assert moved[True] < moved[False] / 5


def test_filters_leave_nothing_of_light_and_of_grey_colour_nothing_in_two_planes():
    filters = kernels()
    assert filters.shape == (3 * len(FILTERS), 3, 5, 5)
    assert filters.sum((1, 2, 3)).abs().max() < 1e-6
    grey = example(small("residual"), SIDE, 2)[:, :1].expand(-1, 3, -1, -1)
    left = torch.nn.functional.conv2d(grey, filters)
    assert left[:, : len(FILTERS)].abs().mean() > 0.01
    assert left[:, len(FILTERS) :].abs().max() < 1e-6


def test_cosines_are_an_orthonormal_transform():
    from scipy.fft import dctn

    model = small("frequency")
    block = example(model, 8, 1)
    found = model.places(block)[0, :63, 0, 0]
    luma = np.tensordot([0.299, 0.587, 0.114], block[0].numpy(), 1)
    floor = 0.25 / 255
    expected = np.log(np.abs(dctn(luma, norm="ortho")).ravel()[1:] + floor) - np.log(floor)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_the_residual_network_learns_to_see_upsampling_whatever_the_grid():
    """Neighbours that are copies of one another, from an even and from an odd place on."""
    torch.manual_seed(5)
    model = build("residual", width=8).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    made = torch.rand(8, 3, 32, 32).repeat_interleave(2, 2).repeat_interleave(2, 3)
    real = torch.rand(8, 3, 64, 64)
    crops = 0.4 + 0.02 * torch.cat([made[:, :, :56, :56], made[:, :, 1:57, 1:57], real[:, :, :56, :56]])
    wanted = torch.tensor([1.0] * 16 + [0.0] * 8)
    for _ in range(12):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(crops), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits = model(crops)
    assert logits[:16].min() > logits[16:].max()


# --------------------------------------------------------------------------------------------- export


@pytest.mark.parametrize("name", SMALL)
def test_onnx_runtime_answers_as_torch_does(name, tmp_path):
    model = seen(name)
    file = tmp_path / "model.onnx"
    export(model, SIDE, file)
    data = file.read_bytes()
    assert b"BatchNormalization" not in data
    assert b".py" not in data, "it names the source that it was made with"
    assert difference(model, SIDE, session(file)) <= TOLERANCE


def test_another_model_is_not_the_same(tmp_path):
    model, file = seen("residual"), tmp_path / "model.onnx"
    export(model, SIDE, file)
    first = file.read_bytes()
    export(model, SIDE, file)
    assert file.read_bytes() == first
    with torch.no_grad():
        model.vote.linear.weight.mul_(1.1)
    assert difference(model, SIDE, session(file)) > TOLERANCE


def test_export_leaves_a_model_in_training_as_it_was(tmp_path):
    model = small("residual").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    export(model, SIDE, tmp_path / "model.onnx")
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_crops_smaller_than_the_network_takes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="at least 48 pixels"):
        export(small("residual"), 40, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SMALL)
def test_the_smallest_side_is_enough(name):
    model = small(name).eval()
    with torch.no_grad():
        assert model(example(model, model.least, 1)).isfinite().all()


# ------------------------------------------------------------------------------------ names and budgets


def test_names_and_settings_that_are_not_there_are_named():
    with pytest.raises(UsageError, match="no network 'resnet'") as caught:
        build("resnet")
    assert "resnet50" in caught.value.hint
    for settings in (
        {"colour": 1},
        {"width": 0},
        {"width": -3},
        {"width": "wide"},
        {"width": 10**9},
        {"width": 4000, "depth": 60},
        {"depth": float("nan")},
        {"dropout": 2},
    ):
        with pytest.raises(UsageError, match="cannot be built"):
            build("residual", **settings)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("residual", 100_000, 500_000),
        ("frequency", 50_000, 500_000),
        ("resnet50", 23_500_000, 23_520_000),  # the paper's, with one class instead of a thousand
        ("xception", 20_800_000, 20_820_000),
        ("mobile", 4_000_000, 4_020_000),
        ("vit-s", 21_000_000, 22_000_000),
        ("cnn-lstm", 100_000, 500_000),
    ],
)
def test_networks_are_of_the_size_they_say(name, least, most):
    with torch.device("meta"):
        assert least <= count(build(name)) <= most


def test_states_hold_what_was_learned_and_nothing_twice():
    for name in SMALL:
        state = small(name).state_dict()
        assert len({value.data_ptr() for value in state.values() if value.numel()}) == sum(
            value.numel() > 0 for value in state.values()
        )
    assert "filters" not in small("residual").state_dict()


def test_nine_crops_are_examined_at_once(tmp_path):
    """Processor time, so that a busy machine does not matter much; best of six."""
    torch.manual_seed(0)
    model = build("residual").eval()
    export(model, 160, tmp_path / "model.onnx")
    run, crops, times = session(tmp_path / "model.onnx"), example(model, 160, 9).numpy(), []
    for _ in range(6):
        start = time.process_time()
        run(crops)
        times.append(time.process_time() - start)
    assert min(times) < 0.15
