"""Single primitives against XLA, with drawn parameters and the values that hurt."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from gradcheck.programs.arithmetics.floating import (
    AS_TRACED,
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    Floating,
)
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate, same_cell
from tests.programs.program_table import names

XLA_LIBM = 1e-14
"""Relative: XLA's vectorised functions are a few units in the last place from NumPy's."""

HARD_VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, -2.5, np.inf, -np.inf, np.nan, 3e8])
values = arrays(np.float64, (4,), elements=HARD_VALUES | st.floats(-50, 50, allow_subnormal=False))


def assert_as_by_xla(function, *inputs, tolerance=XLA_LIBM):
    with enable_x64():
        program = jax.make_jaxpr(function)(*inputs)
        theirs = jax.tree.leaves(function(*map(jnp.asarray, inputs)))
    decisions = []
    for ours in (
        evaluate(program, inputs, AS_TRACED),
        evaluate(program, inputs, AS_TRACED, decisions=decisions),
    ):
        for mine, other in zip(ours, map(np.asarray, theirs), strict=True):
            assert mine.dtype == other.dtype
            assert mine.shape == other.shape
            np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


UNARY = names(
    "abs ceil cos erf erfc exp exp2 expm1 floor is_finite log log1p logistic neg rsqrt sign sin "
    "sinh cosh sqrt square tanh atan asinh cbrt"
)
BINARY = names("add sub mul div max min rem eq ne lt le gt ge atan2")


@pytest.mark.parametrize("name", UNARY)
@settings(max_examples=15, deadline=None)
@given(x=values)
def test_a_function_of_one_number(name, x):
    assert_as_by_xla(getattr(lax, name), x)


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=15, deadline=None)
@given(x=values, y=values)
def test_a_function_of_two_numbers(name, x, y):
    assert_as_by_xla(getattr(lax, name), x, y)


@pytest.mark.parametrize("name", names("add sub mul div rem max min sign pow"))
@settings(max_examples=15, deadline=None)
@given(
    x=arrays(np.int32, (4,), elements=st.integers(-9, 9)),
    y=arrays(np.int32, (4,), elements=st.integers(-9, 9)),
)
def test_a_function_of_integers(name, x, y):
    if name == "sign":
        assert_as_by_xla(lax.sign, x)
    elif name == "pow":
        assert_as_by_xla(lambda a, b: lax.pow(a.astype(float), b), np.where(x == 0, 1, x), y)
    else:
        assert_as_by_xla(getattr(lax, name), x, y)


@settings(max_examples=15, deadline=None)
@given(x=values)
def test_reductions_sorts_and_rounding(x):
    x = np.where(np.abs(x) == 3e8, 7.5, x)
    assert_as_by_xla(
        lambda x: (
            jnp.max(x), jnp.min(x), jnp.argmax(x), jnp.argmin(x), lax.cummax(x), lax.cummin(x),
            lax.sort(x), lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
            lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), jnp.clip(x, -1.0, 1.0),
        ),
        x,
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(x=values)
def test_conversions_to_integers(x):
    x = np.where(np.isnan(x), 0.0, x)
    assert_as_by_xla(lambda x: (x.astype(jnp.int32), x.astype(jnp.int64), x.astype(bool)), x)


small = st.integers(0, 2)


@settings(max_examples=12, deadline=None)
@given(st.tuples(st.integers(-2, 2), st.integers(-2, 2), small), small, st.integers(0, 4))
def test_padding_may_crop_and_spread(rows, interior, size):
    shape = [size, 3]
    padded = size + rows[0] + rows[1] + rows[2] * max(size - 1, 0)
    if padded < 0:
        return
    x = np.arange(3.0 * size).reshape(shape)
    assert_as_by_xla(lambda x: lax.pad(x, 7.0, (rows, (1, -1, interior))), x)


@settings(max_examples=12, deadline=None)
@given(
    stride=st.integers(1, 2),
    padding=st.tuples(small, small),
    spread=st.integers(1, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([(1, 1), (2, 1), (1, 2)]),
    rng=st.integers(0, 99).map(np.random.default_rng),
)
def test_convolutions(stride, padding, spread, dilation, groups, rng):
    features, batches = groups
    x = rng.normal(size=(2, 2, 6))
    k = rng.normal(size=(4, 2 // features, 2))
    assert_as_by_xla(
        lambda x, k: lax.conv_general_dilated(
            x, k, (stride,), [padding], (spread,), (dilation,),
            feature_group_count=features, batch_group_count=batches,
        ),
        x,
        k,
        tolerance=1e-12,
    )  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(
    indices=arrays(np.int32, (3, 2), elements=st.integers(-2, 6)),
    mode=st.sampled_from(["fill", "clip"]),
)
def test_gathers_and_scatters_at_any_index(indices, mode):
    x = np.arange(20.0).reshape(4, 5)
    u = np.arange(3.0) + 0.5

    def program(x, i, u):
        taken = x.at[i[:, 0], i[:, 1]].get(mode=mode)
        options = {"mode": "drop" if mode == "fill" else mode}
        place = x.at[i[:, 0], i[:, 1]]
        return taken, place.add(u, **options), place.max(u, **options), place.mul(u, **options)

    assert_as_by_xla(program, x, indices, u)


@pytest.mark.parametrize("contracting", [((), ()), ((0,), (1,)), ((1, 2), (1, 0))])
@pytest.mark.parametrize("batched", [False, True])
def test_products_over_any_axes(contracting, batched):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 3, 3, 3)), rng.normal(size=(3, 3, 3, 3))
    batch = ((3,), (2,)) if batched else ((), ())
    dimensions = (
        (contracting, batch) if not batched else ((contracting[0], (contracting[1])), batch)
    )
    assert_as_by_xla(lambda a, b: lax.dot_general(a, b, dimensions), a, b, tolerance=1e-12)


@pytest.mark.parametrize(
    ("arithmetic", "dtype"),
    [(FLOAT16, "float16"), (BFLOAT16, "bfloat16"), (FLOAT32, "float32"), (FLOAT64, "float64")],
)
def test_the_arithmetic_decides_the_dtype_of_a_float64_program(arithmetic, dtype):
    with enable_x64():
        program = jax.make_jaxpr(lambda x: (jnp.tanh(x @ x.T).sum(0), x > 0))(np.ones((3, 3)))
    x = np.random.default_rng(1).normal(size=(3, 3))
    product, positive = evaluate(program, [x], arithmetic)
    assert product.dtype.name == dtype
    assert positive.dtype == bool
    expected = np.tanh(x @ x.T).sum(0)
    precision = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(product.astype(float), expected, rtol=20 * precision)
    assert not np.array_equal(product.astype(float), expected) or dtype == "float64"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_program_keeps_its_dtypes_as_traced(dtype):
    x = np.asarray(jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), dtype))
    assert_as_by_xla(
        lambda x: (jax.nn.softmax(x), jnp.exp(x), x[::2] * 3, x @ x.T, x.astype(jnp.float32)),
        x,
        tolerance=4 * float(jnp.finfo(dtype).eps),
    )


def test_complex_numbers():
    z = np.random.default_rng(1).normal(size=(3, 2)) @ np.array([1, 1j])
    assert_as_by_xla(
        lambda z: (z * z, jnp.abs(z), jnp.conj(z), jnp.exp(z), z.real, z.imag, jnp.sum(1 / z)), z
    )


def test_a_primitive_without_numpy_form_is_run_by_xla_and_counted():
    arithmetic = Floating("float64")
    with enable_x64():
        program = jax.make_jaxpr(lambda x: jnp.linalg.eigh(x)[0])(np.eye(3))
    (eigenvalues,) = evaluate(program, [np.diag([3.0, 1.0, 2.0])], arithmetic)
    np.testing.assert_allclose(eigenvalues, [1, 2, 3])
    assert list(arithmetic.fallbacks) == ["eigh"]


def decisions_of(function, x):
    with enable_x64():
        program = jax.make_jaxpr(function)(x)
    decisions = []
    evaluate(program, [x], decisions=decisions)
    return decisions


def test_decisions_name_their_kind_their_line_and_their_outcome():
    (decision,) = decisions_of(lambda x: lax.max(x, 0.0), np.array([1.0, -1.0]))
    assert decision.kind == "max"
    assert decision.outcome.tolist() == [True, False]
    assert not decision.undecided.any()
    path, line = decision.where.split(":")
    assert path == __file__
    assert "lax.max(x, 0.0)" in Path(path).read_text().split("\n")[int(line) - 1]


def test_a_named_scope_overrides_the_line():
    def function(x):
        with jax.named_scope("layers/mine.py:12"):
            return jax.grad(lambda y: lax.max(y, 0.0))(x)

    decisions = decisions_of(function, np.array(1.0))
    assert {decision.where for decision in decisions} == {"layers/mine.py:12"}


def test_evaluations_on_both_sides_of_a_kink_are_in_different_cells():
    here, same, there = (
        decisions_of(lambda x: jnp.sort(lax.abs(x)), np.array(x))
        for x in ([1.0, -2.0], [1.5, -2.5], [1.0, 2.0])
    )
    assert same_cell(here, same)
    assert not same_cell(here, there)


@pytest.mark.parametrize(
    ("function", "tied", "free"),
    [
        (lambda x: lax.max(x, 0.0), [0.0, 1.0], [0.5, 1.0]),
        (lambda x: lax.abs(x), [0.0, 1.0], [0.5, 1.0]),
        (lambda x: jnp.max(x), [2.0, 2.0], [2.0, 1.0]),
        (lambda x: lax.sort(x), [2.0, 2.0], [2.0, 1.0]),
        (lambda x: lax.cummax(x), [2.0, 2.0], [2.0, 1.0]),
        (lambda x: jnp.floor(x), [2.0, 0.5], [2.5, 0.5]),
        (lambda x: jnp.round(x), [2.5, 0.2], [2.4, 0.2]),
        (lambda x: lax.clamp(0.0, x, 1.0), [0.5, 1.0], [0.5, 1.1]),
        (lambda x: lax.argmax(x, 0, np.int32), [3.0, 3.0], [3.0, 2.0]),
    ],
)
def test_a_tie_is_undecided(function, tied, free):
    assert any(np.any(d.undecided) for d in decisions_of(function, np.array(tied)))
    assert not any(np.any(d.undecided) for d in decisions_of(function, np.array(free)))


def test_what_no_output_needs_is_not_evaluated():
    with enable_x64():
        program = jax.make_jaxpr(lambda x: (lax.max(x, 1.0), x * 2)[1])(1.0)
    decisions = []
    assert evaluate(program, [np.array(3.0)], decisions=decisions)[0] == 6.0
    assert decisions == []


def test_an_evaluation_leaves_numpy_s_warnings_as_they_are():
    before = np.geterr()
    with enable_x64():
        program = jax.make_jaxpr(lambda x: jnp.exp(x) / 0.0)(1.0)
    assert evaluate(program, [np.array(1e4)])[0] == np.inf
    assert np.geterr() == before
