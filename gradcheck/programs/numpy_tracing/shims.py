"""What stands in, inside the private copies of user code, for functions NumPy cannot dispatch.

NumPy hands a call to a traced array only where one is among the arguments. `np.zeros(3)` has none,
and `np.array([x[0], x[1]])`, `float(x)` and `math.exp(x)` ask for plain numbers. The copies of the
user's functions see the stand-ins below under those names; nobody else does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.loops import from_iterator, precise_sum, vectorize
from gradcheck.programs.numpy_tracing.pure import as_array
from gradcheck.programs.numpy_tracing.random_source import RandomSource
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.registry import LOOPS
from gradcheck.programs.numpy_tracing.traced import Traced, contains_traced, unwrap

__all__ = ["FloatType", "numpy_function", "stand_in_of"]

MAKERS: set[Any] = {
    np.arange,
    np.eye,
    np.identity,
    np.ones,
    np.zeros,
    np.tri,
    np.indices,
}
"""Functions that make an array from sizes; a size that depends on the inputs gets a guard."""

ARRAY_CONVERTER: Any = getattr(
    import_module("numpy._core._multiarray_umath"), "_array_converter", None
)
"""The private class by which NumPy's own Python functions convert their arguments, from 2.1 on."""

ROUNDING: dict[Any, Any] = {math.floor: np.floor, math.ceil: np.ceil, math.trunc: np.trunc}
TESTS: dict[Any, Any] = {math.isnan: np.isnan, math.isinf: np.isinf, math.isfinite: np.isfinite}


def stand_in_of(recorder: Recording, function: Any) -> Any:
    """Return what stands in for `function` while `recorder` runs; None if nothing does."""
    make = _stand_ins().get(function)
    return None if make is None else make(recorder)


def numpy_function(recorder: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the stand-in of any other function of NumPy: its arrays can be filled and traced."""

    @functools.wraps(function)
    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        if not recorder.is_running:
            return function(*arguments, **keywords)
        if contains_traced(arguments) or contains_traced(keywords):
            return recorder.call(function, arguments, keywords)
        return recorder.adopt(_watched(recorder, function(*arguments, **keywords)))

    return stand_in


def _array(
    recorder: Recording,
    copy: Any,
    value: Any,
    /,
    dtype: Any = None,
    *positional: Any,
    **settings: Any,
) -> Any:
    settings.setdefault("copy", copy)
    settings.pop("device", None)
    settings.pop("like", None)
    if positional:
        settings["order"] = positional[0]
    settings["dtype"] = None if dtype is None else np.dtype(dtype)
    if not recorder.is_running:
        return np.array(value, **settings)
    if isinstance(value, RandomSource) or not contains_traced(value):
        return recorder.adopt(np.array(value, **settings))
    if not isinstance(value, Traced):
        value = recorder.packed(value, settings["dtype"])
    result = np.array(value.concrete, **settings)
    if isinstance(value, TracedArray):
        if result is value.concrete:
            return value
        if recorder.is_known(result):
            return recorder.view(result)
    settings["copy"] = True
    return recorder.emit(as_array, (recorder.operand(value),), settings, result)


def _empty(recorder: Recording, *arguments: Any, **keywords: Any) -> Any:
    """Return zeros, so that what a program reads before it writes is the same at every run."""
    if not recorder.is_running:
        return np.empty(*arguments, **keywords)
    return recorder.adopt(np.zeros(*recorder.concrete(arguments), **recorder.concrete(keywords)))


def _full(
    recorder: Recording,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
) -> Any:
    if not recorder.is_running or not contains_traced((shape, fill_value)):
        return recorder.adopt(np.full(shape, fill_value, dtype, order))
    fill_value = recorder.packed(fill_value)
    dtype = np.dtype(dtype) if dtype is not None else np.asarray(unwrap(fill_value)).dtype
    filled = recorder.adopt(np.zeros(recorder.concrete(shape), dtype, order))
    filled[...] = fill_value
    return filled


def _ndenumerate(array: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    return ((index, array[index]) for index in np.ndindex(*np.shape(array)))


class ArrayConverter:
    """Does what NumPy's own Python functions ask of its private class of that name."""

    def __init__(self, recorder: Recording, *values: Any) -> None:
        self._values = values
        self._arrays = tuple(_array(recorder, None, value) for value in values)
        self.scalar_input = tuple(not isinstance(value, np.ndarray) for value in values)

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, index: int) -> Any:
        return self._arrays[index]

    def as_arrays(self, *, subok: bool = True, pyscalars: str = "") -> tuple[Any, ...]:  # noqa: ARG002
        return self._arrays

    def result_type(self, extra_dtype: Any = None, ensure_inexact: bool = False) -> Any:
        extra = () if extra_dtype is None else (extra_dtype,)
        found = np.result_type(*(unwrap(value) for value in self._values), *extra)
        return np.result_type(found, 0.0) if ensure_inexact else found

    def wrap(self, array: Any, to_scalar: bool | None = None) -> Any:
        return array[()] if to_scalar else array


