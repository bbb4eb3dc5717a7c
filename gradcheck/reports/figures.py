"""What several rules compared by one check, as the cells of a table, from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["COUNTED", "finest", "totals"]

COUNTED = ("architectures", "points", "entries", "undecided")
"""The figures of a check's `power` that add up over rules."""


def totals(powers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the number of rules, then the sums of `COUNTED`.

    >>> totals([dict.fromkeys(COUNTED, 2), dict.fromkeys(COUNTED, 3)])
    ['2', '5', '5', '5', '5']
    """
    return [str(len(powers)), *(str(sum(power[key] for power in powers)) for key in COUNTED)]


def finest(powers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the worst agreement in digits and the largest error that would not have been seen, relative.

    >>> finest([{"digits": 12.34, "smallest_visible_error": 1e-9}])
    ['12.3', '1e-09']
    """
    digits = [power["digits"] for power in powers if power["digits"] is not None]
    errors = [power["smallest_visible_error"] for power in powers]
    visible = [float(error) for error in errors if error is not None]
    return [f"{min(digits):.1f}" if digits else "-", f"{max(visible):.0e}" if visible else "-"]
