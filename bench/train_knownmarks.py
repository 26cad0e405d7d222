"""Train the network that hears, block by block, which bit invisible-watermark's dwtDct wrote.

python bench/train_knownmarks.py --photos DIR… --into FOLDER [--shards N] [--epochs N] --export FILE.npy

It never sees a message: each sample is a piece of a photograph marked with random bits, on bytes or on floats, then
re-encoded, resized and brought back, blurred or made noisy; the answer asked for is the logarithm of the odds
of each block's bit (cross-entropy). The pieces are made once, in shards in FOLDER (4 s a shard); what lies there
already is taken. The last shard is not trained on: its cross-entropy is printed. ``--export`` names the file that
ships as watermark/known/network.npy; its digest is printed and stands in network.py. Photographs that measure the
reader must not be among DIR.
"""

from __future__ import annotations

import argparse
import hashlib
import io
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
SHARD = 1200
"""Pieces of a file."""
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
        self.near = nn.Conv2d(16, WIDTH, 3, padding=1)
        self.own = nn.Conv2d(48, WIDTH, 1, bias=False)
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
        own = torch.cat([torch.cos(turn), torch.sin(turn), torch.tanh((blocks + 1) / LEVEL)], 1)
        hidden = functional.relu(self.near(rest) + self.own(own))
        answer: torch.Tensor = self.out(functional.relu(self.across(hidden)))
        return answer

    def vector(self) -> np.ndarray:
        """Return the weights as network.npy holds them."""
        near, own = self.near.weight.detach().numpy(), self.own.weight.detach().numpy()
        first = np.concatenate([near.transpose(0, 2, 3, 1).reshape(WIDTH, -1), own[:, :, 0, 0]], 1)
        parts = [first, self.near.bias.detach().numpy()]
        for layer in (self.across, self.out):
            parts += [layer.weight.detach().numpy()[:, :, 0, 0], layer.bias.detach().numpy()]
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


def made(folders: list[Path], into: Path, shards: int) -> None:
    """Make the shards that are missing: low bands float16, bits and heads of ``SHARD`` pieces each."""
    photographs: list[Picture] = []
    into.mkdir(exist_ok=True)
    for number in range(shards):
        path = into / f"{number}.npz"
        if path.exists():
            continue
        photographs = photographs or photographs_of(folders)
        rng = np.random.default_rng(1000 + number)
        lows, bits, heads = [], [], []
        for _ in range(SHARD):
            bits.append(rng.integers(0, 2, (SIDE // 8, SIDE // 8)))
            heads.append(int(rng.random() < 0.5))
            low = received(mark(piece(photographs, rng), bits[-1], bool(heads[-1])), rng)
            lows.append(low.astype(np.float16))
        part = path.with_suffix(".part.npz")
        np.savez(part, low=np.stack(lows), bits=np.stack(bits).astype(np.uint8), head=np.array(heads))
        part.rename(path)


def opened(path: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return low bands, bits and heads of a shard."""
    with np.load(path) as shard:
        return (
            torch.tensor(shard["low"].astype(np.float32)),
            torch.tensor(shard["bits"].astype(np.float32)),
            torch.tensor(shard["head"]),
        )


def loss(network: Network, low: torch.Tensor, bits: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    answers = network(low)[torch.arange(len(head)), head]
    return functional.binary_cross_entropy_with_logits(answers, bits)


def train(into: Path, shards: int, epochs: int, seed: int) -> Network:
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), Network()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    total, step = epochs * (shards - 1) * (SHARD // BATCH), 0
    held_out = opened(into / f"{shards - 1}.npz")
    for epoch in range(epochs):
        for number in rng.permutation(shards - 1):
            low, bits, head = opened(into / f"{number}.npz")
            for batch in torch.tensor(rng.permutation(SHARD)).split(BATCH):
                for group in optimiser.param_groups:
                    group["lr"] = RATE * (1 - step / total) + RATE / 200
                value = loss(network, low[batch], bits[batch], head[batch])
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
                step += 1
        with torch.no_grad():
            parts = zip(*(part.split(100) for part in held_out), strict=True)
            value = np.mean([loss(network, *part).item() for part in parts])
        print(f"epoch {epoch + 1}: cross-entropy {value:.4f} of the last shard", flush=True)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made(options.photos, options.into, options.shards)
    network = train(options.into, options.shards, options.epochs, options.seed)
    np.save(options.export, network.vector())
    print(options.export, hashlib.sha256(options.export.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
