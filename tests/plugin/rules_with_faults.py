"""One rule for each fault of behaviour, and the check that must catch it through the plugin."""

from importlib.util import find_spec

import jax
import numpy as np

import gradcheck

CAUGHT_BY = {
    "last_forward_in_shared_state": "reuse",
    "spoils_its_cache": "reuse",
    "overwrites_where_it_is_declared_to_accumulate": "reuse",
    "accumulates_one_gradient_and_overwrites_the_other": "reuse",
    "reads_the_order_of_memory": "layout",
    "writes_into_its_cotangent": "purity",
    "writes_into_its_input": "purity",
    "updates_its_own_parameter": "purity",
    "wrong_order": "gradient",
    "transposed_where_square": "gradient",
    "bias_not_reduced": "shapes",
    "keeps_the_axis": "shapes",
    "squeezes_a_batch_of_one": "shapes",
    "size_of_the_cotangent": "linearity",
    "square_of_the_cotangent": "linearity",
    "mean_over_the_batch": "batch",
    "underflows_in_single_precision": "dtype",
    "mask_drawn_again": "determinism",
    "nan_at_zero": "extremes",
    "sign_of_a_jvp": "gradient",
    "square_of_the_tangent": "jvp",
    "wrong_product_with_the_hessian": "second_order",
    "stops_its_own_gradient": "second_order",
}
"""The rule, and the check that fails it."""


def square(backward, forward=lambda x: x**2):
    return gradcheck.vjp(forward, backward, x="N D")


LAST = {}


def remembered(x):
    LAST["x"] = x
    return x**2, None


def by_the_last_forward(dout, _):
    return 2 * dout * LAST["x"]


def spoiled(dout, cache):
    cache *= 2
    return dout * cache


last_forward_in_shared_state = gradcheck.pair(remembered, by_the_last_forward, x="N D")
spoils_its_cache = gradcheck.pair(lambda x: (x**2, x.copy()), spoiled, x="N D")


class Affine:
    """x w + b, whose gradients add up or not."""

    adds = (False, False)

    def __init__(self):
        self.w, self.b = np.ones((2, 3)), np.zeros(3)
        self.dw, self.db = np.zeros((2, 3)), np.zeros(3)

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dout):
        self.dw = self.adds[0] * self.dw + self.x.T @ dout
        self.db = self.adds[1] * self.db + dout.sum(axis=0)
        return dout @ self.w.T


class Mixed(Affine):
    adds = (True, False)


class UpdatesItself(Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.w -= 0.1 * self.dw
        return dx


def affine(make, **options):
    return gradcheck.layer(
        make, params=["w", "b"], grads={"w": "dw", "b": "db"}, x="N 2", **options
    )


overwrites_where_it_is_declared_to_accumulate = affine(Affine, accumulates=True)
accumulates_one_gradient_and_overwrites_the_other = affine(Mixed)
updates_its_own_parameter = affine(UpdatesItself)

reads_the_order_of_memory = square(
    lambda g, x: (2 * g.ravel(order="K") * x.ravel()).reshape(x.shape)
)


def into_the_cotangent(g, x):
    g *= 2 * x
    return g


def into_the_input(g, x):
    x *= 2
    return g * x


writes_into_its_cotangent = square(into_the_cotangent)
writes_into_its_input = square(into_the_input)

wrong_order = gradcheck.vjp(
    lambda x, y: x * y**2, lambda g, x, y: (2 * g * x * y, g * y**2), x="N", y="N"
)
transposed_where_square = gradcheck.vjp(
    lambda x, w: x @ w, lambda g, x, w: (g @ w.T, (x.T @ g).T), x="3 3", w="3 3"
)


def bias(backward):
    return gradcheck.vjp(lambda x, b: x + b, backward, x="N D", b="D", batch="N")


bias_not_reduced = bias(lambda g, x, b: (g, g))
keeps_the_axis = bias(lambda g, x, b: (g, g.sum(axis=0, keepdims=True)))
squeezes_a_batch_of_one = bias(lambda g, x, b: (g.squeeze(), g.sum(axis=0)))
mean_over_the_batch = bias(lambda g, x, b: (g, g.mean(axis=0)))

size_of_the_cotangent = square(lambda g, x: 2 * np.abs(g) * x)
square_of_the_cotangent = square(lambda g, x: 2 * g * g * x)

underflows_in_single_precision = square(
    lambda g, x: 2 * g * x * (x.dtype.type(1e-30) ** 2 / x.dtype.type(1e-30)) * 1e30
)


def dropped(x):
    return x * (np.random.default_rng().random(x.shape) < 0.5), None


mask_drawn_again = gradcheck.pair(dropped, lambda dout, _: dropped(dout)[0], x="N 8")

nan_at_zero = gradcheck.vjp(
    lambda x: np.sqrt(np.sum(x**2)), lambda g, x: g * x / np.sqrt(np.sum(x**2)), x="N"
)

sign_of_a_jvp = gradcheck.jvp(lambda x: x**2, lambda x, t: -2 * x[0] * t[0], x="N")
square_of_the_tangent = gradcheck.jvp(
    lambda x: x**2, lambda x, t: 2 * x[0] * t[0] + t[0] * t[0][::-1], x="N"
)
wrong_product_with_the_hessian = gradcheck.gradient(
    lambda x: np.sum(x**3), lambda x: 3 * x**2, hvp=lambda x, v: 3 * x * v, x="N"
)


@jax.custom_vjp
def sine(x):
    return jax.numpy.sin(x)


def stopped(x, g):
    return (g * jax.lax.stop_gradient(jax.numpy.cos(x)),)


sine.defvjp(lambda x: (jax.numpy.sin(x), x), stopped)
stops_its_own_gradient = gradcheck.jax_rule(sine, x="N")

if find_spec("torch"):
    import torch

    CAUGHT_BY |= {
        "saves_an_intermediate": "second_order",
        "jvp_of_another_sign": "jvp",
        "writes_into_a_tensor": "purity",
        "takes_its_cotangent_for_contiguous": "layout",
    }

    class Sigmoid(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = 1 / (1 + torch.exp(-x))
            ctx.slope = y * (1 - y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.slope

    class SigmoidWithJvp(Sigmoid):
        @staticmethod
        def jvp(ctx, dx):
            return -dx * ctx.slope

    class SigmoidInPlace(Sigmoid):
        @staticmethod
        def backward(ctx, g):
            return g.mul_(ctx.slope)

    saves_an_intermediate = gradcheck.torch_function(Sigmoid, x="N")
    jvp_of_another_sign = gradcheck.torch_function(SigmoidWithJvp, x="N")
    writes_into_a_tensor = gradcheck.torch_function(SigmoidInPlace, x="N")

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * torch.as_strided(g, g.shape, (g.shape[1], 1))

    takes_its_cotangent_for_contiguous = gradcheck.torch_function(Double, x="N D")
