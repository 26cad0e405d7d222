"""Detectors measured: collections, conditions, runs, attacks, peers, and the command; against witnesses we know."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import re
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.detect.measure import aims, figures, page, table
from assay.detect.measure.collection import collect
from assay.detect.measure.conditions import CONDITIONS, chosen, equalised, seed_of
from assay.detect.measure.run import Plan, evaluate
from assay.provenance.errors import InputError, LimitError, MalformedError, UsageError
from assay.provenance.files.picture import decode
from assay.provenance.opinion import Answered, Opinion

from ..cli.conftest import nowhere  # noqa: F401

SIZE = (96, 72)


def drawn(grain, seed, size=SIZE):
    """A smooth picture with so much noise: reals are grainy here, fakes are not."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    light = 128 + 60 * np.sin(rows / 17 + seed) * np.cos(columns / 23)
    levels = light[..., None] + rng.normal(0, grain, (size[1], size[0], 3))
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def saved(path, grain, seed, size=SIZE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(grain, seed, size)).save(path, **options)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three real sources and two generators, 4 files each."""
    root = tmp_path_factory.mktemp("collection")
    for number, source in enumerate(("desk", "phone", "stills")):
        for n in range(4):
            saved(root / "real" / source / f"{n}.png", 9, 10 * number + n)
    for number, generator in enumerate(("alpha", "beta")):
        for n in range(4):
            saved(root / "fake" / generator / f"{n}.png", 2, 100 + 10 * number + n)
    return root


def grain(picture):
    """Opine by the mean second difference: the less grain, the more synthetic."""
    light = picture.pixels[..., 1].astype(np.float32)
    logit = 6 - float(np.abs(np.diff(light, 2, 1)).mean())
    llr = max(-1.0, min(1.0, -logit / 4))
    return Opinion("grain", "1", Answered.OK, logit=logit, score=1 / (1 + 10**llr), llr=llr)


def shy(picture):
    """Be silent on every picture whose first sample is even, and fail on one that is dark there."""
    first = int(picture.pixels[0, 0, 1])
    if first % 2 == 0:
        return Opinion("shy", "1", Answered.NOT_APPLICABLE, reason=f"too shy: {first} levels")
    if first % 5 == 0:
        raise LimitError("has had enough")
    return grain(picture)


def odd(picture):
    """Answer with no number."""
    return Opinion("odd", "1", Answered.OK, score=math.nan)


def bare(picture):
    """Give a logit without a calibration, of a size that a logistic function would flatten."""
    return Opinion("bare", "1", Answered.OK, logit=1000 + 10 * grain(picture).logit)


def findings(result):
    """Work out figures with intervals good enough for a test."""
    return figures.findings(result, rounds=20)


def opens(witness):
    return witness


def planned(samples, conditions="raw", jobs=1, **witnesses):
    openers = {name: partial(opens, witness) for name, witness in witnesses.items()}
    return Plan(openers, samples, chosen(conditions), jobs=jobs)


# ---------------------------------------------------------------------------------------------- collections


def labels(samples, root):
    return {s.path.relative_to(root).as_posix(): (s.synthetic, s.source, s.generator) for s in samples}


def test_folders_and_names_say_what_a_file_is(tmp_path):
    names = {
        "real/a.png": (False, "real", ""),
        "real/phone/deep/b.png": (False, "phone", ""),
        "fake/flux/c.PNG": (True, "flux", "flux"),
        "fake_sd14_easy/d.png": (True, "sd14_easy", "sd14_easy"),
        "0_real/e.png": (False, "real", ""),
        "set/1_fake/f.png": (True, "fake", ""),
        "fake_gan__7.png": (True, "gan", "gan"),
        "real12.png": (False, "real", ""),
    }
    for number, name in enumerate(names):
        saved(tmp_path / name, 3, number, (16, 16))
    saved(tmp_path / "realistic" / "fakery.png", 3, 1, (16, 16))  # neither word stands alone
    (tmp_path / "real" / "notes.txt").write_text("no picture")
    assert labels(collect(tmp_path), tmp_path) == names


def test_a_limit_takes_as_many_of_each_source_evenly(folder):
    found = collect(folder, 2)
    assert [s.path.name for s in found] == ["0.png", "2.png"] * 5


def written(path, rows, header=("path", "label", "source", "generator", "kind", "skin")):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def test_a_table_may_say_more_than_names_can(tmp_path):
    rows = [
        ("a.png", "real", "agency", "", "", "dark"),
        ("sub/b.png", "FAKE", "gallery", "flux\x1b[2J", "photo-like", ""),
        ("c.png", "1", "gallery, 2", "", "", "light"),
    ]
    real, fake, other = collect(written(tmp_path / "set.csv", rows))
    assert real.path == tmp_path / "a.png"
    assert (real.synthetic, real.attributes) == (False, {"skin": "dark"})
    assert (fake.synthetic, fake.kind, fake.attributes) == (True, "photo-like", {})
    assert "\x1b" not in fake.generator
    assert other.source == "gallery, 2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label,source\na,real,b\n", "no column path"),
        ("path,label,source\na.png,perhaps,b\n", "'perhaps'"),
        ("path,label,source\na.png,real\n", "line 2"),
        ("path,label,source\na.png,real,b,c\n", "line 2"),
        ("path,label,source\na.png,real,\n", "no source"),
        ('path,label,source\n"a.png,real,b\n', "line"),
        ("path,label,source\na.png,real,b\n", "no generated"),
        ("", "no column"),
    ],
)
def test_a_table_that_is_none_says_where(tmp_path, text, said):
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        collect(tmp_path / "set.csv")
    assert caught.value.path


def test_what_is_no_collection_is_refused(tmp_path):
    (tmp_path / "set.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(MalformedError):
        collect(tmp_path / "set.csv")
    with pytest.raises(InputError, match="cannot be read"):
        collect(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="no picture"):
        collect(tmp_path)
    saved(tmp_path / "real" / "a.png", 1, 1)
    with pytest.raises(InputError, match="no generated"):
        collect(tmp_path)


def test_the_corpus_says_what_it_holds():
    root = Path(os.environ.get("ASSAY_CORPUS", "")) / "detect" / "image"
    if "ASSAY_CORPUS" not in os.environ or not root.is_dir():
        pytest.skip("ASSAY_CORPUS names no corpus")
    listed = json.loads((root / "images.json").read_text())
    wanted = {row["file"]: (row["label"] == "fake", row["source"].split("_", 1)[1]) for row in listed}
    assert {k: v[:2] for k, v in labels(collect(root), root).items()} == wanted


# ----------------------------------------------------------------------------------------------- conditions


@pytest.fixture(scope="module")
def photograph():
    """A large PNG with metadata."""
    file = io.BytesIO()
    image = Image.fromarray(drawn(5, 3, (1300, 900)))
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image.save(file, "PNG", exif=exif)
    file.seek(0)
    return decode(file)


def test_equalised_pictures_share_size_and_container(photograph):
    found = equalised(photograph, 1024, 90)
    assert found.pixels.shape == (709, 1024, 3)
    assert (found.format, found.exif, found.xmp, found.icc) == ("JPEG", b"", b"", b"")
    small = equalised(found, 1024, 75)
    assert small.pixels.shape == found.pixels.shape
    assert small.encoding["qtables"] != found.encoding["qtables"]
    assert small.encoding["qtables"] == CONDITIONS["q75"](photograph, False, b"").encoding["qtables"]
    assert CONDITIONS["raw"](photograph, False, b"") is photograph
    stripped = CONDITIONS["stripped"](photograph, False, b"")
    assert photograph.exif
    assert not stripped.exif
    assert stripped.pixels is photograph.pixels


def test_every_condition_gives_a_picture_and_the_same_one_again(photograph):
    small = equalised(photograph, 160)
    seed = seed_of(small, 0)
    shapes = {}
    for name, condition in CONDITIONS.items():
        again = ForkingPickler.loads(ForkingPickler.dumps(condition))  # as it travels to a process
        first, second = condition(small, True, seed), again(small, True, seed)
        assert (first.pixels == second.pixels).all(), name
        assert first.pixels.dtype == np.uint8
        shapes[name] = first.pixels.shape[:2]
        changed = first.pixels.shape != small.pixels.shape or (first.pixels != small.pixels).any()
        assert changed != (name in ("raw", "stripped")), name
    assert shapes["resize0.5"] == (56, 80)
    assert shapes["crop0.25"] == (55, 80)
    assert shapes["jpeg30"] == (111, 160)
    other = CONDITIONS["noise5"](small, True, seed_of(small, 1))
    assert (other.pixels != CONDITIONS["noise5"](small, True, seed).pixels).any()


def test_conditions_are_chosen_by_name_group_and_beginning():
    assert [c.name for c in chosen("q90,raw")] == ["raw", "q90"]
    assert [c.name for c in chosen("noise, jpeg5*")] == ["jpeg50", "noise2", "noise5", "noise10"]
    assert len(chosen("all")) == len(CONDITIONS)
    for nothing in ("sesame", "", " , "):
        with pytest.raises(UsageError):
            chosen(nothing)


# ---------------------------------------------------------------------------------------------------- a run


def test_a_witness_that_sees_the_difference_is_said_to(folder):
    found = findings(evaluate(planned(collect(folder), "raw,blur2", grain=grain)))
    raw = found.headline["grain", "raw"]
    assert (raw["auc"].value, raw["tpr1"].value, raw["eer"].value, raw["error"].value) == (1, 1, 0, 0)
    assert raw["cllr"].value < 0.5
    # What tells them apart is blurred away, and the curve says so.
    assert found.headline["grain", "blur2"]["auc"].value < 0.8
    groups = {g.name: g for g in found.groups["generator"]["grain", "raw"]}
    assert set(groups) == {"alpha", "beta"}
    assert (groups["alpha"].fake, groups["alpha"].real, groups["alpha"].auc.value) == (4, 0, 1)
    reals = {g.name: g for g in found.groups["real source"]["grain", "raw"]}
    assert all(g.alarms.hits == 0 and g.real == 4 for g in reals.values())


def test_silence_is_counted_and_costs_what_saying_nothing_costs(folder):
    samples = collect(folder)
    found = findings(evaluate(planned(samples, shy=shy, grain=grain)))
    column = found.columns["shy", "raw"]
    answered = int(column.answered.sum())
    assert 0 < answered < len(samples)
    assert sum(column.silences().values()) == len(samples) - answered
    assert any(reason.startswith("too shy: …") for reason in column.silences())
    assert column.silences().get("has had enough", 0) == column.errors()
    values = found.headline["shy", "raw"]
    assert values["auc"].value == 1
    assert values["auc_all"].value < 1
    silent = 1 - answered / len(samples)
    assert values["cllr_all"].value > values["cllr"].value
    assert column.curve()[0][-1] <= 1 - silent + 1e-9
    document = json.dumps(table.document(found), allow_nan=False)
    row = next(r for r in json.loads(document)["figures"] if r["witness"] == "shy")
    assert row["answered"] == answered
    assert sum(row["silences"].values()) == len(samples) - answered


def test_an_answer_without_a_number_is_an_error_and_a_logit_alone_ranks(folder):
    found = findings(evaluate(planned(collect(folder, 2), odd=odd, bare=bare)))
    assert found.columns["odd", "raw"].errors() == 10
    assert math.isnan(found.headline["odd", "raw"]["auc"].value)
    assert found.headline["bare", "raw"]["auc"].value == 1
    assert math.isnan(found.headline["bare", "raw"]["cllr"].value)
    json.dumps(table.document(found), allow_nan=False)
    page.page(found, "nothing known")


def test_files_that_cannot_be_read_are_named_and_left_out_of_every_count(folder, tmp_path):
    rows = [
        (str(p), "real" if "real" in p.parts else "fake", "s", "", "", "")
        for p in sorted(folder.rglob("*.png"))
    ]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    rows += [("broken.png", "real", "s", "", "", ""), ("missing.png", "fake", "s", "", "", "")]
    result = evaluate(planned(collect(written(tmp_path / "set.csv", rows)), grain=grain))
    assert len(result.samples) == len(result.answers["grain", "raw"]) == 20
    assert sorted(Path(e.path).name for e in result.unread) == ["broken.png", "missing.png"]


def test_several_processes_say_what_one_says(folder):
    samples = collect(folder, 1)
    one, two = (evaluate(planned(samples, "raw,noise5", jobs, grain=grain)) for jobs in (1, 2))
    assert [s.path for s in one.samples] == [s.path for s in two.samples]
    for key, answers in one.answers.items():
        assert [(a.score, a.llr) for a in answers] == [(a.score, a.llr) for a in two.answers[key]]


def test_the_worst_is_named_beside_the_mean(tmp_path):
    """One of four generators is as grainy as photographs, and one real source as smooth as a generator."""
    rows = []
    for source, coarse, label in (
        ("good", 9, "real"), ("smooth", 2, "real"), ("alpha", 2, "fake"), ("wolf", 9, "fake"),
    ):  # fmt: skip
        for n in range(15):
            saved(tmp_path / f"{source}{n}.png", coarse, len(rows), (48, 40))
            rows.append(
                (f"{source}{n}.png", label, source, source if label == "fake" else "", "", "ab"[n % 2])
            )
    found = findings(
        evaluate(planned(collect(written(tmp_path / "set.csv", rows)), "equalised", grain=grain))
    )
    reached = {aim.told: aim for aim in aims.aims(found)}
    worst = reached["AUC of the worst generator, raw"]
    assert worst.remark.startswith("wolf")
    assert worst.reached < 0.5
    assert not worst.is_met
    alarms = reached["false alarms of the worst real source, equalised"]
    assert alarms.remark.startswith("smooth")
    assert alarms.reached > 0.9
    # The recorded attribute has nothing to do with it, and the table of attributes shows that.
    groups = found.groups["skin"]["grain", "raw"]
    assert [g.name for g in groups] == ["a", "b"]
    assert abs(groups[0].auc.value - groups[1].auc.value) < 0.2
    assert groups[0].alarms.of + groups[1].alarms.of == 30


# ------------------------------------------------------------------------------------------------- the page


def test_the_page_runs_nothing_fetches_nothing_and_believes_no_name(folder, tmp_path):
    evil = "<script>alert(1)</script>\u202e"
    rows = [
        (str(p), "real" if "real" in p.parts else "fake", evil, evil, "photo-like", evil)
        for p in sorted(folder.rglob("*.png"))
    ]
    samples = collect(written(tmp_path / "set.csv", rows))
    text = page.page(findings(evaluate(planned(samples, "raw,q90,noise", grain=grain))), evil)
    assert "<script" not in text
    assert "\u202e" not in text
    assert html.escape("<script>") in text
    assert not re.search(r"https?://|url\(|@import|<img|<link|<iframe", text)
    assert "default-src 'none'" in text
    assert text.count("<svg") >= 5
    assert not re.search(r"\bnan\b|None", text)


# ----------------------------------------------------------------------------------------------- the attack


@pytest.fixture(scope="module")
def networks():
    """Two linear networks that hear grain, in a row and in a column."""
    torch = pytest.importorskip("torch")

    class Grain(torch.nn.Module):
        def __init__(self, along):
            super().__init__()
            kernel = torch.tensor([1.0, -2.0, 1.0]).reshape((1, 1, 1, 3) if along else (1, 1, 3, 1))
            self.kernel = torch.nn.Parameter(kernel.repeat(3, 1, 1, 1))

        def forward(self, crops):
            rough = torch.nn.functional.conv2d(crops * 255, self.kernel, groups=3)
            return 6 - rough.abs().mean((1, 2, 3))

    return Grain(True), Grain(False)


def test_pgd_deceives_within_its_bound_in_whole_levels_about_as_far_as_fgsm(networks):
    import torch

    from assay.detect.crops import places
    from assay.detect.measure.adversarial import attacked

    network = networks[0].requires_grad_(False)
    pixels = drawn(2, 4, (120, 100))
    boxes = places(100, 120, 48, 4)

    def logit(picture):
        crops = [picture[b.top : b.top + 48, b.left : b.left + 48] for b in boxes]
        return float(network(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255).mean())

    before = logit(pixels)
    for strength in (1, 2, 4):
        fgsm = attacked(pixels, network, boxes, strength, 1)
        pgd = attacked(pixels, network, boxes, strength, 10, np.random.default_rng(0))
        for found in (fgsm, pgd):
            assert found.dtype == np.uint8
            moved = np.abs(found.astype(int) - pixels)
            assert 0 < moved.max() <= strength
            inside = np.zeros(pixels.shape[:2], bool)
            for b in boxes:
                inside[b.top : b.top + 48, b.left : b.left + 48] = True
            assert not moved[~inside].any()
        # Where every step has the same sign PGD can do no better, and rounding takes a little of its random start.
        assert logit(fgsm) < before
        assert before - logit(pgd) > 0.9 * (before - logit(fgsm))
    assert attacked(pixels, network, [], 2) is pixels
    with pytest.raises(UsageError):
        attacked(pixels, network, boxes, 2, 0)


def test_questions_alone_deceive_within_the_bound(folder):
    from assay.detect.measure.blackbox import conditions

    rows = conditions("grain", partial(opens, grain), 12)
    result = evaluate(Plan({"grain": partial(opens, grain)}, collect(folder, 1), rows))
    mean = {
        c.name: np.mean(
            [
                a.score
                for a, s in zip(result.answers["grain", c.name], result.samples, strict=True)
                if s.synthetic
            ]
        )
        for c in rows
    }
    assert mean["square4@grain"] < mean["square2@grain"] < mean["square0@grain"]
    fake = next(s for s in result.samples if s.synthetic)
    with Image.open(fake.path) as image:
        shown = decode(image.fp)
    changed = rows[2](shown, True, b"seed").pixels.astype(int) - shown.pixels
    assert 0 < np.abs(changed).max() <= 2
    assert (rows[2](shown, False, b"seed").pixels == shown.pixels).all()


def heard(network, picture):
    import torch

    crops = torch.from_numpy(picture.pixels.copy()).permute(2, 0, 1)[None].float() / 255
    return Opinion("net", "1", Answered.OK, logit=float(network(crops).detach()[0]))


def test_an_attack_costs_the_attacked_more_than_another_and_leaves_reals_alone(tmp_path, networks):
    from assay.detect.measure.adversarial import Target, conditions

    for label, grains in (("real", 6), ("fake", 2)):
        for n in range(12):
            saved(tmp_path / label / f"{label}{n % 3}" / f"{n}.png", grains, 100 * grains + n)

    rows = conditions(Target("along", lambda: networks[0], 64, 9))
    openers = {
        name: partial(opens, partial(heard, n)) for name, n in zip(("along", "across"), networks, strict=True)
    }
    result = evaluate(Plan(openers, collect(tmp_path), rows))
    found = findings(result)
    by_name = {c.name: c for c in rows}
    assert found.hits["along", "pgd0@along"].value == 1
    assert aims.lost(found, "along", by_name["pgd4@along"]) == pytest.approx(1)
    assert aims.lost(found, "along", by_name["fgsm1@along"]) == 0
    fakes = [n for n, s in enumerate(result.samples) if s.synthetic]
    mean = {key: np.mean([answers[n].score for n in fakes]) for key, answers in result.answers.items()}
    fall = {w: mean[w, "pgd0@along"] - mean[w, "pgd2@along"] for w in openers}
    assert fall["along"] > 1.2 * fall["across"]
    reals = [n for n, s in enumerate(result.samples) if not s.synthetic]
    scores = {c.name: [result.answers["along", c.name][n].score for n in reals] for c in rows}
    assert len({tuple(v) for v in scores.values()}) == 1
    assert any(aim.told.startswith("hits lost to PGD-10") for aim in aims.aims(found))


def test_a_target_needs_a_gradient_and_weights_that_are_its_card_s(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from assay.detect.measure.adversarial import Attack, _opened, target
    from assay.detect.networks.registry import build
    from assay.detect.store import bare_card
    from assay.detect.tensors import save

    torch.manual_seed(0)
    network = build("residual").eval()
    data = save({name: tensor.numpy() for name, tensor in network.state_dict().items()})
    card = bare_card(
        data, name="mine", kind="image", side=96, crops=4, family="residual", architecture="residual",
        licence="MIT", made="2026-11-21",
    )  # fmt: skip
    (tmp_path / card.weights.file).write_bytes(data)
    (tmp_path / "card.json").write_bytes(card.to_bytes())
    found = target(tmp_path)
    crops = torch.rand(2, 3, 96, 96)
    assert torch.equal(_opened(found.opener)(crops), network(crops))
    travelled = ForkingPickler.loads(ForkingPickler.dumps(Attack(found, 1, 1)))
    assert torch.equal(_opened(travelled.target.opener)(crops), network(crops))
    (tmp_path / card.weights.file).write_bytes(data[:-4] + b"\0\0\0?")
    with pytest.raises(InputError):
        target(tmp_path)


# ------------------------------------------------------------------------------------ peers and the command


@pytest.fixture(scope="module")
def ladeda(tmp_path_factory):
    """Tiny-LaDeDa's file with random weights, as its authors' file is made."""
    torch = pytest.importorskip("torch")
    from assay.detect.measure.peers import TinyLaDeDa

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("peer") / "ladeda.pth"
    torch.save(TinyLaDeDa().state_dict(), path)
    return path


def test_tiny_ladeda_is_as_large_as_published_and_takes_any_picture(ladeda, photograph):
    import torch

    from assay.detect.measure.peers import TinyLaDeDa, peer

    assert sum(p.numel() for p in TinyLaDeDa().parameters()) == 1297
    assert {"layer1.0.bn2.running_var", "fc.bias"} < set(torch.load(ladeda, weights_only=True))
    witness = peer("tiny-ladeda", ladeda)()
    for picture in (photograph, equalised(photograph, 40)):
        said = witness(picture)
        assert math.isfinite(said.logit)
        assert said.score is None
        assert said.llr is None
        assert said.logit == witness(picture).logit


def test_a_peer_s_file_is_no_program_and_no_other_network(ladeda, tmp_path):
    import torch

    from assay.detect.measure.peers import peer

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    cases = {"trap": {"fc.bias": Trap()}, "other": {"fc.bias": torch.zeros(1)}}
    for name, content in cases.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "cut").write_bytes(ladeda.read_bytes()[:900])
    (tmp_path / "large").write_bytes(bytes((16 << 20) + 1))
    for name in (*cases, "cut", "large"):
        with pytest.raises(MalformedError):
            peer("tiny-ladeda", tmp_path / name)()
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(InputError):
        peer("tiny-ladeda", tmp_path / "missing")()
    with pytest.raises(UsageError, match="sesame"):
        peer("sesame", ladeda)


def test_the_command_prints_tables_and_writes_everything(nowhere, folder, ladeda):  # noqa: F811
    words = ("detect", "evaluate", folder, "--peer", f"tiny-ladeda={ladeda}", "--limit", "2", "--jobs", "1")
    words += ("--conditions", "raw,q90")
    answer = nowhere(*words, "--megapixels", "0.2", "--json", "all.json", "--html", "all.html")
    assert "AUC by generator" in answer.out
    assert "6 real pictures of 3 sources, 4 generated ones of 2" in " ".join(answer.out.split())
    found = json.loads((nowhere.folder / "all.json").read_text())
    assert found["type"] == table.DOCUMENT
    own = [row for row in found["figures"] if row["witness"] == "tiny-ladeda"]
    assert [row["condition"] for row in own] == ["raw", "q90"]
    assert all(len(row["score"]) == len(found["samples"]) == 10 for row in found["answers"])
    assert all(row["cpu"] > 0 for row in found["timings"])
    assert len(found["timings"]) == len(found["witnesses"])
    assert "<h3>Charts</h3>" in (nowhere.folder / "all.html").read_text("utf-8")
    again = json.loads(nowhere(*words, "--megapixels", "0", "--json").out)
    for document in (found, again):
        document["timings"] = document["aims"] = []
        for row in document["answers"]:
            del row["ms"]
    assert again == found


def test_the_command_lists_conditions(nowhere):  # noqa: F811
    answer = nowhere("detect", "evaluate", "--list-conditions", "--conditions", "all", "--json")
    groups = {json.loads(line)["group"] for line in answer.out.splitlines()}
    assert groups > {"jpeg", "webp", "resize", "crop", "blur", "noise", "sharpen", "screenshot"}
    assert "jpeg95" not in nowhere("detect", "evaluate", "--list-conditions", "--conditions", "crop").out


def test_mistakes_are_said_before_anything_is_measured(nowhere, folder, tmp_path):  # noqa: F811
    for words, code, said in (
        ((), 2, "name a folder"),
        ((folder, "--peer", "tiny-ladeda"), 2, "NAME=FILE"),
        ((folder, "--peer", "sesame=x"), 2, "sesame"),
        ((folder, "--model", "sesame"), 2, "sesame"),
        ((folder, "--conditions", "sesame"), 2, "sesame"),
        ((tmp_path / "missing.csv", "--peer", "tiny-ladeda=x"), 4, "missing.csv"),
    ):
        answer = nowhere("detect", "evaluate", *words, expect=code)
        assert said in answer.err
        assert not answer.out
