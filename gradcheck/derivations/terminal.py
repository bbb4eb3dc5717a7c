"""The annotated derivation on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.derivations.auditing import Audit, AuditRow

__all__ = ["label", "render_terminal", "says_more", "summary"]

MARKS = {
    "true": ("✓", "green"),
    "false": ("✗", "bold red"),
    "dimension": ("✗", "bold red"),
    "scope": ("✗", "bold red"),
    "conflict": ("✗", "bold red"),
    "syntax": ("✗", "red"),
    "ambiguous": ("?", "yellow"),
    "not checked": ("·", "dim"),
}


def summary(audit: Audit) -> str:
    """Return how much was read, checked, wrong and proven, in one sentence."""
    counts = audit.counts
    rows = f"{counts['rows']} rows: " + ", ".join(
        f"{counts[key]} {key}" for key in ("read", "checked", "wrong", "certified")
    )
    first = audit.first_wrong
    return rows if first is None else f"{rows}; the first wrong one is line {first.line}"


def label(row: AuditRow) -> str:
    """Return the verdict of a row as it is shown: a proven row is more than true."""
    return "certified" if row.certified else row.verdict


def says_more(row: AuditRow) -> bool:
    """Return whether a row's verdict needs its reason beside it."""
    if row.verdict != "true":
        return True
    return row.grounds is not None and (not row.certified or bool(row.grounds.condition))


def render_terminal(audit: Audit, console: Console, *, symbols: bool = True) -> None:
    """Print every row with its verdict, then what the symbols were read as.

    Args:
        audit: what to print.
        console: a rich console.
        symbols: whether to print the symbol table and the inferences.
    """
    from rich.text import Text

    console.print(Text(summary(audit), style="bold"))
    for row in audit.rows:
        mark, style = MARKS[row.verdict]
        line = Text(f"{row.line:>5} ", style="dim")
        line.append(f"{mark} {label(row):<11} ", style=style)
        line.append(row.equation)
        console.print(line, soft_wrap=True)
        if says_more(row):
            _explain(row, console)
    if symbols and (audit.symbols or audit.notes):
        console.print(Text("read as", style="bold"))
        for name, meaning in audit.symbols:
            console.print(Text(f"      {name}: {meaning}", style="dim"), soft_wrap=True)
        for note in audit.notes:
            console.print(Text(f"      {note}", style="dim"), soft_wrap=True)


def _explain(row: AuditRow, console: Console) -> None:
    from rich.text import Text

    indent = " " * 20
    console.print(Text(f"{indent}{row.reason}"), soft_wrap=True)
    if row.wrong and row.sizes:
        sizes = ", ".join(f"{name}: {size}" for name, size in row.sizes)
        console.print(Text(f"{indent}{sizes}", style="dim"), soft_wrap=True)
