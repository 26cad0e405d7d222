"""Writes judges as ONNX, standardisation inside. Format: docs/formats/model.md."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from assay.detect.card import VECTORS
from assay.detect.networks.export import OPSET
from assay.detect.train.judge import Bench


def export_judges(bench: Bench, path: Path) -> None:
    """Write all judges as one network: vectors (n, length) float32 to the mean logit (n,); any number at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the older exporter says that it is the older one; the newer needs onnxscript
        torch.onnx.export(
            bench.eval(),
            (torch.zeros(2, bench.length),),
            str(path),
            input_names=[VECTORS],
            output_names=["logit"],
            dynamic_axes={VECTORS: {0: "n"}, "logit": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
