"""Every covered NumPy function against NumPy, its derivative against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import trees
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing import registry
from gradcheck.programs.numpy_tracing.trace import Trace, trace
from tests.programs.numpy_cases import CASES, INPUTS, TABLE, function_of, table

EXPRESSIONS = [(name, expression) for name, group in CASES.items() for expression in group]

STEP = 1e-5
"""Of a central difference: its error, of the third derivative times step squared, is 1e-10."""

DIFFERENCE_ERROR = 1e-6
"""Relative error allowed to a central difference of functions whose derivatives are below 1e3."""


def outputs_of(value: Any) -> list[Any]:
    return [np.asarray(leaf) for _, leaf in trees.leaves(value)]


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS, ids=[e for _, e in EXPRESSIONS])
def test_a_covered_function_is_numpys(name: str, expression: str) -> None:
    function, names = function_of(expression)
    rng = np.random.default_rng(3)
    inputs = tuple(INPUTS[name](rng) for name in names)
    recorded = trace(function, inputs)
    outputs = outputs_of(function(*inputs))
    for ours, numpys in zip(outputs_of(recorded.outputs), outputs, strict=True):
        np.testing.assert_array_equal(ours, numpys)
    compared = 0
    for point in (inputs, *(tuple(INPUTS[n](rng) for n in names) for _ in range(20))):
        if recorded.holds_at(point):
            compared += 1
            for ours, numpys in zip(
                evaluate(recorded.jaxpr, point), outputs_of(function(*point)), strict=True
            ):
                np.testing.assert_allclose(ours, numpys, rtol=1e-10, atol=1e-12)
                assert ours.dtype == numpys.dtype
        if compared == 3:
            break
    check_derivative(function, inputs, recorded, rng)


def check_derivative(
    function: Any, inputs: tuple[Any, ...], recorded: Trace, rng: np.random.Generator
) -> None:
    """Compare JAX's pullback of the program with a central difference of the NumPy function."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    run = jaxpr_as_fun(recorded.jaxpr)
    cotangents = [rng.normal(size=out.shape) for out in outputs_of(function(*inputs))]
    with enable_x64():
        pullback = jax.make_jaxpr(lambda xs, gs: jax.vjp(run, *xs)[1](gs))(inputs, cotangents)
    gradients = evaluate(pullback, [*inputs, *cotangents])
    direction = [rng.normal(size=value.shape) for value in inputs]
    if "cholesky" in str(recorded._tape) or "eigh" in str(recorded._tape):
        direction = [d + d.swapaxes(-1, -2) for d in direction]

    def loss(sign: int) -> float:
        at = [value + sign * STEP * d for value, d in zip(inputs, direction, strict=True)]
        return sum(
            float(np.sum(out * g))
            for out, g in zip(outputs_of(function(*at)), cotangents, strict=True)
        )

    difference = (loss(1) - loss(-1)) / (2 * STEP)
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    scale = max(
        1.0, *(float(np.sum(np.abs(g * d))) for g, d in zip(gradients, direction, strict=True))
    )
    assert abs(slope - difference) <= DIFFERENCE_ERROR * scale, (slope, difference)


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="an older NumPy lacks functions of the table")
def test_the_table_in_the_docs_is_up_to_date() -> None:
    assert TABLE.read_text() == table(), "run: python -m tests.programs.numpy_cases"


def test_every_function_with_a_rule_is_in_the_table() -> None:
    from gradcheck.programs.numpy_tracing.rules.elementwise import add_special_functions

    add_special_functions()
    covered = {name.rpartition(".")[2] for name in CASES} | {"divide", "around"}
    functions = {f for f in (*registry.ENTRIES, *registry.LOOPS) if is_public(f)}
    missing = sorted(f.__name__ for f in functions if f.__name__ not in covered)
    assert missing == [], missing


def is_public(function: Any) -> bool:
    module = getattr(function, "__module__", None)
    return isinstance(function, np.ufunc) or (
        module is not None and module.split(".")[0] in ("numpy", "math")
    )
