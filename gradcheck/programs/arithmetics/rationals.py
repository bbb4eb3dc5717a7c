"""The rational number, or the root of one, that the author of a float constant meant."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Meant", "meant_by"]

LARGEST_DENOMINATOR = 4096
"""Of the fractions k/n that are recognised: 1/7, the mean over 300 examples."""

DECIMAL_DIGITS = 8
"""Significant digits up to which a decimal is taken as it was written: 1e-5, 0.044715; fewer where
the format has no more than that itself, and any number would be one."""


ROOT_ROUNDINGS = 4
"""Relative, in units of 2^-53: how far the square of a rounded root, or of its reciprocal, lies."""


FORMAT_DIGITS = {"float32": 5, "float16": 2, "bfloat16": 1}
"""Significant digits that a decimal has and most numbers of the format have not."""


class Meant(NamedTuple):
    """What a constant stands for: `rational`, or its square root."""

    rational: Fraction
    is_root: bool = False

    def __str__(self) -> str:
        return f"√({self.rational})" if self.is_root else str(self.rational)


def meant_by(constant: Any) -> Meant:
    """Return the number that a positive or negative float constant was written as.

    A decimal of up to 8 digits is itself; else the fraction k/n with n <= 4096 that rounds to the
    constant, if there is one; else the root of such a fraction; else the binary value.

    >>> [str(meant_by(c)) for c in (0.1, 1.0 / 7, 2.0**-0.5, -3.0e-5)]
    ['1/10', '1/7', '√(1/2)', '-3/100000']
    >>> meant_by(0.123456789012345).rational == Fraction(0.123456789012345)
    True
    """
    scalar = np.asarray(constant)[()]
    written = Decimal(str(scalar))
    telling = min(DECIMAL_DIGITS, FORMAT_DIGITS.get(scalar.dtype.name, DECIMAL_DIGITS))
    if len(written.normalize().as_tuple().digits) <= telling:
        return Meant(Fraction(written))
    binary = Fraction(float(scalar))
    simple = binary.limit_denominator(LARGEST_DENOMINATOR)
    if scalar.dtype.type(float(simple)) == scalar:
        return Meant(simple)
    square = (binary * binary).limit_denominator(LARGEST_DENOMINATOR)
    small = 0 < square.numerator <= LARGEST_DENOMINATOR and not _is_perfect(square)
    if binary > 0 and small and abs(binary * binary / square - 1) <= ROOT_ROUNDINGS * 2.0**-53:
        return Meant(square, is_root=True)
    return Meant(binary)


def _is_perfect(square: Fraction) -> bool:
    return all(isqrt(part) ** 2 == part for part in (square.numerator, square.denominator))
