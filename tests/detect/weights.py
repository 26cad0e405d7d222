"""Small networks as files, and the cards that go with them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper

from assay.detect.calibrate import Line
from assay.detect.card import Calibration, Card, Figure, Input, Source, Weights

SIDE = 32
FREE = ("n", 3, "rows", "columns")


def network(
    shape=FREE,
    *,
    name="crops",
    output="logit",
    answers=("n",),
    element=TensorProto.FLOAT,
    scale=1.0,
    nodes=None,
    initializers=(),
    functions=(),
    domains=(),
):
    """Return an ONNX file: by default the mean of its input, times ``scale``."""
    axes = list(range(1, len(shape)))
    given = helper.make_tensor_value_info(name, element, shape)
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, answers)
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes),
        helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale]),
    ]
    made = nodes or [
        helper.make_node("ReduceMean", [name, "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], [output]),
    ]
    graph = helper.make_graph(made, "network", [given], [answer], [*constants, *initializers])
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    model.ir_version = 9
    return model.SerializeToString()


def weights_of(data, form="onnx"):
    return Weights(f"weights.{form}", form, hashlib.sha256(data).hexdigest(), len(data))


def card(data, **changes):
    """Return a whole card for weights."""
    made = Card(
        name="mean",
        version="1.2",
        kind="image",
        family="statistics",
        architecture="mean",
        settings={"width": 24, "relative": True, "top": 0.5, "mode": "plain"},
        weights=weights_of(data),
        input=Input("crops", SIDE, 9, 64),
        calibration=Calibration("newsroom-2026", {"fine": Line(1.25, -0.5, 0.9, 9, 7, 800)}),
        sources=(Source("Kodak", "https://example.org/kodak", "abc123", "CC0-1.0", 24, 0),),
        licence="Apache-2.0",
        fails=("Posters and drawings are taken for generated pictures.", "Grüße: not only ASCII."),
        measured=(
            Figure("AUC", "held-out, q90", 0.81, 0.74, 0.86, "assay detect evaluate held.csv"),
            Figure("Cllr", "held-out, q90", 1e-3, None, None, "assay detect evaluate held.csv"),
        ),
        made="2026-11-21",
    )
    return replace(made, **changes)


def crops(n=4, side=SIDE, seed=0):
    return np.random.default_rng(seed).random((n, 3, side, side), np.float32)
