"""The demonstration: every history gets its verdict, and nothing is left outside its folder."""

from __future__ import annotations

import json
import time

import pytest

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    from .conftest import Terminal

    folder = tmp_path_factory.mktemp("demo")
    terminal = Terminal(folder, folder / "home")
    start = time.monotonic()
    answer = terminal.alone("demo", "--out", folder / "shown", "--json", expect=None)
    return folder, answer, time.monotonic() - start, terminal


def test_every_history_gets_the_verdict_it_should(shown):
    _, answer, _, _ = shown
    histories = [json.loads(line) for line in answer.out.splitlines()]
    assert {h["history"]: h["verdict"] for h in histories} == {h["history"]: h["expected"] for h in histories}
    assert len(histories) >= 12
    assert answer.code == 0
    assert {h["verdict"] for h in histories} == {
        "source-confirmed", "source-recovered", "marked-ai", "conflict", "inconclusive",
    }  # fmt: skip


def test_it_takes_less_than_a_minute(shown):
    assert shown[2] < 60


def test_it_leaves_nothing_outside_its_folder(shown):
    folder, _, _, _ = shown
    assert [p.name for p in folder.iterdir()] == ["shown"]
    assert (folder / "shown" / "report.html").stat().st_size > 10_000


def test_it_replaces_only_a_demo(shown, tmp_path):
    _, _, _, terminal = shown
    (tmp_path / "precious.txt").write_text("mine")
    assert "not a demo" in terminal("demo", "--out", tmp_path, expect=2).err
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
