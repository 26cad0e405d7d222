"""``assay ledger anchor`` and ``assay ledger anchors``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from assay.cli.door import console, emit, is_quiet, json_option, open_workspace, talk

if TYPE_CHECKING:
    from assay.provenance.anchor import Anchored, Keeper, Outcome

POLL_SECONDS = 15.0
"""How long ``--wait`` rests between two rounds."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(0, 7 * 86_400),
    default=0,
    metavar="SECONDS",
    help="Wait so long at most until nothing is pending any more.",
)
@json_option
@click.pass_context
def anchor(ctx: click.Context, names: tuple[str, ...], seconds: int, as_json: bool) -> None:
    """Publish the ledger's newest checkpoint to its anchors, or to those named, and move on what is under way.

    Anchors are configured in assay.toml (docs/formats/workspace.md). Run it as often as the proven times shall be
    close together, from a timer. Exit code 5 if an anchor could not be reached, 1 if one contradicts the ledger.

    \b
    Examples:
      assay ledger anchor
      assay ledger anchor tsa chain --wait 1200
    """
    keeper = _keeper(ctx)
    # What was under way before comes first, so that one anchor's fault does not hold up another's proof.
    outcomes = {_key(outcome): outcome for outcome in (*keeper.advance(names), *keeper.publish(names))}
    outcomes |= _waited(ctx, keeper, names, outcomes, seconds)
    code = 0
    for outcome in outcomes.values():
        code = _tell(outcome, as_json) or code
    ctx.exit(code)


@click.command()
@click.option(
    "--size",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Only those of the checkpoint of N entries.",
)
@click.option(
    "--online", is_flag=True, help="Ask the network where an anchor's proof cannot be checked without."
)
@json_option
@click.pass_context
def anchors(ctx: click.Context, size: int, online: bool, as_json: bool) -> None:
    """List the checkpoints that were anchored, and what each anchor proves now.

    Standing: ok, pending, not checked, broken (the proof is worthless), contradicted (the ledger was rewritten; exit
    code 1).

    \b
    Example:
      assay ledger anchors --online
    """
    found = _keeper(ctx).listing(size, online=online)
    if as_json:
        for item in found:
            emit(item.to_json())
    elif found:
        _table(found)
    else:
        talk(ctx, "nothing was anchored")
    ctx.exit(1 if _contradicted(found) else 0)


def _keeper(ctx: click.Context) -> Keeper:
    from assay.provenance.errors import ConfigurationError

    keeper = open_workspace(ctx).keeper
    if keeper is None:
        raise ConfigurationError(
            "the ledger of this workspace keeps no anchors here", hint="ask where the ledger's database is"
        )
    return keeper


def _key(outcome: Outcome) -> tuple[str, int]:
    return outcome.name, outcome.anchored.record.id if outcome.anchored else 0


def _waited(
    ctx: click.Context,
    keeper: Keeper,
    names: Sequence[str],
    outcomes: dict[tuple[str, int], Outcome],
    seconds: int,
) -> dict[tuple[str, int], Outcome]:
    """Move on what is pending until nothing is or the time is up; return what came of it."""
    from rich.status import Status

    latest = dict(outcomes)
    end = time.monotonic() + seconds
    screen = console(err=True)
    with Status("", console=screen) if screen.is_terminal and not is_quiet(ctx) else _Quiet() as status:
        while (waiting := _pending(latest)) and time.monotonic() < end:
            status.update(f"waiting for {', '.join(waiting)}")
            time.sleep(max(0.0, min(POLL_SECONDS, end - time.monotonic())))
            latest |= {_key(outcome): outcome for outcome in keeper.advance(names)}
    return latest


class _Quiet:
    """Stands in for a status line where there is no terminal."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, status: str) -> None: ...


def _pending(outcomes: dict[tuple[str, int], Outcome]) -> list[str]:
    from assay.provenance.anchor import Standing

    under_way = (
        o for o in outcomes.values() if o.anchored and o.anchored.judgement.standing is Standing.PENDING
    )
    return list(dict.fromkeys(f"{o.name} (size {o.anchored.record.size})" for o in under_way if o.anchored))


def _contradicted(found: Sequence[Anchored]) -> bool:
    from assay.provenance.anchor import Standing

    return any(item.judgement.standing is Standing.CONTRADICTED for item in found)


def _tell(outcome: Outcome, as_json: bool) -> int:
    """Print one outcome and return its exit code."""
    from assay.cli.failure import say
    from assay.provenance.text import safe_text

    anchored, problem = outcome.anchored, outcome.problem
    if as_json:
        error = {"error": type(problem).__name__, "message": problem.message} if problem else None
        emit({"name": outcome.name, **(anchored.to_json() if anchored else {}), "problem": error})
    elif anchored:
        record, judgement = anchored.record, anchored.judgement
        click.echo(
            f"{safe_text(record.name, 80)}  {record.size}  {safe_text(record.state, 40)}  "
            f"{judgement.standing}: {safe_text(judgement.says)}"
        )
    if problem:
        say(problem)
        return problem.exit_code
    return 1 if anchored and _contradicted([anchored]) else 0


def _table(found: Sequence[Anchored]) -> None:
    from rich.table import Table
    from rich.text import Text

    from assay.provenance.text import safe_text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("anchor", "kind", "size", "state", "standing", "no later than", "says"):
        table.add_column(title, overflow="fold", header_style="dim")
    for item in found:
        record, judgement = item.record, item.judgement
        row = (
            record.name,
            record.kind,
            record.size,
            record.state,
            judgement.standing,
            judgement.time,
            judgement.says,
        )
        table.add_row(*(Text(safe_text(value, 400)) for value in row))
    console().print(table)
