"""Derivations in the notations that authors use, and single faults planted in them.

The documents of the folder `documents` are right in every row. A line of `faults.tsv` names one, the
kind of fault, what stands there, what is put in its place, and which of the occurrences is meant.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("documents")
DOCUMENTS = sorted(FOLDER.glob("*.md"))


@dataclass(frozen=True)
class Planted:
    """A document with one fault: its text, and the line of the fault."""

    document: str
    kind: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.document}-{self.line}-{self.kind}"


def planted() -> list[Planted]:
    """Return every planted fault."""
    with (FOLDER / "faults.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [_plant(row) for row in rows]


def _plant(row: dict[str, str]) -> Planted:
    text = (FOLDER / f"{row['document']}.md").read_text(encoding="utf-8")
    parts = text.split(row["old"])
    which = int(row["occurrence"])
    assert len(parts) > which, row
    before, after = row["old"].join(parts[:which]), row["old"].join(parts[which:])
    return Planted(
        row["document"], row["kind"], before + row["new"] + after, before.count("\n") + 1
    )
