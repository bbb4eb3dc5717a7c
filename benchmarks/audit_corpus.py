"""How many rows of real derivations the audit understands, and how many verified faults it reports.

    python benchmarks/audit_corpus.py CORPUS.json

The corpus is a JSON list of documents, each with `path`, `equations` (one formula each, on one line),
`equation_lines` (the file line on which each begins) and `suspected_errors` (with `line`, `kind`,
`verified`, `where`). A fault counts as reported where a row of its formula is accused; an accusation
elsewhere is listed, so that it can be proved or mended. A document without suspected errors is a
control.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gradcheck.derivations import Audit, audit

MATRIX_FORM = re.compile(r"MLP|dense|net|attention", re.IGNORECASE)
"""What the layer of a matrix-form document is called in the corpus."""

SMALLEST_LINE = 20
"""A number below it in a fault's description ("row 1", "3 examples") is no line of the file."""


@dataclass
class Outcome:
    """What one document gave."""

    name: str
    matrix: bool
    control: bool
    audit: Audit
    seconds: float
    faults: list[tuple[str, bool]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def as_markdown(document: dict[str, Any]) -> tuple[str, list[int]]:
    """Return the document's formulas as Markdown, one row a line, and where each begins."""
    lines: list[str] = []
    starts = []
    for equation in document["equations"]:
        lines.append("")
        starts.append(len(lines) + 1)
        rows = re.split(r"(?<=\\\\) ", equation)
        lines.extend(["$$", *rows, "$$"])
    return "\n".join(lines) + "\n", starts


def numbers(text: Any) -> list[int]:
    """Return the line numbers in a fault's description."""
    return [int(n) for n in re.findall(r"\d+", str(text))]


def formula_at(line: int, lines: list[int | None]) -> int | None:
    """Return the index of the formula that holds a file line."""
    before = [k for k, start in enumerate(lines) if start is not None and start <= line]
    return before[-1] if before else None


def judge(document: dict[str, Any]) -> Outcome:
    """Audit one document and hold it against its verified faults."""
    text, starts = as_markdown(document)
    began = time.process_time()
    found = audit(text)
    seconds = time.process_time() - began
    accused = {formula_at(row.line, list(starts)) for row in found.rows if row.wrong}
    faults = [f for f in document["suspected_errors"] if f.get("verified")]
    control = not document["suspected_errors"]
    name = (document["path"] or "note").split("/")[-1]
    out = Outcome(name, bool(MATRIX_FORM.search(document["layer"])), control, found, seconds)
    explained: set[int | None] = set()
    for fault in faults:
        written = numbers(fault["line"]) + numbers(fault.get("first_wrong_line"))
        places = [line for line in written if line > SMALLEST_LINE]
        formulas = {formula_at(line, document["equation_lines"]) for line in places}
        also = {
            formula_at(n, document["equation_lines"])
            for n in numbers(fault["explanation"])
            if n > SMALLEST_LINE
        }
        explained |= formulas | also
        if fault.get("where", "HEAD") == "HEAD" and places:
            out.faults.append((f"{fault['line']} {fault['kind']}", bool(formulas & accused)))
        elif fault.get("where", "HEAD") == "HEAD":
            spare = sum("no line" in name and done for name, done in out.faults) < len(accused)
            out.faults.append((f"{fault['line']} {fault['kind']} (no line given)", spare))
    unlocated = any("no line" in fault for fault, _ in out.faults)
    for row in found.rows:
        if row.wrong and formula_at(row.line, list(starts)) not in explained and not unlocated:
            out.elsewhere.append(f"{row.equation[:70]} [{row.verdict}] {row.reason[:90]}")
    return out


def main(corpus: Path) -> None:
    """Print the table."""
    documents = json.loads(corpus.read_text(encoding="utf-8"))
    outcomes = [judge(document) for document in documents]
    console = Console(width=110)
    table = Table(title="Audit of real derivations")
    for title in (
        "document",
        "rows",
        "parsed",
        "understood",
        "faults reported",
        "accused elsewhere",
        "CPU seconds",
    ):
        table.add_column(title, justify="left" if title == "document" else "right")
    for one in outcomes:
        counts = one.audit.counts
        reported = sum(done for _, done in one.faults)
        table.add_row(
            one.name[:34] + (" (control)" if one.control else ""),
            str(counts["rows"]),
            percent(counts["read"], counts["rows"]),
            percent(counts["checked"], counts["rows"]),
            f"{reported} of {len(one.faults)}" if one.faults else "",
            str(len(one.elsewhere)),
            f"{one.seconds:.1f}",
        )
    console.print(table)
    matrix = [one for one in outcomes if one.matrix]
    for label, group in (("all", outcomes), ("matrix form", matrix)):
        rows = sum(one.audit.counts["rows"] for one in group)
        read = sum(one.audit.counts["read"] for one in group)
        checked = sum(one.audit.counts["checked"] for one in group)
        console.print(
            f"{label}: {percent(read, rows)} parsed, {percent(checked, rows)} understood of {rows} rows"
        )
    faults = [fault for one in outcomes for fault in one.faults]
    reported = sum(done for _, done in faults)
    console.print(
        f"faults: {reported} of {len(faults)} reported ({percent(reported, len(faults))})"
    )
    controls = sum(row.wrong for one in outcomes if one.control for row in one.audit.rows)
    console.print(f"controls: {controls} rows accused")
    for one in outcomes:
        for fault, done in one.faults:
            if not done:
                console.print(f"not reported: {one.name}: {fault}", markup=False)
        for sentence in one.elsewhere:
            console.print(f"accused elsewhere: {one.name}: {sentence}", markup=False)


def percent(part: int, whole: int) -> str:
    """Return a share in per cent."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
