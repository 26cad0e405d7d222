from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import bagit
import pytest

from assay.ledger.custody.bundle import Item, export
from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.provenance.anchor import Standing
from assay.provenance.errors import (
    AssayError,
    InputError,
    LedgerError,
    LimitError,
    MalformedError,
    UsageError,
)
from assay.provenance.files.bag import read_from_bag

from ..worlds import ORIGIN, entry
from .bundles import (
    HAS_OPENSSL,
    SEED,
    SOFTWARE,
    anchored,
    build,
    by_python,
    by_shell,
    cosigned,
    reseal,
    said,
    unpack,
    witness_key,
)

pytestmark = pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = build(tmp_path_factory.mktemp("world"))
    yield made
    made.log.close()


@pytest.fixture(scope="module")
def bundle(world) -> Path:
    return world.export("bundle.zip")


@pytest.fixture
def folder(bundle, tmp_path) -> Path:
    return unpack(bundle, tmp_path)


@pytest.fixture(scope="module")
def little(world) -> Path:
    """A bundle of one entry: what is asked of its notes and policy is the same, and sooner answered."""
    return world.export("little.zip", items=[Item(7)], since=None, anchored=(), recovery=False)


@pytest.fixture
def small(little, tmp_path) -> Path:
    return unpack(little, tmp_path)


def both(folder: Path, *, trusted: Path | None = None, scripts: Path | None = None):
    """Ask both scripts, which must agree layer by layer; return what they say."""
    python = by_python(
        folder, *(["--policy", str(trusted)] if trusted else []), script=scripts and scripts / "verify.py"
    )
    shell = by_shell(
        folder, *(["-p", str(trusted)] if trusted else []), script=scripts and scripts / "verify.sh"
    )
    assert python.states == shell.states, (python.text, shell.text)
    assert python.code == shell.code
    return python


@pytest.fixture(scope="module")
def scripts(bundle, tmp_path_factory) -> Path:
    """The scripts as they should be, for bundles whose own were tampered with."""
    return unpack(bundle, tmp_path_factory.mktemp("scripts"))


# --------------------------------------------------------------------------------------------- in order

WHOLE = {
    "files": "ok",
    "keys": "not checked",
    "checkpoint": "ok",
    "witnesses": "ok",
    "entries": "ok",
    "assets": "ok",
    "recovery": "ok",
    "previous": "ok",
    "1-rfc3161": "ok",
    "2-evm": "not checked",
    "3-opentimestamps": "pending",
}


def test_both_scripts_find_a_bundle_in_order_and_agree(folder):
    found = both(folder)
    assert found.states == WHOLE
    assert found.code == 0


def test_with_the_policy_that_one_trusts_the_keys_are_checked_too(folder, world, tmp_path):
    trusted = tmp_path / "trusted"
    trusted.write_text(world.policy)
    assert both(folder, trusted=trusted).states == WHOLE | {"keys": "ok"}


def test_the_zip_is_checked_without_unpacking(bundle, folder):
    assert by_python(bundle, script=folder / "verify.py").states == WHOLE


def test_bash_says_what_dash_says(folder):
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    assert by_shell(folder, shell="/bin/bash").states == WHOLE


def test_the_scripts_need_no_assay_and_no_package(folder):
    imported = "import sys, runpy; sys.argv = ['verify.py']; runpy.run_path('verify.py'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", imported], cwd=folder, capture_output=True, text=True
    )
    names = {name.split(".")[0] for name in done.stdout.split()}
    assert "zipfile" in names
    assert not {name for name in names - sys.stdlib_module_names if not name.startswith("_")}


def test_a_foreign_tool_finds_a_valid_bag(folder):
    bag = bagit.Bag(str(folder))
    assert bag.is_valid()
    assert bag.version_info == (1, 0)
    (folder / "data/assets/123.jpg").write_bytes(b"another")
    assert not bagit.Bag(str(folder)).is_valid()


def test_the_same_export_is_the_same_bytes(world, bundle):
    items = world.items()[::-1]
    assert world.export("again.zip", items=items).read_bytes() == bundle.read_bytes()


