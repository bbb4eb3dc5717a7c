"""The dimension checks of the derivation, as assertions that `python -O` does not remove.

Each stands at the line it belongs to and runs *before* the product it describes, so that a wrong
array is named in the derivation's words and never broadcast in silence.
"""

from __future__ import annotations

from typing import TypeAlias

from reference.arrays import Array

__all__ = ["ANY", "ShapeError", "assert_elementwise", "assert_product", "assert_shape"]

ANY = -1
"""A dimension that the formula leaves open."""

Shape: TypeAlias = tuple[int, ...]
Factor: TypeAlias = tuple[str, Array]
"""An array and what the derivation calls it, as in `("δ_2", delta)`."""


class ShapeError(AssertionError):
    """An array has other dimensions than the derivation gives it.

    Attributes:
        quantity: what the derivation calls the array, as in `∂E/∂W_2`.
        expected: the dimensions that the derivation gives it.
        actual: the dimensions that it has.
        product: the expression it came from, with the dimensions of both operands.
    """

    def __init__(self, quantity: str, expected: Shape, actual: Shape, product: str) -> None:
        self.quantity = quantity
        self.expected = tuple(expected)
        self.actual = tuple(actual)
        self.product = product
        super().__init__(
            f"{quantity} must be {dimensions(expected)} but is {dimensions(actual)}, in {product}"
        )


def assert_product(
    quantity: str, left: Factor, right: Factor, expected: Shape = (ANY, ANY)
) -> None:
    """Assert that the matrix product of `left` and `right` exists and is `expected`.

    Raises:
        ShapeError: about `quantity`, or about the factor that does not fit the other.

    >>> import numpy as np
    >>> delta, x = ("δ_2", np.zeros((3, 1))), ("x_1ᵀ", np.zeros((1, 4)))
    >>> assert_product("∂E/∂W_2", delta, x, expected=(3, 4))
    >>> assert_product("∂E/∂W_2", delta, x, expected=(3, 5))
    Traceback (most recent call last):
    reference.shapes.ShapeError: ∂E/∂W_2 must be 3 × 5 but is 3 × 4, in δ_2 x_1ᵀ = (3 × 1)(1 × 4)
    """
    (of_left, of_right), (rows, columns) = (left[1].shape, right[1].shape), expected
    if not len(of_left) == len(of_right) == 2 or of_left[1] != of_right[0]:
        if len(of_left) != 2:
            culprit, wanted, actual = left[0], (rows, of_right[0] if of_right else ANY), of_left
        else:
            columns = of_right[1] if columns == ANY and len(of_right) == 2 else columns
            culprit, wanted, actual = right[0], (of_left[1], columns), of_right
    elif rows in (ANY, of_left[0]) and columns in (ANY, of_right[1]):
        return
    else:
        culprit, wanted, actual = quantity, expected, (of_left[0], of_right[1])
    product = f"{left[0]} {right[0]} = {bracketed(of_left)}{bracketed(of_right)}"
    raise ShapeError(culprit, wanted, actual, product)


def assert_elementwise(left: Factor, sign: str, right: Factor) -> None:
    """Assert that `right` has the dimensions of `left`, as `+`, `-` and `∘` need it.

    Raises:
        ShapeError: about `right`.

    >>> import numpy as np
    >>> assert_elementwise(("x_3", np.zeros((2, 1))), "-", ("t", np.zeros((2, 4))))
    Traceback (most recent call last):
    reference.shapes.ShapeError: t must be 2 × 1 but is 2 × 4, in x_3 - t = (2 × 1) - (2 × 4)
    """
    of_left, of_right = left[1].shape, right[1].shape
    if of_left != of_right:
        operands = f"{bracketed(of_left)} {sign} {bracketed(of_right)}"
        raise ShapeError(right[0], of_left, of_right, f"{left[0]} {sign} {right[0]} = {operands}")


def assert_shape(array: Factor, expected: Shape, product: str) -> None:
    """Assert that `array` has the dimensions `expected`, as the expression `product` needs it.

    Raises:
        ShapeError: about `array`.
    """
    name, values = array
    if tuple(values.shape) != tuple(expected):
        raise ShapeError(name, expected, values.shape, product)


def dimensions(shape: Shape) -> str:
    """Write `shape` as the derivation does, as in `3 × 5`; what is no matrix as a tuple."""
    if len(shape) != 2:
        return str(tuple(shape))
    return " × ".join("any" if size == ANY else str(size) for size in shape)


def bracketed(shape: Shape) -> str:
    """Write `shape` as a factor of a product."""
    return f"({dimensions(shape)})" if len(shape) == 2 else dimensions(shape)
