"""Count false alarms of our own mark, and hold its statistic against fair coins.

    python bench/alarms.py --photos DIR… --negatives DIR… --state FILE [--minutes M] [--json FILE]

Four parts take turns until their goals or the time are reached. All pictures are cut at random (64 to 1,500 pixels
a side), resized, turned, mirrored, compressed; a fifth of them are drawn here: gratings, checks, tilings with the
pattern's own periods, text, charts, flat ground.

- decodings: what a listener hears under an unmarked picture, laid out in random poses and decoded under random keys,
  with no gate before it. The likeliest of all words is kept whatever its check bits say.
- coins: the same, held against code words that were chosen before: fair coins make their agreement standard normal.
- readings: the whole reader under the public key and other keys, on unmarked pictures and on pictures that carry
  another key's mark or another method's. Decodings that a gate stopped are made up for.
- failures: pictures marked with the reader's key and attacked until they hardly read; is a wrong identifier ever
  valid?

The state is kept after every piece of work, and the next call goes on from there. ``--report`` prints what there is.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from alarms_code import likeliest, words_of
from alarms_tables import SIGMAS, Tally, tables
from unmarked import Pictures

from assay.provenance.errors import AssayError
from assay.provenance.media import Media, Samples
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.hallmark.canvas import SIDE, canonical_shape, luma, side_of
from assay.watermark.hallmark.hearing import Heard, laid_out
from assay.watermark.hallmark.listener import SHA256, by_network, by_rule
from assay.watermark.hallmark.pattern import Placement
from assay.watermark.hallmark.read import ALARM, LOUD, SIZES, Attempt, Reader, Rendering
from assay.watermark.hallmark.scheme import LEAST_SIDE, Hallmark
from assay.watermark.hallmark.sync import REACH, Pose
from assay.watermark.hallmark.voice import Voice
from assay.watermark.payload import PUBLIC_KEY, Soft
from assay.watermark.trial.changes import Rng, at_most, jpeg, to_size
from assay.watermark.trial.methods import Method, open_method, present
from assay.watermark.trial.photographs import find

GOALS = {"decodings": 100_000, "coins": 20_000_000, "readings": 2_000, "failures": 2_000}
"""How many of each part are made."""
CROPS, POSES, KEYS = 8, 2, 32
"""One piece of decodings, or of coins: each crop in each pose under each key."""
SHARES = (0.15, 0.35, 0.5)
"""How often each of the reader's sizes is drawn: small canvases cost less, and their coins are fewer."""
BATCH = 8
"""Words decoded at a time: the states of each that led on are half a megabyte."""
FIXED = 10_000
"""Code words of each key that soft bits are held against."""
BIN = 0.25
"""Width of the bins of the likeliest word's agreement."""
FOREIGN = ("another key", "dwtdctsvd", "imwatermark-dwtDct", "imwatermark-dwtDctSvd", "imwatermark-rivaGan")
"""What unmarked pictures of every other reading carry."""
FOREIGN_PIXELS = 400_000
"""Most pixels of a picture marked by another method."""
ATTACKS = 8
"""Attacks on one marked picture."""


@dataclass
class Said:
    """What one hypothesis says under one key: soft bits, their spread, how loud they are."""

    voice: Voice
    heard: Heard

    def __post_init__(self) -> None:
        self.soft, self.spread = self.heard.soft()
        self.loudness = self.heard.loudness()


def forced(said: Sequence[Said], tally: Tally, kind: str) -> None:
    """Decode what was said with no gate before it, and count it under ``kind``."""
    code = likeliest(said[0].voice.payload.id_bits + said[0].voice.payload.check_bits)
    softs = np.stack([one.soft for one in said])
    words = [word for top in range(0, len(softs), BATCH) for word in code.decode(softs[top : top + BATCH])]
    for word, one in zip(words, said, strict=True):
        assert word is not None
        strength = float(np.linalg.norm(one.soft)) * math.sqrt(one.soft.size)
        agreement = word.correlation * strength / (one.spread + 1e-12)
        digits = one.voice.id_bits // 4
        check = one.voice.payload.check(bytes.fromhex(word.id[:digits])).hex()
        tally.add(f"decodings, {kind}")
        tally.add(f"agreement {math.floor(agreement / BIN) * BIN:.2f}")
        tally.reach("agreement", agreement)
        tally.reach(f"agreement, {kind}", agreement)
        tally.add("under the alarm", one.voice.p_value(agreement) < ALARM)
        tally.add("valid", check == word.id[digits:])
        tally.add("loud", one.loudness >= LOUD)
        tally.add(f"loud, {kind}", one.loudness >= LOUD)
        tally.add("loudness", one.loudness)
        tally.add("loudness squared", one.loudness**2)
        tally.reach("loudness", one.loudness)


