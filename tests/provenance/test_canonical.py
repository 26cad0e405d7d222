"""RFC 8785: the library's bytes, and the standard library's where they must be the same."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.provenance.canonical import canonical, json_object, load_json, plain
from assay.provenance.errors import MalformedError, UsageError

NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)


@given(st.dictionaries(NAMES, st.recursive(TEXTS | NUMBERS, lambda inner: st.dictionaries(NAMES, inner))))
def test_the_quick_encoder_writes_what_the_library_writes(document):
    assert plain(document) == canonical(document)


@pytest.mark.parametrize(
    "character", [chr(c) for c in (*range(0x20), 0x22, 0x5C, 0x7F, 0x80, 0x2028, 0xFFFF, 0x1F600)]
)
def test_each_character_that_needs_care(character):
    assert plain({"a": character}) == canonical({"a": character})


def test_half_a_pair_is_refused_by_both():
    for encode in (plain, canonical):
        with pytest.raises(UsageError):
            encode({"a": "\ud800"})


@pytest.mark.parametrize("limit", [1000, 200_000])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '["\\"[",' * 50_000, "[" * 65 + "]" * 65])
def test_deep_nesting_is_refused_however_deep_python_may_recurse(text, limit):
    """py_ecc, which comes with web3, raises the limit to 100,000; json's scanner then runs off the C stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, before))
    try:
        with pytest.raises(ValueError, match="nested"):
            load_json(text.encode())
        with pytest.raises(MalformedError, match="nested"):
            json_object(text.encode(), "the thing")
    finally:
        sys.setrecursionlimit(before)


@given(
    st.recursive(
        st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=200
    )
)
def test_brackets_in_strings_are_no_nesting(value):
    text = json.dumps(["[{" * 100, '"' * 70 + "[", value])
    assert load_json(text.encode()) == json.loads(text)
