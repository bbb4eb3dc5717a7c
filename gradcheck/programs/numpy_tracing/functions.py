"""What happens when user code calls a function of NumPy on traced values.

The function runs on the real arrays first: its result, its errors and whether it returns a view
are NumPy's own. Then the call is recorded as a pure function of its operands.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.registry import BY_GUARD, ENTRIES, METADATA, Entry
from gradcheck.programs.numpy_tracing.special import SPECIAL
from gradcheck.programs.numpy_tracing.tape import has_refs
from gradcheck.programs.numpy_tracing.traced import Traced, flattened, unwrap
from gradcheck.programs.numpy_tracing.ufuncs import call_ufunc, deliver, depends, name_of

__all__ = ["call"]


def call(
    recorder: Recording, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Do what `function(*arguments, **keywords)` does; the entry point of `__array_function__`."""
    if isinstance(function, np.ufunc):
        return call_ufunc(recorder, function, arguments, keywords)
    if function is np.where and len(arguments) == 1:
        function = np.nonzero
    if function in (np.ravel, np.reshape):
        arguments, keywords = _in_plain_order(function, arguments, keywords)
    entry = ENTRIES.get(function)
    if entry is not None:
        return _call_entry(recorder, function, entry, arguments, keywords)
    if function in SPECIAL:
        return SPECIAL[function](recorder, *arguments, **keywords)
    if function in METADATA:
        return recorder.adopt(function(*unwrap(arguments), **unwrap(keywords)))
    if function in BY_GUARD:
        return recorder.adopt(
            function(*recorder.concrete(arguments), **recorder.concrete(keywords))
        )
    if not any(depends(recorder, value) for value in flattened((*arguments, *keywords.values()))):
        return _call_on_constants(recorder, function, arguments, keywords)
    implementation = getattr(function, "_implementation", function)
    if not isinstance(implementation, FunctionType):
        recorder.stop(f"{name_of(function)} is not covered")
    return recorder.clones.of_library(implementation)(*arguments, **keywords)


def _call_on_constants(
    recorder: Recording, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    for value in flattened((*arguments, *keywords.values())):
        if isinstance(value, TracedArray):  # the function may write to its memory
            value.buffer.version += 1
    return recorder.adopt(function(*unwrap(arguments), **unwrap(keywords)))


def _call_entry(
    recorder: Recording,
    function: Any,
    entry: Entry,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> Any:
    out = keywords.get("out")
    bound = list(zip(entry.parameters, arguments, strict=False))
    given: list[Any] = []
    for name, value in bound:
        if name == "out":
            out, value = value, None
        given.append(_argument(recorder, entry, name, value))
    given += [recorder.packed(value) for value in arguments[len(bound) :]]
    named = {
        name: _argument(recorder, entry, name, value)
        for name, value in keywords.items()
        if name != "out"
    }
    result = function(*unwrap(given), **unwrap(named))
    if entry.may_view and _all_known(recorder, result):
        return recorder.adopt(result)
    operands = tuple(recorder.operand(value) for value in given)
    named_operands = {name: recorder.operand(value) for name, value in named.items()}
    if entry.lower is None and (has_refs(operands) or has_refs(named_operands)):
        recorder.stop(f"{name_of(function)} did not return a view")
    new = recorder.emit(function, operands, named_operands, result)
    return new if out is None else deliver(recorder, new, out)


def _in_plain_order(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Replace the orders "A" and "K", which depend on memory, by "C" or "F" and a transpose."""
    place = 1 if function is np.ravel else 2
    order = arguments[place] if len(arguments) > place else keywords.get("order", "C")
    if order not in ("A", "K") or not isinstance(arguments[0], TracedArray):
        return arguments, keywords
    array = arguments[0]
    if order == "K":
        strides = array.concrete.strides
        array = array.transpose(sorted(range(array.ndim), key=lambda axis: -abs(strides[axis])))
    plain = "F" if order == "A" and array.concrete.flags.fnc else "C"
    return (array, *arguments[1:place]), {**keywords, "order": plain}


def _argument(recorder: Recording, entry: Entry, name: str, value: Any) -> Any:
    if name in entry.arrays:
        value = recorder.packed(value)
        return np.asarray(value) if type(value) in (list, tuple) else value
    if name in entry.sequences and not isinstance(value, Traced):
        parts = [recorder.packed(part) for part in value]
        return [np.asarray(part) if type(part) in (list, tuple) else part for part in parts]
    if name in entry.sequences:
        return value
    return recorder.concrete(value)


def _all_known(recorder: Recording, result: Any) -> bool:
    if isinstance(result, (tuple, list)):
        return all(_all_known(recorder, part) for part in result)
    return recorder.is_known(result)
