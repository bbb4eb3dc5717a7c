"""One affine layer, y = f(W x + b), and its backward: "One layer" and "a bias" of derivation.md.

x is n × B (a batch of B columns), W is m × n, b is m × 1 or None, y is m × B.
"""

from __future__ import annotations

from typing import NamedTuple

from reference.activations import Activation, activation
from reference.arrays import Array, namespace
from reference.shapes import assert_elementwise, assert_product, assert_shape

__all__ = ["AffineCache", "affine", "affine_backward", "bias_gradient", "pre_activation"]


class AffineCache(NamedTuple):
    """What the backward of a layer needs from its forward; z is W x + b."""

    x: Array
    w: Array
    b: Array | None
    z: Array
    activation: str | Activation


def affine(
    x: Array, w: Array, b: Array | None, activation_name: str | Activation
) -> tuple[Array, AffineCache]:
    """Return f(W x + b), m × B, and the cache for `affine_backward`.

    Raises:
        ShapeError: `w`, `x` and `b` do not fit one another; they are named as those of the first
            layer of a network: W_1, x_0 and b_1.

    >>> import numpy as np
    >>> y, cache = affine(np.ones((3, 1)), np.ones((2, 3)), None, "identity")
    >>> y.ravel().tolist()
    [3.0, 3.0]
    """
    z = pre_activation(w, x, b)
    return activation(activation_name).f(z), AffineCache(x, w, b, z, activation_name)


def affine_backward(dout: Array, cache: AffineCache) -> tuple[Array, Array, Array | None]:
    """Return the gradients of x, W and b (None without b), given the gradient `dout` of y, m × B.

    Raises:
        ShapeError: `dout` has not the dimensions of y.

    >>> import numpy as np
    >>> y, cache = affine(np.ones((3, 1)), np.ones((2, 3)), np.zeros((2, 1)), "identity")
    >>> dx, dw, db = affine_backward(np.array([[1.0], [10.0]]), cache)
    >>> dx.ravel().tolist(), dw.tolist(), db.ravel().tolist()
    ([11.0, 11.0, 11.0], [[1.0, 1.0, 1.0], [10.0, 10.0, 10.0]], [1.0, 10.0])
    """
    x, w, b, z, name = cache
    slope = activation(name).f_prime(z)

    assert_elementwise(("f'(W x + b)", slope), "∘", ("∂E/∂y", dout))
    delta = dout * slope  # derivation: layer-delta

    assert_product("∂E/∂W", ("δ", delta), ("xᵀ", x.T), expected=w.shape)
    dw = delta @ x.T  # derivation: weight-gradient

    assert_product("∂E/∂x", ("Wᵀ", w.T), ("δ", delta), expected=x.shape)
    dx = w.T @ delta  # derivation: input-gradient

    return dx, dw, bias_gradient(delta, b)


def pre_activation(w: Array, x: Array, b: Array | None, i: int = 1) -> Array:
    """Return W_i x_{i-1} + b_i, with b_i added to every column; i only names them in an error."""
    assert_product(f"W_{i} x_{i - 1}", (f"W_{i}", w), (f"x_{i - 1}", x))
    z = w @ x
    if b is None:
        return z
    assert_shape((f"b_{i}", b), (w.shape[0], 1), f"W_{i} x_{i - 1} + b_{i}")
    return z + b


def bias_gradient(delta: Array, b: Array | None, i: int = 1) -> Array | None:
    """Return ∂E/∂b_i, the sum of the columns of δ_i, or None for a layer without bias."""
    if b is None:
        return None
    db = namespace(delta).sum(delta, axis=1, keepdims=True)  # derivation: bias-gradient
    assert_shape((f"∂E/∂b_{i}", db), b.shape, f"δ_{i} 1, the sum of the columns of δ_{i}")
    return db
