"""The ``assay`` command: its commands by name, global options, and errors as people should see them."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import click

from assay.cli.lazy import LazyGroup

COMMANDS = {
    "demo": ("assay.cli.demo:demo", "Sign a real photo, lose its credentials, get the truth back."),
    "init": ("assay.cli.init:init", "Make a workspace: development keys, ledger, empty trust lists."),
    "sign": ("assay.cli.sign:sign", "Watermark, sign and log files."),
    "verify": ("assay.cli.verify:verify", "Examine files of unknown history."),
    "verify-report": ("assay.cli.verify_report:verify_report", "Make a report again from its evidence."),
    "reverify": ("assay.cli.reverify:reverify", "Say what has changed about past reports."),
    "inspect": ("assay.cli.inspect:inspect", "Show everything a file carries, without a verdict."),
    "watermark": ("assay.cli.watermark:watermark", "Embed and read watermarks alone."),
    "detect": ("assay.cli.detect:detect", "Ask and measure neural witnesses alone."),
    "ledger": ("assay.cli.ledger:ledger", "Append to, search and check the transparency log."),
    "trust": ("assay.cli.trust:trust", "Choose whose signatures count."),
    "keys": ("assay.cli.keys:keys", "Make and show signing keys."),
    "models": ("assay.cli.models:models", "List, add and check detector models."),
    "plugins": ("assay.cli.about:plugins", "List installed schemes, signers and stores."),
    "config": ("assay.cli.about:config", "Show the workspace's settings."),
    "completion": ("assay.cli.about:completion", "Print a shell completion script."),
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"assay {version('assay')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Two commands to begin with: 'assay init', then 'assay sign photo.jpg -o signed.jpg'. "
    "'assay demo' shows the whole story on a real photo in a throw-away workspace.",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    envvar="ASSAY_HOME",
    show_envvar=True,
    help="The workspace.  [default: the platform's data folder]",
)
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr but errors.")
@click.option("-v", "--verbose", is_flag=True, help="More talk on stderr.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def assay(ctx: click.Context, home: str | None, quiet: bool, verbose: bool) -> None:
    """Hallmarks for media: sign, watermark and log images; verify what comes in.

    Data goes to stdout, talk to stderr. Exit codes of verify: 0 confirmed, recovered or marked as AI,
    1 conflict, 3 inconclusive, 4 a file could not be processed, 2 usage, 5 own or network fault.
    """
    ctx.ensure_object(dict)
    ctx.obj.update(home=home, quiet=quiet, verbose=verbose)


def run() -> None:
    """Run the command line; errors become one message and an exit code, never a traceback."""
    from assay.cli.failure import guarded

    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # a character that it has not is spelt out, and no reason to stop
            stream.reconfigure(errors="backslashreplace")
    sys.exit(guarded(assay))