def test_a_small_bundle_says_what_is_not_in_it(world, tmp_path):
    out = world.export(
        "small.zip", items=[Item(0)], since=None, anchored=(), recovery=False,
        policy=f"log {world.log.vkey}\nquorum none\n",
    )  # fmt: skip
    found = both(unpack(out, tmp_path))
    assert found.code == 0
    missing = dict.fromkeys(("keys", "witnesses", "assets", "recovery", "previous"), "not checked")
    assert found.states == {"files": "ok", "checkpoint": "ok", "entries": "ok"} | missing
    assert not list((tmp_path / "bundle/data").glob("assets*"))


def test_nothing_of_a_file_s_name_goes_along(bundle):
    with zipfile.ZipFile(bundle) as archive:
        assert not [n for n in archive.namelist() if "hoto" in n]
    assert b"Photo" not in bundle.read_bytes()


# ------------------------------------------------------------------------------------------- tampered

STAMPED = ("checkpoint", "consistency", "state", "record.json", "token.tsr", "certificate.pem")
NAMES = [
    "README.txt", "bag-info.txt", "bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt",
    "verify.py", "verify.sh",
    "data/checkpoint", "data/policy", "data/assets/123.jpg", "data/recovery/123.json",
    "data/entries/123.json", "data/entries/299.json",
    "data/proofs/123.tlog-proof", "data/proofs/299.tlog-proof",
    "data/previous/checkpoint", "data/previous/consistency",
    *(f"data/anchors/1-rfc3161/{n}" for n in STAMPED),
    *(f"data/anchors/{a}/{n}" for a in ("2-evm", "3-opentimestamps") for n in STAMPED[:4]),
    "data/anchors/3-opentimestamps/proof.ots",
]  # fmt: skip


def test_the_list_of_files_to_tamper_with_is_whole(folder):
    assert sorted(NAMES) == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_is_refused_by_both(name, folder, scripts):
    flip(folder / name)
    found = both(folder, scripts=scripts)
    assert found.code == 1
    assert found.states["files"] == "failed"


@pytest.mark.parametrize(
    "name", ["README.txt", "data/checkpoint", "data/entries/299.json", "tagmanifest-sha256.txt"]
)
def test_a_missing_file_is_refused_by_both(name, folder, scripts):
    (folder / name).unlink()
    assert both(folder, scripts=scripts).code == 1


@pytest.mark.parametrize(
    "name", ["data/entries/8.json", "data/extra", "more.txt", "data/anchors/1-rfc3161/x.sh"]
)
def test_a_file_put_in_is_refused_by_both(name, folder):
    (folder / name).write_text("{}")
    assert both(folder).states["files"] == "failed"
    reseal(folder)
    assert both(folder).code == (0 if name == "more.txt" else 1)


