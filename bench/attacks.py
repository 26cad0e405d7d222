"""Run the table of attacks and print each row's answer: how many there are, and how many verdicts are wrong.

    python bench/attacks.py
    python bench/attacks.py --only revoc

Each attack is made anew, at a desk with an empty ledger. A row is wrong where verdict, rule, facts or headline are not
those of the table, or where a detector, whatever it says, would change more than where the inconclusive lean.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.studio import Studio
from tests.test_attacks import ATTACKS, problems


def main() -> None:
    """Print a line an attack and a sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    only = parser.parse_args().only
    answers: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        for attack in (a for a in ATTACKS if only in a.name):
            desk = studio.desk()
            found = problems(attack, desk)
            desk.close()
            wrong += bool(found)
            answers[attack.verdict] += 1
            print(f"{'WRONG' if found else 'ok':6}{attack.verdict:18}{attack.rule:26}{attack.name}")
            for what in found:
                print(f"      {what}")
        studio.close()
    told = ", ".join(f"{count} {verdict}" for verdict, count in answers.most_common())
    print(f"{sum(answers.values())} attacks and honest doubles ({told}): {wrong} wrong")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
