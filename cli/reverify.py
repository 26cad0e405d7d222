"""``assay reverify``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.door import emit, json_option, open_workspace, talk

if TYPE_CHECKING:
    from assay.provenance.reverify import Again

CHANGED, UNREAD = 1, 4


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="REPORT…")
@click.option("--online", is_flag=True, help="Ask authorities again whether their signers were revoked.")
@click.option("--all", "all_", is_flag=True, help="Also print the reports for which nothing changes.")
@json_option
@click.pass_context
def reverify(ctx: click.Context, reports: tuple[Path, ...], online: bool, all_: bool, as_json: bool) -> None:
    """Say what new lists, revocations, engines or policies, or time, change of past reports.

    REPORT is what 'assay verify --json' printed or '--report FILE.json' wrote. Only files whose reports rest on
    something that changed are examined again; of a file that is gone, the signer alone, if the ledger kept its
    manifest. Exit codes: 0 nothing changes, 1 something does, 4 a report could not be read or looked at again.

    \b
    Examples:
      assay reverify reports.jsonl
      assay reverify archive/*.json --online --json
    """
    from assay.cli.failure import say
    from assay.provenance.errors import AssayError
    from assay.provenance.past import read_reports
    from assay.provenance.reverify import Reverification

    looking = Reverification(open_workspace(ctx), online=online)
    counted: Counter[str] = Counter()
    for path in reports:
        try:
            for report in read_reports(path):
                again = looking.look(report)
                counted[_state(again)] += 1
                if all_ or _state(again) != "as it was":
                    emit(again.to_json()) if as_json else _show(again)
        except AssayError as error:
            say(error)
            counted["unread"] += 1
    talk(ctx, ", ".join(f"{count} {state}" for state, count in sorted(counted.items())) or "no reports")
    ctx.exit(UNREAD if counted["unread"] or counted["not examined"] else CHANGED if counted["changed"] else 0)


def _state(again: Again) -> str:
    return "not examined" if again.problem else "changed" if again.changed else "as it was"


def _show(again: Again) -> None:
    from assay.provenance.text import safe_text

    click.echo(f"{safe_text(again.path, 300)}: {safe_text(again.problem, 200) or _state(again)}")
    before, after = again.before.to_json(), again.after.to_json() if again.after else {}
    for name, now in after.items():
        if now != before[name] and (now or name != "verdict"):
            click.echo(f"  {name}: {safe_text(before[name], 100) or '-'} → {safe_text(now, 100) or '-'}")
    for what in again.inputs:
        click.echo(f"  because: {safe_text(what, 200)}")
