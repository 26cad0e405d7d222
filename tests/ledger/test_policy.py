"""Policies of logs and witnesses, from the text of tlog-policy; the evaluation against one typed anew."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.tlog.cosignature import (
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    CosignatureKey,
    Cosigner,
)
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, NoteSigner, merge_signatures, open_note, sign_note
from assay.ledger.tlog.policy import MAX_LINES_OF_A_KIND, MAX_POLICY_BYTES, TlogPolicy
from assay.provenance.errors import AssayError, CredentialError, LimitError, MalformedError

ORIGIN = "example.org/ledger"
LOG = NoteSigner.from_seed(ORIGIN, bytes(32))
TEXT = Checkpoint(ORIGIN, 7, leaf_hash(b"x")).to_text()
NOTE = sign_note(TEXT, LOG)
TIME = 1_763_700_000


def cosigner(number: int, algorithm: int = ED25519_COSIGNATURE) -> Cosigner:
    return Cosigner.from_seed(f"witness.example/{number}", algorithm, bytes([number]) * 32)


def key(number: int) -> str:
    return cosigner(number).key.vkey


def policy(*lines: str) -> TlogPolicy:
    return TlogPolicy.parse("".join(f"{line}\n" for line in (f"log {LOG.vkey}", *lines)).encode())


def cosigned(*numbers: int) -> str:
    return NOTE + "".join(cosigner(number).cosign(TEXT, TIME + number) for number in numbers)


EXAMPLE = f"""
# The example of the specification, with keys.
log {LOG.vkey}\thttps://log.example.org/

witness X1 {key(1)}
  witness  X2 \t{key(2)}  \t
witness X3 {key(3)} https://x3.example/prefix/
group X-witnesses 2 X1 X2 X3

\t
witness Y1 {key(4)}
witness Y2 {key(5)}
witness Y3 {key(6)}
group Y-witnesses any Y1 Y2 Y3
   # indented
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()


def test_the_example_of_the_specification_counts_as_it_says():
    example = TlogPolicy.parse(EXAMPLE)
    assert [w.url for w in example.witnesses[:3]] == ["", "", "https://x3.example/prefix/"]
    for numbers in itertools.chain.from_iterable(itertools.combinations(range(1, 7), n) for n in range(7)):
        result = example.examine(cosigned(*numbers))
        enough = len({1, 2, 3} & {*numbers}) >= 2 and bool({4, 5, 6} & {*numbers})
        assert (result.problem == "") == enough, numbers
        names = dict(zip(range(1, 7), ("X1", "X2", "X3", "Y1", "Y2", "Y3"), strict=True))
        assert result.witnesses == {names[n]: TIME + n for n in numbers}
        assert set(result.missing) == set(names.values()) - set(result.witnesses)


def test_a_missed_quorum_is_explained_down_to_the_witnesses():
    problem = TlogPolicy.parse(EXAMPLE).examine(cosigned(1)).problem
    assert "X-and-Y has 0 of the 2 it needs, without X-witnesses, Y-witnesses" in problem
    assert "X-witnesses has 1 of the 2 it needs, without X2, X3" in problem
    assert "Y-witnesses has 0 of the 1 it needs, without Y1, Y2, Y3" in problem
    assert "X-witnesses" not in TlogPolicy.parse(EXAMPLE).examine(cosigned(1, 2)).problem.split("X-and-Y")[0]
    single = policy(f"witness w {key(1)}", "quorum w")
    assert single.examine(NOTE).problem == "the quorum of witnesses is not reached: w has not cosigned"


@pytest.mark.parametrize("data", [EXAMPLE, b"quorum none\n", b"\t quorum\tnone \n# \xff\n"])
def test_a_policy_written_and_read_again_is_the_same(data):
    read = TlogPolicy.parse(data)
    assert TlogPolicy.parse(read.to_bytes()) == read
    assert TlogPolicy.parse(read.to_bytes()).to_text() == read.to_text()


