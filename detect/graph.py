"""What an ONNX file says of itself, read without running it: its one input and output, its operators, its weights.

ONNX files are protocol buffers; of ONNX's schema (onnx.proto, IR version 13) only what is asked here is declared, the
rest is passed over. ONNX Runtime checks the rest when it loads the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from assay.detect.card import CROPS, FRAMES, VECTORS, Input
from assay.provenance.errors import MalformedError, UnsupportedError
from assay.provenance.text import safe_text

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Operators of ONNX itself. Others, ONNX Runtime's own among them, may open files (as its EPContext does)."""
OUTPUT = "logit"
"""Name of a detector's output: one number a crop, vector or film, higher = more synthetic."""
MAX_NODES = 200_000
"""Most operations of a file, those of inner graphs and functions included."""
_FLOAT = 1  # TensorProto.DataType
_EXTERNAL = 1  # TensorProto.DataLocation
_HINT = "docs/formats/model.md says what a detector's ONNX file must be"

# Message: {field: (number, type)}, a type in brackets where the field repeats.
_SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "graph": (7, "Graph"), "training": (20, "[Training]"), "functions": (25, "[Function]"),
    },
    "Training": {},
    "Graph": {
        "nodes": (1, "[Node]"), "initializers": (5, "[Tensor]"), "sparse": (15, "[Sparse]"),
        "inputs": (11, "[Value]"), "outputs": (12, "[Value]"),
    },
    "Function": {
        "name": (1, "string"), "domain": (10, "string"), "nodes": (7, "[Node]"), "defaults": (11, "[Attribute]"),
    },
    "Node": {"op": (4, "string"), "domain": (7, "string"), "attributes": (5, "[Attribute]")},
    "Attribute": {
        "tensor": (5, "Tensor"), "graph": (6, "Graph"), "sparse": (22, "Sparse"),
        "tensors": (10, "[Tensor]"), "graphs": (11, "[Graph]"), "sparses": (23, "[Sparse]"),
    },
    "Tensor": {"name": (8, "string"), "external": (13, "[Entry]"), "location": (14, "int32")},
    "Sparse": {"values": (1, "Tensor"), "indices": (2, "Tensor")},
    "Entry": {},
    "Value": {"name": (1, "string"), "type": (2, "Type")},
    "Type": {"tensor": (1, "TensorType")},
    "TensorType": {"element": (1, "int32"), "shape": (2, "Shape")},
    "Shape": {"dims": (1, "[Dimension]")},
    "Dimension": {"value": (1, "int64"), "name": (2, "string")},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its name and its shape, None for a dimension that is free."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """The one input and the one output of a network, both float32."""

    input: Port
    output: Port


def read_graph(data: bytes) -> Ports:
    """Return what an ONNX file takes and gives, having looked at all its operators and weights.

    Raises MalformedError where it is no ONNX file, or not a whole one; UnsupportedError where it has other than one
    float32 input and output, operators that are not ONNX's, weights in other files, or graphs for training.
    """
    model = _parsed(data)
    if not model.HasField("graph"):
        raise MalformedError("is no ONNX file: it has no graph", hint="get it again from its source")
    if model.training:
        raise UnsupportedError("holds graphs for training, which are not run here", hint=_HINT)
    own = {(f.domain, f.name) for f in model.functions}
    defaults = [a for f in model.functions for a in f.defaults]
    nodes = [n for f in model.functions for n in f.nodes]
    graphs = [model.graph]
    _look(graphs, nodes, defaults, own)
    initial = {tensor.name for tensor in model.graph.initializers}
    inputs = [_port(v) for v in model.graph.inputs if v.name not in initial]
    outputs = [_port(v) for v in model.graph.outputs]
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnsupportedError(
            f"takes {len(inputs)} inputs and gives {len(outputs)} outputs, where a detector has one of each",
            hint=_HINT,
        )
    return Ports(inputs[0], outputs[0])


def refuse_misfit(ports: Ports, given: Input) -> None:
    """Raise UnsupportedError where a network does not take what its card says, or gives other than a logit each."""
    wanted = {
        CROPS: (None, 3, given.side, given.side),
        VECTORS: (None, given.length),
        FRAMES: (None, None, 3, given.side, given.side),
    }[given.takes]
    name, shape = ports.input.name, ports.input.shape
    if name != given.takes or ports.output.name != OUTPUT:
        raise UnsupportedError(
            f"takes {name!r} and gives {ports.output.name!r}, where its card says {given.takes!r} and {OUTPUT!r}",
            hint=_HINT,
        )
    free_side = given.takes != VECTORS  # a network may be made for one side, or for all
    fits = len(shape) == len(wanted) and all(
        have == want or (have is None and free_side and place > 1 and want != 3)
        for place, (have, want) in enumerate(zip(shape, wanted, strict=True))
    )
    if not fits or ports.output.shape != (None,):
        raise UnsupportedError(
            f"has the shapes {_shown(shape)} and {_shown(ports.output.shape)}, where its card says "
            f"{_shown(wanted)} and {_shown((None,))}",
            hint=_HINT,
        )


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('free' if size is None else str(size) for size in shape)})"


def _look(graphs: list[Any], nodes: list[Any], attributes: list[Any], own: set[tuple[str, str]]) -> None:
    """Look at all operations and weights, inner graphs included; raises UnsupportedError at the first bad one."""
    count = 0
    while graphs or nodes or attributes:
        for graph in graphs:
            nodes += graph.nodes
            _inside([*graph.initializers, *_halves(graph.sparse)])
        count += len(nodes)
        if count > MAX_NODES:
            raise UnsupportedError(f"has more than {MAX_NODES} operations", hint=_HINT)
        for node in nodes:
            if node.domain not in DOMAINS and (node.domain, node.op) not in own:
                raise UnsupportedError(
                    f"uses an operator that is not ONNX's own: {safe_text(node.op, 60)} of "
                    f"{safe_text(node.domain, 60)}",
                    hint="export the network again without it",
                )
            attributes += node.attributes
        graphs, nodes = [], []
        for attribute in attributes:
            graphs += [*_given(attribute, "graph"), *attribute.graphs]
            sparse = [*_given(attribute, "sparse"), *attribute.sparses]
            _inside([*_given(attribute, "tensor"), *attribute.tensors, *_halves(sparse)])
        attributes = []


def _given(owner: Any, name: str) -> Iterator[Any]:
    if owner.HasField(name):
        yield getattr(owner, name)


def _halves(sparse: Iterable[Any]) -> Iterator[Any]:
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _inside(tensors: Iterable[Any]) -> None:
    for tensor in tensors:
        if tensor.location == _EXTERNAL or tensor.external:
            raise UnsupportedError(
                f"keeps weights in another file ({safe_text(tensor.name, 60)})",
                hint="save the network with its weights inside: a path in a model could name any file",
            )


def _port(value: Any) -> Port:
    name, kind = safe_text(value.name, 60), value.type
    if not kind.HasField("tensor") or kind.tensor.element != _FLOAT or not kind.tensor.HasField("shape"):
        raise UnsupportedError(f"{name!r} is not float32 of a known rank", hint=_HINT)
    dims = (int(d.value) if d.HasField("value") else None for d in kind.tensor.shape.dims)
    return Port(name, tuple(dims))


def _parsed(data: bytes) -> Any:
    try:
        return _model_class().FromString(data)
    except (message.DecodeError, RecursionError) as error:
        raise MalformedError(
            "is no ONNX file, or not a whole one", hint="get it again from its source"
        ) from error


@lru_cache(maxsize=1)
def _model_class() -> Any:
    """Return the class of ONNX models, in a pool of its own: the onnx package, if loaded, has another."""
    file = descriptor_pb2.FileDescriptorProto(name="assay/onnx.proto", package="assay.onnx", syntax="proto2")
    kinds = {"string": 9, "int32": 5, "int64": 3}  # FieldDescriptorProto.Type
    for name, members in _SCHEMA.items():
        made = file.message_type.add(name=name)
        for member, (number, kind) in members.items():
            plain = kind.strip("[]")
            field = made.field.add(name=member, number=number, label=3 if kind.startswith("[") else 1)
            field.type = kinds.get(plain, 11)
            if plain not in kinds:
                field.type_name = f".assay.onnx.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("assay.onnx.Model"))
