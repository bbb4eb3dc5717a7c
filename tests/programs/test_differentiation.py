"""The pullback composed of JAX's rules is the one that JAX composes itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

from gradcheck.errors import Abstention
from gradcheck.programs import equation_pullbacks
from gradcheck.programs.arithmetics.floating import AS_TRACED
from gradcheck.programs.compat import enable_x64, source_line
from gradcheck.programs.differentiation import pullback_of
from gradcheck.programs.evaluation import evaluate

TOLERANCE = 1e-12
"""Relative to the largest entry: both add the same terms, perhaps in another order."""


@jax.custom_jvp
def doubled_slope(x: Any) -> Any:
    return jnp.sin(x)


doubled_slope.defjvp(lambda primals, t: (jnp.sin(primals[0]), 2 * jnp.cos(primals[0]) * t[0]))


@jax.jit
def squashed(x: Any) -> Any:
    return jnp.tanh(x) * 0.5


def recurrent(x: Any, w: Any) -> Any:
    def step(h: Any, row: Any) -> tuple[Any, Any]:
        h = jnp.tanh(h * w[0] + row)
        return h, h.sum()

    return lax.scan(step, x[0], x)


PROGRAMS: dict[str, Callable[..., Any]] = {
    "a dense layer": lambda x, w: jnp.tanh(x @ w.T) + w.sum(),
    "an operand twice": lambda x, w: x * x + x,
    "an unused input": lambda x, w: x[:1] * 2.0,
    "an input as output": lambda x, w: (x, w * 2.0, x),
    "a constant output": lambda x, w: (jnp.ones(3), x.sum()),
    "one called twice": lambda x, w: squashed(squashed(x)) + squashed(x).sum(),
    "a custom rule": lambda x, w: doubled_slope(x) @ w.T,
    "a loop": recurrent,
    "a condition": lambda x, w: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x),
    "softmax": lambda x, w: jax.nn.softmax(x) * jax.nn.log_softmax(x, axis=0),
    "moments": lambda x, w: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-3),
    "extremes": lambda x, w: x.max(axis=1) + w.min() + jnp.maximum(x, 0.3).sum(),
    "clips": lambda x, w: jnp.clip(x, -0.5, 0.5).sum() + jax.nn.relu(w).sum(),
    "moved axes": lambda x, w: jnp.concatenate([x, x[::-1]], 0).T.ravel()[1:],
    "columns": lambda x, w: x[:, None, :] * w[None, :, :],
    "an einsum": lambda x, w: jnp.einsum("nd,md,nd->nm", x, w, x),
    "rows by number": lambda x, w: x[np.array([0, 0, -1])] + w[0].sum(),
    "rows added": lambda x, w: jnp.zeros((3, x.shape[1])).at[np.array([1, 1])].add(x[:1]),
    "sums so far": lambda x, w: jnp.cumsum(x, axis=0) * jnp.sort(x, axis=0),
    "a chosen power": lambda x, w: jnp.abs(x) ** 1.5 + x**3 + jnp.where(w[0] > 0, w[0], x),
    "a stopped part": lambda x, w: lax.stop_gradient(jnp.exp(x)) * x,
    "whole numbers": lambda x, w: jnp.floor(x) * x + jnp.argmax(w) * x,
    "a flattened product": lambda x, w: (x.reshape(-1) * x.T.reshape(-1)).reshape(x.shape),
    "complex numbers": lambda x, w: jnp.abs(lax.complex(x, x + 1.0) ** 2),
    "single precision": lambda x, w: (x.astype(np.float32) * 2).astype(np.float64),
}


SIZES = ((1, 1, 1), (3, 2, 4), (2, 2, 2), (1, 3, 2))


def by_jax(program: Any, values: list[Any], cotangents: list[Any]) -> list[Any]:
    """Return the gradients that JAX composes itself, computed by NumPy as the others are."""

    def gradients(values: list[Any], cotangents: list[Any]) -> Any:
        _, pullback = jax.vjp(lambda *v: tuple(jaxpr_as_fun(program)(*v)), *values)
        return pullback(tuple(cotangents))

    with enable_x64():
        whole = jax.make_jaxpr(gradients)(values, cotangents)
    return evaluate(whole, [*values, *cotangents], AS_TRACED)


def composed(program: Any, values: list[Any], cotangents: list[Any]) -> list[Any]:
    return evaluate(pullback_of(program), [*values, *cotangents], AS_TRACED)


def drawn(function: Callable[..., Any], n: int, m: int, d: int) -> tuple[Any, list[Any], list[Any]]:
    rng = np.random.default_rng(n + 7 * m + 31 * d)
    values = [rng.normal(size=(n, d)), rng.normal(size=(m, d))]
    with enable_x64():
        program = jax.make_jaxpr(function)(*values)
        cotangents = [rng.normal(size=aval.shape) for aval in program.out_avals]
        cotangents = [
            np.asarray(c, a.dtype) for c, a in zip(cotangents, program.out_avals, strict=True)
        ]
    return program, values, cotangents


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_pullback_is_the_one_that_jax_composes(name: str) -> None:
    for sizes in SIZES:
        program, values, cotangents = drawn(PROGRAMS[name], *sizes)
        expected = by_jax(program, values, cotangents)
        for ours, theirs in zip(composed(program, values, cotangents), expected, strict=True):
            assert ours.shape == theirs.shape
            assert ours.dtype == theirs.dtype
            atol = TOLERANCE * max(1.0, np.max(np.abs(theirs)))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def asked_of_jax() -> int:
    """Count the pullbacks that JAX has made so far."""
    made = (equation_pullbacks._made, equation_pullbacks._made_for_any_size)
    return sum(function.cache_info().misses for function in made)


def test_an_equation_of_a_known_kind_costs_jax_nothing_at_other_sizes() -> None:
    for sizes in ((3, 4, 5), (7, 2, 11), (13, 6, 9)):
        pullback_of(drawn(PROGRAMS["a dense layer"], *sizes)[0])
    before = asked_of_jax()
    pullback_of(drawn(PROGRAMS["a dense layer"], 8, 3, 12)[0])
    assert asked_of_jax() == before


def test_an_elementwise_equation_is_of_one_kind_whatever_its_sizes() -> None:
    def program(x: Any, w: Any) -> Any:
        return x * jax.numpy.exp(x) / (2 + x * x)

    pullback_of(drawn(program, 2, 3, 1)[0])
    before = asked_of_jax()
    for sizes in ((3, 3, 1), (1, 3, 1), (3, 1, 1), (1, 1, 1), (0, 2, 1)):
        made, values, cotangents = drawn(program, *sizes)
        expected = by_jax(made, values, cotangents)
        for ours, theirs in zip(composed(made, values, cotangents), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert asked_of_jax() == before


def test_sizes_that_are_equal_by_chance_are_another_kind() -> None:
    program, values, cotangents = drawn(lambda x, w: x @ w.T @ w, 3, 3, 3)
    expected = by_jax(program, values, cotangents)
    drawn_apart = drawn(lambda x, w: x @ w.T @ w, 2, 3, 4)
    pullback_of(drawn_apart[0])
    for ours, theirs in zip(composed(program, values, cotangents), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_size_computed_from_sizes_is_made_for_the_very_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The pullback of a slice pads by what the slice left out: a difference of two sizes.
    of_any_size = equation_pullbacks.OF_ANY_SIZE | {"slice"}
    monkeypatch.setattr(equation_pullbacks, "OF_ANY_SIZE", of_any_size)
    for n in (4, 6):
        program, values, cotangents = drawn(lambda x, w: x[1:3] * 2, n, 2, 3)
        ours, _ = composed(program, values, cotangents)
        theirs, _ = by_jax(program, values, cotangents)
        np.testing.assert_array_equal(ours, theirs)


def test_outputs_beyond_the_first_follow_the_gradients_as_they_are() -> None:
    program, values, _ = drawn(lambda x, w: (x.sum(), x * 3.0), 2, 1, 2)
    found = evaluate(pullback_of(program, 1), [*values, np.array(2.0)])
    np.testing.assert_array_equal(found[0], np.full((2, 2), 2.0))
    np.testing.assert_array_equal(found[1], np.zeros((1, 2)))
    np.testing.assert_array_equal(found[2], values[0] * 3.0)


def test_every_equation_of_the_pullback_names_the_line_of_its_forward() -> None:
    def function(x: Any) -> Any:
        with jax.named_scope("layer.py:12"):
            y = jnp.exp(x)
        with jax.named_scope("layer.py:13"):
            return y @ y.T

    program = jax.make_jaxpr(function)(np.ones((2, 3)))
    lines = [source_line(equation.source_info) for equation in pullback_of(program).jaxpr.eqns]
    assert set(lines) - {None} == {"layer.py:12", "layer.py:13"}
    assert lines[-1] == "layer.py:12"


def test_what_jax_cannot_differentiate_is_an_abstention_in_its_words() -> None:
    def function(x: Any) -> Any:
        return lax.while_loop(lambda v: v.sum() < 10, lambda v: v * 2, x)

    with pytest.raises(Abstention, match=r"JAX cannot differentiate the forward .*while_loop"):
        pullback_of(jax.make_jaxpr(function)(np.ones(2)))
