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
        formulas: how many formulas of one document are read.
        row_tokens: how many TeX tokens one formula may have after its macros are expanded.
        macro_depth: how deep macros may call each other.
        nesting: how deep brackets, braces and scripts may nest in one row.
        elements: how many numbers one intermediate array may hold while a claim is evaluated.
    """

    document_bytes: int = 2_000_000
    formulas: int = 5_000
    row_tokens: int = 4_000
    macro_depth: int = 30
    nesting: int = 40
    elements: int = 2_000_000


LIMITS = Limits()
