"""Scaled dot-product attention with a mask."""

import numpy as np

from tests.layers import Pair


def attention_forward(q, k, v, mask):
    scale = 1 / np.sqrt(q.shape[-1])
    scores = np.einsum("bqd,bkd->bqk", q, k) * scale
    scores = np.where(mask, scores, -1e9)
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    weights /= np.sum(weights, axis=-1, keepdims=True)
    return weights @ v, (q, k, v, weights, scale)


def attention_backward(dout, cache):
    q, k, v, weights, scale = cache
    dv = weights.transpose(0, 2, 1) @ dout
    dweights = dout @ v.transpose(0, 2, 1)
    dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    dscores *= scale
    return dscores @ k, np.matmul(np.swapaxes(dscores, 1, 2), q), dv, None


def attention_backward_lost_scale(dout, cache):
    dq, dk, dv, _ = attention_backward(dout, cache)
    return dq / cache[-1], dk, dv, None


def attention_backward_diagonal_softmax(dout, cache):
    q, k, v, weights, scale = cache
    dweights = dout @ v.transpose(0, 2, 1)
    dscores = dweights * weights * (1 - weights) * scale
    return dscores @ k, dscores.transpose(0, 2, 1) @ q, attention_backward(dout, cache)[2], None


def attention_backward_swapped(dout, cache):
    dq, dk, dv, _ = attention_backward(dout, cache)
    return dq, dv, dk, None


LAYERS = [
    Pair(
        "attention",
        attention_forward,
        attention_backward,
        (
            attention_backward_lost_scale,
            attention_backward_diagonal_softmax,
            attention_backward_swapped,
        ),
        lambda rng: (
            rng.normal(size=(2, 3, 4)),
            rng.normal(size=(2, 5, 4)),
            rng.normal(size=(2, 5, 4)),
            np.tri(3, 5, 2, dtype=bool),
        ),
    )
]
