"""Mean squared error and the Huber loss."""

import numpy as np

from tests.layers import Pair


def squared_forward(prediction, target):
    difference = prediction - target
    return 0.5 * float(np.mean(np.sum(difference**2, axis=1))), difference


def squared_backward(dout, difference):
    d = dout * difference / len(difference)
    return d, -d


def squared_backward_lost_half(dout, difference):
    d = 2 * dout * difference / len(difference)
    return d, -d


def squared_backward_of_all_entries(dout, difference):
    d = dout * difference / difference.size
    return d, -d


def squared_backward_same_sign(dout, difference):
    d = dout * difference / len(difference)
    return d, d


def huber_forward(prediction, target, delta=1.0):
    residual = prediction - target
    total = 0.0
    for r in residual.ravel():
        if abs(r) <= delta:
            total += 0.5 * r * r
        else:
            total += delta * (abs(r) - 0.5 * delta)
    return total / residual.size, (residual, delta)


def huber_backward(dout, cache):
    residual, delta = cache
    slope = np.clip(residual, -delta, delta) * dout / residual.size
    return slope, -slope, None


def huber_backward_unclipped(dout, cache):
    residual, _ = cache
    slope = residual * dout / residual.size
    return slope, -slope, None


def huber_backward_unit_delta(dout, cache):
    return huber_backward(dout, (cache[0], 1.0))


def huber_backward_lost_sign(dout, cache):
    residual, delta = cache
    slope = np.minimum(np.abs(residual), delta) * dout / residual.size
    return slope, -slope, None


LAYERS = [
    Pair(
        "mean squared error",
        squared_forward,
        squared_backward,
        (
            squared_backward_lost_half,
            squared_backward_of_all_entries,
            squared_backward_same_sign,
        ),
        lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=(3, 2))),
    ),
    Pair(
        "Huber loss",
        huber_forward,
        huber_backward,
        (huber_backward_unclipped, huber_backward_unit_delta, huber_backward_lost_sign),
        lambda rng: (rng.permutation(6).reshape(2, 3) - 2.2, rng.normal(size=(2, 3)) * 0.05, 1.5),
    ),
]