def test_names_are_octets():
    """The Kelvin sign is not a K, bytes that are no UTF-8 are a name, and a no-break space does not separate."""
    odd = b"witness \xe2\x84\xaa %s\nwitness K %s\nwitness \xff %s\nwitness a\xc2\xa0b %s\n" % tuple(
        key(n).encode() for n in (1, 2, 3, 4)
    )
    read = TlogPolicy.parse(odd + b"group \xfe 3 \xe2\x84\xaa K \xff\nquorum \xfe\n")
    assert len({w.name for w in read.witnesses}) == 4
    assert TlogPolicy.parse(read.to_bytes()) == read
    assert b"\xfe 3 \xe2\x84\xaa K \xff\n" in read.to_bytes().replace(b"all", b"3")


def test_names_that_are_keywords_are_names():
    read = policy(f"witness all {key(1)}", f"witness 2 {key(2)}", "group any all all 2", "quorum any")
    assert read.examine(cosigned(1, 2)).problem == ""
    assert read.examine(cosigned(1)).problem


W = f"witness w {key(1)}"
V = f"witness v {key(2)}"


def renamed(number: int) -> str:
    return Cosigner.from_seed("another.example", ED25519_COSIGNATURE, bytes([number]) * 32).key.vkey


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no quorum line"),
        (["quorum none", "quorum none"], "line 3: a second quorum"),
        (["quorum w", W], "line 2: 'w' is no witness or group defined above"),
        ([W, "quorum W"], "'W' is no witness"),
        ([W, "quorum none none"], "line 3: not a line of a policy"),
        ([W, "quorum"], "not a line"),
        (["Quorum none"], "not a line"),
        (["quorum none # no comment here"], "not a line"),
        (["witness none " + key(1), "quorum none"], "'none' is taken"),
        ([W, "witness w " + key(2), "quorum none"], "'w' is taken"),
        ([W, "group w any w", "quorum none"], "'w' is taken"),
        ([W, "witness v " + key(1), "quorum none"], "with this key is listed already"),
        ([W, "witness v " + renamed(1), "quorum none"], "with this key is listed already"),
        ([f"log {LOG.vkey}", "quorum none"], "log with this key is listed already"),
        (
            ["log " + NoteSigner.from_seed("example.org/other", bytes(32)).vkey, "quorum none"],
            "listed already",
        ),
        ([W, "group g 0 w", "quorum g"], "cannot need 0"),
        ([W, "group g 2 w", "quorum g"], "a group of 1 cannot need 2"),
        ([W, "group g 01 w", "quorum g"], "plain decimal"),
        ([W, "group g +1 w", "quorum g"], "plain decimal"),
        ([W, "group g Any w", "quorum g"], "plain decimal"),
        ([W, "group g \u0661 w", "quorum g"], "plain decimal"),
        ([W, "group g any", "quorum none"], "not a line"),
        ([W, "group g any none", "quorum none"], "'none' is no witness"),
        ([W, "group g any g", "quorum g"], "'g' is no witness"),
        ([W, "group g any h", "group h any w", "quorum g"], "'h' is no witness"),
        ([W, "group g any w w", "quorum g"], "can be only once"),
        ([W, V, "group g any w", "group h any v w", "quorum h"], "'w' is a member already"),
        (["witness w " + LOG.vkey, "quorum none"], "does not cosign"),
        (["witness w example.com+x+y", "quorum none"], "not a verifier key"),
        ([W + " https://a https://b", "quorum none"], "not a line"),
        (["quorum none\u000b"], "control characters"),
        (["quorum\rnone"], "control characters"),
        (["quorum none\x7f"], "control characters"),
        (["quorum none\x00"], "control characters"),
    ],
)
def test_a_policy_that_breaks_the_letter_is_refused(lines, words):
    with pytest.raises((MalformedError, CredentialError), match=words):
        policy(*lines)


def test_the_last_line_ends_too():
    with pytest.raises(MalformedError, match="newline"):
        TlogPolicy.parse(b"quorum none")
    with pytest.raises(MalformedError, match="quorum"):
        TlogPolicy.parse(b"")


