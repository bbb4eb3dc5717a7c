"""How far an elementary function moves when its argument does.

With y = f(x) and |x' - x| <= e, each spread bounds |f(x') - y|, for errors small beside the scale
on which f bends; those of exp, log, sqrt, tanh and the logistic function hold for any error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.primitives.elementwise import REAL, special_function

__all__ = ["DERIVATIVES", "SPREADS"]

Array = Any
"""A float64 array, or a NumPy scalar, which a ufunc makes of arrays without axes."""

Spread = Callable[..., Array]

SLOPE_ROUNDINGS = 2.0**-48
"""Absolute error of 1 - tanh(x)^2 computed from the float64 nearest to tanh(x) but for its ten roundings:
twice these, and one each for the operations."""

MOST_CURVATURE_OF_TANH = 0.77
"""The second derivative of tanh is largest, 4 / (3 sqrt(3)), where tanh(x)^2 = 1/3."""


def _relative(error: Array, size: Array) -> Array:
    """Return the relative error, 0 where there is none, whatever the size."""
    return np.where(error == 0, 0.0, error / np.abs(size))


def _exp(y: Array, x: Array, e: Array) -> Array:
    moved = np.abs(y) * (e * (1 + e))  # expm1(e) is at most e + e^2 up to 1
    if np.all(e < 1):
        return moved
    # For a result near 0 whose argument is far off: masks by large numbers.
    return np.where(e < 1, moved, np.exp(x + e))


def _exp2(y: Array, x: Array, e: Array) -> Array:
    return _exp(y, x * np.log(2), e * np.log(2))


def _expm1(y: Array, x: Array, e: Array) -> Array:
    return _exp(1 + y, x, e)


def _log(_: Array, x: Array, e: Array) -> Array:
    relative = _relative(e, x)
    return np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)


def _log1p(y: Array, x: Array, e: Array) -> Array:
    return _log(y, 1 + x, e)


def _sqrt(y: Array, x: Array, e: Array) -> Array:
    least = np.sqrt(np.maximum(x - e, 0))
    return np.where(e == 0, 0.0, np.minimum(e / (y + least), np.sqrt(e)))


def _rsqrt(y: Array, x: Array, e: Array) -> Array:
    relative = _relative(e, x)
    return np.where(relative < 1, y * (1 / np.sqrt(1 - np.minimum(relative, 1)) - 1), np.inf)


def _tanh(y: Array, _: Array, e: Array) -> Array:
    # The slope at x, as well as it is known from y, and how much more it may be at a distance of e.
    slope = (1 - y) * (1 + y) + (SLOPE_ROUNDINGS + MOST_CURVATURE_OF_TANH * e)
    return e * np.minimum(slope, 1)


def _logistic(_: Array, x: Array, e: Array) -> Array:
    tail = np.exp(-np.maximum(np.abs(x) - e, 0))
    return e * tail / (1 + tail) ** 2


def _sin(_: Array, x: Array, e: Array) -> Array:
    return e * np.minimum(np.abs(np.cos(x)) + e, 1)


def _cos(_: Array, x: Array, e: Array) -> Array:
    return e * np.minimum(np.abs(np.sin(x)) + e, 1)


def _pow(z: Array, x: Array, y: Array, x_error: Array, y_error: Array) -> Array:
    relative = _relative(x_error, x)
    from_base = (np.abs(y) + y_error) * -np.log1p(-np.minimum(relative, 1))
    from_exponent = np.where(y_error == 0, 0.0, np.abs(np.log(np.abs(x))) * y_error)
    moved = from_base + from_exponent
    return np.where(moved == 0, 0.0, np.abs(z) * np.expm1(moved))


def _atan2(_: Array, y: Array, x: Array, y_error: Array, x_error: Array) -> Array:
    shift = np.hypot(x_error, y_error)
    room = np.hypot(x, y) - shift
    return np.where(shift == 0, 0.0, np.where(room > 0, shift / room, np.pi))


def _logaddexp(_: Array, _x: Array, _y: Array, x_error: Array, y_error: Array) -> Array:
    return np.maximum(x_error, y_error)


def _erf(_: Array, x: Array, e: Array) -> Array:
    nearest = np.maximum(np.abs(x) - e, 0)
    return e * (2 / np.sqrt(np.pi)) * np.exp(-nearest * nearest)


def _polygamma(_: Array, order: Array, x: Array, order_error: Array, x_error: Array) -> Array:
    # For x > 0 the slope is steepest at the smallest x.
    least = x - x_error
    steepest = np.abs(special_function("polygamma")(order + 1, np.where(least > 0, least, 1.0)))
    known = (least > 0) & (order_error == 0)
    return np.where(known, steepest * x_error, np.inf)


SPREADS: dict[str, Spread] = {
    "atan2": _atan2,
    "cos": _cos,
    "erf": _erf,
    "erfc": _erf,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "logaddexp": _logaddexp,
    "logistic": _logistic,
    "polygamma": _polygamma,
    "pow": _pow,
    "rsqrt": _rsqrt,
    "sin": _sin,
    "sqrt": _sqrt,
    "tanh": _tanh,
}
"""Functions (result, operands..., errors of the operands...) -> bound on the change."""


def _digamma_slope(x: Array) -> Array:
    return special_function("polygamma")(1, x)


def _bessel_slope(order: int) -> Callable[[Array], Array]:
    def slope(x: Array) -> Array:
        i0, i1 = REAL["bessel_i0e"](x), REAL["bessel_i1e"](x)
        # Both functions and their slopes are bounded by the sum of the two.
        return np.abs(i0) + np.abs(i1) * (1 + order / np.maximum(np.abs(x), 1))

    return slope


DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "acos": lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "acosh": lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
    "asin": lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "asinh": lambda x: 1 / np.hypot(1, x),
    "atan": lambda x: 1 / (1 + x * x),
    "atanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "bessel_i0e": _bessel_slope(0),
    "bessel_i1e": _bessel_slope(1),
    "cbrt": lambda x: 1 / (3 * np.cbrt(x) ** 2),
    "cosh": np.sinh,
    "digamma": _digamma_slope,
    "erf_inv": lambda x: np.sqrt(np.pi) / 2 * np.exp(special_function("erfinv")(x) ** 2),
    "lgamma": special_function("psi"),
    "sinh": np.cosh,
    "tan": lambda x: 1 + np.tan(x) ** 2,
}
"""First derivatives, where nothing sharper is worth its lines."""
