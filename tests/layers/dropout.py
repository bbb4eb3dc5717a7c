# ruff: noqa: NPY002 - as people write it
"""Dropout: the mask is drawn in the forward and kept for the backward."""

import numpy as np

from tests.layers import Pair

KEEP = 0.7


def dropout_forward(x):
    mask = (np.random.rand(*x.shape) < KEEP) / KEEP
    return x * mask, mask


def dropout_backward(dout, mask):
    return dout * mask


def dropout_backward_unscaled(dout, mask):
    return dout * (mask > 0)


def dropout_backward_redrawn(dout, mask):
    return dout * ((np.random.rand(*dout.shape) < KEEP) / KEEP)


def dropout_backward_ignored(dout, mask):
    return dout * np.ones_like(mask)


LAYERS = [
    Pair(
        "dropout",
        dropout_forward,
        dropout_backward,
        (dropout_backward_unscaled, dropout_backward_redrawn, dropout_backward_ignored),
        lambda rng: (rng.normal(size=(4, 5)),),
    )
]
