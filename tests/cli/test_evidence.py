"""Evidence bundles: made, made again, checked without Python, and everything that may be wrong with one."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from assay.cli.evidence import Recorder, check_evidence, write_evidence

TOOLS = (
    *(
        "sh",
        "sha256sum",
        "openssl",
        "cat",
        "cut",
        "find",
        "grep",
        "head",
        "mktemp",
        "rm",
        "sed",
        "sort",
        "tail",
    ),
    *("tr", "uniq", "wc", "xargs", "od", "cmp", "cp", "mv"),
)


@pytest.fixture(scope="module")
def world(studio, tmp_path_factory):
    """A desk with a signed file, a stripped copy of it, and a bundle of each."""
    desk = studio.desk()
    signed = desk.sign(desk.picture())
    stripped = desk.path(".jpg")
    with Image.open(signed) as image:
        image.save(stripped, quality=88)
    folder = tmp_path_factory.mktemp("bundles")
    recorder = Recorder.of(desk.workspace)
    for name, path in (("signed", signed), ("stripped", stripped)):
        recorder.log.memory.clear()
        write_evidence(folder / f"{name}.zip", desk.verify(path), desk.workspace, recorder, None)
    yield folder
    desk.close()


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder / "evidence"


def packed(folder: Path, out: Path, *, honest: bool = True) -> Path:
    """Zip a folder as a bundle; ``honest`` false makes its manifests fit whatever is in it now."""
    if not honest:
        for name, kept in (("manifest-sha256.txt", ("data/",)), ("tagmanifest-sha256.txt", ())):
            there = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
            mine = [n for n in there if n.startswith("data/") == bool(kept) and n != "tagmanifest-sha256.txt"]
            lines = (f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in mine)
            (folder / name).write_text("".join(lines))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, f"evidence/{path.relative_to(folder)}")
    return out


def states(bundle: Path) -> dict[str, str]:
    layers, _ = check_evidence(bundle)
    return {layer.name: layer.state for layer in layers}


def shell(folder: Path, tmp_path: Path) -> tuple[int, str]:
    """Run verify.sh where there is nothing but a shell, its utilities, sha256sum and openssl."""
    tools = tmp_path / "bin"
    if not tools.exists():
        tools.mkdir()
        for tool in TOOLS:
            (tools / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        [tools / "sh", folder / "verify.sh"],
        env={"PATH": str(tools), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["signed", "stripped"])
def test_a_report_is_made_again_byte_for_byte_and_its_proofs_hold_without_python(world, name, tmp_path):
    assert states(world / f"{name}.zip") == {"files": "ok", "ledger": "ok", "report": "ok"}
    folder = unpacked(world / f"{name}.zip", tmp_path)
    report = json.loads((folder / "data/report.json").read_bytes())
    assert report["recovered"]["matches"]
    code, said = shell(folder, tmp_path)
    assert code == 0, said
    assert f"its verdict, which is not checked here, is {report['verdict']}" in said
    assert "1 lead to the checkpoint: 0" in said
    if name == "signed":
        assert "signature   not checked" in said


def test_the_same_examination_is_the_same_bytes(desk, tmp_path):
    path = desk.sign(desk.picture())
    recorder = Recorder.of(desk.workspace)
    for name in ("a", "b"):
        recorder.log.memory.clear()
        write_evidence(tmp_path / name, desk.verify(path), desk.workspace, recorder, None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_it_holds_no_key(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".pem", ".json", ".txt", ""):
            assert b"PRIVATE KEY" not in path.read_bytes()


def test_the_commands(terminal, desk, nowhere):
    path = desk.sign(desk.picture())
    terminal("verify", path, "--report", "out.zip", expect=None)
    made = nowhere("verify-report", desk.folder / "out.zip")
    assert "made again, it is the same byte for byte" in made.out
    document = json.loads(nowhere("verify-report", desk.folder / "out.zip", "--json").out)
    assert document["differs"] == []
    assert [layer["state"] for layer in document["layers"]] == ["ok", "ok", "ok"]
    assert "of one file" in terminal("verify", path, path, "--report", "two.zip", expect=2).err
    assert "--online" in terminal("verify", path, "--online", "--report", "two.zip", expect=2).err
    terminal("verify", "gone.jpg", "--report", "gone.zip", expect=4)
    assert not (desk.folder / "gone.zip").exists()


# ------------------------------------------------------------------------------------------- what may be wrong


@pytest.mark.parametrize(
    "name",
    [
        "data/asset.jpg",
        "data/report.json",
        "data/replay.json",
        "data/ledger/keys",
        "README.txt",
        "manifest-sha256.txt",
    ],
)
def test_a_changed_file_is_named(world, name, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    code, said = shell(folder, tmp_path)
    assert (code, "files       failed" in said) == (1, True)
    bundle = packed(folder, tmp_path / "changed.zip")
    if name == "manifest-sha256.txt":  # what it says may no longer be a line of a manifest at all
        try:
            assert states(bundle) == {"files": "failed"}
        except Exception as error:
            assert "manifest-sha256.txt" in str(error)
    else:
        assert states(bundle) == {"files": "failed"}


def test_a_missing_and_an_added_file_are_named(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    (folder / "data/report.html").unlink()
    assert shell(folder, tmp_path)[0] == 1
    assert states(packed(folder, tmp_path / "missing.zip")) == {"files": "failed"}
    (folder / "data/trust/more.pem").write_text("x")
    assert shell(folder, tmp_path)[0] == 1


def test_a_verdict_that_was_rewritten_does_not_come_out_again(world, tmp_path):
    folder = unpacked(world / "stripped.zip", tmp_path)
    report = json.loads((folder / "data/report.json").read_bytes())
    report["verdict"] = "source-confirmed"
    (folder / "data/report.json").write_text(json.dumps(report, indent=2) + "\n")
    bundle = packed(folder, tmp_path / "forged.zip", honest=False)
    layers, differ = check_evidence(bundle)
    assert {layer.name: layer.state for layer in layers}["report"] == "failed"
    assert differ == ["verdict"]


def test_another_picture_under_an_old_report_is_seen_by_both(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    (folder / "data/asset.jpg").write_bytes((folder / "data/asset.jpg").read_bytes() + b"more")
    bundle = packed(folder, tmp_path / "forged.zip", honest=False)
    code, said = shell(folder, tmp_path)
    assert (code, "report      failed       it speaks of another file" in said) == (1, True)
    _, differ = check_evidence(bundle)
    assert {"asset.digest.value", "verdict"} <= set(differ)


def test_a_receipt_that_was_changed_is_seen(world, tmp_path):
    folder = unpacked(world / "stripped.zip", tmp_path)
    replay = json.loads((folder / "data/replay.json").read_bytes())
    for answer in replay["ledger"].values():
        for item in answer:
            item["receipt"] = item["receipt"].replace("\nindex 0\n", "\nindex 1\n")
    (folder / "data/replay.json").write_text(json.dumps(replay))
    made = states(packed(folder, tmp_path / "forged.zip", honest=False))
    assert made["ledger"] == made["report"] == "failed"


def test_other_versions_are_told_apart_from_another_result(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    report = json.loads((folder / "data/report.json").read_bytes())
    report["engines"]["c2pa"] = "c2pa-rs 9.9"
    (folder / "data/report.json").write_text(json.dumps(report, indent=2) + "\n")
    layers, differ = check_evidence(packed(folder, tmp_path / "other.zip", honest=False))
    assert layers[-1].state == "not checked"
    assert differ == ["engines.c2pa"]


@pytest.mark.parametrize(
    "name",
    ["evidence/../../out", "evidence/data/../out", "/etc/out", "evidence/data/asset.jpg/x", "other/data/asset.jpg",
     "evidence/data/trust/.hidden", "evidence/data/ledger/bundle/../../x"],
)  # fmt: skip
def test_a_name_without_a_place_is_refused_before_anything_is_written(world, name, tmp_path, nowhere):
    out = tmp_path / "slip.zip"
    shutil.copy(world / "signed.zip", out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, b"x")
    assert "without a place" in nowhere("verify-report", out, expect=4).err


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip at all" * 100])
def test_what_is_no_bundle_is_refused(data, tmp_path, nowhere):
    out = tmp_path / "no.zip"
    out.write_bytes(data)
    nowhere("verify-report", out, expect=4)
    nowhere("verify-report", tmp_path / "gone.zip", expect=4)


def test_packed_and_nonsense_inside_are_refused(world, tmp_path, nowhere):
    folder = unpacked(world / "signed.zip", tmp_path)
    out = tmp_path / "deflated.zip"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "data/report.json", "evidence/data/report.json")
    assert "packed" in nowhere("verify-report", out, expect=4).err
    replay = json.loads((folder / "data/replay.json").read_bytes())
    changed = (
        {"time": "2026-11-21T09:30:00"},
        {"time": "yesterday"},
        {"ledger": {"digest x": [5]}},
        {"anchors": [1]},
        {"settings": {"policy": "newsroom", "read_marks": 5, "detectors": []}},
        {"suffix": "../x"},
    )
    for change in changed:
        (folder / "data/replay.json").write_text(json.dumps({**replay, **change}))
        nowhere("verify-report", packed(folder, tmp_path / "nonsense.zip", honest=False), expect=4)
    for nonsense in (b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"type": "assay.replay/v2"}'):
        (folder / "data/replay.json").write_bytes(nonsense)
        nowhere("verify-report", packed(folder, tmp_path / "nonsense.zip", honest=False), expect=4)


@pytest.mark.parametrize(
    "name", ["data/report.json", "data/ledger/keys", "data/trust/lists.json", "data/asset.jpg"]
)
def test_what_is_needed_is_there(world, name, tmp_path, nowhere):
    folder = unpacked(world / "signed.zip", tmp_path)
    (folder / name).unlink()
    nowhere("verify-report", packed(folder, tmp_path / "less.zip", honest=False), expect=4)
