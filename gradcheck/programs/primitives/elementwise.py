"""Functions of each entry, in NumPy's numbers: one name of a primitive, one ufunc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["DISCRETE", "REAL", "special_function"]

Function = Callable[..., Any]


def _logistic(x: Any) -> Any:
    # exp(-x) may overflow to infinity, whose inverse is the right 0.
    denominator = 1 + np.exp(-x)
    return denominator.dtype.type(1) / denominator


def special_function(name: str) -> Function:
    """Return the function `name` of scipy.special, which JAX brings; imported when first used."""

    def function(*arguments: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*arguments)

    return function


def _rsqrt(x: Any) -> Any:
    root = np.sqrt(x)
    return root.dtype.type(1) / root


REAL: dict[str, Function] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "add": np.add,
    "add_any": np.add,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "bessel_i0e": special_function("i0e"),
    "bessel_i1e": special_function("i1e"),
    "cbrt": np.cbrt,
    "complex": lambda x, y: x + 1j * y,
    "conj": np.conjugate,
    "cos": np.cos,
    "cosh": np.cosh,
    "digamma": special_function("psi"),
    "div": np.true_divide,
    "erf": special_function("erf"),
    "erf_inv": special_function("erfinv"),
    "erfc": special_function("erfc"),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "igamma": special_function("gammainc"),
    "igammac": special_function("gammaincc"),
    "imag": np.imag,
    "lgamma": special_function("gammaln"),
    "log": np.log,
    "log1p": np.log1p,
    "logaddexp": np.logaddexp,
    "logistic": _logistic,
    "mul": np.multiply,
    "neg": np.negative,
    "nextafter": np.nextafter,
    "polygamma": special_function("polygamma"),
    "pow": np.power,
    "real": np.real,
    "regularized_incomplete_beta": special_function("betainc"),
    "rsqrt": _rsqrt,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "sub": np.subtract,
    "tan": np.tan,
    "tanh": np.tanh,
    "zeta": special_function("zeta"),
}
"""Of floating numbers, real or complex."""


def _divide_integers(a: Any, b: Any) -> Any:
    # XLA rounds towards zero and gives -1 for a division by zero.
    safe = np.where(b == 0, 1, b)
    quotient = np.abs(a) // np.abs(safe) * (np.sign(a) * np.sign(safe))
    return np.where(b == 0, -1, quotient).astype(np.result_type(a, b))


def _remainder_of_integers(a: Any, b: Any) -> Any:
    return np.where(b == 0, a, np.fmod(a, np.where(b == 0, 1, b))).astype(np.result_type(a, b))


def _integer_power(a: Any, b: Any) -> Any:
    return np.power(a, np.maximum(b, 0))


def _shift_right_logical(a: Any, b: Any) -> Any:
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return np.where(
        np.asarray(b).astype(unsigned) >= 8 * a.dtype.itemsize,
        0,
        (a.view(unsigned) >> np.asarray(b).astype(unsigned)).view(a.dtype),
    ).astype(a.dtype)


DISCRETE: dict[str, Function] = {
    "abs": np.abs,
    "add": np.add,
    "add_any": np.add,
    "and": np.bitwise_and,
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "div": _divide_integers,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "population_count": lambda x: np.bitwise_count(x).astype(x.dtype),
    "pow": _integer_power,
    "rem": _remainder_of_integers,
    "shift_left": np.left_shift,
    "shift_right_arithmetic": np.right_shift,
    "shift_right_logical": _shift_right_logical,
    "sign": np.sign,
    "square": np.square,
    "sub": np.subtract,
    "xor": np.bitwise_xor,
}
"""Of integers and truth values."""
