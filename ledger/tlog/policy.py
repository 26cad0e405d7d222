"""Which logs are known and how many witnesses must have cosigned: C2SP tlog-policy, read, written and applied."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.ledger.tlog.cosignature import CosignatureKey, timestamp_of
from assay.ledger.tlog.note import ED25519, Checkpoint, Verifier, open_note, parse_decimal, split_vkey
from assay.provenance.errors import CredentialError, InputError, LimitError, MalformedError
from assay.provenance.text import safe_text

MAX_POLICY_BYTES = 1 << 20
MAX_LINES_OF_A_KIND = 64
"""Most logs, most witnesses and most groups of one policy; the specification asks for 32 of each."""
NONE = "none"
"""The quorum that asks for no cosignature, and a name that nothing else can have."""
_ENCODING = ("utf-8", "surrogateescape")  # names are octets: any spelling comes back as it was, and only then
_FORBIDDEN = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")
_BLANKS = re.compile(r"[ \t]+")

LogKey = Verifier | CosignatureKey


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log's key, named as its origin, and where it is reached ("" if nobody said)."""

    key: LogKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness by its name within the policy, its cosigning key, and its submission prefix ("" if none)."""

    name: str
    key: CosignatureKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups, by name, of which ``threshold`` must have witnessed for the group to have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What a policy finds on a checkpoint that a known log has signed.

    ``witnesses`` gives, for each witness of the policy that cosigned, the POSIX seconds it says it did so (0: it
    does not say); ``missing`` names the others. ``problem`` says in words why the quorum is not reached, "" if it
    is.
    """

    checkpoint: Checkpoint
    log: KnownLog
    witnesses: Mapping[str, int]
    missing: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class TlogPolicy:
    """The logs one accepts, the witnesses one knows, and the quorum: a witness's or group's name, or ``none``."""

    logs: tuple[KnownLog, ...] = ()
    witnesses: tuple[KnownWitness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE

    @classmethod
    def of_logs(cls, vkeys: Sequence[str]) -> TlogPolicy:
        """Return the policy of knowing these logs and no witness; raises CredentialError."""
        return cls(logs=tuple(KnownLog(parse_log_key(vkey)) for vkey in dict.fromkeys(vkeys)))

    @classmethod
    def parse(cls, data: bytes) -> TlogPolicy:
        """Read a policy file; raises MalformedError naming the line, LimitError."""
        return _Reader(data).policy

    def to_text(self) -> str:
        """Return the policy file; reading it gives this policy again."""
        lines = [f"log {log.key.vkey} {log.url}".rstrip() for log in self.logs]
        lines += [f"witness {w.name} {w.key.vkey} {w.url}".rstrip() for w in self.witnesses]
        for group in self.groups:
            whole, one = group.threshold == len(group.members), group.threshold == 1
            threshold = "all" if whole else "any" if one else str(group.threshold)
            lines.append(f"group {group.name} {threshold} {' '.join(group.members)}")
        return "\n".join([*lines, f"quorum {self.quorum}"]) + "\n"

    def to_bytes(self) -> bytes:
        """Return the policy file as it is stored."""
        return self.to_text().encode(*_ENCODING)

    def examine(self, note: str) -> Cosigned:
        """Apply the policy to a signed checkpoint.

        Signatures of unknown keys are ignored. Raises MalformedError where it is no checkpoint, where no known
        log named as its origin signed it, or where the signature of any key of this policy is wrong.
        """
        logs = {log.key: log for log in self.logs}
        witnesses = {witness.key: witness for witness in self.witnesses}
        text, signed = open_note(note, [*logs, *witnesses])
        checkpoint = Checkpoint.from_text(text)
        log = next((logs[key] for key in signed if key in logs and key.name == checkpoint.origin), None)
        if log is None:
            raise MalformedError(
                f"the checkpoint of {safe_text(checkpoint.origin, 120)} is not signed by that log"
            )
        cosigned = {
            witnesses[key].name: timestamp_of(data) for key, data in signed.items() if key in witnesses
        }
        missing = tuple(witness.name for witness in self.witnesses if witness.name not in cosigned)
        return Cosigned(checkpoint, log, cosigned, missing, self._problem(frozenset(cosigned)))

    def _problem(self, cosigned: frozenset[str]) -> str:
        """Return why these witnesses, by name, do not make the quorum, in words; "" if they do."""
        if self.quorum == NONE:
            return ""
        witnessed = set(cosigned)
        for group in self.groups:  # members stand on earlier lines, so one pass is enough
            if sum(name in witnessed for name in group.members) >= group.threshold:
                witnessed.add(group.name)
        if self.quorum in witnessed:
            return ""
        lacking, reasons = {self.quorum}, []
        for group in reversed(self.groups):
            if group.name in lacking:
                without = [name for name in group.members if name not in witnessed]
                lacking.update(without)
                reasons.append(
                    f"{safe_text(group.name, 80)} has {len(group.members) - len(without)} of the "
                    f"{group.threshold} it needs, without {', '.join(safe_text(n, 80) for n in without)}"
                )
        why = "; ".join(reasons) or f"{safe_text(self.quorum, 80)} has not cosigned"
        return f"the quorum of witnesses is not reached: {why}"


def parse_log_key(vkey: str) -> LogKey:
    """Read the verifier key of a log: an Ed25519 note key, or a cosigner's; raises CredentialError."""
    return Verifier.parse(vkey) if split_vkey(vkey)[1] == ED25519 else CosignatureKey.parse(vkey)


@dataclass(slots=True)
class _Reader:
    """A policy file, line by line."""

    data: bytes
    policy: TlogPolicy = field(init=False)
    _logs: list[KnownLog] = field(init=False, default_factory=list)
    _witnesses: list[KnownWitness] = field(init=False, default_factory=list)
    _groups: list[Group] = field(init=False, default_factory=list)
    _defined: set[str] = field(init=False, default_factory=lambda: {NONE})
    _members: set[str] = field(init=False, default_factory=set)
    _keys: dict[tuple[str, bytes], bytes] = field(init=False, default_factory=dict)
    _quorum: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if len(self.data) > MAX_POLICY_BYTES:
            raise LimitError(f"the policy is larger than {MAX_POLICY_BYTES} bytes")
        if _FORBIDDEN.search(self.data):
            raise MalformedError("not a policy: it holds control characters other than tab and newline")
        text = self.data.decode(*_ENCODING)
        if text and not text.endswith("\n"):
            raise MalformedError("the policy's last line does not end in a newline")
        for number, line in enumerate(text.split("\n"), start=1):
            items = [item for item in _BLANKS.split(line) if item]
            if not items or items[0].startswith("#"):
                continue
            try:
                self._read(items)
            except (InputError, CredentialError) as error:
                raise type(error)(f"line {number}: {error.message}", hint=error.hint) from error
        if not self._quorum:
            raise MalformedError("the policy has no quorum line", hint="'quorum none' asks for no witness")
        self.policy = TlogPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _read(self, items: list[str]) -> None:
        match items:
            case ["log", vkey, *url] if len(url) <= 1:
                self._log(vkey, "".join(url))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._witness(name, vkey, "".join(url))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise MalformedError(f"not a line of a policy: {safe_text(' '.join(items), 80)!r}")

    def _log(self, vkey: str, url: str) -> None:
        key = parse_log_key(vkey)
        if any(key.public == log.key.public for log in self._logs):
            raise MalformedError("a log with this key is listed already")
        self._check_room(self._logs)
        self._check_collision(key)
        self._logs.append(KnownLog(key, url))

    def _witness(self, name: str, vkey: str, url: str) -> None:
        key = CosignatureKey.parse(vkey)
        if any(key.public == witness.key.public for witness in self._witnesses):
            raise MalformedError("a witness with this key is listed already")
        self._define(name)
        self._check_room(self._witnesses)
        self._check_collision(key)
        self._witnesses.append(KnownWitness(name, key, url))

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member not in self._defined or member == NONE:
                raise MalformedError(f"{safe_text(member, 80)!r} is no witness or group defined above")
            if member in self._members:
                raise MalformedError(f"{safe_text(member, 80)!r} is a member already, and can be only once")
            self._members.add(member)
        words = {"all": len(members), "any": 1}
        needed = words[threshold] if threshold in words else parse_decimal(threshold)
        if not 1 <= needed <= len(members):
            raise MalformedError(f"a group of {len(members)} cannot need {needed}")
        self._define(name)
        self._check_room(self._groups)
        self._groups.append(Group(name, needed, tuple(members)))

    def _set_quorum(self, name: str) -> None:
        if self._quorum:
            raise MalformedError("a second quorum line")
        if name not in self._defined:
            raise MalformedError(f"{safe_text(name, 80)!r} is no witness or group defined above")
        self._quorum = name

    def _define(self, name: str) -> None:
        if name in self._defined:
            raise MalformedError(f"the name {safe_text(name, 80)!r} is taken")
        self._defined.add(name)

    def _check_room(self, of_a_kind: Sequence[object]) -> None:
        if len(of_a_kind) >= MAX_LINES_OF_A_KIND:
            raise LimitError(f"more than {MAX_LINES_OF_A_KIND} lines of this kind")

    def _check_collision(self, key: LogKey) -> None:
        """Two keys of one name and id could not be told apart on a note."""
        if self._keys.setdefault((key.name, key.id), key.public) != key.public:
            raise MalformedError("another key of this policy has the same name and id")
