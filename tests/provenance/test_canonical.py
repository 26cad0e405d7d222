"""RFC 8785: the library's bytes, and the standard library's where they must be the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.provenance.canonical import canonical, plain
from assay.provenance.errors import UsageError

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
