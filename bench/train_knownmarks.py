"""Train the network that hears, block by block, which bit invisible-watermark's dwtDct wrote.

python bench/train_knownmarks.py --photos DIR… --into CHECKPOINT.pt [--minutes N] --export FILE.npy

It never sees a message: each sample is a piece of a photograph marked with random bits, on bytes or on floats, then
re-encoded, resized and brought back, blurred or made noisy; the answer asked for is the logarithm of the odds
of each block's bit (cross-entropy). ``--export`` names the file that ships as
watermark/known/network.npy; its digest is printed and stands in network.py. Photographs that
measure the reader must not be among DIR.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from assay.watermark.known.chroma import chroma, low_band, resampled
from assay.watermark.known.network import LEVEL, SPREAD, STEP, WIDTH

SIDE = 192
"""Side of a training piece in pixels."""
BATCH = 24
"""Pieces a step."""
RATE = 2e-3
"""First learning rate, falling in a straight line."""
MOST_PIXELS = 1.6e6
"""Larger photographs are kept at this size: generators emit pictures of about a megapixel."""
FACTORS = (0.5, 0.5, 0.625, 0.75, 0.75, 0.8, 1.0547, 1.25, 1.5, 2.0)
"""Resizes that are undone, besides any other from 0.45 to 2."""
Picture = np.ndarray


def mark(picture: Picture, bits: Picture, floats: bool) -> Picture:
    """Do what EmbedMaxDct.encode does, for all blocks at once; ``bits`` has one bit a block."""
    yuv = cv2.cvtColor(
        np.ascontiguousarray(picture[..., ::-1], np.float32 if floats else np.uint8), cv2.COLOR_BGR2YUV
    )
    rows, columns = bits.shape
    a, b, c, d = (
        yuv[i : rows * 8 : 2, j : columns * 8 : 2, 1].astype(np.float32) for i in (0, 1) for j in (0, 1)
    )
    low, across, down, cross = (
        (a + b + c + d) / 2,
        (a - b + c - d) / 2,
        (a + b - c - d) / 2,
        (a - b - c + d) / 2,
    )
    blocks = low.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(rows, columns, 16).copy()
    place = np.abs(blocks[..., 1:]).argmax(-1)[..., None] + 1
    value = np.take_along_axis(blocks, place, -1)
    moved = (np.abs(value) // STEP + 0.25 + 0.5 * bits[..., None]) * STEP
    np.put_along_axis(blocks, place, np.where(value >= 0, moved, -moved), -1)
    low = blocks.reshape(rows, columns, 4, 4).swapaxes(1, 2).reshape(rows * 4, columns * 4)
    across, down = down, across  # the library exchanges these two bands
    for i, vertical in enumerate((1, -1)):
        for j, sideways in enumerate((1, -1)):
            plane = (low + sideways * across + vertical * down + vertical * sideways * cross) / 2
            # Bytes are cut off, as the library's assignment to an array of bytes does.
            yuv[i : rows * 8 : 2, j : columns * 8 : 2, 1] = plane if floats else plane.astype(np.int64) % 256
    marked = cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR)[..., ::-1]
    return np.clip(np.round(marked), 0, 255).astype(np.uint8)


def saved(picture: Picture, form: str, rng: np.random.Generator, low: int = 60) -> Picture:
    """Return the picture as saved and opened."""
    file = io.BytesIO()
    quality = int(rng.integers(low, 98))
    more = {"subsampling": 2 if rng.random() < 0.85 else 0} if form == "JPEG" else {"method": 2}
    Image.fromarray(picture).save(file, form, quality=quality, **more)
    return np.asarray(Image.open(file).convert("RGB"))


def published(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as it comes back at its own size."""
    chance = rng.random()
    if chance < 0.13:
        return picture
    if chance < 0.7:
        return saved(picture, "JPEG", rng)
    if chance < 0.85:
        return saved(picture, "WEBP", rng)
    if chance < 0.9:
        noisy = picture + rng.normal(0, rng.uniform(1, 7), picture.shape)
        return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    if chance < 0.95:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
    return saved(saved(picture, "JPEG", rng, 75), "JPEG", rng, 75)


