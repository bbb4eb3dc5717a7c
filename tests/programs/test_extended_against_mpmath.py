"""What NumPy lacks in extended precision, against 50 digits of mpmath: within the bound, which tells."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.double_double import Double
from gradcheck.programs.arithmetics.extended import DOUBLE_DOUBLE, EXTENDED, LONG_DOUBLE
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate

FORMATS = [pytest.param(DOUBLE_DOUBLE, id="double-double")]
if LONG_DOUBLE:
    FORMATS.append(pytest.param(LONG_DOUBLE, id="longdouble"))

TELLING = 1e-16
"""Size of a bound, relative to the result: well below float64's rounding errors after a few operations."""

NEAR_A_ZERO = 1e-15
"""Absolute size of a bound where the result is small because two terms of the size of 1 to 100 cancel."""


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mpmath.workdps(50):
        yield


def computed(function, x, arithmetic):
    with enable_x64():
        program = jax.make_jaxpr(function)(x)
    return evaluate(program, [np.asarray(x)], arithmetic)


def entries(value):
    """List the entries of an extended array as mpmath's numbers."""
    if isinstance(value, Double):
        pairs = zip(np.ravel(value.high), np.ravel(value.low), strict=True)
        return [mpmath.mpf(float(high)) + mpmath.mpf(float(low)) for high, low in pairs]
    rounded = np.ravel(value).astype(np.float64)
    rest = (np.ravel(value) - rounded).astype(np.float64)
    return [mpmath.mpf(float(a)) + mpmath.mpf(float(b)) for a, b in zip(rounded, rest, strict=True)]


def assert_within(result, truths):
    errors = np.ravel(result.error)
    for found, error, true in zip(entries(result.value), errors, truths, strict=True):
        assert abs(found - true) <= error
        assert error <= max(TELLING * abs(true), NEAR_A_ZERO)


def cube_root(x):
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def log_gamma(x):
    return mpmath.log(abs(mpmath.gamma(x)))


SPECIAL = {
    "cbrt": (lax.cbrt, cube_root, [-8.0, 1e-300, 3.3, 0.0, -1e100]),
    "digamma": (
        lax.digamma,
        mpmath.digamma,
        [-10.7, -2.5, -0.504083008264455, -1e-9, 0.3, 1.4616321449683622, 31.9, 32.1, 1e5],
    ),
    "erf": (lax.erf, mpmath.erf, [-7.0, -0.3, 1e-12, 2.999, 3.001]),
    "erf_inv": (lax.erf_inv, mpmath.erfinv, [0.0, 1e-9, -0.3, 0.49, 0.51, -0.9, 1 - 2.0**-40]),
    "erfc": (lax.erfc, mpmath.erfc, [-7.0, -0.3, 1e-12, 0.999, 1.001, 3.0, 25.0]),
    "lgamma": (
        lax.lgamma,
        log_gamma,
        [-150.123, -10.7, -2.0000001, -0.3, -1e-9, 0.3, 2.0001, 31.9, 32.1, 1e5],
    ),
    "trigamma": (
        lambda x: lax.polygamma(jnp.ones_like(x), x),
        lambda x: mpmath.polygamma(1, x),
        [0.01, 0.3, 2.0, 31.9, 32.1, 1e5],
    ),
    "its derivative": (
        jax.grad(lambda x: jnp.sum(lax.digamma(x) ** 2)),
        lambda x: 2 * mpmath.digamma(x) * mpmath.polygamma(1, x),
        [0.01, 0.3, 2.0, 31.9, 1e5],
    ),
}


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize("name", SPECIAL)
def test_a_special_function_lies_within_its_bound_of_the_truth(name, arithmetic):
    function, truth, points = SPECIAL[name]
    (result,) = computed(function, np.array(points), arithmetic)
    assert_within(result, [truth(mpmath.mpf(x)) for x in points])


def where_the_sign_flips(matrix):
    return mpmath.log(abs(mpmath.det(matrix)))


def right_hand_side(size):
    return np.arange(1.0, size + 1)


def flat(matrix):
    return [matrix[i, k] for i in range(matrix.rows) for k in range(matrix.cols)]


LINEAR_ALGEBRA = {
    "solve": (
        lambda a: jnp.linalg.solve(a, right_hand_side(len(a))),
        lambda a: flat(mpmath.lu_solve(a, mpmath.matrix(list(right_hand_side(a.rows))))),
    ),
    "inv": (jnp.linalg.inv, lambda a: flat(a**-1)),
    "det": (jnp.linalg.det, lambda a: [mpmath.det(a)]),
    "slogdet": (lambda a: jnp.linalg.slogdet(a)[1], lambda a: [where_the_sign_flips(a)]),
    "cholesky": (
        lambda a: jnp.linalg.cholesky(a @ a.T),
        lambda a: flat(mpmath.cholesky(a * a.T)),
    ),
    "gradient of logdet": (
        jax.grad(lambda a: jnp.linalg.slogdet(a)[1]),
        lambda a: flat((a**-1).T),
    ),
}


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize("name", LINEAR_ALGEBRA)
def test_linear_algebra_lies_within_its_bound_of_the_truth(name, arithmetic):
    function, truth = LINEAR_ALGEBRA[name]
    a = np.random.default_rng(3).normal(size=(5, 5))
    (result,) = computed(function, a, arithmetic)
    assert_within(result, truth(mpmath.matrix(a.tolist())))


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: lax.igamma(x, x), "igamma"),
        (lambda x: jax.scipy.special.betainc(x, x, x), "regularized_incomplete_beta"),
        (lax.bessel_i1e, "bessel_i1e"),
        (lambda x: lax.zeta(x + 1, x), "zeta"),
    ],
)
def test_what_has_no_series_abstains_by_the_name_of_the_primitive(function, name, arithmetic):
    with pytest.raises(Abstention, match=f"the primitive {name} has no running error in"):
        computed(function, np.array([0.5]), arithmetic)


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_of_polygamma_beyond_its_series_nothing_is_said(arithmetic):
    for order, x in [(4.0, 1.0), (1.0, -0.5), (0.5, 1.0)]:
        (result,) = computed(lambda x, order=order: lax.polygamma(order, x), x, arithmetic)
        assert not result.error <= 1e300


FORCED = """
from gradcheck.programs.arithmetics.extended import EXTENDED
print(EXTENDED.base.name)
"""


def forced(name):
    environment = {**os.environ, "GRADCHECK_EXTENDED": name}
    return subprocess.run(
        [sys.executable, "-c", FORCED], env=environment, capture_output=True, text=True, check=False
    )


def test_the_environment_names_the_wide_numbers():
    assert forced("double-double").stdout.strip() == "double-double"
    if "GRADCHECK_EXTENDED" not in os.environ:
        assert (LONG_DOUBLE or DOUBLE_DOUBLE) is EXTENDED


def test_a_name_that_the_environment_gets_wrong_is_one_clear_sentence():
    refused = forced("quad").stderr.strip().splitlines()[-1]
    assert "the environment variable GRADCHECK_EXTENDED is 'quad'" in refused
    assert "one of double-double" in refused
    assert "or leave it unset" in refused
