"""What is not read, and why."""

from __future__ import annotations

__all__ = ["BrokenPattern", "MissingDifferential", "NotUnderstood"]


class NotUnderstood(Exception):
    """A row says something that is not read; the message says what.

    Attributes:
        verdict: what the row is, where reading alone shows an error; else "".
    """

    verdict = ""


class MissingDifferential(NotUnderstood):
    """A derivative is written without the d of its denominator."""

    verdict = "syntax"


class BrokenPattern(NotUnderstood):
    """One entry of a display has another index than those beside it."""

    verdict = "scope"
