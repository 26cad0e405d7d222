"""What others computed: transparency-dev/merkle, Go's sumdb, a log of Tessera's, and the examples of C2SP.

The files are in the corpus and not in this repository, but for one that we made with Go's library.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from pathlib import Path

import pytest

from assay.ledger.tlog.cosignature import timestamp_of
from assay.ledger.tlog.layout import ENTRIES, Resource, pack, unpack
from assay.ledger.tlog.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from assay.ledger.tlog.note import Checkpoint, split_note
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.tlog.tiles import Edge, TileCache, tile_reader, width_at
from assay.ledger.witness.witness import AddCheckpoint
from assay.provenance.errors import MalformedError

from .test_merkle import Shelf, node_of

GO_PROOFS = Path(__file__).parent / "vectors" / "go-sumdb-proofs.json"
GO_SIZE = 70_000


def unbase64(value: str | None) -> bytes:
    return base64.b64decode(value or "")


# ------------------------------------------------------------------------------ transparency-dev/merkle: 196 proofs


def cases(corpus: Path, kind: str) -> list[Path]:
    return sorted((corpus / "ledger" / "rfc6962-merkle" / kind).rglob("*.json"))


def test_inclusion_vectors_of_transparency_dev(corpus):
    files = cases(corpus, "inclusion")
    assert len(files) == 98
    for file in files:
        case = json.loads(file.read_text())
        proof = [unbase64(item) for item in case["proof"] or []]
        good = verify_inclusion(
            unbase64(case["leafHash"]), case["leafIdx"], case["treeSize"], proof, unbase64(case["root"])
        )
        assert good is not case["wantErr"], file.name


def test_consistency_vectors_of_transparency_dev(corpus):
    files = cases(corpus, "consistency")
    assert len(files) == 98
    for file in files:
        case = json.loads(file.read_text())
        proof = [unbase64(item) for item in case["proof"] or []]
        good = verify_consistency(
            case["size1"], case["size2"], unbase64(case["root1"]), unbase64(case["root2"]), proof
        )
        assert good is not case["wantErr"], file.name


def test_known_answers_of_transparency_dev(corpus):
    """The constants of its Go tests: eight leaves, a root for each size, fifteen nodes."""
    text = (corpus / "ledger" / "rfc6962-merkle" / "constants.go.txt").read_text()
    leaves = [bytes.fromhex(item) for item in re.findall(r'hd\("([0-9a-f]*)"\)', text.split("NodeHashes")[0])]
    roots = re.findall(r'hd\("([0-9a-f]*)"\)', text.split("func RootHashes")[1].split("func ")[0])
    assert len(leaves) == len(roots) == 8
    for size, expected in enumerate(roots, start=1):
        assert root(node_of(leaves), size).hex() == expected
    rows = re.findall(r'hd\("([0-9a-f]{64})"\)', text.split("func NodeHashes")[1].split("\nfunc ")[0])
    ours = {node_of(leaves)(level, at).hex() for level in range(4) for at in range(8 >> level)}
    assert len(rows) == 15
    assert set(rows) == ours


# --------------------------------------------------- Go's sumdb: 402 roots, 277 tiles, 274 bundles, 1,203 proofs


@pytest.fixture(scope="module")
def oracle(corpus) -> Path:
    return corpus / "ledger" / "go-tlog-oracle"


@pytest.fixture(scope="module")
def go_roots(oracle) -> dict[int, bytes]:
    roots = json.loads((oracle / "roots.json").read_text())
    assert len(roots) == 402
    return {int(size): unbase64(value) for size, value in roots.items()}


def test_every_root_and_tile_of_go_comes_out_the_same(oracle, go_roots):
    leaves = [b"entry-%d" % index for index in range(GO_SIZE)]
    frontier, shelf = Frontier(), Shelf()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
        if frontier.size in go_roots:
            assert frontier.root() == go_roots[frontier.size], frontier.size
    shelf.grow(Edge(shelf.fetch, 0), leaves)
    theirs = sorted(
        file for level in "012" for file in (oracle / "tile" / level).rglob("*") if file.is_file()
    )
    assert len(theirs) == 277
    for file in theirs:
        tile = Resource.parse(file.relative_to(oracle).as_posix())
        assert shelf.fetch(tile.level, tile.number)[: tile.width * 32] == file.read_bytes()
        assert tile.width == width_at(GO_SIZE, tile.level, tile.number)


def test_the_bundles_of_go_hold_the_leaves(oracle):
    files = sorted(file for file in (oracle / "tile" / "entries").rglob("*") if file.is_file())
    assert len(files) == 274
    for file in files:
        bundle = Resource.parse(file.relative_to(oracle).as_posix())
        first = bundle.number * 256
        leaves = [b"entry-%d" % index for index in range(first, first + bundle.width)]
        assert bundle.level == ENTRIES
        assert unpack(file.read_bytes(), bundle.width) == leaves
        assert pack(leaves) == file.read_bytes()


def test_the_checkpoint_of_go_verifies(oracle, go_roots):
    policy = TlogPolicy.of_logs([(oracle / "vkey").read_text()])
    head = policy.examine((oracle / "checkpoint").read_text()).checkpoint
    assert head == Checkpoint("example.com/newsroom-log", GO_SIZE, go_roots[GO_SIZE])


@pytest.fixture(scope="module")
def go_tree(oracle):
    """Reads a tree of any size from Go's own tiles."""

    def fetch(level: int, number: int) -> bytes:
        width = width_at(GO_SIZE, level, number)
        return (oracle / Resource(level, number, width).path).read_bytes()

    cache = TileCache(512)
    return lambda size: tile_reader(fetch, size, cache)


