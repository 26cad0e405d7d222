"""``assay models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import emit, home_of, json_option, open_workspace, talk, waiting
from assay.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from assay.detect.card import Card, Figure
    from assay.detect.store import Model, Store

models = LazyGroup(
    "models",
    help="Detector models: each a card and its weights, whose SHA-256 is checked whenever they are used.",
    lazy={
        "list": ("assay.cli.models:list_", "List the models, shipped ones and your own."),
        "show": ("assay.cli.models:show", "Show a model's card in words."),
        "add": ("assay.cli.models:add", "Add a model of your own."),
        "convert": ("assay.cli.convert:convert", "Make a model of a published checkpoint."),
        "verify": ("assay.cli.models:verify", "Check that models are what their cards say."),
        "remove": ("assay.cli.models:remove", "Remove a model of your own."),
    },
)
EXIT_CHANGED = 5
WIDTH = 100
"""Columns of the sentences of a card."""


def _store(ctx: click.Context) -> Store:
    from assay.detect.store import FOLDER, Store

    return Store(home_of(ctx) / FOLDER)


@click.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the models by name, with what they judge by and whether their answers weigh.

    A model without calibration shows its score and weighs nothing; 'assay detect calibrate --fake' gives it a say.
    """
    found = _store(ctx).models()
    for model in found:
        if as_json:
            emit(row_of(model))
        else:
            click.echo(line_of(model))
    if not found:
        talk(ctx, "no models: 'assay models add' takes one")


@click.command()
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show a model's card: what it was made from, how it is weighed, what was measured, where it fails.

    \b
    Example:
      assay models show residual
    """
    model = _store(ctx).find(name)
    if as_json:
        emit({**model.card.to_json(), "origin": _origin(model), "path": str(model.path)})
    else:
        _show(model)


@click.command()
@click.argument("path", type=click.Path(), metavar="FILE|URL")
@click.option("--online", is_flag=True, help="Fetch the weights: FILE is an https URL. Needs --sha256.")
@click.option("--sha256", metavar="HEX", help="SHA-256 of the weights that are fetched.")
@click.option("--name", help="The model's name.  [default: its card's]")
@click.option(
    "--kind",
    type=click.Choice(["image", "video"]),
    default="image",
    show_default=True,
    help="What it judges; for weights without a card.",
)
@click.option(
    "--side", type=click.IntRange(1, 4096), help="Side of its crops in pixels; for weights without a card."
)
@click.option(
    "--crops",
    type=click.IntRange(1, 4096),
    default=9,
    show_default=True,
    help="Most crops of one picture; for weights without a card.",
)
@click.option(
    "--family",
    default="other",
    show_default=True,
    help="By what it judges, as residual or semantic; for weights without a card.",
)
@click.option(
    "--architecture",
    default="unknown",
    show_default=True,
    help="The network's name; for weights without a card.",
)
@click.option("--licence", help="The weights' licence; for weights without a card.")
@click.option("--replace", is_flag=True, help="Put it in the place of a model of the same name.")
@json_option
@click.pass_context
def add(
    ctx: click.Context, /, path: str, online: bool, sha256: str | None, name: str | None, replace: bool, as_json: bool,
    **about: Any,
) -> None:  # fmt: skip
    """Add a model: a card, the folder of one, or weights alone.

    A card (docs/formats/model.md) has its weights beside it. Weights alone, ONNX or safetensors, get a card without
    calibration, for which --name, --side and --licence are needed; such a model is shown and weighs nothing.

    Pickles (.pt, .pth, .bin) are programs and never opened. An ONNX network takes "crops" (n, 3, side, side), RGB 0..1,
    gives "logit" (n), and is run once on noise before it is added.

    \b
    Examples:
      assay models add ./stronger/card.json
      assay models add probe.onnx --name probe --side 224 --licence MIT
      assay models add https://example.org/p.onnx --online --sha256 HEX --name p --side 224 --licence MIT
    """
    from dataclasses import replace as changed

    from assay.detect.card import MAX_WEIGHTS_BYTES, NAME
    from assay.detect.fetch import fetch_weights
    from assay.detect.store import FOLDER, Store, bare_card, is_card, read_card, read_file
    from assay.provenance.errors import AssayError, UsageError

    workspace = open_workspace(ctx)
    if name and not NAME.fullmatch(name):
        raise UsageError(f"unusable name {name!r}", hint="lower-case letters, digits, '.', '_' and '-'")
    if path.startswith("https://") and not (online and sha256):
        raise UsageError(
            "the network is asked only with --online, and --sha256 of the file", hint="its publisher names it"
        )
    try:
        if not online and is_card(Path(path)):
            card, data = read_card(Path(path))
            card = changed(card, name=name) if name else card
        elif not (name and about["side"] and about["licence"]):
            raise UsageError(
                "weights without a card need --name, --side and --licence",
                hint="or write a card: docs/formats/model.md",
            )
        else:
            with waiting(ctx, "Reading the weights"):
                data = (
                    fetch_weights(path, sha256 or "") if online else read_file(Path(path), MAX_WEIGHTS_BYTES)
                )
            card = bare_card(data, name=name, made=str(workspace.now().date()), **about)
        with waiting(ctx, "Trying it out"):
            model = Store(workspace.home / FOLDER).add(card, data, replace=replace)
    except AssayError as error:
        error.path = error.path or path
        raise
    if as_json:
        emit(row_of(model))
    else:
        click.echo(line_of(model))
    if model.card.calibration is None:
        talk(
            ctx,
            "note: it has no calibration and weighs nothing; 'assay detect calibrate --fake' gives it a say",
        )


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@json_option
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Read cards and weights again and check them: SHA-256, format, inputs and outputs. Exits with 5 if one is wrong.

    Without a NAME all models are checked.

    \b
    Examples:
      assay models verify
      assay models verify probe --json
    """
    from assay.provenance.errors import ConfigurationError
    from assay.provenance.text import safe_text

    store = _store(ctx)
    bad = False
    for name in names or store.names():
        problem = ""
        try:
            store.verify(name)
        except ConfigurationError as error:
            problem, bad = str(error), True
        if as_json:
            emit({"name": name, "ok": not problem, "problem": problem})
        else:
            click.echo(f"{name:20} {safe_text(problem, 600) or 'ok'}")
    if bad:
        ctx.exit(EXIT_CHANGED)


