"""The check `second_order`: backwards that are right, and wrong when they are differentiated again."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of


def torch_sigmoid(backward, *, once=False, keep=None):
    """1 / (1 + exp(-x)), whose backward uses what the forward kept."""
    torch = pytest.importorskip("torch")

    class Sigmoid(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = 1 / (1 + torch.exp(-x))
            (keep or (lambda ctx, x, y: ctx.save_for_backward(y)))(ctx, x, y)
            return y

    wrapped = torch.autograd.function.once_differentiable(backward) if once else backward
    Sigmoid.backward = staticmethod(wrapped)
    return gradcheck.torch_function(Sigmoid, x="N")


def by_the_output(ctx, g):
    (y,) = ctx.saved_tensors
    return g * y * (1 - y)


def an_intermediate(ctx, x, y):
    ctx.save_for_backward((y * (1 - y)).detach())


def by_the_intermediate(ctx, g):
    return g * ctx.saved_tensors[0]


def through_numpy(ctx, g):
    (y,) = ctx.saved_tensors
    slope = y.detach().numpy() * (1 - y.detach().numpy())
    return g * g.new_tensor(slope)


def cut_off_from_the_cotangent(ctx, g):
    (y,) = ctx.saved_tensors
    return g.detach() * y * (1 - y)


def test_a_backward_made_of_saved_outputs_passes():
    assert_passes(torch_sigmoid(by_the_output), "second_order")


@pytest.mark.parametrize(
    ("backward", "keep", "wrong"),
    [
        (by_the_intermediate, an_intermediate, "the gradient of x"),
        (through_numpy, None, "the gradient of x"),
        (cut_off_from_the_cotangent, None, "the gradient of cotangent"),
    ],
    ids=["saved intermediate", "through NumPy", "detached cotangent"],
)
def test_a_backward_that_torch_differentiates_wrongly_fails(backward, keep, wrong):
    rule = torch_sigmoid(backward, keep=keep)
    assert_passes(rule, "gradient")
    message = message_of(rule, "second_order")
    assert f"the backward of Sigmoid: {wrong}" in message
    assert "@once_differentiable" in message


SATURATED = {
    "1 - y is 0": ([328.2], [1.0]),
    "1 - y has eight digits": ([20.0, -20.0], [1.0, 2.0]),
}


@pytest.mark.parametrize("name", SATURATED)
def test_digits_that_a_saturated_output_has_lost_are_no_failure(name):
    x, cotangent = map(np.array, SATURATED[name])
    point = gradcheck.Point((x,), cotangent)
    report = gradcheck.verify_at(torch_sigmoid(by_the_output), point, checks=["second_order"])
    assert report.verdict != "fail", str(report)


def test_digits_lost_in_an_output_that_the_cotangent_leaves_out_are_no_failure():
    pytest.importorskip("torch")
    from tests.adapters.torch_functions import Softmax

    rule = gradcheck.torch_function(Softmax, z="N C")
    point = gradcheck.Point((np.array([[80.4, -222.2]]),), np.array([[0.0, 1.0]]))
    for seed in range(3):
        report = gradcheck.verify_at(rule, point, checks=["second_order"], seed=seed)
        assert report.verdict != "fail", str(report)


def test_a_backward_that_is_marked_offers_no_second_order():
    rule = torch_sigmoid(by_the_intermediate, keep=an_intermediate, once=True)
    assert_does_not_apply(rule, "second_order", "once_differentiable")


def jax_sine(backward):
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def sine(x):
        return jax.numpy.sin(x)

    sine.defvjp(lambda x: (jax.numpy.sin(x), (x, jax.numpy.cos(x))), backward)
    return gradcheck.jax_rule(sine, x="N")


def jax_backwards():
    jax = pytest.importorskip("jax")
    jnp, lax = jax.numpy, jax.lax
    yield "by the input", lambda kept, g: (g * jnp.cos(kept[0]),), True
    yield "by the residual", lambda kept, g: (g * kept[1],), True
    yield "stop_gradient", lambda kept, g: (g * lax.stop_gradient(jnp.cos(kept[0])),), False
    half = lambda kept: (jnp.cos(kept[0]) + lax.stop_gradient(jnp.cos(kept[0]))) / 2  # noqa: E731
    yield "half of it stopped", lambda kept, g: (g * half(kept),), False
    yield "of the cotangent", lambda kept, g: (lax.stop_gradient(g) * jnp.cos(kept[0]),), False


def test_a_custom_rule_of_jax_that_stops_the_gradient_fails():
    for name, backward, right in jax_backwards():
        rule = jax_sine(backward)
        assert_passes(rule, "gradient")
        if right:
            assert_passes(rule, "second_order")
        else:
            message = message_of(rule, "second_order")
            assert "the backward of sine: the gradient of" in message, name
            assert "is a constant to the second derivative" in message, name


def test_a_backward_that_jax_cannot_differentiate_offers_no_second_order():
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def slope(x):
        return jax.numpy.cos(x)

    def no_more(kept, g):
        raise TypeError("no second derivative")

    slope.defvjp(lambda x: (jax.numpy.cos(x), None), no_more)

    rule = jax_sine(lambda kept, g: (g * slope(kept[0]),))
    assert_does_not_apply(rule, "second_order", "no second derivative")


def test_numpy_code_without_products_offers_no_second_order():
    rule = gradcheck.vjp(lambda x: np.sin(x), lambda g, x: g * np.cos(x), x="N")
    assert_does_not_apply(rule, "second_order", "no Hessian-vector product is declared (hvp=)")