def fixed(said: Sequence[Said], words: Soft, tally: Tally, kind: str) -> None:
    """Hold soft bits against code words that were chosen before, antipodal (words, length)."""
    # A plane in which nothing is heard has no coins to throw.
    heard = [one.soft / one.spread for one in said if one.spread > 0]
    if not heard:
        return
    scores = np.stack(heard).astype(np.float32) @ words.T
    square = float((scores.astype(np.float64) ** 2).sum())
    public = (", under the public key",) if said[0].voice.secret == PUBLIC_KEY else ()
    for told in ("", f", {kind}", *public):
        tally.add(f"fixed{told}", scores.size)
        tally.add(f"fixed squared{told}", square)
    tally.reach("fixed", float(np.abs(scores).max()))
    for sigma in SIGMAS:
        tally.add(f"above {sigma}", int((scores >= sigma).sum()))
        tally.add(f"below -{sigma}", int((scores <= -sigma).sum()))


class Watched(Reader):
    """The reader itself; ``seen`` collects the hypotheses that its search put before the gate of loudness."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        super().__init__(voices)
        object.__setattr__(self, "seen", [])

    def _attempts(self, pixels: Samples) -> Iterator[Attempt]:
        for attempt in super()._attempts(pixels):
            self.seen.append(attempt)  # type: ignore[attr-defined]
            yield attempt


# ---------------------------------------------------------------------------------------------- parts


def decodings(pictures: Pictures, bits: int, rng: Rng, tally: Tally) -> int:
    """Decode CROPS in POSES under KEYS; return how many decodings."""
    voices = _voices(bits, rng)
    for kind, said in _said(pictures, voices, rng, tally):
        forced([one for ones in said for one in ones], tally, kind)
    return CROPS * POSES * KEYS


def coins(pictures: Pictures, bits: int, rng: Rng, tally: Tally) -> int:
    """Hold CROPS in POSES under KEYS against words that are fixed for each key; return how many pairs."""
    voices = _voices(bits, rng)
    words = [words_of(voice, FIXED, rng).astype(np.int8) for voice in voices]
    for kind, said in _said(pictures, voices, rng, tally):
        for ones, antipodal in zip(said, words, strict=True):
            fixed(ones, antipodal.astype(np.float32), tally, kind)
    return CROPS * POSES * KEYS * FIXED


def _voices(bits: int, rng: Rng) -> list[Voice]:
    """Return the public key's voice and those of random keys."""
    return [_voice(PUBLIC_KEY, bits), *(Voice(rng.bytes(32), bits) for _ in range(KEYS - 1))]


def _said(
    pictures: Pictures, voices: Sequence[Voice], rng: Rng, tally: Tally
) -> Iterator[tuple[str, list[list[Said]]]]:
    """Yield the kinds of random crops, and what each says to each voice in each of random poses."""
    tally.add("keys", len(voices) - 1)
    for _ in range(CROPS):
        kind, pixels = pictures.draw(rng)
        size = float(rng.choice(SIZES, p=SHARES))
        # The rule listens at the size of embedding alone.
        listen = by_rule if size == 1 and rng.random() < 0.5 else by_network
        rendering = Rendering.of(pixels, size * SIDE, listen, listen.__name__)
        planes = (rendering.heard, rendering.plane, np.ones_like(rendering.plane))
        laid = [laid_out(_pose(rng), planes) for _ in range(POSES)]
        places = [((heard, light, cover), start) for (heard, light, cover), start in laid]
        tally.add("crops")
        tally.add("coinless", float(np.abs(rendering.heard).max()) == 0)
        yield (
            kind,
            [[Said(v, Heard.of(v.pattern, *turned, start)) for turned, start in places] for v in voices],
        )


