"""Cosine similarity of rows, written with loops and scalars."""

import math

import numpy as np

from tests.layers import Pair


def cosine_forward(a, b):
    out = []
    for row in range(len(a)):
        dot = sum(p * q for p, q in zip(a[row], b[row], strict=True))
        length_a = math.sqrt(np.dot(a[row], a[row]))
        length_b = math.sqrt(np.dot(b[row], b[row]))
        out.append(dot / (length_a * length_b))
    return np.array(out), (a, b)


def cosine_backward(dout, cache):
    return _cosine_backward(dout, *cache)


def _cosine_backward(dout, a, b, *, through_length=1.0):
    norm_a = np.linalg.norm(a, axis=1, keepdims=True)
    norm_b = np.linalg.norm(b, axis=1, keepdims=True)
    cosine = np.sum(a * b, axis=1, keepdims=True) / (norm_a * norm_b)
    g = np.expand_dims(dout, 1)
    da = g * (b / (norm_a * norm_b) - through_length * cosine * a / norm_a**2)
    db = g * (a / (norm_a * norm_b) - through_length * cosine * b / norm_b**2)
    return da, db


def cosine_backward_lengths_constant(dout, cache):
    return _cosine_backward(dout, *cache, through_length=0.0)


def cosine_backward_lost_power(dout, cache):
    a, _ = cache
    da, db = cosine_backward(dout, cache)
    return da * np.linalg.norm(a, axis=1, keepdims=True), db


def cosine_backward_swapped(dout, cache):
    da, db = cosine_backward(dout, cache)
    return db, da


LAYERS = [
    Pair(
        "cosine similarity",
        cosine_forward,
        cosine_backward,
        (cosine_backward_lengths_constant, cosine_backward_lost_power, cosine_backward_swapped),
        lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(3, 4))),
    )
]
