"""``assay watermark``: marks alone, without credentials or ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from assay.cli.door import emit, home_of, json_option, open_workspace, talk
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.provenance.mark import Extent, Reading
    from assay.provenance.protocols import Watermark
    from assay.provenance.subject import Subject

FILE = click.Path(path_type=Path)
DEFAULT = "hallmark"

watermark = LazyGroup(
    "watermark",
    help="Embed and read watermarks alone. A mark is a lead to a ledger entry, never a proof.",
    lazy={
        "embed": ("assay.cli.watermark:embed", "Hide an identifier in a picture, a film or a sound."),
        "read": ("assay.cli.watermark:read", "Read identifiers, or say that there is none."),
        "forecast": ("assay.cli.forecast:forecast", "Say what will outlast publication."),
        "bench": ("assay.cli.bench:bench", "Try schemes and their peers on photographs of yours."),
    },
)
KEYS = "file:PATH, env:NAME, or public: for the key that everybody knows."


@click.command()
@click.argument("source", type=FILE, metavar="IN")
@click.option("-o", "--out", required=True, type=FILE, help="The marked file.")
@click.option("--id", "identifier", metavar="HEX", help="The identifier.  [default: a random one]")
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@click.option(
    "--scheme", metavar="NAME", help="Scheme (see 'assay plugins').  [default: the workspace's, or hallmark]"
)
@click.option("--key", metavar="URI", help=f"Key: {KEYS}  [default: the workspace's first, or public:]")
@json_option
@click.pass_context
def embed(
    ctx: click.Context,
    source: Path,
    out: Path,
    identifier: str | None,
    force: bool,
    scheme: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Hide an identifier in a picture, a film's frames or a sound, and write it in the same format.

    Of a film and a sound all else is carried over as it is. The identifier has 16 hexadecimal digits with hallmark,
    film and soundmark, 32 with hallmark128, 64 with hallmark256.

    \b
    Examples:
      assay watermark embed photo.jpg -o marked.jpg --id 0123456789abcdef
      assay watermark embed photo.jpg -o marked.jpg --key file:mark.key
    """
    import secrets

    from assay.provenance.errors import UsageError
    from assay.provenance.files.atomic import atomic_output, refuse_same_file
    from assay.provenance.media import Kind
    from assay.provenance.subject import Subject

    refuse_same_file(source, out)
    with Subject.open(source) as subject:
        kind = subject.asset.kind if subject.asset.kind is Kind.IMAGE else subject.media().kind
        (mark,) = open_schemes(ctx, scheme, (key,) if key else (), kind=kind, writing=True)
        if kind not in mark.kinds:
            raise UsageError(
                f"{mark.scheme} marks no {kind}", hint="leave --scheme out, or see 'assay plugins'"
            )
        digits = mark.id_bits // 4
        chosen = (identifier or secrets.token_hex((digits + 1) // 2)[:digits]).lower()
        if len(chosen) != digits or any(c not in "0123456789abcdef" for c in chosen):
            raise UsageError(f"--id takes {digits} hexadecimal digits for {mark.scheme}")
        with atomic_output(out, overwrite=force) as stream:
            for note in _embedded(subject, mark, chosen, stream):
                talk(ctx, f"{out}: {note}")
    if as_json:
        emit({"path": str(source), "out": str(out), "scheme": mark.scheme, "id": chosen})
    else:
        click.echo(chosen)
        talk(ctx, f"{out}: carries {mark.scheme}:{chosen}")


def _embedded(subject: Subject, mark: Watermark, identifier: str, stream: BinaryIO) -> tuple[str, ...]:
    """Write the marked file into ``stream``; return in words what could not be kept."""
    from assay.provenance.files.refilm import refilm
    from assay.provenance.files.resound import resound
    from assay.provenance.files.write import encode_like
    from assay.provenance.media import Kind

    if subject.asset.kind is Kind.IMAGE:
        picture = subject.picture()
        stream.write(encode_like(picture, mark.embed(picture.media, identifier).frame()))
        return ()
    media = subject.media()
    write = refilm if media.kind is Kind.VIDEO else resound
    return write(subject.stream, subject.reel(), mark.embed(media, identifier), stream, subject.limits)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE…")
@click.option("--known", is_flag=True, help="Look for known generators' marks instead of ours.")
@click.option(
    "--scheme",
    metavar="NAME",
    help="Look for this scheme alone.  [default: those that the workspace reads, or all usual]",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="URI",
    help=f"A key to try, repeatable: {KEYS}  [default: the workspace's, or public:]",
)
@json_option
@click.pass_context
def read(
    ctx: click.Context,
    paths: tuple[Path, ...],
    known: bool,
    scheme: str | None,
    keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Read identifiers. Exit code 0 if every file carries one, 3 if some do not.

    Says with what probability chance alone would answer so, what was done to the picture since it was marked, as
    far as the mark tells, and in which parts of it the mark is missing.

    \b
    Examples:
      assay watermark read marked.jpg
      assay watermark read old.jpg --key file:keys/mark-2026 --key file:keys/mark-2025
      assay watermark read --known generated.png --json
    """
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError, UsageError
    from assay.provenance.plugins import load_plugin
    from assay.provenance.subject import Subject

    if known and (scheme or keys):
        raise UsageError("--known looks for others' marks, which have neither --scheme nor --key")
    marks: Any = load_plugin("assay.knownmarks", "imwatermark")() if known else None
    opened: dict[str, list[Watermark]] = {}
    codes = {0}
    for path in paths:
        try:
            with Subject.open(path) as subject:
                media = subject.picture().media if known else subject.media()
                if not known and media.kind not in opened:
                    opened[media.kind] = open_schemes(ctx, scheme, keys, kind=media.kind)
                reading: Reading = (
                    marks.read(media)[0] if known else first_found(opened[media.kind], media, locate=True)[1]
                )
        except UsageError:  # of the call, not of this file
            raise
        except AssayError as error:
            say(error)
            codes.add(error.exit_code)
            continue
        codes.add(0 if reading.found else 3)
        _show(path, reading, media.shape[:2], as_json)
    ctx.exit(next(c for c in (5, 4, 3, 0) if c in codes))


def open_schemes(
    ctx: click.Context, name: str | None, uris: tuple[str, ...], *, kind: str = "image", writing: bool = False
) -> list[Watermark]:
    """Open the schemes of a kind of media under the keys given; what is not given, the workspace says, if there is one.

    Raises UsageError where none of that name, or for that kind, is installed.
    """
    import os

    from assay.provenance.keys.signers import read_mark_key
    from assay.provenance.media import Kind
    from assay.provenance.plugins import open_watermark
    from assay.provenance.settings import FILM_MARK, READ_MARKS, SETTINGS, SOUND_MARK

    workspace = open_workspace(ctx) if (home_of(ctx) / SETTINGS).exists() else None
    if uris:
        keys = tuple(read_mark_key(uri, Path(), os.environ) for uri in uris)
    else:
        keys = workspace.mark_keys() if workspace else ()
    if name:
        return [open_watermark(name, keys, reading=not writing and not uris)]
    if kind != Kind.IMAGE:
        usual = {Kind.VIDEO: FILM_MARK, Kind.AUDIO: SOUND_MARK}[Kind(kind)]
        scheme = workspace.settings.scheme(Kind(kind)) if workspace else usual
        return [open_watermark(scheme, keys, reading=not writing)]
    if writing:
        return [open_watermark(workspace.settings.watermark if workspace else DEFAULT, keys)]
    names = workspace.settings.read_marks if workspace else READ_MARKS
    return [open_watermark(each, keys, reading=True) for each in names]


def first_found(schemes: list[Watermark], media: Any, *, locate: bool = False) -> tuple[Watermark, Reading]:
    """Return the first scheme that found a mark, and its reading; where none did, the first scheme's.

    ``locate`` asks where in the picture it is, of schemes that can say so.
    """
    from assay.provenance.listening import listen

    readings = []
    for scheme in schemes:
        readings.append(listen(scheme, media) if locate else scheme.read(media))
        if readings[-1].found:
            return scheme, readings[-1]
    return schemes[0], readings[0]


def _show(path: Path, reading: Reading, size: tuple[int, ...], as_json: bool) -> None:
    from assay.provenance.text import safe_text

    details = {"reason": reading.reason, **(reading.details or {})}
    if reading.frame:
        from assay.watermark.hallmark.posture import told

        details["pose"] = told(reading.frame, size[0], size[1], whole=reading.aligned)
    if as_json:
        emit(
            {
                "path": str(path),
                "found": reading.found,
                "scheme": reading.scheme,
                "id": reading.mark.id if reading.mark else None,
                "p_value": reading.p_value,
                "aligned": reading.aligned,
                "extent": reading.extent.to_json() if reading.extent else None,
                "details": details,
            }
        )
        return
    name = safe_text(path, 400)
    chance = "" if reading.p_value is None else f"  p={reading.p_value:.1e}"
    if not reading.mark:
        reason = "" if reading.reason in ("", "no mark") else f" ({safe_text(reading.reason)})"
        click.echo(f"{name}: no mark{reason}{chance}")
        return
    click.echo(f"{name}: {safe_text(reading.mark.id)}{chance}  {safe_text(reading.scheme)}")
    for line in _told(details, reading.extent):
        click.echo(f"  {safe_text(line, 200)}")


def _told(details: dict[str, Any], extent: Extent | None) -> list[str]:
    """Return in words what a reading says besides the identifier."""
    from assay.provenance.wording import HOLE_CAUTION, missing_sentence

    lines = []
    if details.get("pose"):
        lines.append(f"the picture: {details['pose']}")
    if details.get("listener"):
        lines.append(f"heard by the {details['listener']}, agreement {details.get('agreement', '?')}")
    if details.get("intervals"):
        spans = ", ".join(f"{start:.1f}–{stop:.1f}" for start, stop in details["intervals"])
        lines.append(f"the mark: in the seconds {spans}")
    missing = missing_sentence(extent)
    if missing:
        lines += [f"the mark: {missing[0].lower()}{missing[1:]}", HOLE_CAUTION]
    return lines
