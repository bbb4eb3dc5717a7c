"""Elementary and special functions in double-double numbers, and erf and gamma in any.

Power series after reducing the argument, and Newton's method from the float64 value; Abramowitz
and Stegun, Handbook of Mathematical Functions (equation numbers beside each).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.double_double import Double, as_double

__all__ = ["DOUBLE_FUNCTIONS", "special_functions"]

Array = np.ndarray[Any, Any]
Number = Any

EXP_TERMS = 22
"""Of the series of exp on |x| <= log(2)/16: the next term is below 2^-110."""

EXP_HALVINGS = 3
"""Times that the argument of exp is halved before, and the result squared after."""

SINE_TERMS = 16
"""Of the series of sin and cos on |x| <= pi/4."""

ERF_SERIES_LIMIT = 3.0
"""Up to here erf by its power series; above, erfc by its continued fraction."""

ERF_TERMS = 90
"""Of the series of erf at that limit, to 2^-106."""

FRACTION_TERMS = 160
"""Of the continued fraction of erfc at that limit, to 2^-106."""

STIRLING_START = 32
"""Gamma's asymptotic series is used from here on; smaller arguments are shifted up to it."""

STIRLING_TERMS = 18
"""Of that series: the next term is below 2^-106 there."""


def _fraction(value: Fraction) -> Double:
    high = float(value)
    return Double(np.float64(high), np.float64(float(value - Fraction(high))))


def _decimal(digits: str) -> Double:
    return _fraction(Fraction(digits))


LOG_2 = _decimal("0.693147180559945309417232121458176568075500134360255254120680009")
HALF_PI = _decimal("1.57079632679489661923132169163975144209858469968755291048747230")
TWO_OVER_ROOT_PI = _decimal("1.12837916709551257389615890312154517168810125865799771368817144")
HALF_LOG_2_PI = _decimal("0.918938533204672741780329736405617639861397473637783412817151540")


def _where(condition: Any, a: Double, b: Double) -> Double:
    return Double(np.where(condition, a.high, b.high), np.where(condition, a.low, b.low))


def _horner(x: Double, coefficients: list[Double]) -> Double:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _factorial_series(count: int, step: int, first: int, sign: int) -> list[Double]:
    factorial = 1
    terms: list[Double] = []
    for k in range(1, first + step * count + 1):
        if k > first and (k - 1 - first) % step == 0:
            terms.append(_fraction(Fraction(sign ** len(terms), factorial)))
        factorial *= k
    return terms


_EXPM1_OVER_X = _factorial_series(EXP_TERMS, 1, 1, 1)
_SIN_OVER_X = _factorial_series(SINE_TERMS, 2, 1, -1)
_COS = _factorial_series(SINE_TERMS, 2, 0, -1)


def _expm1_small(x: Double) -> Double:
    """exp(x) - 1 for |x| <= log(2)/2, by the series of x/8 and three doublings."""
    reduced = Double(x.high / 2**EXP_HALVINGS, x.low / 2**EXP_HALVINGS)
    result = reduced * _horner(reduced, _EXPM1_OVER_X)
    for _ in range(EXP_HALVINGS):
        result = result * (result + 2.0)
    return result


def _reduced_by_log_2(x: Double) -> tuple[Array, Double]:
    halves = np.clip(np.round(x.high / LOG_2.high), -2000, 2000)
    return halves, x - LOG_2 * halves


def exp(x: Double) -> Double:
    halves, rest = _reduced_by_log_2(x)
    scaled = _expm1_small(rest) + 1.0
    power = halves.astype(np.int64)
    result = Double(np.ldexp(scaled.high, power), np.ldexp(scaled.low, power))
    plain = np.exp(x.high)
    return _where(np.isfinite(plain) & (plain > 0), result, as_double(plain))


def expm1(x: Double) -> Double:
    small = np.abs(x.high) < 0.3
    return _where(small, _expm1_small(_where(small, x, as_double(0.0))), exp(x) - 1.0)


def log1p(x: Double) -> Double:
    guess = as_double(np.log1p(x.high))
    moved = expm1(guess)
    better = guess - (moved - x) / (moved + 1.0)
    return _where(np.isfinite(guess.high), better, guess)


def log(x: Double) -> Double:
    near_one = np.abs(x.high - 1) < 0.3
    guess = as_double(np.log(x.high))
    rest = x * exp(-guess) - 1.0
    far = _where(np.isfinite(guess.high), guess + (rest - rest * rest * 0.5), guess)
    return _where(near_one, log1p(_where(near_one, x, as_double(1.0)) - 1.0), far)


def sqrt(x: Double) -> Double:
    guess = np.sqrt(x.high)
    refined = as_double(guess) + (x - as_double(guess) * guess) / (2.0 * guess)
    return _where(np.isfinite(guess) & (guess > 0), refined, as_double(guess))


def sin_and_cos(x: Double) -> tuple[Double, Double]:
    quarters = np.round(x.high / HALF_PI.high)
    rest = x - HALF_PI * quarters
    square = rest * rest
    sine, cosine = rest * _horner(square, _SIN_OVER_X), _horner(square, _COS)
    turn = np.mod(quarters, 4)
    swapped = (turn == 1) | (turn == 3)
    s, c = _where(swapped, cosine, sine), _where(swapped, sine, cosine)
    return _where(turn >= 2, -s, s), _where((turn == 1) | (turn == 2), -c, c)


