"""Measure the image marks: quality, recovery after attacks, false alarms, known marks, speed.

python bench/watermark.py --photos DIR… [--negatives DIR…] [--json OUT] [--limit N] [--crops N] [--rivagan]

The peer is the installed invisible-watermark's own dwtDctSvd (48 bits, exact recovery, no check bits), loaded
by file so that its torch is not needed, in the same process on the same photographs.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from assay.provenance.errors import AssayError
from assay.provenance.media import Media
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.known import MESSAGES, GeneratorMarks
from assay.watermark.rivagan import RivaGan

Picture = np.ndarray
SMALL = 0.3e6  # pixels; numbers are given for pictures below and above


def saved(form: str, quality: int) -> Callable[[Picture], Picture]:
    def attack(picture: Picture) -> Picture:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, form, quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))

    return attack


def resized(picture: Picture, scale: float) -> Picture:
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def cropped(picture: Picture, share: float) -> Picture:
    height, width = (int(side * share**0.5) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) * 2 // 5, (picture.shape[1] - width) * 3 // 5
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def levels(picture: Picture, function: Callable[[Picture], Picture]) -> Picture:
    return np.clip(np.round(function(picture.astype(np.float32))), 0, 255).astype(np.uint8)


def screenshot(picture: Picture) -> Picture:
    small = resized(picture, 0.8)
    height, width = small.shape[:2]
    screen = np.full((height + 160, width + 80, 3), 245, np.uint8)
    screen[:60] = (40, 60, 120)
    screen[101 : 101 + height, 37 : 37 + width] = small
    return saved("JPEG", 80)(screen)


ATTACKS: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda a: a,
    "jpeg90": saved("JPEG", 90),
    "jpeg75": saved("JPEG", 75),
    "jpeg50": saved("JPEG", 50),
    "jpeg30": saved("JPEG", 30),
    "webp80": saved("WEBP", 80),
    "resize 0.5": lambda a: resized(a, 0.5),
    "resize 0.75": lambda a: resized(a, 0.75),
    "resize 0.61": lambda a: resized(a, 0.61),
    "crop 75 %": lambda a: cropped(a, 0.75),
    "crop 50 %": lambda a: cropped(a, 0.5),
    "crop 50 % + jpeg75": lambda a: saved("JPEG", 75)(cropped(a, 0.5)),
    "flip": lambda a: a[:, ::-1],
    "rotate 90": lambda a: np.rot90(a),
    "rotate 2": lambda a: np.asarray(Image.fromarray(a).rotate(2, Image.Resampling.BICUBIC)),
    "brightness 1.2": lambda a: levels(a, lambda b: b * 1.2),
    "contrast 0.8": lambda a: levels(a, lambda b: (b - 128) * 0.8 + 128),
    "noise 5": lambda a: levels(a, lambda b: b + np.random.default_rng(0).normal(0, 5, b.shape)),
    "screenshot": screenshot,
}


def library(module: str) -> Any:
    path = metadata.distribution("invisible-watermark").locate_file(f"imwatermark/{module}.py")
    spec = importlib.util.spec_from_file_location(module, str(path))
    if not spec or not spec.loader:
        raise ImportError(module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Ours:
    """A scheme of ours: found and right counts, found and wrong is counted apart."""

    def __init__(self, name: str, scheme: Any) -> None:
        self.name, self.scheme, self.wrong = name, scheme, 0

    def embed(self, picture: Picture, seed: int) -> tuple[Picture, str]:
        """Mark a picture; return it and what was hidden."""
        identifier = np.random.default_rng(seed).bytes(self.scheme.id_bits // 8).hex()
        return self.scheme.embed(Media.still(picture), identifier).frame(), identifier

    def recovers(self, picture: Picture, identifier: str) -> bool:
        """Say whether exactly that is read back."""
        reading = self.scheme.read(Media.still(picture))
        self.wrong += reading.found and reading.mark.id != identifier
        return bool(reading.found and reading.mark.id == identifier)


class Peer:
    """The library's dwtDctSvd as it is, on its own terms: no mark to detect, all 48 bits right."""

    name, wrong = "invisible-watermark dwtDctSvd", 0

    def __init__(self) -> None:
        self.method = library("dwtDctSvd").EmbedDwtDctSvd

    def embed(self, picture: Picture, seed: int) -> tuple[Picture, Picture]:
        """Mark a picture; return it and what was hidden."""
        bits = np.random.default_rng(seed).integers(0, 2, 48)
        marked = self.method([int(b) for b in bits], wmLen=48).encode(picture[..., ::-1].copy())
        return marked[..., ::-1].copy(), bits

    def recovers(self, picture: Picture, bits: Picture) -> bool:
        """Say whether exactly that is read back."""
        answer = self.method(wmLen=48).decode(picture[..., ::-1].copy())
        return bool((np.asarray(answer).astype(int) == bits).all())


