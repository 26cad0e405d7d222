"""Count false alarms of our own mark, and hold its statistic against fair coins.

    python bench/alarms.py --photos DIR… --negatives DIR… --state FILE [--minutes M] [--json FILE]

Three parts take turns until their goals or the time are reached. All pictures are cut at random (64 to 1,500 pixels
a side), resized, turned, mirrored, compressed; a fifth of them are drawn here: gratings, checks, tilings with the
pattern's own periods, text, charts, flat ground.

- decodings: what a listener hears under an unmarked picture, laid out in random poses and decoded under random keys,
  with no gate before it. The likeliest of all words is kept whatever its check bits say, and the agreement of FIXED
  code words, which fair coins make standard normal.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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
from assay.watermark.hallmark.voice import TRIES, Voice
from assay.watermark.payload import PUBLIC_KEY, RATE_SIXTH, Bits, Payload, Soft
from assay.watermark.trial.changes import Rng, at_most, encoded, jpeg, rotated, to_size
from assay.watermark.trial.figures import Rate, upper_bound
from assay.watermark.trial.methods import Method, open_method, present
from assay.watermark.trial.photographs import find, load
from assay.watermark.trial.table import Table

GOALS = {"decodings": 100_000, "readings": 2_000, "failures": 2_000}
"""How many of each part are made."""
CROPS, POSES, KEYS = 8, 2, 32
"""One piece of decodings: each crop in each pose under each key."""
SHARES = (0.1, 0.15, 0.3, 0.4, 0.05)
"""How often each of the reader's sizes is drawn: small canvases cost less, and their coins are fewer."""
FIXED = 100
"""Code words that the soft bits of each decoding are held against."""
SIGMAS = (2, 3, 4, 5)
"""Standard deviations beyond which fixed words are counted."""
BIN = 0.25
"""Width of the bins of the likeliest word's agreement."""
LEAST, MOST = 64, 1500
"""Sides of crops in pixels."""
DRAWN = 0.2
"""Share of pictures that are drawn here."""
FOREIGN = ("another key", "dwtdctsvd", "imwatermark-dwtDct", "imwatermark-dwtDctSvd", "imwatermark-rivaGan")
"""What unmarked pictures of every other reading carry."""
FOREIGN_PIXELS = 400_000
"""Most pixels of a picture marked by another method."""
ATTACKS = 8
"""Attacks on one marked picture."""
_BATCH = 8  # words decoded at a time: their metrics stay in the processor's cache
_LISTS = Path(__file__).parent / "photos"


class Likeliest(Payload):
    """The code without check bits: every decoding answers, with the likeliest of all words.

    The trellis is Payload's with its branches in order of memory and half of them spared, since all generators
    have both end bits; ``agrees`` says on given words that both decode alike.
    """

    def check(self, identifier: bytes) -> bytes:
        """Return no bytes."""
        return b""

    def agrees(self, soft: Soft) -> bool:
        """Return whether Payload's own decoder finds the same words."""
        return bool((self._viterbi(soft) == Payload._viterbi(self, soft)).all())

    @cached_property
    def _branches(self) -> Soft:
        assert all(g & 1 and g.bit_length() == max(self.generators).bit_length() for g in self.generators)
        registers = np.arange(0, 1 << (max(self.generators).bit_length() - 1), 2, dtype=np.uint16)
        rows = [np.bitwise_count(registers & np.uint16(g)) & 1 for g in self.generators]
        return np.stack([1.0 - 2.0 * row for row in rows]).astype(np.float32)

    def _viterbi(self, soft: Soft) -> Bits:
        parts = [soft[top : top + _BATCH] for top in range(0, len(soft), _BATCH)]
        return np.concatenate([self._part(part) for part in parts])

    def _part(self, soft: Soft) -> Bits:
        batch, steps, memory = len(soft), self.id_bits, max(self.generators).bit_length() - 1
        half, wrap = 1 << (memory - 1), 6 * memory
        branches = (soft.reshape(batch * steps, -1) @ self._branches).reshape(batch, steps, half)
        order = np.arange(-wrap, steps + wrap) % steps
        metric = np.zeros((batch, 2 * half), np.float32)
        choices = _choices(len(order), batch, 2 * half)
        even, odd, low, high = (np.empty((batch, half), np.float32) for _ in range(4))
        for row, step in enumerate(order):
            branch = branches[:, step]
            np.copyto(even, metric[:, 0::2])
            np.copyto(odd, metric[:, 1::2])
            for side, sign in ((slice(half), 1), (slice(half, None), -1)):
                (np.add if sign > 0 else np.subtract)(even, branch, out=low)
                (np.subtract if sign > 0 else np.add)(odd, branch, out=high)
                np.greater(high, low, out=choices[row, :batch, side])
                np.maximum(high, low, out=metric[:, side])
        state, rows = metric.argmax(axis=1), np.arange(batch)
        decided = np.empty((len(order), batch), np.uint8)
        for row in range(len(order) - 1, -1, -1):
            decided[row] = state >> (memory - 1)
            state = ((state << 1) & (2 * half - 1)) | choices[row, rows, state]
        return decided[wrap : wrap + steps].T


