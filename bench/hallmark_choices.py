"""Measure the choices behind the hallmark, one at a time, on the same photographs at the same distortion.

python bench/hallmark_choices.py --photos DIR… [--limit N] [--psnr DB] [--json FILE]

Each row changes one thing: the listener, the polarity, the tones' share, the mask. Columns are the statistic T
(a reader needs about 14) after some attacks, its pose known, and the tones' score after a deep crop (6 is
needed) with the share of photographs in which they were found. Then the code: how often 96 bits survive at a T.
These photographs may be training ones: the figures compare variants and promise nothing.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from assay.watermark.hallmark import hearing, mask, write
from assay.watermark.hallmark.canvas import SIDE, canonical_shape, luma
from assay.watermark.hallmark.listener import by_network, by_rule
from assay.watermark.hallmark.pattern import TILE
from assay.watermark.hallmark.read import CLEAR
from assay.watermark.hallmark.spectrum import Spectrum
from assay.watermark.hallmark.voice import Voice
from assay.watermark.payload import RATE_QUARTER, RATE_SIXTH, Payload
from assay.watermark.trial.attacks import ATTACKS

PIXELS = 400_000
TESTS = ("none", "jpeg50", "jpeg15", "webp50", "resize0.5", "median5")
DEEP = "crop10"
Plane = np.ndarray


def trusting(light: Plane, cover: Plane, directions: Plane, first: tuple[int, int]) -> Plane:
    """Stand in for the polarity: every tile is as written."""
    return np.ones(tuple(-(-n // TILE) for n in light.shape), np.float32)


def even(plane: Plane) -> Plane:
    """Stand in for the mask: the same amplitude everywhere."""
    return np.ones_like(plane)


@contextmanager
def without_polarity() -> Iterator[None]:
    with mock.patch.object(hearing, "polarity", trusting), mock.patch.object(write, "polarity", trusting):
        yield


@contextmanager
def tones(share: float) -> Iterator[None]:
    with mock.patch.object(write, "TONE_SHARE", share):
        yield


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


VARIANTS: dict[str, tuple[Callable[[], object], Callable[[Plane], Plane], Callable[[Plane], Plane]]] = {
    "as shipped": (as_it_is, by_network, mask.amplitude),
    "the rule listens": (as_it_is, by_rule, mask.amplitude),
    "no polarity": (without_polarity, by_network, mask.amplitude),
    "tones 0.1 of the power": (lambda: tones(0.1), by_network, mask.amplitude),
    "tones 0.2 of the power": (lambda: tones(0.2), by_network, mask.amplitude),
    "no mask": (as_it_is, by_network, even),
}


def pictures(folders: list[Path], limit: int) -> Iterator[np.ndarray]:
    paths = [
        p
        for f in folders
        for p in sorted(f.iterdir())
        if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    ]
    for path in paths[:: max(1, len(paths) // limit)][:limit]:
        with Image.open(path) as image:
            scale = math.sqrt(PIXELS / (image.width * image.height))
            size = (round(image.width * scale), round(image.height * scale))
            yield np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))


def psnr(before: np.ndarray, after: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((before.astype(float) - after) ** 2).mean()))


def ssim(before: np.ndarray, after: np.ndarray) -> float:
    one, two = (p.astype(np.float64) @ (0.299, 0.587, 0.114) for p in (before, after))
    return float(
        structural_similarity(
            one, two, data_range=255.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def tried(
    voice: Voice,
    picture: np.ndarray,
    seed: int,
    listen: Callable[[Plane], Plane],
    masking: Callable[[Plane], Plane],
    wanted: float,
) -> dict[str, float]:
    """Mark one picture at a given PSNR and return what is heard after each attack."""
    rng = np.random.default_rng(seed)
    hidden = rng.bytes(8).hex()
    code, placement = voice.payload.encode(hidden), voice.placement(hidden)
    shape = canonical_shape(*picture.shape[:2], SIDE)
    plane = luma(picture, shape)
    change = masking(plane) * write.drawn(voice.pattern, code, plane, placement)
    strength = 0.4
    for _ in range(5):
        marked = write.added(picture, np.float32(strength) * change)
        strength *= 10 ** ((psnr(picture, marked) - wanted) / 20)
    row = {"ssim": ssim(picture, marked)}
    for name in TESTS:
        heard = luma(ATTACKS[name].change(marked, np.random.default_rng(seed)), shape)
        row[name] = voice.heard(listen(heard), heard, placement).agreement(code)
    cut = ATTACKS[DEEP].change(marked, np.random.default_rng(seed))
    rendered = luma(cut, canonical_shape(*cut.shape[:2], SIDE * 0.35))
    row["tones"] = voice.finder.search(Spectrum.of(listen(rendered)))[0].score
    return row


def codes(words: int) -> dict[str, dict[str, float]]:
    """Return how often each code gives 64 + 32 bits back at a statistic T, over Gaussian noise."""
    table: dict[str, dict[str, float]] = {}
    for name, generators in {"rate 1/4, memory 8": RATE_QUARTER, "rate 1/6, memory 14": RATE_SIXTH}.items():
        payload = Payload(64, 32, generators)
        rng = np.random.default_rng(1)
        row = {}
        for statistic in (12.5, 13.5, 14.5, 15.5, 16.5):
            ids = [rng.bytes(8).hex() for _ in range(words)]
            sent = np.stack([1 - 2.0 * payload.encode(one) for one in ids])
            got = sent * statistic / math.sqrt(payload.coded_bits) + rng.standard_normal(sent.shape)
            read = [
                w
                for part in range(0, words, 4)
                for w in payload.decode(got[part : part + 4].astype(np.float32))
            ]
            row[str(statistic)] = (
                sum(w is not None and w.id == one for w, one in zip(read, ids, strict=True)) / words
            )
        table[name] = row
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--psnr", type=float, default=45.0)
    parser.add_argument("--words", type=int, default=200, help="code words for each cell of the code's table")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    voice = Voice(b"a secret of this benchmark")
    photographs = list(pictures(options.photos, options.limit))
    document: dict[str, object] = {"photographs": len(photographs), "psnr": options.psnr}
    print(f"{len(photographs)} photographs at 0.4 megapixels, {options.psnr} dB\n")
    print("| | SSIM | " + " | ".join(f"T {t}" for t in TESTS) + f" | tones after {DEEP} | found |")
    print("|---|" + "---|" * (len(TESTS) + 3))
    for name, (setting, listen, masking) in VARIANTS.items():
        with setting():
            rows = [tried(voice, p, n, listen, masking, options.psnr) for n, p in enumerate(photographs)]
        means = {key: float(np.mean([r[key] for r in rows])) for key in rows[0]}
        found = float(np.mean([r["tones"] >= CLEAR for r in rows]))
        document[name] = means | {"found": found}
        cells = " | ".join(f"{means[t]:.1f}" for t in TESTS)
        print(f"| {name} | {means['ssim']:.4f} | {cells} | {means['tones']:.1f} | {found:.0%} |", flush=True)
    document["codes"] = codes(options.words)
    for name, row in document["codes"].items():
        print(f"| {name} | " + " | ".join(f"T {k}: {v:.1%}" for k, v in row.items()) + " |")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