def _pose(rng: Rng) -> Pose:
    """Return any pose that a search may find."""
    if rng.random() < 0.7:
        matrix = Placement(int(rng.integers(8)), (0, 0)).matrix
    else:
        c, s = math.cos(angle := rng.uniform(0, 2 * np.pi)), math.sin(angle)
        matrix = np.array([[c, -s], [s, c]]) @ np.diag((1.0, rng.choice((-1.0, 1.0))))
        matrix = matrix * math.exp(rng.uniform(-REACH, REACH))
    return Pose(matrix, rng.uniform(-512, 512, 2), 0.0)


def readings(pictures: Pictures, bits: int, rng: Rng, tally: Tally) -> int:
    """Read one picture under the public key, and often under two more; return how many (picture, key) pairs."""
    kind, pixels = pictures.draw(rng)
    if rng.random() < 0.5:
        name = str(rng.choice(FOREIGN))
        pixels, marked = _foreign(name, pixels, bits, rng)
        kind = f"marked: {name}" if marked else kind
    alone = rng.random() < 0.25
    keys = [PUBLIC_KEY] if alone else [PUBLIC_KEY, rng.bytes(32), rng.bytes(32)]
    voices = [_voice(key, bits) if key is PUBLIC_KEY else Voice(key, bits) for key in keys]
    reader = Watched(voices)
    seen: list[Attempt] = reader.seen  # type: ignore[attr-defined]
    start, busy = time.perf_counter(), time.process_time()
    reading = reader.read(pixels)
    start, busy = time.perf_counter() - start, time.process_time() - busy
    if alone:
        tally.add("timed")
        tally.add("seconds", start)
        tally.add("processor seconds", busy)
        tally.reach("processor seconds", busy)
    tally.add("pictures")
    tally.add(f"readings, {kind}", len(keys))
    tally.add("found", reading.found)
    tally.add("found, marked", reading.found and kind.startswith("marked"))
    for voice in voices:
        mine = [a for a in seen if a.voice is voice]
        tally.add("before the gate", len(mine))
        tally.reach("hypotheses of one reading", len(mine))
        if mine:
            tally.reach("score", max(a.pose.score for a in mine))
            forced([Said(voice, a.heard) for a in mine], tally, kind)
    return len(keys)


@cache
def _voice(key: bytes, bits: int) -> Voice:
    return Voice(key, bits)


@cache
def _method(name: str) -> Method | None:
    return open_method(name) if name == "dwtdctsvd" or present([name])[0] else None


