"""Train the small network that hears tiles (watermark/sound/listener.py).

    python bench/train_listener.py CLIPS OUT.npy [--music N] [--speech N] [--epochs E] [--seed S]

CLIPS has the folders ``music`` and ``speech`` with sound files, named SOURCE-NUMBER.flac: development sources only
(bench/sounds.json). Every tile of every clip is made louder or softer at random, so that no key is learnt; the clip
is attacked at random; the network learns the odds from what is heard. The learning is not reproducible to the bit.
Needs torch. Published: 200 clips of music and 150 of speech, 14 epochs, 50 s of one core, by this script's first form,
which drew the same clips' sources in another order: this one makes a listener like it, not the same.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from audio_attacks import Sound, mp3, noise, opus, resampled, speed
from audio_mark import clips, load
from torch import nn

from assay.watermark.sound.lattice import BANDS, RATE, SLOT
from assay.watermark.sound.listener import SEEN, WIDTHS, Levels
from assay.watermark.sound.spectrum import canonical, gain, power, restored, sound_of, spectra, tile_power

HIGHEST_RATE, WORKING_RATE = 32000, 24000
DEEPEST = 0.5
HELD_BACK = 24
BATCH = 4096


def marked(sound: Sound, rate: int, rng: np.random.Generator) -> tuple[Sound, np.ndarray]:
    """Return sound in which every tile was changed at random, and the signs (slots, BANDS)."""
    whole = canonical(sound, rate)
    heard = power(whole)
    tiles = tile_power(heard)
    slots = len(tiles) // SLOT + 1
    own = tiles[np.minimum(np.arange(slots) * SLOT + SLOT // 2, len(tiles) - 1)]
    signs = rng.choice(np.array([-1, 1], np.float32), size=(slots, BANDS))
    shape = (own.mean() / (own + 1e-6 * own.mean() + 1e-12)) ** (rng.uniform(0.7, 1.1) / 2)
    budget = 10 ** (-rng.uniform(28, 32) / 10) * float(heard.sum()) / SLOT
    low, high = 1e-4, 3.0
    for _ in range(22):
        middle = float(np.sqrt(low * high))
        spent = float((np.minimum(middle * shape, DEEPEST) ** 2 * own).sum())
        low, high = (low, middle) if spent > budget else (middle, high)
    grown = np.expm1(gain(np.minimum(low * shape, DEEPEST) * signs, len(heard)))
    extra = restored(sound_of(spectra(whole[:, 0]) * grown, len(whole))[:, None], rate)
    result = sound.copy()
    result[: len(extra)] += extra[: len(sound)]
    return result, signs


def attacked(sound: Sound, rate: int, rng: np.random.Generator) -> tuple[Sound, int, float]:
    """Return attacked sound, its rate, and the factor by which it was played faster."""
    draw = rng.random()
    if draw < 0.15:
        return sound, rate, 1.0
    if draw < 0.45:
        return *noise(rng.uniform(14, 24))(sound, rate), 1.0
    if draw < 0.58:
        return *mp3(int(rng.choice([32000, 64000])))(sound, rate), 1.0
    if draw < 0.75:
        return *opus(24000)(sound, rate), 1.0
    if draw < 0.85:
        factor = float(rng.choice([0.95, 0.97, 1.03, 1.05]))
        return *speed(factor)(sound, rate), factor
    late = sound.copy()
    late[rate // 10 :] += np.float32(rng.uniform(0.1, 0.4)) * sound[: -(rate // 10)]
    return late, rate, 1.0


def lessons(files: list[Path], rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what the network sees and whether the tile was louder, for each clip."""
    learnt = []
    for file in files:
        sound, rate = load(file)
        sound = sound.mean(axis=1, keepdims=True)
        if rate > HIGHEST_RATE:
            sound, rate = resampled(sound, rate, WORKING_RATE)
        changed, signs = marked(sound, rate, rng)
        heard, at, factor = attacked(changed, rate, rng)
        inside = np.arange(2, len(signs) - 3)
        # A reader knows the place to about a frame.
        places = (inside + 0.5) * SLOT / factor + rng.uniform(-1, 1)
        seen = Levels(power(canonical(heard, at)), factor).patches(places.astype(np.float32))
        learnt.append((seen.astype(np.float16).reshape(-1, SEEN), (signs[inside] > 0).reshape(-1)))
    return learnt


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--music", type=int, default=200)
    parser.add_argument("--speech", type=int, default=150)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    assert RATE <= WORKING_RATE
    rng = np.random.default_rng(arguments.seed)
    files = clips(arguments.clips / "music", arguments.music)
    files += clips(arguments.clips / "speech", arguments.speech)
    rng.shuffle(files)  # type: ignore[arg-type]
    learnt = lessons(files, rng)
    seen = torch.from_numpy(np.concatenate([pair[0] for pair in learnt]))
    louder = torch.from_numpy(np.concatenate([pair[1] for pair in learnt]).astype(np.float32))
    count = sum(len(pair[1]) for pair in learnt[:-HELD_BACK])

    torch.manual_seed(arguments.seed)
    first, second, last = WIDTHS
    network = nn.Sequential(
        nn.Linear(SEEN, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, last)
    )
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-3)
    steps = count // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=arguments.epochs * steps)
    loss_of = nn.functional.binary_cross_entropy_with_logits
    for epoch in range(arguments.epochs):
        order, total = torch.randperm(count), 0.0
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            loss = loss_of(network(seen[chosen].float())[:, 0], louder[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        with torch.no_grad():
            held = loss_of(network(seen[count:].float())[:, 0], louder[count:]).item()
        print(f"epoch {epoch}: loss {total / steps:.4f}, on clips held back {held:.4f}", flush=True)
    weights = [parameter.detach().numpy().reshape(-1) for parameter in network.parameters()]
    np.save(arguments.out, np.concatenate(weights).astype(np.float16))
    print("SHA-256", hashlib.sha256(arguments.out.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
