"""The evaluator against XLA: every program of the table, and its derivatives."""

from __future__ import annotations

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradcheck.programs.arithmetics.floating import Floating
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from tests.programs.program_table import DIFFERENTIABLE, WITHOUT_VJP

DIFFERENT_ORDER = 1e-11
"""Relative to the largest entry: another order of summation and another libm, times conditioning."""


COMPUTED_IN_FLOAT32 = {"dot_product_attention"}
"""JAX converts these to float32 inside, so that our float64 is the more precise."""

FLOAT32_ROUNDING = 1e-5
"""Relative, for those: float32's unit roundoff times conditioning."""

UNOPTIMISED = {"xla_backend_optimization_level": 0}
"""For programs that run once: XLA would take longer to optimise them than it does to translate them."""


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(ours, theirs, tolerance=DIFFERENT_ORDER):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        scale = np.max(np.abs(other), initial=1.0, where=np.isfinite(other))
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * scale)


def with_pullback(function):
    """The function of inputs to outputs and to the gradients of a fixed sum of the real outputs."""

    def both(*xs):
        def real_and_other(*xs):
            outputs = jax.tree.leaves(function(*xs))
            real = [x for x in outputs if np.issubdtype(x.dtype, np.floating)]
            return real, [x for x in outputs if not np.issubdtype(x.dtype, np.floating)]

        outputs, pull, others = jax.vjp(real_and_other, *xs, has_aux=True)
        weights = [jnp.cos(jnp.arange(x.size) + 1.0).reshape(x.shape) for x in outputs]
        return (
            outputs,
            others,
            pull([w.astype(x.dtype) for w, x in zip(weights, outputs, strict=True)]),
        )

    return both


def assert_evaluates(name, function, inputs):
    arithmetic = Floating("float64")
    with enable_x64():
        program = jax.make_jaxpr(function)(*inputs)
        run = jax.jit(jaxpr_as_fun(program), compiler_options=UNOPTIMISED)
        theirs = leaves(run(*jax.tree.leaves(inputs)))
    decisions = []
    ours = evaluate(program, inputs, arithmetic)
    recorded = evaluate(program, inputs, arithmetic, decisions=decisions)
    tolerance = FLOAT32_ROUNDING if name in COMPUTED_IN_FLOAT32 else DIFFERENT_ORDER
    assert_same(ours, theirs, tolerance)
    assert_same(recorded, ours, DIFFERENT_ORDER)
    assert arithmetic.fallbacks == Counter()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_a_function_and_its_derivative_evaluate_as_by_xla(name):
    function, inputs = DIFFERENTIABLE[name]
    assert_evaluates(name, with_pullback(function), inputs)


@pytest.mark.parametrize("name", WITHOUT_VJP)
def test_a_function_without_derivative_evaluates_as_by_xla(name):
    assert_evaluates(name, *WITHOUT_VJP[name])


def test_a_missing_primitive_would_be_seen():
    """The tests above see a gap as a fallback to XLA; this is what one looks like."""
    with pytest.raises(AssertionError, match="eigh"):
        assert_evaluates("", lambda x: jnp.linalg.eigh(x)[0], [np.eye(2)])
