"""Tiny autoencoders: files are theirs or refused, pairs keep their places, and what is lost is what it should be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: autoencoders cannot be tried")
pytest.importorskip("safetensors", reason="safetensors is not installed: weights cannot be kept")

from assay.detect import tensors  # noqa: E402
from assay.detect.networks.autoencoder import KINDS, TILE, Autoencoder, read_autoencoder  # noqa: E402
from assay.detect.train.reconstruct import read_autoencoders, reconstructed  # noqa: E402
from assay.provenance.errors import InputError, LimitError, MalformedError, UsageError  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def brain(arrays):
    """The arrays as a file in bfloat16, cut off and not rounded."""
    header, body = {}, b""
    for name, array in arrays.items():
        upper = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
        offsets = [len(body), len(body) + len(upper)]
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": offsets}
        body += upper
    text = json.dumps(header).replace(" ", "").encode()
    return len(text).to_bytes(8, "little") + text + body


def halves(model):
    parts = (("encoder", model.encoder), ("decoder", model.decoder))
    return {name: {k: v.numpy() for k, v in half.state_dict().items()} for name, half in parts}


def write(folder, kind, model, form=tensors.save):
    for name, arrays in halves(model).items():
        (folder / f"{kind}_{name}.safetensors").write_bytes(form(arrays))


def random(channels=4, seed=0):
    torch.manual_seed(seed)
    return Autoencoder(channels).eval()


def painter(level):
    """An autoencoder that answers everything with one grey level."""
    model = random()
    with torch.no_grad():
        model.decoder[-1].weight.zero_()
        model.decoder[-1].bias.fill_(level / 255)
    return model


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# ------------------------------------------------------------------------------------------- files


def test_weights_of_both_types_are_the_same_network(tmp_path):
    model = random(16)
    for folder, form in (("f32", tensors.save), ("bf16", brain)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "taef1", model, form)
    crops = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model(crops)
        assert torch.equal(read_autoencoder(tmp_path / "f32", "taef1")(crops), wanted)
        # bfloat16 keeps eight bits of each weight
        read = read_autoencoder(tmp_path / "bf16", "taef1")
    for name, tensor in model.state_dict().items():
        assert torch.allclose(read.state_dict()[name], tensor, rtol=2**-7, atol=0)


def spoilt(change):
    def form(arrays):
        arrays = {name: np.array(array) for name, array in arrays.items()}
        change(arrays)
        return tensors.save(arrays)

    return form


@pytest.mark.parametrize(
    "form",
    [
        spoilt(lambda a: a.pop("1.conv.0.bias", None) if "0.weight" in a else a.pop("19.bias")),
        spoilt(lambda a: a.update(more=np.zeros(3, np.float32))),
        spoilt(lambda a: a.update({"3.conv.0.bias": a["3.conv.0.bias"][:-1]})),
        spoilt(lambda a: a.update({"3.conv.0.bias": a["3.conv.0.bias"] * np.nan})),
        spoilt(lambda a: a.update({"3.conv.0.bias": a["3.conv.0.bias"].astype(np.int64)})),
        spoilt(lambda a: a.update({"3.conv.0.bias": a["3.conv.0.bias"].astype(np.uint16)})),
        lambda a: tensors.save(a)[:-1],
        lambda a: brain(a).replace(b'"BF16"', b'"F8E4"'),
        lambda _: b"\xff" * 64,
        lambda _: b"",
    ],
    ids=["lacking", "more", "shape", "nan", "integers", "sixteen bits", "cut off", "type", "length", "empty"],
)
@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_other_files_are_refused(tmp_path, form, half):
    model = random()
    write(tmp_path, "taesd", model)
    read_autoencoder(tmp_path, "taesd")
    (tmp_path / f"taesd_{half}.safetensors").write_bytes(form(halves(model)[half]))
    with pytest.raises(MalformedError):
        read_autoencoder(tmp_path, "taesd")


def test_a_kind_s_weights_are_no_other_kind_s(tmp_path):
    write(tmp_path, "taesd3", random(4))  # four channels under the name of one with sixteen
    with pytest.raises(MalformedError, match="another network"):
        read_autoencoder(tmp_path, "taesd3")
    with pytest.raises(UsageError, match="taesd9"):
        read_autoencoder(tmp_path, "taesd9")
    with pytest.raises(InputError):
        read_autoencoders(tmp_path / "nowhere")


def test_a_huge_file_is_not_read(tmp_path):
    write(tmp_path, "taesd", random())
    with (tmp_path / "taesd_encoder.safetensors").open("ab") as file:
        file.truncate(1 << 33)
    with pytest.raises(LimitError):
        read_autoencoder(tmp_path, "taesd")


# ------------------------------------------------------------------------------------------- pairs


def test_each_crop_is_drawn_an_autoencoder_and_keeps_its_place():
    levels = (10, 90, 170, 250)
    models = [painter(level) for level in levels]
    crops = noise(24, 16, 16, 3)
    before = crops.copy()
    made = reconstructed(crops, np.random.default_rng(5), models)
    assert made.shape == crops.shape
    assert made.dtype == np.uint8
    assert np.array_equal(crops, before)
    assert all(len(np.unique(one)) == 1 for one in made), "one crop, one autoencoder"
    drawn = made[:, 0, 0, 0]
    assert set(drawn.tolist()) == set(levels)
    assert np.array_equal(made, reconstructed(crops, np.random.default_rng(5), models))
    assert not np.array_equal(made, reconstructed(crops, np.random.default_rng(6), models))
    # A crop's autoencoder does not depend on those that come after it.
    assert np.array_equal(drawn[:7], reconstructed(crops[:7], np.random.default_rng(5), models)[:, 0, 0, 0])


def test_no_crops_are_no_crops():
    assert reconstructed(noise(0, 16, 16, 3), np.random.default_rng(0), [painter(9)]).shape == (0, 16, 16, 3)


def test_what_is_beyond_black_and_white_is_cut_off():
    crops = noise(1, 16, 16, 3)
    assert (painter(-40).reconstructed(crops) == 0).all()
    assert (painter(300).reconstructed(crops) == 255).all()


@pytest.mark.parametrize("shape", [(60, 64), (64, 60), (TILE + 4, 64)])
def test_sides_that_are_no_multiples_are_refused(shape):
    with pytest.raises(UsageError, match="sides"):
        painter(1).reconstruct(noise(*shape, 3))


# ------------------------------------------------------------------------------------------- real weights

KODAK = {"taesd": 23.38, "taesdxl": 23.41, "taesd3": 27.17, "taef1": 25.67}
"""Mean PSNR in dB of the middles of the corpus's nine Kodak pictures by the authors' own taesd.py, in float32."""


@pytest.fixture(scope="module")
def weights(corpus):
    folder = corpus / "detect" / "weights"
    if not folder.is_dir():
        pytest.skip("the corpus has no weights")
    return folder


@pytest.fixture(scope="module")
def kodak(corpus):
    crops = []
    for path in sorted((corpus / "detect" / "image" / "real_kodak").iterdir()):
        with Image.open(path) as image:
            crops.append(np.asarray(image.convert("RGB"))[192:320, 192:320])
    return np.stack(crops)


def psnr(one, other):
    errors = ((one.astype(float) - other) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / errors)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_they_lose_of_kodak_what_they_should(weights, kodak, kind):
    made = read_autoencoder(weights, kind, fast=True).reconstructed(kodak)
    assert psnr(kodak, made) == pytest.approx(KODAK[kind], abs=0.05)


def test_the_quick_form_is_near_the_exact_one(weights, kodak):
    exact, quick = (
        read_autoencoder(weights, "taesd", fast=f).reconstructed(kodak[:2]) for f in (False, True)
    )
    apart = np.abs(exact.astype(int) - quick)
    assert 0 < apart.mean() < 1


def test_tiles_fit_together(weights, kodak):
    model = read_autoencoder(weights, "taesd", fast=True)
    strip = np.concatenate(kodak[:5])[: TILE + 96, :64]
    whole, tiled = model.reconstructed(strip[None])[0], model.reconstruct(strip)
    apart = np.abs(whole.astype(int) - tiled)
    assert apart.mean() < 0.5
    assert apart[TILE - 160 :].mean() < 1, "around the seam"
