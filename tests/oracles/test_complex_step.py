"""The complex step is exact where it is believed, and not believed where it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.errors import Abstention
from gradcheck.oracles.complex_step import complex_derivative
from gradcheck.oracles.differences import estimate_derivative


def derivative_of(f, real=None, scale=1.0):
    real = real or f
    with np.errstate(all="ignore"):
        differences = estimate_derivative(
            lambda t: float(np.real(real(t))), scale=scale, rng=np.random.default_rng(0)
        )
        at_zero = float(np.real(real(0.0)))
        return complex_derivative(f, at_zero=at_zero, differences=differences, scale=scale)


def shifted(f, x):
    return lambda t: f(x + t)


@pytest.mark.parametrize("x", [-2.0, -0.3, 0.1, 1.0, 3.0])
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (np.exp, math.exp),
        (np.sin, math.cos),
        (np.tanh, lambda x: 1 / math.cosh(x) ** 2),
        (lambda z: 1 / (1 + np.exp(-z)), lambda x: 0.25 / math.cosh(x / 2) ** 2),
        (lambda z: z**3 - 2 * z, lambda x: 3 * x * x - 2),
    ],
    ids=["exp", "sin", "tanh", "sigmoid", "polynomial"],
)
def test_an_analytic_function_is_resolved_to_rounding(f, slope, x):
    derivative = derivative_of(shifted(f, x))
    assert abs(derivative.value - slope(x)) <= derivative.bound + 2e-16 * abs(slope(x))
    assert derivative.bound <= 1e-13 * max(1.0, abs(slope(x)))


@pytest.mark.parametrize("exponent", [-100, 100])
def test_the_unit_of_t_does_not_matter_once_it_is_told(exponent):
    unit = 10.0**exponent
    derivative = derivative_of(lambda t: np.sin(1 + t / unit), scale=unit)
    assert derivative.value * unit == pytest.approx(math.cos(1), rel=1e-14)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda z: np.abs(z + 1.0), "not analytic as it is written"),
        (lambda z: np.real(z + 1.0) ** 2 + 0j, "not analytic as it is written"),
        (lambda z: np.conj(z) + 1.0, "not analytic as it is written"),
        (lambda z: np.exp(1.0 + z) + 0.1j * z * z.conjugate() / 1e-20, "not the conjugate"),
        (lambda z: math.exp(z), "takes no complex numbers"),
        (lambda z: z if isinstance(z, float) else z + 1, "takes another way for complex"),
        (lambda z: z if isinstance(z, float) else complex(math.nan, 0), "not finite"),
    ],
    ids=["abs", "real part", "conjugate", "skewed", "math.exp", "other branch", "nan"],
)
def test_a_function_that_is_not_analytic_as_written_is_not_believed(f, reason):
    with pytest.raises(Abstention, match=reason):
        derivative_of(f)


def test_at_a_kink_the_complex_step_says_nothing():
    with pytest.raises(Abstention, match="needs a smooth function"):
        derivative_of(lambda t: t if np.real(t) > 0 else 0 * t)
