"""``assay detect scan`` and ``assay detect explain``: what detectors alone think of pictures, and where."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import console, emit, home_of, is_quiet, json_option, progress, talk

if TYPE_CHECKING:
    from assay.provenance.opinion import Opinion
    from assay.provenance.protocols import Detector, ExplainingDetector, TimedDetector

FILE = click.Path(path_type=Path)
UNREADABLE = 4


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE…")
@json_option
@click.pass_context
def scan(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Say what the detectors alone think of pictures, films and sounds.

    The score goes from 0 (like photographs) to 1 (like generated pictures); 0.5 says nothing. It is a leaning with
    a known rate of false alarms, never a proof, and it is silent about files it was not made for.

    \b
    Examples:
      assay detect scan photo.jpg
      assay detect scan clip.mp4
      assay detect scan --json incoming/*.jpg > scores.jsonl
    """
    opened: dict[str, Detector | TimedDetector] = {}
    failed = False
    with progress(ctx, "scanning", len(files)) as done:
        for path in files:
            document, opinion = _examined(ctx, opened, path)
            failed |= opinion is None
            if as_json:
                emit(document)
            else:
                _show(ctx, path, opinion, document)
            done()
    if failed:
        ctx.exit(UNREADABLE)


@click.command()
@click.argument("file", type=FILE, metavar="FILE")
@click.option(
    "-o", "--out", type=FILE, help="Write a PNG: the picture with its crops coloured by their score."
)
@click.option(
    "--spectrum",
    type=FILE,
    metavar="FILE.svg",
    help="Write a plot: its radial spectrum beside the usual one.",
)
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@json_option
@click.pass_context
def explain(
    ctx: click.Context, file: Path, out: Path | None, spectrum: Path | None, force: bool, as_json: bool
) -> None:
    """Say why: which statistics move the score, how each crop scores, and the picture's spectrum.

    \b
    Examples:
      assay detect explain photo.jpg
      assay detect explain photo.jpg -o map.png --spectrum spectrum.svg
    """
    detector = _detector(ctx)
    with _picture(file) as picture:
        found = detector.explain(picture)
        drawing = detector.draw(picture, found.opinion) if out else b""
    if out:
        _write(ctx, out, drawing, force)
    if spectrum:
        from assay.provenance.page import spectrum_svg

        svg = spectrum_svg(found.spectrum) if found.spectrum else ""
        if svg:
            _write(ctx, spectrum, svg.encode(), force)
        else:
            talk(ctx, f"no spectrum to plot: {found.opinion.reason or 'no detector here measures one'}")
    if as_json:
        emit({"path": str(file), **found.to_json()})
        return
    _show(ctx, file, found.opinion, {})
    for sentence in found.reasons:
        click.echo(f"  {sentence}")


def _detector(ctx: click.Context) -> ExplainingDetector:
    from assay.detect.plugin import open_detector

    return open_detector(home_of(ctx), time.perf_counter)


def _write(ctx: click.Context, path: Path, data: bytes, force: bool) -> None:
    from assay.provenance.files.atomic import atomic_output

    with atomic_output(path, overwrite=force) as stream:
        stream.write(data)
    talk(ctx, f"wrote {path}")


@contextmanager
def _picture(path: Path) -> Iterator[Any]:
    from assay.provenance.subject import Subject

    with Subject.open(path) as subject:
        yield subject.picture()


def _examined(
    ctx: click.Context, opened: dict[str, Detector | TimedDetector], path: Path
) -> tuple[dict[str, object], Opinion | None]:
    """Return what is said of a file, as a document and as an opinion; ``opened`` keeps detectors by kind."""
    from assay.provenance.errors import AssayError, ConfigurationError
    from assay.provenance.media import Kind
    from assay.provenance.protocols import TimedDetector
    from assay.provenance.subject import Subject

    base: dict[str, object] = {"path": str(path), "kind": "image", "detector": "image"}
    try:
        with Subject.open(path) as subject:
            timed = subject.asset.kind in (Kind.VIDEO, Kind.AUDIO)
            media = subject.media() if timed else subject.picture().media
            base |= {"kind": str(media.kind), "detector": str(media.kind)}
            if media.kind not in opened:
                opened[media.kind] = _of(ctx, media.kind)
            detector = opened[media.kind]
            base["detector"] = detector.name
            if isinstance(detector, TimedDetector):
                opinion = detector.examine_media(media)
            else:
                opinion = detector.examine(subject.picture())
    except ConfigurationError:
        raise
    except AssayError as error:
        return {**base, "status": "error", "reason": str(error)}, None
    return {**base, **opinion.to_json()}, opinion


def _of(ctx: click.Context, kind: str) -> Detector | TimedDetector:
    """Open the detector of a kind of media; raises UnsupportedError where there is none."""
    from assay.provenance.errors import UnsupportedError
    from assay.provenance.media import Kind
    from assay.provenance.plugins import detectors_of, open_detector

    if kind == Kind.IMAGE:
        return _detector(ctx)
    name = next(iter(detectors_of(Kind(kind))), None)
    if name is None:
        raise UnsupportedError(f"there is no detector for {kind}")
    return open_detector(name, home_of(ctx), time.perf_counter)


def _show(ctx: click.Context, path: Path, opinion: Opinion | None, document: dict[str, object]) -> None:
    from assay.provenance.text import safe_text

    screen = console()
    name = safe_text(str(path))
    if opinion is None:
        screen.print(f"{name}: {safe_text(str(document['reason']))}", markup=False, highlight=False)
        return
    if opinion.score is None:
        screen.print(f"{name}: no opinion: {opinion.reason}", markup=False, highlight=False)
        return
    words = " ".join(opinion.says)
    screen.print(f"{name}: {opinion.score:.2f}  {words}", markup=False, highlight=False)
    if not is_quiet(ctx) and opinion.regions:
        low, high = (f(r.logit for r in opinion.regions) for f in (min, max))
        screen.print(
            f"  crops {len(opinion.regions)}, logits {low:+.1f} to {high:+.1f}", markup=False, highlight=False
        )
    if not is_quiet(ctx) and opinion.moments:
        said = ", ".join(f"{m.start:.1f}-{m.stop:.1f} s {m.score:.2f}" for m in opinion.moments)
        screen.print(f"  {said}", markup=False, highlight=False)
