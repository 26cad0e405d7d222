"""Each command as a person or a script calls it: what it prints, which code it exits with."""

from __future__ import annotations

import json
import re
import stat

import pytest
from PIL import Image

from .. import darkroom
from ..studio import LARGE, encode, photo


def lines(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


# ------------------------------------------------------------------------------------------- verify


def test_exit_codes_follow_the_verdict(desk, terminal):
    source = desk.picture()
    signed = desk.sign(source, ledger=False)
    flipped = darkroom.flip(desk, signed, darkroom.content_offset(signed, source))
    other, broken, missing = desk.picture(name="coffee"), desk.file(b""), desk.folder / "no.jpg"
    cases = [(signed, 0), (flipped, 1), (other, 3), (broken, 4), (missing, 4)]
    for path, code in cases:
        terminal("verify", path, "--checks", "manifest,receipt", expect=code)
    worst = terminal("verify", *(p for p, _ in cases), "--json", expect=4)
    assert len(lines(worst)) == len(cases)
    terminal("verify", signed, flipped, other, expect=1)
    terminal("verify", signed, other, "--checks", "manifest", expect=3)
    terminal("verify", signed, "--checks", "manifest", "--fail-on", "source-confirmed", expect=1)


def test_ai_and_recovered_files_exit_well(desk, terminal):
    signed = desk.sign(desk.picture(size=LARGE), "trainedAlgorithmicMedia")
    stripped = darkroom.resaved(desk, darkroom.pixels(signed), "png")
    found = lines(terminal("verify", signed, stripped, "--json"))
    assert [r["verdict"] for r in found] == ["marked-ai", "marked-ai"]


def test_reports_have_every_promised_field(desk, terminal):
    (report,) = lines(terminal("verify", desk.sign(desk.picture()), "--json"))
    assert set(report) >= {
        "type", "asset", "verdict", "headline", "score", "score_detail", "leaning", "axes", "manifest", "evidence",
        "conflicts", "recovered", "without", "policy", "trust", "engines", "time",
    }  # fmt: skip
    assert report["type"] == "assay.report/v1"
    assert set(report["asset"]) == {"path", "kind", "media_type", "size", "digest"}
    assert set(report["axes"]) >= {"integrity", "origin", "synthesis", "source_type"}
    assert {(e["status"] in ("pass", "fail", "absent", "error")) for e in report["evidence"]} == {True}
    assert all(
        set(e) == {"check", "version", "status", "llr", "summary", "reasons", "details"}
        for e in report["evidence"]
    )
    assert report["recovered"]["by"] == "digest"
    assert {t["name"] for t in report["trust"]} == {"desk", "agencies", "clocks"}
    assert set(report["without"]) == {e["check"] for e in report["evidence"]}


def test_receipts_in_a_folder_are_not_examined_by_themselves(desk, terminal):
    folder = desk.folder / "signed"
    folder.mkdir()
    terminal("sign", desk.picture(size=LARGE), "-o", folder / "a.jpg", "--source-type", "digitalCapture")
    assert (folder / "a.jpg.tlog-proof").is_file()
    found = lines(terminal("verify", folder, "--checks", "manifest", "--json", expect=0))
    assert [f["asset"]["path"] for f in found] == [str(folder / "a.jpg")]


def test_a_folder_is_searched_and_hidden_files_are_left(desk, terminal):
    folder = desk.folder / "inbox" / "deep"
    folder.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", ".hidden.jpg"):
        (folder / name).write_bytes(encode(photo("coffee", (64, 48))))
    found = lines(terminal("verify", desk.folder / "inbox", "--checks", "manifest", "--json", expect=3))
    assert [r["asset"]["path"].rpartition("/")[2] for r in found] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["verify", "x.jpg", "--fail-on", "fake"],
        ["verify", "x.jpg", "--report", "x.doc"],
        ["verify", "x.jpg", "--checks", "tea-leaves"],
        ["verify", "x.jpg", "--policy", "nobody's"],
        ["sign", "x.jpg"],
        ["sign", "x.jpg", "-o", "y.jpg", "--source-type", "painting"],
        ["sign", "x.jpg", "-o", "y.jpg", "--training-mining", "maybe"],
        ["sign", "x.jpg", "-o", "y.jpg", "--key", "pigeon:1"],
        ["trust", "add", "x.pem"],
        ["trust", "add", "x.pem", "--kind", "friends"],
        ["trust", "remove", "nobody"],
        ["watermark", "embed", "x.jpg", "-o", "y.jpg", "--scheme", "ink"],
        ["completion", "sh"],
        ["nonsense"],
        ["--nonsense"],
    ],
)
def test_calls_that_make_no_sense_exit_2_and_say_what_would(desk, terminal, arguments):
    (desk.folder / "x.jpg").write_bytes(encode(photo("coffee", (64, 48))))
    (desk.folder / "x.pem").write_bytes(desk.studio.agencies.pem)
    answer = terminal(*arguments, expect=2)
    assert answer.out == ""
    assert "assay:" in answer.err
    assert "hint:" in answer.err
    assert not (desk.folder / "y.jpg").exists()


