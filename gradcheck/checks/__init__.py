"""Checks: one module for each property of a rule, and the table of them all."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.checks.batch import BatchCheck
from gradcheck.checks.check import Check
from gradcheck.checks.determinism import DeterminismCheck
from gradcheck.checks.dtype import DtypeCheck
from gradcheck.checks.extremes import ExtremesCheck
from gradcheck.checks.gradient import GradientCheck
from gradcheck.checks.jvp import JvpCheck
from gradcheck.checks.layout import LayoutCheck
from gradcheck.checks.linearity import LinearityCheck
from gradcheck.checks.purity import PurityCheck
from gradcheck.checks.reuse import ReuseCheck
from gradcheck.checks.second_order import SecondOrderCheck
from gradcheck.checks.shapes import ShapesCheck
from gradcheck.errors import UsageError

__all__ = ["CHECKS", "select"]

CHECKS: tuple[Check, ...] = (
    GradientCheck(),
    ShapesCheck(),
    LinearityCheck(),
    LayoutCheck(),
    PurityCheck(),
    ReuseCheck(),
    BatchCheck(),
    DtypeCheck(),
    DeterminismCheck(),
    ExtremesCheck(),
    JvpCheck(),
    SecondOrderCheck(),
)
"""Every check, in the order in which reports list them."""


def select(names: Sequence[str] | None) -> tuple[Check, ...]:
    """Return the checks of these names, all of them for None.

    Raises:
        UsageError: there is no check of a name; the message lists those there are.
    """
    if names is None:
        return CHECKS
    table = {check.name: check for check in CHECKS}
    for name in names:
        if name not in table:
            raise UsageError(f"there is no check {name!r}; the checks are {', '.join(table)}")
    return tuple(check for check in CHECKS if check.name in names)
