"""Train the listener: the small network that hears any band-limited pattern under a photograph.

python bench/train_hallmark.py --photos DIR… --into CHECKPOINT.pt [--steps N] [--export FILE.onnx]

It never sees a key: each sample hides fresh random noise of the mark's band and amplitude in a piece of a
photograph, attacks it (JPEG, WebP, AVIF, resizing, blur, median, noise, tone, rotation, chains), and asks for the noise
back (least squares, so that the answer is the expected pattern: zero where nothing can be known). Checkpoints
are written each few minutes and training resumes from them. Evaluation photographs must not be among DIR.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, median_filter
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from assay.watermark.hallmark.canvas import SIDE, luma
from assay.watermark.hallmark.listener import senses
from assay.watermark.hallmark.mask import amplitude
from assay.watermark.hallmark.pattern import BAND

PATCH = 160
"""Side of a training piece in canonical pixels."""
MOST_PIXELS = 1.6e6
"""Larger photographs are kept at this size: the mark and the network live on a canvas of 0.41 megapixels."""
STRENGTH = (0.25, 0.8)
"""Range of the mark's strength."""


class Listener(nn.Module):
    """A U-shaped convolutional network at a half, a quarter and an eighth of the canvas."""

    def __init__(self, first: int = 32, second: int = 48, third: int = 56) -> None:
        super().__init__()

        def conv(a: int, b: int, stride: int = 1) -> nn.Module:
            return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.ReLU())

        self.enter = conv(8, first)
        self.fine = conv(first, first)
        self.down = conv(first, second, 2)
        self.quarter = nn.ModuleList([conv(second, second) for _ in range(4)])
        self.deeper = conv(second, third, 2)
        self.eighth = conv(third, third)
        self.up_eighth = nn.Conv2d(third, second * 4, 1)
        self.merge_quarter = conv(second, second)
        self.up_quarter = nn.Conv2d(second, first * 4, 1)
        self.merge_half = conv(first, first)
        self.leave = nn.Conv2d(first, 4, 3, 1, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return the expected pattern (n, 1, h, w) of ``senses`` (n, 2, h, w), sides multiples of 8."""
        a = self.enter(functional.pixel_unshuffle(planes, 2))
        a = a + self.fine(a)
        b = self.down(a)
        b = b + self.quarter[1](self.quarter[0](b))
        b = b + self.quarter[3](self.quarter[2](b))
        c = self.deeper(b)
        c = c + self.eighth(c)
        b = b + functional.pixel_shuffle(self.up_eighth(c), 2)
        b = b + self.merge_quarter(b)
        a = a + functional.pixel_shuffle(self.up_quarter(b), 2)
        a = a + self.merge_half(a)
        return functional.pixel_shuffle(self.leave(a), 2)


def band_noise(side: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of unit variance with the mark's spectrum."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(fy, fx)
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * ((radius >= BAND[0]) & (radius <= BAND[1]))
    noise = np.fft.irfft2(spectrum, (side, side))
    return (noise / noise.std()).astype(np.float32)


def saved(plane: np.ndarray, kind: str, quality: int, **options: object) -> np.ndarray:
    """Return a plane after lossy compression (grey: chroma carries nothing)."""
    memory = io.BytesIO()
    picture = Image.fromarray(np.clip(np.round(plane), 0, 255).astype(np.uint8))
    (picture if kind == "JPEG" else picture.convert("RGB")).save(memory, kind, quality=quality, **options)
    return np.asarray(Image.open(memory).convert("L"), np.float32)


def scaled(plane: np.ndarray, shape: tuple[int, int], how: int = Image.Resampling.BICUBIC) -> np.ndarray:
    """Return a float plane at another shape (rows, columns)."""
    return np.asarray(Image.fromarray(plane.astype(np.float32), "F").resize(shape[::-1], how), np.float32)


def attack_once(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the plane after one attack drawn at random; it may change the plane's size."""
    kind = rng.choice(
        ["jpeg", "webp", "avif", "resize", "blur", "median", "noise", "sharpen", "tone", "denoise", "none"],
        p=[0.30, 0.12, 0.04, 0.16, 0.07, 0.06, 0.07, 0.05, 0.05, 0.04, 0.04],
    )
    if kind == "jpeg":
        return saved(plane, "JPEG", int(rng.integers(12, 80)))
    if kind == "webp":
        return saved(plane, "WEBP", int(rng.integers(25, 85)), method=2)
    if kind == "avif":
        return saved(plane, "AVIF", int(rng.integers(35, 75)), speed=9)
    if kind == "resize":
        factor = math.exp(rng.uniform(math.log(0.33), math.log(1.3)))
        how = rng.choice([Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR])
        return scaled(plane, tuple(max(16, round(n * factor)) for n in plane.shape), how)
    if kind == "blur":
        return gaussian_filter(plane, rng.uniform(0.5, 2.2))
    if kind == "median":
        return median_filter(plane, int(rng.choice([3, 5])))
    if kind == "noise":
        return plane + rng.normal(0, rng.uniform(2, 14), plane.shape)
    if kind == "sharpen":
        return plane + rng.uniform(0.3, 1.2) * (plane - gaussian_filter(plane, rng.uniform(0.8, 2)))
    if kind == "tone":
        lit = 255 * (np.clip(plane, 0, 255) / 255) ** math.exp(rng.uniform(-0.5, 0.5))
        return (lit - 128) * rng.uniform(0.65, 1.4) + 128 + rng.uniform(-25, 25)
    if kind == "denoise":
        smooth = gaussian_filter(plane, 1.2)
        weight = np.clip(np.abs(plane - smooth) / rng.uniform(4, 12), 0, 1)
        return smooth + (plane - smooth) * weight
    return plane


def sample(photo: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network is given (2, PATCH, PATCH) and what it should say (1, PATCH, PATCH)."""
    share = math.sqrt(photo.size) / SIDE  # pixels of the photograph a canonical pixel
    native = share * min(
        1.0, math.exp(rng.uniform(math.log(0.5), 0.35))
    )  # the same once reduced for publication
    margin = 16
    wide = PATCH + 2 * margin
    zoom = math.exp(
        rng.uniform(-0.4, 0.3)
    )  # canonical pixels a rendered pixel: crops are rendered too large or small
    reach = min(math.ceil(wide * zoom), int(min(photo.shape) / share))
    side = math.floor(reach * share)
    top, left = (int(rng.integers(0, n - side + 1)) for n in photo.shape)
    piece = photo[top : top + side, left : left + side].astype(np.float32)
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < 0.5:
        piece = piece.T
    marked = scaled(piece, (round(reach * native),) * 2)
    pattern = band_noise(reach, rng)
    strength = math.exp(rng.uniform(*np.log(STRENGTH))) * amplitude(scaled(marked, (reach, reach)))
    marked = marked + scaled(strength * pattern, marked.shape)
    marked = np.clip(np.floor(marked + rng.random(marked.shape)), 0, 255)
    turn = rng.uniform(-45, 45) if rng.random() < 0.35 else 0.0
    for number in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
        if turn and number == 0:
            marked = np.asarray(
                Image.fromarray(marked.astype(np.float32), "F").rotate(turn, Image.Resampling.BICUBIC)
            )
        marked = np.clip(np.round(attack_once(marked, rng)), 0, 255)
    out = round(reach / zoom)
    given = scaled(marked, (out, out))
    asked = pattern
    if turn:
        asked = np.asarray(Image.fromarray(pattern, "F").rotate(turn, Image.Resampling.BICUBIC))
    asked = scaled(asked, (out, out))
    if out < PATCH:
        pad = ((0, PATCH - out), (0, PATCH - out))
        given, asked = np.pad(given, pad, mode="edge"), np.pad(asked, pad)
    top, left = (int(rng.integers(0, n - PATCH + 1)) for n in given.shape)
    cut = (slice(top, top + PATCH), slice(left, left + PATCH))
    return senses(given)[:, cut[0], cut[1]], asked[cut][None].astype(np.float32)


class Pieces(IterableDataset):
    """Endless samples of some photographs."""

    def __init__(self, photos: list[np.ndarray], seed: int) -> None:
        self.photos, self.seed = photos, seed

    def __iter__(self):
        """Yield samples; each worker has its own stream."""
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        while True:
            yield sample(self.photos[int(rng.integers(len(self.photos)))], rng)


def load(folders: list[Path]) -> list[np.ndarray]:
    """Return the photographs' luma, uint8, those of at least 0.15 megapixels."""
    photos = []
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
                continue
            try:
                picture = Image.open(path).convert("RGB")
            except OSError:
                continue
            area = picture.width * picture.height
            if area < 150_000:
                continue
            scale = min(1.0, math.sqrt(MOST_PIXELS / area))
            shape = (round(picture.height * scale), round(picture.width * scale))
            photos.append(np.round(np.clip(luma(np.asarray(picture), shape), 0, 255)).astype(np.uint8))
    return photos


def export(model: Listener, path: Path) -> None:
    """Write the network for ONNX Runtime."""
    torch.onnx.export(
        model.eval().float(),
        (torch.zeros(1, 2, 64, 64),),
        str(path),
        input_names=["senses"],
        output_names=["pattern"],
        opset_version=17,
        dynamo=False,
        dynamic_axes={"senses": {2: "h", 3: "w"}, "pattern": {2: "h", 3: "w"}},
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--into", type=Path, required=True, help="checkpoint to write, and to resume from")
    parser.add_argument("--steps", type=int, default=16000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = Listener().to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-4)
    done = 0
    average = {k: v.clone() for k, v in model.state_dict().items()}
    if options.into.exists():
        kept = torch.load(options.into, weights_only=True)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        average, done = kept["average"], kept["step"]
    if done < options.steps:
        photos = load(options.photos)
        print(len(photos), "photographs", flush=True)
        stream = iter(
            DataLoader(Pieces(photos, options.seed + done), options.batch, num_workers=options.workers)
        )
        start, losses, kept_at = time.monotonic(), [], time.monotonic()
        for step in range(done + 1, options.steps + 1):
            ramp = min(1.0, step / 300)
            fall = 0.5 * (1 + math.cos(math.pi * step / options.steps))
            for group in optimiser.param_groups:
                group["lr"] = options.rate * ramp * (0.02 + 0.98 * fall)
            given, asked = next(stream)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                answer = model(given.contiguous(memory_format=torch.channels_last))
            loss = functional.mse_loss(answer.float(), asked) / asked.pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            keep = min(0.998, step / (step + 50))
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep)
            losses.append(loss.item())
            if step % 100 == 0:
                speed = (step - done) / (time.monotonic() - start)
                print(f"{step} loss {np.mean(losses[-100:]):.4f} {speed:.2f} steps/s", flush=True)
            if time.monotonic() - kept_at > 120 or step == options.steps:
                kept_at = time.monotonic()
                state = {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "average": average,
                    "step": step,
                }
                torch.save(state, options.into.with_suffix(".part"))
                options.into.with_suffix(".part").replace(options.into)
    model.load_state_dict(average)
    if options.export:
        export(model, options.export)


if __name__ == "__main__":
    main()
