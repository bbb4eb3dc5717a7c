"""Reading and writing elements: basic, boolean and fancy indexing, and `ufunc.at`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.memory import plan_of
from gradcheck.programs.numpy_tracing.pure import put_item, read_element, take_item, updater
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.registry import LOOPS
from gradcheck.programs.numpy_tracing.tape import Ref, has_refs
from gradcheck.programs.numpy_tracing.traced import Traced, unwrap

__all__ = ["at", "get_item", "set_item"]


def get_item(recorder: Recording, value: Traced, index: Any) -> Any:
    """Do what `value[index]` does: a view, or the elements that index arrays pick."""
    place = _resolved(recorder, index)
    result = value.concrete[place]
    if not isinstance(value, TracedArray):
        return recorder.emit(take_item, (recorder.operand(value), place), {}, result)
    if _is_basic(place):
        if isinstance(result, np.ndarray):
            return recorder.view(result)
        return _element(recorder, value, place, result)
    return recorder.emit(take_item, (recorder.operand(value), _frozen(place)), {}, result)


def _element(recorder: Recording, value: TracedArray, place: Any, result: Any) -> Any:
    buffer = value.buffer
    if buffer.ref is None:
        return result
    plan = plan_of(value.concrete[_with_rest(place)], buffer.base, buffer.layout)
    return recorder.emit(read_element, (buffer.ref, plan), {}, result)


def set_item(recorder: Recording, array: TracedArray, index: Any, value: Any) -> None:
    """Do what `array[index] = value` does, and let every view of the same memory see it."""
    value = recorder.packed(value)
    if _is_traced_mask(recorder, array, index) and np.ndim(value) == 0:
        mask = index.reshape(index.shape + (1,) * (array.ndim - index.ndim))
        index, value = ..., recorder.call(np.where, (mask, value, array), {})
    place = _resolved(recorder, index)
    if _is_basic(place):
        target = array.concrete[_with_rest(place)]
        if isinstance(value, TracedArray) and _same_memory(target, value.concrete):
            return
        content = recorder.operand(value)
        store = recorder.overwriting(TracedArray(target, array.buffer, recorder), has_refs(content))
        target[...] = unwrap(value)
        store(content if isinstance(content, Ref) else None)
        return
    place = _frozen(place)
    operands = (recorder.operand(array), place, recorder.operand(value))
    store = recorder.overwriting(array, has_refs(operands))
    array.concrete[place] = unwrap(value)
    store(recorder.record(put_item, operands, {}, array.concrete) if has_refs(operands) else None)


def at(recorder: Recording, ufunc: Any, array: Any, index: Any, *values: Any) -> None:
    """Do what `ufunc.at(array, index, value)` does: unbuffered, so that repeats accumulate."""
    index = _frozen(_resolved(recorder, index))
    values = tuple(recorder.packed(value) for value in values)
    operands = (recorder.operand(array), index, *(recorder.operand(value) for value in values))
    if not has_refs(operands):
        if isinstance(array, TracedArray):
            array.buffer.version += 1
        ufunc.at(unwrap(array), index, *unwrap(values))
        return
    if not isinstance(array, TracedArray):
        recorder.stop("the result is written into an array that the trace does not know")
    if len(values) != 1 or ufunc not in LOOPS:
        recorder.stop(f"np.{ufunc.__name__}.at is not covered")
    store = recorder.overwriting(array, has_refs(operands))
    ufunc.at(array.concrete, index, *unwrap(values))
    store(recorder.record(updater(ufunc), operands, {}, array.concrete))


def _resolved(recorder: Recording, index: Any) -> Any:
    """Return an index of concrete values; what depends on the inputs gets a guard."""
    if type(index) is tuple:
        return tuple(_resolved(recorder, part) for part in index)
    if type(index) is list:
        return recorder.concrete(index)
    return recorder.concrete(index)


def _is_basic(index: Any) -> bool:
    parts = index if type(index) is tuple else (index,)
    return all(
        part is None
        or part is Ellipsis
        or type(part) is slice
        or (type(part) is not bool and isinstance(part, (int, np.integer)))
        for part in parts
    )


def _with_rest(index: Any) -> Any:
    """Return an index that picks a view where it would pick a scalar."""
    parts = index if type(index) is tuple else (index,)
    return parts if any(part is Ellipsis for part in parts) else (*parts, ...)


def _frozen(index: Any) -> Any:
    """Return an index whose arrays do not change when the user's do."""
    if type(index) is tuple:
        return tuple(_frozen(part) for part in index)
    if type(index) is list:
        return np.array(index) if index else np.zeros(0, dtype=np.intp)
    return index.copy() if isinstance(index, np.ndarray) else index


def _is_traced_mask(recorder: Recording, array: TracedArray, index: Any) -> bool:
    return (
        isinstance(index, Traced)
        and not recorder.is_constant(index)
        and index.dtype == bool
        and index.ndim > 0
        and index.shape == array.shape[: index.ndim]
    )


def _same_memory(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return (
        one.shape == other.shape
        and one.strides == other.strides
        and one.dtype == other.dtype
        and one.__array_interface__["data"][0] == other.__array_interface__["data"][0]
    )
