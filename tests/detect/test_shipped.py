"""The shipped panel opens from its files, says what it measured and stays within its bounds."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from assay.detect.card import NATIVE, WHOLE
from assay.detect.explain import FAMILIES, WHOLE_PICTURE, drawn, explained
from assay.detect.panels import open_panel, read_fusion
from assay.detect.store import SHIPPED, Store
from assay.detect.train.data import RESERVED_GENERATORS
from assay.detect.vectors import named
from assay.provenance.errors import ConfigurationError
from assay.provenance.files.picture import decode
from assay.provenance.opinion import Answered

MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def panel():
    return open_panel(Store(), lambda: 0.0)


def picture(pixels, format="JPEG", **options):
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, format, **options)
    memory.seek(0)
    return decode(memory)


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(2)
    smooth = gaussian_filter(rng.normal(size=(700, 900, 3)), (5, 5, 0)) * 250 + 120
    return np.clip(smooth + rng.normal(scale=4, size=smooth.shape), 0, 255).astype(np.uint8)


def test_an_opinion_is_bounded_and_says_how_often_it_is_wrong(panel, scene):
    opinion = panel.examine(picture(scene, quality=92))
    assert opinion.answered is Answered.OK
    line = panel.fusion.lines["fine"]
    assert abs(opinion.llr) <= line.bound + 1e-9
    assert opinion.score == pytest.approx(1 / (1 + 10**opinion.llr))
    assert line.bound <= math.log10(min(line.real_sources, line.fake_sources) + 1) + 1e-9
    assert len(opinion.parts[0].regions) <= 9
    (sentence,) = opinion.says
    assert opinion.llr >= 0 or "1,000" in sentence or "neither way" in sentence


def test_silence_has_its_reason(panel, scene):
    assert "too small" in panel.examine(picture(scene[:150])).reason
    flat = panel.examine(picture(gaussian_filter(scene, (20, 20, 0)), quality=90))
    assert flat.answered is Answered.NOT_APPLICABLE
    assert flat.score is None
    assert flat.reason


def test_every_number_belongs_to_one_family_and_the_drawing_is_a_picture(panel, scene):
    for name in (*named(NATIVE), *named(WHOLE)):
        assert sum(name.startswith(beginnings) for beginnings in FAMILIES.values()) == 1, name
    taken = picture(scene, quality=92)
    found = explained(panel, taken)
    whole = {
        family.removeprefix(WHOLE_PICTURE) for family in found.shares if family.startswith(WHOLE_PICTURE)
    }
    assert whole == set(FAMILIES)
    assert set(FAMILIES) - {"colours"} <= set(found.shares)
    drawing = Image.open(io.BytesIO(drawn(taken, found.opinion))).convert("RGB")
    assert drawing.size == (640, 498)
    assert np.asarray(drawing).std() > 5


def test_the_card_names_its_sources_and_none_is_reserved():
    store = Store()
    total = 0
    for model in store.models():
        store.verify(model.card.name)
        total += model.card.weights.bytes
        assert model.card.sources
        assert model.card.fails
        told = " ".join(f"{s.name} {s.repository}" for s in model.card.sources).lower()
        assert not [name for name in RESERVED_GENERATORS if re.search(rf"\b{name}\b", told)]
    assert total <= MOST_BYTES


@pytest.mark.parametrize(
    "text", ["", "{}", '{"type": "assay.detector-panel/v9", "kind": "image"}', "[" * 9999]
)
def test_a_broken_panel_is_refused(tmp_path, text):
    (tmp_path / "panel.json").write_text(text)
    with pytest.raises(ConfigurationError, match="panel"):
        open_panel(Store(tmp_path), lambda: 0.0)


def test_the_shipped_panel_has_alarms_for_each_step():
    fusion = read_fusion(SHIPPED / "panel.json")
    assert [a.log10 for a in fusion.alarms] == sorted(a.log10 for a in fusion.alarms)
    assert all(a.worst_per_1000 >= a.per_1000 for a in fusion.alarms)
