"""Elementary functions in double-double numbers.

Power series after reducing the argument, and Newton's method from the float64 value; Abramowitz
and Stegun, Handbook of Mathematical Functions (equation numbers beside each).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.double_double import Double, as_double

__all__ = ["DOUBLE_FUNCTIONS", "decimal_constant", "fraction_constant"]

Array = np.ndarray[Any, Any]

EXP_TERMS = 22
"""Of the series of exp on |x| <= log(2)/16: the next term is below 2^-110."""

EXP_HALVINGS = 3
"""Times that the argument of exp is halved before, and the result squared after."""

SINE_TERMS = 16
"""Of the series of sin and cos on |x| <= pi/4."""


def fraction_constant(value: Fraction) -> Double:
    """Return the number nearest to a fraction."""
    high = float(value)
    return Double(np.float64(high), np.float64(float(value - Fraction(high))))


def decimal_constant(digits: str) -> Double:
    """Return the number nearest to a decimal."""
    return fraction_constant(Fraction(digits))


LOG_2 = decimal_constant("0.693147180559945309417232121458176568075500134360255254120680009")
HALF_PI = decimal_constant("1.57079632679489661923132169163975144209858469968755291048747230")


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
            terms.append(fraction_constant(Fraction(sign ** len(terms), factorial)))
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


def _cbrt(x: Double) -> Double:
    # Newton's step from the float64 value, near 1 so that nothing underflows.
    thirds = np.frexp(x.high)[1] // 3
    scaled = Double(*(np.ldexp(part, -3 * thirds) for part in x))
    guess = as_double(np.cbrt(scaled.high))
    square = guess * guess
    refined = guess - (square * guess - scaled) / (square * 3.0)
    result = Double(*(np.ldexp(part, thirds) for part in refined))
    return _where(np.isfinite(x.high) & (x.high != 0), result, as_double(np.cbrt(x.high)))


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
    "cbrt": _cbrt,
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