@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_a_report_file_is_written_whole(desk, terminal, suffix):
    signed, target = desk.sign(desk.picture()), desk.path(suffix)
    answer = terminal("verify", signed, "--report", target)
    text = target.read_text("utf-8")
    assert str(target) in answer.err
    if suffix == ".json":
        assert json.loads(text)["verdict"] == "source-confirmed"
    else:
        assert "Source confirmed" in text
        assert "<script src" not in text
        assert "http-equiv" in text or "Content-Security-Policy" in text or "<script" not in text


def test_nothing_goes_to_stdout_but_data(desk, terminal):
    signed, out = desk.picture(), desk.path()
    assert terminal("-q", "sign", signed, "-o", out, "--json").err == ""
    assert "development" in terminal("sign", signed, "-o", desk.path(), "--json").err
    assert terminal("-q", "verify", out, "--json").err == ""


def test_several_jobs_answer_in_order_and_as_one_job_does(desk, terminal):
    source = desk.picture()
    signed = desk.sign(source, ledger=False)
    flipped = darkroom.flip(desk, signed, darkroom.content_offset(signed, source))
    paths = [signed, flipped, desk.file(b""), desk.picture("png", name="coffee")]
    checks = ["--checks", "manifest,metadata,receipt,agreement", "--json"]
    one = terminal.alone("verify", *paths, *checks, "--jobs", "1", expect=4)
    two = terminal.alone("verify", *paths, *checks, "--jobs", "2", expect=4)
    said = [
        [(r.get("verdict"), r.get("headline"), r.get("message")) for r in lines(answer)]
        for answer in (one, two)
    ]
    assert said[0] == said[1]
    assert [verdict for verdict, _, _ in said[0]] == ["source-confirmed", "conflict", None, "inconclusive"]


def test_a_mark_says_how_a_turned_picture_lies_on_its_reference(desk, terminal):
    original = desk.picture("png", size=(512, 400), name="coffee")
    turned = (
        darkroom.pixels(desk.sign(original)).rotate(17, Image.Resampling.BICUBIC).crop((120, 90, 420, 320))
    )
    copy = darkroom.resaved(desk, turned, "png")
    for checks, status in (("mark", "pass"), ("metadata", "absent")):
        told = terminal("verify", copy, "--reference", original, "--checks", checks, "--json", expect=None)
        (found,) = (e for e in lines(told)[0]["evidence"] if e["check"] == "reference")
        assert found["status"] == status, found
    (other,) = lines(
        terminal(
            "verify",
            copy,
            "--reference",
            desk.picture("png", size=(512, 400)),
            "--checks",
            "mark",
            "--json",
            expect=None,
        )
    )
    assert [e["status"] for e in other["evidence"] if e["check"] == "reference"] == ["absent"]


def test_a_reference_is_compared_with(desk, terminal):
    original = desk.picture("png", size=LARGE)
    copy = darkroom.resaved(desk, darkroom.pixels(original), quality=70)
    other = desk.picture("png", name="coffee", size=LARGE)
    answers = {}
    for name, reference in (("same", original), ("other", other)):
        (report,) = lines(
            terminal("verify", copy, "--reference", reference, "--checks", "manifest", "--json", expect=None)
        )
        (answers[name],) = (e for e in report["evidence"] if e["check"] == "reference")
    assert answers["same"]["summary"] != answers["other"]["summary"]
    terminal("verify", copy, "--reference", desk.folder / "no.png", expect=None)


# ------------------------------------------------------------------------------------------- sign


