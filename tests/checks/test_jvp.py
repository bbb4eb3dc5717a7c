"""The check `jvp`: JVPs that are not the adjoint of the VJP beside them."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of, result_of


def square(jvp):
    return gradcheck.jvp(lambda x: x**2, jvp, x="N", name="square")


def test_a_jvp_that_goes_through_single_precision_passes():
    def jvp(inputs, tangents):
        return (2 * inputs[0]).astype(np.float32) * tangents[0]

    assert_passes(square(jvp), "jvp")


def a_constant_for_small_ones(inputs, tangents):
    tangent = 2 * inputs[0] * tangents[0]
    return tangent + 1e-3 * (np.abs(tangents[0]) < 1e-3)


@pytest.mark.parametrize(
    ("jvp", "words"),
    [
        (
            lambda x, t: 2 * x[0] * t[0] + t[0] * t[0][::-1],
            "the JVP is not linear in the tangents",
        ),
        (a_constant_for_small_ones, "the JVP is not linear in the tangents for tangents of size 0"),
        (
            lambda x, t: 2 * x[0] * np.clip(t[0], -100, 100),
            "the JVP is not linear in the tangents for tangents of size 1e+08",
        ),
    ],
    ids=["square of the tangent", "a constant for small ones", "clipped"],
)
def test_a_jvp_that_is_not_linear_fails(jvp, words):
    assert words in message_of(square(jvp), "jvp")


def test_a_vjp_alone_offers_no_jvp():
    rule = gradcheck.vjp(lambda x: x**2, lambda g, x: 2 * g * x, x="N")
    assert_does_not_apply(rule, "jvp", "the rule offers no JVP")


# torch Functions


def torch_product(jvp):
    """x * w, with both derivatives written by hand."""
    torch = pytest.importorskip("torch")

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            ctx.save_for_forward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w, (g * x).sum(0)

    Product.jvp = staticmethod(jvp)
    return gradcheck.torch_function(Product, x="N D", w="D")


def right(ctx, dx, dw):
    x, w = ctx.saved_tensors
    return dx * w + x * dw


@pytest.mark.parametrize(
    ("jvp", "words"),
    [
        (
            lambda ctx, dx, dw: dx * ctx.saved_tensors[1],
            ["the JVP along w is not the adjoint of the VJP", "misses a term or a factor"],
        ),
        (lambda ctx, dx, dw: -right(ctx, dx, dw), ["the JVP along x", "<B u, t>"]),
        (
            lambda ctx, dx, dw: right(ctx, dx, dw) + dx * dw,
            ["is not the adjoint of the VJP", "<u, J t>"],
        ),
    ],
    ids=["a term is missing", "sign", "a term too many"],
)
def test_a_torch_function_whose_jvp_is_another_derivative_fails(jvp, words):
    assert_passes(torch_product(right), "jvp")
    message = message_of(torch_product(jvp), "jvp")
    assert all(word in message for word in words), message


def test_other_sides_of_a_kink_are_a_note():
    torch = pytest.importorskip("torch")

    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return g * (ctx.saved_tensors[0] > 0)

        @staticmethod
        def jvp(ctx, dx):
            return dx * (ctx.saved_tensors[0] >= 0)

    at_zero = gradcheck.Point((np.array([0.0, 1.0]),), np.array([1.0, 2.0]))
    report = gradcheck.verify_at(gradcheck.torch_function(Relu, x="N"), at_zero, checks=["jvp"])
    assert report.verdict == "pass", str(report)
    assert any("different sides at a kink" in note for note in report.checks[0].tally.notes)


# JAX


def test_a_jax_rule_whose_transpose_is_not_that_of_its_jvp_fails():
    jax = pytest.importorskip("jax")
    from jax.custom_derivatives import linear_call

    def sine(factor):
        @jax.custom_jvp
        def rule(x):
            return jax.numpy.sin(x)

        @rule.defjvp
        def rule_jvp(primals, tangents):
            (x,), (dx,) = primals, tangents
            slope = jax.numpy.cos(x)
            return rule(x), linear_call(
                lambda slope, dx: slope * dx, lambda slope, u: factor * slope * u, slope, dx
            )

        return gradcheck.jax_rule(rule, x="N")

    assert_passes(sine(1.0), "jvp")
    assert "is not the adjoint of the VJP" in message_of(sine(2.0), "jvp")


def test_a_jax_custom_vjp_has_no_jvp():
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * g * x,))
    result = result_of(gradcheck.jax_rule(square, x="N"), "jvp")
    assert result.verdict == "pass"
    assert "forward-mode" in result.reason
