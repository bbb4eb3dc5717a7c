"""The running error bound holds, against numbers that are wider; and it is no wider than it must."""

from __future__ import annotations

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.double_double import Double, two_sum
from gradcheck.programs.arithmetics.extended import DOUBLE_DOUBLE, EXTENDED
from gradcheck.programs.arithmetics.running_error import (
    RUNNING_ERROR,
    UNIT_ROUNDOFF,
    Bounded,
    RunningError,
    rounded,
)
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from tests.programs.program_table import DIFFERENTIABLE, WITHOUT_VJP
from tests.programs.test_evaluation import with_pullback

WIDE = RunningError(EXTENDED.base, EXTENDED.unit)
"""Numbers wider than float64, every constant exact: the truth for the program as it stands."""

NOT_IN_WIDE_NUMBERS = {"ndtri", "i0", "i0e", "i1e"}
NOT_WITH_BOUNDS = {"signbit", "copysign", "nextafter"}
"""Programs with a primitive that has no bound: bitcasts, neighbours."""

COMPARABLE = sorted((DIFFERENTIABLE | WITHOUT_VJP).keys() - NOT_IN_WIDE_NUMBERS - NOT_WITH_BOUNDS)


def traced(function, *inputs):
    with enable_x64():
        return jax.make_jaxpr(function)(*inputs)


def program_of(name):
    if name in DIFFERENTIABLE:
        function, inputs = DIFFERENTIABLE[name]
        return traced(with_pullback(function), *inputs), inputs
    function, inputs = WITHOUT_VJP[name]
    return traced(function, *inputs), inputs


def float64(bounded, arithmetic):
    return np.asarray(arithmetic.base.companion(bounded.value)).astype(np.float64)


def distances(ours, theirs):
    """Pairs of |value - wider value| and the sum of both bounds."""
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(mine, Bounded):
            wide = np.asarray(WIDE.base.companion(other.value))
            with np.errstate(invalid="ignore"):
                gap = np.abs(mine.value.astype(wide.dtype) - wide).astype(np.float64)
            same = (mine.value == wide) | (np.isnan(mine.value) & np.isnan(wide))
            bound = mine.error + other.error
            yield np.where(same, 0.0, gap), np.where(same & np.isnan(bound), np.inf, bound)


@pytest.mark.parametrize("name", COMPARABLE)
def test_the_bound_contains_the_distance_to_wider_numbers(name):
    program, inputs = program_of(name)
    ours, theirs = evaluate(program, inputs, RUNNING_ERROR), evaluate(program, inputs, WIDE)
    for gap, bound in distances(ours, theirs):
        assert np.all(gap <= bound)


@pytest.mark.parametrize("name", sorted(NOT_WITH_BOUNDS))
def test_what_has_no_bound_abstains_by_name(name):
    program, inputs = program_of(name)
    with pytest.raises(Abstention, match=r"the primitive \w+ has no running error in float64"):
        evaluate(program, inputs, RUNNING_ERROR)


def network(x, w, v):
    h = jnp.tanh(x @ w) * jax.nn.sigmoid(x @ v)
    return jnp.sum(jax.nn.log_softmax(h) * jnp.exp(-h)) / jnp.sqrt(1 + jnp.sum(h * h))


entries = st.floats(-8, 8, allow_subnormal=False) | st.floats(-1e-8, 1e-8, allow_subnormal=False)
NETWORK_SHAPES = ((3, 4), (4, 5), (4, 5))
GRADIENT = traced(jax.grad(network, (0, 1, 2)), *map(np.ones, NETWORK_SHAPES))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*(arrays(np.float64, shape, elements=entries) for shape in NETWORK_SHAPES)))
def test_the_bound_holds_for_any_weights(inputs):
    ours = evaluate(GRADIENT, inputs, RUNNING_ERROR)
    for gap, bound in distances(ours, evaluate(GRADIENT, inputs, WIDE)):
        assert np.all(gap <= bound)


def test_a_bound_made_too_small_on_purpose_is_exceeded():
    """The tests above can fail: with a unit roundoff 100 times too small they would."""
    hopeful = RunningError(RUNNING_ERROR.base, UNIT_ROUNDOFF / 100)
    rng = np.random.default_rng(3)
    inputs = [rng.normal(size=shape) for shape in NETWORK_SHAPES]
    ours, theirs = evaluate(GRADIENT, inputs, hopeful), evaluate(GRADIENT, inputs, WIDE)
    assert any(np.any(gap > bound) for gap, bound in distances(ours, theirs))


