"""What a report's page shows of a film or a sound: frames or a wave over lanes of seconds, worked out in numbers."""

from __future__ import annotations

from typing import Any

from assay.provenance.report import Report
from assay.provenance.strip import Strip, Wave
from assay.provenance.timeline import Lane, Timeline, at, timeline

WIDTH, HEIGHT = 1000, 100
"""Of a lane and of a wave, in their own units; the page stretches them over its width."""
LEAST_WIDTH = 2.0
"""Least width of a stretch, so that a short one is seen."""
TICKS = 4
"""Parts into which the line of time is divided."""


def reel(report: Report, strip: Strip | None) -> dict[str, Any] | None:
    """Return what the template takes; None of pictures, and where nothing can be shown."""
    found = timeline(report, strip.seconds if strip else 0.0)
    if not found.lanes and not (strip and (strip.frames or strip.wave)):
        return None
    return {
        "frames": _frames(found, strip) if strip else (),
        "wave": _wave(strip.wave) if strip else "",
        "kind": str(report.asset.kind),
        "sound": bool(strip and strip.wave),
        "width": strip.width if strip else 0,
        "height": strip.height if strip else 0,
        "notes": strip.notes if strip else (),
        "length": clock(found.seconds),
        "seconds": found.seconds > 0,
        "ticks": [clock(found.seconds * n / TICKS) for n in range(TICKS + 1)],
        "lanes": [_lane(lane, found.seconds) for lane in found.lanes],
    }


def clock(seconds: float) -> str:
    """Return a time as ``7.5 s``, from a minute on without tenths: ``1:02:07``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _frames(found: Timeline, strip: Strip) -> list[dict[str, Any]]:
    shown = []
    for second, uri in strip.frames:
        values = {lane.kind: at(lane, second) for lane in found.lanes}
        said = []
        if values.get("mark") is not None:
            said.append("marked" if values["mark"] else "no mark")
        if values.get("original") == 0.0:
            said.append("not the original’s")
        shown.append(
            {
                "uri": uri,
                "time": clock(second),
                "said": ", ".join(said),
                "missing": values.get("mark") == 0.0 or values.get("original") == 0.0,
            }
        )
    return shown


def _wave(wave: Wave) -> str:
    """Return the path of a wave: along its highest samples, and back along its lowest."""
    if len(wave) < 2:
        return ""
    across = [WIDTH * n / (len(wave) - 1) for n in range(len(wave))]

    def down(value: float) -> float:
        return HEIGHT / 2 * (1 - value)

    above = [f"{x:.0f} {down(high) - 0.4:.1f}" for x, (_, high) in zip(across, wave, strict=True)]
    below = [f"{x:.0f} {down(low) + 0.4:.1f}" for x, (low, _) in zip(across, wave, strict=True)]
    return f"M{'L'.join((*above, *reversed(below)))}Z"


def _lane(lane: Lane, seconds: float) -> dict[str, Any]:
    def bar(start: float, stop: float, value: float) -> dict[str, str]:
        left = WIDTH * start / seconds
        height = HEIGHT * (max(0.02, value) if lane.kind == "score" else 1.0 if value else 0.25)
        return {
            "x": f"{left:.1f}",
            "width": f"{max(LEAST_WIDTH, WIDTH * stop / seconds - left):.1f}",
            "y": f"{HEIGHT - height:.1f}",
            "height": f"{height:.1f}",
            "held": "there" if value or lane.kind == "score" else "missing",
            "fill": "#000" if value and lane.kind != "score" else "#888",
        }

    return {
        "kind": lane.kind,
        "name": lane.name,
        "words": lane.words,
        "bars": [bar(span.start, span.stop, span.value) for span in lane.spans],
    }
