"""``assay detect``: neural witnesses alone."""

from __future__ import annotations

from assay.cli.lazy import LazyGroup

detect = LazyGroup(
    "detect",
    help="Neural witnesses alone. What they say is a leaning with a known rate of error, never a proof.",
    lazy={
        "scan": ("assay.cli.scan:scan", "Say what the detectors alone think of pictures."),
        "explain": ("assay.cli.scan:explain", "Say why: crops, and families of statistics."),
        "train": ("assay.cli.train:train", "Train a detector from a recipe and an index of pictures."),
        "calibrate": ("assay.cli.calibrate:calibrate", "Make false alarms those of your own archive."),
        "fuse": ("assay.cli.fuse:fuse", "Weigh several trainings as one panel."),
        "evaluate": ("assay.cli.evaluate:evaluate", "Measure detectors on pictures of known origin."),
    },
)
