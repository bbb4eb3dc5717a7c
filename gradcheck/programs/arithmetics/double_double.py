"""Numbers as unevaluated sums of two float64: about 32 decimal digits, on every platform.

Dekker (1971), "A floating-point technique for extending the available precision"; Hida, Li and
Bailey (2001), "Algorithms for quad-double precision floating point arithmetic".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.base import Arithmetic, by_component

__all__ = ["Double", "DoubleDouble", "two_product", "two_sum"]

Array = np.ndarray[Any, Any]

SPLITTER = 2.0**27 + 1
"""Dekker's constant: cuts a float64 into two halves of 26 bits."""


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return a + b rounded, and exactly what the rounding lost (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """Return a * b rounded, and exactly what the rounding lost (Dekker)."""
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    return product, a_low * b_low - (
        ((product - a_high * b_high) - a_low * b_high) - a_high * b_low
    )


def _halves(a: Any) -> tuple[Any, Any]:
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


class _Parts(NamedTuple):
    high: Any
    low: Any


class Double(_Parts):
    """The sum of `high` and `low`, where `low` is at most half a unit in the last place of `high`."""

    __slots__ = ()

    def __add__(self, other: Any) -> Double:
        other = as_double(other)
        s, lost = two_sum(self.high, other.high)
        t, lost_too = two_sum(self.low, other.low)
        s, lost = _renormalised(s, lost + t)
        return Double(*_renormalised(s, lost + lost_too, finite=True))

    def __mul__(self, other: Any) -> Double:
        other = as_double(other)
        product, lost = two_product(self.high, other.high)
        lost = lost + (self.high * other.low + self.low * other.high)
        return Double(*_renormalised(product, lost, finite=True))

    def __truediv__(self, other: Any) -> Double:
        other = as_double(other)
        first = self.high / other.high
        rest = self - other * first
        second = rest.high / other.high
        rest = rest - other * second
        third = rest.high / other.high
        high, low = _renormalised(first, second)
        quotient = Double(*_renormalised(high, low + third, finite=True))
        # A quotient that is infinite, or 0 by an infinite divisor, has no remainder to refine it.
        plain = ~np.isfinite(first) | np.isinf(other.high)
        return Double(np.where(plain, first, quotient.high), np.where(plain, 0.0, quotient.low))

    def __neg__(self) -> Double:
        return Double(-self.high, -self.low)

    def __sub__(self, other: Any) -> Double:
        return self.__add__(-as_double(other))

    def __radd__(self, other: Any) -> Double:
        return self.__add__(other)

    def __rsub__(self, other: Any) -> Double:
        return (-self).__add__(other)

    def __rmul__(self, other: Any) -> Double:
        return self.__mul__(other)

    def __rtruediv__(self, other: Any) -> Double:
        return as_double(other) / self


def as_double(number: Any) -> Double:
    """Return a float or a float64 array as a `Double`; a `Double` as it is."""
    return number if isinstance(number, Double) else Double(np.asarray(number, np.float64), 0.0)


def _renormalised(high: Any, low: Any, *, finite: bool = False) -> tuple[Any, Any]:
    s = high + low
    rest = low - (s - high)
    # Infinity minus infinity is no rounding error.
    return s, (np.where(np.isfinite(s), rest, 0.0) if finite else rest)


class DoubleDouble(Arithmetic):
    """Arithmetic of `Double` arrays; the elementary functions are given by name."""

    name = "double-double"

    def __init__(self, functions: dict[str, Callable[..., Double]]) -> None:
        super().__init__()
        operators: dict[str, Callable[..., Double]] = {
            "add": lambda a, b: a + b,
            "add_any": lambda a, b: a + b,
            "sub": lambda a, b: a - b,
            "mul": lambda a, b: a * b,
            "div": lambda a, b: a / b,
            "neg": lambda a: -a,
        }
        self.elementwise = operators | functions

    def constant(self, array: Array) -> Double:
        if np.iscomplexobj(array):
            raise Abstention(f"a complex constant has no {self.name} arithmetic")
        high = array.astype(np.float64)
        # Only integers can have more bits than float64.
        low = array - high.astype(array.dtype) if array.dtype.kind in "iu" else np.zeros_like(high)
        return Double(high, low.astype(np.float64))

    def companion(self, value: Any) -> Array:
        return np.asarray(value.high) if isinstance(value, Double) else value

    def lift(self, function: Callable[..., Any], discrete: Sequence[bool] = ()) -> Any:
        return by_component(function, Double, 2, discrete)

    def sum(self, x: Double, axes: tuple[int, ...]) -> Double:
        for axis in sorted(axes, reverse=True):
            x = self._sum_along(x, axis)
        return x

    def _sum_along(self, x: Double, axis: int) -> Double:
        high, low = np.moveaxis(x.high, axis, 0), np.moveaxis(x.low, axis, 0)
        total = Double(high, low)
        if high.shape[0] == 0:
            return Double(np.zeros(high.shape[1:]), np.zeros(high.shape[1:]))
        while (count := total.high.shape[0]) > 1:
            half = count // 2
            folded = _rows(total, slice(0, half)) + _rows(total, slice(half, 2 * half))
            last = _rows(total, slice(2 * half, count))
            total = Double(*(np.concatenate(parts) for parts in zip(folded, last, strict=True)))
        return Double(total.high[0], total.low[0])

    def cumsum(self, x: Double, axis: int) -> Double:
        source = Double(*(np.moveaxis(part, axis, 0) for part in x))
        sums = [Double(part, low) for part, low in zip(*(p[:1] for p in source), strict=True)]
        for k in range(1, source.high.shape[0]):
            sums.append(sums[-1] + Double(source.high[k], source.low[k]))
        if not sums:
            return x
        return Double(*(np.moveaxis(np.stack(parts), 0, axis) for parts in zip(*sums, strict=True)))

    def matmul(self, a: Double, b: Double) -> Double:
        left = Double(*(np.asarray(part)[..., :, :, None] for part in a))
        right = Double(*(np.asarray(part)[..., None, :, :] for part in b))
        products = left * right
        return self._sum_along(products, products.high.ndim - 2)

    def scatter_add(
        self, operand: Double, places: Array, inside: Array | None, updates: Double
    ) -> Double:
        high, low = (np.array(part).reshape(-1) for part in operand)
        added = [np.reshape(part, -1) for part in updates]
        order = np.arange(places.size) if inside is None else np.flatnonzero(inside)
        while order.size:
            _, first = np.unique(places[order], return_index=True)
            now, order = order[first], np.delete(order, first)
            here = places[now]
            high[here], low[here] = Double(high[here], low[here]) + Double(*(p[now] for p in added))
        shape = np.shape(operand.high)
        return Double(high.reshape(shape), low.reshape(shape))


def _rows(x: Double, index: slice) -> Double:
    return Double(x.high[index], x.low[index])
