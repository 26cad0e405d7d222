"""Write what an evaluation found into the cards of the detectors that it asked.

    assay detect evaluate held-out.csv --model statistics --model view --json evaluation.json
    python bench/cards.py evaluation.json detect/models/statistics detect/models/view

Figures of an earlier evaluation are replaced; others, as the difference from torch, stay.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.detect.card import Card, Figure
from assay.provenance.files.atomic import atomic_output

COMMAND = "assay detect evaluate"
FIGURES = {
    "auc": "AUC",
    "tpr5": "hits at 5 % false alarms",
    "tpr1": "hits at 1 % false alarms",
    "eer": "equal error rate",
    "cllr": "Cllr",
    "ece": "ECE",
}


def figures(evaluation: dict[str, Any], name: str) -> list[Figure]:
    """Return the figures of one witness of an evaluation, with their intervals over sources."""
    real = sum(not sample["synthetic"] for sample in evaluation["samples"])
    about = f"{real} real and {len(evaluation['samples']) - real} generated pictures of sources held out"
    found = []
    for row in evaluation["figures"]:
        for key, told in FIGURES.items() if row["witness"] == name else ():
            value = row.get(key, {}).get("value")
            if value is not None:
                low, high = row[key]["interval"] or (None, None)
                on = f"{about}, {row['condition']}"
                found.append(Figure(told, on, value, low, high, COMMAND))
    return found


def main() -> None:
    """Rewrite the cards."""
    parser = argparse.ArgumentParser(description="Write what an evaluation found into detectors' cards.")
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("models", type=Path, nargs="+", help="folders with a card.json")
    options = parser.parse_args()
    evaluation = json.loads(options.evaluation.read_text(encoding="utf-8"))
    for folder in options.models:
        path = folder / "card.json"
        card = Card.from_bytes(path.read_bytes())
        kept = [f for f in card.measured if f.command != COMMAND]
        new = figures(evaluation, card.name)
        if not new:
            parser.error(f"the evaluation did not ask {card.name}: give it --model {card.name}")
        with atomic_output(path, overwrite=True) as file:
            file.write(replace(card, measured=(*kept, *new)).to_bytes())
        print(f"{path}: {len(new)} figures")


if __name__ == "__main__":
    main()
