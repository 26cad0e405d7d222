"""``assay watermark``: marks alone, without credentials or ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import emit, json_option, talk
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.provenance.mark import Reading
    from assay.provenance.protocols import Watermark

FILE = click.Path(path_type=Path)
DEFAULT = "dwtdctsvd"

watermark = LazyGroup(
    "watermark",
    help="Embed and read watermarks alone. A mark is a lead to a ledger entry, never a proof.",
    lazy={
        "embed": ("assay.cli.watermark:embed", "Hide an identifier in a picture."),
        "read": ("assay.cli.watermark:read", "Read identifiers, or say that there is none."),
        "bench": ("assay.cli.bench:bench", "Try schemes and their peers on photographs of yours."),
    },
)
scheme_option = click.option(
    "--scheme", default=DEFAULT, show_default=True, help="Scheme (see 'assay plugins')."
)


def _scheme(name: str) -> Watermark:
    from assay.provenance.workspace import load_plugin

    scheme: Watermark = load_plugin("assay.watermarks", name)()
    return scheme


@click.command()
@click.argument("source", type=FILE, metavar="IN")
@click.option("-o", "--out", required=True, type=FILE, help="The marked picture.")
@click.option("--id", "identifier", metavar="HEX", help="The identifier.  [default: a random one]")
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@scheme_option
@json_option
@click.pass_context
def embed(
    ctx: click.Context,
    source: Path,
    out: Path,
    identifier: str | None,
    force: bool,
    scheme: str,
    as_json: bool,
) -> None:
    """Hide an identifier in a picture and write it in the same format.

    \b
    Example:
      assay watermark embed photo.jpg -o marked.jpg --id 0123456789ab
    """
    import secrets

    from assay.provenance.errors import UsageError
    from assay.provenance.files.atomic import atomic_output, refuse_same_file
    from assay.provenance.files.write import encode_like
    from assay.provenance.subject import Subject

    refuse_same_file(source, out)
    mark = _scheme(scheme)
    digits = mark.id_bits // 4
    chosen = (identifier or secrets.token_hex((digits + 1) // 2)[:digits]).lower()
    if len(chosen) != digits or any(c not in "0123456789abcdef" for c in chosen):
        raise UsageError(f"--id takes {digits} hexadecimal digits for {mark.scheme}")
    with Subject.open(source) as subject:
        picture = subject.picture()
        data = encode_like(picture, mark.embed(picture.media, chosen).frame())
    with atomic_output(out, overwrite=force) as stream:
        stream.write(data)
    if as_json:
        emit({"path": str(source), "out": str(out), "scheme": mark.scheme, "id": chosen})
    else:
        click.echo(chosen)
        talk(ctx, f"{out}: carries {mark.scheme}:{chosen}")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE…")
@click.option("--known", is_flag=True, help="Look for known generators' marks instead of ours.")
@scheme_option
@json_option
@click.pass_context
def read(ctx: click.Context, paths: tuple[Path, ...], known: bool, scheme: str, as_json: bool) -> None:
    """Read identifiers. Exit code 0 if every file carries one, 3 if some do not.

    \b
    Examples:
      assay watermark read marked.jpg
      assay watermark read --known generated.png --json
    """
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError
    from assay.provenance.subject import Subject
    from assay.provenance.workspace import load_plugin

    marks: Any = load_plugin("assay.knownmarks", "imwatermark")() if known else _scheme(scheme)
    codes = {0}
    for path in paths:
        try:
            with Subject.open(path) as subject:
                media = subject.picture().media
                answer = marks.read(media)
                reading: Reading = answer[0] if known else answer
        except AssayError as error:
            say(error)
            codes.add(error.exit_code)
            continue
        codes.add(0 if reading.found else 3)
        _show(path, reading, as_json)
    ctx.exit(next(c for c in (5, 4, 3, 0) if c in codes))


def _show(path: Path, reading: Reading, as_json: bool) -> None:
    from assay.provenance.text import safe_text

    if as_json:
        emit(
            {
                "path": str(path),
                "found": reading.found,
                "scheme": reading.scheme,
                "id": reading.mark.id if reading.mark else None,
                "p_value": reading.p_value,
                "details": {"reason": reading.reason, **(reading.details or {})},
            }
        )
        return
    answer = reading.mark.id if reading.mark else f"no mark ({reading.reason or 'nothing found'})"
    chance = "" if reading.p_value is None else f"  p={reading.p_value:.1e}"
    click.echo(f"{safe_text(path, 400)}: {safe_text(answer)}{chance}")
