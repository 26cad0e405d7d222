"""Make a sheet on which people look for the mark: crops at 200 %, original and marked, in random order.

    python bench/watermark_ab.py --photos FILE-OR-DIR… --out sheet.html [--png sheet.png] [--scheme NAME]

Crops are chosen where a mark shows first: smooth sky, skin, and text (black on white and white on black, set into the
photograph by this program before it is marked). Skin is judged by colour alone, which wood and sand have
too: ``--crop skin:FILE:LEFT:TOP`` adds a face by hand, ``--kinds`` leaves a kind out. Which side is marked stands at
the end. The page is self-contained and runs nothing; every pixel is shown as four.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from assay.provenance.errors import AssayError
from assay.provenance.media import Samples
from assay.watermark.trial.attacks import generator
from assay.watermark.trial.filters import luma, psnr
from assay.watermark.trial.methods import Method, open_method
from assay.watermark.trial.photographs import find, load, seed_of
from assay.watermark.trial.robustness import random_payload

SIDE = 200
"""Side of a crop in pixels; shown twice as large."""
ZOOM = 2
STEP = 40
"""Distance of the places at which crops are looked for, in pixels."""
ENOUGH = {"sky": 0.5, "skin": 0.45}
"""Least score of a crop of each kind."""
WORDS = "Hallmarks for media: sign, watermark and log images, and get the truth back. 0123456789"


@dataclass(frozen=True, slots=True)
class Crop:
    """One place in one photograph, before and after marking, uint8 (SIDE, SIDE, 3)."""

    kind: str
    name: str
    place: tuple[int, int]
    original: Samples
    marked: Samples


def places(picture: Samples, kind: str) -> Iterator[tuple[float, int, int]]:
    """Yield (score 0..1, left, top) of all crops of a kind."""
    grey = luma(picture)
    chroma_blue = (picture[..., 2] - grey) * 0.564 + 128
    chroma_red = (picture[..., 0] - grey) * 0.713 + 128
    # Chai and Ngan 1999: skin in CbCr, whatever its lightness.
    skin = (chroma_blue > 77) & (chroma_blue < 127) & (chroma_red > 133) & (chroma_red < 173)
    slope = np.hypot(*np.gradient(grey))
    for top in range(0, picture.shape[0] - SIDE + 1, STEP):
        for left in range(0, picture.shape[1] - SIDE + 1, STEP):
            box = np.s_[top : top + SIDE, left : left + SIDE]
            if kind == "sky":
                yield _sky(grey[box], slope[box], chroma_blue[box]), left, top
            else:
                smooth = float((slope[box] < 12).mean())
                yield float((skin[box] & (grey[box] > 60) & (grey[box] < 235)).mean()) * smooth, left, top


def _sky(grey: NDArray[np.floating], slope: NDArray[np.floating], blue: NDArray[np.floating]) -> float:
    if grey.mean() < 90 or grey.mean() > 245 or blue.mean() < 127:
        return 0.0
    return float((slope < 3).mean() * (grey < 250).mean())


def with_text(picture: Samples) -> tuple[Samples, tuple[int, int]]:
    """Return the photograph with two blocks of text in it, and where a crop shows both."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    left, top = (picture.shape[1] - SIDE) // 2, picture.shape[0] - SIDE - SIDE // 4
    for number, (ground, ink) in enumerate((("white", "black"), ("black", "white"))):
        above = top + number * SIDE // 2
        draw.rectangle((left, above, left + SIDE - 1, above + SIDE // 2 - 1), fill=ground)
        for line, size in enumerate((11, 13, 16, 20)):
            at = (left + 6, above + 4 + 23 * line)
            draw.text(at, WORDS[7 * line : 7 * line + 34], ink, ImageFont.load_default(size))
    return np.asarray(image), (left, top)


def marked(method: Method, picture: Samples) -> Samples:
    """Return the photograph with a random payload."""
    return method.embed(picture, random_payload(method, seed_of(picture, 0)))


def best(method: Method, pictures: dict[str, Samples], kind: str, count: int) -> list[Crop]:
    """Return the best crop of each of the photographs that have one of this kind, the best first."""
    found = []
    for name, picture in pictures.items():
        score, left, top = max(places(picture, kind), default=(0.0, 0, 0))
        if score >= ENOUGH[kind]:
            found.append((score, name, left, top))
    return [cut(method, kind, n, pictures[n], left, top) for _, n, left, top in sorted(found)[::-1][:count]]


def cut(method: Method, kind: str, name: str, picture: Samples, left: int, top: int) -> Crop:
    """Return one place before and after marking the whole photograph."""
    after = marked(method, picture)
    box = np.s_[top : top + SIDE, left : left + SIDE]
    return Crop(kind, name, (left, top), picture[box].copy(), after[box].copy())


def by_hand(method: Method, places: list[str]) -> Iterator[Crop]:
    """Yield the crops named as KIND:FILE:LEFT:TOP."""
    for text in places:
        kind, rest = text.split(":", 1)
        name, left, top = rest.rsplit(":", 2)
        yield cut(method, kind, Path(name).name, load(Path(name)), int(left), int(top))


def crops(method: Method, paths: list[Path], kinds: str, count: int) -> list[Crop]:
    """Return crops of sky, skin and text."""
    pictures: dict[str, Samples] = {}
    for path in paths:
        try:
            picture = load(path)
        except AssayError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if min(picture.shape[:2]) >= 2 * SIDE:
            pictures[path.name] = picture
    found = [crop for kind in ENOUGH if kind in kinds for crop in best(method, pictures, kind, count)]
    for name in list(pictures)[: count if "text" in kinds else 0]:
        picture, (left, top) = with_text(pictures[name])
        found.append(cut(method, "text", name, picture, left, top))
    return found


def order(crop: Crop, seed: int) -> bool:
    """Say whether the marked one stands on the left."""
    return bool(generator(b"%d" % seed, f"{crop.kind} {crop.name} {crop.place}").random() < 0.5)


def sides(crop: Crop, seed: int) -> tuple[Samples, Samples]:
    """Return left and right."""
    return (crop.marked, crop.original) if order(crop, seed) else (crop.original, crop.marked)


def answer(crop: Crop, seed: int) -> str:
    """Return the line of the key."""
    side = "A" if order(crop, seed) else "B"
    return f"{side} is marked; {psnr(crop.original, crop.marked):.1f} dB here. {crop.name} at {crop.place}"


def page(found: list[Crop], title: str, seed: int) -> str:
    """Return the sheet as one HTML document."""

    def image(picture: Samples) -> str:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        return f'<img width="{SIDE * ZOOM}" height="{SIDE * ZOOM}" alt="" src="data:image/png;base64,{data}">'

    rows = []
    for number, crop in enumerate(found, 1):
        left, right = sides(crop, seed)
        rows.append(
            f"<h2>{number}. {html.escape(crop.kind)}</h2><p class=pair>"
            f"<span>A<br>{image(left)}</span><span>B<br>{image(right)}</span></p>"
        )
    key = "".join(f"<li>{html.escape(answer(crop, seed))}</li>" for crop in found)
    style = (
        "body{font:16px sans-serif;margin:2em auto;max-width:60em}"
        ".pair{display:flex;gap:12px}img{image-rendering:pixelated}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style><h1>{html.escape(title)}</h1><p>One of each pair carries a mark. Crops at "
        f"{100 * ZOOM} %, every pixel shown as {ZOOM * ZOOM}. Which is it? The key is at the end.</p>"
        f"{''.join(rows)}<details><summary>The key</summary><ol>{key}</ol></details></html>\n"
    )


def sheet(found: list[Crop], seed: int) -> Image.Image:
    """Return the same as one picture, the key in small letters at its foot."""
    side, gap, line = SIDE * ZOOM, 12, 18
    drawn = Image.new(
        "RGB", (2 * side + 3 * gap, len(found) * (side + 2 * gap + line) + line * (len(found) + 2)), "white"
    )
    draw, top = ImageDraw.Draw(drawn), gap
    for number, crop in enumerate(found, 1):
        draw.text((gap, top), f"{number}. {crop.kind}: A left, B right", "black", ImageFont.load_default(14))
        top += line
        for column, picture in enumerate(sides(crop, seed)):
            shown = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            drawn.paste(shown, (gap + column * (side + gap), top))
        top += side + 2 * gap
    for number, crop in enumerate(found, 1):
        draw.text((gap, top), f"{number}. {answer(crop, seed)}", (110, 110, 110), ImageFont.load_default(11))
        top += line
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--crop", action="append", default=[], metavar="KIND:FILE:LEFT:TOP")
    parser.add_argument("--kinds", default="sky,skin,text", help="crops chosen by this program")
    parser.add_argument("--scheme", default="hallmark", help="a scheme of ours, or a peer")
    parser.add_argument("--count", type=int, default=3, help="crops of each kind")
    parser.add_argument("--seed", type=int, default=0, help="moves which side is which")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    try:
        method = open_method(options.scheme)
        found = crops(method, find(options.photos), options.kinds, options.count) + list(
            by_hand(method, options.crop)
        )
    except AssayError as error:
        sys.exit(f"bench/watermark_ab.py: {error}")
    if not found:
        sys.exit(f"bench/watermark_ab.py: no photograph has sides of {2 * SIDE} pixels")
    options.out.write_text(
        page(found, f"Which one is marked? {method.name}, {method.note}", options.seed), "utf-8"
    )
    if options.png:
        sheet(found, options.seed).save(options.png)
    print(f"{options.out}: {', '.join(crop.kind for crop in found)}")


if __name__ == "__main__":
    main()
