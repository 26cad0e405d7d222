"""Other people's broken files: nothing but our own errors, no long waits, and the parent lives."""

import time
from collections import Counter

import pytest

from assay.provenance.errors import AssayError, InputError
from assay.provenance.files.disclosure import read_disclosures_isolated
from assay.provenance.files.picture import FORMATS, decode_isolated
from assay.provenance.files.sniff import open_asset
from assay.provenance.files.structure import layout_isolated

# Smallest files of their kind that hold no picture at all, so that there is nothing to decode.
NO_PICTURE = {"gif.gif", "webp.webp"}
SECONDS = 10


def survey(path):
    """Run every reader on one file; return the outcomes by reader."""
    outcomes = {}
    asset, stream = open_asset(path)
    readers = {
        "decode": lambda: decode_isolated(stream),
        "disclosures": lambda: read_disclosures_isolated(stream, asset.media_type),
        "layout": lambda: layout_isolated(stream, asset.media_type),
    }
    with stream:
        for name, reader in readers.items():
            start = time.monotonic()
            try:
                outcomes[name] = reader()
            except AssayError as error:
                outcomes[name] = error
            assert time.monotonic() - start < SECONDS, (path, name)
    raised = [value for value in outcomes.values() if isinstance(value, AssayError)]
    assert all(isinstance(error, InputError) and "\x1b" not in error.message for error in raised), (
        path,
        raised,
    )
    return asset, outcomes


def test_malformed_files_raise_nothing_but_input_errors(corpus):
    seen = Counter()
    for path in sorted((corpus / "malformed").rglob("*")):
        if path.is_file():
            _, outcomes = survey(path)
            seen.update(f"{name}: {type(value).__name__}" for name, value in outcomes.items())
    # That readers neither refuse everything nor swallow everything; the counts themselves are the corpus's.
    assert seen["decode: Picture"] > 20
    assert seen["decode: MalformedError"] > 20
    assert seen["disclosures: Disclosures"] > 100


def test_tiny_valid_files_pass(corpus):
    for path in sorted((corpus / "malformed" / "tiny-valid").iterdir()):
        asset, outcomes = survey(path)
        if asset.media_type in FORMATS and path.name not in NO_PICTURE:
            assert outcomes["decode"].pixels.size, path
        if path.name not in NO_PICTURE:
            assert not outcomes["disclosures"].broken, path
        if not isinstance(outcomes["layout"], AssayError):
            assert outcomes["layout"].oddities == (), path
        assert asset.media_type != "application/octet-stream" or path.suffix == ".tga", path


def test_real_photographs_decode_without_remarks(corpus):
    paths = sorted(
        path for path in (corpus / "detect" / "image").rglob("*") if path.suffix in (".jpg", ".png", ".webp")
    )
    if not paths:
        pytest.skip("no photographs in this corpus")
    for path in paths[:: max(1, len(paths) // 40)]:
        asset, stream = open_asset(path)
        with stream:
            picture = decode_isolated(stream)
            assert layout_isolated(stream, asset.media_type).appended < asset.size
        assert picture.pixels.shape[2] == 3, path
        assert not any("breaks off" in note for note in picture.notes), path