def atan2(y: Double, x: Double) -> Double:
    guess = as_double(np.arctan2(y.high, x.high))
    sine, cosine = sin_and_cos(guess)
    better = guess + (y * cosine - x * sine) / (x * cosine + y * sine)
    return _where(np.isfinite(better.high), better, guess)


def _tanh(x: Double) -> Double:
    grown = expm1(_where(x.high < 0, x, -x) * 2.0)
    result = grown / (grown + 2.0)
    return _where(x.high < 0, result, -result)


def _sinh(x: Double) -> Double:
    grown = expm1(_where(x.high < 0, -x, x))
    result = (grown + grown / (grown + 1.0)) * 0.5
    return _where(x.high < 0, -result, result)


def _cosh(x: Double) -> Double:
    grown = exp(x)
    return (grown + 1.0 / grown) * 0.5


def _logistic(x: Double) -> Double:
    return 1.0 / (exp(-x) + 1.0)


def _logaddexp(x: Double, y: Double) -> Double:
    larger = x.high >= y.high
    high, low = _where(larger, x, y), _where(larger, y, x)
    gap = low - high
    return high + log1p(exp(_where(np.isnan(gap.high), as_double(0.0), gap)))


def _pow(x: Double, y: Double) -> Double:
    result = exp(y * log(x))
    plain = np.power(x.high, y.high)
    return _where((x.high > 0) & np.isfinite(x.high), result, as_double(plain))


def _tan(x: Double) -> Double:
    sine, cosine = sin_and_cos(x)
    return sine / cosine


def _asinh(x: Double) -> Double:
    size = _where(x.high < 0, -x, x)
    square = size * size
    result = log1p(size + square / (sqrt(square + 1.0) + 1.0))
    return _where(x.high < 0, -result, result)


def _acosh(x: Double) -> Double:
    above = x - 1.0
    return log1p(above + sqrt(above * (above + 2.0)))


DOUBLE_FUNCTIONS: dict[str, Callable[..., Double]] = {
    "acos": lambda x: atan2(sqrt((1.0 - x) * (1.0 + x)), x),
    "acosh": _acosh,
    "asin": lambda x: atan2(x, sqrt((1.0 - x) * (1.0 + x))),
    "asinh": _asinh,
    "atan": lambda x: atan2(x, as_double(np.ones_like(x.high))),
    "atan2": atan2,
    "atanh": lambda x: (log1p(x) - log1p(-x)) * 0.5,
    "cos": lambda x: sin_and_cos(x)[1],
    "cosh": _cosh,
    "exp": exp,
    "exp2": lambda x: exp(x * LOG_2),
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "logaddexp": _logaddexp,
    "logistic": _logistic,
    "pow": _pow,
    "rsqrt": lambda x: 1.0 / sqrt(x),
    "sin": lambda x: sin_and_cos(x)[0],
    "sinh": _sinh,
    "sqrt": sqrt,
    "tan": _tan,
    "tanh": _tanh,
}
"""What double-double arithmetic has beyond the four operations."""


def special_functions(
    functions: dict[str, Callable[..., Number]],
    number: Callable[[Double], Number],
    companion: Callable[[Number], Array],
    where: Callable[..., Number],
) -> dict[str, Callable[..., Number]]:
    """Return erf, erfc, lgamma and digamma in numbers that have exp, log and the operators.

    Args:
        functions: exp and log of the numbers, by name.
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

    def shifted(x: Number) -> tuple[list[tuple[Array, Number]], Number]:
        steps = []
        for _ in range(STIRLING_START):
            below = companion(x) < STIRLING_START
            steps.append((below, x))
            x = where(below, x + 1.0, x)
        return steps, x

    def lgamma(x: Number) -> Number:
        # 6.1.40, after 6.1.15 has brought the argument up.
        steps, z = shifted(_positive(x, companion, where))
        product = z * 0.0 + 1.0
        for below, factor in steps:
            product = where(below, product * factor, product)
        inverse = 1.0 / z
        square = inverse * inverse
        total = inverse * 0.0
        for n in range(STIRLING_TERMS, 0, -1):
            coefficient = _bernoulli(2 * n) / (2 * n * (2 * n - 1))
            total = total * square + number(_fraction(coefficient))
        stirling = (z - 0.5) * logarithm(z) - z + number(HALF_LOG_2_PI) + total * inverse
        return stirling - logarithm(product)

    def digamma(x: Number) -> Number:
        # 6.3.18, after 6.3.5 has brought the argument up.
        steps, z = shifted(_positive(x, companion, where))
        inverse = 1.0 / z
        square = inverse * inverse
        total = inverse * 0.0
        for n in range(STIRLING_TERMS, 0, -1):
            total = total * square + number(_fraction(_bernoulli(2 * n) / (2 * n)))
        result = logarithm(z) - inverse * 0.5 - total * square
        for below, factor in reversed(steps):
            result = where(below, result - 1.0 / factor, result)
        return result

    return {"erf": erf, "erfc": erfc, "lgamma": lgamma, "digamma": digamma}


def _positive(x: Number, companion: Any, where: Any) -> Number:
    """Turn arguments up to 0, where the series does not hold, into NaN: no statement."""
    return where(companion(x) > 0, x, x * np.nan)


def _bernoulli(n: int) -> Fraction:
    known = [Fraction(1)]
    for m in range(1, n + 1):
        known.append(-sum(comb(m + 1, k) * known[k] for k in range(m)) / Fraction(m + 1))
    return known[n]
