"""``assay detect calibrate``: the panel's false alarms become those of a desk's own archive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.cli.door import console, emit, is_quiet, json_option, open_workspace, progress, talk

if TYPE_CHECKING:
    from assay.detect.archive import Heard
    from assay.detect.desk import Calibrated
    from assay.detect.fuse import Fusion
    from assay.detect.measure.collection import Sample
    from assay.detect.store import Store
    from assay.detect.witness import Witness
    from assay.provenance.errors import InputError

FILE = click.Path(path_type=Path)
UNREADABLE = 4
MOST = 200
"""Pictures of one source that are asked about unless --limit says otherwise."""


@click.command()
@click.option("--real", type=FILE, metavar="DIR|CSV", help="Your own photographs: a folder for each source.")
@click.option("--fake", type=FILE, metavar="DIR|CSV", help="Generated pictures: a folder for each generator.")
@click.option(
    "--source-column",
    default="source",
    show_default=True,
    metavar="NAME",
    help="Column of a CSV that names the source.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model of yours to fuse with the shipped ones; again for more. Needs --fake.  [default: all of yours]",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=MOST,
    show_default=True,
    help="Most pictures of a source, evenly spread; 0 for all.",
)
@click.option("--raw-only", is_flag=True, help="Leave out the copies of 1024 pixels, JPEG 90 and 75.")
@click.option("--reset", is_flag=True, help="Remove your calibration: the shipped one is used again.")
@json_option
@click.pass_context
def calibrate(
    ctx: click.Context, real: Path | None, fake: Path | None, source_column: str, models: tuple[str, ...], limit: int,
    raw_only: bool, reset: bool, as_json: bool,
) -> None:  # fmt: skip
    """Calibrate the detectors on your own archive, whose photographs you know to be real.

    A source is what makes pictures alike: a photographer, a camera, an agency; at least four are needed in a condition
    (lossless, fine, coarse, small). A folder holds a folder for each; a CSV has the columns path,label,source. The
    panel is written to the workspace and counts from then on. Without --fake the shipped detectors keep their
    weights, and generated pictures that these were measured with stand for those that you will meet. With --fake
    your own models (assay models add) are fused with them.

    Printed: how many of 1,000 of each source would be taken for generated, slightly, moderately or clearly, before and
    after; after, by lines that were fitted without that source. Exit code 4 if some files could not be read.

    \b
    Examples:
      assay detect calibrate --real archive/
      assay detect calibrate --real archive.csv --source-column photographer --json
      assay detect calibrate --real archive/ --fake generated/
      assay detect calibrate --reset
    """
    from assay.detect.panels import read_fusion, write_fusion
    from assay.detect.store import FOLDER, PANEL_FILE, SHIPPED, Store
    from assay.provenance.errors import UsageError

    workspace = open_workspace(ctx)
    store = Store(workspace.home / FOLDER)
    own = workspace.home / FOLDER / PANEL_FILE
    if reset:
        _reset(ctx, own, as_json)
        return
    if real is None:
        raise UsageError(
            "name your photographs: --real DIR", hint="or --reset, to go back to the shipped calibration"
        )
    base = read_fusion(SHIPPED / PANEL_FILE)
    samples = _samples(real, fake, source_column, limit)
    witnesses = _witnesses(ctx, store, base, models, with_fakes=any(s.synthetic for s in samples))
    said, unread = _heard(ctx, samples, witnesses, copies=not raw_only)
    from assay.detect.desk import calibrated

    digests = {w.card.name: w.card.weights.sha256 for w in witnesses}
    found = calibrated(said, base, f"desk-{workspace.now():%Y-%m-%d}", digests)
    own.parent.mkdir(exist_ok=True)
    write_fusion(own, found.fusion)
    if as_json:
        emit({**_document(found, base), "unread": len(unread), "panel": str(own)})
    else:
        _show(found, base)
        if found.has_more_alarms:
            talk(
                ctx,
                "note: more false alarms than by the shipped lines: more sources make this surer, --reset goes back",
            )
        talk(ctx, f"wrote {own}; 'assay detect calibrate --reset' takes it back")
    if unread:
        ctx.exit(UNREADABLE)


def _reset(ctx: click.Context, own: Path, as_json: bool) -> None:
    there = own.is_file()
    own.unlink(missing_ok=True)
    if as_json:
        emit({"removed": there})
    talk(ctx, f"removed {own}" if there else "the shipped calibration is in use already")


def _samples(real: Path, fake: Path | None, column: str, limit: int) -> tuple[Sample, ...]:
    from assay.detect.archive import archive

    samples = archive(real, synthetic=False, limit=limit, column=column)
    return samples + (archive(fake, synthetic=True, limit=limit, column=column) if fake else ())


def _witnesses(
    ctx: click.Context, store: Store, base: Fusion, models: Sequence[str], *, with_fakes: bool
) -> list[Witness]:
    """Open the shipped panel's detectors, and those that are to be fused with them.

    Raises UsageError where there are some and no generated pictures.
    """
    from assay.detect.card import CROPS, VECTORS
    from assay.detect.panels import open_witness
    from assay.provenance.errors import UsageError

    own = [m.card for m in store.models() if not m.shipped and m.card.kind == "image"]
    more = list(models) or [card.name for card in own if card.input.takes in (CROPS, VECTORS)]
    more = [name for name in more if name not in base.weights]
    if more and not with_fakes:
        if models:
            raise UsageError(
                f"nothing is known of what {more[0]} says of generated pictures",
                hint="give some with --fake DIR",
            )
        talk(
            ctx,
            f"left out: {', '.join(more)}; with --fake DIR your own models are fused with the shipped ones",
        )
        more = []
    return [open_witness(store, name, time.perf_counter) for name in (*base.weights, *dict.fromkeys(more))]


def _heard(
    ctx: click.Context, samples: tuple[Sample, ...], witnesses: list[Witness], *, copies: bool
) -> tuple[list[Heard], list[InputError]]:
    from assay.cli.failure import say
    from assay.detect.archive import heard

    with progress(ctx, "listening", len(samples)) as advance:
        said, unread = heard(samples, witnesses, copies=copies, advance=advance)
    if not is_quiet(ctx):
        for error in unread:
            say(error)
    return said, unread


def _document(found: Calibrated, base: Fusion) -> dict[str, Any]:
    from dataclasses import asdict

    fusion = found.fusion
    return {
        "id": fusion.id,
        "before": base.id,
        "weights": dict(fusion.weights),
        "lines": {
            c: {**asdict(line), "inherited": c in fusion.inherited} for c, line in fusion.lines.items()
        },
        "real_sources": dict(found.real_sources),
        "alarms": [asdict(alarm) for alarm in fusion.alarms],
        "has_more_alarms": found.has_more_alarms,
        "sources": [_row(row) for row in found.rows],
    }


def _row(row: Any) -> dict[str, Any]:
    return {
        "source": row.source,
        "files": row.files,
        "copies": row.copies,
        "weighed": {"before": row.weighed_before, "after": row.weighed_after},
        "per_1000": {
            when: {f"{band:g}": round(value, 1) for band, value in shares.items()}
            for when, shares in (("before", row.before), ("after", row.after))
        },
    }


def _show(found: Calibrated, base: Fusion) -> None:
    from assay.cli.bench import print_table

    screen = console()
    print_table(screen, *_alarms(found, base))
    print_table(screen, *_lines(found))


def _alarms(found: Calibrated, base: Fusion) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Return the table of false alarms by source: title, header, rows and notes."""
    from assay.detect.panel import BANDS

    rows = [
        [
            row.source,
            str(row.files),
            f"{_percent(row.weighed_before, row.copies)} > {_percent(row.weighed_after, row.copies)}",
            *(f"{row.before[band]:.0f} > {row.after[band]:.0f}" for band, _ in BANDS),
        ]
        for row in found.rows
    ]
    ends = ["mean", "", ""], ["worst", "", ""]
    for band, _ in BANDS:
        before, after = ([shares[band] for shares in side] for side in _sides(found))
        ends[0].append(f"{sum(before) / len(before):.0f} > {sum(after) / len(after):.0f}")
        ends[1].append(f"{max(before):.0f} > {max(after):.0f}")
    header = ["source", "files", "weighed", *(f"{word} ({band:g})" for band, word in BANDS)]
    notes = [
        "Weighed: copies of its files that the panel has an opinion on. Then, of 1,000 that all detectors speak of, "
        "how many reach that log10 ratio for generated; after the sign, by lines that were fitted without that source.",
    ]
    return f"False alarms, {base.id} > {found.fusion.id}", header, [*rows, *ends], notes


def _sides(found: Calibrated) -> tuple[list[Any], list[Any]]:
    return [row.before for row in found.rows], [row.after for row in found.rows]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _lines(found: Calibrated) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Return the table of conditions: what weighs, on how many sources, and how much at most."""
    from assay.detect.calibrate import CONDITIONS, FEWEST_SOURCES

    fusion, rows = found.fusion, []
    for condition in CONDITIONS:
        line, own = fusion.lines.get(condition), str(found.real_sources.get(condition, 0))
        if line is None:
            rows.append([condition, own, "", "", "silent: too few sources, or it tells nothing"])
            continue
        kept = condition in fusion.inherited
        told = f"as shipped: {FEWEST_SOURCES} sources of yours are needed" if kept else "yours"
        rows.append([condition, own, str(line.fake_sources), f"{line.bound:.2f}", told])
    header = ["condition", "your sources", "generators", "at most log10", "calibration"]
    return "Conditions", header, rows, []