def test_limits_hold_and_leave_the_room_that_the_specification_asks_for():
    witnesses = [f"witness w{n} {key(n)}" for n in range(1, 33)]
    groups = ["group g0 any w1", *(f"group g{n} any g{n - 1}" for n in range(1, 32))]
    assert policy(*witnesses, *groups, "quorum g31").examine(cosigned(1)).problem == ""
    assert "g0 has 0 of the 1" in policy(*witnesses, *groups, "quorum g31").examine(cosigned(2)).problem
    with pytest.raises(LimitError):
        policy(*(f"witness w{n} {key(n)}" for n in range(1, MAX_LINES_OF_A_KIND + 2)), "quorum none")
    with pytest.raises(LimitError):
        TlogPolicy.parse(b"#" * MAX_POLICY_BYTES + b"\n")


def test_no_witness_needed_is_said_and_cosignatures_are_reported_all_the_same():
    free = policy(W, "quorum none")
    assert free.examine(NOTE).problem == ""
    assert free.examine(cosigned(1)).witnesses == {"w": TIME + 1}


def test_only_a_listed_log_speaks():
    other = NoteSigner.from_seed("example.org/other", bytes(range(32)))
    read = policy(f"log {other.vkey}", W, "quorum none")
    assert read.examine(NOTE).log.key.name == ORIGIN
    with pytest.raises(MalformedError, match="not signed by that log"):
        read.examine(sign_note(TEXT, other))  # a known log, but not the one that the checkpoint names
    with pytest.raises(MalformedError, match="not signed by that log"):
        read.examine(TEXT + "\n" + cosigner(1).cosign(TEXT, TIME))
    with pytest.raises(MalformedError, match="no known key"):
        TlogPolicy.parse(b"quorum none\n").examine(cosigned(1))


def test_a_wrong_cosignature_of_a_known_witness_rejects_and_of_a_stranger_does_not():
    read = policy(W, V, "quorum v")
    wrong = cosigner(1).cosign(TEXT.replace("7", "8"), TIME)
    with pytest.raises(MalformedError, match=r"signature of witness\.example/1 is wrong"):
        read.examine(cosigned(2) + wrong)
    stranger = cosigner(3).cosign(TEXT.replace("7", "8"), TIME)
    assert read.examine(cosigned(2) + stranger).problem == ""


@pytest.mark.parametrize("algorithm", [ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE])
def test_a_cosignature_holds_for_its_time_key_and_checkpoint_only(algorithm):
    made = cosigner(1, algorithm)
    trusted = CosignatureKey.parse(made.key.vkey)
    assert trusted == made.key
    line = made.cosign(TEXT, TIME)
    _, signed = open_note(f"{TEXT}\n{line}", [trusted])
    data = signed[trusted]
    assert int.from_bytes(data[:8], "big") == TIME
    good = partial(trusted.verifies, TEXT.encode())
    assert good(data)
    assert not good((TIME + 1).to_bytes(8, "big") + data[8:])
    assert not good(data[:-1])
    assert not good(data + b"\0")
    assert not good(b"")
    assert not good(data[8:])
    assert not good((1 << 63).to_bytes(8, "big") + data[8:])
    for other in ("example.org/other\n7", ORIGIN + "\n8"):
        assert not trusted.verifies(TEXT.replace(ORIGIN + "\n7", other).encode(), data)
    assert not trusted.verifies(Checkpoint(ORIGIN, 7, bytes(32)).to_text().encode(), data)
    assert not trusted.verifies(b"not a checkpoint\n", data)


def test_ml_dsa_commits_to_the_witness_name_and_ed25519_does_not():
    """Trap 23 of the field: one Ed25519 key, two names, and a cosignature serves for both."""
    for algorithm, moves in ((ED25519_COSIGNATURE, True), (ML_DSA_44_COSIGNATURE, False)):
        one = Cosigner.from_seed("witness.example/a", algorithm, bytes(32))
        two = CosignatureKey("witness.example/b", algorithm, one.key.public)
        data = open_note(f"{TEXT}\n{one.cosign(TEXT, TIME)}", [one.key])[1][one.key]
        assert two.verifies(TEXT.encode(), data) is moves


def test_a_log_may_sign_with_a_cosigners_key():
    """tlog-checkpoint: logs SHOULD sign with ML-DSA-44 cosignatures."""
    log = Cosigner.from_seed(ORIGIN, ML_DSA_44_COSIGNATURE, bytes(32))
    read = TlogPolicy.parse(f"log {log.key.vkey}\n{W}\nquorum w\n".encode())
    note = f"{TEXT}\n{log.cosign(TEXT, 0)}{cosigner(1).cosign(TEXT, TIME)}"
    assert read.examine(note).problem == ""


