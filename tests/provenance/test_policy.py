"""Policies are data, read strictly; a changed value changes the name that reports carry."""

from __future__ import annotations

import pytest

from assay.provenance.errors import ConfigurationError, InputError, UsageError
from assay.provenance.policy import NEWSROOM, SHIPPED, choose_policy, read_policy

TEXT = """name = "desk"
version = 1
changed_area = 0.02
llr_cap = 2
checks = ["manifest", "detector:image"]
"""


def test_each_shipped_policy_is_read_and_has_an_id_of_its_own():
    found = {name: choose_policy(name) for name in SHIPPED}
    assert {policy.name for policy in found.values()} == set(SHIPPED)
    assert len({policy.id for policy in found.values()}) == len(SHIPPED)
    assert found["newsroom"] == NEWSROOM


def test_an_archive_does_not_ask_detectors_even_where_the_workspace_has_some():
    assert "detector:image" not in choose_policy("archive", None, ("image", "acme")).checks
    assert "detector:acme" in choose_policy("platform", None, ("image", "acme")).checks


def test_a_file_is_a_policy_and_any_value_changes_its_id(tmp_path):
    path = tmp_path / "desk.toml"
    path.write_text(TEXT)
    one = choose_policy(str(path))
    assert one.id.startswith("desk/1#")
    path.write_text(TEXT.replace("0.02", "0.03"))
    assert choose_policy(str(path)).id != one.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"desk"', '"Desk of <b>"'),
        ("version = 1", "version = true"),
        ("version = 1", "version = 0"),
        ("0.02", "1.5"),
        ("0.02", "nan"),
        ("llr_cap = 2", "llr_cap = 9"),
        ("llr_cap = 2", ""),
        ("llr_cap = 2", 'llr_cap = 2\nextra = "x"'),
        ('"manifest", ', '"detector:image", '),
        ('["manifest", "detector:image"]', "[]"),
        ('"manifest"', '"../manifest"'),
        ("name", "[name"),
    ],
)
def test_what_is_no_policy_is_refused_in_words(old, new):
    with pytest.raises(ConfigurationError, match="is no policy"):
        read_policy(TEXT.replace(old, new, 1).encode(), "desk.toml")


def test_a_policy_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="newsroom, archive, platform"):
        choose_policy("strict")
    with pytest.raises(InputError, match="cannot read"):
        choose_policy(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError):
        read_policy(b"\xff\xfe", "bytes")
    with pytest.raises(ConfigurationError, match="more than"):
        read_policy(b"#" * 70_000, "long")
