"""The affine layer, as a function and as a class, and a bias that is broadcast."""

import numpy as np

from tests.layers import Pair, Stateful


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1) @ w + b
    return out, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def affine_backward_mean_for_sum(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.mean(axis=0)


def affine_backward_scaled_by_batch(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw / dout.shape[0], db


def affine_backward_last_row_only(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    dx = dx.copy()
    dx[:-1] *= 0.999
    return dx, dw, db


def bias_forward(x, b):
    return x + b, (x.shape, b.shape)


def bias_backward(dout, cache):
    x_shape, b_shape = cache
    axes = tuple(range(len(x_shape) - len(b_shape)))
    db = dout.sum(axis=axes)
    for axis, size in enumerate(b_shape):
        if size == 1 and db.shape[axis] != 1:
            db = db.sum(axis=axis, keepdims=True)
    return dout.copy(), db


def bias_backward_sign(dout, cache):
    dx, db = bias_backward(dout, cache)
    return dx, -db


def bias_backward_one_axis_too_few(dout, cache):
    _, b_shape = cache
    return dout.copy(), np.broadcast_to(dout[0], dout[0].shape)[:, :1].reshape(b_shape)


def bias_backward_average(dout, cache):
    dx, db = bias_backward(dout, cache)
    return dx, db / dout.shape[-1]


class Dense:
    """An affine layer that accumulates into preallocated gradients."""

    def __init__(self, rows=4, columns=3, seed=0):
        rng = np.random.default_rng(seed)
        self.params = {"w": rng.normal(size=(rows, columns)) * 0.5, "b": rng.normal(size=columns)}
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.x = None

    def forward(self, x):
        self.x = x
        return np.dot(x, self.params["w"]) + self.params["b"]

    def backward(self, dout):
        self.grads["w"] += np.dot(self.x.T, dout)
        self.grads["b"] += np.sum(dout, axis=0)
        return np.dot(dout, self.params["w"].T)


class DenseForgetsBias(Dense):
    def backward(self, dout):
        self.grads["w"] += np.dot(self.x.T, dout)
        return np.dot(dout, self.params["w"].T)


class DenseAddsTwice(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["b"] += np.sum(dout, axis=0)
        return dx


class DenseUsesAbsoluteInput(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["w"][...] = np.dot(np.abs(self.x).T, dout)
        return dx


LAYERS = [
    Pair(
        "affine",
        affine_forward,
        affine_backward,
        (
            affine_backward_mean_for_sum,
            affine_backward_scaled_by_batch,
            affine_backward_last_row_only,
        ),
        lambda rng: (rng.normal(size=(3, 2, 2)), rng.normal(size=(4, 5)), rng.normal(size=5)),
    ),
    Pair(
        "bias",
        bias_forward,
        bias_backward,
        (bias_backward_sign, bias_backward_one_axis_too_few, bias_backward_average),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 1))),
    ),
    Stateful(
        "dense",
        Dense,
        (DenseForgetsBias, DenseAddsTwice, DenseUsesAbsoluteInput),
        lambda rng: (rng.normal(size=(3, 4)),),
    ),
]
