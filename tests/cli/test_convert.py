"""``assay models convert``: the published networks with random weights, from their files to a model that answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: published networks cannot be read")
pytest.importorskip("safetensors", reason="safetensors is not installed: weights cannot be kept")

from assay.cli import convert  # noqa: E402
from assay.detect.calibrate import Line  # noqa: E402
from assay.detect.fuse import Fusion  # noqa: E402
from assay.detect.networks.export import TOLERANCE, example  # noqa: E402
from assay.detect.networks.published import PUBLISHED, restore  # noqa: E402
from assay.detect.networks.registry import build  # noqa: E402
from assay.detect.panels import write_fusion  # noqa: E402
from assay.detect.runtime import Session  # noqa: E402
from assay.detect.store import Store, read_card  # noqa: E402

PHOTO = Path(convert.__file__).with_name("data") / "photo.jpg"
TINY_CLIP = {"width": 32, "depth": 2, "heads": 2, "patch": 8, "side": 32}


def drawn(architecture, **settings):
    """A network of ours with random weights and running means that are not those of a new one."""
    torch.manual_seed(4)
    model = build(architecture, **settings).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_mean", "vote.linear.weight")):
                tensor.copy_(torch.randn_like(tensor) / 10)
    return model


def npr(folder, name="NPR.pth"):
    """NPR's file as its authors write it, and our network with the same weights."""
    model = drawn("npr")
    state = {}
    for key, tensor in model.state_dict().items():
        if key.startswith("vote.linear."):
            state[f"fc1.{key.removeprefix('vote.linear.')}"] = (
                tensor[:, :, 0, 0] if tensor.ndim == 4 else tensor
            )
        else:
            state[key.removeprefix("trunk.")] = tensor
    torch.save({"model": state}, folder / name)
    return folder / name, model


def said(card, data, model):
    """What the model answers and what torch says, on crops of its side."""
    given = example(model, card.input.side, 2)
    with torch.no_grad():
        return Session.of(card, data).run(given.numpy()), model(given).numpy()


def test_npr_from_its_checkpoint_to_a_model_that_answers(terminal, desk):
    file, network = npr(desk.folder)
    answer = terminal("models", "convert", "npr", file, "--licence", "MIT", "--json")
    row = json.loads(answer.out)
    assert (row["name"], row["format"], row["licence"], row["family"]) == ("npr", "onnx", "MIT", "residual")
    assert "weighs nothing" in answer.err
    shown = terminal("models", "show", "npr").out
    assert "Tan et al., CVPR 2024" in shown
    assert "difference of logits" in shown
    model = Store(desk.workspace.home / "models").verify("npr")
    (figure,) = model.card.measured
    assert 0 <= figure.value <= TOLERANCE
    found, expected = said(model.card, model.read(), network)
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)
    terminal("models", "remove", "npr")


def test_tensors_are_kept_where_they_are_asked_for(terminal, desk):
    file, network = npr(desk.folder)
    arguments = ("models", "convert", "npr", file, "--licence", "MIT", "--name", "ours", "--safetensors")
    answer = terminal(*arguments, "--into", desk.folder / "made")
    assert "as safetensors, which torch runs" in answer.err
    card, data = read_card(desk.folder / "made")
    assert (card.name, card.weights.format, card.architecture) == ("ours", "safetensors", "npr")
    assert card.measured[0].value == 0
    found, expected = said(card, data, network)
    assert found == pytest.approx(expected, abs=1e-5)
    assert terminal(*arguments, "--into", desk.folder / "made", expect=None).code == 2
    terminal("models", "add", desk.folder / "made")
    assert "ok" in terminal("models", "verify", "ours").out


def test_a_picture_is_scanned_by_tensors(terminal, desk):
    """Pictures are decoded in children of this process, and torch is asked after that."""
    file, _ = npr(desk.folder)
    terminal("models", "convert", "npr", file, "--licence", "MIT", "--safetensors")
    line = Line(0.01, 0.0, 0.7, 4, 4, 80)
    fusion = Fusion("by hand", {"npr": 1.0}, 0.0, {"small": line, "fine": line}, ())
    write_fusion(desk.workspace.home / "models" / "panel.json", fusion)
    (row,) = map(json.loads, terminal("detect", "scan", PHOTO, "--json").out.splitlines())
    assert row["status"] == "ok"
    again = json.loads(terminal("detect", "scan", PHOTO, "--json").out)
    assert again["score"] == row["score"] != 0.5


