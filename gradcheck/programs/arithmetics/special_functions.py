"""erf, its inverse and the gamma family in any numbers that have exp, log, sine and the operators.

Power series, continued fractions and asymptotic series; Abramowitz and Stegun, Handbook of Mathematical
Functions (equation numbers beside each).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import comb, factorial
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.double_double import Double
from gradcheck.programs.arithmetics.series import decimal_constant, fraction_constant
from gradcheck.programs.primitives.elementwise import special_function

__all__ = ["SPECIAL_ROUNDINGS", "special_functions"]

Array = np.ndarray[Any, Any]
Number = Any

ERF_SERIES_LIMIT = 3.0
"""Up to here erf by its power series; above, erfc by its continued fraction."""

ERF_TERMS = 90
"""Of the series of erf at that limit, to 2^-106."""

FRACTION_TERMS = 160
"""Of the continued fraction of erfc at that limit, to 2^-106."""

STIRLING_START = 32
"""Gamma's asymptotic series is used from here on; smaller arguments are shifted up to it."""

STIRLING_TERMS = 18
"""Of that series: the next term is below 2^-106 there, and for the first derivatives 2^-100."""

PI = decimal_constant("3.14159265358979323846264338327950288419716939937510582097494459")
TWO_OVER_ROOT_PI = decimal_constant(
    "1.12837916709551257389615890312154517168810125865799771368817144"
)
HALF_LOG_2_PI = decimal_constant(
    "0.918938533204672741780329736405617639861397473637783412817151540"
)

SPECIAL_ROUNDINGS: dict[str, Callable[..., Any]] = {
    # exp(-x²) turns one rounding of x² into x² of them.
    "erf": lambda size, x: (40 + 2 * np.minimum(x * x, 9)) * size,
    "erfc": lambda size, x: (80 + 4 * x * x) * size,
    # Newton's step divides the error of erf, or of erfc in the tail, by the slope there.
    "erf_inv": lambda size, _: 400 * size,
    # Stirling's series cancels against the shift: both are of the size of log 60! < 200. A reflection
    # cancels where log|sin πx| or cot πx has the size of a gamma function, which is then below 40.
    "lgamma": lambda size, x: 20 * size + np.where(x > 0, 1000, 3000),
    "digamma": lambda size, x: 20 * size + np.where(x > 0, 100, 2000),
    # All terms but the small ones of the series are positive.
    "polygamma": lambda size, n, _: (100 + 4 * n) * size,
}
"""Error of the series, absolute, in units of the unit roundoff."""


