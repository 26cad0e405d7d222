"""Films and sounds for tests, made by the encoders that the wheel of PyAV brings; nothing is kept."""

from __future__ import annotations

import math
from fractions import Fraction
from io import BytesIO

import numpy as np

WIDTH, HEIGHT = 512, 288


def scene(at, width=WIDTH, height=HEIGHT):
    """Return a frame, uint8 (height, width, 3): soft shapes that move with time, a red corner at the upper left."""
    y, x = np.mgrid[:height, :width]
    waves = [
        128 + 70 * np.sin(x / (9 + 3 * c) + at * (1 + c)) * np.cos(y / (7 + 2 * c) - at) for c in range(3)
    ]
    frame = np.clip(np.stack(waves, axis=2), 0, 255).astype(np.uint8)
    frame[: height // 4, : width // 4] = (220, 30, 30)
    return frame


def tone(seconds, rate=16_000, channels=1, seed=5):
    """Return a sound, float32 (n, channels) in steps of 16 bits: a chord under noise that swells and fades."""
    rng = np.random.default_rng(seed)
    at = np.arange(int(seconds * rate)) / rate
    chord = sum(np.sin(2 * math.pi * f * at * (1 + 0.1 * at)) for f in (220, 331, 440, 1250)) / 8
    noise = rng.normal(0, 0.05, len(at)) * (1 + np.sin(2 * math.pi * at / 3))
    made = np.stack([chord * (1 - 0.2 * c) + noise for c in range(channels)], axis=1)
    return (np.rint(made * 32768) / 32768).astype(np.float32)


def film(
    frames=30,
    rate=10,
    codec="libx264",
    container="mp4",
    times=None,
    sound=None,
    options=None,
    tags=None,
    form="yuv420p",
    first=0.0,
):
    """Return a film's bytes; ``times`` are those of its frames in thousandths, ``first`` what its first one shows."""
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as sink:
        sink.metadata.update(tags or {})
        video = sink.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, form
        video.codec_context.time_base = Fraction(1, 1000)
        voice = sink.add_stream(sound, rate=16_000, layout="mono") if sound else None
        for n in range(frames):
            at = times[n] if times else n * 1000 // rate
            frame = av.VideoFrame.from_ndarray(scene(first + at / 1000), "rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            sink.mux(video.encode(frame))
        sink.mux(video.encode(None))
        if voice is not None:
            frame = av.AudioFrame.from_ndarray(tone(frames / rate).reshape(1, -1), "flt", "mono")
            frame.sample_rate, frame.pts = 16_000, 0
            sink.mux(voice.encode(frame))
            sink.mux(voice.encode(None))
    return buffer.getvalue()


def turned(data):
    """Return an MP4 whose track says that its frames are shown turned clockwise by a quarter, as telephones write."""
    at = data.index(b"tkhd") + 4
    matrix = at + (40 if data[at] == 0 else 52)
    values = (0, 0x10000, 0, -0x10000, 0, 0, HEIGHT << 16, 0, 0x40000000)
    return data[:matrix] + b"".join((v & 0xFFFFFFFF).to_bytes(4, "big") for v in values) + data[matrix + 36 :]


def recording(
    seconds=6, codec="flac", container="flac", rate=16_000, channels=1, tags=None, bit_rate=None, seed=5
):
    """Return a recording's bytes."""
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as sink:
        sink.metadata.update(tags or {})
        layout = "mono" if channels == 1 else "stereo"
        voice = sink.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            voice.bit_rate = bit_rate
        samples = tone(seconds, rate, channels, seed)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts = rate, 0
        sink.mux(voice.encode(frame))
        sink.mux(voice.encode(None))
    return buffer.getvalue()


class Barcode:
    """A mark for tests, quick and plain to see: a strip of 64 black and white cells, or as many loud and soft bursts.

    Conforms to ``assay.provenance.protocols.Watermark`` for one kind.
    """

    id_bits = 64

    def __init__(self, kind):
        self.kinds = frozenset({kind})
        self.scheme = f"io.assay.barcode-{kind}.1"

    def embed(self, media, id):
        bits = np.array([int(b) for b in f"{int(id, 16):064b}"])

        def frames(passing):
            for at, frame in passing:
                frame[-8:] = np.repeat(bits * 255, frame.shape[1] // 64)[None, : frame.shape[1], None]
                yield at, frame

        def blocks(passing):
            for at, block in passing:
                slot = len(block) // 66
                burst = 0.5 * np.sin(2 * math.pi * 900 * np.arange(slot) / int(media.rate))
                for n, bit in enumerate((1, 0, *bits)):
                    block[n * slot : (n + 1) * slot] = burst[:, None] * bit
                yield at, block

        return media.changed(frames if media.kind == "video" else blocks)

    def read(self, media):
        from collections import Counter

        from assay.provenance.mark import Mark, Reading

        heard, end = Counter(), 0.0
        times = {}
        for at, chunk in media.timed():
            value, length = self._frame(chunk) if media.kind == "video" else self._block(chunk, media.rate)
            end = float(at) + length
            if value is not None:
                heard[value] += 1
                times.setdefault(value, []).append([float(at), end])
        best = heard.most_common(1)
        start = float(media.start)
        if not best:
            return Reading(self.scheme, None, 1.0, "no mark", {"intervals": [], "heard": [[start, end]]})
        spans = []
        for one, other in times[best[0][0]]:
            if spans and one - spans[-1][1] < 0.3:
                spans[-1][1] = other
            else:
                spans.append([one, other])
        details = {"intervals": spans, "heard": [[start, end]]}
        return Reading(self.scheme, Mark(self.scheme, best[0][0]), 1e-18, details=details)

    @staticmethod
    def _frame(frame):
        width = frame.shape[1] // 64
        cells = np.arange(64) * width + width // 2
        strip = frame[-6:-2, cells[cells < frame.shape[1]]].mean(axis=(0, 2))
        if len(strip) < 64 or np.minimum(strip, 255 - strip).max() > 60:
            return None, 0.1
        bits = "".join("1" if v > 128 else "0" for v in strip)
        return f"{int(bits, 2):016x}", 0.1

    @staticmethod
    def _block(block, rate):
        slot, length = len(block) // 66, len(block) / rate
        if not slot:
            return None, length
        inner = [block[int((n + 0.3) * slot) : int((n + 0.7) * slot)] for n in range(66)]
        loud = np.sqrt([2 * (part**2).mean() for part in inner])
        if not (loud[0] > 0.35 and loud[1] < 0.15) or (np.abs(loud - 0.25) < 0.1).any():
            return None, length
        return f"{int(''.join('1' if v > 0.25 else '0' for v in loud[2:]), 2):016x}", length