@click.command()
@click.argument("name")
@click.pass_context
def remove(ctx: click.Context, name: str) -> None:
    """Remove a model of your own; a shipped one whose place it took is used again.

    \b
    Example:
      assay models remove probe
    """
    _refuse_weighed(ctx, name)
    _store(ctx).remove(name)
    talk(ctx, f"removed {name}")


def _refuse_weighed(ctx: click.Context, name: str) -> None:
    """Raise UsageError where the workspace's own panel weighs a model: without it that panel would be silent."""
    from assay.detect.panels import read_fusion
    from assay.detect.store import FOLDER, PANEL_FILE, Store
    from assay.provenance.errors import ConfigurationError, UsageError

    try:
        weights = read_fusion(home_of(ctx) / FOLDER / PANEL_FILE).weights
    except ConfigurationError:  # there is none, or none that weighs anything
        return
    if name in weights and name not in Store().names():
        raise UsageError(
            f"your panel of detectors weighs {name!r}",
            hint="'assay detect calibrate --reset' first, then calibrate again",
        )


def _origin(model: Model) -> str:
    return "shipped" if model.shipped else "own"


def row_of(model: Model) -> dict[str, Any]:
    """Return what is said of a model as JSON."""
    card = model.card
    return {
        "name": card.name,
        "version": card.version,
        "kind": card.kind,
        "family": card.family,
        "architecture": card.architecture,
        "origin": _origin(model),
        "calibration": card.calibration.id if card.calibration else None,
        "format": card.weights.format,
        "bytes": card.weights.bytes,
        "sha256": card.weights.sha256,
        "licence": card.licence,
        "path": str(model.path),
    }


def line_of(model: Model) -> str:
    """Return what is said of a model on one line."""
    from assay.provenance.text import safe_text

    card = model.card
    weighs = "calibrated" if card.calibration else "uncalibrated"
    return (
        f"{card.name:20} {card.version:8} {card.kind:6} {card.family:14} {_origin(model):8} {weighs:12} "
        f"{card.weights.bytes / 1e6:8.2f} MB  sha256:{card.weights.sha256[:16]}  {safe_text(card.licence, 80)}"
    )


def _show(model: Model) -> None:
    card, given = model.card, model.card.input
    settings = ", ".join(f"{name} {value}" for name, value in card.settings.items())
    size = f" of {given.length} numbers" if given.length else ""
    facts = {
        "model": f"{card.name} {card.version}, {_origin(model)}, made {card.made}",
        "judges": f"{card.kind}, by {card.family}",
        "network": f"{card.architecture}{f' ({settings})' if settings else ''}",
        "takes": f"{given.takes}{size}: at most {given.crops} crops of {given.side} pixels, at their own scale; "
        f"no picture below {given.least_side} pixels",
        "weights": f"{card.weights.format}, {card.weights.bytes} bytes, sha256:{card.weights.sha256}",
        "file": str(model.path),
        "licence": card.licence,
    }
    for name, value in facts.items():
        click.echo(f"{name:9} {_text(value)}")
    blocks = {
        "How it is weighed": _weighing(card),
        "Where it fails": list(card.fails) or ["Its card does not say."],
        "Learned from": [
            f"{s.name}: {s.real} real, {s.fake} generated; {s.repository} {s.commit} ({s.licence})"
            for s in card.sources
        ],
        "Measured": [_figure(f) for f in card.measured],
    }  # fmt: skip
    for title, lines in blocks.items():
        if lines:
            click.echo(f"\n{title}")
            for line in lines:
                click.echo(click.wrap_text(_text(line), WIDTH, "- ", "  "))


def _weighing(card: Card) -> list[str]:
    if card.calibration is None:
        return ["Not calibrated: its score is shown, and weighs nothing."]
    return [
        f"{condition}: log LR = {line.slope:.3f} x logit {line.intercept:+.3f}, within {line.bound:.2f} log10; "
        f"{line.n} pictures of {line.real_sources} real and {line.fake_sources} generated sources"
        for condition, line in card.calibration.lines.items()
    ]


def _figure(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.3g}, {figure.high:.3g}]"
    return f"{figure.figure} {figure.value:.3g}{interval} on {figure.on}; {figure.command}"


def _text(value: object) -> str:
    from assay.provenance.text import safe_text

    return safe_text(value)
