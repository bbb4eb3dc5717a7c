"""Each activation and its derivative against a hundred digits, far beyond where exp overflows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

import numpy as np
import pytest

from reference.activations import ACTIVATIONS, GELU_CUBIC, GELU_SCALE, LEAK, activation
from tests.reference.networks import UNIT_ROUNDOFF

DIGITS = 100
"""Digits of the exact values; a difference over two steps of 1e-20 leaves eighty."""
EXACT = Context(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
STEP = Decimal("1e-20")
"""The step of the central difference: its error, of the order of STEP², is 1e-40."""

POINTS = [0.0, 1e-9, 1e-3, 0.5, 1, 2, 2.5, 3, 4, 5, 6, 6.5, 7, 8, 12, 25, 36, 80.5, 90, 710, 1e3]
POINTS += [-z for z in POINTS if z]


def exact_tanh(z: Decimal) -> Decimal:
    e = (-2 * abs(z)).exp()
    return ((1 - e) / (1 + e)).copy_sign(z)


def exact_sine(z: Decimal) -> Decimal:
    with localcontext(prec=DIGITS + 435):  # the terms of the series at 1e3 reach 1e434
        term, total, k = z, z, 1
        while abs(term) > Decimal(10) ** -DIGITS:
            term *= -z * z / ((k + 1) * (k + 2))
            total, k = total + term, k + 2
        return total


def exact_gelu(z: Decimal) -> Decimal:
    u = Decimal(GELU_SCALE) * (z + Decimal(GELU_CUBIC) * z**3)
    return z / 2 * (1 + exact_tanh(u))


EXACTLY: dict[str, Callable[[Decimal], Decimal]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "tanh": exact_tanh,
    "relu": lambda z: max(z, Decimal(0)),
    "leaky_relu": lambda z: z if z > 0 else Decimal(LEAK) * z,
    "softplus": lambda z: (1 + z.exp()).ln(),
    "elu": lambda z: z if z > 0 else z.exp() - 1,
    "silu": lambda z: z / (1 + (-z).exp()),
    "gelu": exact_gelu,
    "sine": exact_sine,
}
"""The definitions, in the plainest form: decimal numbers need no care about overflow."""

ROUNDINGS = dict.fromkeys(ACTIVATIONS, 4) | {
    "silu": 78,  # 1 - s is off by at most two, times z while it is not yet 0: z < 37
    "gelu": 46,  # 1 - t² is off by at most two, times z u'/2 ≤ 21 while it is not yet 0: z < 7
}
"""How many unit roundoffs f and f' may be off, relative to max(1, |exact|)."""


def kinks(name) -> list[float]:
    return [0.0] if name in ("relu", "leaky_relu") else []


def worst_rounding(f, exact, away_from=()) -> float:
    """Return how many unit roundoffs `f` is off at worst, relative to max(1, |exact|)."""
    points = [z for z in POINTS if z not in away_from]
    values = f(np.array(points))
    assert np.isfinite(values).all()
    errors = []
    with localcontext(EXACT):
        for z, value in zip(points, values, strict=True):
            truth = exact(Decimal(z))
            errors.append(float(abs(Decimal(float(value)) - truth) / max(1, abs(truth))))
    return max(errors) / UNIT_ROUNDOFF


def difference(f):
    return lambda z: (f(z + STEP) - f(z - STEP)) / (2 * STEP)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_right_to_a_few_roundings_at_one_thousand_too(name):
    assert worst_rounding(ACTIVATIONS[name].f, EXACTLY[name]) <= ROUNDINGS[name]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_derivative_is_that_of_its_activation(name):
    slope = difference(EXACTLY[name])
    assert (
        worst_rounding(ACTIVATIONS[name].f_prime, slope, away_from=kinks(name)) <= ROUNDINGS[name]
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_derivative_that_is_off_by_a_millionth_is_seen(name):
    wrong = lambda z: ACTIVATIONS[name].f_prime(z) * (1 + 1e-6)  # noqa: E731
    assert worst_rounding(wrong, difference(EXACTLY[name])) > 1e3 * ROUNDINGS[name]


def test_the_derivative_of_another_activation_is_seen():
    wrong = ACTIVATIONS["silu"].f_prime
    assert worst_rounding(wrong, difference(EXACTLY["gelu"])) > 1e9


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "elu"])
def test_small_values_keep_their_relative_accuracy(name):
    """At -700 they are 1e-304 (elu + 1 is not small, its derivative is)."""
    z = np.array([-700.0, -100.0, -40.0])
    small = ACTIVATIONS[name].f_prime if name == "elu" else ACTIVATIONS[name].f
    with localcontext(EXACT):
        truths = [float(Decimal(value).exp()) for value in z]  # to first order, of all three
    assert small(z) == pytest.approx(truths, rel=700 * UNIT_ROUNDOFF + 1e-17, abs=0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_are_finite_and_keep_their_dtype_as_far_as_the_exact_ones_are(name, dtype):
    z = np.array([-1e30, -1e8, -1e3, -89.0, 0.0, 89.0, 1e3, 1e8, 1e30], dtype=dtype)
    for f in (ACTIVATIONS[name].f, ACTIVATIONS[name].f_prime):
        assert f(z).dtype == dtype
        assert np.isfinite(f(z)).all()


@pytest.mark.parametrize(
    "naive",
    [lambda z: np.log(1 + np.exp(z)), lambda z: np.exp(z) / (1 + np.exp(z))],
    ids=["softplus", "sigmoid"],
)
def test_the_plain_formulas_would_overflow(naive):
    with np.errstate(all="ignore"):
        assert not np.isfinite(naive(np.array([1e3]))).all()


@pytest.mark.parametrize(
    ("name", "slope"), [("relu", 0.0), ("leaky_relu", LEAK), ("elu", 1.0), ("identity", 1.0)]
)
def test_at_zero_the_derivative_is_that_from_the_left(name, slope):
    assert ACTIVATIONS[name].f_prime(np.array([-0.0, 0.0])).tolist() == [slope, slope]


JAX_ROUNDINGS = 2 * 78
"""JAX's derivatives round as ours do, so the two differ by twice as much as either is off."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jax_differentiates_an_activation_as_we_do_also_at_a_smooth_zero(name, jax):
    z = jax.numpy.asarray([z for z in POINTS if z not in kinks(name)])
    _, slopes = jax.jvp(ACTIVATIONS[name].f, (z,), (jax.numpy.ones_like(z),))
    off = abs(np.asarray(slopes) - ACTIVATIONS[name].f_prime(np.asarray(z)))
    assert off.max() <= JAX_ROUNDINGS * UNIT_ROUNDOFF


def test_an_unknown_activation_is_refused_with_the_names_that_there_are():
    with pytest.raises(ValueError, match=r"no activation is called 'swish': choose from identity"):
        activation("swish")
    own = ACTIVATIONS["tanh"]
    assert activation(own) is own