# What a forger changes who also makes the manifests right again, and the layer that notices.
FORGED = {
    "data/checkpoint": "checkpoint",
    "data/entries/123.json": "entries",
    "data/proofs/123.tlog-proof": "entries",
    "data/assets/123.jpg": "assets",
    "data/recovery/123.json": "recovery",
    "data/previous/checkpoint": "previous",
    "data/previous/consistency": "previous",
    "data/anchors/1-rfc3161/checkpoint": "1-rfc3161",
    "data/anchors/1-rfc3161/consistency": "1-rfc3161",
    "data/anchors/1-rfc3161/token.tsr": "1-rfc3161",
    "data/anchors/2-evm/checkpoint": "2-evm",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_change_with_right_manifests_is_refused_by_the_layer_it_concerns(name, folder):
    flip(folder / name)
    reseal(folder)
    found = both(folder)
    assert found.code == 1
    assert found.states["files"] == "ok"
    assert found.states[FORGED[name]] == "failed"


def lines_of(path: Path) -> list[str]:
    return path.read_text().split("\n")


@pytest.mark.parametrize("at", [3, 7, 11])
def test_every_line_of_a_proof_matters(at, small):
    path = small / "data/proofs/7.tlog-proof"
    lines = lines_of(path)
    assert len(base64.b64decode(lines[at])) == 32
    for changed in ([*lines[:at], *lines[at + 1 :]], [*lines[:at], lines[at], *lines[at:]]):
        path.write_text("\n".join(changed))
        reseal(small)
        assert both(small).states["entries"] == "failed"


def test_one_entry_cannot_pass_for_another(small):
    entries, proofs = small / "data/entries", small / "data/proofs"
    (entries / "7.json").rename(entries / "8.json")
    (proofs / "7.tlog-proof").rename(proofs / "8.tlog-proof")
    text = (proofs / "8.tlog-proof").read_text()
    (proofs / "8.tlog-proof").write_text(text.replace("index 7", "index 8"))
    reseal(small)
    assert both(small).states["entries"] == "failed"


def test_a_forger_with_a_key_of_his_own_is_stopped_by_the_policy_one_trusts(world, tmp_path):
    """Everything in such a bundle is right but whose it is: only keys from elsewhere show that."""
    thief = NoteSigner.from_seed(ORIGIN, bytes(range(32)))
    with SqlLog.create(f"sqlite:///{tmp_path / 'forged.db'}", ORIGIN, thief) as log:
        log.append_many([(entry(i), None) for i in range(20)])
        log.keep_checkpoint(cosigned(log.checkpoint(), seed=bytes(31) + b"1"))
        policy = f"log {log.vkey}\nwitness w {witness_key(seed=bytes(31) + b'1')[1]}\nquorum w\n"
        export(log, tmp_path / "forged.zip", [Item(3)], policy=policy, software=SOFTWARE)
    folder = unpack(tmp_path / "forged.zip", tmp_path)
    naive = both(folder)
    assert naive.code == 0
    assert naive.states["keys"] == "not checked"
    trusted = tmp_path / "trusted"
    trusted.write_text(world.policy)
    warned = both(folder, trusted=trusted)
    assert warned.code == 1
    assert warned.states["checkpoint"] == "failed"


def test_the_log_s_key_alone_does_not_satisfy_the_witnesses(world, tmp_path):
    """The operator signs another tree of the same size; no witness has seen it."""
    with SqlLog.create(
        f"sqlite:///{tmp_path / 'fork.db'}", ORIGIN, NoteSigner.from_seed(ORIGIN, SEED)
    ) as log:
        log.append_many([(entry(1000 + i), None) for i in range(300)])
        export(log, tmp_path / "fork.zip", [Item(3)], policy=world.policy, software=SOFTWARE)
    found = both(unpack(tmp_path / "fork.zip", tmp_path))
    assert found.states["checkpoint"] == "ok"
    assert found.states["witnesses"] == "failed"
    assert found.code == 1


def test_a_quorum_is_counted_as_the_policy_has_it(world, small):
    others = [witness_key(f"w{i}.example", bytes(31) + bytes([i]))[1] for i in range(1, 4)]
    base = f"log {world.log.vkey}\nwitness w {witness_key()[1]}\n" + "".join(
        f"witness o{i} {vkey} https://o.example/\n" for i, vkey in enumerate(others)
    )
    note = (small / "data/checkpoint").read_text()
    more = cosigned(note, "w2.example", bytes(31) + bytes([2]))
    for checkpoint, groups, state in (
        (note, "group g any w o0 o1\nquorum g\n", "ok"),
        (note, "group g 2 w o0 o1\nquorum g\n", "failed"),
        (more, "group g 2 w o0 o1\n# a comment\nquorum g\n", "ok"),
        (more, "\tgroup g all w o0 o1 \n\nquorum g\n", "failed"),
        (more, "group a all w o1\ngroup b any o0 o2\ngroup c any a b\nquorum c\n", "ok"),
        (more, "group a all w o1\ngroup b any o0 o2\ngroup c all a b\nquorum c\n", "failed"),
    ):
        (small / "data/policy").write_text(base + groups)
        for proof in (small / "data/proofs").iterdir():
            proof.write_text(proof.read_text().partition("\n\n")[0] + "\n\n" + checkpoint)
        (small / "data/checkpoint").write_text(checkpoint)
        reseal(small)
        found = both(small)
        assert (found.states["checkpoint"], found.states["entries"]) == ("ok", "ok")
        assert found.states["witnesses"] == state, (groups, found.text)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "quorum none\n",
        "log {log}\n",
        "log {log}\nquorum none\nquorum none\n",
        "log {log}\nlog {log}\nquorum none\n",
        "log {log}\nwitness w {w}\nwitness w {w}\nquorum w\n",
        "log {log}\nquorum w\nwitness w {w}\n",
        "log {log}\nwitness w {w}\ngroup g 2 w\nquorum g\n",
        "log {log}\nwitness w {w}\ngroup g 0 w\nquorum g\n",
        "log {log}\nwitness w {w}\ngroup g all w w\nquorum g\n",
        "log {log}\nwitness w {w}\ngroup g all w\ngroup h all w\nquorum h\n",
        "log {log}\nwitness none {w}\nquorum none\n",
        "log {log}x\nquorum none\n",
        "log {log}\nquorum none\nelse\n",
        "log {log} u u\nquorum none\n",
        "log {log}\ngroup g any\nquorum g\n",
    ],
)
def test_a_broken_policy_is_refused_by_both(policy, world, small):
    (small / "data/policy").write_text(policy.format(log=world.log.vkey, w=witness_key()[1]))
    reseal(small)
    found = both(small)
    assert found.states["keys"] == "failed", found.text
    assert found.code == 1


