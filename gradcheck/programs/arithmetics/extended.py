"""Numbers wider than float64, with a bound on their rounding error: what is true, what is rounding?

`np.longdouble` where it has more bits than float64 (x86), else double-double, which the environment
variable `GRADCHECK_EXTENDED=double-double` asks for on any platform. Constants that the program
writes are the roundings of what its author meant (1/3, 0.1, pi): each that needs more than a few
bits starts with the error of one rounding of its own type: beside a float32 array NumPy and JAX make a
float32 of 3 * 0.044715 and of 0.044715, and the one is not three times the other. Inputs are exact, and so
are whole arrays but for a float64 rounding: they are data that both programs share.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.errors import UsageError
from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.double_double import Double, DoubleDouble
from gradcheck.programs.arithmetics.floating import Floating
from gradcheck.programs.arithmetics.running_error import (
    UNIT_ROUNDOFF,
    RunningError,
)
from gradcheck.programs.arithmetics.series import DOUBLE_FUNCTIONS
from gradcheck.programs.arithmetics.special_functions import SPECIAL_ROUNDINGS, special_functions
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.elementwise import REAL

__all__ = ["DOUBLE_DOUBLE", "EXTENDED", "LONG_DOUBLE", "Extended", "LongDouble", "as_plain_arrays"]

Array = np.ndarray[Any, Any]

LONG_MANTISSAS = (63, 112)
"""Stored bits of the wide formats that NumPy's longdouble may be: x86's and IEEE's quadruple."""

DOUBLE_DOUBLE_UNIT = 2.0**-100
"""Largest relative error of one double-double operation: division's 15 units of 2^-106, doubled
for each of the two roundings of its parts."""

REDUCTION_ROUNDINGS: dict[str, Callable[..., Any]] = {
    # Taking off a multiple of log 2 or of pi leaves an error of the size of the argument.
    "cos": lambda size, x: 20 * size + np.abs(x),
    "exp": lambda size, x: (20 + np.abs(x)) * size,
    "exp2": lambda size, x: (20 + np.abs(x)) * size,
    "expm1": lambda size, x: (20 + np.abs(x)) * size,
    "logistic": lambda size, x: (20 + np.abs(x)) * size,
    "pow": lambda size, x, y: (20 + 4 * np.abs(y * np.log(np.abs(x)))) * size,
    "sin": lambda size, x: 20 * size + np.abs(x),
    "sinh": lambda size, x: (20 + np.abs(x)) * size,
    "cosh": lambda size, x: (20 + np.abs(x)) * size,
    "tan": lambda size, x: 20 * size + np.abs(x) * (1 + size * size),
}
"""Error of the double-double functions that reduce their argument, likewise."""

BY_NUMPY = (
    "acos acosh add add_any asin asinh atan atan2 atanh cbrt cos cosh div exp exp2 expm1 log log1p "
    "logaddexp logistic mul neg pow rsqrt sin sinh sqrt square sub tan tanh"
)
"""Functions that NumPy has in longdouble."""


class LongDouble(Floating):
    """NumPy's longdouble; what NumPy lacks there comes from series, or not at all."""

    def __init__(self) -> None:
        super().__init__("longdouble")
        self.roundings = SPECIAL_ROUNDINGS
        native: dict[str, Callable[..., Any]] = {name: REAL[name] for name in BY_NUMPY.split()}
        self.elementwise = native | special_functions(
            native,
            lambda constant: np.longdouble(constant.high) + np.longdouble(constant.low),
            lambda x: np.asarray(x).astype(np.float64),
            np.where,
        )

    def missing(self, operation: Operation) -> Callable[..., Any]:
        return Arithmetic.missing(self, operation)


class Extended(RunningError):
    """Wide numbers with bounds; constants of many bits start with a rounding error."""

    least_unit = UNIT_ROUNDOFF


def as_plain_arrays(a: Any, b: Any) -> tuple[Array, Array]:
    """Return two wide numbers as arrays of one dtype that differ by as much, to a float64 rounding of b.

    >>> from gradcheck.programs.arithmetics.double_double import Double
    >>> a, b = as_plain_arrays(Double(np.ones(1), np.full(1, 1e-15)), Double(np.ones(1), np.zeros(1)))
    >>> float(a[0] - b[0])
    1.1102230246251565e-15
    """
    if not isinstance(a, Double):
        return np.asarray(a), np.asarray(b)
    return np.asarray(b.high + (a - b).high), np.asarray(b.high)


def _double_double() -> DoubleDouble:
    special = special_functions(
        DOUBLE_FUNCTIONS, lambda constant: constant, lambda x: np.asarray(x.high), _where
    )
    arithmetic = DoubleDouble(DOUBLE_FUNCTIONS | special)
    arithmetic.roundings = SPECIAL_ROUNDINGS | REDUCTION_ROUNDINGS
    return arithmetic


def _where(condition: Array, a: Any, b: Any) -> Double:
    return Double(np.where(condition, a.high, b.high), np.where(condition, a.low, b.low))


def _long_double() -> Extended | None:
    limits = np.finfo(np.longdouble)
    if limits.nmant not in LONG_MANTISSAS:
        return None
    return Extended(LongDouble(), float(limits.eps) / 2)


DOUBLE_DOUBLE = Extended(_double_double(), DOUBLE_DOUBLE_UNIT)
"""Works on every platform, and is slow."""

LONG_DOUBLE = _long_double()
"""NumPy's own, or None where it is no wider than float64."""

SWITCH = "GRADCHECK_EXTENDED"
"""The environment variable that names the wide numbers, read when they are first used."""

FORMATS = {"double-double": DOUBLE_DOUBLE, "longdouble": LONG_DOUBLE}


def _chosen(name: str | None) -> Extended:
    if not name:
        return LONG_DOUBLE or DOUBLE_DOUBLE
    chosen = FORMATS.get(name)
    if chosen is None:
        here = ", ".join(known for known, arithmetic in FORMATS.items() if arithmetic)
        raise UsageError(
            f"the environment variable {SWITCH} is {name!r}; this platform's extended precision is one of "
            f"{here}: set it to one of these, or leave it unset for the fastest"
        )
    return chosen


EXTENDED = _chosen(os.environ.get(SWITCH))
"""The faster of the two that this platform has, unless the environment names one."""
