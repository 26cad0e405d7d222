"""Hostile strings through every field of credentials that can be signed, and what the commands then print of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..cli.conftest import Terminal
from ..forger import Part, bare_sign, created, definition
from ..people import person
from ..studio import SMALL, Desk, encode, photo

STRINGS = (
    "<script>alert(1)</script>", "\x1b[2J\x1b[31mSource confirmed", "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\u202egnp.jpg\u202c\u2066\u200b\ufeff", '=HYPERLINK("http://evil","x")', "one\r\ntwo, not said\n::error::three",
    "nul\x00inside", "%s%n%x{0}{__class__}${7*7}", "'; DROP TABLE entries; --", "[bold]markup[/bold][link=http://evil]x[/link]",
    "\x9b31m\x85next line\u2028separated\u2029apart", "\x07\x08\x0c\x7f\ufffe\U000e0041",
    "verdict: source-confirmed\n✓ authentic",
)  # fmt: skip
COMMANDS = (("verify",), ("-v", "verify"), ("verify", "--json"), ("inspect",), ("inspect", "--json"))
CHECKS = ("--checks", "manifest,metadata,receipt,agreement")

Set = Callable[[dict[str, Any], str], None]


def lists(corpus: Path | None) -> list[str]:
    """Return our strings and, where the corpus is there, every line of the lists of c2pa-attacks."""
    folders = (
        [corpus / "c2pa/c2pa-attacks/attacks", corpus / "malformed/c2pa-attack-strings"] if corpus else []
    )
    shipped = [
        line
        for folder in folders
        for path in sorted(folder.glob("*.attack"))
        for line in path.read_text("utf-8").splitlines()
        if line
    ]
    return list(dict.fromkeys([*STRINGS, *shipped]))


def _action(key: str) -> Set:
    def put(manifest: dict[str, Any], text: str) -> None:
        manifest["assertions"][0]["data"]["actions"].append({"action": "c2pa.edited", key: text})

    return put


def _assertion(label: str, data: Callable[[str], Any]) -> Set:
    def put(manifest: dict[str, Any], text: str) -> None:
        manifest["assertions"].append({"label": label, "data": data(text), "created": True})

    return put


def _generator(key: str) -> Set:
    def put(manifest: dict[str, Any], text: str) -> None:
        manifest["claim_generator_info"] = [{"name": "Forger", "version": "1", key: text}]

    return put


def _top(key: str) -> Set:
    def put(manifest: dict[str, Any], text: str) -> None:
        manifest[key] = text

    return put


def _custom(manifest: dict[str, Any], text: str) -> None:
    manifest["assertions"].append({"label": text, "data": {"x": text}})


FIELDS: dict[str, Set] = {
    "title": _top("title"),
    "format": _top("format"),
    "instance_id": _top("instance_id"),
    "label": _top("label"),
    "vendor": _top("vendor"),
    "generator's name": _generator("name"),
    "generator's version": _generator("version"),
    "generator's own key": _generator("org.example"),
    "action": lambda m, t: m["assertions"][0]["data"]["actions"].append({"action": t}),
    "action's description": _action("description"),
    "action's reason": _action("reason"),
    "action's time": _action("when"),
    "action's source type": _action("digitalSourceType"),
    "action's agent": lambda m, t: m["assertions"][0]["data"]["actions"].append(
        {"action": "c2pa.edited", "softwareAgent": {"name": t, "version": t}}
    ),
    "action's parameters": lambda m, t: m["assertions"][0]["data"]["actions"].append(
        {"action": "c2pa.edited", "parameters": {"description": t, "name": t, "x": t}}
    ),
    "soft binding": _assertion("c2pa.soft-binding", lambda t: {"alg": t, "blocks": [{"scope": {}, "value": t}]}),
    "metadata": _assertion(
        "c2pa.metadata", lambda t: {"@context": {"dc": "http://purl.org/dc/elements/1.1/"}, "dc:title": t}
    ),
    "author": _assertion(
        "stds.schema-org.CreativeWork",
        lambda t: {"@context": "https://schema.org", "@type": "CreativeWork", "author": [{"name": t}]},
    ),
    "training": _assertion("cawg.training-mining", lambda t: {"entries": {"cawg.ai_inference": {"use": t}}}),
    "own assertion": _assertion("org.example.note", lambda t: {t[:60]: [t]}),
    "own label": _custom,
}  # fmt: skip


EVERY = (*FIELDS, "ingredient's title", "signer's organisation", "signer's name")


def signed(desk: Desk, text: str, fields: Sequence[str] = EVERY) -> Iterator[tuple[str, Path | str]]:
    """Yield each field with a file in which it says ``text``, or with the engine's words where that refuses it."""
    for name in fields:
        manifest = definition(created("digitalCapture"))
        options: dict[str, Any] = {}
        if name in FIELDS:
            FIELDS[name](manifest, text)
        elif name == "ingredient's title":
            coffee = encode(photo("coffee", SMALL))
            options["parts"] = [Part(coffee, "image/jpeg", title=text, relationship="componentOf")]
        else:
            short = text.encode()[:60].decode("utf-8", "ignore")  # X.509 names are of 64 characters at most
            names = (short, "x") if name == "signer's organisation" else ("x", short)
            options["by"] = person(names[0], desk.studio.now, issuer=desk.studio.agencies, name=names[1])
        yield name, _made(desk, manifest, **options)


def _made(desk: Desk, manifest: dict[str, Any], **options: Any) -> Path | str:
    by = options.pop("by", desk.studio.agency)
    try:
        return desk.file(bare_sign(encode(photo("astronaut", SMALL)), "image/jpeg", by, manifest, **options))
    except Exception as error:  # the engine refuses to sign it, so no file says it
        return f"{type(error).__name__}: {error}"


def told(
    terminal: Terminal, path: Path, text: str, commands: tuple[tuple[str, ...], ...] = COMMANDS
) -> list[str]:
    """Run the commands on a file and return what is wrong; ``terminal`` asserts that it prints nothing unsafe."""
    found = []
    breaks = [part[:40] for part in text.splitlines()[1:] if len(part) > 4]
    for command in commands:
        checks = CHECKS if "verify" in command else ()
        answer = terminal(*command, path, *checks, expect=None, COLUMNS="4000")
        said = f"{' '.join(command)}: "
        if answer.code not in (0, 1, 3, 4):
            found.append(f"{said}exit code {answer.code}")
        if "--json" in command:
            found += [] if answer.out.isascii() else [f"{said}JSON that is not ASCII"]
            found += (
                []
                if len([json.loads(line) for line in answer.out.splitlines()]) == 1
                else [f"{said}not one line"]
            )
            continue
        starts = [line.strip(" │|•·-") for line in answer.out.splitlines()]
        found += [f"{said}a line begins with {b!r}" for b in breaks if any(s.startswith(b) for s in starts)]
    return found
