from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def logged(desk):
    """A signed picture that the desk's ledger knows."""
    return desk.sign(desk.picture())


def names(path):
    with zipfile.ZipFile(path) as archive:
        return {n.removeprefix("bundle/") for n in archive.namelist()}


def checked(path, folder, *script):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    done = subprocess.run([*script], cwd=folder / "bundle", env={}, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_a_signed_file_becomes_a_bundle_that_a_stranger_can_check(terminal, logged, tmp_path):
    answer = terminal(
        "ledger", "export", logged, "--with-media", "--with-recovery", "-o", "out.zip", "--json"
    )
    said = json.loads(answer.out)
    (index,) = said["entries"]
    out = terminal.folder / "out.zip"
    assert f"data/assets/{index}.{logged.suffix[1:].lower()}" in names(out)
    assert f"data/recovery/{index}.json" in names(out)
    for number, script in enumerate(([sys.executable, "-I", "-S", "verify.py"], ["/bin/sh", "verify.sh"])):
        code, text = checked(out, tmp_path / str(number), *script)
        assert code == 0, text
        assert "entries             ok" in text
        assert "assets              ok" in text
        assert "recovery            ok" in text


def test_without_being_asked_only_digests_go(terminal, logged):
    terminal("ledger", "export", logged, "-o", "bare.zip")
    assert not [n for n in names(terminal.folder / "bare.zip") if "assets" in n or "recovery" in n]


def test_entries_are_named_by_index_and_digest_too(terminal, logged):
    found = json.loads(terminal("ledger", "find", logged, "--json").out.splitlines()[0])
    first = json.loads(terminal("ledger", "export", str(found["index"]), "-o", "a.zip", "--json").out)
    second = json.loads(terminal("ledger", "export", found["digest"], "-o", "b.zip", "--json").out)
    assert first["entries"] == second["entries"] == [found["index"]]
    assert (terminal.folder / "a.zip").read_bytes() == (terminal.folder / "b.zip").read_bytes()


def test_the_next_bundle_proves_that_it_follows_the_first(terminal, logged, tmp_path):
    terminal("ledger", "export", "0", "-o", "first.zip")
    terminal("ledger", "append", logged)
    terminal("ledger", "export", logged, "--since", "first.zip", "-o", "second.zip")
    code, text = checked(terminal.folder / "second.zip", tmp_path, "/bin/sh", "verify.sh")
    assert code == 0
    assert "previous            ok" in text


def test_what_cannot_be_exported_is_said_in_words(terminal, logged):
    other = terminal.folder / "unknown.bin"
    other.write_bytes(b"never logged")
    assert "no entry of this file" in terminal("ledger", "export", other, "-o", "x.zip", expect=2).err
    assert "there is no entry" in terminal("ledger", "export", "999999", "-o", "x.zip", expect=2).err
    assert "bundle" in terminal("ledger", "export", "0", "--since", other, "-o", "x.zip", expect=4).err
    assert not (terminal.folder / "x.zip").exists()
    terminal("ledger", "export", "0", "-o", "x.zip")
    assert "exists already" in terminal("ledger", "export", "0", "-o", "x.zip", expect=2).err
    terminal("ledger", "export", "0", "-o", "x.zip", "--force")
