"""Models on the disk: what is kept, what is refused, and what is said when somebody changed it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper

from assay.detect import runtime, tensors
from assay.detect.card import Card, Input
from assay.detect.runtime import BATCH, Session
from assay.detect.store import CARD, SHIPPED, Store, bare_card, format_of, is_card, read_card
from assay.provenance.errors import (
    ConfigurationError,
    InputError,
    LimitError,
    MalformedError,
    UnsupportedError,
    UsageError,
)
from assay.provenance.limits import Limits

from .weights import FREE, SIDE, card, crops, network, weights_of


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models", tmp_path / "shipped")


def ship(store, made, data):
    folder = store.shipped / made.name
    folder.mkdir(parents=True)
    (folder / CARD).write_bytes(made.to_bytes())
    (folder / made.weights.file).write_bytes(data)


def added(store, data, **changes):
    return store.add(card(data, **changes), data)


# ------------------------------------------------------------------------------------------- kept and used


def test_a_model_is_kept_and_runs_as_it_was(store):
    data = network(scale=3.0)
    model = added(store, data)
    assert not model.shipped
    assert model.read() == data
    assert model == store.find("mean") == store.verify("mean")
    assert store.names() == ["mean"]
    session = Session.load(model)
    for n in (0, 1, BATCH, 2 * BATCH + 1):
        given = crops(n)
        assert session.run(given) == pytest.approx(3 * given.mean((1, 2, 3)), abs=1e-5)
    assert session.run(crops(2, side=SIDE + 5)).shape == (2,)


def test_networks_of_other_inputs(store):
    vectors = network(("n", 7), name="vectors")
    added(store, vectors, name="judge", input=Input("vectors", SIDE, 9, 64, length=7))
    given = np.ones((3, 7), np.float32)
    assert Session.load(store.find("judge")).run(given).tolist() == [1, 1, 1]
    frames = network(("n", "frames", 3, SIDE, SIDE), name="frames")
    added(store, frames, name="film", kind="video", input=Input("frames", SIDE, 16, 64))
    assert Session.load(store.find("film")).run(np.ones((2, 5, 3, SIDE, SIDE), np.float32)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "given", [crops(1).astype(np.float64), crops(1)[0], (crops(1) * 255).astype(np.uint8)]
)
def test_what_is_not_crops_is_not_run(store, given):
    session = Session.load(added(store, network()))
    with pytest.raises(ValueError, match="for crops"):
        session.run(given)


def test_a_failing_network_is_named(store):
    session = Session.load(added(store, network(("n", 3, SIDE, SIDE))))
    with pytest.raises(ConfigurationError, match="mean cannot be run"):
        session.run(crops(1, side=SIDE + 1))


def test_several_models_may_share_weights(store):
    data = network()
    added(store, data)
    other = added(store, data, name="other", calibration=None)
    assert other.path == store.find("mean").path
    store.remove("mean")
    assert Session.load(store.find("other")).run(crops(1)).shape == (1,)
    store.remove("other")
    assert list(store.folder.iterdir()) == []
    with pytest.raises(UsageError, match="no model 'other'"):
        store.remove("other")


def test_a_name_is_not_taken_twice_unless_asked(store):
    data = network()
    added(store, data)
    with pytest.raises(UsageError, match="already"):
        added(store, data)
    newer = network(scale=2.0)
    store.add(card(newer, version="2"), newer, replace=True)
    assert store.find("mean").card.version == "2"
    assert store.verify("mean").read() == newer


def test_the_panel_is_no_model_and_no_model_takes_its_place(store):
    data = network()
    added(store, data)
    (store.folder / "panel.json").write_text("{}")
    assert store.names() == ["mean"]
    with pytest.raises(UsageError, match="no model is called 'panel'"):
        added(store, data, name="panel")


def test_a_shipped_model_may_be_calibrated_anew_and_not_replaced(store):
    data = network()
    ship(store, card(data), data)
    shipped = store.find("mean")
    assert shipped.shipped
    with pytest.raises(UsageError, match="ships with Assay"):
        added(store, network(scale=2.0))
    with pytest.raises(UsageError, match="ships with Assay and stays"):
        store.remove("mean")
    ours = added(store, data, calibration=None)
    assert ours.path == shipped.path
    assert [p.name for p in store.folder.iterdir()] == ["mean.json"]
    assert store.find("mean").card.calibration is None
    store.remove("mean")
    assert store.find("mean") == shipped


def test_shipped_models_are_whole():
    """Those of this repository: every card reads, every SHA-256 is right, every network has its shape."""
    shipped = Store()
    for name in shipped.names():
        assert shipped.verify(name).shipped
    total = sum(p.stat().st_size for p in SHIPPED.rglob("*") if p.suffix in (".onnx", ".safetensors"))
    assert total <= 8 << 20


def test_without_a_folder_nothing_is_added(tmp_path):
    data = network()
    with pytest.raises(UsageError, match="shipped models are not changed"):
        Store(None, tmp_path).add(card(data), data)


def test_a_model_that_is_half_written_is_not_there(store, monkeypatch):
    """The power fails between weights and card."""
    from assay.detect import store as module

    whole = module.atomic_output

    def failing(path, overwrite):
        if path.suffix == ".json":
            raise OSError("no power")
        return whole(path, overwrite=overwrite)

    monkeypatch.setattr(module, "atomic_output", failing)
    with pytest.raises(OSError, match="no power"):
        added(store, network())
    monkeypatch.undo()
    assert store.names() == []
    assert store.verify(added(store, network()).card.name)


# ------------------------------------------------------------------------------------- changed on the disk


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "change",
    [flipped, lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: network(scale=2.0)],
    ids=["a bit", "shorter", "longer", "empty", "another network"],
)
def test_weights_that_were_changed_are_not_used(store, change):
    model = added(store, network())
    model.path.write_bytes(change(model.path.read_bytes()))
    for use in (model.read, lambda: Session.load(model), lambda: store.verify("mean")):
        with pytest.raises(ConfigurationError, match="SHA-256 is not the card's") as caught:
            use()
        assert caught.value.path == str(model.path)
        assert caught.value.hint


def test_weights_that_are_gone_are_named(store):
    model = added(store, network())
    model.path.unlink()
    with pytest.raises(ConfigurationError, match="does not exist"):
        Session.load(model)
    os.mkfifo(model.path)  # nobody writes: whoever opens it to read would wait for ever
    with pytest.raises(ConfigurationError, match="not a regular file"):
        Session.load(model)


def test_a_card_that_was_changed_is_named_and_can_be_removed(store):
    added(store, network())
    path = store.folder / "mean.json"
    document = json.loads(path.read_bytes())
    for broken in (b"{", b"\0" * 10, json.dumps({**document, "name": "other"}).encode()):
        path.write_bytes(broken)
        with pytest.raises(ConfigurationError) as caught:
            store.find("mean")
        assert caught.value.path == str(path)
        assert "assay models remove mean" in caught.value.hint
    store.remove("mean")
    assert store.names() == []


def test_a_card_and_its_weights_changed_together_are_still_looked_at(store):
    """Whoever can write to the folder can make hashes fit; the network is looked at again before it is used."""
    added(store, network())
    evil = network(nodes=[helper.make_node("EPContext", ["crops"], ["logit"], domain="com.microsoft")])
    made = card(evil)
    (store.folder / "mean.json").write_bytes(made.to_bytes())
    (store.folder / f"{made.weights.sha256}.onnx").write_bytes(evil)
    for use in (lambda: Session.load(store.find("mean")), lambda: store.verify("mean")):
        with pytest.raises(ConfigurationError, match="not ONNX's own"):
            use()


# --------------------------------------------------------------------------------------- what is not weights


def pickle_of(path):
    """Return a pickle that makes a file when it is opened."""
    command = f"touch {path}".encode()
    return b"\x80\x02cposix\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R."


def torch_zip(path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_of(path))
        archive.writestr("archive/version", "3\n")
    return out.getvalue()


@pytest.mark.parametrize("name", ["weights.pth", "weights.onnx"])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (pickle_of, "pickle"),
        (torch_zip, "torch.save"),
        (lambda p: f"cposix\nsystem\n(S'touch {p}'\ntR.".encode(), "no ONNX file"),
        (lambda p: b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (lambda p: b"\x1f\x8b" + bytes(100), "gzip"),
        (lambda p: bytes(4) + b"ORTM" + bytes(100), "own format"),
        (lambda p: b"GGUF" + bytes(100), "GGUF"),
        (lambda p: b"\x7fELF" + bytes(100), "no ONNX file"),
        (lambda p: b"\n" * 1000, "no ONNX file"),
        (lambda p: bytes(1000), "no ONNX file"),
        (lambda p: b"\x08\x09", "no graph"),
        (lambda p: network()[:-40], "no ONNX file"),
    ],
)
def test_what_is_no_weights_is_refused_by_its_content(store, tmp_path, make, says, name):
    path = tmp_path / "opened"
    data = make(path)
    made = card(data, weights=replace(weights_of(data), file=name))
    with pytest.raises(InputError, match=says):
        store.add(made, data)
    with pytest.raises(InputError, match=says):
        bare_card(data, name="x", kind="image", side=SIDE, crops=9, family="other", architecture="unknown",
                  licence="MIT", made="2026-11-21")  # fmt: skip
    assert not path.exists()
    assert store.names() == []
    assert not store.folder.exists()


def test_every_truncation_is_refused(store):
    """Of an ONNX file, when the card is of the shorter file too: nothing tells but the file itself."""
    data = network()
    kept = 0
    for length in range(len(data)):
        cut = data[:length]
        try:
            runtime.refuse_at_sight(cut, card(data).input)
            kept += 1
        except InputError:
            pass
    # The last field is the version of the operators: without it the file reads, and ONNX Runtime refuses it.
    assert kept <= 1
    with pytest.raises(InputError):
        added(store, data[: len(data) - 6])


def test_a_card_of_other_weights_is_refused(store):
    data = network()
    for other in (flipped(data), data[:-1], data + b"\0"):
        with pytest.raises(MalformedError, match="where the card says"):
            store.add(card(data), other)
    swapped = replace(weights_of(data), format="safetensors", file="x.safetensors")
    with pytest.raises(UnsupportedError, match="are onnx, where the card says safetensors"):
        store.add(card(data, weights=swapped), data)
    assert store.names() == []


# ------------------------------------------------------------------------------------ what a network may be


@pytest.mark.parametrize(
    "options",
    [
        {"name": "pixel_values"},
        {"output": "probability"},
        {"shape": ("n", 3, SIDE)},
        {"shape": ("n", 1, SIDE, SIDE)},
        {"shape": ("n", "colours", SIDE, SIDE)},
        {"shape": ("n", SIDE, SIDE, 3)},
        {"shape": ("n", 3, 2 * SIDE, 2 * SIDE)},
        {"shape": (1, 3, SIDE, SIDE)},
        {"shape": None},
        {"answers": ("n", 1)},
        {"answers": (1,)},
        {"answers": ()},
        {"element": TensorProto.DOUBLE},
        {"element": TensorProto.UINT8},
    ],
    ids=str,
)
def test_a_network_of_another_shape_is_refused(store, options):
    data = network(**{"shape": FREE, **options}) if options.get("shape", FREE) else unranked()
    with pytest.raises(UnsupportedError) as caught:
        added(store, data)
    assert "docs/formats/model.md" in caught.value.hint


def unranked():
    value = helper.make_tensor_value_info("crops", TensorProto.FLOAT, None)
    answer = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["crops"], ["logit"])], "g", [value], [answer])
    return helper.make_model(graph).SerializeToString()


def test_two_inputs_are_one_too_many(store):
    one, two = (helper.make_tensor_value_info(n, TensorProto.FLOAT, FREE) for n in ("crops", "more"))
    answer = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])
    nodes = [helper.make_node("ReduceMean", ["crops"], ["logit"], axes=[1, 2, 3], keepdims=0)]
    graph = helper.make_graph(nodes, "g", [one, two], [answer])
    with pytest.raises(UnsupportedError, match="takes 2 inputs"):
        added(
            store, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
        )


def elsewhere():
    """A tensor whose numbers lie in a file of the machine's."""
    tensor = helper.make_tensor("scale", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return tensor


def in_a_branch(nodes):
    """Wrap operations into the two branches of an If."""
    empty = helper.make_graph(
        nodes, "branch", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    return helper.make_node("If", ["c"], ["b"], then_branch=empty, else_branch=empty)


def in_a_function(nodes, **more):
    return helper.make_function("own", "F", [], ["b"], nodes, [helper.make_opsetid("", 18)], **more)


PLACES = {
    "a weight": lambda: network(initializers=[elsewhere()]),
    "a constant": lambda: network(nodes=[helper.make_node("Constant", [], ["logit"], value=elsewhere())]),
    "a branch": lambda: network(
        nodes=[in_a_branch([helper.make_node("Constant", [], ["b"], value=elsewhere())])]
    ),
    "a branch of a branch": lambda: network(
        nodes=[in_a_branch([in_a_branch([helper.make_node("Constant", [], ["b"], value=elsewhere())])])]
    ),
    "a function": lambda: network(
        functions=[in_a_function([helper.make_node("Constant", [], ["b"], value=elsewhere())])], domains=["own"]
    ),
    "a function's default": lambda: network(
        functions=[in_a_function([], attribute_protos=[helper.make_attribute("value", elsewhere())])],
        domains=["own"],
    ),
    "a sparse constant": lambda: network(
        nodes=[
            helper.make_node(
                "Constant", [], ["logit"],
                sparse_value=helper.make_sparse_tensor(
                    elsewhere(), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [4]
                ),
            )
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file_are_refused_wherever_they_hide(store, place):
    with pytest.raises(UnsupportedError, match="keeps weights in another file"):
        added(store, PLACES[place]())


FOREIGN = helper.make_node("Open", ["crops"], ["logit"], domain="evil.ops")


@pytest.mark.parametrize(
    "data",
    [
        lambda: network(nodes=[FOREIGN], domains=["evil.ops"]),
        lambda: network(nodes=[in_a_branch([FOREIGN])], domains=["evil.ops"]),
        lambda: network(functions=[in_a_function([FOREIGN])], domains=["own"]),
        lambda: network(nodes=[helper.make_node("EPContext", ["crops"], ["logit"], domain="com.microsoft")]),
        lambda: network(
            nodes=[helper.make_node("G", [], ["b"], domain="own")], functions=[in_a_function([])]
        ),
    ],
    ids=["plain", "in a branch", "in a function", "ONNX Runtime's", "a function that is not there"],
)
def test_operators_of_others_are_refused_wherever_they_hide(store, data):
    with pytest.raises(UnsupportedError, match="not ONNX's own"):
        added(store, data())


def test_names_that_are_no_text_do_no_harm(store):
    """Strings of a protocol buffer may be any bytes."""
    data = network(nodes=[helper.make_node("Open", ["crops"], ["logit"], domain="evil.ops")])
    broken = data.replace(b"evil.ops", b"\xff\x1b[31m\xfe\x00")
    assert broken != data
    with pytest.raises(InputError) as caught:
        added(store, broken)
    assert "\x1b" not in str(caught.value)


def field(number, data):
    """Return a field of a protocol buffer."""
    size = b""
    length = len(data)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def deep(levels):
    """A graph in an attribute of an operation in a graph, and so on: deeper than ONNX's own library would write."""
    graph = b""
    for _ in range(levels):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


def test_a_network_without_a_floor_is_refused(store):
    with pytest.raises(UnsupportedError, match="0 inputs"):
        added(store, deep(2))
    for levels in (50, 500, 5_000):
        with pytest.raises(MalformedError, match="no ONNX file"):
            added(store, deep(levels))


def test_training_graphs_are_refused(store):
    from onnx import ModelProto

    model = ModelProto.FromString(network())
    model.training_info.add()
    with pytest.raises(UnsupportedError, match="training"):
        added(store, model.SerializeToString())


# -------------------------------------------------------------------------------------------- the trial run


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_network_that_answers_no_number_is_refused(store, scale):
    with pytest.raises(MalformedError, match="no numbers"):
        added(store, network(scale=scale))


def test_what_onnx_runtime_does_not_take_is_refused(store):
    with pytest.raises(MalformedError, match="refused by ONNX Runtime"):
        added(store, network(nodes=[helper.make_node("NoSuchOperator", ["crops"], ["logit"])]))


def endless():
    """A network that never comes to an end."""
    again = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [helper.make_tensor_value_info(n, t, s) for n, t, s in
         (("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("x", TensorProto.FLOAT, ["n"]))],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["crops", "axes"], ["mean"], keepdims=0),
        helper.make_node("Loop", ["", "go", "mean"], ["logit"], body=again),
    ]
    return network(nodes=nodes, initializers=[helper.make_tensor("go", TensorProto.BOOL, [], [True])])


def greedy():
    """A network that wants eight terabytes."""
    nodes = [
        helper.make_node("ConstantOfShape", ["room"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("ReduceMean", ["crops", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "zero"], ["logit"]),
    ]
    return network(
        nodes=nodes, initializers=[helper.make_tensor("room", TensorProto.INT64, [2], [1 << 20, 1 << 21])]
    )


def test_a_network_that_never_ends_is_given_up():
    with pytest.raises(LimitError, match="worker_seconds"):
        runtime.try_out(endless(), Input("crops", SIDE, 9, 64), Limits(worker_seconds=3))


def test_a_network_that_takes_all_memory_is_refused(store):
    with pytest.raises(InputError):
        added(store, greedy())


# -------------------------------------------------------------------------------------------- offered files


def test_a_card_is_offered_as_file_or_folder(store, tmp_path):
    data = network()
    folder = tmp_path / "offer"
    folder.mkdir()
    (folder / CARD).write_bytes(card(data).to_bytes())
    with pytest.raises(InputError, match="does not exist") as caught:
        read_card(folder)
    assert caught.value.path == str(folder / "weights.onnx")
    (folder / "weights.onnx").write_bytes(data)
    for path in (folder, folder / CARD):
        assert is_card(path)
        assert read_card(path) == (card(data), data)
    assert not is_card(folder / "weights.onnx")
    (folder / CARD).write_bytes(b"{}")
    with pytest.raises(InputError) as caught:
        read_card(folder)
    assert caught.value.path == str(folder / CARD)


def test_weights_alone_get_a_card_that_never_weighs(store):
    words = {"kind": "image", "side": SIDE, "crops": 9, "family": "semantic", "architecture": "probe",
             "licence": "MIT", "made": "2026-11-21"}  # fmt: skip
    data = network()
    bare = bare_card(data, name="probe", **words)
    assert bare.calibration is None
    assert "nothing is known" in bare.fails[0]
    assert store.add(bare, data).card == bare == Card.from_bytes(bare.to_bytes())
    vectors = bare_card(network(("n", 7), name="vectors"), name="judge", **words)
    assert (vectors.input.takes, vectors.input.length) == ("vectors", 7)
    frames = network(("n", "frames", 3, SIDE, SIDE), name="frames")
    assert bare_card(frames, name="film", **{**words, "kind": "video"}).input.takes == "frames"


# --------------------------------------------------------------------------------------------- safetensors


def test_arrays_come_back_from_safetensors():
    rng = np.random.default_rng(0)
    arrays = {
        "a.weight": rng.normal(size=(3, 4)).astype(np.float32),
        "turned": rng.normal(size=(3, 4)).astype(np.float16).T,
        "count": np.array(7, np.int64),
        "none": np.zeros((0, 2), np.float32),
    }
    data = tensors.save(arrays, {"step": "12"})
    assert format_of(data) == "safetensors"
    again = tensors.load(data)
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        assert np.array_equal(again[name], array)
    again["count"][...] = 8  # a copy of its own


def safetensors_of(header, body=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 16,
        (1 << 40).to_bytes(8, "little") + b"{}",
        tensors.save({"a": np.ones(100, np.float32)})[:-1],
        tensors.save({"a": np.ones(100, np.float32)}) + b"\0",
        safetensors_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}, bytes(8)),
        safetensors_of({"a": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}, bytes(8)),
        safetensors_of({"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors_of({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
    ],
)
def test_broken_safetensors_are_refused(data):
    with pytest.raises(MalformedError):
        tensors.load(data)


def test_tensors_of_another_architecture_are_refused(store):
    pytest.importorskip("torch")
    from assay.detect.networks.registry import build

    state = {name: value.numpy() for name, value in build("residual", width=8).state_dict().items()}

    def offer(arrays, **changes):
        data = tensors.save(arrays)
        made = {
            "architecture": "residual",
            "settings": {"width": 8},
            "input": Input("crops", 48, 9, 64),
            **changes,
        }
        return card(data, weights=weights_of(data, "safetensors"), **made), data

    model = store.add(*offer(state))
    assert store.verify("mean") == model
    store.remove("mean")
    assert list(store.folder.iterdir()) == []
    name = next(n for n in state if n.endswith("weight"))
    less = {n: a for n, a in state.items() if n != name}
    for arrays, changes, says in (
        (less, {}, "1 tensors differ"),
        ({**state, "more": state[name]}, {}, "1 tensors differ, as more"),
        ({**state, name: state[name][:-1]}, {}, "1 tensors differ"),
        (state, {"settings": {"width": 12}}, "another architecture than residual"),
        (state, {"architecture": "resnet50", "settings": {}}, "another architecture than resnet50"),
        (state, {"architecture": "unheard-of"}, "no network"),
        (state, {"settings": {"width": "wide"}}, "cannot be built"),
        (state, {"input": Input("crops", 40, 9, 64)}, "does not take crops of 40 pixels a side"),
        (state, {"input": Input("frames", 48, 9, 64), "kind": "video"}, "does not take frames"),
        (state, {"input": Input("vectors", 48, 9, 64, length=9)}, "does not take vectors"),
    ):
        with pytest.raises(InputError, match=says):
            store.add(*offer(arrays, **changes))
    assert hashlib.sha256(offer(state)[1]).hexdigest() == model.card.weights.sha256
