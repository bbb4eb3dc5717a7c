"""Real programs at complex points: one evaluation gives value and directional derivative.

f(x + i h v) = f(x) + i h f'(x) v + O(h²), without subtraction, so that h may be 1e-100 (Squire and
Trapp 1998, "Using complex variables to estimate derivatives of real functions"). Real parts decide
every branch, and absolute values are those of the real part's sign, or the function would not be
analytic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.floating import Floating
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.elementwise import REAL, special_function

__all__ = ["COMPLEX128", "ComplexStep"]

Array = np.ndarray[Any, Any]

ANALYTIC = (
    "acos acosh add add_any asin asinh atan atanh cos cosh digamma div erf erfc exp exp2 expm1 log "
    "log1p logistic mul neg pow rsqrt sin sinh sqrt square sub tan tanh"
)
"""Functions whose NumPy or scipy form takes complex numbers."""


def _logaddexp(x: Array, y: Array) -> Array:
    larger = x.real >= y.real
    high, low = np.where(larger, x, y), np.where(larger, y, x)
    return np.asarray(high + np.log1p(np.exp(low - high)))


class ComplexStep(Floating):
    """Complex128 in the place of every real dtype."""

    def __init__(self) -> None:
        super().__init__("complex128")
        own = {"lgamma": special_function("loggamma"), "logaddexp": _logaddexp}
        self.elementwise = {name: REAL[name] for name in ANALYTIC.split()} | own

    def companion(self, value: Array) -> Array:
        return np.real(value)

    def special(self, operation: Operation) -> Callable[..., Any] | None:
        if any(t.dtype.kind == "c" for t in (*operation.inputs, *operation.outputs)):
            return self.missing(operation)
        return None

    def compile(self, operation: Operation) -> tuple[Callable[..., Any], bool]:
        return Arithmetic.compile(self, operation)

    def missing(self, operation: Operation) -> Callable[..., Any]:
        return Arithmetic.missing(self, operation)


COMPLEX128 = ComplexStep()
