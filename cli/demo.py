"""``assay demo``."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from assay.cli.door import console, json_option, progress, talk

MARKER = ".assay-demo"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("assay-demo"),
    show_default=True,
    help="Folder for everything.",
)
@json_option
@click.pass_context
def demo(ctx: click.Context, out: Path, as_json: bool) -> None:
    """Sign a photo, a film and a recording, let them be stripped, cut, edited and re-signed, and verify what is left.

    Works in a throw-away workspace inside the folder, offline; an earlier demo there is replaced. Exit code 1
    if any history does not get the verdict it should.

    \b
    Example:
      assay demo --out /tmp/demo && xdg-open /tmp/demo/report.html
    """
    from importlib.resources import files

    from assay.cli.door import emit
    from assay.cli.histories import HISTORIES, publish
    from assay.cli.histories_time import TIMED, publish_in_time
    from assay.cli.show import show_histories
    from assay.provenance.files.reel import versions
    from assay.provenance.page import page
    from assay.provenance.settings import KEYS
    from assay.provenance.workspace import Workspace

    _clear(out)
    workspace = Workspace.init(out / "workspace", origin="assay.demo/ledger")
    authority = (workspace.home / KEYS / "development-authority.pem").read_bytes()
    workspace.trust.add(
        authority, name="demo", kind="signer", source="made by assay demo", date=workspace.now().date()
    )
    data = files("assay.cli") / "data"
    stage = publish(workspace, out, (data / "photo.jpg").read_bytes(), (data / "other.jpg").read_bytes())
    rows, previews = [], []
    # PyAV, which is an extra, reads and writes films and recordings.
    histories = (*HISTORIES, *(TIMED if versions() else ()))
    if versions():
        publish_in_time(stage)
    else:
        talk(ctx, "note: the film and the recording are left out: pip install 'assay[av]'")
    with progress(ctx, "histories", len(histories)) as advance:
        for history in histories:
            report = workspace.verify(history.make(stage))
            rows.append((history.told, str(history.expected), report))
            previews.append((report, workspace.preview(report)))
            advance()
    (out / "report.html").write_text(
        page(previews, title="A photo, a film, a recording, and what happened to them"), "utf-8"
    )
    if as_json:
        for told, expected, report in rows:
            emit({"history": told, "expected": expected, **report.to_json()})
    else:
        show_histories(console(), rows)
    right = sum(expected == str(report.verdict) for _, expected, report in rows)
    talk(ctx, f"{right} of {len(rows)} as expected; the report: {out / 'report.html'}")
    ctx.exit(0 if right == len(rows) else 1)


def _clear(out: Path) -> None:
    from assay.provenance.errors import UsageError

    if out.exists():
        if not (out / MARKER).is_file() and any(out.iterdir()):
            raise UsageError(
                "the folder holds something that is not a demo", path=out, hint="choose another --out"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).touch()
