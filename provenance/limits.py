"""Every limit that hostile input meets, with its name and default."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file's processing; exceeding one raises ``LimitError`` and loses nothing."""

    file_bytes: int = 8192 * MIB
    """Largest file opened at all."""
    copied_bytes: int = 64 * MIB
    """Largest file that is examined in a private copy; a larger one where it lies, through one descriptor."""
    pixels: int = 200_000_000
    """Most pixels in one decoded picture (width × height), checked from the header before decoding."""
    side: int = 65_535
    """Longest side of a picture in pixels."""
    frames: int = 10_000
    """Most frames counted in an animation."""
    metadata_bytes: int = 16 * MIB
    """Most bytes kept from each of EXIF, XMP, ICC and text chunks."""
    manifest_bytes: int = 64 * MIB
    """Largest C2PA manifest store read or kept."""
    ingredient_depth: int = 32
    """Deepest ingredient chain followed."""
    string_chars: int = 2_000
    """Longest string from a file that is shown."""
    worker_seconds: float = 60.0
    """Wall-clock time a parsing worker may take for one file."""
    worker_cpu_seconds: int = 120
    """CPU time a parsing worker may take for one file."""
    worker_memory_bytes: int = 6144 * MIB
    """Address space a parsing worker may take."""
    answer_bytes: int = 4096 * MIB
    """Largest answer taken from a parsing worker."""
    stream_seconds: float = 14_400.0
    """Wall-clock time for one pass over a film or a sound, its receiver's work included."""
    stream_cpu_seconds: int = 28_800
    """CPU time a child may take for one pass over a film or a sound."""
    stall_seconds: float = 120.0
    """Longest time in which such a child may hand over nothing."""
    film_seconds: int = 6 * 3600
    """Longest film or sound decoded, in seconds."""
    film_frames: int = 1_300_000
    """Most frames decoded of one film: six hours of 60 a second."""
    film_pixels: int = 36_000_000
    """Most pixels of one frame (width × height): 8K."""
    streams: int = 32
    """Most streams of one film or sound."""
    channels: int = 16
    """Most channels of a sound."""
    sample_rate: int = 384_000
    """Most samples a second of a sound."""
    sandbox: tuple[str, ...] = ("landlock", "seccomp")
    """What the kernel is asked to take from a parsing worker; what it lacks is left out, and every report says so."""


DEFAULT_LIMITS = Limits()