def test_what_cannot_be_converted_is_said(terminal, desk):
    file, _ = npr(desk.folder)
    for arguments, code, says in (
        (("npr", file), 2, "licence of npr's weights is not known"),
        (("dire", file), 2, "no published detector 'dire'"),
        (("cnndetection", file), 4, "no head"),
        (("npr", file, "--licence", "MIT", "--setting", "width"), 2, "NAME=VALUE"),
        (("npr", file, "--licence", "MIT", "--setting", "width=wide"), 2, "cannot be built"),
        (("npr", file, "--licence", "MIT", "--setting", "width=32"), 4, "another architecture"),
    ):
        assert says in terminal("models", "convert", *arguments, expect=code).err
    assert not list((desk.workspace.home / "models").glob("*.json"))


def test_a_program_in_a_checkpoint_is_not_run(terminal, desk):
    class Evil:
        def __reduce__(self):
            return (open, (str(desk.folder / "ran"), "w"))

    torch.save({"model": {"fc1.weight": Evil()}}, desk.folder / "evil.pth")
    answer = terminal("models", "convert", "npr", desk.folder / "evil.pth", "--licence", "MIT", expect=4)
    assert "more than tensors" in answer.err
    assert not (desk.folder / "ran").exists()


def test_cnndetection_is_resnet_50_whole(terminal, desk):
    """25 million numbers, its licence known."""
    model = drawn("resnet50")
    state = {k.removeprefix("trunk."): v for k, v in model.state_dict().items() if k.startswith("trunk.")}
    state |= {
        "fc.weight": model.vote.linear.weight[:, :, 0, 0].detach(),
        "fc.bias": model.vote.linear.bias.detach(),
    }
    torch.save({"model": state, "total_steps": 1}, desk.folder / "blur.pth")
    terminal("models", "convert", "cnndetection", desk.folder / "blur.pth", "--into", desk.folder / "made")
    card, data = read_card(desk.folder / "made")
    assert (card.licence, card.weights.format, card.input.side) == ("CC-BY-NC-SA-4.0", "onnx", 224)
    found, expected = said(card, data, model)
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)


# ----------------------------------------------------------------------- backbones of other libraries


def settings(given):
    return [word for name, value in given.items() for word in ("--setting", f"{name}={value}")]


@pytest.mark.parametrize(("kind", "projection"), [("univfd", 24), ("effort", 0)])
def test_clip_with_a_head_in_another_file(terminal, desk, kind, projection):
    pytest.importorskip("transformers", reason="transformers is not installed: CLIP cannot be tried")
    chosen = {**TINY_CLIP, "projection": projection}
    model = drawn("clip", **chosen)
    theirs = model.state_dict()
    backbone = {k: v for k, v in theirs.items() if not k.startswith("linear.")}
    head = {k.removeprefix("linear."): v for k, v in theirs.items() if k.startswith("linear.")}
    if kind == "effort":
        backbone = {k.replace("vision_model.", "backbone."): v for k, v in backbone.items()}
        head = {f"head.{k}": v for k, v in head.items()}
    torch.save(backbone, desk.folder / "backbone.pth")
    torch.save(head, desk.folder / "head.pth")
    files = (desk.folder / "backbone.pth", desk.folder / "head.pth")
    terminal("models", "convert", kind, *files, "--licence", "MIT", *settings(chosen))
    model_there = Store(desk.workspace.home / "models").verify(kind)
    assert model_there.card.input.side == 32
    found, expected = said(model_there.card, model_there.read(), model)
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "chosen", "more"),
    [
        ("community-forensics", {}, ()),
        ("dinov3", {"model": "vit_small_patch16_dinov3", "side": 64}, ("--safetensors",)),
    ],
)
def test_networks_of_timm_s(terminal, desk, kind, chosen, more):
    """The real architecture of Community Forensics, ViT-S of 384 pixels, and the small one of DINOv3."""
    pytest.importorskip("timm", reason="timm is not installed: its networks cannot be tried")
    whole = {**PUBLISHED[kind].settings, **chosen}
    model = drawn("timm", **whole)
    torch.save(
        {k.removeprefix("backbone."): v for k, v in model.state_dict().items()}, desk.folder / "its.pth"
    )
    terminal("models", "convert", kind, desk.folder / "its.pth", *settings(chosen), *more)
    there = Store(desk.workspace.home / "models").verify(kind)
    assert there.card.weights.format == ("safetensors" if more else "onnx")
    assert there.card.licence in ("MIT", "LicenseRef-DINOv3")
    again = build("timm", **there.card.settings).eval()
    restore(again, model.state_dict())
    found, expected = said(there.card, there.read(), again)
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)
