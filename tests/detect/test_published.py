"""Checkpoints that others publish: read as tensors only, mapped name by name, computed as their authors do."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: published networks cannot be tried")
pytest.importorskip("safetensors", reason="safetensors is not installed: weights cannot be kept")

from torch.nn import functional as f  # noqa: E402

from assay.detect import tensors  # noqa: E402
from assay.detect.networks.export import TOLERANCE, difference, example, export  # noqa: E402
from assay.detect.networks.published import PUBLISHED, convert, read, restore, written  # noqa: E402
from assay.detect.networks.registry import build  # noqa: E402
from assay.provenance.errors import ConfigurationError, MalformedError, UsageError  # noqa: E402

TINY_CLIP = {"width": 32, "depth": 2, "heads": 2, "patch": 8, "side": 32}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def library(name):
    return pytest.importorskip(name, reason=f"{name} is not installed: its backbones cannot be tried")


def random(state, seed=1):
    made = torch.Generator().manual_seed(seed)

    def fill(name, tensor):
        if not tensor.is_floating_point():
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        noise = torch.randn(tensor.shape, generator=made)
        return noise.abs() + 0.5 if name.endswith("running_var") else noise / 10

    return {name: fill(name, tensor) for name, tensor in state.items()}


def pth(tmp_path, held, name="weights.pth"):
    torch.save(held, tmp_path / name)
    return tmp_path / name


def safe(tmp_path, state, name):
    (tmp_path / name).write_bytes(tensors.save({k: v.numpy() for k, v in state.items()}))
    return tmp_path / name


def logits(model, crops):
    with torch.no_grad():
        return model.eval()(crops)


# --------------------------------------------------------------------------------------- NPR, CNNDetection


def npr_state():
    """The names and shapes of NPR.pth, written down from the layers that the authors' code builds."""
    shapes = {"conv1.weight": (64, 3, 3, 3), "fc1.weight": (1, 512), "fc1.bias": (1,)}
    norms = {"bn1": 64}
    inputs = 64
    for layer, width, blocks in (("layer1", 64, 3), ("layer2", 128, 4)):
        for block in range(blocks):
            at = f"{layer}.{block}"
            shapes |= {
                f"{at}.conv1.weight": (width, inputs, 1, 1),
                f"{at}.conv2.weight": (width, width, 3, 3),
                f"{at}.conv3.weight": (4 * width, width, 1, 1),
            }
            norms |= {f"{at}.bn1": width, f"{at}.bn2": width, f"{at}.bn3": 4 * width}
            if not block:
                shapes[f"{at}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
                norms[f"{at}.downsample.1"] = 4 * width
            inputs = 4 * width
    for name, width in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (width,)
    state = random({name: torch.zeros(shape) for name, shape in shapes.items()})
    return state | {f"{name}.num_batches_tracked": torch.tensor(7) for name in norms}


def npr_by_hand(state, crops):
    """What the authors' network computes, step by step on the published names."""

    def norm(x, name):
        parts = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return f.batch_norm(x, *parts)

    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (crops - mean[:, None, None]) / spread[:, None, None]
    smaller = f.interpolate(x, scale_factor=0.5, mode="nearest", recompute_scale_factor=True)
    x = (x - f.interpolate(smaller, scale_factor=2, mode="nearest", recompute_scale_factor=True)) * 2.0 / 3.0
    x = f.relu(norm(f.conv2d(x, state["conv1.weight"], stride=2, padding=1), "bn1"))
    x = f.max_pool2d(x, 3, 2, 1)
    for layer, blocks in (("layer1", 3), ("layer2", 4)):
        for block in range(blocks):
            at, stride = f"{layer}.{block}", 2 if (layer, block) == ("layer2", 0) else 1
            y = f.relu(norm(f.conv2d(x, state[f"{at}.conv1.weight"]), f"{at}.bn1"))
            y = f.relu(norm(f.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1), f"{at}.bn2"))
            y = norm(f.conv2d(y, state[f"{at}.conv3.weight"]), f"{at}.bn3")
            if not block:
                x = norm(f.conv2d(x, state[f"{at}.downsample.0.weight"], stride=stride), f"{at}.downsample.1")
            x = f.relu(x + y)
    return f.linear(x.mean((2, 3)), state["fc1.weight"], state["fc1.bias"])[:, 0]


@pytest.mark.parametrize("wrapped", ["plain", "of several devices", "with its optimiser"])
def test_npr_computes_what_its_authors_network_does(tmp_path, wrapped):
    state = npr_state()
    held = {
        "plain": state,
        "of several devices": {f"module.{name}": tensor for name, tensor in state.items()},
        "with its optimiser": {"model": state, "total_steps": 5, "optimizer": {"state": {}, "lr": [0.1]}},
    }[wrapped]
    model = convert("npr", [pth(tmp_path, held)])
    crops = example(model, 64, 2)
    torch.testing.assert_close(logits(model, crops), npr_by_hand(state, crops), atol=1e-4, rtol=1e-4)