def _foreign(name: str, pixels: Samples, bits: int, rng: Rng) -> tuple[Samples, bool]:
    """Return the picture with a mark that is not for the readers, sent on its way; or unmarked where it is refused."""
    pixels = at_most(pixels, FOREIGN_PIXELS)
    try:
        if name == "another key":
            mark = Hallmark((rng.bytes(32),), bits)
            marked = mark.embed(Media.still(pixels), rng.bytes(bits // 8).hex()).frame()
        elif name == "dwtdctsvd":
            marked = DwtDctSvd().embed(Media.still(pixels), rng.bytes(6).hex()).frame()
        else:
            method = _method(name)
            if method is None:
                return pixels, False
            marked = method.embed(pixels, rng.integers(0, 2, method.bits).astype(np.uint8))
    except AssayError:
        return pixels, False
    return (marked if rng.random() < 0.5 else jpeg(int(rng.integers(60, 96)))(marked, rng)), True


def failures(pictures: Pictures, bits: int, rng: Rng, tally: Tally) -> int:
    """Mark a picture, attack it hard, and look for wrong words that are valid; return how many decodings failed."""
    _, pixels = pictures.draw(rng)
    pixels = at_most(pixels, 4 * FOREIGN_PIXELS)
    voice, hidden = Voice(rng.bytes(32), bits), rng.bytes(bits // 8).hex()
    hallmark = Hallmark((voice.secret,), bits)
    try:
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return 0
        marked = hallmark.embed(Media.still(pixels), hidden).frame()
    except AssayError:
        return 0
    height, width = marked.shape[:2]
    failed, placement = 0, voice.placement(hidden)
    for number in range(ATTACKS):
        scale = math.exp(rng.uniform(math.log(0.2), 0))
        attacked = to_size(marked, max(32, width * scale), max(32, height * scale))
        attacked = jpeg(int(rng.integers(4, 41)))(attacked, rng)
        whole = to_size(attacked, width, height)
        listen = by_network if number == 0 else by_rule
        plane = luma(whole, canonical_shape(height, width, side_of(height, width)))
        heard = voice.heard(listen(plane), plane, placement)
        (word,) = voice.payload.decode(heard.soft()[0][None])
        right = word is not None and word.id == hidden
        tally.add("aligned decodings")
        tally.add("aligned, right", right)
        tally.add("aligned, wrong but valid", word is not None and not right)
        failed += not right
        if number == 0:
            reading = hallmark.read(Media.still(attacked))
            tally.add("readings")
            tally.add("readings, right", reading.mark is not None and reading.mark.id == hidden)
            tally.add("readings, wrong", reading.mark is not None and reading.mark.id != hidden)
    return failed


PARTS = {"decodings": decodings, "coins": coins, "readings": readings, "failures": failures}


# ------------------------------------------------------------------------------------------------ run


@dataclass
class State:
    """What has been counted, in a file that is replaced whole."""

    file: Path
    seed: int
    bits: int
    tallies: dict[str, Tally]
    listeners: list[str]

    @classmethod
    def open(cls, file: Path, seed: int, bits: int) -> State:
        """Read the file, or begin; exits where it was begun with other options."""
        if not file.exists():
            return cls(file, seed, bits, {part: Tally() for part in PARTS}, [SHA256])
        kept = json.loads(file.read_text())
        if (kept["seed"], kept["bits"]) != (seed, bits):
            sys.exit(f"{file} was begun with --seed {kept['seed']} --bits {kept['bits']}")
        tallies = {
            part: Tally(t["done"], t["pieces"], Counter(t["counts"]), t["most"])
            for part, t in kept["parts"].items()
        }
        return cls(file, seed, bits, tallies, list(dict.fromkeys([*kept["listeners"], SHA256])))

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        parts = {
            part: {"done": t.done, "pieces": t.pieces, "counts": dict(t.counts), "most": t.most}
            for part, t in self.tallies.items()
        }
        return {"seed": self.seed, "bits": self.bits, "listeners": self.listeners, "parts": parts}

    def keep(self) -> None:
        """Write the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.document(), indent=1, sort_keys=True, default=float) + "\n")
        fresh.replace(self.file)


def run(state: State, pictures: Pictures, goals: dict[str, int], end: float) -> None:
    """Work on the part that is furthest from its goal, until all are reached or the time is up."""
    while time.monotonic() < end:
        behind = {part: state.tallies[part].done / goals[part] for part in PARTS if goals[part]}
        part = min(behind, key=behind.__getitem__)
        if behind[part] >= 1:
            break
        tally = state.tallies[part]
        rng = np.random.default_rng((state.seed, list(PARTS).index(part), tally.pieces))
        tally.done += PARTS[part](pictures, state.bits, rng, tally)
        tally.pieces += 1
        state.keep()
        told = ", ".join(f"{t.done:,} {name}" for name, t in state.tallies.items())
        print(f"\r{told}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--negatives", type=Path, nargs="*", default=[])
    parser.add_argument("--state", type=Path, required=True, help="file in which counts are kept")
    parser.add_argument("--minutes", type=float, default=math.inf, help="most time")
    for part, goal in GOALS.items():
        parser.add_argument(f"--{part}", type=int, default=goal, help=f"most of them ({goal:,}; 0: none)")
    parser.add_argument("--bits", type=int, default=64, help="length of the identifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only print what the state holds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    state = State.open(options.state, options.seed, options.bits)
    if not options.report:
        if not options.negatives:
            parser.error("name folders of unmarked pictures with --negatives")
        try:
            pictures = Pictures(find(options.photos), find(options.negatives))
            goals = {part: getattr(options, part) for part in PARTS}
            run(state, pictures, goals, time.monotonic() + 60 * options.minutes)
        except AssayError as error:
            sys.exit(f"bench/alarms.py: {error}")
    print("\n".join(table.markdown() for table in tables(state.tallies, state.bits)))
    if options.json:
        options.json.write_text(json.dumps(state.document(), indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
