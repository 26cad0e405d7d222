"""``assay sign``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, json_option, open_workspace, outputs, progress, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assay.provenance.claim import Claim
    from assay.provenance.sign import Signed
    from assay.provenance.workspace import SignOptions, Workspace
    from assay.watermark.forecast import Outlook

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("sources", nargs=-1, required=True, type=FILE, metavar="IN…")
@click.option("-o", "--out", required=True, type=FILE, help="The signed file; for several inputs a folder.")
@click.option(
    "--source-type",
    default="",
    metavar="NAME",
    help="IPTC digital source type, e.g. digitalCapture, trainedAlgorithmicMedia.",
)
@click.option("--generator", default="", metavar="NAME[/VERSION]", help="What made the picture.")
@click.option("--title", default="", help="Title in the credentials.  [default: the file's name]")
@click.option(
    "--ingredient",
    "ingredients",
    multiple=True,
    type=FILE,
    help="A file that went into this one; repeatable.",
)
@click.option("--parent", type=FILE, help="The file that this one was made from.")
@click.option("--edit", default="", metavar="TEXT", help="What was done to the parent, in words.")
@click.option("--no-watermark", is_flag=True, help="Leave the samples as they are.")
@click.option("--watermark", "scheme", metavar="NAME", help="Watermark scheme (see 'assay plugins').")
@click.option("--no-ledger", is_flag=True, help="No ledger entry and no receipt.")
@click.option("--no-disclosure", is_flag=True, help="No IPTC and AIGC labels in the metadata of AI files.")
@click.option("--tsa", metavar="URL", help="RFC 3161 time-stamp authority.")
@click.option("--key", metavar="URI", help="Signing key: file:PATH or env:NAME.  [default: the workspace's]")
@click.option("--chain", type=FILE, help="Certificate chain (PEM, leaf first) for --key.")
@click.option("--sidecar", is_flag=True, help="Leave the file as it is; write the credentials to OUT.c2pa.")
@click.option(
    "--remote-url", default="", metavar="URL", help="Where the credentials are also kept; named in the file."
)
@click.option(
    "--training-mining",
    default="",
    type=click.Choice(["", "allowed", "notAllowed", "constrained"]),
    help="May it be used for training?",
)
@click.option(
    "--forecast", is_flag=True, help="Say what will still be readable where the picture is published."
)
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@json_option
@click.pass_context
def sign(
    ctx: click.Context, sources: tuple[Path, ...], out: Path, source_type: str, generator: str, title: str,
    ingredients: tuple[Path, ...], parent: Path | None, edit: str, no_watermark: bool, scheme: str | None,
    no_ledger: bool, no_disclosure: bool, tsa: str | None, key: str | None, chain: Path | None, sidecar: bool,
    remote_url: str, training_mining: str, forecast: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Watermark, sign and log files. The input is never touched; on any error there is no output.

    An input that is signed already keeps its history. Without --source-type the credentials say only that the
    file was opened and signed, not how it came about.

    \b
    Examples:
      assay sign photo.jpg -o signed.jpg --source-type digitalCapture
      assay sign made.png -o out.png --source-type trainedAlgorithmicMedia --generator MyModel/2.1
      assay sign a.jpg b.jpg -o signed/ --no-watermark --json
    """
    from assay.provenance.claim import Claim
    from assay.provenance.workspace import SignOptions

    name, _, version = generator.partition("/")
    claim = Claim(
        source_type=source_type,
        generator=name,
        generator_version=version,
        title=title,
        edit=edit,
        parent=parent,
        ingredients=ingredients,
        training_mining=training_mining,
        disclose=not no_disclosure,
    )
    options = SignOptions(
        watermark=scheme,
        mark=not no_watermark,
        ledger=not no_ledger,
        tsa=tsa,
        key=key,
        chain=chain,
        sidecar=sidecar,
        remote_url=remote_url,
        overwrite=force,
    )
    pairs = outputs(sources, out)
    ctx.exit(_sign_all(ctx, pairs, claim, options, forecast, as_json))


def _sign_all(
    ctx: click.Context,
    pairs: list[tuple[Path, Path]],
    claim: Claim,
    options: SignOptions,
    forecast: bool,
    as_json: bool,
) -> int:
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError

    workspace = open_workspace(ctx)
    code = 0
    with progress(ctx, "signing", len(pairs)) as advance:
        for source, target in pairs:
            try:
                signed = workspace.sign_file(source, target, claim, options)
                outlooks = _forecast(workspace, signed, options) if forecast else None
            except AssayError as error:
                say(error)
                code = max(code, error.exit_code)
                continue
            finally:
                advance()
            if as_json:
                told = {} if outlooks is None else {"forecast": [each.to_json() for each in outlooks]}
                emit({**signed.to_json(), **told})
            else:
                from assay.cli.show import show_signed

                show_signed(signed, console())
                if outlooks:
                    from assay.cli.forecast import show_forecast

                    show_forecast("forecast", outlooks)
                elif forecast:
                    talk(ctx, "no forecast: there is neither a mark nor an entry with a picture")
            if signed.development:
                talk(ctx, "note: signed with a development certificate, which nobody else trusts")
    return code


def _forecast(workspace: Workspace, signed: Signed, options: SignOptions) -> Sequence[Outlook]:
    """Try what will outlast publication; nothing where there is nothing to try it on."""
    from assay.cli.forecast import forecast_of
    from assay.provenance.files.sniff import open_asset
    from assay.provenance.media import Kind

    asset, stream = open_asset(signed.out, workspace.limits)
    stream.close()
    if asset.kind is not Kind.IMAGE or not (signed.mark or signed.receipt):
        return ()
    scheme = workspace.watermark(options.watermark) if signed.mark else None
    return forecast_of(signed.out, signed.mark, scheme, workspace.fingerprinter if signed.receipt else None)
