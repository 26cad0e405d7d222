from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from assay.provenance.errors import ConfigurationError, LimitError
from assay.provenance.media import Media
from assay.provenance.protocols import Watermark
from assay.watermark import rivagan
from assay.watermark.rivagan import ALARM, RivaGan

ID = "00112233"


@pytest.fixture(scope="module")
def scheme():
    try:
        return RivaGan()
    except ConfigurationError as error:
        pytest.skip(str(error))


def test_reads_what_it_wrote_also_after_jpeg_and_knows_nothing_else(scheme, photo, saved):
    assert isinstance(scheme, Watermark)
    picture = photo("astronaut.png")
    marked = scheme.embed(Media.still(picture), ID).frame()
    change = marked.astype(float) - picture
    assert 10 * np.log10(255**2 / (change**2).mean()) > 40
    for received in (marked, saved(marked, quality=90)):
        reading = scheme.read(Media.still(received))
        assert reading.mark is not None
        assert reading.mark.id == ID
        assert reading.p_value < ALARM
    for other in (picture, np.full_like(picture, 255)):
        assert not scheme.read(Media.still(other)).found


def test_refuses_what_it_cannot_mark(scheme):
    for shape, reason in (((100, 100), "too small"), ((100, 2000), "too long")):
        picture = Media.still(np.zeros((*shape, 3), np.uint8))
        assert scheme.read(picture).reason == reason
        with pytest.raises(LimitError, match=reason):
            scheme.embed(picture, ID)
    with pytest.raises(LimitError):
        scheme.embed(Media.still(np.full((300, 300, 3), 255, np.uint8)), ID)


def test_networks_of_another_digest_are_not_run(scheme, monkeypatch):
    monkeypatch.setitem(rivagan.WEIGHTS, "decoder", "0" * 64)
    with pytest.raises(ConfigurationError, match="not those published"):
        RivaGan()


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(rivagan, "DISTRIBUTION", "no-such-distribution-is-installed")
    with pytest.raises(ConfigurationError, match=r"assay\[rivagan\]"):
        RivaGan()


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys, assay.watermark.dwtdctsvd, assay.watermark.rivagan, assay.watermark.known;"
        "print({'torch', 'cv2', 'pywt', 'onnxruntime', 'imwatermark', 'PIL', 'scipy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
