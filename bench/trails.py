"""How often a cut and coded-again piece of a film or a sound is found by its trail, and laid in its place.

    python bench/trails.py --corpus FOLDER [--json FILE]

Films are those of FOLDER/detect/video; a piece is the middle 60 %, at most 3 seconds. Sounds are those of
FOLDER/detect/audio, joined source by source into recordings of 40 seconds; a piece is of 5, 10 or 20 seconds at a
random place. Each piece is coded again and then looked for among the trails of all originals of its kind: "words" says
how often the original was among the five entries that share most words, "followed" how often the piece was then found
to be of it, "false" how often of any other. Places are wrong by the seconds given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from assay.ledger.likeness import chroma
from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.ledger.likeness.follow import follow
from assay.ledger.likeness.trail import Trail
from assay.provenance.media import Media
from assay.provenance.subject import Subject

RATE = 16_000
RECORDING = 40
SOUNDS = {
    "MP3 64k": ("libmp3lame", "mp3", 24_000, 64_000),
    "Opus 24k": ("libopus", "ogg", 48_000, 24_000),
    "AAC 32k, 16 kHz": ("aac", "ipod", 16_000, 32_000),
}
FILMS = {"H.264 crf 32": (1.0, "32"), "half size, crf 28": (0.5, "28")}


def read_sound(source: Any) -> np.ndarray:
    """Return a file's sound, mono at 16 kHz."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts = []
    with av.open(source) as container:
        for frame in container.decode(audio=0):
            frame.pts = None
            parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def code_sound(samples: np.ndarray, codec: str, container: str, rate: int, bits: int) -> np.ndarray:
    """Return samples after a coding."""
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as sink:
        voice = sink.add_stream(codec, rate=rate, layout="mono")
        voice.bit_rate = bits
        resampler = av.AudioResampler(format=voice.codec_context.format.name, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1).astype(np.float32), "flt", "mono")
        frame.sample_rate, frame.pts = RATE, None
        for made in [*resampler.resample(frame), *resampler.resample(None)]:
            made.pts = None
            sink.mux(voice.encode(made))
        sink.mux(voice.encode(None))
    buffer.seek(0)
    return read_sound(buffer)


def sound_trail(samples: np.ndarray) -> Trail:
    """Return the trail of samples in memory."""
    media = Media.sound(samples[:, None].astype(np.float32), RATE)
    return Trail.of_sound(chroma.prints(media), len(samples) / RATE)


def recordings(folder: Path) -> list[np.ndarray]:
    """Return recordings of 40 seconds, each of one source."""
    found = []
    for source in sorted(p for p in folder.iterdir() if p.is_dir()):
        joined = np.concatenate([read_sound(str(f)) for f in sorted(source.iterdir())])
        step = RECORDING * RATE
        found += [joined[at : at + step] for at in range(0, len(joined) - step, step)]
    return found


def code_film(source: Path, target: Path, scale: float, crf: str, start: float, seconds: float) -> None:
    """Write a piece of a film, scaled and coded again."""
    import av

    with av.open(str(source)) as container, av.open(str(target), "w") as sink:
        old = container.streams.video[0]
        video = sink.add_stream("libx264", rate=old.average_rate, options={"crf": crf, "preset": "veryfast"})
        video.width, video.height = (int(n * scale) // 2 * 2 for n in (old.width, old.height))
        video.pix_fmt = "yuv420p"
        count = 0
        for frame in container.decode(old):
            at = float((frame.pts - (old.start_time or 0)) * frame.time_base)
            if start <= at <= start + seconds:
                small = frame.reformat(width=video.width, height=video.height, format="yuv420p")
                small.pts, small.time_base = count, 1 / old.average_rate
                count += 1
                sink.mux(video.encode(small))
        sink.mux(video.encode(None))


def judged(name: str, pieces: list[tuple[int, float, Trail]], originals: list[Trail]) -> dict[str, Any]:
    """Print and return one row: each piece is (its original, where it begins, its trail)."""
    words = [set(trail.words()) for trail in originals]
    found = followed = wrong = 0
    places = []
    for own, start, trail in pieces:
        asked = set(trail.words())
        votes = Counter({n: len(asked & w) for n, w in enumerate(words) if asked & w})
        found += own in [n for n, _ in votes.most_common(5)]
        for n, original in enumerate(originals):
            comparison = follow(trail, original)
            if n == own:
                followed += comparison.same
                if comparison.same and comparison.span:
                    places.append(abs(comparison.span[0] - start))
            else:
                wrong += comparison.same
    row = {
        "piece": name, "pieces": len(pieces), "words": found, "followed": followed, "false": wrong,
        "compared": len(pieces) * (len(originals) - 1),
        "place_median": round(float(np.median(places)), 2) if places else None,
        "place_worst": round(float(np.max(places)), 2) if places else None,
    }  # fmt: skip
    print(
        "{piece:32} {pieces:4}  words {words:4}  followed {followed:4}  false {false} of {compared:6}  "
        "place {place_median} s, at worst {place_worst} s".format(**row),
        flush=True,
    )
    return row


def main() -> None:
    """Make the pieces and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = []
    rng = np.random.default_rng(3)
    sounds = recordings(asked.corpus / "detect" / "audio")
    trails = [sound_trail(samples) for samples in sounds]
    for name, coding in SOUNDS.items():
        for seconds in (5, 10, 20):
            pieces = []
            for n, samples in enumerate(sounds):
                start = rng.uniform(2, RECORDING - seconds - 1)
                cut = samples[int(start * RATE) : int((start + seconds) * RATE)]
                pieces.append((n, start, sound_trail(code_sound(cut, *coding))))
            rows.append(judged(f"sound, {seconds} s, {name}", pieces, trails))
    films = sorted(p for p in (asked.corpus / "detect" / "video").rglob("*") if p.is_file())
    maker = PdqFingerprinter()

    def film_trail(path: Path, make: Any) -> Trail:
        with Subject.open(path) as subject:
            return Trail.from_bytes(make(subject.media()))

    kept = [film_trail(path, maker.sketch) for path in films]
    with tempfile.TemporaryDirectory() as folder:
        for name, (scale, crf) in FILMS.items():
            pieces = []
            for n, path in enumerate(films):
                start, target = 0.25 * kept[n].seconds, Path(folder) / "piece.mp4"
                code_film(path, target, scale, crf, start, min(3, 0.6 * kept[n].seconds))
                pieces.append((n, start, film_trail(target, maker.trail)))
            rows.append(judged(f"film, up to 3 s, {name}", pieces, kept))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
