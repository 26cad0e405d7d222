"""assay sign --forecast and assay watermark forecast."""

from __future__ import annotations

import json

from ..studio import LARGE


def test_signing_tells_what_outlasts_publication_and_asking_again_tells_the_same(desk, terminal):
    source = desk.picture(size=LARGE)
    answer = terminal("sign", source, "-o", "signed.jpg", "--forecast", "--json")
    signed = json.loads(answer.out)
    rows = {row["passage"]: row for row in signed["forecast"]}
    assert rows["jpeg75"]["mark"] is True
    assert rows["jpeg75"]["recovered"] is True
    assert not any(row["credentials"] for row in rows.values())
    again = json.loads(terminal("watermark", "forecast", "signed.jpg", "--json").out)
    assert again["mark"] == signed["mark"]
    for passage, row in rows.items():
        later = next(r for r in again["forecast"] if r["passage"] == passage)
        assert not (row["tried"] and later["tried"]) or row == later


def test_a_table_for_people_and_a_code_for_what_is_not_marked(desk, terminal):
    source = desk.picture(size=LARGE)
    shown = terminal("watermark", "forecast", source, expect=3)
    assert "no mark" in shown.out
    assert "leads back" in shown.out
    assert "JPEG at quality 75" in shown.out


def test_without_a_mark_or_an_entry_there_is_no_forecast(desk, terminal):
    source = desk.picture(size=LARGE)
    shown = terminal(
        "sign", source, "-o", "bare.jpg", "--no-watermark", "--no-ledger", "--forecast", expect=0
    )
    assert "no forecast" in shown.err
