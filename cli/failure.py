"""Errors as people see them: what happened, to which file, what to do next; and the exit code that goes with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from assay.provenance.errors import AssayError
from assay.provenance.text import safe_text

EXIT_FAULT = 5
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141


def guarded(command: Callable[..., object]) -> int:
    """Run a click command and return the exit code; a fault of ours is named as one, without a traceback.

    ``ASSAY_DEBUG=1`` in the environment shows the traceback, for whoever mends it.
    """
    try:
        code = command(standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("assay: stopped", err=True)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        _usage(error)
        return error.exit_code
    except AssayError as error:
        say(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away; the interpreter must not complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except Exception as error:
        if os.environ.get("ASSAY_DEBUG"):
            raise
        message = safe_text(f"{type(error).__name__}: {error}", 300)
        click.echo(f"assay: this is our fault, please report it: {message}", err=True)
        click.echo("  hint: ASSAY_DEBUG=1 shows where it happened", err=True)
        return EXIT_FAULT


def _usage(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        click.echo(safe_text(context.get_usage().replace("\n", " ")), err=True)
    click.echo(f"assay: {safe_text(error.format_message())}", err=True)
    if context is not None:
        click.echo(f"  hint: {context.command_path} --help", err=True)


def say(error: AssayError) -> None:
    """Print one error on stderr."""
    where = f"{safe_text(error.path, 400)}: " if error.path else ""
    click.echo(f"assay: {where}{safe_text(error.message)}", err=True)
    if error.hint:
        click.echo(f"  hint: {safe_text(error.hint)}", err=True)