def test_sign_prints_what_it_left(desk, terminal):
    source, out = desk.picture(size=LARGE), desk.path()
    (made,) = lines(terminal("sign", source, "-o", out, "--source-type", "digitalCapture", "--json"))
    assert set(made) >= {"path", "out", "digest", "mark", "manifest", "entry", "receipt"}
    assert made["entry"]["index"] == 0
    (report,) = lines(terminal("verify", out, "--json"))
    assert report["verdict"] == "source-confirmed"
    assert report["manifest"]["label"] == made["manifest"]
    assert report["asset"]["digest"] == made["digest"]
    assert {"alg": made["mark"]["scheme"], "value": made["mark"]["id"]} in report["manifest"]["soft_bindings"]
    terminal("ledger", "receipt", made["receipt"], "--file", out)
    terminal("ledger", "receipt", made["receipt"], "--file", source, expect=1)


def test_several_files_go_into_a_folder_and_one_bad_one_stops_no_other(desk, terminal):
    good, bad, also = desk.picture(), desk.file(b"only words", ".txt"), desk.picture("png")
    folder = desk.folder / "signed"
    terminal("sign", good, also, "-o", folder, expect=2)
    folder.mkdir()
    answer = terminal("sign", good, bad, also, "-o", folder, "--no-watermark", "--json", expect=4)
    assert [made["path"] for made in lines(answer)] == [str(good), str(also)]
    assert bad.name in answer.err
    assert {p.name for p in folder.iterdir()} == {
        name for p in (good, also) for name in (p.name, f"{p.name}.tlog-proof")
    }


def test_errors_name_the_file_and_the_way_out_and_leave_nothing(desk, terminal):
    source, taken = desk.picture(), desk.file(b"precious")
    cases = [
        (["sign", source, "-o", source], 2, source.name),
        (["sign", source, "-o", taken], 2, taken.name),
        (["sign", source, "-o", desk.folder / "no" / "out.jpg"], 2, "out.jpg"),
        (["sign", source, "-o", desk.path(), "--key", "file:no.key"], 5, "no.key"),
        (["sign", source, "-o", desk.path(), "--chain", "no.pem"], 5, "no.pem"),
        (["sign", desk.folder / "no.jpg", "-o", desk.path()], 4, "no.jpg"),
        (["sign", desk.file(b"words", ".bmp"), "-o", desk.path()], 4, ".bmp"),
        (["sign", source, "-o", desk.path(), "--tsa", "http://127.0.0.1:9"], 5, "127.0.0.1:9"),
    ]
    listed = {p.name for p in desk.files()}
    for arguments, code, named in cases:
        answer = terminal(*arguments, expect=code)
        assert named in answer.err
        assert answer.err.startswith("assay: ")
        assert answer.out == ""
    assert {p.name for p in desk.files()} == listed
    assert taken.read_bytes() == b"precious"
    terminal("sign", source, "-o", taken, "--force", "--no-watermark")
    terminal("verify", taken, "--checks", "manifest", expect=0)


def test_a_sidecar_leaves_the_file_as_it_is(desk, terminal):
    source, out = desk.picture("gif"), desk.path(".gif")
    terminal("sign", source, "-o", out, "--sidecar", "--source-type", "digitalCapture")
    assert out.read_bytes() == source.read_bytes()
    assert out.with_name(out.name + ".c2pa").exists()
    (report,) = lines(terminal("verify", out, "--json"))
    assert (report["verdict"], report["manifest"]["where"]) == ("source-confirmed", "sidecar")


# ------------------------------------------------------------------------------------------- other commands


def test_watermarks_alone(desk, terminal):
    source, out = desk.picture("png", size=LARGE), desk.path(".png")
    (made,) = lines(terminal("watermark", "embed", source, "-o", out, "--id", "0123456789ABCDEF", "--json"))
    assert made["id"] == "0123456789abcdef"
    (found,) = lines(terminal("watermark", "read", out, "--json"))
    assert set(found) >= {"path", "found", "scheme", "id", "p_value", "details"}
    assert (found["found"], found["id"], found["scheme"]) == (True, "0123456789abcdef", "io.assay.hallmark.1")
    assert found["p_value"] < 1e-9
    both = lines(terminal("watermark", "read", out, desk.picture("png"), "--json", expect=3))
    assert [r["found"] for r in both] == [True, False]
    terminal("watermark", "read", out, desk.folder / "no.png", expect=4)
    for wrong in ("0123", "0123456789ab", "0123456789abcdzz", ""):
        terminal("watermark", "embed", source, "-o", desk.path(".png"), "--id", wrong or "x", expect=2)
    terminal("watermark", "embed", source, "-o", source, expect=2)
    terminal("watermark", "embed", source, "-o", out, expect=2)
    assert terminal("watermark", "embed", source, "-o", out, "--force").out.strip() not in (
        "",
        "0123456789abcdef",
    )


