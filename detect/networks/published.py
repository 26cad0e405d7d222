"""Reads checkpoints that others published into networks of ours, and writes states as safetensors.

A published ``.pth`` holds pickled tensors. Only ``convert``, which a person calls for one file, reads it, and only
tensors: torch's unpickler of weights knows no other object. Examining, training and ``assay models add`` do not.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from assay.detect import tensors
from assay.detect.card import MAX_WEIGHTS_BYTES
from assay.detect.networks.blocks import Witness
from assay.detect.networks.registry import build
from assay.detect.store import read_file
from assay.provenance.errors import MalformedError, UsageError
from assay.provenance.text import safe_text

State = dict[str, Tensor]

_WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Names under which training scripts keep the state among other things."""
_ZIP, _SHOWN = b"PK\x03\x04", 3


@dataclass(frozen=True, slots=True)
class Published:
    """A detector as its authors publish it: our network for it, how its names become ours, where it comes from.

    ``licence`` is that of the weights, empty where none is known here.
    """

    architecture: str
    settings: Mapping[str, float | str]
    side: int
    adapt: Callable[[State], State]
    source: str
    family: str
    licence: str = ""


def convert(kind: str, files: Sequence[Path], **settings: float | str) -> Witness:
    """Return the network of a published detector with its weights, from one file or from backbone and head.

    ``kind`` is a name of ``PUBLISHED``; ``settings`` are put over its own. Raises UsageError for another kind,
    MalformedError where the files are not such a detector's, LimitError where they are too large,
    ConfigurationError where a library is missing.
    """
    if kind not in PUBLISHED:
        raise UsageError(f"no published detector {kind!r} is known", hint=f"known: {', '.join(PUBLISHED)}")
    known = PUBLISHED[kind]
    state: State = {}
    for file in files:
        for name, tensor in _plain(read(file)).items():
            if name in state:
                raise MalformedError(f"two files hold a tensor {safe_text(name, 80)}", path=file)
            state[name] = tensor
    model = build(known.architecture, **{**known.settings, **settings})
    restore(model, known.adapt(state))
    return model


def read(path: Path) -> State:
    """Return the tensors of a ``.safetensors`` file or of a ``.pth`` as torch writes it, by name.

    The content tells which it is. Raises MalformedError where it is neither, or holds anything but tensors and plain
    values; LimitError above 2 GiB.
    """
    data = read_file(path, MAX_WEIGHTS_BYTES)
    if not data.startswith(_ZIP):
        return {name: torch.from_numpy(array) for name, array in tensors.load(data).items()}
    try:
        held = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's and the unpickler's have no common base
        raise MalformedError(
            f"holds more than tensors, or is damaged: {safe_text(error, 160)}",
            hint="ask its authors for safetensors",
            path=path,
        ) from error
    return _tensors(held, path)


def _tensors(held: object, path: Path) -> State:
    """Return the state among what a training script kept."""
    for name in _WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    if not isinstance(held, Mapping):
        raise MalformedError("holds no state of a network", path=path)
    state = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
    if not state:
        raise MalformedError("holds no tensors", path=path)
    return state


def restore(model: Witness, state: Mapping[str, Tensor]) -> None:
    """Give a network its weights: every one, and nothing besides; numbers become float32.

    Raises MalformedError where names or shapes are not the network's, or a number is not finite.
    """
    own = model.state_dict()
    wrong = sorted(own.keys() ^ state.keys()) or sorted(k for k in own if own[k].shape != state[k].shape)
    if wrong:
        shown = ", ".join(safe_text(name, 80) for name in wrong[:_SHOWN])
        raise MalformedError(
            f"these are weights of another architecture: {len(wrong)} tensors are missing, too many or of another "
            f"shape, as {shown}",
            hint="choose the kind, or the settings, that these weights were made with",
        )
    sick = sorted(name for name, tensor in state.items() if not torch.isfinite(tensor).all())
    if sick:
        raise MalformedError(f"weights that are no numbers, as in {safe_text(sick[0], 80)}")
    model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in state.items()})


def written(model: Witness) -> bytes:
    """Return the network's state as a safetensors file, named as ``restore`` wants it."""
    return tensors.save({name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()})


# ------------------------------------------------------------------------------------ names of others


def _plain(state: State) -> State:
    """Return the state without the prefix of a network trained on several devices."""
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _head(state: State, weight: str, bias: str, shape: Callable[[Tensor], Tensor]) -> State:
    """Return the last layer under our names; of two classes, how much more the second, synthetic, has."""
    if weight not in state or bias not in state:
        raise MalformedError(
            f"there is no head: {weight} and {bias} are missing", hint="give backbone and head, a file each"
        )
    rows, offset = state[weight].float(), state[bias].float()
    if rows.ndim != 2 or len(rows) not in (1, 2) or offset.shape != rows.shape[:1]:
        raise MalformedError(f"{weight} is not a layer for one or two classes")
    if len(rows) == 2:
        rows, offset = rows[1:] - rows[:1], offset[1:] - offset[:1]
    return {"weight": shape(rows), "bias": offset}