def special_functions(
    functions: dict[str, Callable[..., Number]],
    number: Callable[[Double], Number],
    companion: Callable[[Number], Array],
    where: Callable[..., Number],
) -> dict[str, Callable[..., Number]]:
    """Return erf, erfc, erf_inv, lgamma, digamma and polygamma in numbers that have functions and operators.

    Args:
        functions: exp, log, sin and cos of the numbers, by name.
        number: turns a double-double constant into a number.
        companion: the float64 value of a number.
        where: (condition, number, number) -> number.
    """
    exponential, logarithm = functions["exp"], functions["log"]

    def erf_series(x: Number) -> Number:
        # 7.1.6: erf x = 2/√π exp(-x²) Σ 2^n x^(2n+1) / (1·3···(2n+1)), all terms of one sign.
        square = x * x
        total = term = x
        for n in range(1, ERF_TERMS):
            term = term * square * 2.0 / (2.0 * n + 1.0)
            total = total + term
        return exponential(-square) * total * number(TWO_OVER_ROOT_PI)

    def erfc_fraction(x: Number) -> Number:
        # 7.1.14: √π exp(x²) erfc x = 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))), x > 0.
        tail = x
        for n in range(FRACTION_TERMS, 0, -1):
            tail = x + (0.5 * n) / tail
        return exponential(-(x * x)) / tail * (number(TWO_OVER_ROOT_PI) * 0.5)

    def split(x: Number) -> tuple[Array, Number, Number]:
        point = companion(x)
        size = where(point < 0, -x, x)
        near = np.abs(point) < ERF_SERIES_LIMIT
        limit = x * 0.0 + ERF_SERIES_LIMIT
        return near, erf_series(where(near, x, limit)), erfc_fraction(where(near, limit, size))

    def erf(x: Number) -> Number:
        near, inside, tail = split(x)
        outside = where(companion(x) < 0, tail - 1.0, 1.0 - tail)
        return where(near, inside, outside)

    def erfc(x: Number) -> Number:
        # Between 0 and the limit 1 - erf would cancel, but the fraction converges from 1 on.
        point = companion(x)
        size = where(point < 0, -x, x)
        middling = np.abs(point) >= 1.0
        one = x * 0.0 + 1.0
        tail = erfc_long_fraction(where(middling, size, one))
        inside = 1.0 - erf_series(where(middling, one, x))
        return where(middling, where(point < 0, 2.0 - tail, tail), inside)

    def erfc_long_fraction(x: Number) -> Number:
        tail = x
        for n in range(10 * FRACTION_TERMS, 0, -1):
            tail = x + (0.5 * n) / tail
        return exponential(-(x * x)) / tail * (number(TWO_OVER_ROOT_PI) * 0.5)

    def erf_inv(y: Number) -> Number:
        # One step of Newton's from the float64 value; in the tail by erfc, which keeps its digits there.
        point = companion(y)
        size = where(point < 0, -y, y)
        guess = special_function("erfinv")(companion(size))
        x = size * 0.0 + guess
        missing = where(np.abs(point) < 0.5, size - erf(x), erfc(x) - (1.0 - size))
        step = missing * exponential(x * x) / number(TWO_OVER_ROOT_PI)
        result = where(np.isfinite(guess), x + step, x)
        return where(point < 0, -result, result)

    def shifted(x: Number) -> tuple[list[tuple[Array, Number]], Number]:
        steps = []
        for _ in range(STIRLING_START):
            below = companion(x) < STIRLING_START
            steps.append((below, x))
            x = where(below, x + 1.0, x)
        return steps, x

    def turned(x: Number) -> tuple[Array, Number, Number]:
        """Return where x <= 0, there 1 - x and else x, and pi times the distance from a whole number."""
        below = companion(x) <= 0
        return below, where(below, 1.0 - x, x), (x - np.round(companion(x))) * number(PI)

    def lgamma(x: Number) -> Number:
        # 6.1.17: Γ(x) Γ(1 - x) = π / sin(πx).
        below, z, angle = turned(x)
        sine = functions["sin"](angle)
        size = where(companion(sine) < 0, -sine, sine)
        value = lgamma_of_positive(z)
        return where(below, logarithm(number(PI) / size) - value, value)

    def digamma(x: Number) -> Number:
        # 6.3.7: ψ(1 - x) = ψ(x) + π cot(πx).
        below, z, angle = turned(x)
        slope = functions["cos"](angle) / functions["sin"](angle) * number(PI)
        value = digamma_of_positive(z)
        return where(below, value - slope, value)

    def lgamma_of_positive(x: Number) -> Number:
        # 6.1.40, after 6.1.15 has brought the argument up.
        steps, z = shifted(x)
        product = z * 0.0 + 1.0
        for below, factor in steps:
            product = where(below, product * factor, product)
        inverse = 1.0 / z
        square = inverse * inverse
        total = inverse * 0.0
        for n in range(STIRLING_TERMS, 0, -1):
            coefficient = _bernoulli(2 * n) / (2 * n * (2 * n - 1))
            total = total * square + number(fraction_constant(coefficient))
        stirling = (z - 0.5) * logarithm(z) - z + number(HALF_LOG_2_PI) + total * inverse
        return stirling - logarithm(product)

    def digamma_of_positive(x: Number) -> Number:
        # 6.3.18, after 6.3.5 has brought the argument up.
        steps, z = shifted(x)
        inverse = 1.0 / z
        square = inverse * inverse
        total = inverse * 0.0
        for n in range(STIRLING_TERMS, 0, -1):
            total = total * square + number(fraction_constant(_bernoulli(2 * n) / (2 * n)))
        result = logarithm(z) - inverse * 0.5 - total * square
        for below, factor in reversed(steps):
            result = where(below, result - 1.0 / factor, result)
        return result

    def polygamma(order: Number, x: Number) -> Number:
        # 6.4.11, after 6.4.6 has brought the argument up; the sign is that of (-1)^(n + 1).
        orders = np.unique(companion(order))
        if len(orders) != 1 or orders[0] not in POLYGAMMA_ORDERS:
            return x * np.nan
        n = int(orders[0])
        steps, z = shifted(where(companion(x) > 0, x, x * np.nan))
        inverse = 1.0 / z
        square = inverse * inverse
        total = inverse * 0.0
        for k in range(STIRLING_TERMS, 0, -1):
            coefficient = _bernoulli(2 * k) * factorial(2 * k + n - 1) / factorial(2 * k)
            total = (total + number(fraction_constant(coefficient))) * square
        total = total + inverse * (0.5 * factorial(n)) + float(factorial(n - 1))
        power = inverse
        for _ in range(n - 1):
            power = power * inverse
        result = total * power
        for below, argument in reversed(steps):
            term = 1.0 / argument
            power = term
            for _ in range(n):
                power = power * term
            result = where(below, result + power * float(factorial(n)), result)
        return result if n % 2 else -result

    return {
        "digamma": digamma,
        "erf": erf,
        "erf_inv": erf_inv,
        "erfc": erfc,
        "lgamma": lgamma,
        "polygamma": polygamma,
    }


POLYGAMMA_ORDERS = (1, 2, 3)
"""Derivatives of digamma that the series has digits for; of others, and of arguments up to 0, it says NaN."""


@cache
def _bernoulli(n: int) -> Fraction:
    known = [Fraction(1)]
    for m in range(1, n + 1):
        known.append(-sum(comb(m + 1, k) * known[k] for k in range(m)) / Fraction(m + 1))
    return known[n]