def test_keys_of_marks_are_made_named_and_never_shown(desk, terminal):
    source, out, key = desk.picture("png", size=LARGE), desk.path(".png"), desk.path(".key")
    made = terminal("keys", "mark", key)
    secret = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    assert made.out == f"file:{key}\n"
    terminal("keys", "mark", key, expect=5)
    uri, told = f"file:{key}", made.err
    told += terminal("watermark", "embed", source, "-o", out, "--key", uri, "--id", "00112233aabbccdd").err
    (found,) = lines(terminal("watermark", "read", out, "--key", "public:", "--key", uri, "--json"))
    assert (found["id"], found["aligned"]) == ("00112233aabbccdd", True)
    assert "no mark" in terminal("watermark", "read", out, "--scheme", "hallmark", expect=3).out
    settings = desk.workspace.home / "assay.toml"
    settings.write_text(settings.read_text() + f'mark_keys = ["{uri}"]\n')
    shown = terminal("watermark", "read", out).out
    assert "00112233aabbccdd  p=" in shown
    assert "io.assay.hallmark.1" in shown
    told += shown + terminal("config", "show").out + terminal("keys", "show", "--json").out
    terminal(
        "watermark", "embed", source, "-o", desk.path(".png"), "--scheme", "rivagan", "--key", uri, expect=2
    )
    told += terminal("watermark", "read", out, "--key", secret, expect=2).err
    terminal("watermark", "read", out, "--known", "--key", uri, expect=2)
    assert secret not in told


def test_a_part_that_was_replaced_is_told_where_a_mark_is_read(desk, terminal):
    source, out, changed = (
        desk.picture("png", size=(512, 400), name="coffee"),
        desk.path(".png"),
        desk.path(".png"),
    )
    terminal("watermark", "embed", source, "-o", out)
    assert "missing" not in terminal("watermark", "read", out).out
    with Image.open(out) as picture:
        picture.paste(photo("astronaut", (150, 140)), (180, 120))
        picture.save(changed)
    told = terminal("watermark", "read", changed).out
    assert "the mark: it is missing in one region" in told
    assert "Captions, stickers" in told
    whole, holed, unmarked = lines(terminal("watermark", "read", out, changed, source, "--json", expect=3))
    assert (whole["extent"]["holes"], unmarked["extent"]) == ([], None)
    ((left, top, width, height),) = holed["extent"]["holes"]
    assert left < 255 / 512 < left + width
    assert top < 190 / 400 < top + height
    assert (
        lines(terminal("watermark", "read", out, "--scheme", "dwtdctsvd", "--json", expect=3))[0]["extent"]
        is None
    )


def test_a_picture_too_small_for_a_mark_is_said_to_be(desk, terminal):
    small, out = desk.picture(), desk.path()
    (signed,) = lines(terminal("sign", small, "-o", out, "--json"))
    assert signed["mark"] is None
    assert any("too small for a mark" in note for note in signed["notes"])
    assert "too small" in terminal("sign", small, "-o", desk.path()).out
    assert "too small" in terminal("watermark", "embed", small, "-o", desk.path(), expect=4).err
    assert "no mark (too small)" in terminal("watermark", "read", small, expect=3).out