@cache
def _choices(steps: int, batch: int, states: int) -> NDArray[np.bool_]:
    return np.empty((steps, batch, states), np.bool_)


@cache
def likeliest(length: int) -> Likeliest:
    """Return the code, without its check, of so many information bits; no key is in it."""
    return Likeliest(length, 0, RATE_SIXTH)


@cache
def _rows(length: int) -> Soft:
    """Return the code words of single information bits, (length, coded bits): the code is linear."""
    units = np.packbits(np.eye(length, dtype=np.uint8), axis=1)
    return np.stack([likeliest(length).encode(unit.tobytes().hex()) for unit in units]).astype(np.float32)


def words_of(voice: Voice, count: int, rng: Rng) -> Soft:
    """Return antipodal code words of random identifiers, (count, coded bits)."""
    ids = [rng.bytes(voice.id_bits // 8) for _ in range(count)]
    bits = np.unpackbits(np.frombuffer(b"".join(i + voice.payload.check(i) for i in ids), np.uint8))
    information = bits.reshape(count, -1).astype(np.float32)
    return 1 - 2 * (information @ _rows(information.shape[1]) % 2)


@dataclass
class Tally:
    """Counts and extremes by name; what is added under one name only ever grows."""

    done: int = 0
    pieces: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    most: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float = 1) -> None:
        """Add to a count."""
        self.counts[name] += value  # type: ignore[assignment]

    def reach(self, name: str, value: float) -> None:
        """Raise an extreme."""
        self.most[name] = max(value, self.most.get(name, -math.inf))


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
    for word, one in zip(code.decode(np.stack([s.soft for s in said])), said, strict=True):
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
    for told in ("", f", {kind}"):
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


# ------------------------------------------------------------------------------------------- pictures


def grating(rng: Rng, side: int) -> Samples:
    """Return a sum of up to three waves, some with a whole number of periods a tile."""
    down, across = np.mgrid[:side, :side]
    plane = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        exact = rng.random() < 0.5
        u, v = rng.integers(-8, 9, 2) / 32 if exact else rng.uniform(-0.3, 0.3, 2)
        wave = np.cos(2 * np.pi * (u * down + v * across + rng.random()))
        plane += np.sign(wave) if rng.random() < 0.3 else wave
    return _grey(128 + plane * rng.uniform(5, 60))


def tiling(rng: Rng, side: int) -> Samples:
    """Return one small picture repeated, often at the pattern's own periods."""
    period = int(rng.choice([4, 8, 16, 24, 32, 64, 128, 256, int(rng.integers(5, 200))]))
    if rng.random() < 0.3:
        cell = np.indices((period, period)).sum(0) * 2 // period % 2 * 200.0 + 20
    else:
        cell = rng.normal(128, rng.uniform(5, 70), (period, period))
    count = -(-side // period)
    return _grey(np.tile(cell, (count, count))[:side, :side])


def page(rng: Rng, side: int) -> Samples:
    """Return lines of made-up words."""
    image = Image.new("RGB", (side, side), "white" if rng.random() < 0.7 else "black")
    draw = ImageDraw.Draw(image)
    size = int(rng.integers(9, 30))
    font, ink = ImageFont.load_default(size), tuple(int(n) for n in rng.integers(0, 256, 3))
    for top in range(0, side, int(size * 1.3)):
        letters = rng.choice(list("etaoin shrdlu "), int(side / size * 2))
        draw.text((8, top), "".join(letters), ink, font)
    return np.asarray(image)


def chart(rng: Rng, side: int) -> Samples:
    """Return bars, lines and a grid."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    step = int(rng.choice([16, 32, int(rng.integers(10, 100))]))
    for place in range(0, side, step):
        draw.line((place, 0, place, side), "silver")
        draw.line((0, place, side, place), "silver")
        colour = tuple(int(n) for n in rng.integers(0, 256, 3))
        draw.rectangle((place, int(rng.integers(0, side)), place + step // 2, side), colour)
    draw.line([(n, int(rng.integers(0, side))) for n in range(0, side, step)], "black", 3)
    return np.asarray(image)


def ground(rng: Rng, side: int) -> Samples:
    """Return a flat or sloping ground, with noise or without."""
    plane = np.full((side, side), rng.uniform(0, 255))
    plane += np.linspace(0, rng.uniform(-100, 100), side)[:, None] * (rng.random() < 0.6)
    plane += rng.normal(0, rng.uniform(0, 20), (side, side)) * (rng.random() < 0.6)
    return _grey(plane)


def _grey(plane: NDArray[np.float64]) -> Samples:
    return np.repeat(np.clip(np.round(plane), 0, 255).astype(np.uint8)[..., None], 3, 2)


DRAWINGS: tuple[Callable[[Rng, int], Samples], ...] = (grating, tiling, page, chart, ground)


@dataclass(frozen=True)
class Pictures:
    """Unmarked pictures of two sorts of folders, and drawn ones."""

    photos: Sequence[Path]
    negatives: Sequence[Path]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What the pictures of the lists show, by the digest in their file names."""
        entries = json.loads((_LISTS / "negatives.json").read_text())["photographs"]
        return {entry["sha256"][:12]: entry["kind"] for entry in entries}

    def draw(self, rng: Rng) -> tuple[str, Samples]:
        """Return a picture cut and changed at random, and its kind."""
        if rng.random() < DRAWN:
            kind = DRAWINGS[rng.integers(len(DRAWINGS))]
            side = SIDE if rng.random() < 0.5 else int(rng.integers(LEAST, MOST))
            picture = kind(rng, side)
            # At the canonical size, and not resampled, the periods stay those of the tiles.
            return f"drawn: {kind.__name__}", picture if side == SIDE else passed(picture, rng)
        files = self.negatives if rng.random() < 0.6 or not self.photos else self.photos
        while True:
            path = files[int(rng.integers(len(files)))]
            try:
                picture = load(path)
            except AssayError:  # not for us to judge: another is drawn
                continue
            if min(picture.shape[:2]) >= LEAST:
                break
        kind_of = self.kinds.get(path.stem.rpartition("__")[2], "photograph")
        return kind_of, passed(cut(picture, rng), rng)


def cut(picture: Samples, rng: Rng) -> Samples:
    """Return a random crop, of a random size, of a picture at a random size."""
    if rng.random() < 0.5:
        picture = at_most(picture, int(math.exp(rng.uniform(math.log(1e5), math.log(4e6)))))
    height, width = picture.shape[:2]
    if min(height, width) < LEAST:
        return to_size(picture, max(LEAST, width), max(LEAST, height))
    tall, wide = (
        min(side, int(math.exp(rng.uniform(math.log(LEAST), math.log(MOST))))) for side in (height, width)
    )
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return np.ascontiguousarray(picture[top : top + tall, left : left + wide])


def passed(picture: Samples, rng: Rng) -> Samples:
    """Return a picture after what happens on the way: another size, a turn, a codec, or none of these."""
    if rng.random() < 0.4:
        factor = math.exp(rng.uniform(math.log(0.5), math.log(1.6)))
        stretch = math.exp(rng.uniform(-0.1, 0.1)) if rng.random() < 0.3 else 1.0
        height, width = picture.shape[:2]
        picture = to_size(
            picture, max(LEAST, width * factor * stretch), max(LEAST, height * factor / stretch)
        )
    picture = np.rot90(picture, int(rng.integers(4)))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.2:
        picture = rotated(float(rng.uniform(-15, 15)))(np.ascontiguousarray(picture), rng)
    if rng.random() < 0.6:
        form = "WEBP" if rng.random() < 0.3 else "JPEG"
        picture = encoded(form, int(rng.integers(20, 96)))(np.ascontiguousarray(picture), rng)
    return np.ascontiguousarray(picture)


# ---------------------------------------------------------------------------------------------- parts


def decodings(pictures: Pictures, bits: int, rng: Rng, tally: Tally) -> int:
    """Decode CROPS in POSES under KEYS; return how many decodings."""
    voices = [Voice(rng.bytes(32), bits) for _ in range(KEYS)]
    words = [words_of(voice, FIXED, rng) for voice in voices]
    for number in range(CROPS):
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
        said = [[Said(v, Heard.of(v.pattern, *turned, start)) for turned, start in places] for v in voices]
        forced([one for ones in said for one in ones], tally, kind)
        for ones, antipodal in zip(said, words, strict=True):
            fixed(ones, antipodal, tally, kind)
        if number == 0:
            alike = likeliest(bits + voices[0].payload.check_bits).agrees(np.stack([s.soft for s in said[0]]))
            tally.add("decoded alike", alike * len(said[0]))
            tally.add("decoded twice", len(said[0]))
    tally.add("keys", KEYS)
    return CROPS * POSES * KEYS


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
    if reading.p_value is not None:
        tally.reach("least p", -math.log10(max(reading.p_value, 1e-300)))
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


PARTS = {"decodings": decodings, "readings": readings, "failures": failures}


# --------------------------------------------------------------------------------------------- report


def tables(tallies: dict[str, Tally], bits: int) -> list[Table]:
    """Return what was counted."""
    found = [_alarms(tallies, bits), _calibration(tallies["decodings"]), _likeliest(tallies, bits)]
    return [*found, _kinds(tallies), _costs(tallies)]


def _alarms(tallies: dict[str, Tally], bits: int) -> Table:
    free, read, failed = (tallies[part] for part in PARTS)
    foreign = sum(int(n) for name, n in read.counts.items() if name.startswith("readings, marked"))
    rows = []
    for told, hits, of in (
        ("readings, found", read.counts["found"], read.done),
        ("– of these on pictures with another mark", None, foreign),
        ("hypotheses of readings, decoded: valid", read.counts["valid"], _decoded(read)),
        ("decodings without gates: valid", free.counts["valid"], free.done),
        (
            "decodings, any word, p < 1e-9",
            free.counts["under the alarm"] + read.counts["under the alarm"],
            free.done + _decoded(read),
        ),
        (
            "marked, failing decodings: wrong but valid",
            failed.counts["aligned, wrong but valid"],
            failed.done,
        ),
        (
            "marked, attacked, read: wrong identifier",
            failed.counts["readings, wrong"],
            int(failed.counts["readings"]),
        ),
    ):
        bound = f"{upper_bound(Rate(int(hits), of)):.2g}" if hits is not None and of else "–"
        rows.append((told, f"{of:,}", "–" if hits is None else str(int(hits)), bound))
    least = read.most.get("least p", 0.0)
    note = (
        f"Least p-value of any reading: 1e-{least:.1f}. Most hypotheses of one key: {_most(read)} of TRIES = {TRIES}. "
        f"A word that is not valid passes p < 1e-9 by chance in at most one decoding of {2**32 * 1e-9 / TRIES:.2g}: "
        "its bound counts 2^64 words, not 2^96."
    )
    return Table(f"False alarms, {bits} bits", ("counted", "of", "hits", "95 % bound"), tuple(rows), (note,))


def _decoded(tally: Tally) -> int:
    return sum(int(n) for name, n in tally.counts.items() if name.startswith("decodings, "))


def _most(tally: Tally) -> int:
    return int(tally.most.get("hypotheses of one reading", 0))


def _calibration(tally: Tally) -> Table:
    pairs = tally.counts["fixed"]
    rows = []
    for sigma in SIGMAS:
        expected = pairs * math.erfc(sigma / math.sqrt(2)) / 2
        above, below = tally.counts[f"above {sigma}"], tally.counts[f"below -{sigma}"]
        rows.append((f"{sigma}", f"{expected:,.1f}", f"{above:,}", f"{below:,}"))
    square = tally.counts["fixed squared"] / max(1, pairs)
    note = f"{pairs:,} pairs; mean square {square:.4f}; largest magnitude {tally.most.get('fixed', 0):.2f}."
    header = ("standard deviations", "expected of a normal", "above", "below the negative")
    return Table("Agreement of fixed code words", header, tuple(rows), (note,))


def _likeliest(tallies: dict[str, Tally], bits: int) -> Table:
    free, read = tallies["decodings"], tallies["readings"]
    words = (bits + 32) * math.log(2)
    edges = sorted({float(n.split()[1]) for t in (free, read) for n in t.counts if _is_bin(n)})
    rows = []
    for edge in edges:
        shares = []
        for tally in (free, read):
            beyond = sum(n for name, n in tally.counts.items() if _is_bin(name) and float(name[10:]) >= edge)
            shares.append(f"{beyond / max(1, _decoded(tally)):.3g}")
        bound = math.exp(min(0.0, words - edge**2 / 2))
        rows.append((f"{edge:.2f}", *shares, f"{bound:.3g}"))
    tops = ", ".join(f"{t.most.get('agreement', 0):.2f}" for t in (free, read))
    header = ("agreement at least", "share of decodings", "of hypotheses of readings", "union bound")
    return Table(f"Agreement of the likeliest word; largest {tops}", header, tuple(rows))


def _is_bin(name: str) -> bool:
    return name.startswith("agreement ")


def _kinds(tallies: dict[str, Tally]) -> Table:
    free, read = tallies["decodings"], tallies["readings"]
    kinds = {n.partition(", ")[2] for t in (free, read) for n in t.counts if n.startswith(PARTS_OF_KINDS)}
    rows = []
    for kind in sorted(kinds):
        pairs = free.counts[f"fixed, {kind}"]
        most = max(t.most.get(f"agreement, {kind}", 0.0) for t in (free, read))
        rows.append(
            (
                kind,
                f"{int(read.counts[f'readings, {kind}']):,}",
                f"{int(free.counts[f'decodings, {kind}'] + read.counts[f'decodings, {kind}']):,}",
                f"{most:.2f}" if most else "–",
                f"{free.counts[f'fixed squared, {kind}'] / pairs:.3f}" if pairs else "–",
                f"{int(free.counts[f'loud, {kind}'] + read.counts[f'loud, {kind}'])}",
            )
        )
    header = ("kind", "readings", "decodings", "largest agreement", "mean square of fixed words", "past LOUD")
    return Table("By kind of picture", header, tuple(rows))


PARTS_OF_KINDS = ("decodings, ", "readings, ")


def _costs(tallies: dict[str, Tally]) -> Table:
    free, read = tallies["decodings"], tallies["readings"]
    timed = max(1, read.counts["timed"])
    mean = free.counts["loudness"] / max(1, free.done)
    spread = math.sqrt(max(0.0, free.counts["loudness squared"] / max(1, free.done) - mean**2))
    rows = (
        ("crops, keys of the decodings", f"{int(free.counts['crops']):,}, {int(free.counts['keys']):,}"),
        ("crops in which nothing at all is heard", f"{int(free.counts['coinless']):,}"),
        (
            "words decoded alike by the reader's decoder",
            f"{free.counts['decoded alike']:,} of {free.counts['decoded twice']:,}",
        ),
        (
            "loudness: mean, standard deviation, most",
            f"{mean:.3f}, {spread:.3f}, {free.most.get('loudness', 0):.2f}",
        ),
        ("decodings past LOUD", f"{free.counts['loud']:,} ({free.counts['loud'] / max(1, free.done):.2%})"),
        ("hypotheses past CLEAR, a reading", f"{read.counts['before the gate'] / max(1, read.done):.2f}"),
        ("– of these past LOUD", f"{read.counts['loud']:,} of {int(read.counts['before the gate']):,}"),
        ("highest score of a search", f"{read.most.get('score', 0):.2f}"),
        ("a reading with one key, seconds", f"{read.counts['seconds'] / timed:.2f}"),
        (
            "– of the processor, mean and most",
            f"{read.counts['processor seconds'] / timed:.2f}, "
            f"{read.most.get('processor seconds', 0):.2f} ({int(timed)} timed)",
        ),
    )
    return Table("Gates and costs", ("", ""), rows)


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