def _resnet(layer: str) -> Callable[[State], State]:
    """Return what maps a ResNet whose classifier is ``layer``: CNNDetection's and NPR's."""

    def adapt(state: State) -> State:
        head = _head(state, f"{layer}.weight", f"{layer}.bias", lambda rows: rows[:, :, None, None])
        trunk = {
            f"trunk.{name}": tensor for name, tensor in state.items() if not name.startswith(f"{layer}.")
        }
        return trunk | {f"vote.linear.{name}": tensor for name, tensor in head.items()}

    return adapt


def _univfd(state: State) -> State:
    """CLIP as transformers keeps it, and a layer by itself ("weight", "bias") or as "fc"."""
    first = "fc." if "fc.weight" in state else ""
    head = _head(state, f"{first}weight", f"{first}bias", lambda rows: rows)
    kept = {
        name: tensor
        for name, tensor in state.items()
        if name.startswith(("vision_model.", "visual_projection.")) and not name.endswith("position_ids")
    }
    return kept | {f"linear.{name}": tensor for name, tensor in head.items()}


def _effort(state: State) -> State:
    """CLIP's picture half with layers in two parts: fixed, and what was learned, U diag(S) V; here they are one."""
    kept: State = {}
    for name, tensor in state.items():
        if not name.startswith("backbone.") or name.endswith("position_ids"):
            continue
        ours = f"vision_model.{name.removeprefix('backbone.').removeprefix('vision_model.')}"
        layer, _, last = name.rpartition(".")
        if last == "weight_main":
            kept[ours.removesuffix("_main")] = _whole(state, layer)
        elif last not in ("S_residual", "U_residual", "V_residual", "S_r", "U_r", "V_r"):
            kept[ours] = tensor
    head = _head(state, "head.weight", "head.bias", lambda rows: rows)
    return kept | {f"linear.{name}": tensor for name, tensor in head.items()}


def _whole(state: State, layer: str) -> Tensor:
    """Return a layer's weights, fixed and learned."""
    main = state[f"{layer}.weight_main"].float()
    parts = [state.get(f"{layer}.{part}_residual") for part in "USV"]
    if all(part is None for part in parts):
        return main
    try:
        left, values, right = (part.float() for part in parts if part is not None)
        learned: Tensor = left @ torch.diag(values) @ right
        return main + learned
    except (RuntimeError, ValueError) as error:
        raise MalformedError(f"the parts of {safe_text(layer, 80)} do not fit each other") from error


def _timm(prefix: str) -> Callable[[State], State]:
    """Return what maps a network of timm's kept under ``prefix``, its last layer's name ``head``."""

    def adapt(state: State) -> State:
        plain = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        first = "" if "weight" in plain else "head."
        head = _head(plain, f"{first}weight", f"{first}bias", lambda rows: rows)
        named = {f"{first}weight", f"{first}bias", "head.weight", "head.bias"}
        kept = {f"backbone.{name}": tensor for name, tensor in plain.items() if name not in named}
        return kept | {f"backbone.head.{name}": tensor for name, tensor in head.items()}

    return adapt


PUBLISHED = {
    "cnndetection": Published(
        "resnet50",
        {},
        224,
        _resnet("fc"),
        "Wang et al., CVPR 2020; peterwang512/CNNDetection",
        "convolutional",
        "CC-BY-NC-SA-4.0",
    ),
    "npr": Published(
        "npr",
        {},
        224,
        _resnet("fc1"),
        "Tan et al., CVPR 2024; chuangchuangtan/NPR-DeepfakeDetection",
        "residual",
    ),
    "univfd": Published(
        "clip",
        {},
        224,
        _univfd,
        "Ojha et al., CVPR 2023; WisconsinAIVision/UniversalFakeDetect, openai/clip-vit-large-patch14",
        "semantic",
        "MIT",
    ),
    "effort": Published(
        "clip",
        {"projection": 0},
        224,
        _effort,
        "Yan et al., ICML 2025; YZY-stack/Effort-AIGI-Detection",
        "semantic",
    ),
    "community-forensics": Published(
        "timm",
        {"model": "vit_small_patch16_384", "side": 384, "imagenet": True},
        384,
        _timm("vit."),
        "Park and Owens, CVPR 2025; OwensLab/commfor-model-384",
        "semantic",
        "MIT",
    ),
    "dinov3": Published(
        "timm",
        {"model": "vit_large_patch16_dinov3"},
        256,
        _timm("backbone."),
        "timm/vit_large_patch16_dinov3.lvd1689m",
        "semantic",
        "LicenseRef-DINOv3",
    ),
}
"""The detectors whose files are known, by name."""