def test_the_ledger_is_appended_searched_and_checked(desk, terminal):
    signed = desk.sign_fully(desk.picture(size=LARGE))
    other = desk.picture(name="coffee", size=LARGE)
    (entry,) = lines(terminal("ledger", "append", other, "--json"))
    assert set(entry) >= {"index", "leaf_hash", "receipt"}
    assert entry["index"] == 1
    found = {
        str(signed.out): "digest",
        str(signed.digest): "digest",
        str(signed.mark): "watermark",
        signed.manifest_label: "manifest",
        str(darkroom.resaved(desk, darkroom.pixels(signed.out), quality=80)): "fingerprint",
    }
    for what, how in found.items():
        (hit,) = lines(terminal("ledger", "find", what, "--json"))
        assert (hit["by"], hit["index"]) == (how, 0)
    terminal("ledger", "find", desk.picture(name="chelsea", size=LARGE), expect=3)
    terminal("ledger", "find", "sha256:" + "0" * 64, expect=3)
    terminal("ledger", "find", "sha256:xyz", expect=2)
    receipt = desk.file(terminal("ledger", "receipt", "1").out.encode(), ".tlog-proof")
    assert receipt.read_text() == entry["receipt"]
    terminal("ledger", "receipt", receipt, "--file", other)
    text = bytearray(receipt.read_bytes())
    middle = next(i for i in range(len(text) // 2, len(text)) if chr(text[i]).isalpha())
    text[middle] ^= 1
    forged = desk.file(bytes(text), ".tlog-proof")
    (answer,) = lines(terminal("ledger", "receipt", forged, "--json", expect=1))
    assert answer["valid"] is False
    terminal("ledger", "receipt", "99", expect=2)
    (state,) = lines(terminal("ledger", "check", "--json"))
    assert (state["size"], state["problems"]) == (2, [])
    terminal("ledger", "append", other)
    assert "duplicate, which is allowed: " in terminal("ledger", "check", "--duplicates").out
    terminal("ledger", "init", expect=5)


def test_what_is_kept_beside_an_entry_is_erased_on_request_only(desk, terminal):
    desk.sign(desk.picture())
    terminal("ledger", "erase", "0", expect=130)
    assert lines(terminal("ledger", "erase", "0", "--yes", "--json")) == [{"index": 0, "erased": True}]
    assert "nothing was kept" in terminal("ledger", "erase", "0", "--yes").out
    (state,) = lines(terminal("ledger", "check", "--json"))
    assert state["problems"] == []


def test_a_ledger_changed_by_hand_is_noticed(desk, terminal):
    import sqlite3

    desk.sign(desk.picture())
    desk.workspace.log.close()
    del desk.workspace.__dict__["log"]
    with sqlite3.connect(desk.workspace.home / "ledger.sqlite") as database:
        tables = [
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ]
        for name in tables:
            database.execute(f"DROP TRIGGER {name}")
        (data,) = database.execute("SELECT data FROM entries").fetchone()
        changed = data.replace(b"digitalCapture", b"humanEdits")
        assert changed != data
        database.execute("UPDATE entries SET data = ?", (changed,))
    database.close()
    answer = terminal("ledger", "check", expect=1)
    assert "0" in answer.out


def test_trust_is_chosen_listed_and_withdrawn(desk, terminal):
    stranger = desk.studio.stranger.issuer
    pem = desk.file(stranger.pem, ".pem")
    signed = desk.sign(desk.picture(), by=desk.studio.stranger, ledger=False)
    terminal("verify", signed, "--checks", "manifest", expect=3)
    (added,) = lines(
        terminal("trust", "add", pem, "--kind", "signer", "--name", "new", "--date", "2026-06-01", "--json")
    )
    assert (added["kind"], added["date"], len(added["sha256"])) == ("signer", "2026-06-01", 64)
    terminal("verify", signed, "--checks", "manifest", expect=0)
    assert {entry["name"] for entry in lines(terminal("trust", "list", "--json"))} == {
        "agencies",
        "clocks",
        "desk",
        "new",
    }
    assert "new" in terminal("trust", "list").out
    terminal("trust", "remove", "new")
    terminal("verify", signed, "--checks", "manifest", expect=3)
    terminal("trust", "add", desk.file(b"nothing"), "--kind", "tsa", expect=5)
    terminal("trust", "add", desk.folder / "no.pem", "--kind", "tsa", expect=4)


def test_keys_are_made_once_and_their_private_halves_never_shown(desk, terminal):
    folder = desk.folder / "camera-7"
    (made,) = lines(terminal("keys", "new", folder, "--label", "camera 7", "--json"))
    assert stat.S_IMODE((folder / "signing.key").stat().st_mode) == 0o400
    terminal("sign", desk.picture(), "-o", desk.path(), "--key", made["key"], "--chain", made["chain"])
    terminal("keys", "new", folder, expect=5)
    shown = terminal("keys", "show")
    assert "PRIVATE" not in shown.out + shown.err
    (document,) = lines(terminal("keys", "show", "--json"))
    assert document["development"] is True
    locked = desk.folder / "locked"
    terminal("keys", "new", locked, "--encrypt", ASSAY_PASSPHRASE="open sesame")
    use = ["--key", f"file:{locked}/signing.key", "--chain", locked / "signing.pem"]
    terminal("sign", desk.picture(), "-o", desk.path(), *use, ASSAY_PASSPHRASE="open sesame")
    for secret in ({}, {"ASSAY_PASSPHRASE": "wrong"}):
        answer = terminal("sign", desk.picture(), "-o", desk.path(), *use, expect=5, **secret)
        assert "passphrase" in answer.err
        assert "wrong" not in answer.err


def test_a_key_from_the_environment_signs(desk, terminal):
    chain = desk.file(desk.studio.agency.chain, ".pem")
    out = desk.path()
    key = desk.studio.agency.private.decode()
    terminal("sign", desk.picture(), "-o", out, "--key", "env:DESK_KEY", "--chain", chain, DESK_KEY=key)
    terminal("sign", desk.picture(), "-o", desk.path(), "--key", "env:DESK_KEY", "--chain", chain, expect=5)
    (report,) = lines(terminal("verify", out, "--checks", "manifest", "--json"))
    assert report["axes"]["origin"]["signer"] == "Picture Agency"


def test_a_workspace_is_made_once_and_nothing_is_made_without_asking(nowhere):
    for command in (
        ["verify", "x"],
        ["sign", "x", "-o", "y"],
        ["ledger", "check"],
        ["trust", "list"],
        ["keys", "show"],
    ):
        answer = nowhere(*command, expect=5)
        assert "assay init" in answer.err
    assert list(nowhere.folder.iterdir()) == []
    (made,) = lines(nowhere("init", "--origin", "example.org/ledger", "--json"))
    assert made["origin"] == "example.org/ledger"
    assert nowhere("init", expect=5).out == ""
    assert [p.name for p in nowhere.folder.iterdir()] == ["home"]
    settings = json.loads(nowhere("config", "show", "--json").out)
    assert settings["origin"] == "example.org/ledger"
    assert nowhere("trust", "list", "--json").out == ""
    assert [e["name"] for e in lines(nowhere("trust", "list", "--json"))] == []


@pytest.mark.parametrize("origin", ["two words", "a+b", 'quo"te', "täst"])
def test_a_ledger_needs_a_plain_name(nowhere, origin):
    nowhere("init", "--origin", origin, expect=2)
    assert list(nowhere.folder.iterdir()) == []


def test_an_encrypted_workspace_asks_for_its_passphrase(nowhere):
    nowhere("init", ASSAY_PASSPHRASE="open sesame")
    (nowhere.folder / "a.jpg").write_bytes(encode(photo("coffee", (64, 48))))
    assert "passphrase" in nowhere("sign", "a.jpg", "-o", "b.jpg", expect=5).err
    nowhere("sign", "a.jpg", "-o", "b.jpg", ASSAY_PASSPHRASE="open sesame")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed_without_a_workspace(nowhere, shell):
    assert "_ASSAY_COMPLETE" in nowhere("completion", shell).out


def test_plugins_and_version(nowhere):
    names = {(p["group"], p["name"]) for p in lines(nowhere("plugins", "--json"))}
    assert {
        ("assay.watermarks", "hallmark"),
        ("assay.watermarks", "dwtdctsvd"),
        ("assay.logs", "sql"),
        ("assay.signers", "env"),
    } <= names
    assert re.fullmatch(r"assay \d+\.\d+\.\d+\n", nowhere("--version").out)


def test_inspection_shows_everything_and_gives_no_verdict(desk, terminal):
    signed = desk.sign(desk.picture(size=LARGE), "trainedAlgorithmicMedia")
    document = json.loads(terminal("inspect", signed, "--json").out)
    assert "verdict" not in document
    text = json.dumps(document)
    assert "trainedAlgorithmicMedia" in text
    assert document["manifest"]["actions"][0]["action"] == "c2pa.created"
    assert terminal("inspect", signed).out
    terminal("inspect", desk.folder / "no.jpg", expect=4)
