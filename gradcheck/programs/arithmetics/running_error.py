"""Numbers that carry a bound on the rounding error they have gathered.

Running error analysis (Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
section 3.3): beside each number runs a bound on its distance from what exact arithmetic would have
given, made of the operands' bounds, propagated, and of the operation's own rounding. A bound that
is NaN or infinite says nothing.
"""

from __future__ import annotations

import math
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
"""Significant bits up to which a constant is taken for exact, and not for a rounded number; of a lower
precision half of those that it has."""

LARGEST_EXACT_INTEGER = 2.0**53
"""Whole numbers up to here are what the author wrote."""

COSTLY_PRODUCT = 2**18
"""Multiplications from which on a product of matrices costs more than the sums that save one."""

Error = Array | float
"""A bound on the absolute error of each entry; or, as a float, on the relative error of all of them.

A relative bound, 0.0 for exact numbers, stays so through whatever moves entries only."""


class Bounded(NamedTuple):
    """An array of numbers and a bound on the error of each; what an evaluation returns has an array."""

    value: Any
    error: Error


def rounded(array: Any, unit: float = UNIT_ROUNDOFF) -> Bounded:
    """Return `array` as numbers that were rounded once, by a relative error of at most `unit`.

    >>> rounded(np.array(2.0)).error == UNIT_ROUNDOFF * SLACK
    True
    """
    return Bounded(np.asarray(array), unit * SLACK)


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
        self._is_float64 = isinstance(base, Floating) and base.name == "float64"
        self.unit = unit * SLACK
        self.name = f"running error in {base.name}"
        self.elementwise = self._elementwise()

    def constant(self, array: Array) -> Bounded:
        array = np.asarray(array)
        unit, bits = self.least_unit, MEANT_BITS
        if array.ndim == 0 and (epsilon := epsilon_of(array.dtype)) > EPSILON:
            unit = max(unit, epsilon / 2)
            bits = min(bits, round(1 - math.log2(epsilon)) // 2)
        size = np.abs(array).astype(np.float64)
        error = np.where(_meant(size, bits), 0.0, size * unit * SLACK)
        return Bounded(self.base.constant(array), error)

    def argument(self, array: Any) -> Bounded:
        return Bounded(self.base.constant(np.asarray(array)), 0.0)

    def result(self, value: Any) -> Any:
        return Bounded(value.value, self.absolute(value)) if isinstance(value, Bounded) else value

    def companion(self, value: Any) -> Array:
        return self.base.companion(value.value) if isinstance(value, Bounded) else value

    def radius(self, value: Any) -> Any:
        is_exact = not isinstance(value, Bounded) or _is_exact(value.error)
        return 0.0 if is_exact else self.absolute(value)

    def absolute(self, x: Bounded) -> Array:
        """Return the bound on the absolute error of each entry."""
        if type(x.error) is not float:
            return x.error  # type: ignore[return-value]
        if x.error == 0:
            return np.zeros(np.shape(self.base.companion(x.value)))
        return self.size(x.value) * x.error

    def size(self, value: Any) -> Array:
        """Return the magnitude of each base number, in float64, as an array of its own."""
        return np.abs(self._float64(value))

    def _float64(self, value: Any) -> Array:
        if self._is_float64:
            return value  # type: ignore[no-any-return]
        return np.asarray(self.base.companion(value)).astype(np.float64, copy=False)

    def lift(self, function: Callable[..., Any], discrete: Sequence[bool] = ()) -> Any:
        on_values = self.base.lift(function, discrete)

        def lifted(*operands: Any) -> Any:
            values = on_values(*[o.value if isinstance(o, Bounded) else o for o in operands])
            bounds = [o.error for o in operands if isinstance(o, Bounded)]
            errors: Any
            if all(type(bound) is float for bound in bounds):
                largest = max(bounds, default=0.0)
                errors = [largest] * len(values) if isinstance(values, list) else largest
            else:
                errors = function(
                    *[self.absolute(o) if isinstance(o, Bounded) else o for o in operands]
                )
            if not isinstance(values, list):
                return Bounded(values, errors)
            plain = discrete or (False,) * len(values)
            return [
                value if is_plain else Bounded(value, error)
                for value, error, is_plain in zip(values, errors, plain, strict=True)
            ]

        return lifted

    def sum(self, x: Bounded, axes: tuple[int, ...]) -> Bounded:
        return Bounded(
            self.base.sum(x.value, axes),
            np.add.reduce(self._with_roundings_of_a_sum(x, axes), axis=axes),
        )

    def cumsum(self, x: Bounded, axis: int) -> Bounded:
        errors = self._with_roundings_of_a_sum(x, (axis,))
        return Bounded(self.base.cumsum(x.value, axis), np.cumsum(errors, axis))

    def _with_roundings_of_a_sum(self, x: Bounded, axes: tuple[int, ...]) -> Array:
        """Return the bound of each entry together with the roundings of a sum along `axes`."""
        size = self.size(x.value)
        count = int(np.prod([size.shape[axis] for axis in axes], dtype=np.int64))
        roundings = max(count - 1, 0) * self.unit
        if type(x.error) is float:
            return size * (roundings + x.error)
        return x.error + size * roundings

    def matmul(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.matmul(a.value, b.value)
        left, right = self.size(a.value), self.size(b.value)
        count = left.shape[-1]
        roundings = count * self.unit
        if type(a.error) is float and type(b.error) is float:
            left *= roundings + _compound(a.error, b.error)
            error = np.matmul(left, right)
        elif type(a.error) is float:
            error = np.matmul(left, right * (roundings + a.error) + b.error * (1 + a.error))
        elif type(b.error) is float:
            error = np.matmul(left * (roundings + b.error) + a.error * (1 + b.error), right)
        elif left.size * right.shape[-1] < COSTLY_PRODUCT:
            error = np.matmul(left, right * roundings + b.error)
            right += b.error
            error += np.matmul(a.error, right)
        else:
            error = _folded_product(left, a.error, right, b.error, roundings)
        error += count * UNDERFLOW
        return Bounded(value, error)

    def scatter_add(
        self, operand: Bounded, places: Array, inside: Array | None, updates: Bounded
    ) -> Bounded:
        value = self.base.scatter_add(operand.value, places, inside, updates.value)
        flat = self.absolute(updates).reshape(-1)
        added = self.size(updates.value).reshape(-1)
        before = self.absolute(operand)
        if inside is not None:
            places, flat, added = places[inside], flat[inside], added[inside]
        counts = np.bincount(places, minlength=before.size)
        sizes = self.size(operand.value).reshape(-1) + np.bincount(places, added, counts.size)
        error = before.reshape(-1) + np.bincount(places, flat, counts.size)
        error = np.add(error, counts * sizes * self.unit)
        return Bounded(value, error.reshape(before.shape))

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
        for operand in (a, b):
            if not _is_exact(operand.error):
                error += self.absolute(operand)
        return Bounded(value, error)

    def _multiply(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.elementwise["mul"](a.value, b.value)
        if type(b.error) is float:
            a, b = b, a
        error = self.size(value)
        if type(a.error) is not float:
            error *= self.unit
            error += self.size(b.value) * a.error
            error += (self.size(a.value) + a.error) * b.error
        elif type(b.error) is float:
            error *= self.unit + _compound(a.error, b.error)
        else:
            error *= self.unit + a.error
            moved = self.size(a.value)
            moved *= 1 + a.error
            error += moved * b.error
        error += UNDERFLOW
        return Bounded(value, error)

    def _divide(self, a: Bounded, b: Bounded) -> Bounded:
        value = self.base.elementwise["div"](a.value, b.value)
        error = self.size(value)
        if type(b.error) is not float:
            room = self.size(b.value) - b.error
            moved = error * b.error
            moved += self.absolute(a)
            moved /= room
            error *= self.unit
            error += np.where(room > 0, moved, np.inf)
        else:
            nearest = 1 - b.error  # the smallest divisor, in units of the one at hand
            relative = b.error + (a.error if type(a.error) is float else 0.0)
            error *= self.unit + (relative / nearest if nearest > 0 else np.inf)
            if type(a.error) is not float:
                error += a.error / (self.size(b.value) * nearest)
        error += UNDERFLOW
        return Bounded(value, error)

    def _function(self, name: str, spread: Callable[..., Array]) -> Callable[..., Bounded]:
        function = self.base.elementwise[name]
        roundings = self.base.roundings.get(name, _usual_roundings)

        def bounded(*operands: Bounded) -> Bounded:
            value = function(*(x.value for x in operands))
            result = self._float64(value)
            points = [self._float64(x.value) for x in operands]
            error = roundings(np.abs(result), *points) * self.unit
            if not all(_is_exact(x.error) for x in operands):
                error += spread(result, *points, *map(self.absolute, operands)) * SLACK
            error += UNDERFLOW
            return Bounded(value, error)

        return bounded


def _is_exact(error: Error) -> bool:
    return type(error) is float and error == 0


def _compound(one: float, other: float) -> float:
    """Return the relative error of a product by those of its factors."""
    return one + other + one * other


def _folded_product(left: Array, e: Any, right: Array, f: Any, roundings: float) -> Array:
    """Bound r|a||b| + |a|f + e|b| + ef, for sizes `left` and `right` with errors e and f, by one product.

    (|a| + e/s) (s|b| + f) = s|a||b| + |a|f + e|b| + ef/s is larger where r <= s <= 1, and closest where
    s^2 is the product of the relative errors. Each entry along the axis that is summed has its own s.
    """
    share = np.sqrt(e.sum(-2) / left.sum(-2) * (f.sum(-1) / right.sum(-1)))
    share = np.fmax(
        np.fmin(share, 1.0), roundings
    )  # NaN, of zeros and infinities, gives the roundings
    left += e / share[..., None, :]
    right *= share[..., None]
    right += f
    return np.matmul(left, right)  # type: ignore[no-any-return]


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


def _meant(size: Array, bits: int) -> Array:
    """Mark the constants that are what their author wrote, and not the rounding of it."""
    mantissa, _ = np.frexp(size)
    scaled = mantissa * 2.0**bits
    whole = (size == np.floor(size)) & (size <= LARGEST_EXACT_INTEGER)
    return np.asarray((scaled == np.floor(scaled)) | whole | ~np.isfinite(size))
