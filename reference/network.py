"""The network of the derivation: L layers, its loss, and its backward pass.

The parameters are plain data: `weights` the list of W_1 … W_L, `biases` the list of b_1 … b_L with
None where a layer has none, `activations` the names of f_1 … f_L. W_i is n_i × n_{i-1}, b_i is
n_i × 1. The input x is n_0 × B and the truth t is n_L × B: an example is a column, a batch is B
of them. Every line cites the equations of derivation.md that it computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from reference.activations import Activation, activation
from reference.arrays import Array, namespace
from reference.layer import bias_gradient, pre_activation
from reference.shapes import assert_elementwise, assert_product

__all__ = ["Gradients", "Pass", "backward", "forward", "loss", "loss_gradients", "output_loss"]

Weights = Sequence[Array]
Biases = Sequence[Array | None]
Activations = Sequence[str | Activation]


class Pass(NamedTuple):
    """What a forward pass leaves for the backward pass, numbered as in the derivation."""

    x: list[Array]
    """x_0 … x_L, of n_i × B each."""
    z: list[Any]
    """The pre-activations W_i x_{i-1} + b_i for i = 1 … L, of n_i × B each; z_0 is None."""


class Gradients(NamedTuple):
    """The gradients of the loss, each of the dimensions of its parameter."""

    weights: list[Array]
    biases: list[Array | None]
    delta: list[Any]
    """δ_1 … δ_L, the gradients of the pre-activations, n_i × B; δ_0 is None."""


def forward(weights: Weights, biases: Biases, x: Array, activations: Activations) -> Pass:
    """Return the outputs and pre-activations of all layers; the network's output is `.x[-1]`.

    Raises:
        ShapeError: two neighbours do not fit, named as in the derivation.
        ValueError: not one weight matrix, one bias or None, and one activation per layer.

    >>> import numpy as np
    >>> passed = forward([np.ones((2, 3)), np.ones((1, 2))], [None, None], np.ones((3, 1)),
    ...                  ["identity", "relu"])
    >>> [x.ravel().tolist() for x in passed.x]
    [[1.0, 1.0, 1.0], [3.0, 3.0], [6.0]]
    """
    W, b, f, L = _numbered(weights, biases, activations)
    xs, zs = [x], [None]
    for i in range(1, L + 1):
        zs.append(pre_activation(W[i], xs[i - 1], b[i], i))
        xs.append(f[i].f(zs[i]))  # derivation: layer, batch-layer
    return Pass(xs, zs)


def output_loss(output: Array, t: Array) -> Array:
    """Return E = 1/2 ||x_L - t||², summed over the columns, as an array without dimensions.

    Raises:
        ShapeError: `t` has not the dimensions of `output`.
    """
    assert_elementwise(("x_L", output), "-", ("t", t))
    return namespace(output).sum((output - t) ** 2) / 2  # derivation: loss, batch-loss


def loss(weights: Weights, biases: Biases, x: Array, t: Array, activations: Activations) -> Array:
    """Return the loss of the network on the batch, an array without dimensions.

    >>> import numpy as np
    >>> float(loss([np.ones((1, 3))], [None], np.ones((3, 2)), np.zeros((1, 2)), ["identity"]))
    9.0
    """
    return output_loss(forward(weights, biases, x, activations).x[-1], t)


def backward(
    weights: Weights, biases: Biases, passed: Pass, t: Array, activations: Activations
) -> Gradients:
    """Return the gradients of the loss, given the forward pass that `passed` records.

    Raises:
        ShapeError: a dimension check of the derivation is violated.
        ValueError: not one weight matrix, one bias or None, and one activation per layer.
    """
    W, b, f, L = _numbered(weights, biases, activations)
    x, z = passed
    delta: list[Any] = [None] * (L + 1)

    slope = f[L].f_prime(z[L])
    assert_elementwise((f"x_{L}", x[L]), "-", ("t", t))
    assert_elementwise((f"(x_{L} - t)", x[L]), "∘", (f"f_{L}'(W_{L} x_{L - 1})", slope))
    # derivation: output-gradient, output-delta, batch-output-delta
    delta[L] = (x[L] - t) * slope

    for i in range(L - 1, 0, -1):
        slope, back = f[i].f_prime(z[i]), f"W_{i + 1}ᵀ δ_{i + 1}"
        assert_product(back, (f"W_{i + 1}ᵀ", W[i + 1].T), (f"δ_{i + 1}", delta[i + 1]), slope.shape)
        # derivation: hidden-delta, batch-hidden-delta
        delta[i] = (W[i + 1].T @ delta[i + 1]) * slope

    dW: list[Any] = [None] * (L + 1)
    db: list[Any] = [None] * (L + 1)
    for i in range(1, L + 1):
        factors = (f"δ_{i}", delta[i]), (f"x_{i - 1}ᵀ", x[i - 1].T)
        assert_product(f"∂E/∂W_{i}", *factors, expected=W[i].shape)
        # derivation: weight-gradient, batch-weight-gradient
        dW[i] = delta[i] @ x[i - 1].T
        db[i] = bias_gradient(delta[i], b[i], i)  # derivation: bias-gradient

    return Gradients(dW[1:], db[1:], delta)


def loss_gradients(
    weights: Weights, biases: Biases, x: Array, t: Array, activations: Activations
) -> tuple[list[Array], list[Array | None], Array, Array]:
    """Return the gradients of `loss` in weights, biases (None where there is none), x and t.

    >>> import numpy as np
    >>> weights, x, t = [np.full((1, 2), 3.0)], np.array([[1.0], [2.0]]), np.array([[4.0]])
    >>> (dw,), (db,), dx, dt = loss_gradients(weights, [None], x, t, ["identity"])
    >>> dw.tolist(), db, dx.ravel().tolist(), dt.tolist()
    ([[5.0, 10.0]], None, [15.0, 15.0], [[-5.0]])
    """
    passed = forward(weights, biases, x, activations)
    gradients = backward(weights, biases, passed, t, activations)
    W_1, delta_1 = weights[0], gradients.delta[1]

    assert_product("∂E/∂x_0", ("W_1ᵀ", W_1.T), ("δ_1", delta_1), expected=x.shape)
    dx = W_1.T @ delta_1  # derivation: input-gradient
    dt = t - passed.x[-1]  # derivation: truth-gradient
    return gradients.weights, gradients.biases, dx, dt


def _numbered(
    weights: Weights, biases: Biases, activations: Activations
) -> tuple[list[Any], list[Any], list[Any], int]:
    """Number the parameters from 1 as the derivation does, and count the layers."""
    L = len(weights)
    if not L == len(biases) == len(activations) or L == 0:
        raise ValueError(
            "a network needs one weight matrix, one bias (or None) and one activation per layer: "
            f"got {L} weights, {len(biases)} biases and {len(activations)} activations"
        )
    return [None, *weights], [None, *biases], [None, *map(activation, activations)], L