def quality(before: Picture, after: Picture) -> tuple[float, float]:
    error = float(((before.astype(np.float64) - after) ** 2).mean())
    luma = [p.astype(np.float64) @ (0.299, 0.587, 0.114) for p in (before, after)]
    likeness = structural_similarity(
        *luma, data_range=255.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(10 * np.log10(255**2 / max(error, 1e-12))), float(likeness)


def pictures(folders: list[Path], limit: int) -> Iterator[Picture]:
    for folder in folders:
        paths = [
            p for p in sorted(folder.iterdir()) if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
        ]
        for path in paths[:: max(1, len(paths) // limit)][:limit] if limit else paths:
            yield np.asarray(Image.open(path).convert("RGB"))


def robustness(method: Any, folders: list[Path], limit: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for seed, picture in enumerate(pictures(folders, limit)):
        row: dict[str, Any] = {"pixels": picture.shape[0] * picture.shape[1]}
        try:
            marked, payload = method.embed(picture, seed)
        except AssayError as error:
            rows.append(row | {"refused": str(error)})
            continue
        row["psnr"], row["ssim"] = quality(picture, marked)
        row["hits"] = {name: method.recovers(attack(marked), payload) for name, attack in ATTACKS.items()}
        rows.append(row)
    return {"method": method.name, "wrong": int(method.wrong), "pictures": rows}


def summary(result: dict[str, Any], low: float, high: float) -> dict[str, Any] | None:
    rows = [r for r in result["pictures"] if low <= r["pixels"] < high]
    marked = [r for r in rows if "hits" in r]
    if not marked:
        return None
    means = {
        f"{key} {name}": float(f([r[key] for r in marked]))
        for key in ("psnr", "ssim")
        for name, f in (("mean", np.mean), ("least", np.min))
    }
    # A refused picture counts as lost: it left without a mark.
    hits = {name: sum(r["hits"][name] for r in marked) / len(rows) for name in ATTACKS}
    return {"n": len(rows), "refused": len(rows) - len(marked), **means, "hits": hits}


def false_alarms(folders: list[Path], limit: int, crops: int) -> dict[str, Any]:
    """Read unmarked pictures and random crops of them, flipped, resized and re-encoded at random."""
    rng = np.random.default_rng(20260101)
    originals = list(pictures(folders, limit))
    mark, known = DwtDctSvd(), GeneratorMarks()
    counts = {"n": 0, "mark": 0, "known": 0, "known tests": 0}
    tails = dict.fromkeys((1e-2, 1e-3, 1e-4, 1e-5, 1e-6), 0)
    for number in range(len(originals) + crops):
        picture = originals[number % len(originals)]
        if number >= len(originals):
            side = int(rng.integers(208, 400))
            height, width = min(side, picture.shape[0]), min(side, picture.shape[1])
            top = int(rng.integers(0, picture.shape[0] - height + 1))
            left = int(rng.integers(0, picture.shape[1] - width + 1))
            picture = np.ascontiguousarray(picture[top : top + height, left : left + width])
            picture = saved("JPEG", int(rng.integers(40, 98)))(picture) if rng.random() < 0.5 else picture
        counts["n"] += 1
        counts["mark"] += mark.read(Media.still(picture)).found
        for reading in known.read(Media.still(picture)):
            if reading.p_value is not None:
                counts["known tests"] += 1
                counts["known"] += reading.found
                for level in tails:
                    tails[level] += reading.p_value < level
    # Clopper-Pearson for no alarm among n: 1 - 0.05^(1/n); "rule of three".
    bound = 1 - 0.05 ** (1 / counts["n"]) if counts["mark"] == 0 else None
    return {
        **counts,
        "mark upper bound (95 %)": bound,
        "known p below": {str(k): v for k, v in tails.items()},
    }


def rivagan_alarms(folders: list[Path], limit: int) -> dict[str, Any]:
    """Read whole unmarked pictures with RivaGAN, each once more as JPEG 75."""
    reader = RivaGan()
    readings = [
        reader.read(Media.still(change(picture))).found
        for picture in pictures(folders, limit)
        for change in (lambda p: p, ATTACKS["jpeg75"])
    ]
    bound = 1 - 0.05 ** (1 / len(readings)) if not any(readings) else None
    return {"n": len(readings), "mark": sum(readings), "mark upper bound (95 %)": bound}


def known_marks(folders: list[Path], limit: int) -> dict[str, dict[str, str]]:
    method = library("maxDct").EmbedMaxDct
    reader = GeneratorMarks()
    table: dict[str, dict[str, str]] = {}
    for message in MESSAGES:
        floats = message.generator in {"stable-diffusion-xl", "flux"}
        hits: dict[str, list[bool]] = {name: [] for name in ("none", "jpeg90", "jpeg75", "webp80")}
        others = 0
        for picture in pictures(folders, limit):
            if picture.shape[0] * picture.shape[1] < 65536:
                continue
            frame = picture[..., ::-1].astype(np.float32 if floats else np.uint8).copy()
            bits = [int(b) for b in message.bits]
            marked = levels(method(bits, wmLen=len(bits)).encode(frame)[..., ::-1], lambda b: b)
            for name in hits:
                found = [r for r in reader.read(Media.still(ATTACKS[name](marked))) if r.found]
                hits[name].append(any(r.scheme == message.scheme for r in found))
                others += any(r.scheme != message.scheme for r in found)
        table[message.scheme] = {k: f"{sum(v)}/{len(v)}" for k, v in hits.items()} | {
            "wrong name": str(others)
        }
    return table


def speed(folders: list[Path]) -> dict[str, float]:
    """Time 12 megapixels (a photograph enlarged), best of two."""
    largest = max(pictures(folders, 12), key=lambda p: p.shape[0] * p.shape[1])
    picture = np.asarray(Image.fromarray(largest).resize((4000, 3000), Image.Resampling.BICUBIC))
    mark = DwtDctSvd()

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(2):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return round(min(times), 3)

    marked = mark.embed(Media.still(picture), "00112233aabb")
    return {
        "embed": best(lambda: mark.embed(Media.still(picture), "00112233aabb")),
        "read marked": best(lambda: mark.read(marked)),
        "read marked, crop 50 %": best(lambda: mark.read(Media.still(cropped(marked.frame(), 0.5)))),
        "read unmarked": best(lambda: mark.read(Media.still(picture))),
        "known marks": best(lambda: GeneratorMarks().read(Media.still(picture))),
    }


def show(results: list[dict[str, Any]]) -> None:
    for title, low, high in (("below 0.3 MP", 0.0, SMALL), ("0.3 MP and more", SMALL, 1e12)):
        tables = [(r["method"], r["wrong"], summary(r, low, high)) for r in results]
        present = [(m, w, s) for m, w, s in tables if s]
        if not present:
            continue
        print(
            f"\n## {title}\n\n| | "
            + " | ".join(m for m, _, _ in present)
            + " |\n|---|"
            + "---|" * len(present)
        )
        for key in ("n", "refused", "psnr mean", "psnr least", "ssim mean", "ssim least"):
            print(f"| {key} | " + " | ".join(f"{s[key]:.6g}" for _, _, s in present) + " |")
        print("| wrong identifiers (all sizes) | " + " | ".join(str(w) for _, w, _ in present) + " |")
        for name in ATTACKS:
            print(f"| {name} | " + " | ".join(f"{100 * s['hits'][name]:.1f} %" for _, _, s in present) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--negatives", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=0, help="most pictures of each folder (0: all)")
    parser.add_argument("--crops", type=int, default=2000, help="random crops among the negatives")
    parser.add_argument(
        "--rivagan", type=int, default=0, help="also measure RivaGAN on so many of each folder"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    document: dict[str, Any] = {"command": sys.argv}
    results = [robustness(Ours("dwtdctsvd", DwtDctSvd()), options.photos, options.limit)]
    try:
        results.append(robustness(Peer(), options.photos, options.limit))
        document["known marks"] = known_marks(options.photos, options.limit)
    except (ImportError, metadata.PackageNotFoundError) as error:
        print(f"no peer: {error}")
    document["methods"] = results
    show(results)
    if options.rivagan:
        document["rivagan"] = robustness(Ours("rivagan", RivaGan()), options.photos, options.rivagan)
        show([document["rivagan"]])
    for key, value in document.get("known marks", {}).items():
        print(key, value)
    if options.negatives:
        document["false alarms"] = false_alarms(options.negatives, options.limit, options.crops)
        print("false alarms:", json.dumps(document["false alarms"]))
        if options.rivagan:
            document["rivagan false alarms"] = rivagan_alarms(options.negatives, options.limit)
            print("rivagan false alarms:", json.dumps(document["rivagan false alarms"]))
    document["seconds at 12 MP"] = speed(options.photos)
    print("seconds at 12 MP:", document["seconds at 12 MP"])
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