def test_the_bound_is_not_much_wider_than_the_errors():
    """For a network of this size, within a factor of 1000 of the error in the median."""
    rng = np.random.default_rng(4)
    inputs = [rng.normal(size=shape) for shape in NETWORK_SHAPES]
    pairs = list(
        distances(evaluate(GRADIENT, inputs, RUNNING_ERROR), evaluate(GRADIENT, inputs, WIDE))
    )
    gaps = np.concatenate([gap.ravel() for gap, _ in pairs])
    bounds = np.concatenate([bound.ravel() for _, bound in pairs])
    assert np.median(bounds[gaps > 0] / gaps[gaps > 0]) < 1000


def test_the_values_are_those_of_float64():
    rng = np.random.default_rng(5)
    inputs = [rng.normal(size=shape) for shape in NETWORK_SHAPES]
    plain, bounded = evaluate(GRADIENT, inputs), evaluate(GRADIENT, inputs, RUNNING_ERROR)
    for mine, other in zip(bounded, plain, strict=True):
        np.testing.assert_array_equal(mine.value, other)


def test_inputs_may_carry_errors_of_their_own():
    program = traced(lambda x: (x - 1.0) * 1e8, 0.0)
    x = np.array(1 + 1e-8)
    (exact,) = evaluate(program, [x], RUNNING_ERROR)
    (uncertain,) = evaluate(program, [rounded(x)], RUNNING_ERROR)
    assert uncertain.error == pytest.approx(1e8 * UNIT_ROUNDOFF, rel=1e-3)
    assert exact.error < 1e-15


MIXED = {
    "matrix products": lambda x, w, v: (x @ w) @ (w.T @ v),
    "a product of moved parts": lambda x, w, v: (
        (x[::-1].T * jnp.concatenate([w, v])[:4, :3]) @ v[:3]
    ),
    "products": lambda x, w, v: (x * 3.0) * (w.T * v.T) * x,
    "quotients": lambda x, w, v: x / (2.0 + w.T * w.T) + 1.0 / (3.0 + v.T * v.T) / 7.0,
    "sums": lambda x, w, v: jnp.cumsum(x, 0) + jnp.sum(w, 0)[:, None] - v.sum() + 0.1,
    "functions": lambda x, w, v: jnp.tanh(x * w.T) + jnp.exp(x) * jnp.exp(v.T) - jnp.tanh(40 * x),
    "a chosen part": lambda x, w, v: (
        jnp.where(x < 100.0, x * w.T, 0.0) + jnp.where(x > 100.0, 1.0, v.T)
    ),
    "rows added": lambda x, w, v: jnp.zeros((2, 4)).at[np.array([1, 1, 0])].add(x * w.T + v.T),
    "a layer and its gradients": lambda x, w, v: jax.grad(lambda x: jnp.sum(jnp.tanh(x @ w) @ v.T))(
        x
    ),
}
"""Programs in which exact numbers, numbers rounded once and numbers with errors of their own meet."""

COARSE = 2.0**-20
"""A relative error of inputs beside which the roundings of float64 are nothing."""


def with_error(kind, x, signs):
    """Return `x` with a bound of that kind, and the number at the end of it, as a sum of two float64."""
    if kind == "exact":
        return x, Double(x, np.zeros_like(x))
    moved = signs * np.abs(x) * COARSE
    bounded = rounded(x, COARSE) if kind == "relative" else Bounded(x, np.abs(moved))
    return bounded, Double(*two_sum(x, moved))


@pytest.mark.parametrize("name", MIXED)
def test_the_bound_reaches_as_far_as_the_errors_of_the_inputs(name):
    program = traced(MIXED[name], *map(np.ones, ((3, 4), (4, 3), (4, 3))))
    double = RunningError(DOUBLE_DOUBLE.base, DOUBLE_DOUBLE.unit)
    rng = np.random.default_rng(7)
    for kinds in product(("exact", "relative", "absolute"), repeat=3):
        inputs = [rng.normal(size=shape) for shape in ((3, 4), (4, 3), (4, 3))]
        pairs = [
            with_error(kind, x, rng.choice([-1.0, 1.0], x.shape))
            for kind, x in zip(kinds, inputs, strict=True)
        ]
        (ours,) = evaluate(program, [mine for mine, _ in pairs], RUNNING_ERROR)
        (theirs,) = evaluate(program, [Bounded(other, 0.0) for _, other in pairs], double)
        gap = np.abs((ours.value - theirs.value.high) - theirs.value.low)
        assert np.all(gap <= ours.error + theirs.error)
        assert np.all(ours.error <= (1e-10 if set(kinds) == {"exact"} else 1e-2))
        if set(kinds) != {"exact"}:
            assert np.any(gap > COARSE / 1000)