def received(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """Return the low band of a marked picture after publication, on the mark's own grid.

    Some pictures are cropped first, so that the grids of mark and JPEG differ; what is lost is repeated.
    """
    down, right = rng.integers(0, 8, 2) if rng.random() < 0.35 else (0, 0)
    picture = np.ascontiguousarray(picture[down:, right:])
    if rng.random() < 0.22:
        factor = float(rng.choice([*FACTORS, rng.uniform(0.45, 2)]))
        kernels = [Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR]
        kernels += [Image.Resampling.BOX] if factor < 1 else []
        height, width = picture.shape[:2]
        size = round(width * factor), round(height * factor)
        small = np.asarray(Image.fromarray(picture).resize(size, kernels[rng.integers(len(kernels))]))
        small = saved(small, "JPEG", rng, 75) if rng.random() < 0.5 else small
        plane = resampled(small, (height, width), (0, 0, height, width))
    else:
        plane = chroma(published(picture, rng))
    return low_band(np.pad(plane, ((down, 0), (right, 0)), mode="edge"))


def piece(photographs: list[Picture], rng: np.random.Generator) -> Picture:
    """Return a square of a photograph, enlarged, shrunk, mirrored or with other colours."""
    photograph = photographs[rng.integers(len(photographs))]
    side = min(*photograph.shape[:2], round(SIDE / rng.choice([1, 1, 0.8, 0.65, 1.6, 2.2])))
    top, left = (int(rng.integers(0, size - side + 1)) for size in photograph.shape[:2])
    part = photograph[top : top + side, left : left + side]
    if side != SIDE:
        part = cv2.resize(
            part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        )
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < 0.3:
        part = part[..., rng.permutation(3)]
    if rng.random() < 0.5:
        grey = part.mean(-1, keepdims=True)
        part = np.clip(np.round(grey + (part - grey) * rng.uniform(0.5, 2)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(part)


class Network(nn.Module):
    """The network of watermark/known/network.py, where its parts are explained."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(64, WIDTH, 3, padding=1)
        self.across = nn.Conv2d(WIDTH, WIDTH, 1)
        self.out = nn.Conv2d(WIDTH, 2, 1)

    def forward(self, low: torch.Tensor) -> torch.Tensor:
        """Return log odds (batch, 2, rows, columns) of low bands (batch, 4 rows, 4 columns)."""
        count, rows, columns = low.shape[0], low.shape[1] // 4, low.shape[2] // 4
        blocks = (
            low.reshape(count, rows, 4, columns, 4).permute(0, 2, 4, 1, 3).reshape(count, 16, rows, columns)
        )
        rest = torch.clamp((blocks - blocks.mean(1, keepdim=True)) / SPREAD, -4, 4)
        turn = blocks * (2 * np.pi / STEP)
        senses = [rest, torch.cos(turn), torch.sin(turn), torch.tanh((blocks + 1) / LEVEL)]
        hidden = functional.relu(self.near(torch.cat(senses, 1)))
        answer: torch.Tensor = self.out(functional.relu(self.across(hidden)))
        return answer

    def vector(self) -> np.ndarray:
        """Return the weights as network.npy holds them."""
        near = self.near.weight.detach().numpy()
        wide = [np.concatenate([near[:, :, down, right].T for right in range(3)], 1) for down in range(3)]
        parts = [np.stack(wide), self.near.bias.detach().numpy()]
        for layer in (self.across, self.out):
            parts += [layer.weight.detach().numpy()[:, :, 0, 0].T, layer.bias.detach().numpy()]
        return np.concatenate([p.reshape(-1) for p in parts]).astype(np.float16)


def photographs_of(folders: list[Path]) -> list[Picture]:
    kept = []
    for path in sorted(p for folder in folders for p in folder.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
            continue
        image = Image.open(path).convert("RGB")
        share = (MOST_PIXELS / (image.width * image.height)) ** 0.5
        if share < 1:
            size = round(image.width * share), round(image.height * share)
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        if min(image.size) >= SIDE:
            kept.append(np.asarray(image))
    return kept


def train(photographs: list[Picture], minutes: float, into: Path, seed: int) -> Network:
    rng, network = np.random.default_rng(seed), Network()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    start, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - share) + RATE / 100
        lows, bits, heads = [], [], []
        for _ in range(BATCH):
            bits.append(rng.integers(0, 2, (SIDE // 8, SIDE // 8)))
            heads.append(int(rng.random() < 0.5))
            lows.append(received(mark(piece(photographs, rng), bits[-1], bool(heads[-1])), rng))
        answers = network(torch.tensor(np.stack(lows)))[torch.arange(BATCH), torch.tensor(heads)]
        loss = functional.binary_cross_entropy_with_logits(answers, torch.tensor(np.stack(bits)).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        losses.append(loss.item())
        if step % 200 == 0:
            print(
                f"{step} steps, {time.monotonic() - start:.0f} s, cross-entropy {np.mean(losses):.4f}",
                flush=True,
            )
            losses.clear()
            torch.save(network.state_dict(), into)
    torch.save(network.state_dict(), into)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    network = train(photographs_of(options.photos), options.minutes, options.into, options.seed)
    np.save(options.export, network.vector())
    print(options.export, hashlib.sha256(options.export.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
