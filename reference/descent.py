"""Gradient descent on the network, stochastic and by batches.

A learning rate α is a number, or a list of one rate per parameter of the list it belongs to, each a
number or an array of the parameter's dimensions: one learning rate per weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from reference.arrays import Array, namespace
from reference.network import Activations, Biases, Weights, backward, forward, output_loss
from reference.shapes import assert_shape

__all__ = ["State", "batch_descent", "initial_parameters", "stochastic_descent", "update"]

Rate = float | Array
Rates = Rate | Sequence[Rate]


@dataclass(frozen=True)
class State:
    """Where a descent stands after a number of epochs, each a visit to every example once."""

    epoch: int
    weights: list[Array]
    biases: list[Array | None]
    loss: float
    """The loss summed over the examples of the last epoch, each taken before its own update."""


def update(
    parameters: Sequence[Array | None], gradients: Sequence[Array | None], alpha: Rates
) -> list[Array | None]:
    """Return `parameters` moved against `gradients` by `alpha`; None, no parameter, stays None.

    Raises:
        ShapeError: a learning rate that is an array has not the dimensions of its parameter.
        ValueError: not one gradient and, if `alpha` is a list, one rate per parameter.

    >>> import numpy as np
    >>> [w] = update([np.array([[1.0, 2.0]])], [np.array([[10.0, 10.0]])], alpha=0.1)
    >>> w.tolist()
    [[0.0, 1.0]]
    """
    rates = list(alpha) if isinstance(alpha, (list, tuple)) else [alpha] * len(parameters)
    if not len(parameters) == len(gradients) == len(rates):
        raise ValueError(
            "each parameter needs one gradient and one learning rate: "
            f"got {len(parameters)} parameters, {len(gradients)} gradients and {len(rates)} rates"
        )
    steps = zip(parameters, gradients, rates, strict=True)
    return [_moved(w, dw, rate, i) for i, (w, dw, rate) in enumerate(steps, start=1)]


def batch_descent(
    weights: Weights,
    biases: Biases,
    x: Array,
    t: Array,
    activations: Activations,
    alpha: Rates,
    *,
    bias_alpha: Rates | None = None,
    batch: int | None = None,
    epochs: int,
    rng: np.random.Generator | None = None,
) -> Iterator[State]:
    """Descend the loss of one batch of `batch` examples after the other; yield after each epoch.

    Args:
        weights, biases, x, t, activations: as for `reference.network.loss`; x and t hold the
            examples to learn from, as columns.
        alpha: the learning rate of the weights. The gradient is a sum over the batch, so a rate that
            suits one example is divided by the size of the batch.
        bias_alpha: that of the biases; `alpha`, which must then be a number, if not given.
        batch: the examples of a batch, all of them if not given; the last batch of an epoch may be
            smaller.
        epochs: how often each example is visited.
        rng: draws the order of the examples anew for each epoch; their own order if not given.
    """
    bias_alpha = alpha if bias_alpha is None else bias_alpha
    weights, biases = list(weights), list(biases)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for xs, ts in _batches(x, t, batch or x.shape[1], rng):
            passed = forward(weights, biases, xs, activations)
            total += float(output_loss(passed.x[-1], ts))
            gradients = backward(weights, biases, passed, ts, activations)
            weights = update(weights, gradients.weights, alpha)
            biases = update(biases, gradients.biases, bias_alpha)
        yield State(epoch, weights, biases, total)


def stochastic_descent(*arguments: Any, **options: Any) -> Iterator[State]:
    """Descend the loss of one example after the other: `batch_descent` in batches of one."""
    return batch_descent(*arguments, **options, batch=1)


def initial_parameters(
    widths: Sequence[int], rng: np.random.Generator
) -> tuple[list[Array], list[Array]]:
    """Draw weights W_i of n_i × n_{i-1} for `widths` n_0 … n_L, and biases of 0.

    The weights of a layer have the standard deviation 1/√n_{i-1}, so that a sum over its inputs is
    of their size (LeCun, Bottou, Orr & Müller 1998, equation 16).
    """
    layers = list(pairwise(widths))
    weights = [rng.normal(size=(rows, inputs)) / np.sqrt(inputs) for inputs, rows in layers]
    return weights, [np.zeros((rows, 1)) for _, rows in layers]


def _moved(w: Array | None, dw: Array | None, alpha: Rate, i: int) -> Array | None:
    if w is None or dw is None:
        return None
    if getattr(alpha, "shape", ()) != ():
        assert_shape((f"α_{i}", alpha), w.shape, f"α_{i} ∘ its gradient")
    return w - alpha * dw  # derivation: update


def _batches(
    x: Array, t: Array, size: int, rng: np.random.Generator | None
) -> Iterator[tuple[Array, Array]]:
    """Cut the examples into batches of `size` columns, in an order that `rng` draws."""
    xp, examples = namespace(x), x.shape[1]
    if size >= examples:
        yield x, t
        return
    order = np.arange(examples) if rng is None else rng.permutation(examples)
    for start in range(0, examples, size):
        columns = xp.asarray(order[start : start + size])
        yield xp.take(x, columns, axis=1), xp.take(t, columns, axis=1)
