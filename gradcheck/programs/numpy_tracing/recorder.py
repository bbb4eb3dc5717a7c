"""The recorder of one run: its tape and memory, and what NumPy's operations do with them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.programs.numpy_tracing import functions, indexing, ufuncs
from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.pure import cast
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.traced import Traced, map_containers, unwrap

__all__ = ["Recorder"]


class Recorder(Recording):
    """Records the pure NumPy calls behind one run of user code."""

    def ufunc(
        self, ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        return ufuncs.ufunc_method(self, ufunc, method, inputs, keywords)

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        self._calling.append(ufuncs.name_of(function))
        try:
            return functions.call(self, function, arguments, keywords)
        finally:
            self._calling.pop()

    def power(self, base: Any, exponent: Any) -> Any:
        result = operator.pow(unwrap(base), unwrap(exponent))
        return self.emit(operator.pow, (self.operand(base), self.operand(exponent)), {}, result)

    def power_in_place(self, array: TracedArray, exponent: Any) -> None:
        ufuncs.power_in_place(self, array, exponent)

    def cast(
        self, value: Traced, dtype: Any, *, order: Any = "K", casting: Any = "unsafe", copy: Any = 1
    ) -> Any:
        dtype = np.dtype(dtype)
        if not copy and dtype == value.concrete.dtype:
            return value
        result = value.concrete.astype(dtype, order=order, casting=casting)
        return self.emit(cast, (self.operand(value), dtype), {}, result)

    def get_item(self, value: Traced, index: Any) -> Any:
        return indexing.get_item(self, value, index)

    def set_item(self, array: TracedArray, index: Any, value: Any) -> None:
        indexing.set_item(self, array, index, value)

    # Values that leave the trace

    def concrete(self, value: Any) -> Any:
        """Return a value for a place that shapes the run, such as an index, under a guard."""
        if not isinstance(value, Traced):
            if type(value) is slice:
                parts = (value.start, value.stop, value.step)
                return slice(*(self.concrete(part) for part in parts))
            return map_containers(self.concrete, value)
        if not self.is_constant(value):
            if value.concrete.dtype.kind not in "biu":
                self.stop("a floating value that depends on the inputs is used as a parameter")
            self.guard(value)
        return value.concrete

    def truth(self, value: Traced) -> bool:
        """Return `bool(value)` under a guard."""
        outcome = bool(value.concrete)
        if not self.is_constant(value):
            is_boolean = value.concrete.dtype == bool
            self.guard(
                value if is_boolean else self.ufunc(np.not_equal, "__call__", (value, 0), {})
            )
        return outcome

    def integer(self, value: Traced) -> int:
        """Return `int(value)` under a guard."""
        outcome = int(value.concrete)
        if not self.is_constant(value):
            is_integer = value.concrete.dtype.kind in "biu"
            self.guard(value if is_integer else self.cast(value, np.int64))
        return outcome

    def values_for_foreign_code(self, value: Traced, dtype: Any) -> NDArray[Any]:
        """Return the numbers of a constant; stop where they depend on the inputs."""
        if self.is_running and not self.is_constant(value):
            who = self._calling[-1] if self._calling else "code that cannot be traced"
            self.stop(
                f"{who} asks for plain numbers that depend on the inputs (as do np.nditer, "
                "other libraries, and plain arrays that are assigned to)"
            )
        copy = np.array(value.concrete, dtype=dtype)
        copy.flags.writeable = False
        return copy
