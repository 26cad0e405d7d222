"""``assay detect calibrate``, whole: an archive, a network of one's own, what the panel then says, and back again."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.cli import calibrate
from assay.detect.card import Card, Input, Weights
from assay.detect.panels import read_fusion
from assay.detect.store import SHIPPED

PHOTOS = [Path(calibrate.__file__).with_name("data") / f"{name}.jpg" for name in ("photo", "other")]
SOURCES, EACH = 4, 2
SIDE = 96


def camera(rng):
    """A part of a photograph, uint8 (260, 320, 3): the package has two."""
    with Image.open(PHOTOS[rng.integers(2)]) as photo:
        left, top = (
            int(rng.integers(0, most - least)) for most, least in zip(photo.size, (320, 260), strict=True)
        )
        return np.asarray(photo.convert("RGB").crop((left, top, left + 320, top + 260)))


def generator(rng):
    """The same at half the size, enlarged: what a decoder's upsampling leaves."""
    small = Image.fromarray(camera(rng)[:130, :160])
    return np.asarray(small.resize((320, 260), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Folders real and fake, a folder for each source in them."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(7)
    for label, make in (("real", camera), ("fake", generator)):
        for source in range(SOURCES):
            place = folder / label / f"{label}{source}"
            place.mkdir(parents=True)
            for n in range(EACH):
                Image.fromarray(make(rng)).save(place / f"{n}.jpg", quality=92)
    return folder


def rows(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def scanned(terminal, *files):
    return [row["score"] for row in rows(terminal("detect", "scan", *files, "--json"))]


def test_an_archive_of_photographs_alone(terminal, desk, archive):
    (found,) = rows(terminal("detect", "calibrate", "--real", archive / "real", "--json"))
    shipped = read_fusion(SHIPPED / "panel.json")
    assert found["weights"] == dict(shipped.weights)
    assert found["before"] == shipped.id
    assert found["real_sources"] == {"small": SOURCES}
    assert not found["lines"]["small"]["inherited"]
    assert found["lines"]["small"]["bound"] == pytest.approx(np.log10(SOURCES + 1))
    assert found["lines"]["fine"]["inherited"]
    assert [row["source"] for row in found["sources"]] == [f"real{n}" for n in range(SOURCES)]
    assert all((row["files"], row["copies"]) == (EACH, 3 * EACH) for row in found["sources"])
    assert read_fusion(desk.workspace.home / "models" / "panel.json").id == found["id"]
    (said,) = rows(terminal("detect", "scan", archive / "real" / "real0" / "0.jpg", "--json"))
    assert said["llr"] is None or abs(said["llr"]) <= found["lines"]["small"]["bound"] + 1e-9


def test_the_tables_and_the_way_back(terminal, desk, archive):
    photo = archive / "fake" / "fake0" / "0.jpg"
    before = scanned(terminal, photo)
    answer = terminal("detect", "calibrate", "--real", archive / "real")
    assert "real3" in answer.out
    assert "mean" in answer.out
    assert "worst" in answer.out
    assert "as shipped" in answer.out
    assert "--reset" in answer.err
    assert max(len(line) for line in answer.out.splitlines()) <= 110
    terminal("detect", "calibrate", "--reset")
    assert not (desk.workspace.home / "models" / "panel.json").exists()
    assert scanned(terminal, photo) == before
    assert "in use already" in terminal("detect", "calibrate", "--reset").err


def test_what_an_archive_lacks_is_said(terminal, desk, archive):
    with (desk.folder / "few.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "source", "camera"])
        for source in range(SOURCES):
            table.writerow(
                [archive / "real" / f"real{source}" / "0.jpg", "real", f"real{source}", f"c{source % 2}"]
            )
        table.writerow([desk.folder / "gone.jpg", "real", "real0", "c0"])
    few = desk.folder / "few.csv"
    answer = terminal(
        "detect", "calibrate", "--real", few, "--source-column", "camera", "--raw-only", expect=2
    )
    assert "photographs of 2 sources are too few" in answer.err
    assert "gone.jpg" in answer.err
    assert not (desk.workspace.home / "models" / "panel.json").exists()
    (found,) = rows(terminal("detect", "calibrate", "--real", few, "--json", expect=4))
    assert found["unread"] == 1
    for arguments, says in (
        ((), "--real DIR"),
        (("--real", few, "--source-column", "lens"), "says no lens"),
        (("--real", desk.folder / "nothing"), "nothing"),
        (("--real", few, "--model", "unheard-of"), "--fake DIR"),
    ):
        answer = terminal("detect", "calibrate", *arguments, expect=None)
        assert answer.code in (2, 4)
        assert says in answer.err


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """A residual network taught for a few steps to tell the two apart, as card and weights without calibration."""
    torch = pytest.importorskip("torch", reason="torch is not installed: no network can be taught")
    from assay.detect.networks.export import agreed, export
    from assay.detect.networks.registry import build
    from assay.detect.runtime import Session

    folder = tmp_path_factory.mktemp("residual")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(2)
    rng = np.random.default_rng(3)
    model = build("residual", width=8)
    course = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(20):
        pictures = [make(rng)[:SIDE, :SIDE] for make in (camera, generator) for _ in range(6)]
        crops = torch.from_numpy(
            np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)) / np.float32(255)
        )
        wanted = torch.arange(12) // 6
        course.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(crops), wanted.float()).backward()
        course.step()
    torch.set_num_threads(threads)
    model.eval()
    export(model, SIDE, folder / "weights.onnx")
    data = (folder / "weights.onnx").read_bytes()
    weights = Weights("weights.onnx", "onnx", hashlib.sha256(data).hexdigest(), len(data))
    card = Card(
        "taught", "1", "image", "residual", "residual", {"width": 8}, weights, Input("crops", SIDE, 4, SIDE), None, (),
        "Apache-2.0", (), (), "2026-11-21",
    )  # fmt: skip
    figure = agreed(model, SIDE, Session.of(card, data).run, "a test")
    assert figure.value <= 1e-4
    (folder / "card.json").write_bytes(card.to_bytes())
    return folder


def test_a_network_of_one_s_own_takes_part(terminal, desk, archive, residual):
    real, fake = archive / "real", archive / "fake"
    terminal("models", "add", residual)
    alone = terminal("detect", "calibrate", "--real", real, "--raw-only")
    assert "left out: taught" in alone.err
    assert (
        "nothing is known of what taught says"
        in terminal("detect", "calibrate", "--real", real, "--model", "taught", expect=2).err
    )
    (found,) = rows(terminal("detect", "calibrate", "--real", real, "--fake", fake, "--json"))
    assert set(found["weights"]) == {"statistics", "view", "taught"}
    assert found["weights"]["taught"] > 0
    assert found["lines"]["small"]["fake_sources"] == SOURCES
    (said,) = rows(terminal("detect", "scan", fake / "fake1" / "1.jpg", "--json"))
    assert said["status"] == "ok"
    assert said["score"] > 0.6
    assert scanned(terminal, real / "real1" / "1.jpg")[0] < 0.4
    assert "your panel of detectors weighs 'taught'" in terminal("models", "remove", "taught", expect=2).err
    terminal("detect", "calibrate", "--reset")
    terminal("models", "remove", "taught")
