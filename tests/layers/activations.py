"""Rectifiers, GELU and softplus, by masks, by branches and by closed forms."""

import math

import numpy as np

from tests.layers import Pair


def relu_forward(x):
    out = x.copy()
    out[x <= 0] = 0.0
    return out, x


def relu_backward(dout, x):
    dx = np.array(dout)
    dx[x <= 0] = 0
    return dx


def relu_backward_by_cotangent(dout, x):
    return dout * (dout > 0) * (x > 0)


def relu_backward_unmasked(dout, x):
    return dout * 1.0


def relu_backward_absolute(dout, x):
    return np.abs(dout) * (x > 0)


def leaky_forward(x, slope=0.01):
    return np.where(x > 0, x, slope * x), (x, slope)


def leaky_backward(dout, cache):
    x, slope = cache
    dx = np.ones_like(x)
    dx[x < 0] = slope
    return dout * dx, None


def leaky_backward_as_relu(dout, cache):
    x, _ = cache
    return dout * (x > 0), None


def leaky_backward_slope_everywhere(dout, cache):
    _, slope = cache
    return dout * slope, None


def leaky_backward_of_default_slope(dout, cache):
    x, _ = cache
    return dout * np.where(x > 0, 1, 0.1), None


ROOT = math.sqrt(2 / math.pi)


def gelu_forward(x):
    inner = np.tanh(ROOT * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + inner), (x, inner)


def gelu_backward(dout, cache):
    x, inner = cache
    slope = (1 - inner**2) * ROOT * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + inner) + 0.5 * x * slope)


def gelu_backward_lost_term(dout, cache):
    _, inner = cache
    return dout * 0.5 * (1 + inner)


def gelu_backward_lost_factor(dout, cache):
    x, inner = cache
    slope = (1 - inner**2) * ROOT * (1 + 0.044715 * x**2)
    return dout * (0.5 * (1 + inner) + 0.5 * x * slope)


def gelu_backward_at_activation(dout, cache):
    x, inner = cache
    slope = (1 - np.tanh(inner) ** 2) * ROOT * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + inner) + 0.5 * x * slope)


def softplus_forward(x):
    out = np.empty_like(x)
    large = x > 40  # beyond, log(1 + exp(x)) is x to the last bit
    out[large] = x[large]
    out[~large] = np.log1p(np.exp(x[~large]))
    return out, x


def softplus_backward(dout, x):
    return dout / (1 + np.exp(-x))


def softplus_backward_sign(dout, x):
    return dout / (1 + np.exp(x))


def softplus_backward_of_logistic(dout, x):
    y = 1 / (1 + np.exp(-x))
    return dout * y * (1 - y)


def softplus_backward_half(dout, x):
    return 0.5 * dout / (1 + np.exp(-x))


def _away_from_zero(rng, *shape):
    x = rng.normal(size=shape)
    return x + 0.2 * np.sign(x)


LAYERS = [
    Pair(
        "relu",
        relu_forward,
        relu_backward,
        (relu_backward_by_cotangent, relu_backward_unmasked, relu_backward_absolute),
        lambda rng: (_away_from_zero(rng, 4, 3),),
    ),
    Pair(
        "leaky relu",
        leaky_forward,
        leaky_backward,
        (leaky_backward_as_relu, leaky_backward_slope_everywhere, leaky_backward_of_default_slope),
        lambda rng: (_away_from_zero(rng, 4, 3), 0.2),
    ),
    Pair(
        "gelu",
        gelu_forward,
        gelu_backward,
        (gelu_backward_lost_term, gelu_backward_lost_factor, gelu_backward_at_activation),
        lambda rng: (rng.normal(size=(3, 4)),),
    ),
    Pair(
        "softplus",
        softplus_forward,
        softplus_backward,
        (softplus_backward_sign, softplus_backward_of_logistic, softplus_backward_half),
        lambda rng: (np.append(rng.normal(size=5), 25.0),),
    ),
]
