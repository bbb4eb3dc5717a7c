"""A tiny imaginary step is a derivative, branches and all."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.complex_step import COMPLEX128
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from tests.programs.program_table import DIFFERENTIABLE

STEP = 1e-100
"""So small that its square vanishes beside any number here."""

WITHOUT_COMPLEX_FORM = {
    "cbrt",
    "arctan2",
    "copysign",
    "signbit",
    "erfinv",
    "ndtri",
    "i0",
    "i0e",
    "i1e",
}
OTHERWISE_DIFFERENT = {
    "dot_product_attention",  # passes through float32
    "stop_gradient",  # whose derivative is declared, not true
    "sum of nothing",  # where JAX's derivative is NaN
}


@pytest.mark.parametrize(
    "name", sorted(DIFFERENTIABLE.keys() - WITHOUT_COMPLEX_FORM - OTHERWISE_DIFFERENT)
)
def test_the_imaginary_part_is_the_directional_derivative(name):
    function, inputs = DIFFERENTIABLE[name]
    rng = np.random.default_rng(0)
    tangents = [rng.normal(size=np.shape(x)) for x in inputs]
    with enable_x64():
        program = jax.make_jaxpr(function)(*inputs)
        slopes = jax.make_jaxpr(lambda xs, vs: jax.jvp(function, xs, vs))(
            tuple(inputs), tuple(tangents)
        )
    expected = evaluate(slopes, [*inputs, *tangents])
    stepped = [x + 1j * STEP * v for x, v in zip(inputs, tangents, strict=True)]
    results = evaluate(program, stepped, COMPLEX128)
    values, derivatives = expected[: len(results)], expected[len(results) :]
    for result, value, derivative in zip(results, values, derivatives, strict=True):
        if result.dtype.kind == "c":
            scale = np.max(np.abs(derivative), initial=1.0)
            np.testing.assert_allclose(result.real, value, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(result.imag / STEP, derivative, rtol=0, atol=1e-10 * scale)


def test_a_wrong_derivative_is_seen():
    with enable_x64():
        program = jax.make_jaxpr(jnp.tanh)(0.5)
    (result,) = evaluate(program, [np.array(0.5 + 1j * STEP)], COMPLEX128)
    assert result.imag / STEP == pytest.approx(1 - np.tanh(0.5) ** 2, rel=1e-14)
    assert result.imag / STEP != pytest.approx(1 - np.tanh(0.5), rel=1e-3)


def test_what_has_no_complex_form_abstains():
    with enable_x64():
        program = jax.make_jaxpr(jax.lax.erf_inv)(0.5)
    with pytest.raises(Abstention, match="primitive erf_inv has no complex128 arithmetic"):
        evaluate(program, [np.array(0.5)], COMPLEX128)
