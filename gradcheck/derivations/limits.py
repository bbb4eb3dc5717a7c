"""How much of a document is read, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.errors import UsageError

__all__ = ["LIMITS", "DerivationError", "Limits"]


class DerivationError(UsageError):
    """A document, or one formula of it, cannot be read; the message says what and why."""


@dataclass(frozen=True)
class Limits:
    """Bounds that keep a hostile document from costing time or memory.

    Attributes:
        document_bytes: the largest file that is read; a long book chapter is 0.5 MB.
        lines: how many lines a document may have; a long book chapter has 5,000.
        formulas: how many formulas of one document are read, those within sentences too.
        rows: how many rows with a relation a document may have; the longest of 46 posts has 200.
        formula_characters: the longest formula; a page of an align environment has 5,000.
        row_tokens: how many TeX tokens one formula may have after its macros are expanded.
        macro_depth: how deep macros may call each other.
        nesting: how deep brackets, braces and scripts may nest in one row.
        derivative_order: how many primes a function may have.
        elements: how many numbers one intermediate array may hold while a claim is evaluated.
    """

    document_bytes: int = 1_000_000
    lines: int = 20_000
    formulas: int = 3_000
    rows: int = 600
    formula_characters: int = 40_000
    row_tokens: int = 4_000
    macro_depth: int = 30
    nesting: int = 40
    derivative_order: int = 4
    elements: int = 2_000_000


LIMITS = Limits()
