"""Softmax, its cross-entropy from integer labels, and log-sum-exp."""

import numpy as np

from tests.layers import Pair


def softmax_forward(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    s = e / e.sum(axis=-1, keepdims=True)
    return s, s


def softmax_backward(dout, s):
    return s * (dout - np.sum(dout * s, axis=-1, keepdims=True))


def softmax_backward_diagonal(dout, s):
    return dout * s * (1 - s)


def softmax_backward_mean(dout, s):
    return s * (dout - dout.mean(axis=-1, keepdims=True))


def softmax_backward_wrong_axis(dout, s):
    return s * (dout - np.sum(dout * s, axis=0, keepdims=True))


def cross_entropy_forward(scores, labels):
    n = scores.shape[0]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_norm = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probabilities = shifted - log_norm
    loss = -np.sum(log_probabilities[np.arange(n), labels]) / n
    return loss, (np.exp(log_probabilities), labels)


def cross_entropy_backward(dout, cache):
    probabilities, labels = cache
    n = probabilities.shape[0]
    dscores = probabilities.copy()
    dscores[np.arange(n), labels] -= 1
    dscores *= dout / n
    return dscores, None


def cross_entropy_backward_lost_mean(dout, cache):
    probabilities, labels = cache
    dscores = probabilities.copy()
    dscores[np.arange(len(labels)), labels] -= 1
    return dscores * dout, None


def cross_entropy_backward_lost_upstream(dout, cache):
    return cross_entropy_backward(1.0, cache)


def cross_entropy_backward_shifted_label(dout, cache):
    probabilities, labels = cache
    n, classes = probabilities.shape
    dscores = probabilities.copy()
    dscores[np.arange(n), (labels + 1) % classes] -= 1
    return dscores * dout / n, None


def log_sum_exp_forward(x):
    biggest = np.max(x, axis=1)
    total = np.zeros(x.shape[0])
    for column in range(x.shape[1]):
        total += np.exp(x[:, column] - biggest)
    out = biggest + np.log(total)
    return out, (x, out)


def log_sum_exp_backward(dout, cache):
    x, out = cache
    return dout[:, None] * np.exp(x - out[:, None])


def log_sum_exp_backward_winner_only(dout, cache):
    x, _ = cache
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), np.argmax(x, axis=1)] = dout
    return dx


def log_sum_exp_backward_unnormalised(dout, cache):
    x, _ = cache
    return dout[:, None] * np.exp(x - x.max(axis=1)[:, None])


def log_sum_exp_backward_twice_normalised(dout, cache):
    x, out = cache
    s = np.exp(x - out[:, None])
    return dout[:, None] * s * (1 - s)


LAYERS = [
    Pair(
        "softmax",
        softmax_forward,
        softmax_backward,
        (softmax_backward_diagonal, softmax_backward_mean, softmax_backward_wrong_axis),
        lambda rng: (rng.normal(size=(3, 5)),),
    ),
    Pair(
        "softmax cross-entropy",
        cross_entropy_forward,
        cross_entropy_backward,
        (
            cross_entropy_backward_lost_mean,
            cross_entropy_backward_lost_upstream,
            cross_entropy_backward_shifted_label,
        ),
        lambda rng: (rng.normal(size=(4, 5)), np.array([0, 3, 3, 1])),
    ),
    Pair(
        "log-sum-exp",
        log_sum_exp_forward,
        log_sum_exp_backward,
        (
            log_sum_exp_backward_winner_only,
            log_sum_exp_backward_unnormalised,
            log_sum_exp_backward_twice_normalised,
        ),
        lambda rng: (rng.normal(size=(3, 4)),),
    ),
]