def digest(proof: list[bytes]) -> str:
    return base64.b64encode(hashlib.sha256(b"".join(proof)).digest()).decode()


def test_inclusion_proofs_are_those_of_go_and_verify(go_tree, go_roots):
    proofs = json.loads(GO_PROOFS.read_text())["inclusion"]
    assert len(proofs) == 536
    for index, size, expected in proofs:
        proof = inclusion_proof(go_tree(size), index, size)
        assert digest(proof) == expected, (index, size)
        leaf = leaf_hash(b"entry-%d" % index)
        assert verify_inclusion(leaf, index, size, proof, go_roots[size])
        assert not verify_inclusion(leaf, index, size, proof, go_roots[1 if size > 1 else 2])
        other = (index + 1) % size
        assert size == 1 or not verify_inclusion(leaf, other, size, proof, go_roots[size])


def test_consistency_proofs_are_those_of_go_and_verify(go_tree, go_roots):
    proofs = json.loads(GO_PROOFS.read_text())["consistency"]
    assert len(proofs) == 667
    for old, new, expected in proofs:
        proof = consistency_proof(go_tree(new), old, new)
        assert digest(proof) == expected, (old, new)
        assert verify_consistency(old, new, go_roots[old], go_roots[new], proof)
        if old < new:
            assert not verify_consistency(old, new, go_roots[new], go_roots[new], proof)
            assert not verify_consistency(old, new, go_roots[old], go_roots[new], proof[:-1])


# ------------------------------------------------------------------------------ Tessera: 17 checkpoints, 15 leaves


@pytest.fixture(scope="module")
def tessera(corpus) -> Path:
    return corpus / "ledger" / "tessera-log"


def test_the_checkpoints_of_tessera_verify_and_have_the_roots_of_their_entries(tessera):
    """The key is the public one of the script that built the log."""
    script = (tessera / "build_log.sh.txt").read_text()
    policy = TlogPolicy.of_logs(re.findall(r'LOG_PUBLIC_KEY="([^"]+)"', script))
    files = sorted((tessera / "log").glob("checkpoint*"))
    assert len(files) == 17
    heads = [policy.examine(file.read_text()).checkpoint for file in files]
    assert {head.size for head in heads} == set(range(16))
    for head in heads:
        frontier = Frontier()
        if head.size:
            bundle = tessera / "log" / Resource(ENTRIES, 0, head.size).path
            for leaf in unpack(bundle.read_bytes(), head.size):
                frontier.append(leaf_hash(leaf))
        assert (frontier.size, frontier.root()) == (head.size, head.root)
    for file in files:
        changed = file.read_text().replace("testdata\n", "testdata\n1", 1)
        with pytest.raises(MalformedError, match="is wrong"):
            policy.examine(changed)