def test_a_converted_network_is_kept_and_comes_back(tmp_path):
    model = convert("npr", [pth(tmp_path, npr_state())])
    (tmp_path / "npr.safetensors").write_bytes(written(model))
    again = build("npr")
    restore(again, read(tmp_path / "npr.safetensors"))
    crops = example(model, 48, 2)
    assert torch.equal(logits(model, crops), logits(again, crops))


# ------------------------------------------------------------------------------------ what is refused


class Program:
    """What a pickle may hold: a call of anything."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("shape", ["alone", "beside tensors"])
def test_a_program_in_a_checkpoint_does_not_run(tmp_path, shape):
    program = Program(tmp_path / "it ran")
    file = pth(tmp_path, program if shape == "alone" else {**npr_state(), "extra": program})
    with pytest.raises(MalformedError, match="more than tensors"):
        convert("npr", [file])
    assert not (tmp_path / "it ran").exists()


def test_damaged_files_are_refused(tmp_path):
    whole = pth(tmp_path, npr_state()).read_bytes()
    for number, data in enumerate(
        (whole[: len(whole) // 2], whole[:100], b"", b"\x80\x02}q\x00.", b"{}" * 20)
    ):
        (tmp_path / f"{number}.pth").write_bytes(data)
        with pytest.raises(MalformedError):
            convert("npr", [tmp_path / f"{number}.pth"])


@pytest.mark.parametrize("held", [{}, [], {"model": 3}, {"model": {"a": 1}}, torch.zeros(3)])
def test_files_without_a_state_are_refused(tmp_path, held):
    with pytest.raises(MalformedError):
        convert("npr", [pth(tmp_path, held)])


def test_weights_of_another_architecture_are_refused(tmp_path):
    state = npr_state()
    narrow = {**state, "conv1.weight": torch.zeros(32, 3, 3, 3)}
    lacking = {name: tensor for name, tensor in state.items() if name != "layer1.0.conv1.weight"}
    more = {**state, "layer3.0.conv1.weight": torch.zeros(1)}
    for held in (narrow, lacking, more):
        with pytest.raises(MalformedError, match="another architecture: 1 tensor"):
            convert("npr", [pth(tmp_path, held)])
    with pytest.raises(MalformedError, match="no head"):
        convert("cnndetection", [pth(tmp_path, state)])
    with pytest.raises(MalformedError, match="one or two classes"):
        convert("npr", [pth(tmp_path, {**state, "fc1.weight": torch.zeros(3, 512)})])
    with pytest.raises(MalformedError, match="no numbers"):
        convert("npr", [pth(tmp_path, {**state, "fc1.bias": torch.tensor([float("nan")])})])


def test_one_tensor_in_two_files_is_refused(tmp_path):
    files = [pth(tmp_path, npr_state(), name) for name in ("a.pth", "b.pth")]
    with pytest.raises(MalformedError, match="two files hold"):
        convert("npr", files)


def test_other_kinds_are_named():
    with pytest.raises(UsageError, match="no published detector 'dire'") as caught:
        convert("dire", [])
    assert all(kind in caught.value.hint for kind in PUBLISHED)


@pytest.mark.parametrize(("name", "needs"), [("clip", "transformers"), ("timm", "timm")])
def test_a_library_that_is_not_there_is_named(monkeypatch, name, needs):
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(ConfigurationError, match=f"{needs}, which is not installed") as caught:
        build(name)
    assert "assay[backbones]" in caught.value.hint


# ----------------------------------------------------------------------- backbones of other libraries


def clip_published(library, projection):
    settings = library.CLIPVisionConfig(
        hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=8, hidden_act="quick_gelu", projection_dim=projection,
    )  # fmt: skip
    model = library.CLIPVisionModelWithProjection(settings).eval()
    model.load_state_dict(random(model.state_dict()))
    return model


def clip_features(model, crops):
    mean, spread = (
        np.float32([0.48145466, 0.4578275, 0.40821073]),
        np.float32([0.26862954, 0.26130258, 0.27577711]),
    )
    crops = (crops - torch.from_numpy(mean)[:, None, None]) / torch.from_numpy(spread)[:, None, None]
    with torch.no_grad():
        return model.vision_model(pixel_values=crops).pooler_output, model(pixel_values=crops).image_embeds


def test_univfd_is_clips_features_under_its_layer(tmp_path):
    published = clip_published(library("transformers"), 24)
    head = {"weight": torch.randn(1, 24), "bias": torch.tensor([0.3])}
    beside = {"text_model.final_layer_norm.bias": torch.zeros(4), "logit_scale": torch.zeros(1)}
    backbone = safe(tmp_path, published.state_dict() | beside, "clip.safetensors")
    model = convert("univfd", [backbone, pth(tmp_path, head)], **TINY_CLIP, projection=24)
    crops = example(model, 32, 3)
    _, features = clip_features(published, crops)
    torch.testing.assert_close(
        logits(model, crops), f.linear(features, head["weight"], head["bias"])[:, 0], atol=1e-4, rtol=1e-4
    )


def test_efforts_two_parts_of_a_layer_become_one(tmp_path):
    published = clip_published(library("transformers"), 24)
    state, whole = {}, published.state_dict()
    for name, tensor in whole.items():
        if not name.startswith("vision_model."):
            continue
        ours = f"module.backbone.{name.removeprefix('vision_model.')}"
        if ".self_attn." in name and name.endswith(".weight"):
            left, values, right = torch.linalg.svd(tensor)
            state[f"{ours}_main"] = left[:, :30] @ torch.diag(values[:30]) @ right[:30]
            layer = ours.removesuffix("weight")
            state |= {
                f"{layer}U_residual": left[:, 30:],
                f"{layer}S_residual": values[30:],
                f"{layer}V_residual": right[30:],
                f"{layer}S_r": values[:30],
            }
        else:
            state[ours] = tensor
    state |= {"module.head.weight": torch.randn(2, 32), "module.head.bias": torch.randn(2)}
    model = convert("effort", [pth(tmp_path, state)], **TINY_CLIP)
    crops = example(model, 32, 3)
    pooled, _ = clip_features(published, crops)
    both = f.linear(pooled, state["module.head.weight"], state["module.head.bias"])
    torch.testing.assert_close(logits(model, crops).sigmoid(), both.softmax(1)[:, 1], atol=1e-4, rtol=1e-4)


def test_clip_is_exported(tmp_path):
    library("transformers")
    torch.manual_seed(0)
    runs(build("clip", **TINY_CLIP, projection=24), 32, tmp_path)


@pytest.mark.parametrize("kind", ["univfd", "effort"])
def test_clip_s_names_and_sizes_are_those_of_the_real_one(kind):
    """ViT-L/14: 303 million numbers, 24 layers; here without memory."""
    transformers = library("transformers")
    with torch.device("meta"):
        ours = build_whole(kind)
        real = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=24,
                num_attention_heads=16,
                image_size=224,
                patch_size=14,
                projection_dim=768,
            )
        )
    wanted = {k: v.shape for k, v in real.state_dict().items() if kind == "univfd" or "projection" not in k}
    held = {k: v.shape for k, v in ours.state_dict().items() if not k.startswith("linear.")}
    assert held == wanted
    assert sum(v.numel() for v in ours.parameters()) > 303_000_000


def build_whole(kind):
    from assay.detect.networks.registry import NETWORKS

    return NETWORKS[PUBLISHED[kind].architecture](**PUBLISHED[kind].settings)


def test_community_forensics_is_timm_s_network_with_one_class(tmp_path):
    """The real architecture, 22 million numbers."""
    timm = library("timm")
    published = timm.create_model("vit_small_patch16_384", pretrained=False, num_classes=1).eval()
    file = safe(tmp_path, {f"vit.{k}": v for k, v in published.state_dict().items()}, "commfor.safetensors")
    model = convert("community-forensics", [file])
    crops = example(model, 384, 1)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = published((crops - mean[:, None, None]) / spread[:, None, None])[:, 0]
    torch.testing.assert_close(logits(model, crops), expected, atol=1e-5, rtol=1e-4)


def test_dinov3_takes_a_layer_from_another_file_and_is_exported(tmp_path):
    timm = library("timm")
    torch.manual_seed(0)
    backbone = timm.create_model("vit_small_patch16_dinov3", pretrained=False, num_classes=0, img_size=64)
    head = {"weight": torch.randn(1, 384), "bias": torch.randn(1)}
    files = [safe(tmp_path, backbone.state_dict(), "dino.safetensors"), pth(tmp_path, head)]
    model = convert("dinov3", files, model="vit_small_patch16_dinov3", side=64)
    crops = example(model, 64, 2)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        features = backbone.eval()((crops - mean[:, None, None]) / spread[:, None, None])
    torch.testing.assert_close(
        logits(model, crops), f.linear(features, head["weight"], head["bias"])[:, 0], atol=1e-4, rtol=1e-4
    )
    runs(model, 64, tmp_path)


@pytest.mark.parametrize("model", ["hf-hub:timm/vit_tiny_patch16_224", "local-dir:/tmp", "no_such_network"])
def test_timm_is_asked_for_nothing_that_it_would_fetch(model):
    library("timm")
    with pytest.raises(UsageError, match="timm has no network"):
        build("timm", model=model)


def runs(model, side, tmp_path):
    import onnxruntime

    file = tmp_path / "model.onnx"
    export(model.eval(), side, file)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    assert difference(model, side, lambda crops: session.run(["logit"], {"crops": crops})[0]) <= TOLERANCE
