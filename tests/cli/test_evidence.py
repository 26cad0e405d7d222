"""Evidence bundles: made, made again, checked without Python, and everything that may be wrong with one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from assay.cli.evidence import Recorder, check_evidence, write_evidence
from assay.detect.store import SHIPPED
from assay.provenance.errors import MalformedError
from assay.provenance.report import Report
from tests import clips

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


def bundled(desk, path: Path, out: Path, checks: tuple[str, ...] | None = None) -> Report:
    """Examine a file, write its bundle and return the report."""
    recorder = Recorder.of(desk.workspace)
    report = desk.workspace.verify(path, checks=checks)
    write_evidence(out, report, desk.workspace, recorder, checks)
    return report


def shell(folder: Path, tmp_path: Path, program: Path | None = None) -> tuple[int, str]:
    """Run verify.sh where there is nothing but a plain shell, its utilities, sha256sum and openssl."""
    tools = tmp_path / "bin"
    if not tools.exists():
        tools.mkdir()
        for tool in TOOLS:
            found = shutil.which("dash") if tool == "sh" else None
            (tools / tool).symlink_to(found or shutil.which(tool))
    done = subprocess.run(
        [tools / "sh", program or folder / "verify.sh", folder],
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


# ------------------------------------------------------------------------------- what a desk has of its own


def test_a_policy_of_the_desk_s_own_goes_along(terminal, desk, nowhere, tmp_path):
    path = desk.sign(desk.picture())
    own = desk.folder / "own.toml"
    shipped = files("assay.provenance").joinpath("data/policy-newsroom.toml").read_text("utf-8")
    own.write_text(shipped.replace('name = "newsroom"', 'name = "mine"').replace("version = ", "version = 7"))
    terminal("verify", path, "--policy", own, "--report", "own.zip", expect=None)
    own.unlink()
    assert "same byte for byte" in nowhere("verify-report", desk.folder / "own.zip").out
    folder = unpacked(desk.folder / "own.zip", tmp_path)
    assert json.loads((folder / "data/report.json").read_bytes())["policy"].startswith("mine/7")
    text = (folder / "data/policy.toml").read_text("utf-8")
    (folder / "data/policy.toml").write_text(text.replace("llr_cap = 3", "llr_cap = 2"))
    _, differ = check_evidence(packed(folder, tmp_path / "other.zip", honest=False))
    assert "policy" in differ


@pytest.mark.parametrize("marked", [True, False])
def test_marks_under_secret_keys_are_replayed_as_recorded_and_the_keys_stay(desk, tmp_path, marked):
    secret = bytes(range(1, 33))
    (desk.workspace.home / "keys/mark.key").write_bytes(secret)
    (desk.workspace.home / "keys/mark.key").chmod(0o400)
    desk.workspace.settings = replace(desk.workspace.settings, mark_keys=("file:keys/mark.key",))
    path = desk.path(".jpg")
    with Image.open(desk.sign(desk.picture()) if marked else desk.picture()) as image:
        image.save(path, quality=90)
    report = bundled(desk, path, tmp_path / "own.zip")
    assert (report.recovered is not None) == marked
    layers, differ = check_evidence(tmp_path / "own.zip")
    said = {layer.name: layer for layer in layers}
    assert (differ, said["report"].state, said["marks"].state) == ([], "ok", "not checked")
    assert "secret keys, which are not in here" in said["marks"].says
    assert secret not in (tmp_path / "own.zip").read_bytes()
    assert secret.hex().encode() not in (tmp_path / "own.zip").read_bytes()
    assert shell(unpacked(tmp_path / "own.zip", tmp_path), tmp_path)[0] == 0


def test_what_was_heard_in_a_sound_is_replayed_as_recorded(desk, tmp_path):
    (desk.workspace.home / "keys/mark.key").write_bytes(bytes(range(1, 33)))
    (desk.workspace.home / "keys/mark.key").chmod(0o400)
    (desk.workspace.home / "models").mkdir()
    shutil.copy(SHIPPED / "panel.json", desk.workspace.home / "models/panel.json")
    desk.workspace.settings = replace(desk.workspace.settings, mark_keys=("file:keys/mark.key",))
    plain = desk.path(".flac")
    plain.write_bytes(clips.recording(8))
    path = desk.sign(plain)
    report = bundled(desk, path, tmp_path / "own.zip", ("mark", "detector:speech"))
    heard = next(e for e in report.evidence if e.check == "mark")
    assert heard.found is not None
    assert heard.found.found
    layers, differ = check_evidence(tmp_path / "own.zip")
    said = {layer.name: layer.state for layer in layers}
    assert (differ, said["report"], said["marks"], said["models"]) == ([], "ok", "not checked", "not checked")


def test_models_of_the_desk_s_own_are_named_and_what_they_said_is_replayed(desk, tmp_path):
    models = desk.workspace.home / "models"
    models.mkdir()
    panel = json.loads((SHIPPED / "panel.json").read_bytes())
    (models / "panel.json").write_text(json.dumps({**panel, "id": "ours-1"}))
    name = next(iter(panel["weights"]))
    shutil.copy(SHIPPED / name / "card.json", models / f"{name}.json")
    weights = json.loads((models / f"{name}.json").read_bytes())["weights"]
    shutil.copy(SHIPPED / name / weights["file"], models / weights["file"])
    checks = ("manifest", "detector:image")
    report = bundled(desk, desk.picture(size=(320, 256)), tmp_path / "own.zip", checks)
    (asked,) = (e for e in report.evidence if e.check == "detector:image")
    assert asked.version == "ours-1"
    layers, differ = check_evidence(tmp_path / "own.zip")
    said = {layer.name: layer for layer in layers}
    assert (differ, said["report"].state, said["models"].state) == ([], "ok", "not checked")
    assert f"{name} (weights sha256:{weights['sha256']})" in said["models"].says
    folder = unpacked(tmp_path / "own.zip", tmp_path)
    assert shell(folder, tmp_path)[0] == 0
    record = json.loads((folder / "data/replay.json").read_bytes())
    for nonsense in ({}, {**record["detectors"]["image"], "opinion": [1]}):
        (folder / "data/replay.json").write_text(json.dumps({**record, "detectors": {"image": nonsense}}))
        bundle = packed(folder, tmp_path / "nonsense.zip", honest=False)
        try:
            assert states(bundle)["report"] == "failed"
        except MalformedError as error:
            assert "a witness said" in error.message


def test_a_file_s_name_chooses_no_name_in_its_bundle(desk, tmp_path):
    for number, name in enumerate(
        ("a\nb\x1b[2J.jpg", "=cmd|'x'!A0.j pg", "<script>.JPG", "x." + "a" * 90, "--report")
    ):
        path = desk.folder / name
        shutil.copy(desk.picture(), path)
        bundled(desk, path, tmp_path / f"{number}.zip", checks=("manifest", "metadata"))
        with zipfile.ZipFile(tmp_path / f"{number}.zip") as archive:
            assert all(re.fullmatch(r"evidence/[A-Za-z0-9_./-]+", n) for n in archive.namelist())
        assert states(tmp_path / f"{number}.zip")["report"] == "ok"


# ------------------------------------------------------------------------------------------- what may be wrong


def test_one_changed_byte_is_found_in_every_file_by_both(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert len(names) > 20
    for name in names:
        there = (folder / name).read_bytes()
        if not there:
            continue
        data = bytearray(there)
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        bundle = packed(folder, tmp_path / "changed.zip")
        if name != "verify.sh":  # a changed program says what it likes
            code, said = shell(folder, tmp_path)
            assert (code, "files       failed" in said) == (1, True), name
        if name.endswith("manifest-sha256.txt"):  # what it says may no longer be a line of a manifest at all
            try:
                assert states(bundle) == {"files": "failed"}
            except MalformedError as error:
                assert "manifest-sha256.txt" in error.message
        else:
            assert states(bundle) == {"files": "failed"}, name
        (folder / name).write_bytes(there)
    assert shell(folder, tmp_path)[0] == 0


def test_a_changed_program_is_found_by_the_one_that_is_at_hand(world, tmp_path):
    folder = unpacked(world / "signed.zip", tmp_path)
    mine = tmp_path / "verify.sh"
    shutil.copy(folder / "verify.sh", mine)
    (folder / "verify.sh").write_bytes((folder / "verify.sh").read_bytes() + b"\n")
    code, said = shell(folder, tmp_path, mine)
    assert (code, "verify.sh was changed" in said) == (1, True)


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
    for nonsense in (b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"type": "assay.replay/v9"}'):
        (folder / "data/replay.json").write_bytes(nonsense)
        nowhere("verify-report", packed(folder, tmp_path / "nonsense.zip", honest=False), expect=4)


@pytest.mark.parametrize(
    "name", ["data/report.json", "data/ledger/keys", "data/trust/lists.json", "data/asset.jpg"]
)
def test_what_is_needed_is_there(world, name, tmp_path, nowhere):
    folder = unpacked(world / "signed.zip", tmp_path)
    (folder / name).unlink()
    nowhere("verify-report", packed(folder, tmp_path / "less.zip", honest=False), expect=4)