def test_every_two_checkpoints_of_tessera_are_consistent_by_its_own_tiles(tessera):
    roots = {}
    for size in range(16):
        head = Checkpoint.peek((tessera / "log" / f"checkpoint.{size}").read_text())
        roots[size] = head.root
    tile = (tessera / "log" / Resource(0, 0, 15).path).read_bytes()
    for old, new in itertools.combinations(range(1, 16), 2):
        node = tile_reader(lambda *_: tile, new, TileCache())
        proof = consistency_proof(node, old, new)
        assert verify_consistency(old, new, roots[old], roots[new], proof)
        assert not verify_consistency(old, new, roots[new], roots[old], proof)


# ------------------------------------------------------------------------------ the examples of C2SP


def examples(text: str) -> list[str]:
    """The code blocks of a specification: fenced, or indented by four spaces."""
    fence = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    runs = re.findall(r"(?:^(?: {4}.*)?\n)+", fence.sub("", text), re.MULTILINE)
    indented = [
        re.sub(r"^ {4}", "", run, flags=re.MULTILINE).strip("\n") + "\n" for run in runs if run.strip()
    ]
    return fence.findall(text) + indented


@pytest.fixture(scope="module")
def spec(corpus):
    return lambda name: (corpus / "ledger" / "c2sp" / f"{name}.md").read_text("utf-8")


def test_the_note_of_the_specification_verifies(spec):
    from assay.ledger.tlog.note import Verifier, open_note

    text = spec("signed-note")
    (vkey,) = re.findall(r"^    (example\.com/foo\+\S+)$", text, re.MULTILINE)
    note = next(block for block in examples(text) if block.startswith("This is an example message."))
    assert set(open_note(note, [Verifier.parse(vkey)])[1]) == {Verifier.parse(vkey)}
    with pytest.raises(MalformedError, match="is wrong"):
        open_note(note.replace("This", "That"), [Verifier.parse(vkey)])


def test_the_examples_of_checkpoints_and_cosignatures_are_read(spec):
    """Their keys are not published: what can be checked is that they are read as they are meant."""
    for name in ("tlog-checkpoint", "tlog-cosignature"):
        note = next(
            block
            for block in examples(spec(name))
            if block.startswith("example.com/behind-the-sofa\n") and "—" in block
        )
        assert Checkpoint.peek(note).size == 20852163
    signatures = dict(split_note(note)[1])
    assert timestamp_of(signatures["witness.example.com/w1"][4:]) == 1679315147
    assert len(signatures["witness.example.com/w1"]) == 4 + 8 + 64


def test_the_example_request_and_answer_of_tlog_witness_are_read(spec):
    blocks = examples(spec("tlog-witness"))
    request = AddCheckpoint.parse(next(b for b in blocks if b.startswith("old ")).encode())
    assert (request.old, len(request.proof), Checkpoint.peek(request.note).size) == (20852014, 4, 20852163)
    assert request.to_bytes() == next(b for b in blocks if b.startswith("old ")).encode()
    answer = next(b for b in blocks if b.startswith("— witness.example/w1") and "[" not in b)
    _, signatures = split_note(
        Checkpoint("example.com/behind-the-sofa", 1, bytes(32)).to_text() + "\n" + answer
    )
    assert len(signatures) == 3
    assert all(len(data) == 4 + 8 + 64 and timestamp_of(data[4:]) > 1_600_000_000 for _, data in signatures)


def test_the_policy_examples_of_tlog_policy_are_read(spec):
    from assay.ledger.tlog.cosignature import ED25519_COSIGNATURE, Cosigner
    from assay.ledger.tlog.note import NoteSigner

    text = next(block for block in examples(spec("tlog-policy")) if "X-and-Y" in block)
    keys = (Cosigner.from_seed(f"w{n}", ED25519_COSIGNATURE, bytes([n]) * 32).key.vkey for n in range(1, 7))
    log = NoteSigner.from_seed("log", bytes(32)).vkey
    filled = re.sub("<vkey>", lambda _: next(keys), text.replace("log <vkey>", f"log {log}", 1))
    policy = TlogPolicy.parse(filled.encode())
    assert [(g.name, g.threshold) for g in policy.groups] == [
        ("X-witnesses", 2),
        ("Y-witnesses", 1),
        ("X-and-Y", 2),
    ]
    assert TlogPolicy.parse(policy.to_bytes()) == policy
