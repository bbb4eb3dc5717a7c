"""No custom rule vouches for itself, nor for one around it."""

from functools import partial

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

import gradcheck
from gradcheck.programs.inlining import inline_custom_rules


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * 2 * x**2,))  # wrong: 2 for 3


@jax.custom_jvp
def double(x):
    return 2 * x


double.defjvp(lambda primals, tangents: (2 * primals[0], 5 * tangents[0]))  # wrong: 5 for 2


def looped(x):
    return jax.lax.scan(lambda carry, _: (cube(carry), None), x, None, length=2)[0]


def conditional(x):
    return jax.lax.cond(jnp.sum(x) > 0, cube, lambda y: 5 * y, x)


def repeated(x):
    return jax.lax.fori_loop(0, 2, lambda _, carry: double(carry), x)


@jax.jit
def compiled(x):
    return cube(double(x))


WRAPPINGS = {
    "plain": (cube, lambda x: x**3),
    "of a jvp": (double, lambda x: 2 * x),
    "nested in jit": (compiled, lambda x: (2 * x) ** 3),
    "inside a scan": (looped, lambda x: x**9),
    "inside a loop": (repeated, lambda x: 4 * x),
    "inside a branch": (conditional, lambda x: x**3),
    "under remat": (jax.checkpoint(lambda x: jnp.sin(cube(x))), lambda x: jnp.sin(x**3)),
}


@pytest.mark.parametrize(("wrapped", "plain"), list(WRAPPINGS.values()), ids=list(WRAPPINGS))
def test_the_derivative_of_an_inlined_program_is_that_of_the_primal(wrapped, plain):
    x = np.array([0.5, 1.5], np.float32)
    run = jax.extend.core.jaxpr_as_fun(inline_custom_rules(jax.make_jaxpr(wrapped)(x)))
    moved, expected, believed = (
        jax.grad(lambda v, f=f: jnp.sum(f(v)))(x) for f in (lambda v: run(v)[0], plain, wrapped)
    )
    np.testing.assert_allclose(moved, expected, rtol=1e-5)
    assert not np.allclose(believed, expected)


def test_rules_of_jax_itself_stay():
    inlined = inline_custom_rules(jax.make_jaxpr(lambda x: cube(jax.nn.relu(x)))(1.0))
    names = [equation.primitive.name for equation in inlined.jaxpr.eqns]
    assert "custom_jvp_call" in names
    assert "custom_vjp_call" not in names


def test_a_program_without_custom_rules_is_left_as_it_is():
    program = jax.make_jaxpr(lambda x: jnp.sin(x) * 2)(1.0)
    assert inline_custom_rules(program) is program


def verdict(f, **options):
    return gradcheck.verify(gradcheck.jax_rule(f, **options), examples=15, seed=1).verdict


def right_outer_with_wrong_inner():
    """The outer rule repeats the inner one's mistake, so the two agree with each other."""

    @jax.custom_vjp
    def outer(x):
        return jnp.sin(cube(x))

    outer.defvjp(lambda x: (jnp.sin(cube(x)), x), lambda x, g: (g * jnp.cos(x**3) * 2 * x**2,))
    return outer


def right_outer():
    @jax.custom_vjp
    def outer(x):
        return jnp.sin(cube(x))

    outer.defvjp(lambda x: (jnp.sin(cube(x)), x), lambda x, g: (g * jnp.cos(x**3) * 3 * x**2,))
    return outer


def test_a_wrong_inner_rule_does_not_vouch_for_a_wrong_outer_one():
    assert verdict(right_outer(), x="N") == "pass"
    assert verdict(right_outer_with_wrong_inner(), x="N") == "fail"


def test_static_arguments_and_trees_are_passed_through():
    def make(power_in_rule):
        @partial(jax.custom_vjp, nondiff_argnums=(1,))
        def f(params, power):
            return params["w"] ** power * params["b"][0]

        def forward(params, power):
            return f(params, power), params

        def backward(power, params, g):
            w, (b,) = params["w"], params["b"]
            return ({"w": g * power_in_rule(power) * w ** (power - 1) * b, "b": [g * w**power]},)

        f.defvjp(forward, backward)
        return f

    def draw(rng):
        return {"w": rng.normal(size=3), "b": [rng.normal(size=3)]}, 3

    assert verdict(make(lambda power: power), inputs=draw) == "pass"
    assert verdict(make(lambda power: power - 1), inputs=draw) == "fail"


def test_verifying_a_jax_rule_leaves_jax_in_32_bits():
    assert verdict(jax.nn.silu, x="N") == "pass"
    assert jnp.ones(1).dtype == jnp.float32
