# ruff: noqa: ARG001 - a rule has the parameters of NumPy's function, and ignores some
"""Elementwise functions: one line of `lax` each, applied to operands of equal dtype.

Functions of `math` stand beside NumPy's, for they round differently: a trace repeats the very
function that the user called. Those of `scipy.special` are added once it has been imported.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck.programs.numpy_tracing.registry import LOOPS, elementwise, lowers
from gradcheck.programs.numpy_tracing.rules.common import truth

__all__ = ["add_special_functions"]

LARGEST_EXPANDED_POWER = 64
"""Constant integer exponents up to this size become repeated multiplication, as NumPy's result
does within rounding; beyond it `lax.pow` is shorter."""


def _one(x: Any) -> Any:
    return np.ones((), x.dtype)


def _scaled(factor: float) -> Callable[[Any], Any]:
    return lambda x: lax.mul(x, np.asarray(factor, x.dtype))


def _log_in_base(base: float) -> Callable[[Any], Any]:
    return lambda x: lax.div(lax.log(x), np.asarray(math.log(base), x.dtype))


SIMPLE: dict[Callable[..., Any], tuple[Any, ...]] = {
    lax.neg: (np.negative,),
    lax.sign: (np.sign,),
    lax.square: (np.square,),
    lax.sqrt: (np.sqrt, math.sqrt),
    lax.cbrt: (np.cbrt, math.cbrt),
    lax.exp: (np.exp, math.exp),
    lax.exp2: (np.exp2, math.exp2),
    lax.expm1: (np.expm1, math.expm1),
    lax.log1p: (np.log1p, math.log1p),
    _log_in_base(2): (np.log2, math.log2),
    _log_in_base(10): (np.log10, math.log10),
    lax.sin: (np.sin, math.sin),
    lax.cos: (np.cos, math.cos),
    lax.tan: (np.tan, math.tan),
    lax.asin: (np.arcsin, math.asin),
    lax.acos: (np.arccos, math.acos),
    lax.atan: (np.arctan, math.atan),
    lax.sinh: (np.sinh, math.sinh),
    lax.cosh: (np.cosh, math.cosh),
    lax.tanh: (np.tanh, math.tanh),
    lax.asinh: (np.arcsinh, math.asinh),
    lax.acosh: (np.arccosh, math.acosh),
    lax.atanh: (np.arctanh, math.atanh),
    lax.erf: (math.erf,),
    lax.erfc: (math.erfc,),
    lax.lgamma: (math.lgamma,),
    lax.floor: (np.floor,),
    lax.ceil: (np.ceil,),
    _scaled(math.pi / 180): (np.deg2rad, np.radians, math.radians),
    _scaled(180 / math.pi): (np.rad2deg, np.degrees, math.degrees),
    lax.abs: (np.absolute, np.fabs, math.fabs),
    lax.sub: (np.subtract,),
    lax.div: (np.true_divide,),
    lax.max: (np.maximum,),
    lax.min: (np.minimum,),
    lax.atan2: (np.arctan2, math.atan2),
    lax.rem: (np.fmod, math.fmod),
    lax.eq: (np.equal,),
    lax.ne: (np.not_equal,),
    lax.lt: (np.less,),
    lax.le: (np.less_equal,),
    lax.gt: (np.greater,),
    lax.ge: (np.greater_equal,),
    lax.bitwise_and: (np.bitwise_and,),
    lax.bitwise_or: (np.bitwise_or,),
    lax.bitwise_xor: (np.bitwise_xor,),
    lax.bitwise_not: (np.invert,),
    lax.shift_left: (np.left_shift,),
    lax.shift_right_arithmetic: (np.right_shift,),
    jnp.hypot: (np.hypot, math.hypot),
    jnp.copysign: (np.copysign, math.copysign),
    jnp.heaviside: (np.heaviside,),
    jnp.fmax: (np.fmax,),
    jnp.fmin: (np.fmin,),
    jnp.remainder: (np.remainder, math.remainder),
    jnp.floor_divide: (np.floor_divide,),
    jnp.divmod: (np.divmod,),
    jnp.logaddexp: (np.logaddexp,),
    jnp.logaddexp2: (np.logaddexp2,),
    jnp.signbit: (np.signbit,),
}
for _loop, _functions in SIMPLE.items():
    elementwise(*_functions)(_loop)
del LOOPS[math.remainder]  # it rounds to even, unlike np.remainder


@elementwise(np.add)
def add(x: Any, y: Any) -> Any:
    return lax.bitwise_or(x, y) if x.dtype == np.bool else lax.add(x, y)


@elementwise(np.multiply)
def multiply(x: Any, y: Any) -> Any:
    return lax.bitwise_and(x, y) if x.dtype == np.bool else lax.mul(x, y)


@elementwise(np.log, math.log)
def log(x: Any, base: Any = None) -> Any:
    return lax.log(x) if base is None else lax.div(lax.log(x), lax.log(base))


@elementwise(np.reciprocal)
def reciprocal(x: Any) -> Any:
    return lax.div(_one(x), x)


@elementwise(np.positive)
def positive(x: Any) -> Any:
    return x


@elementwise(np.conjugate)
def conjugate(x: Any) -> Any:
    return lax.conj(x) if np.issubdtype(x.dtype, np.complexfloating) else x


@elementwise(np.rint)
def rint(x: Any) -> Any:
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


@elementwise(np.trunc)
def trunc(x: Any) -> Any:
    return lax.mul(lax.sign(x), lax.floor(lax.abs(x)))


@elementwise(np.modf)
def modf(x: Any) -> Any:
    whole = trunc(x)
    return lax.sub(x, whole), whole


@elementwise(np.power, np.float_power, operator.pow, math.pow)
def power(x: Any, y: Any) -> Any:
    if isinstance(y, (np.ndarray, np.generic)) and y.size and np.all(y == y.flat[0]):
        exponent = y.flat[0].item()
        if exponent == int(exponent) and abs(exponent) <= LARGEST_EXPANDED_POWER:
            return lax.integer_pow(x, int(exponent))
        if exponent == 0.5:
            return lax.sqrt(x)
    return lax.pow(x, y)


@elementwise(np.isnan)
def isnan(x: Any) -> Any:
    return lax.ne(x, x)


@elementwise(np.isfinite)
def isfinite(x: Any) -> Any:
    return jnp.isfinite(x)


@elementwise(np.isinf)
def isinf(x: Any) -> Any:
    return jnp.isinf(x)


@elementwise(np.logical_not)
def logical_not(x: Any) -> Any:
    return lax.bitwise_not(truth(x))


@elementwise(np.logical_and)
def logical_and(x: Any, y: Any) -> Any:
    return lax.bitwise_and(truth(x), truth(y))


@elementwise(np.logical_or)
def logical_or(x: Any, y: Any) -> Any:
    return lax.bitwise_or(truth(x), truth(y))


@elementwise(np.logical_xor)
def logical_xor(x: Any, y: Any) -> Any:
    return lax.bitwise_xor(truth(x), truth(y))


def _logit(x: Any) -> Any:
    return lax.log(lax.div(x, lax.sub(_one(x), x)))


def _log_expit(x: Any) -> Any:
    return lax.neg(jnp.logaddexp(lax.neg(x), np.zeros((), x.dtype)))


@cache
def add_special_functions() -> bool:
    """Register the functions of `scipy.special`; does nothing before the user imported it."""
    special = sys.modules.get("scipy.special")
    if special is None:
        return False
    from jax.scipy import special as twin

    loops: dict[str, Callable[..., Any]] = {
        "erf": lax.erf,
        "erfc": lax.erfc,
        "erfinv": lax.erf_inv,
        "expit": lax.logistic,
        "logit": _logit,
        "log_expit": _log_expit,
        "exp2": lax.exp2,
        "expm1": lax.expm1,
        "log1p": lax.log1p,
        "cbrt": lax.cbrt,
        "gammaln": lax.lgamma,
        "psi": lax.digamma,
        "digamma": lax.digamma,
        "ndtr": twin.ndtr,
        "log_ndtr": twin.log_ndtr,
        "ndtri": twin.ndtri,
        "xlogy": twin.xlogy,
        "xlog1py": twin.xlog1py,
        "entr": twin.entr,
        "rel_entr": twin.rel_entr,
        "kl_div": twin.kl_div,
    }
    for name, loop in loops.items():
        elementwise(getattr(special, name))(loop)

    @lowers(special.logsumexp, arrays=("a", "b"))
    def logsumexp(
        result: Any, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False,
        return_sign: bool = False,
    ) -> Any:  # fmt: skip
        return twin.logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=return_sign)

    return True
