"""Published detectors: the networks that others trained, built so that their weights fit (``published`` reads them).

Backbones of CLIP and of timm's many come from transformers and timm where these are installed, and are built with
random weights: nothing is fetched. A picture is given at its own scale here as everywhere.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Normalise, Vote, Witness
from assay.detect.networks.resnet import Trunk
from assay.provenance.errors import ConfigurationError, UsageError

CLIP_MEAN, CLIP_SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What CLIP's pictures are normalised with (Radford et al., ICML 2021)."""


SIDED = ("vit_", "deit", "beit", "eva", "swin")
"""What timm's names of networks that are built for one side begin with."""


class Npr(Witness):
    """Neighbouring pixels' differences under half a ResNet-50 (Tan et al., CVPR 2024); ``width`` 64 is theirs.

    Each pixel less the top left one of its 2x2 square; an odd last row or column is left out.
    """

    least = 16
    DEPTHS = (3, 4)

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.trunk = Trunk(self.DEPTHS, width, 3)
        self.vote = Vote(self.trunk.channels)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns), a place for each 8x8 pixels."""
        seen = self.normalise(crops)
        seen = seen[..., : seen.shape[2] // 2 * 2, : seen.shape[3] // 2 * 2]
        corners = functional.interpolate(seen[..., ::2, ::2], scale_factor=2, mode="nearest")
        answer: tuple[Tensor, Tensor] = self.vote(self.trunk((seen - corners) * (2 / 3)))
        return answer


class Foreign(Witness):
    """A backbone of another library that answers for a whole crop: its map has one place."""

    any_side = False

    def begin(self) -> None:
        """Keep the library's own first weights."""

    def answer(self, crops: Tensor) -> Tensor:
        """Return the logit, (n, 1)."""
        raise NotImplementedError

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, 1, 1)."""
        logit = self.answer(crops)
        return logit[:, 0], logit[:, :, None]


class Clip(Foreign):
    """CLIP's picture half under a linear layer; the settings as they stand are ViT-L/14's.

    With ``projection`` the layer sees the features that CLIP compares with text (Ojha et al., "Towards Universal
    Fake Image Detectors", CVPR 2023: UnivFD); with ``projection`` 0 those before (Yan et al., "Orthogonal Subspace
    Decomposition", ICML 2025: Effort). Raises ConfigurationError without transformers.
    """

    def __init__(
        self,
        width: int = 1024,
        depth: int = 24,
        heads: int = 16,
        patch: int = 14,
        side: int = 224,
        projection: int = 768,
    ) -> None:
        super().__init__()
        try:
            import transformers as library
        except ImportError as error:
            raise _lacking("transformers", error) from error
        self.least = side
        self.normalise = Normalise(CLIP_MEAN, CLIP_SPREAD)
        settings = library.CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            image_size=side,
            patch_size=patch,
            hidden_act="quick_gelu",
        )
        self.vision_model: nn.Module = library.CLIPVisionModelWithProjection(settings).vision_model
        self.visual_projection = nn.Linear(width, projection, bias=False) if projection else nn.Identity()
        self.linear = nn.Linear(projection or width, 1)

    def answer(self, crops: Tensor) -> Tensor:
        """Return the logit, (n, 1), of crops of the backbone's side."""
        pooled = self.vision_model(pixel_values=self.normalise(crops)).pooler_output
        logit: Tensor = self.linear(self.visual_projection(pooled))
        return logit


class Timm(Foreign):
    """Any of timm's networks with one class, as DINOv3's ("vit_large_patch16_dinov3") under a linear layer.

    ``model`` is timm's name without a tag of weights, ``side`` what its card says. ``imagenet`` normalises with
    ImageNet's mean and spread, else with what timm gives for the network. Raises UsageError for a name that timm
    does not have, ConfigurationError without timm.
    """

    def __init__(
        self, model: str = "vit_small_patch16_dinov3", side: int = 256, *, imagenet: bool = True
    ) -> None:
        super().__init__()
        try:
            import timm as library
        except ImportError as error:
            raise _lacking("timm", error) from error
        # timm would ask the network for a name that holds another source, as "hf-hub:owner/name" does.
        if not library.is_model(model) or not model.isidentifier():
            raise UsageError(
                f"timm has no network {model!r}", hint="python -c 'import timm; print(timm.list_models())'"
            )
        self.least = side
        self.backbone: Any = library.create_model(
            model, pretrained=False, num_classes=1, **_sized(model, side)
        )
        own = self.backbone.pretrained_cfg
        self.normalise = Normalise() if imagenet else Normalise(tuple(own["mean"]), tuple(own["std"]))

    def answer(self, crops: Tensor) -> Tensor:
        """Return the logit, (n, 1), of crops of the backbone's side."""
        logit: Tensor = self.backbone(self.normalise(crops))
        return logit


def _sized(model: str, side: int) -> dict[str, int]:
    """Return what tells a network of timm's its side: transformers are built for one, others take any."""
    return {"img_size": side} if model.startswith(SIDED) else {}


def _lacking(library: str, error: ImportError) -> ConfigurationError:
    return ConfigurationError(
        f"this network is built by {library}, which is not installed: {error}",
        hint="pip install 'assay[backbones]'",
    )
