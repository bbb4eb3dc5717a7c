"""Networks to test on, and how far rounding may carry their gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from reference.activations import Activation
from reference.network import forward, loss_gradients

UNIT_ROUNDOFF = 2.0**-53

ACTIVATION_ERROR = 80
"""How many unit roundoffs an f or f' may be off, in any library; see test_activations.py."""

STEEPEST = 1.2
"""No |f'| and no |f''| of our activations is larger (that of gelu' is 1.13), and |f(z)| is at most
1 + 1.2 |z|."""


class Network(NamedTuple):
    weights: list[Any]
    biases: list[Any]
    x: Any
    t: Any
    activations: tuple[str, ...]


def make_network(widths, activations, batch=1, seed=0, values="normal") -> Network:
    """Draw a network with a bias in every second layer; `values` are "normal" or "integer"."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        if values == "integer":
            return rng.integers(-3, 4, size=shape).astype(float)
        return rng.normal(size=shape)

    weights = [draw(m, n) for n, m in pairwise(widths)]
    biases = [draw(m, 1) if i % 2 else None for i, m in enumerate(widths[1:])]
    return Network(
        weights, biases, draw(widths[0], batch), draw(widths[-1], batch), tuple(activations)
    )


def rounding_bounds(network: Network) -> list[np.ndarray]:
    """Bound the difference of two float64 computations of each gradient, leaf by leaf.

    The gradients of the network of absolute values, with an activation above all of ours, are sums
    of the magnitudes that roundings multiply. On its way each magnitude meets, in every layer and in
    both directions, a sum of n products and one activation, whose argument was itself off by as
    many roundings of its own magnitude (first order: terms in u² are dropped).
    """
    above = Activation("above", lambda z: 1 + STEEPEST * z, lambda z: STEEPEST + 0 * z)
    weights, biases, x, t, _ = network
    absolute = [abs(w) for w in weights], [b if b is None else abs(b) for b in biases], abs(x)
    names = [above] * len(weights)
    magnitudes = flat(loss_gradients(*absolute, -abs(t), names))
    largest = max(float(z.max()) for z in forward(*absolute, names).z[1:])
    terms = sum(w.shape[1] + w.shape[0] + ACTIVATION_ERROR for w in weights) * 2 + x.shape[1]
    return [UNIT_ROUNDOFF * terms * (1 + STEEPEST * largest) * abs(m) for m in magnitudes]


def flat(tree: Any) -> list[np.ndarray]:
    """List the arrays of a tree of lists and tuples, as NumPy arrays; None is left out."""
    if tree is None:
        return []
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in flat(part)]
    return [np.asarray(tree.cpu() if hasattr(tree, "cpu") else tree)]


def mapped(function: Callable, tree: Any) -> Any:
    """Apply `function` to the arrays of a tree of lists and tuples."""
    if isinstance(tree, (list, tuple)):
        return [mapped(function, part) for part in tree]
    return tree if tree is None or isinstance(tree, str) else function(tree)
