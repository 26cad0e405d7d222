"""Films and sounds for tests, made by the encoders that the wheel of PyAV brings; nothing is kept."""

from __future__ import annotations

import math
from fractions import Fraction
from io import BytesIO

import numpy as np

WIDTH, HEIGHT = 192, 128


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
    frames=30, rate=10, codec="libx264", container="mp4", times=None, sound=None, options=None, tags=None
):
    """Return a film's bytes; ``times`` are those of its frames in thousandths, for a variable rate."""
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as sink:
        sink.metadata.update(tags or {})
        video = sink.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        voice = sink.add_stream(sound, rate=16_000, layout="mono") if sound else None
        for n in range(frames):
            at = times[n] if times else n * 1000 // rate
            frame = av.VideoFrame.from_ndarray(scene(at / 1000), "rgb24")
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
