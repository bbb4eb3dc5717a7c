"""Unknown functions: a sample in numbers, an unknown of its own for each derivative in the field."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradcheck.oracles.certificates import Certificate, Mismatch
from gradcheck.oracles.exact import prove_equal
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.unknown_functions import unknown

PARAMETERS = (0.5, 1.25, 0.75, -0.25)
AT = np.array([0.5, -0.25, 2.0])


def f(x):
    return unknown("f", x, PARAMETERS)


def sampled(x):
    a, b, c, d = PARAMETERS
    return a * x + b * jnp.tanh(c * x + d)


def derivative(function, order):
    for _ in range(order):
        function = jax.grad(function)
    return jax.vmap(function)


def traced(function):
    with enable_x64():
        return jax.make_jaxpr(function)(AT)


@pytest.mark.parametrize("order", range(5))
def test_every_derivative_of_the_sample_is_the_one_that_jax_derives_from_its_formula(order):
    (ours,) = evaluate(traced(derivative(f, order)), [AT])
    (theirs,) = evaluate(traced(derivative(sampled, order)), [AT])
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def proof(one, other):
    return prove_equal(traced(one), traced(other), [AT], np.random.default_rng(0))


def test_a_chain_rule_is_proven_for_any_function():
    slope = derivative(f, 1)
    found = proof(derivative(lambda x: f(x * x) ** 2, 1), lambda x: 4 * x * f(x * x) * slope(x * x))
    assert isinstance(found, Certificate)
    assert set(found.uninterpreted) == {"f", "f'"}


@pytest.mark.parametrize(
    "other",
    [
        lambda x: f(x),
        lambda x: derivative(f, 1)(f(x)),
        lambda x: derivative(lambda z: unknown("g", z, PARAMETERS), 1)(x),
        lambda x: derivative(sampled, 1)(x),
    ],
    ids=["f for f'", "f' at the value", "another function", "the sample's own formula"],
)
def test_nothing_else_is_taken_for_the_derivative_even_where_the_sample_cannot_tell(other):
    assert isinstance(proof(derivative(f, 1), other), Mismatch)
