"""The complex step: the derivative of an analytic f is Im f(ih) / h, without any cancellation.

It reaches rounding error where differences lose four digits, but only for a function that is
analytic as it is written: `abs`, a comparison, `conj`, `real` or a cast to float give a wrong number without
a word. It is believed only where f agrees with itself on the real line, with its own
reflection, and with finite differences.

Source: W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions,
SIAM Review 40 (1998), equation 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.differences import Derivative
from gradcheck.oracles.windows import CALIBRATION, ROUNDING_UNIT

__all__ = ["complex_derivative"]

STEPS = (1.0, 1.3, 1.7, 2.3, 2.9)
"""Steps in units of `SMALLEST_STEP`. They round differently, and no two differ by a power of two, so
their scatter shows the rounding: five values, four degrees of freedom, as in a window's tail."""

SMALLEST_STEP = 1e-20
"""The first step relative to `scale`. What the formula leaves out is its square: 1e-40."""

LEAST_ROUNDINGS = 4.0
"""The least bound, in rounding units of the derivative: five values may agree by chance."""

REAL_ROUNDINGS = 64.0
"""How far Re f(ih) may be from f(0), in rounding units: complex routines round otherwise."""


def complex_derivative(
    f: Callable[[complex], complex], *, at_zero: float, differences: Derivative, scale: float = 1.0
) -> Derivative:
    """Return the derivative at 0 of `f`, which takes a complex t, by the complex step.

    Args:
        f: the function, complex to complex.
        at_zero: its value at 0 by the real evaluation.
        differences: its derivative by finite differences of the real evaluation.
        scale: the size of t at which f may change by its own order.

    Raises:
        Abstention: f raises a TypeError, is not finite, or does not prove analytic.

    >>> import numpy as np
    >>> from gradcheck.oracles.differences import estimate_derivative
    >>> real = estimate_derivative(np.exp, rng=np.random.default_rng(0))
    >>> derivative = complex_derivative(np.exp, at_zero=1.0, differences=real)
    >>> abs(derivative.value - 1.0) <= derivative.bound < 1e-14
    True
    """
    if differences.status not in ("smooth", "noise"):
        raise Abstention(f"the complex step needs a smooth function ({differences.status})")
    steps = [SMALLEST_STEP * scale * step for step in STEPS]
    values = [_value(f, step) for step in steps]
    _require_the_real_value(values[0].real, at_zero)
    # A reflected step costs one evaluation; f(-ih) is the conjugate of f(ih) if f is real for real t.
    reflected = _value(f, -steps[0])
    if abs(reflected.imag + values[0].imag) > REAL_ROUNDINGS * ROUNDING_UNIT * abs(values[0].imag):
        raise Abstention("f is not analytic: f(-ih) is not the conjugate of f(ih)")
    slopes = np.array([value.imag / step for value, step in zip(values, steps, strict=True)])
    slope = float(np.mean(slopes))
    bound = max(
        CALIBRATION * float(np.std(slopes, ddof=1)), LEAST_ROUNDINGS * ROUNDING_UNIT * abs(slope)
    )
    if not abs(slope - differences.value) <= bound + differences.bound:
        raise Abstention(
            f"f is not analytic as it is written: the complex step gives {slope:.6g}, "
            f"finite differences {differences.value:.6g} ± {differences.bound:.1g}"
        )
    return Derivative(slope, bound, len(STEPS) + 1, steps[0], "smooth")


def _value(f: Callable[[complex], complex], step: float) -> complex:
    try:
        value = complex(f(complex(0.0, step)))
    except TypeError as error:
        raise Abstention(f"f takes no complex numbers: {error}") from error
    if not (math.isfinite(value.real) and math.isfinite(value.imag)):
        raise Abstention("f is not finite at a complex step")
    return value


def _require_the_real_value(real: float, at_zero: float) -> None:
    if not abs(real - at_zero) <= REAL_ROUNDINGS * ROUNDING_UNIT * max(abs(real), abs(at_zero)):
        raise Abstention(
            f"f takes another way for complex numbers: its real part is {real!r}, f(0) is {at_zero!r}"
        )
