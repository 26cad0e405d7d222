"""The trial counts what happened: right, wrong, refused, unread; the same for any number of processes."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import AssayError, ConfigurationError, InputError, LimitError, UsageError
from assay.provenance.media import Media
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.trial import methods
from assay.watermark.trial.alarms import LEVELS, Alarms, Silence, random_crop
from assay.watermark.trial.figures import Rate, summary, upper_bound
from assay.watermark.trial.filters import psnr
from assay.watermark.trial.methods import Answer, open_method, peers, present
from assay.watermark.trial.photographs import find, load, seed_of, work
from assay.watermark.trial.robustness import Trial, trial
from assay.watermark.trial.run import Plan, Steps
from assay.watermark.trial.speed import peak_mib, timed
from assay.watermark.trial.table import document, markdown, tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photo):
    """Two photographs."""
    made = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut.png", "chelsea.png"):
        Image.fromarray(photo(name)).resize((360, 300)).save(made / name)
    return made


class Scripted:
    """A method that answers what it is told to."""

    name, bits, most_pixels, note = "scripted", 8, 0, "for the test"

    def __init__(self, answer=None, refuses=False):
        self.answer, self.refuses, self.seen = answer, refuses, []

    def embed(self, picture, payload):
        if self.refuses:
            raise LimitError("too small for me")
        self.payload = payload
        return np.clip(picture.astype(int) + 1, 0, 255).astype(np.uint8)

    def extract(self, picture):
        self.seen.append(picture.shape)
        return self.answer(self.payload) if self.answer else Answer(self.payload, True, 1e-12)


@pytest.fixture
def picture(photo):
    return photo("chelsea.png")


# ------------------------------------------------------------------------------------------- one trial


def test_an_exact_answer_counts_once_for_each_attack(picture):
    seen = trial(Scripted(), picture, ("none", "crop50", "hflip"), 0, "a.png")
    assert seen.exact == {"none": True, "crop50": True, "hflip": True}
    assert seen.wrong == ()
    assert seen.psnr == pytest.approx(48.13, abs=0.02)  # one level everywhere
    assert seen.ssim > 0.99


@pytest.mark.parametrize(
    ("answer", "exact", "wrong"),
    [
        (lambda p: Answer(p ^ 1, True), False, ("none",)),
        (lambda p: Answer(np.r_[p[:-1], 1 - p[-1]], None), False, ()),  # no rule: wrong bits accuse nobody
        (lambda p: Answer(p, False), False, ()),  # right bits that it does not claim
        (lambda p: Answer(None, False), False, ()),
        (lambda p: Answer(p, None), True, ()),
    ],
)
def test_wrong_is_a_claim_with_another_payload(picture, answer, exact, wrong):
    seen = trial(Scripted(answer), picture, ("none",), 0, "a.png")
    assert seen.exact["none"] is exact
    assert seen.wrong == wrong


def test_a_refused_photograph_is_lost_not_left_out(picture):
    refused = trial(Scripted(refuses=True), picture, ("none",), 0, "a.png")
    marked = trial(Scripted(), picture, ("none",), 0, "b.png")
    found = summary([refused, marked], "scripted", ["none"])
    assert refused.refused == "too small for me"
    assert (found.photographs, found.refused) == (2, 1)
    assert found.rates["none"] == Rate(1, 2)
    assert found.psnr[0] == pytest.approx(marked.psnr)


def test_a_method_gets_no_more_pixels_than_it_takes(picture):
    method = Scripted()
    method.most_pixels = 20_000
    seen = trial(method, picture, ("none",), 0, "a.png")
    assert seen.pixels == picture.shape[0] * picture.shape[1]
    assert 19_000 < seen.tried_pixels <= 20_000
    assert all(h * w <= 20_000 for h, w, _ in method.seen)


def test_payloads_follow_the_photograph_not_its_name_or_the_machine(picture, photo):
    method = Scripted()
    payloads = []
    for image, seed, name in (
        (picture, 0, "a"),
        (picture, 0, "b"),
        (picture, 1, "a"),
        (photo("coffee.png"), 0, "a"),
    ):
        trial(method, image, ("none",), seed, name)
        payloads.append(tuple(method.payload))
    assert payloads[0] == payloads[1]
    assert seed_of(picture, 0) != seed_of(picture, 1)
    assert len(set(payloads[1:])) > 1


# ------------------------------------------------------------------------------------------- methods


def test_our_scheme_under_the_trial_is_our_scheme(picture):
    method = open_method("dwtdctsvd")
    payload = np.random.default_rng(3).integers(0, 2, method.bits).astype(np.uint8)
    marked = method.embed(picture, payload)
    reading = DwtDctSvd().read(Media.still(marked))
    assert reading.mark.id == np.packbits(payload).tobytes().hex()
    assert np.array_equal(method.extract(marked).bits, payload)
    assert method.extract(picture) == Answer(None, False, 1.0)


@pytest.mark.parametrize("name", ["imwatermark-dwtDctSvd", "imwatermark-dwtDct", "blind-watermark"])
def test_peers_read_what_they_wrote_and_leave_the_process_alone(name, photo):
    try:
        method = open_method(name)
    except ConfigurationError as error:
        pytest.skip(error.message)
    before = multiprocessing.get_start_method(allow_none=True)
    open_method(name)
    assert multiprocessing.get_start_method(allow_none=True) == before
    image = photo("astronaut.png")
    payload = np.random.default_rng(0).integers(0, 2, method.bits).astype(np.uint8)
    marked = method.embed(image, payload)
    assert marked.shape == image.shape
    assert 30 < psnr(image, marked) < 55
    answer = method.extract(marked)
    assert answer.found is None
    assert (answer.bits == payload).mean() > 0.9
    tiny = np.zeros((20, 20, 3), np.uint8)
    assert method.extract(tiny).found is None
    with pytest.raises(LimitError):
        method.embed(tiny, payload)


@pytest.mark.parametrize(
    ("name", "module"), [("imwatermark-dwtDct", "imwatermark"), ("blind-watermark", "blind_watermark")]
)
def test_peers_that_are_not_installed_are_named(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    found, absent = present(["dwtdctsvd", name])
    assert found == ["dwtdctsvd"]
    assert module.split("_")[0] in absent[name]


def test_trustmark_is_never_asked_to_fetch_its_weights(monkeypatch, tmp_path, photo):
    package = tmp_path / "trustmark"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from PIL import ImageChops\n"
        "class TrustMark:\n"
        "    def __init__(self, verbose, model_type, encoding_type): self.text = None\n"
        "    def encode(self, image, text, MODE): self.text = text; return ImageChops.offset(image, 1)\n"
        "    def decode(self, image, MODE): return self.text, self.text is not None, 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="weights are not installed"):
        open_method("trustmark")
    from assay.watermark.trial.trustmark import WEIGHTS

    for name in WEIGHTS:
        (package / "models" / name).touch()
    method = open_method("trustmark")
    image, payload = photo("chelsea.png"), np.arange(40).astype(np.uint8) % 2
    assert method.extract(image) == Answer(None, False)
    marked = method.embed(image, payload)
    assert np.array_equal(method.extract(marked).bits, payload)
    monkeypatch.delitem(sys.modules, "trustmark")


def test_another_key_is_another_key_however_a_scheme_takes_it(picture, monkeypatch):
    class Several(DwtDctSvd):
        def __init__(self, keys=(b"ours",)):
            super().__init__(keys[0])

    class Keyless(DwtDctSvd):
        def __init__(self):
            super().__init__(b"")

    payload = np.ones(48, np.uint8)
    for scheme in (DwtDctSvd, Several):
        monkeypatch.setattr(methods, "_scheme", lambda name, scheme=scheme: scheme)
        foreign = methods.under_foreign_key("any")
        marked = foreign.embed(picture, payload)
        assert np.array_equal(foreign.extract(marked).bits, payload)
        assert not open_method("any").extract(marked).found
    monkeypatch.setattr(methods, "_scheme", lambda name: Keyless)
    assert methods.under_foreign_key("any") is None
    assert methods.under_foreign_key("blind-watermark") is None


def test_peers_go_by_name_and_by_family():
    assert peers("imwatermark") == ("imwatermark-dwtDct", "imwatermark-dwtDctSvd", "imwatermark-rivaGan")
    assert peers("blind,imwatermark-dwtDct") == ("blind-watermark", "imwatermark-dwtDct")
    assert peers("") == ()
    assert set(peers(None)) == set(methods.PEERS)
    with pytest.raises(UsageError, match="digimarc"):
        peers("digimarc")
    with pytest.raises(UsageError):
        present(["no-such-scheme"])


# ------------------------------------------------------------------------------------------- figures


def test_intervals_are_wilson_s():
    from scipy.stats import binomtest

    for hits, of in ((0, 10), (3, 7), (198, 200), (200, 200), (1, 1)):
        theirs = binomtest(hits, of).proportion_ci(method="wilson")
        assert Rate(hits, of).interval == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert Rate(0, 0).interval == (0.0, 1.0)
    assert math.isnan(Rate(0, 0).share)
    exact = binomtest(0, 3000, alternative="less").proportion_ci(0.95, method="exact").high
    assert upper_bound(Rate(0, 3000)) == pytest.approx(exact, rel=1e-9)


def test_size_classes_part_the_photographs():
    sizes = (100_000, 300_000, 999_999, 12_000_000)
    rows = [Trial(str(n), "m", n, n, "", 40.0 + k, 0.9, {"none": k > 0}) for k, n in enumerate(sizes)]
    counts = {
        s: summary(rows, "m", ["none"], s)
        for s in ("below 0.3 MP", "0.3 to 1 MP", "1 to 4 MP", "4 MP and more")
    }
    assert [f.photographs if f else 0 for f in counts.values()] == [1, 2, 0, 1]
    assert counts["0.3 to 1 MP"].psnr == (41.5, 41.0)
    assert summary(rows, "m", ["none"]).rates["none"] == Rate(3, 4)
    assert summary(rows, "other", ["none"]) is None


# ------------------------------------------------------------------------------------------- false alarms


def test_alarms_count_every_kind_of_read(folder, monkeypatch):
    class Credulous(Scripted):
        def extract(self, picture):
            return Answer(np.zeros(8, np.uint8), True, 5e-4)

    opened = {"credulous": Credulous(), "dwtdctsvd": open_method("dwtdctsvd")}
    for name, method in opened.items():
        method.name = name
    monkeypatch.setattr("assay.watermark.trial.alarms.opened", opened.__getitem__)
    monkeypatch.setattr(
        "assay.watermark.trial.alarms.under_foreign_key",
        lambda name: methods.under_foreign_key(name) if name == "dwtdctsvd" else None,
    )
    credulous, ours = Silence(folder / "chelsea.png", tuple(opened), 6)()
    assert credulous.reads == {"whole": 1, "foreign": 2, "crop": 6}
    assert credulous.found == credulous.reads
    assert [credulous.below[level] for level in LEVELS[:4]] == [9, 9, 9, 0]
    # Ours, asked about the same, says nothing to another key's mark either.
    assert ours.reads == {"whole": 1, "foreign": 2, "crop": 6}
    assert not +ours.found
    assert ours.below[LEVELS[5]] == 0


def test_methods_without_a_rule_are_held_to_a_fixed_payload(folder, monkeypatch):
    class Coin(Scripted):
        name, bits = "coin", 64

        def extract(self, picture):
            return Answer(np.random.default_rng(1).integers(0, 2, 64).astype(np.uint8), None)

    monkeypatch.setattr("assay.watermark.trial.alarms.opened", lambda name: Coin())
    monkeypatch.setattr("assay.watermark.trial.alarms.under_foreign_key", lambda name: None)
    (alarms,) = Silence(folder / "chelsea.png", ("coin",), 50)()
    assert not alarms.has_rule
    assert alarms.reads == {"whole": 1}
    assert alarms.agree == 0
    both = alarms + Alarms("coin", Counter(whole=2), Counter(), has_rule=False, agree=1)
    assert (both.reads["whole"], both.agree) == (3, 1)


def test_random_crops_lie_in_the_picture_and_never_repeat(picture):
    rng = np.random.default_rng(1)
    crops = [random_crop(picture, rng) for _ in range(40)]
    assert all(c.dtype == np.uint8 and c.ndim == 3 and min(c.shape[:2]) >= 100 for c in crops)
    assert len({c.shape for c in crops}) > 20
    assert random_crop(picture[:40, :50], rng).shape[2] == 3


# ------------------------------------------------------------------------------------------- the whole run


def plan(folder, **changes):
    usual = {"attacks": ("none", "jpeg75", "crop25"), "timed_pixels": 0, "negatives": (), "jobs": 1}
    return Plan(tuple(find([folder])), ("dwtdctsvd",), **(usual | changes))


def counts(result):
    return json.dumps(document(result) | {"timings": []}, allow_nan=False)


def test_the_number_of_processes_changes_nothing(folder):
    ticks = []
    steps = Steps(plan(folder, negatives=tuple(find([folder])), crops=3))
    one = steps.run(lambda: ticks.append(1))
    assert len(ticks) == steps.total == 4
    two = Steps(plan(folder, negatives=tuple(find([folder])), crops=3, jobs=2)).run(lambda: None)
    assert counts(one) == counts(two)
    assert sum(a.reads["crop"] for a in one.alarms) == 3
    other = Steps(plan(folder, seed=1)).run(lambda: None)
    assert counts(other) != counts(one)


def test_what_cannot_be_read_is_named_and_the_rest_is_tried(folder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    Image.new("RGB", (20, 20)).save(tmp_path / "tiny.png")
    result = Steps(Plan(tuple(find([folder, tmp_path])), ("dwtdctsvd",), ("none",), timed_pixels=0)).run(
        lambda: None
    )
    assert len(result.trials) == 2
    assert sorted(Path(e.path).name for e in result.unread) == ["broken.jpg", "tiny.png"]
    assert all(isinstance(error, AssayError) for error in result.unread)
    assert len(document(result)["unread"]) == 2


def test_a_process_that_dies_is_an_error_of_its_own():
    with pytest.raises(LimitError, match="memory"):
        list(work([partial(os._exit, 1), partial(int, 2)], 2))


def test_tables_say_what_the_counts_say(folder):
    result = Steps(plan(folder)).run(lambda: None)
    text = markdown(result)
    hits = sum(t.exact["none"] for t in result.trials)
    assert hits == 2
    assert "| none | 100 (34.2–100.0) | 99.5 |" in text
    assert "below 0.3 MP, 2 photographs" in text
    assert "io.assay.dwtdctsvd.1" in text
    lost = Trial("x", "dwtdctsvd", 10_000, 10_000, "too small")
    shorter = tables(
        type(result)(result.plan, result.methods, {}, (*result.trials, lost), (), (), ()), short=True
    )
    assert ("none", "66.67*", "99.5") in shorter[1].rows
    assert ("photographs, all sizes (refused)", "3 (1)") in shorter[0].rows


def test_the_clock_and_the_memory_are_measured(folder):
    speed = timed("dwtdctsvd", folder / "astronaut.png", 0, 200_000)
    assert speed.megapixels == pytest.approx(0.2, rel=0.02)
    assert min(speed.embed, speed.read, speed.read_crop, speed.read_unmarked) > 0
    assert speed.peak_mib >= speed.idle_mib > 20
    held = np.ones(30 << 20, np.uint8)
    assert peak_mib() >= speed.idle_mib
    del held


def test_photographs_are_found_evenly_and_in_order(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.JPG").touch()
    (tmp_path / "notes.txt").touch()
    assert [p.stem for p in find([tmp_path], 4)] == ["0", "2", "5", "7"]
    assert len(find([tmp_path])) == 10
    assert find([tmp_path / "notes.txt"], 1) == [tmp_path / "notes.txt"]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(InputError) as caught:
            find([path])
        assert caught.value.path == str(path)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "0.JPG")
    assert caught.value.path == str(tmp_path / "0.JPG")