def test_a_checkpoint_of_another_history_is_named_a_rewrite(world, folder):
    """A rewritten ledger cannot be joined to what an earlier bundle showed."""
    signer = NoteSigner.from_seed(ORIGIN, SEED)
    forked = sign_note(Checkpoint(ORIGIN, 90, bytes(32)).to_text(), signer)
    (folder / "data/previous/checkpoint").write_text(forked)
    reseal(folder)
    found = both(folder)
    assert found.states["previous"] == "failed"
    assert "rewritten" in found.text


def test_a_token_over_another_checkpoint_is_refused(world, folder):
    reply = base64.b64decode(world.anchored[0].anchored.record.detail["reply"])
    other = folder / "data/anchors/2-evm"
    (other / "token.tsr").write_bytes(reply)
    (other / "certificate.pem").write_bytes(world.anchored[0].certificate)
    reseal(folder)
    assert both(folder).states["2-evm"] == "failed"


def test_a_token_by_another_authority_is_refused(folder, tmp_path):
    from .bundles import Authority

    (folder / "data/anchors/1-rfc3161/certificate.pem").write_bytes(Authority(tmp_path / "other").certificate)
    reseal(folder)
    assert both(folder).states["1-rfc3161"] == "failed"


def test_without_openssl_a_signature_is_not_checked_and_never_ok(folder, tmp_path):
    """verify.py with a PATH that has nothing; verify.sh cannot start without openssl."""
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder)]
    found = said(command, folder, {"PATH": str(empty)})
    assert found.states["checkpoint"] == "not checked"
    assert found.states["entries"] == "ok"
    assert found.code == 1


def test_an_openssl_that_agrees_to_everything_is_not_believed(folder, tmp_path):
    """The known answer has a wrong twin: a program that verifies both verifies nothing."""
    liar = tmp_path / "liar"
    liar.mkdir()
    (liar / "openssl").write_text(
        "#!/bin/sh\ncase $1 in pkeyutl | ts) exit 0 ;; esac\nexec " + str(shutil.which("openssl")) + ' "$@"\n'
    )
    (liar / "openssl").chmod(0o755)
    path = {"PATH": f"{liar}:/usr/bin:/bin"}
    python = said([sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder)], folder, path)
    shell = said(["/bin/sh", str(folder / "verify.sh"), str(folder)], folder, path)
    assert python.states["checkpoint"] == shell.states["checkpoint"] == "not checked"
    assert python.code == shell.code == 1


def test_links_and_odd_names_are_refused(folder, tmp_path):
    (folder / "data/entries/9.json").symlink_to("/etc/passwd")
    assert both(folder).states == {"files": "failed"}
    (folder / "data/entries/9.json").unlink()
    (folder / "data/en\ntries").write_text("x")
    assert both(folder).states == {"files": "failed"}


def test_a_manifest_cannot_lead_outside(folder, tmp_path):
    (tmp_path / "outside").write_text("x")
    reseal(folder)
    path = folder / "manifest-sha256.txt"
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    path.write_text(path.read_text() + f"{digest}  data/../../outside\n")
    assert both(folder).states == {"files": "failed"}


def test_what_hostile_files_say_does_not_reach_the_terminal(world, small):
    name = "\x1b[31mred\u202e"
    key = NoteSigner.from_seed("evil\u202e.example/ledger", bytes(32))
    (small / "data/policy").write_text(f"log {key.vkey}\nquorum none\n")
    reseal(small)
    for found in (by_python(small), by_shell(small)):
        assert found.text.isprintable() or "\x1b" not in found.text
        assert "\u202e" not in found.text
    (small / "data/policy").write_text(f"log {name}\nquorum none\n")
    reseal(small)
    assert "\x1b" not in by_python(small).text + by_shell(small).text


