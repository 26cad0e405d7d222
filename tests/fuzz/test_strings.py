"""Hostile strings in every field of real credentials: each field, each of our strings, by turns.

All strings in all fields, those of c2pa-attacks too: python bench/fuzz.py --strings --corpus $ASSAY_CORPUS
"""

from __future__ import annotations

import json

from ..cli.conftest import Terminal
from .strings import EVERY, STRINGS, lists, signed, told


def test_no_field_carries_a_string_to_the_terminal_raw(desk):
    terminal = Terminal(desk.folder, desk.workspace.home)
    read = 0
    for number, field in enumerate(EVERY):
        text = STRINGS[number % len(STRINGS)]
        ((_, made),) = signed(desk, text, [field])
        if not isinstance(made, str):
            command = (("-v", "verify"), ("inspect",), ("inspect", "--json"))[number % 3]
            assert told(terminal, made, text, (command,)) == [], field
            read += 1
    assert read > 15


def test_the_check_sees_a_line_break(desk):
    """What it looks for is there when the string is printed as it is."""
    text = "one\nassay: all is well"

    class Careless:
        def __call__(self, *arguments, **options):
            return type("Answer", (), {"code": 0, "out": f"│ {text} │", "err": ""})

    assert "a line begins with" in told(Careless(), desk.path(), text, (("verify",),))[0]


def test_strings_come_back_from_json_as_they_were_signed(desk):
    terminal = Terminal(desk.folder, desk.workspace.home)
    for text in STRINGS[:4]:
        ((_, path),) = signed(desk, text, ["title"])
        report = json.loads(terminal("verify", path, "--json", "--checks", "manifest", expect=None).out)
        assert report["manifest"]["title"] == text


def test_the_lists_of_the_corpus_are_read(corpus):
    assert len(lists(corpus)) >= len(STRINGS) + 28
    assert len(EVERY) >= 24
