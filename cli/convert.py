"""``assay models convert``: checkpoints that others published become models of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option, open_workspace, talk, waiting

if TYPE_CHECKING:
    from assay.detect.card import Setting

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("kind")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE…")
@click.option(
    "--into", type=FILE, metavar="DIR", help="Write card and weights to a new folder, and add nothing."
)
@click.option("--name", help="The model's name.  [default: KIND]")
@click.option(
    "--licence", default="", help="The weights' licence.  [default: its authors', where it is known]"
)
@click.option(
    "--crops", type=click.IntRange(1, 4096), default=9, show_default=True, help="Most crops of one picture."
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the network that is not as published; again for more.",
)
@click.option(
    "--safetensors", is_flag=True, help="Keep tensors, which torch runs, where ONNX could be written."
)
@json_option
@click.pass_context
def convert(
    ctx: click.Context, kind: str, files: tuple[Path, ...], into: Path | None, name: str | None, licence: str,
    crops: int, settings: tuple[str, ...], safetensors: bool, as_json: bool,
) -> None:  # fmt: skip
    """Turn a published detector's files into a model: card and weights, as ONNX or, where that cannot be, safetensors.

    KIND is cnndetection, npr, univfd, effort, community-forensics or dinov3; FILE its checkpoint, or backbone and head,
    as safetensors or .pth. Of a .pth only tensors are read, no other object. What is written is run, and
    its scores are compared with torch's. Needs torch (pip install 'assay[torch]'), and all but
    cnndetection and npr timm and transformers ('assay[backbones]'). The model has no calibration yet:
    'assay detect calibrate --fake' gives it a say.

    \b
    Examples:
      assay models convert cnndetection blur_jpg_prob0.1.pth
      assay models convert univfd clip.safetensors fc_weights.pth --into univfd
      assay models convert npr NPR.pth --licence MIT
    """
    from assay.cli.models import line_of, row_of
    from assay.detect.store import FOLDER, Store
    from assay.provenance.errors import AssayError, ConfigurationError

    try:
        from assay.detect.networks.adopt import adopt
    except ImportError as error:
        raise ConfigurationError(
            f"torch cannot be loaded: {error}", hint="pip install 'assay[torch]'"
        ) from error
    workspace = open_workspace(ctx)
    with waiting(ctx, "Reading, writing and comparing"):
        found = adopt(
            kind, files, name=name or kind, licence=licence, crops=crops, settings=_settings(settings),
            made=workspace.now().date(), onnx=not safetensors,
        )  # fmt: skip
    if found.reason:
        talk(ctx, f"kept as safetensors, which torch runs: {found.reason}")
    if into:
        _write(into, found.card.to_bytes(), found.card.weights.file, found.data)
        talk(ctx, f"wrote {into}; 'assay models add {into}' adds it")
        if as_json:
            emit(found.card.to_json())
        return
    try:
        with waiting(ctx, "Trying it out"):
            model = Store(workspace.home / FOLDER).add(found.card, found.data)
    except AssayError as error:
        error.path = error.path or str(files[0])
        raise
    if as_json:
        emit(row_of(model))
    else:
        click.echo(line_of(model))
    talk(
        ctx, "note: it has no calibration and weighs nothing; 'assay detect calibrate --fake' gives it a say"
    )


def _write(into: Path, card: bytes, name: str, data: bytes) -> None:
    from assay.detect.store import CARD
    from assay.provenance.files.atomic import atomic_output

    into.mkdir(parents=True, exist_ok=True)
    for file, content in ((name, data), (CARD, card)):
        with atomic_output(into / file) as stream:
            stream.write(content)


def _settings(given: tuple[str, ...]) -> dict[str, Setting]:
    """Return settings by name: numbers, true or false, else words."""
    from assay.provenance.errors import UsageError

    found: dict[str, Setting] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--setting takes NAME=VALUE, not {text[:40]!r}", hint="as side=384")
        found[name] = _value(value)
    return found


def _value(text: str) -> Setting:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