@pytest.mark.parametrize("inner", [60, 8 * 60])
def test_the_bound_of_a_large_product_of_inexact_numbers_is_at_most_twice_that_of_a_small_one(
    inner,
):
    """A large one is bounded by one product of matrices in place of two."""
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(25, inner)), rng.normal(size=(inner, 50))
    for a_error, b_error in (
        (1e-12, 1e-12),
        (1e-9, 1e-14),
        (1e-14, 1e-9),
        (0.0, 1e-12),
        (1e-3, 1e-1),
    ):
        left, right = Bounded(a, np.abs(a) * a_error), Bounded(b, np.abs(b) * b_error)
        left.error[:, 0] *= 1e6  # such as what cancelled
        right.error[0] *= 1e6
        with np.errstate(all="ignore"):
            bound = RUNNING_ERROR.matmul(left, right).error
        exactly = (np.abs(a) + left.error) @ right.error + left.error @ np.abs(b)
        exactly += inner * UNIT_ROUNDOFF * (np.abs(a) @ np.abs(b))
        assert np.all(bound >= exactly * (1 - 1e-12))
        assert np.all(bound <= (1.001 if inner == 60 else 2.001) * exactly)


def undecided(function, x):
    decisions = []
    evaluate(traced(function, x), [x], RUNNING_ERROR, decisions=decisions)
    return [np.asarray(decision.undecided).any() for decision in decisions]


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: lax.max(x, 0.0),
        lambda x: x > 0,
        lambda x: lax.abs(x),
        lambda x: jnp.floor(x),
        lambda x: lax.sort(jnp.stack([x, 0 * x])),
        lambda x: jnp.max(jnp.stack([x, 0 * x])),
        lambda x: lax.argmin(jnp.stack([x, 0 * x]), 0, np.int32),
        lambda x: lax.clamp(0.0, x, 1.0),
    ],
)
def test_a_comparison_within_rounding_is_undecided(decide):
    """0.1 + 0.2 - 0.3 is 5.6e-17 in float64, and might be 0."""
    tenth = np.array(0.1)
    assert any(undecided(lambda x: decide((x + 2 * x) - 0.3), tenth))
    assert not any(undecided(lambda x: decide((x + 2 * x) - 0.29), tenth))


def test_comparing_the_winner_with_its_maximum_is_decided():
    x = np.array([0.1, 0.7, 0.3])
    assert not any(undecided(lambda x: jax.grad(lambda y: jnp.max(jnp.exp(y)))(x), x))
    tied = np.array([0.1, 0.7, 0.7])
    assert any(undecided(lambda x: jax.grad(lambda y: jnp.max(jnp.exp(y)))(x), tied))


@pytest.mark.parametrize("compare", [lax.ge, lax.eq, lambda x, m: lax.max(x, m)])
def test_a_mask_of_the_winners_is_undecided_only_at_a_tie(compare):
    def mask(x):
        y = jnp.exp(x)
        return compare(y, jnp.broadcast_to(jnp.max(y, 1, keepdims=True), y.shape)) * y

    assert not any(undecided(mask, np.array([[0.1, 0.7], [0.2, 0.3]])))
    assert any(undecided(mask, np.array([[0.1, 0.7], [0.3, 0.3]])))


def test_equal_numbers_of_different_origin_are_a_tie():
    assert any(undecided(lambda x: lax.ge(3 * x, x + x + x), np.array(0.1)))


def test_a_mask_by_large_numbers_keeps_the_bounds_small():
    program = traced(lambda x: jax.nn.softmax(jnp.where(x > 0, x, -1e38)), np.ones(3))
    (weights,) = evaluate(program, [np.array([1.0, -1.0, 2.0])], RUNNING_ERROR)
    assert np.all(weights.error < 1e-14)


def test_the_two_wide_formats_agree():
    rng = np.random.default_rng(6)
    inputs = [rng.normal(size=shape) for shape in NETWORK_SHAPES]
    double = RunningError(DOUBLE_DOUBLE.base, DOUBLE_DOUBLE.unit)
    wide, wider = evaluate(GRADIENT, inputs, WIDE), evaluate(GRADIENT, inputs, double)
    for mine, other in zip(wide, wider, strict=True):
        high, low = other.value
        gap = np.abs((np.asarray(mine.value) - high) - low)
        assert np.all(gap <= mine.error + other.error)
        assert np.all(other.error <= mine.error)
