"""Broken films and sounds: each pass ends in samples or in one of our errors, in bounded time, and kills nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice

import pytest

from assay.provenance.errors import InputError
from assay.provenance.files.reel import CONTAINERS
from assay.provenance.limits import DEFAULT_LIMITS
from assay.provenance.media import Kind
from assay.provenance.subject import Subject
from tests import clips

pytest.importorskip("av")

LIMITS = replace(DEFAULT_LIMITS, worker_seconds=20.0, stream_cpu_seconds=20, stall_seconds=20.0)
FOLDERS = (
    "malformed/mp4parse",
    "malformed/flac-faulty",
    "malformed/tiny-valid",
    "c2pa/c2pa-rs/sdk/tests/fixtures",
)


def passed(path):
    """Return how many chunks a pass gave, or the error that it ended in."""
    with Subject.open(path, LIMITS) as subject:
        if subject.asset.kind not in (Kind.VIDEO, Kind.AUDIO):
            return None
        try:
            return sum(1 for _ in islice(subject.media().timed(), 100))
        except InputError as error:
            assert error.message
            return error


def test_other_people_s_broken_films_and_sounds(corpus):
    files = [f for folder in FOLDERS for f in sorted((corpus / folder).rglob("*")) if f.is_file()]
    ends = {f.name: passed(f) for f in files if f.stat().st_size and f.suffix in SUFFIXES}
    assert len([e for e in ends.values() if e is not None]) > 15
    assert isinstance(ends["zero_empty_stsc.mp4"], InputError | int)
    assert isinstance(ends["06_-_missing_streaminfo_metadata_block.flac"], InputError)
    assert any(isinstance(e, int) and e > 0 for e in ends.values())


SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4a", ".avi", ".wav", ".mp3", ".flac", ".ogg", ".webm", ".m4s", ".wmv"}
)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("matroska", "libvpx"),
        ("avi", "mpeg4"),
        ("flac", None),
        ("mp3", None),
        ("ogg", None),
    ],
)
def test_bytes_changed_at_random_end_in_samples_or_errors(tmp_path, container, codec):
    rng = random.Random(container)
    sounds = {"flac": "flac", "mp3": "libmp3lame", "ogg": "libopus"}
    fast = {"cpu-used": "8", "deadline": "realtime"} if codec == "libvpx" else {}
    data = (
        clips.film(8, codec=codec, container=container, options=fast)
        if codec
        else clips.recording(2, sounds[container], container, rate=48_000)
    )
    ends = []
    for n in range(6):
        broken = bytearray(data)
        for _ in range(1 << n):
            broken[rng.randrange(len(broken) if n % 2 else min(400, len(broken)))] = rng.randrange(256)
        path = tmp_path / f"{n}"
        path.write_bytes(broken)
        ends.append(passed(path))
    assert len(ends) == 6


def test_every_container_read_is_one_that_is_sniffed():
    assert {"video/mp4", "audio/flac", "audio/wav", "audio/mpeg"} <= set(CONTAINERS)
