"""Floating-point arithmetic by NumPy: float16, bfloat16, float32, float64 and complex."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.compat import run_by_xla
from gradcheck.programs.operations import Operation, is_real_or_complex
from gradcheck.programs.primitives.decisions import DECISIONS
from gradcheck.programs.primitives.elementwise import DISCRETE, REAL
from gradcheck.programs.primitives.linear_algebra import FACTORISATIONS
from gradcheck.programs.primitives.reductions import REDUCTIONS, running

__all__ = ["AS_TRACED", "BFLOAT16", "FLOAT16", "FLOAT32", "FLOAT64", "Floating", "Integers"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]

HALF_FORMATS = ("float16", "bfloat16")
"""Formats in which XLA computes by rounding every result of a float32 computation."""


GAMMA_ROUNDINGS: dict[str, Function] = {
    # Near their zeros the gamma functions are right to an absolute, not a relative error.
    "lgamma": lambda size, _: 20 * (1 + size),
    "digamma": lambda size, _: 20 * (1 + size),
    # By the zeta function times a factorial.
    "polygamma": lambda size, *_: 50 * size,
}
"""Error of scipy's functions, absolute, in units of the unit roundoff."""


class Floating(Arithmetic):
    """NumPy's numbers of one precision.

    Args:
        precision: the name of the dtype that replaces every real dtype of the program, or None to
            keep each as it was traced. Complex numbers get the dtype whose parts are as wide.
    """

    elementwise = REAL
    roundings: Mapping[str, Callable[..., Any]] = MappingProxyType(GAMMA_ROUNDINGS)

    def __init__(self, precision: str | None) -> None:
        super().__init__()
        self.precision = precision
        self.name = precision or "as traced"
        self._dtype = None if precision is None else _dtype(precision)
        wide = precision in ("float64", "complex128")
        self._complex = np.dtype(np.complex128 if wide else np.complex64)

    def dtype(self, traced: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype that stands for `traced` in this arithmetic."""
        if self._dtype is None or not is_real_or_complex(traced):
            return traced
        return self._complex if traced.kind == "c" else self._dtype

    def constant(self, array: Array) -> Array:
        array = np.asarray(array)
        if is_real_or_complex(array.dtype):
            return array.astype(self.dtype(array.dtype), copy=False)
        return array.astype(self._dtype or np.float64)

    def companion(self, value: Array) -> Array:
        return value

    def lift(self, function: Function, discrete: Sequence[bool] = ()) -> Function:
        del discrete
        return function

    def sum(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.add.reduce(x, axis=axes, dtype=x.dtype))

    def cumsum(self, x: Array, axis: int) -> Array:
        return np.asarray(running(np.add, x, axis, False, x.dtype))

    def matmul(self, a: Array, b: Array) -> Array:
        return np.asarray(np.matmul(a, b))

    def scatter_add(
        self, operand: Array, places: Array, inside: Array | None, updates: Array
    ) -> Array:
        out, flat = np.array(operand, order="C"), updates.reshape(-1)
        if inside is not None:
            places, flat = places[inside], flat[inside]
        np.add.at(out.reshape(-1), places, flat)
        return out

    def special(self, operation: Operation) -> Function | None:
        name = operation.name
        if name == "convert_element_type" and operation.outputs[0].is_floating:
            dtype = self.dtype(operation.outputs[0].dtype)
            if operation.inputs[0].dtype.kind == "c" and dtype.kind != "c":
                return lambda x: x.real.astype(dtype, copy=False)
            return lambda x: x.astype(dtype, copy=False)
        if operation.inputs[0].dtype.kind == "c" and name in QUICK:
            return QUICK[name](operation)
        if name == "bitcast_convert_type":
            return self._reinterpreted(operation)
        if name == "reduce_precision":
            return self._reduced_precision(operation)
        if name in FACTORISATIONS:
            return FACTORISATIONS[name](operation)
        if name in REDUCTIONS and name not in DECISIONS:
            return REDUCTIONS[name](operation, self.dtype(operation.outputs[0].dtype))
        return None

    def compile(self, operation: Operation) -> tuple[Function, bool]:
        function, takes_decisions = super().compile(operation)
        name = operation.name
        if takes_decisions and name in QUICK:
            function = _quick_unless_recorded(QUICK[name](operation), function)
        elif takes_decisions and name in REDUCTIONS:
            dtype = self.dtype(operation.outputs[0].dtype)
            function = _quick_unless_recorded(REDUCTIONS[name](operation, dtype), function)
        if name in COMPUTES_NOTHING or not self._computes_in_halves(operation):
            return function, takes_decisions
        return self._rounded_after_float32(operation, function), takes_decisions

    def missing(self, operation: Operation) -> Function:
        """Return the function that has XLA run the equation's primitive, and counts it."""
        primitive, parameters = operation.primitive, operation.parameters

        def by_xla(*arguments: Any) -> Any:
            self.fallbacks[operation.name] += 1
            results = run_by_xla(primitive, parameters, arguments)
            values = [self._received(result) for result in results]
            return values if primitive.multiple_results else values[0]

        return by_xla

    def _received(self, result: Any) -> Any:
        if not isinstance(result.dtype, np.dtype):
            return result
        array = np.asarray(result)
        return array.astype(self.dtype(array.dtype), copy=False)

    def _reinterpreted(self, operation: Operation) -> Function | None:
        source, target = operation.inputs[0].dtype, operation.outputs[0].dtype
        if source.itemsize != target.itemsize:
            return None
        result = self.dtype(target)
        return lambda x: np.asarray(x, source).view(target).astype(result, copy=False)

    def _reduced_precision(self, operation: Operation) -> Function:
        return (lambda x: x) if self.precision else self.missing(operation)

    def _computes_in_halves(self, operation: Operation) -> bool:
        types = (*operation.inputs, *operation.outputs)
        return any(_is_half(self.dtype(t.dtype)) for t in types)

    def _rounded_after_float32(self, operation: Operation, function: Function) -> Function:
        dtypes = [self.dtype(t.dtype) for t in operation.outputs]
        halves = [_is_half(dtype) for dtype in dtypes]

        def widened(value: Any) -> Any:
            name = getattr(getattr(value, "dtype", None), "name", None)
            return value.astype(np.float32) if name in HALF_FORMATS else value

        def rounded(*arguments: Any) -> Any:
            result = function(*map(widened, arguments))
            if isinstance(result, list):
                return [
                    value.astype(dtype) if half else value
                    for value, dtype, half in zip(result, dtypes, halves, strict=True)
                ]
            return result.astype(dtypes[0]) if halves[0] else result

        return rounded


COMPUTES_NOTHING = frozenset({"convert_element_type"})
"""Primitives that must see half formats as they are."""

QUICK: dict[str, Callable[[Operation], Function]] = {
    "abs": lambda _: np.abs,
    "ceil": lambda _: np.ceil,
    "clamp": lambda _: lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "eq": lambda _: np.equal,
    "floor": lambda _: np.floor,
    "ge": lambda _: np.greater_equal,
    "gt": lambda _: np.greater,
    "is_finite": lambda _: np.isfinite,
    "le": lambda _: np.less_equal,
    "lt": lambda _: np.less,
    "max": lambda _: np.maximum,
    "min": lambda _: np.minimum,
    "ne": lambda _: np.not_equal,
    "rem": lambda _: np.fmod,
    "sign": lambda _: np.sign,
}
"""What decides when nobody asks for the decisions."""


class Integers(Floating):
    """Integers and truth values, the same in every arithmetic; they record no decisions."""

    elementwise = DISCRETE

    def __init__(self) -> None:
        super().__init__(None)
        self.name = "integer"

    def special(self, operation: Operation) -> Function | None:
        dtype = operation.outputs[0].dtype
        if operation.name == "convert_element_type":
            if dtype.kind == "b":
                return lambda x: x != 0
            return lambda x: x.astype(dtype)
        if operation.name in REDUCTIONS:
            return REDUCTIONS[operation.name](operation, dtype)
        return None

    def compile(self, operation: Operation) -> tuple[Function, bool]:
        function, takes_decisions = super().compile(operation)
        if takes_decisions:
            return (lambda *values: function(None, *values)), False
        return function, False


def _quick_unless_recorded(quick: Function, recording: Function) -> Function:
    def decide(decisions: Any, *values: Any) -> Any:
        if decisions is not None:
            recording(decisions, *values)
        return quick(*values)

    return decide


@lru_cache(maxsize=256)
def _is_half(dtype: np.dtype[Any]) -> bool:
    return dtype.name in HALF_FORMATS


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        name = ml_dtypes.bfloat16
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype


FLOAT64 = Floating("float64")
FLOAT32 = Floating("float32")
FLOAT16 = Floating("float16")
BFLOAT16 = Floating("bfloat16")
AS_TRACED = Floating(None)
"""Every number in the dtype that the program was traced in."""
