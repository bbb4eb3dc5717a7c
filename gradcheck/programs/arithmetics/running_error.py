"""Numbers that carry a bound on the rounding error they have gathered.

Running error analysis (Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
section 3.3): beside each number runs a bound on its distance from what exact arithmetic would have
given, made of the operands' bounds, propagated, and of the operation's own rounding. A bound that
is NaN or infinite says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.floating import Floating
from gradcheck.programs.arithmetics.propagation import DERIVATIVES, SPREADS
from gradcheck.programs.operations import Operation
from gradcheck.resolution import EPSILON, epsilon_of

__all__ = ["RUNNING_ERROR", "UNIT_ROUNDOFF", "Bounded", "RunningError", "rounded"]

Array = np.ndarray[Any, Any]

UNIT_ROUNDOFF = 2.0**-53
"""Largest relative error of one float64 rounding."""

SLACK = 1 + 2.0**-20
"""Makes up for the rounding of the bounds themselves, for up to 10^9 operations in a row."""

UNDERFLOW = 2.0**-900
"""Absolute: more than one product, quotient or exponential loses when it underflows, and far enough
above the subnormal numbers that products of bounds do not become subnormal, which is slow."""

FUNCTION_ROUNDINGS = 10.0
"""Roundings in one elementary function: NumPy's vector functions keep within 4 units in the last
place, each at most two roundings, and sigmoid and reciprocal root have two operations more."""


MEANT_BITS = 20
"""Significant bits up to which a constant is taken for exact, and not for a rounded number."""

LARGEST_EXACT_INTEGER = 2.0**53
"""Whole numbers up to here are what the author wrote."""


class Bounded(NamedTuple):
    """An array of numbers and, for each entry, a bound on its absolute error."""

    value: Any
    error: Array


def rounded(array: Any, unit: float = UNIT_ROUNDOFF) -> Bounded:
    """Return `array` as numbers that were rounded once, by a relative error of at most `unit`.

    >>> rounded(np.array(2.0)).error == 2 * UNIT_ROUNDOFF * SLACK
    np.True_
    """
    value = np.asarray(array)
    return Bounded(value, np.abs(value).astype(np.float64) * (unit * SLACK))


class RunningError(Arithmetic):
    """The numbers of another arithmetic, each with a bound on its rounding error.

    Inputs given as plain arrays are exact; `rounded` makes inputs that are not.

    Args:
        base: the arithmetic of the numbers.
        unit: the largest relative error of one of its roundings.
    """

    least_unit = 0.0
    """The relative error of a constant of many bits at least; one of low precision has that of its type."""

    def __init__(self, base: Arithmetic, unit: float) -> None:
        super().__init__()
        self.base = base
        self.unit = unit * SLACK
        self.name = f"running error in {base.name}"
        self.elementwise = self._elementwise()

    def constant(self, array: Array) -> Bounded:
        array = np.asarray(array)
        unit = self.least_unit
        if array.ndim == 0 and (epsilon := epsilon_of(array.dtype)) > EPSILON:
            unit = max(unit, epsilon / 2)
        size = np.abs(array).astype(np.float64)
        return Bounded(self.base.constant(array), np.where(_meant(size), 0.0, size * unit * SLACK))

    def argument(self, array: Any) -> Bounded:
        return Bounded(self.base.constant(np.asarray(array)), np.zeros(np.shape(array)))

    def companion(self, value: Any) -> Array:
        return self.base.companion(value.value) if isinstance(value, Bounded) else value

    def radius(self, value: Any) -> Any:
        return value.error if isinstance(value, Bounded) else 0.0

    def size(self, value: Any) -> Array:
        """Return the magnitude of each base number, in float64, as an array of its own."""
        return np.abs(self._float64(value))

    def _float64(self, value: Any) -> Array:
        return np.asarray(self.base.companion(value)).astype(np.float64, copy=False)

    def lift(self, function: Callable[..., Any], discrete: Sequence[bool] = ()) -> Any:
        on_values = self.base.lift(function, discrete)

        def lifted(*operands: Any) -> Any:
            values = on_values(*(o.value if isinstance(o, Bounded) else o for o in operands))
            errors = function(*(o.error if isinstance(o, Bounded) else o for o in operands))
            if not isinstance(errors, list):
                return Bounded(values, errors)
            plain = discrete or (False,) * len(errors)
            return [
                value if is_plain else Bounded(value, error)
                for value, error, is_plain in zip(values, errors, plain, strict=True)
            ]

        return lifted

    def sum(self, x: Bounded, axes: tuple[int, ...]) -> Bounded:
        count = int(np.prod([np.shape(x.error)[axis] for axis in axes], dtype=np.int64))
        rounding = self.size(x.value) * (max(count - 1, 0) * self.unit)
        return Bounded(self.base.sum(x.value, axes), np.add.reduce(x.error + rounding, axis=axes))

    def cumsum(self, x: Bounded, axis: int) -> Bounded:
        count = np.shape(x.error)[axis]
        rounding = self.size(x.value) * (max(count - 1, 0) * self.unit)
        return Bounded(self.base.cumsum(x.value, axis), np.cumsum(x.error + rounding, axis))

    def matmul(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.matmul(a.value, b.value)
        a_size, b_size = self.size(a.value), self.size(b.value)
        count = a_size.shape[-1]
        b_error = b_size * (count * self.unit)
        b_error += b.error
        error: Any = a_size @ b_error
        if a.error.any():
            b_size += b.error
            error += a.error @ b_size
        error += count * UNDERFLOW
        return Bounded(value, error)

    def scatter_add(
        self, operand: Bounded, places: Array, inside: Array | None, updates: Bounded
    ) -> Bounded:
        value = self.base.scatter_add(operand.value, places, inside, updates.value)
        flat = updates.error.reshape(-1)
        added = self.size(updates.value).reshape(-1)
        if inside is not None:
            places, flat, added = places[inside], flat[inside], added[inside]
        counts = np.bincount(places, minlength=operand.error.size)
        sizes = self.size(operand.value).reshape(-1) + np.bincount(places, added, counts.size)
        error = operand.error.reshape(-1) + np.bincount(places, flat, counts.size)
        error = np.add(error, counts * sizes * self.unit)
        return Bounded(value, error.reshape(operand.error.shape))

    def special(self, operation: Operation) -> Any:
        if any(t.dtype.kind == "c" for t in (*operation.inputs, *operation.outputs)):
            return self.missing(operation)
        return None

    def _elementwise(self) -> dict[str, Callable[..., Bounded]]:
        negative = self.base.elementwise["neg"]
        own: dict[str, Callable[..., Bounded]] = {
            "add": self._add,
            "add_any": self._add,
            "sub": self._subtract,
            "mul": self._multiply,
            "div": self._divide,
            "neg": lambda x: Bounded(negative(x.value), x.error),
        }
        spreading = {
            name: self._function(name, spread)
            for name, spread in SPREADS.items()
            if name in self.base.elementwise
        }
        smooth = {
            name: self._function(name, _by_derivative(derivative))
            for name, derivative in DERIVATIVES.items()
            if name in self.base.elementwise
        }
        return own | spreading | smooth

    def _add(self, a: Bounded, b: Bounded) -> Bounded:
        return self._rounded_sum(self.base.elementwise["add"](a.value, b.value), a, b)

    def _subtract(self, a: Bounded, b: Bounded) -> Bounded:
        return self._rounded_sum(self.base.elementwise["sub"](a.value, b.value), a, b)

    def _rounded_sum(self, value: Any, a: Bounded, b: Bounded) -> Bounded:
        error = self.size(value)
        error *= self.unit
        error += a.error
        error += b.error
        return Bounded(value, error)

    def _multiply(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.elementwise["mul"](a.value, b.value)
        error, a_size = self.size(value), self.size(a.value)
        error *= self.unit
        error += UNDERFLOW
        error += self.size(b.value) * a.error
        a_size += a.error
        error += a_size * b.error
        return Bounded(value, error)

    def _divide(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.elementwise["div"](a.value, b.value)
        size = self.size(value)
        room = self.size(b.value) - b.error
        moved = np.where(room > 0, (a.error + size * b.error) / room, np.inf)
        return Bounded(value, size * self.unit + moved + UNDERFLOW)

    def _function(self, name: str, spread: Callable[..., Array]) -> Callable[..., Bounded]:
        function = self.base.elementwise[name]
        roundings = self.base.roundings.get(name, _usual_roundings)

        def bounded(*operands: Bounded) -> Bounded:
            value = function(*(x.value for x in operands))
            result = self._float64(value)
            points = [self._float64(x.value) for x in operands]
            moved = spread(result, *points, *(x.error for x in operands))
            own = roundings(np.abs(result), *points) * self.unit
            return Bounded(value, own + moved * SLACK + UNDERFLOW)

        return bounded


def _usual_roundings(size: Array, *_: Array) -> Array:
    return size * FUNCTION_ROUNDINGS


def _by_derivative(derivative: Callable[[Array], Array]) -> Callable[..., Array]:
    """Bound how far a function moves by its steepest slope at the middle and the ends."""

    def spread(_: Array, x: Array, error: Array) -> Array:
        slopes = [np.abs(derivative(point)) for point in (x - error, x, x + error)]
        steepest = np.maximum(np.maximum(slopes[0], slopes[2]), slopes[1])
        return np.where(error == 0, 0.0, steepest * error)

    return spread


RUNNING_ERROR = RunningError(Floating("float64"), UNIT_ROUNDOFF)
"""Float64 with a bound on its error."""


def _meant(size: Array) -> Array:
    """Mark the constants that are what their author wrote, and not the rounding of it."""
    mantissa, _ = np.frexp(size)
    scaled = mantissa * 2.0**MEANT_BITS
    whole = (size == np.floor(size)) & (size <= LARGEST_EXACT_INTEGER)
    return np.asarray((scaled == np.floor(scaled)) | whole | ~np.isfinite(size))
