"""Batch norm with running statistics on the object, layer norm, RMS norm, and unit length."""

import numpy as np

from tests.layers import Pair, Stateful


class BatchNorm:
    def __init__(self, features=3, momentum=0.9, eps=1e-5):
        self.params = {"gamma": np.linspace(0.5, 1.5, features), "beta": np.ones(features) * 0.1}
        self.grads = {}
        self.momentum, self.eps = momentum, eps
        self.running_mean = np.zeros(features)
        self.running_var = np.ones(features)
        self.training = True

    def forward(self, x):
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.running_mean *= self.momentum
            self.running_mean += (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            mean, var = self.running_mean, self.running_var
        self.std = np.sqrt(var + self.eps)
        self.normal = (x - mean) / self.std
        return self.params["gamma"] * self.normal + self.params["beta"]

    def backward(self, dout):
        n = dout.shape[0]
        self.grads["gamma"] = np.sum(dout * self.normal, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        dnormal = dout * self.params["gamma"]
        return (
            n * dnormal
            - np.sum(dnormal, axis=0)
            - self.normal * np.sum(dnormal * self.normal, axis=0)
        ) / (n * self.std)


class BatchNormLostThirdTerm(BatchNorm):
    def backward(self, dout):
        super().backward(dout)
        dnormal = dout * self.params["gamma"]
        return (dnormal - dnormal.mean(axis=0)) / self.std


class BatchNormEpsOutsideRoot(BatchNorm):
    def backward(self, dout):
        return super().backward(dout) * self.std / (self.std + 1e-3)


class BatchNormRunningStatistics(BatchNorm):
    def backward(self, dout):
        return super().backward(dout) * self.std / np.sqrt(self.running_var + self.eps)


def layer_norm_forward(x, gamma, beta):
    mean = np.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    inverse = 1.0 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-6)
    normal = centred * inverse
    return normal * gamma + beta, (normal, inverse, gamma)


def layer_norm_backward(dout, cache):
    normal, inverse, gamma = cache
    axes = tuple(range(dout.ndim - 1))
    dgamma = np.sum(dout * normal, axis=axes)
    dbeta = np.sum(dout, axis=axes)
    dnormal = dout * gamma
    dx = dnormal - dnormal.mean(-1, keepdims=True)
    dx -= normal * np.mean(dnormal * normal, axis=-1, keepdims=True)
    dx *= inverse
    return dx, dgamma, dbeta


def layer_norm_backward_lost_mean(dout, cache):
    normal, inverse, gamma = cache
    _, dgamma, dbeta = layer_norm_backward(dout, cache)
    dnormal = dout * gamma
    dx = (dnormal - normal * np.mean(dnormal * normal, axis=-1, keepdims=True)) * inverse
    return dx, dgamma, dbeta


def layer_norm_backward_lost_gamma(dout, cache):
    normal, inverse, _ = cache
    _, dgamma, dbeta = layer_norm_backward(dout, cache)
    return layer_norm_backward(dout, (normal, inverse, 1.0))[0], dgamma, dbeta


def layer_norm_backward_swapped(dout, cache):
    dx, dgamma, dbeta = layer_norm_backward(dout, cache)
    return dx, dbeta, dgamma


def rms_norm_forward(x, gain):
    size = x.shape[-1]
    rms = np.sqrt((x**2).sum(-1, keepdims=True) / size + 1e-8)
    out = np.divide(x, rms)
    np.multiply(out, gain, out=out)
    return out, (x, gain, rms)


def rms_norm_backward(dout, cache):
    x, gain, rms = cache
    scaled = dout * gain
    dx = scaled / rms - x * np.sum(scaled * x, -1, keepdims=True) / (x.shape[-1] * rms**3)
    return dx, np.einsum("nd,nd->d", dout, x / rms)


def rms_norm_backward_lost_term(dout, cache):
    _, gain, rms = cache
    return dout * gain / rms, rms_norm_backward(dout, cache)[1]


def rms_norm_backward_power(dout, cache):
    x, gain, rms = cache
    scaled = dout * gain
    dx = scaled / rms - x * np.sum(scaled * x, -1, keepdims=True) / (x.shape[-1] * rms**2)
    return dx, rms_norm_backward(dout, cache)[1]


def rms_norm_backward_unnormalised_gain(dout, cache):
    return rms_norm_backward(dout, cache)[0], np.sum(dout * cache[0], axis=0)


def unit_forward(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / norms, (x, norms)


def unit_backward(dout, cache):
    x, norms = cache
    dx = np.zeros(x.shape)
    for row in range(x.shape[0]):
        u = x[row] / norms[row]
        dx[row] = (dout[row] - u * (u @ dout[row])) / norms[row]
    return dx


def unit_backward_as_constant(dout, cache):
    return dout / cache[1]


def unit_backward_sign(dout, cache):
    x, norms = cache
    u = x / norms
    return (dout + u * np.sum(u * dout, axis=1, keepdims=True)) / norms


def unit_backward_first_row_only(dout, cache):
    x, norms = cache
    u = x / norms
    return (dout - u * (u[0] @ dout[0])) / norms


LAYERS = [
    Stateful(
        "batch norm",
        BatchNorm,
        (BatchNormLostThirdTerm, BatchNormEpsOutsideRoot, BatchNormRunningStatistics),
        lambda rng: (rng.normal(size=(5, 3)),),
    ),
    Pair(
        "layer norm",
        layer_norm_forward,
        layer_norm_backward,
        (
            layer_norm_backward_lost_mean,
            layer_norm_backward_lost_gamma,
            layer_norm_backward_swapped,
        ),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=4), rng.normal(size=4)),
    ),
    Pair(
        "RMS norm",
        rms_norm_forward,
        rms_norm_backward,
        (rms_norm_backward_lost_term, rms_norm_backward_power, rms_norm_backward_unnormalised_gain),
        lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=4)),
    ),
    Pair(
        "L2 normalise",
        unit_forward,
        unit_backward,
        (unit_backward_as_constant, unit_backward_sign, unit_backward_first_row_only),
        lambda rng: (rng.normal(size=(3, 4)),),
    ),
]
