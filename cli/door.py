"""What the commands share: the workspace, stdout and stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.provenance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from assay.provenance.workspace import Workspace

PASSPHRASE_VARIABLE = "ASSAY_PASSPHRASE"  # noqa: S105  (a name, not a secret)

json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")


def home_of(ctx: click.Context) -> Path:
    """Return the workspace folder: --home, ASSAY_HOME or the platform's data folder."""
    chosen = ctx.find_root().obj.get("home")
    if chosen:
        return Path(chosen).absolute()
    from platformdirs import PlatformDirs

    return PlatformDirs("assay", appauthor=False).user_data_path


def passphrase(what: str) -> bytes | None:
    """Return a key's passphrase from ASSAY_PASSPHRASE or, on a terminal, by asking."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given.encode()
    if sys.stdin.isatty():
        return str(click.prompt(f"Passphrase for {what}", hide_input=True, err=True)).encode()
    return None


def open_workspace(ctx: click.Context) -> Workspace:
    """Open the chosen workspace; raises ConfigurationError with the way to make one."""
    from assay.provenance.workspace import Workspace

    return Workspace.open(home_of(ctx), passphrase=passphrase, environ=os.environ)


def talk(ctx: click.Context, message: str) -> None:
    """Say something on stderr unless --quiet."""
    if not ctx.find_root().obj.get("quiet"):
        click.echo(message, err=True)


def is_verbose(ctx: click.Context) -> bool:
    """Whether --verbose was given."""
    return bool(ctx.find_root().obj.get("verbose"))


def is_quiet(ctx: click.Context) -> bool:
    """Whether --quiet was given."""
    return bool(ctx.find_root().obj.get("quiet"))


def emit(document: Any) -> None:
    """Print one JSON document on one line of stdout, in ASCII so that nothing in it can steer a terminal."""
    click.echo(json.dumps(document, ensure_ascii=True, allow_nan=False))


def console(*, err: bool = False) -> Console:
    """Return a rich console that neither interprets markup nor highlights."""
    from rich.console import Console

    return Console(stderr=err, markup=False, highlight=False, soft_wrap=False)


@contextmanager
def progress(ctx: click.Context, what: str, total: int) -> Iterator[Any]:
    """Show a progress bar on stderr when it is a terminal, there is more than one thing to do, and not --quiet.

    Yields a function to call after each thing.
    """
    if total < 2 or is_quiet(ctx) or not sys.stderr.isatty():
        yield lambda: None
        return
    screen = console(err=True)
    from rich.progress import Progress

    with Progress(console=screen, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def listening(ctx: click.Context, files: int) -> Iterator[Any]:
    """Show on stderr how far each pass over a film or a sound is, where it is a terminal and there is but one file.

    Yields a ``Watch``, or None where nothing is shown.
    """
    if files > 1 or is_quiet(ctx) or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console(err=True), transient=True) as bar:
        task = bar.add_task("reading", total=None, visible=False)
        yield lambda at, length: bar.update(task, completed=at, total=length or None, visible=True)


def entry_index(what: str) -> int | None:
    """Return the index of an entry that ``what`` is; None where it must mean something else, a file for instance."""
    return int(what) if what.isascii() and what.isdigit() and len(what) < 20 else None


@contextmanager
def waiting(ctx: click.Context, what: str) -> Iterator[None]:
    """Show on stderr, when it is a terminal and not --quiet, that something of unknown length goes on."""
    if is_quiet(ctx) or not sys.stderr.isatty():
        yield
        return
    with console(err=True).status(what):
        yield


def outputs(sources: tuple[Path, ...], out: Path) -> list[tuple[Path, Path]]:
    """Pair inputs with outputs: one file to a file, several into a folder.

    Raises UsageError for several inputs and no folder, or two inputs that would have the same output.
    """
    if len(sources) == 1 and not out.is_dir():
        return [(sources[0], out)]
    if not out.is_dir():
        raise UsageError(
            "several files need a folder to go to", path=out, hint="make it first, then -o FOLDER"
        )
    pairs = [(source, out / source.name) for source in sources]
    names = [target for _, target in pairs]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise UsageError("two inputs would become the same output", path=twice)
    return pairs
