"""The demonstration: every history gets its verdict, and nothing is left outside its folder."""

from __future__ import annotations

import json
import time

import pytest

from .conftest import Terminal

VERDICTS = {"source-confirmed", "source-recovered", "marked-ai", "conflict", "inconclusive"}


def test_the_demo_tells_every_history_right_and_in_its_folder(tmp_path):
    terminal = Terminal(tmp_path, tmp_path / "home")
    start = time.monotonic()
    answer = terminal.alone("demo", "--out", tmp_path / "shown", "--json", expect=None)
    took = time.monotonic() - start
    histories = [json.loads(line) for line in answer.out.splitlines()]
    assert {h["history"]: h["verdict"] for h in histories} == {h["history"]: h["expected"] for h in histories}
    assert len(histories) >= 12
    assert {h["verdict"] for h in histories} == VERDICTS
    (edited,) = (h for h in histories if "a part replaced" in h["history"])
    (agreement,) = (e for e in edited["evidence"] if e["check"] == "agreement")
    assert agreement["details"]["missing_and_changed"], "it shows as a change, and as a hole in the mark"
    assert {h["asset"]["kind"] for h in histories} == {"image", "video", "audio"}
    for kind in ("video", "audio"):
        signed, cut, patched = (h for h in histories if h["asset"]["kind"] == kind)
        assert signed["verdict"] == "source-confirmed"
        assert cut["recovered"]["by"] == "watermark"
        assert cut["recovered"]["span"] == [pytest.approx(2, abs=0.3), pytest.approx(cut_at(kind), abs=0.3)]
        assert not cut["recovered"]["changed_seconds"]
        assert patched["recovered"]["changed_seconds"], "what was put in is told"
    assert answer.code == 0
    assert took < 300  # two workers share two cores here
    assert [p.name for p in tmp_path.iterdir()] == ["shown"]
    assert (tmp_path / "shown" / "report.html").stat().st_size > 10_000


def cut_at(kind):
    """The last second of what was cut out (cli/histories_time.py)."""
    return {"video": 7, "audio": 11}[kind]


def test_it_replaces_nothing_but_a_demo(nowhere):
    out = nowhere.folder / "mine"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert "not a demo" in nowhere("demo", "--out", out, expect=2).err
    assert [p.name for p in out.iterdir()] == ["precious.txt"]