def test_keys_of_other_types_are_ignored_in_notes_and_refused_in_policies():
    from assay.ledger.tlog.note import format_vkey, key_id, signature_line

    unknown = signature_line("ct.example/log", key_id("ct.example/log", 5, bytes(32)), bytes(80))
    assert policy(W, "quorum w").examine(cosigned(1) + unknown).problem == ""
    with pytest.raises(CredentialError, match="type 5 does not cosign"):
        CosignatureKey.parse(format_vkey("ct.example/log", 5, bytes(32)))


def test_what_cannot_be_cosigned_is_said():
    with pytest.raises(MalformedError):
        cosigner(1).cosign("no checkpoint\n", TIME)
    long = Checkpoint("o" * 256, 1, bytes(32)).to_text()
    assert cosigner(1).cosign(long, TIME)
    with pytest.raises(MalformedError, match="256 bytes"):
        cosigner(1, ML_DSA_44_COSIGNATURE).cosign(long, TIME)
    with pytest.raises(CredentialError):
        Cosigner.from_seed("w", ED25519_COSIGNATURE, bytes(31))
    with pytest.raises(CredentialError):
        Cosigner.from_seed("w", 1, bytes(32))


def test_merging_keeps_each_key_s_last_signature_and_refuses_another_text():
    early, late = cosigner(1).cosign(TEXT, TIME), cosigner(1).cosign(TEXT, TIME + 9)
    merged = merge_signatures(NOTE, NOTE + early, cosigned(2), f"{TEXT}\n{late}")
    read = policy(W, V, "group g all w v", "quorum g")
    assert read.examine(merged).witnesses == {"w": TIME + 9, "v": TIME + 2}
    assert merged.startswith(NOTE)
    assert merged.count("\n— ") == 3
    with pytest.raises(MalformedError, match="another text"):
        merge_signatures(NOTE, sign_note(TEXT.replace("7", "8"), LOG))


@st.composite
def trees(draw):
    """A random policy and the same rule as nested tuples."""
    count = draw(st.integers(1, 6))
    free = [(f"w{n}", n) for n in range(1, count + 1)]
    lines = [f"witness w{n} {key(n)}" for n in range(1, count + 1)]
    rules = {f"w{n}": n for n in range(1, count + 1)}
    for group in range(draw(st.integers(0, 4))):
        if not free:
            break
        members = draw(st.lists(st.sampled_from(sorted(n for n, _ in free)), min_size=1, unique=True))
        needed = draw(st.integers(1, len(members)))
        free = [item for item in free if item[0] not in members] + [(f"g{group}", 0)]
        lines.append(f"group g{group} {needed} {' '.join(members)}")
        rules[f"g{group}"] = (needed, [rules[m] for m in members])
    quorum = draw(st.sampled_from(sorted(rules)))
    return [*lines, f"quorum {quorum}"], rules[quorum]


def holds(rule, numbers) -> bool:
    if isinstance(rule, int):
        return rule in numbers
    return sum(holds(member, numbers) for member in rule[1]) >= rule[0]


@settings(max_examples=60, deadline=None)
@given(trees(), st.sets(st.integers(1, 6)))
def test_the_quorum_is_counted_as_the_specification_says(tree, numbers):
    lines, rule = tree
    read = policy(*lines)
    assert (read.examine(cosigned(*sorted(numbers))).problem == "") == holds(rule, numbers)
    assert TlogPolicy.parse(read.to_bytes()) == read


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.integers(0, len(EXAMPLE) - 1).flatmap(
    lambda at: st.binary(max_size=3).map(lambda new: EXAMPLE[:at] + new + EXAMPLE[at + 1 :])
)))  # fmt: skip
def test_hostile_bytes_are_a_policy_or_an_error_in_words(data):
    try:
        read = TlogPolicy.parse(data)
    except AssayError as error:
        assert error.message
        assert error.message.isprintable()
    else:
        assert TlogPolicy.parse(read.to_bytes()) == read
