"""Try the image marks and their peers on photographs; print tables, write JSON, draw the recovery rates.

    python bench/watermark.py --photos DIR… [--negatives DIR…] [--crops N] [--json FILE] [--plot FILE]

The trial is that of ``assay watermark bench``; here are the plot (which needs matplotlib, no dependency of Assay)
and fixed options for ``make bench``. bench/watermark_forgery.py tries forgery and removal, bench/knownmarks.py the
marks of generators, bench/watermark_ab.py makes the sheet for people to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from assay.provenance.errors import AssayError
from assay.watermark.trial.attacks import chosen
from assay.watermark.trial.figures import summary
from assay.watermark.trial.methods import peers
from assay.watermark.trial.photographs import find
from assay.watermark.trial.run import Plan, Result, Steps
from assay.watermark.trial.table import document, markdown

SCHEMES = "hallmark,dwtdctsvd"


def plot(result: Result, file: Path) -> None:
    """Draw each method's exact-recovery rate by attack; PSNR stands in the legend."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    attacks = result.plan.attacks
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.19 * len(attacks)), dpi=130)
    shapes = "osD^vP*X"
    for number, method in enumerate(result.methods):
        found = summary(result.trials, method.name, attacks)
        if found is None:
            continue
        shares = [100 * found.rates[name].share for name in attacks]
        label = (
            f"{method.name}, {method.bits} bits, {found.psnr[0]:.1f} dB, mean {100 * found.mean_rate:.1f} %"
        )
        axes.plot(
            shares, range(len(attacks)), shapes[number % len(shapes)], label=label, markersize=5, alpha=0.8
        )
    axes.set_yticks(range(len(attacks)), attacks, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(-3, 103)
    axes.set_xlabel(f"payload recovered exactly, % of {len(result.plan.photographs)} photographs")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -40 / (60 + 14 * len(attacks))), fontsize=8)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--negatives", type=Path, nargs="*", default=[])
    parser.add_argument("--scheme", default=SCHEMES, help="schemes of ours, by comma")
    parser.add_argument("--against", help="peers, by comma (all that are installed)")
    parser.add_argument("--attacks", default="", help="attacks or groups, by comma (all)")
    parser.add_argument("--limit", type=int, default=0, help="most pictures of each folder (0: all)")
    parser.add_argument("--crops", type=int, default=2000, help="random crops among the negatives")
    parser.add_argument("--megapixels", type=float, default=12, help="size for the clock (0: none)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    try:
        plan = Plan(
            tuple(find(options.photos, options.limit)),
            (*options.scheme.split(","), *peers(options.against)),
            chosen(options.attacks),
            tuple(find(options.negatives, options.limit)),
            options.crops if options.negatives else 0,
            options.seed,
            options.jobs,
            round(options.megapixels * 1e6),
        )
        steps, done = Steps(plan), 0

        def advance() -> None:
            nonlocal done
            done += 1
            print(f"\r{done} of {steps.total}", end="", file=sys.stderr, flush=True)

        result = steps.run(advance)
    except AssayError as error:
        sys.exit(f"bench/watermark.py: {error}")
    print(file=sys.stderr)
    for error in result.unread:
        print(error, file=sys.stderr)
    print(markdown(result))
    if options.json:
        options.json.write_text(json.dumps(document(result), indent=1, allow_nan=False) + "\n")
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