def _broadcast(*arrays: Any) -> np.broadcast:
    """Return the broadcast shape as NumPy's object; it is asked for nothing else."""
    return np.broadcast(*(np.broadcast_to(0, np.shape(array)) for array in arrays))


def _maker(function: Callable[..., Any], recorder: Recording) -> Callable[..., Any]:
    @functools.wraps(function)
    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        if not recorder.is_running:
            return function(*arguments, **keywords)
        concrete = recorder.concrete((arguments, keywords))
        return recorder.adopt(function(*concrete[0], **concrete[1]))

    return stand_in


def _math_function(function: Callable[..., Any], recorder: Recording) -> Callable[..., Any]:
    @functools.wraps(function)
    def stand_in(*arguments: Any) -> Any:
        if not contains_traced(arguments):
            return function(*arguments)
        scalars = tuple(
            part.item() if isinstance(part, TracedArray) else part for part in arguments
        )
        result = function(*unwrap(scalars))
        return recorder.emit(function, tuple(map(recorder.operand, scalars)), {}, result)

    return stand_in


def _through(function: Callable[..., Any], twin: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def stand_in(value: Any) -> Any:
        return twin(value) if isinstance(value, Traced) else function(value)

    return stand_in


class TypeStandIn:
    """Passes for a type, but for what calling it makes."""

    original: Any
    """The type that it passes for."""

    def __init__(self, recorder: Recording) -> None:
        self._recorder = recorder

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self.original)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.original)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.original,)

    def __or__(self, other: Any) -> Any:
        return self.original | other

    def __ror__(self, other: Any) -> Any:
        return other | self.original

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.original

    def __hash__(self) -> int:
        return hash(self.original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class FloatType(TypeStandIn):
    """Passes for the type `float`, but keeps what depends on the inputs on the tape."""

    original = float
    dtype = np.dtype(float)

    def __call__(self, value: Any = 0.0) -> Any:
        if not isinstance(value, Traced) or self._recorder.is_constant(value):
            return float(value.concrete if isinstance(value, Traced) else value)
        scalar = value.item()
        return scalar if scalar.dtype == self.dtype else self._recorder.cast(scalar, self.dtype)


class ArrayType(TypeStandIn):
    """Passes for the type `np.ndarray`, whose call allocates memory as `np.empty` does."""

    original = np.ndarray

    def __call__(self, shape: Any, dtype: Any = float, *memory: Any, **settings: Any) -> Any:
        if memory or settings.keys() - {"order"}:
            return np.ndarray(shape, dtype, *memory, **settings)
        return _empty(self._recorder, shape, dtype, **settings)


def _watched(recorder: Recording, value: Any) -> Any:
    is_source = isinstance(value, (np.random.Generator, np.random.RandomState))
    return RandomSource(value, recorder) if is_source else value


@functools.cache
def _stand_ins() -> dict[Any, Callable[[Recording], Any]]:
    """Return the table from a function to the maker of what stands in for it."""

    def through(function: Callable[..., Any], kind: type, twin: Any) -> Callable[[Recording], Any]:
        return lambda _: _through(function, lambda x: kind(twin(x)))

    table: dict[Any, Callable[[Recording], Any]] = {
        np.array: lambda r: functools.partial(_array, r, True),
        np.asarray: lambda r: functools.partial(_array, r, None),
        np.asanyarray: lambda r: functools.partial(_array, r, None),
        np.ascontiguousarray: lambda r: functools.partial(_array, r, None, order="C", ndmin=1),
        np.asfortranarray: lambda r: functools.partial(_array, r, None, order="F"),
        np.empty: lambda r: functools.partial(_empty, r),
        np.full: lambda r: functools.partial(_full, r),
        np.ndenumerate: lambda _: _ndenumerate,
        np.broadcast: lambda _: _broadcast,
        np.fromiter: lambda r: functools.partial(from_iterator, r),
        np.vectorize: lambda r: functools.partial(vectorize, r),
        math.fsum: lambda r: functools.partial(precise_sum, r),
        np.ndarray: ArrayType,
        float: FloatType,
    }
    if ARRAY_CONVERTER is not None:
        table[ARRAY_CONVERTER] = lambda r: functools.partial(ArrayConverter, r)
    table |= {function: functools.partial(_maker, function) for function in MAKERS}
    table |= {function: through(function, int, twin) for function, twin in ROUNDING.items()}
    table |= {function: through(function, bool, twin) for function, twin in TESTS.items()}
    return table | {
        function: functools.partial(_math_function, function)
        for function in LOOPS
        if getattr(function, "__module__", None) == "math"
    }
