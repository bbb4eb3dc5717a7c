"""The annotated derivation on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcheck.derivations.plaintext import shown
from gradcheck.derivations.sizes import sizes_below

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.derivations.audits import Audit, AuditRow

__all__ = ["render_terminal"]

INDENT = 20
"""Columns before an equation: its line, its mark and its verdict."""

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


def render_terminal(audit: Audit, console: Console, *, symbols: bool = True) -> None:
    """Print every row with its verdict and its factors' sizes, then what the symbols were read as.

    Args:
        audit: what to print.
        console: a rich console.
        symbols: whether to print the symbol table and the inferences.
    """
    from rich.text import Text

    console.print(Text(audit.summary, style="bold"))
    for row in audit.rows:
        mark, style = MARKS[row.verdict]
        line = Text(f"{row.line:>5} ", style="dim")
        line.append(f"{mark} {row.label:<11} ", style=style)
        equation = shown(row.equation)
        line.append(equation.text)
        console.print(line, soft_wrap=True)
        for below in sizes_below(row.equation, dict(row.sizes), equation.columns):
            console.print(Text(" " * INDENT + below, style="dim"), soft_wrap=True)
        if row.needs_reason:
            _explain(row, console)
    if symbols and (audit.symbols or audit.notes):
        console.print(Text("read as", style="bold"))
        for name, meaning in audit.symbols:
            console.print(Text(f"      {name}: {meaning}", style="dim"), soft_wrap=True)
        for note in audit.notes:
            console.print(Text(f"      {note}", style="dim"), soft_wrap=True)


def _explain(row: AuditRow, console: Console) -> None:
    from rich.text import Text

    console.print(Text(" " * INDENT + row.reason), soft_wrap=True)
