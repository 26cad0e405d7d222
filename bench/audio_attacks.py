"""What is done to a marked recording: codecs by PyAV, resampling, noise, echo, filters, changes of speed and tempo.

All take samples, float32 (n, channels), and their rate, and return samples and rate. bench/audio_mark.py uses them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

Sound = NDArray[np.float32]
Heard = tuple[Sound, int]
Attack = Callable[[Sound, int], Heard]

MP3_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
CROP_FROM, CROP_SECONDS = 2.37, 5.0
ECHO_SECONDS, ECHO_GAIN = 0.1, 0.3


def resampled(sound: Sound, rate: int, new: int) -> Heard:
    if rate == new:
        return sound, rate
    ratio = Fraction(new, rate)
    return resample_poly(sound, ratio.numerator, ratio.denominator, axis=0).astype(np.float32), new


def _layout(sound: Sound) -> str:
    return "mono" if sound.shape[1] == 1 else "stereo"


def coded(sound: Sound, rate: int, container: str, codec: str, bits: int) -> Heard:
    """Encode and decode again."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=_layout(sound))
        stream.bit_rate = bits
        planes = np.ascontiguousarray(np.clip(sound, -1, 1).T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=_layout(sound))
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    file.seek(0)
    pieces = []
    with av.open(file) as source:
        resampler = av.AudioResampler(format="fltp")
        for frame in source.decode(audio=0):
            rate = frame.sample_rate
            pieces += [piece.to_ndarray().T for piece in resampler.resample(frame)]
    return np.concatenate(pieces).astype(np.float32), rate


def mp3(bits: int) -> Attack:
    def attack(sound: Sound, rate: int) -> Heard:
        return coded(*(resampled(sound, rate, 16000) if rate not in MP3_RATES else (sound, rate)),
                     "mp3", "libmp3lame", bits)  # fmt: skip

    return attack


def opus(bits: int) -> Attack:
    return lambda sound, rate: coded(*resampled(sound, rate, 48000), "ogg", "libopus", bits)


def noise(decibels: float) -> Attack:
    """White noise, so many decibels below the sound."""

    def attack(sound: Sound, rate: int) -> Heard:
        deviation = np.sqrt((sound**2).mean()) * 10 ** (-decibels / 20)
        drawn = np.random.default_rng(1).standard_normal(sound.shape, np.float32)
        return sound + drawn * np.float32(deviation), rate

    return attack


def echo(sound: Sound, rate: int) -> Heard:
    late = int(rate * ECHO_SECONDS)
    heard = sound.copy()
    heard[late:] += np.float32(ECHO_GAIN) * sound[:-late]
    return heard, rate


def gain(decibels: float) -> Attack:
    """Made louder, cut at full scale, or softer."""
    return lambda sound, rate: (np.clip(sound * np.float32(10 ** (decibels / 20)), -1, 1), rate)


def passed(hertz: float, kind: str) -> Attack:
    """A Butterworth filter of order 6; nothing where the rate has nothing up there."""

    def attack(sound: Sound, rate: int) -> Heard:
        if hertz >= 0.49 * rate:
            return sound, rate
        return sosfilt(butter(6, hertz, kind, fs=rate, output="sos"), sound, axis=0).astype(np.float32), rate

    return attack


def speed(factor: float) -> Attack:
    """Played faster: shorter and higher."""

    def attack(sound: Sound, rate: int) -> Heard:
        ratio = Fraction(factor).limit_denominator(200)
        return resample_poly(sound, ratio.denominator, ratio.numerator, axis=0).astype(np.float32), rate

    return attack


def tempo(factor: float) -> Attack:
    """FFmpeg's ``atempo``: shorter at the same pitch."""

    def attack(sound: Sound, rate: int) -> Heard:
        graph = av.filter.Graph()
        layout = _layout(sound)
        source = graph.add_abuffer(
            sample_rate=rate, format="fltp", layout=layout, time_base=Fraction(1, rate)
        )
        stretch, sink = graph.add("atempo", str(factor)), graph.add("abuffersink")
        source.link_to(stretch)
        stretch.link_to(sink)
        graph.configure()
        pieces = []
        # What comes out may be packed: channels side by side.
        resampler = av.AudioResampler(format="fltp")
        for start in (*range(0, len(sound), 4096), None):
            frame = None
            if start is not None:
                planes = np.ascontiguousarray(sound[start : start + 4096].T)
                frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            source.push(frame)
            while True:
                try:
                    pieces += [piece.to_ndarray() for piece in resampler.resample(sink.pull())]
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
        return np.concatenate(pieces, axis=1).T.astype(np.float32), rate

    return attack


def crop(sound: Sound, rate: int) -> Heard:
    start = int(CROP_FROM * rate)
    return sound[start : start + int(CROP_SECONDS * rate)], rate


MUST: dict[str, Attack] = {
    "none": lambda sound, rate: (sound, rate),
    "MP3 64k": mp3(64_000),
    "AAC 64k": lambda sound, rate: coded(sound, rate, "adts", "aac", 64_000),
    "Opus 24k": opus(24_000),
    "resampled to 16k": lambda sound, rate: resampled(sound, rate, 16000),
    "resampled to 8k": lambda sound, rate: resampled(sound, rate, 8000),
    "noise 20 dB": noise(20),
    "echo 100 ms": echo,
    "+6 dB": gain(6),
    "-6 dB": gain(-6),
    "high-pass 500": passed(500, "high"),
    "low-pass 4k": passed(4000, "low"),
    "speed +3 %": speed(1.03),
    "speed -3 %": speed(0.97),
    "tempo +2 %": tempo(1.02),
    "tempo -2 %": tempo(0.98),
    "crop to 5 s": crop,
}
"""The attacks that a mark of ten seconds must outlast."""
BEYOND: dict[str, Attack] = {
    "MP3 32k": mp3(32_000),
    "noise 15 dB": noise(15),
    "speed +5 %": speed(1.05),
    "speed -5 %": speed(0.95),
    "tempo +5 %": tempo(1.05),
    "tempo -5 %": tempo(0.95),
    "MP3 64k, crop to 5 s": lambda sound, rate: crop(*mp3(64_000)(sound, rate)),
}
"""Attacks beyond what it must."""