# ------------------------------------------------------------------------------------- what is refused


def test_a_file_that_was_not_logged_so_does_not_go_along(world, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(b"edited")
    with pytest.raises(InputError, match="not the file that was logged"):
        world.export("wrong.zip", items=[Item(123, other)])
    assert not (world.folder / "wrong.zip").exists()
    assert not list(world.folder.glob(".assay-*"))


def test_entries_that_are_not_there_are_named(world):
    with pytest.raises(UsageError, match="there is no entry 5000"):
        world.export("none.zip", items=[Item(5000)], since=None)
    with pytest.raises(UsageError, match="1 to 10000"):
        world.export("none.zip", items=[])
    with pytest.raises(UsageError, match="exists already"):
        world.export("earlier.zip")


def test_a_ledger_older_than_the_earlier_bundle_is_a_restored_copy(world, bundle, tmp_path):
    with SqlLog.create(f"sqlite:///{tmp_path / 'old.db'}", ORIGIN, NoteSigner.from_seed(ORIGIN, SEED)) as log:
        log.append_many([(entry(i), None) for i in range(50)])
        with pytest.raises(LedgerError, match="holds 50 entries, the earlier bundle is of 300"):
            export(log, tmp_path / "x.zip", [Item(1)], policy=world.policy, software=SOFTWARE, since=bundle)


def test_a_rewritten_ledger_cannot_follow_an_earlier_bundle(world, bundle, tmp_path):
    with SqlLog.create(f"sqlite:///{tmp_path / 'new.db'}", ORIGIN, NoteSigner.from_seed(ORIGIN, SEED)) as log:
        log.append_many([(entry(7000 + i), None) for i in range(400)])
        with pytest.raises(LedgerError, match="does not extend"):
            export(log, tmp_path / "x.zip", [Item(1)], policy=world.policy, software=SOFTWARE, since=bundle)
    with SqlLog.create(
        f"sqlite:///{tmp_path / 'o.db'}", "o.example", NoteSigner.from_seed("o.example", SEED)
    ) as log:
        log.append_many([(entry(i), None) for i in range(400)])
        with pytest.raises(LedgerError, match="not this ledger's"):
            export(log, tmp_path / "x.zip", [Item(1)], policy=world.policy, software=SOFTWARE, since=bundle)


def test_an_anchor_that_contradicts_the_ledger_stops_the_export(world):
    signer = NoteSigner.from_seed(ORIGIN, SEED)
    forked = sign_note(Checkpoint(ORIGIN, 200, bytes(32)).to_text(), signer)
    with pytest.raises(LedgerError, match="the anchor an and the ledger contradict"):
        world.export("c.zip", anchored=(anchored(9, "evm", Standing.OK, forked),))


def test_an_anchor_that_its_keeper_finds_contradicted_stops_it_too(world):
    found = anchored(9, "evm", Standing.CONTRADICTED, world.log.checkpoint())
    with pytest.raises(LedgerError, match="so it is"):
        world.export("c.zip", anchored=(found,))


def test_what_is_no_bundle_is_refused_as_an_earlier_one(world, tmp_path):
    for name, data in {
        "text": b"hello",
        "empty": b"",
        "cut": (world.folder / "earlier.zip").read_bytes()[:-40],
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(MalformedError):
            world.export("x.zip", since=path)
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/data/checkpoint", b"0" * (1 << 22))
    with pytest.raises(MalformedError, match="no bundle"):
        world.export("x.zip", since=tmp_path / "bomb")
    with zipfile.ZipFile(tmp_path / "large", "w") as archive:
        archive.writestr("b/data/checkpoint", b"0" * (1 << 21))
    with pytest.raises(LimitError):
        world.export("x.zip", since=tmp_path / "large")
    with pytest.raises(InputError):
        world.export("x.zip", since=tmp_path / "missing")
    with pytest.raises(AssayError):
        read_from_bag(tmp_path, "data/checkpoint", 100)


def test_records_say_what_to_compare(folder, world):
    document = json.loads((folder / "data/anchors/2-evm/record.json").read_text())
    assert (document["kind"], document["size"], document["detail"]) == ("evm", 310, {"block": "0x1"})
    root = (folder / "data/anchors/2-evm/checkpoint").read_text().split("\n")[2]
    assert document["root"] == base64.b64decode(root).hex()
