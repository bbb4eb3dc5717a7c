"""A plan leaves out what no output needs, and inlines calls; every arithmetic compiles the same plan."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.extended import EXTENDED
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.plans import plan_of


def program_of(function):
    with enable_x64():
        return jax.make_jaxpr(function)(np.ones(2))


def names_of(program):
    return [equation.primitive.name for equation in plan_of(program).equations]


def test_what_no_output_needs_is_left_out_with_its_constants():
    program = program_of(lambda x: (jnp.sin(x) * np.array([0.1, 0.2]), x * 2.0)[1])
    assert "sin" in [equation.primitive.name for equation in program.jaxpr.eqns]
    assert names_of(program) == ["mul"]
    assert [float(value) for _, value in plan_of(program).constants] == [2.0]


def test_calls_are_inlined_at_every_depth():
    inner = jax.jit(jax.jit(jnp.sin))
    assert names_of(program_of(lambda x: inner(inner(x)))) == ["sin", "sin"]


def test_a_plan_is_made_once():
    program = program_of(jnp.sin)
    assert plan_of(program) is plan_of(program)


def test_an_unneeded_equation_without_a_twin_stops_no_arithmetic_and_a_needed_one_does():
    def unneeded(x):
        jax.lax.complex(x, x)
        return x * 2.0

    (found, _), *_ = evaluate(program_of(unneeded), [np.ones(2)], EXTENDED)
    np.testing.assert_array_equal(np.asarray(found, float), [2.0, 2.0])
    with pytest.raises(Abstention, match="complex"):
        evaluate(program_of(lambda x: jnp.abs(jax.lax.complex(x, x))), [np.ones(2)], EXTENDED)
