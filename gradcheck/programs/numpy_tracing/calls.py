"""What happens when user code calls a NumPy function on traced values.

The function runs on the real arrays first: its result, its errors and whether it returns a view
are NumPy's own. Then the call is recorded as a pure function of its operands.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradcheck.programs.numpy_tracing import indexing
from gradcheck.programs.numpy_tracing.registry import BY_GUARD, ENTRIES, LOOPS, METADATA, Entry
from gradcheck.programs.numpy_tracing.tape import has_refs
from gradcheck.programs.numpy_tracing.traced import Traced, TracedArray

if TYPE_CHECKING:
    from gradcheck.programs.numpy_tracing.recorder import Recorder

__all__ = [
    "call",
    "contains_traced",
    "name_of",
    "pack",
    "packed",
    "refuse_cast",
    "ufunc_method",
    "unwrap",
]

REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
ACCUMULATIONS: dict[Any, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}


def unwrap(value: Any) -> Any:
    """Return nested arguments with every traced value replaced by the real one."""
    if isinstance(value, Traced):
        return value.concrete
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(unwrap(part) for part in value)
    if kind is dict:
        return {key: unwrap(part) for key, part in value.items()}
    return value


def contains_traced(value: Any) -> bool:
    """Say whether a traced value is among nested arguments."""
    kind = type(value)
    if kind is tuple or kind is list:
        return any(contains_traced(part) for part in value)
    if kind is dict:
        return any(contains_traced(part) for part in value.values())
    return isinstance(value, Traced)


# Ufuncs


def ufunc_method(
    recorder: Recorder, ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Do what `ufunc.method(*inputs, **keywords)` does; the entry point of `__array_ufunc__`."""
    keywords = {key: part for key, part in keywords.items() if part is not None or key == "axis"}
    if method == "__call__":
        return _ufunc_call(recorder, ufunc, inputs, keywords)
    if method == "at":
        return indexing.at(recorder, ufunc, *inputs)
    if method == "outer":
        left, right = (np.asarray(part) if type(part) is list else part for part in inputs)
        shape = np.shape(left) + (1,) * np.ndim(right)
        reshaped = call(recorder, np.reshape, (left, shape), {})
        return _ufunc_call(recorder, ufunc, (reshaped, right), keywords)
    if "out" in keywords:
        keywords["out"] = keywords["out"][0]
    if method == "reduceat":
        return _reduce_at(recorder, ufunc, *inputs, **keywords)
    twin = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}[method].get(ufunc)
    keywords.setdefault("axis", 0)
    return call(recorder, twin or getattr(ufunc, method), inputs, keywords)


def _ufunc_call(
    recorder: Recorder, ufunc: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    out = keywords.pop("out", None)
    where = keywords.pop("where", True)
    if any(type(part) in (list, tuple) for part in inputs):
        inputs = tuple(packed(recorder, part) for part in inputs)
    if contains_traced(keywords):
        keywords = recorder.concrete(keywords)
    is_covered = ufunc in LOOPS or ufunc in ENTRIES
    if not is_covered and any(_depends(recorder, part) for part in inputs):
        recorder.stop(f"{name_of(ufunc)} is not covered")
    result = ufunc(*(unwrap(part) for part in inputs), **keywords)
    operands = tuple(recorder.operand(part) for part in inputs)
    for setting in ("order", "casting", "subok"):
        keywords.pop(setting, None)
    new = recorder.emit(ufunc, operands, keywords, result)
    if out is None:
        if where is not True and (has_refs(operands) or isinstance(where, Traced)):
            recorder.stop(f"{name_of(ufunc)} with where= and no out= leaves arbitrary numbers")
        return new if where is True else recorder.adopt(ufunc(*unwrap(inputs), where=where))
    return deliver(
        recorder, new, out[0] if isinstance(out, tuple) and len(out) == 1 else out, where
    )


def _depends(recorder: Recorder, value: Any) -> bool:
    return isinstance(value, Traced) and not recorder.is_constant(value)


def deliver(recorder: Recorder, new: Any, out: Any, where: Any = True) -> Any:
    """Write a result into `out=`, where the mask `where` is true, and return it."""
    if isinstance(out, tuple):
        for target, part in zip(out, new, strict=True):
            if target is not None:
                deliver(recorder, part, target, where)
        return tuple(
            part if target is None else target for target, part in zip(out, new, strict=True)
        )
    if not isinstance(out, TracedArray):
        if _depends(recorder, new) or _depends(recorder, where):
            recorder.stop("the result is written into an array that the trace does not know")
        np.copyto(out, unwrap(new), where=unwrap(where))
        return out
    refuse_cast(unwrap(new), out)
    if where is not True:
        new = call(recorder, np.where, (where, new, out), {})
    indexing.set_item(recorder, out, ..., new)
    return out


def refuse_cast(result: Any, out: TracedArray) -> None:
    """Raise as NumPy does where a result cannot be cast to the dtype of `out=`."""
    if not np.can_cast(result.dtype, out.concrete.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast ufunc output from dtype('{result.dtype}') to "
            f"dtype('{out.concrete.dtype}') with casting rule 'same_kind'"
        )


def _reduce_at(
    recorder: Recorder, ufunc: Any, array: Any, indices: Any, axis: int = 0, out: Any = None
) -> Any:
    starts = [int(start) for start in np.asarray(recorder.concrete(indices))]
    rows = call(recorder, np.moveaxis, (array, axis, 0), {})
    parts = [
        ufunc.reduce(rows[start:end], axis=0) if start < end else rows[start]
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)
    ]
    stacked = call(recorder, np.stack, (parts, axis), {})
    return stacked if out is None else deliver(recorder, stacked, out)


# Functions


def call(
    recorder: Recorder, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Do what `function(*arguments, **keywords)` does; the entry point of `__array_function__`."""
    if isinstance(function, np.ufunc):
        return _ufunc_call(recorder, function, arguments, keywords)
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
    if not any(_depends(recorder, value) for value in _leaves((*arguments, *keywords.values()))):
        return _call_on_constants(recorder, function, arguments, keywords)
    implementation = getattr(function, "_implementation", function)
    if not isinstance(implementation, FunctionType):
        recorder.stop(f"{name_of(function)} is not covered")
    return recorder.clones.of_library(implementation)(*arguments, **keywords)


def _call_on_constants(
    recorder: Recorder, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    for value in _leaves((*arguments, *keywords.values())):
        if isinstance(value, TracedArray):  # the function may write to its memory
            value.buffer.version += 1
    return recorder.adopt(function(*unwrap(arguments), **unwrap(keywords)))


def _call_entry(
    recorder: Recorder,
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
    given += [packed(recorder, value) for value in arguments[len(bound) :]]
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


def _argument(recorder: Recorder, entry: Entry, name: str, value: Any) -> Any:
    if name in entry.arrays:
        return packed(recorder, value)
    if name in entry.sequences:
        return value if isinstance(value, Traced) else [packed(recorder, part) for part in value]
    return recorder.concrete(value)


def _all_known(recorder: Recorder, result: Any) -> bool:
    if isinstance(result, (tuple, list)):
        return all(_all_known(recorder, part) for part in result)
    return recorder.is_known(result)


def packed(recorder: Recorder, value: Any, dtype: Any = None) -> Any:
    """Return a sequence that holds traced values as one traced array; anything else as it is."""
    if type(value) not in (list, tuple) or not contains_traced(value):
        return value
    result = np.array(unwrap(value), dtype=dtype)
    leaves = tuple(recorder.operand(leaf) for leaf in _leaves(value))
    return recorder.emit(pack, (leaves, result.shape, result.dtype), {}, result)


def pack(leaves: tuple[Any, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return the array of `shape` whose elements, in C order, are those of all the leaves."""
    return np.concatenate([np.ravel(leaf).astype(dtype) for leaf in leaves]).reshape(shape)


def _leaves(value: Any) -> list[Any]:
    if type(value) in (list, tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def name_of(function: Any) -> str:
    """Return the name of a function as the user wrote it, near enough: `np.add.reduce`."""
    name = getattr(function, "__name__", type(function).__name__)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{name}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{name}".replace("numpy.", "np.")


# Functions that write, that make room, or that are made of others


def _copyto(
    recorder: Recorder, dst: Any, src: Any, casting: str = "same_kind", where: Any = True
) -> None:
    if casting != "same_kind":
        recorder.stop(f"np.copyto with casting={casting!r} is not covered")
    source = packed(recorder, src)
    deliver(recorder, source if isinstance(source, Traced) else np.asarray(source), dst, where)


def _putmask(recorder: Recorder, a: Any, mask: Any, values: Any) -> None:
    if np.shape(values) not in ((), np.shape(a)):
        recorder.stop("np.putmask with values that repeat is not covered")
    deliver(recorder, values if isinstance(values, Traced) else np.asarray(values), a, mask)


def _place(recorder: Recorder, arr: Any, mask: Any, vals: Any) -> None:
    chosen = np.flatnonzero(recorder.concrete(mask))
    values = call(recorder, np.ravel, (packed(recorder, vals),), {})
    arr.flat[chosen] = values[np.arange(len(chosen)) % len(values)]


def _put(recorder: Recorder, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if mode != "raise":
        recorder.stop(f"np.put with mode={mode!r} is not covered")
    chosen = np.ravel(recorder.concrete(ind))
    values = call(recorder, np.ravel, (packed(recorder, v),), {})
    a.flat[chosen] = values[np.arange(len(chosen)) % len(values)]


def _zeros_like(recorder: Recorder, a: Any, *arguments: Any, **keywords: Any) -> Any:
    return recorder.adopt(
        np.zeros_like(unwrap(a), *recorder.concrete(arguments), **recorder.concrete(keywords))
    )


def _ones_like(recorder: Recorder, a: Any, *arguments: Any, **keywords: Any) -> Any:
    return recorder.adopt(
        np.ones_like(unwrap(a), *recorder.concrete(arguments), **recorder.concrete(keywords))
    )


def _full_like(
    recorder: Recorder, a: Any, fill_value: Any, *arguments: Any, **keywords: Any
) -> Any:
    filled = _zeros_like(recorder, a, *arguments, **keywords)
    filled[...] = fill_value
    return filled


def _compress(recorder: Recorder, condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    chosen = np.flatnonzero(recorder.concrete(condition))
    taken = call(recorder, np.take, (a, chosen, axis), {})
    return taken if out is None else deliver(recorder, taken, out)


def _block(recorder: Recorder, arrays: Any) -> Any:
    depth, first = 0, arrays
    while type(first) is list:
        depth, first = depth + 1, first[0]
    rank = max(depth, *(np.ndim(leaf) for leaf in _leaves(arrays)))

    def joined(part: Any, axis: int) -> Any:
        if type(part) is list:
            parts = [joined(inner, axis + 1) for inner in part]
            return call(recorder, np.concatenate, (parts, axis - rank), {})
        shape = (1,) * (rank - np.ndim(part)) + np.shape(part)
        return call(recorder, np.reshape, (part, shape), {})

    return joined(arrays, rank - depth)


def _choose(recorder: Recorder, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        recorder.stop(f"np.choose with mode={mode!r} is not covered")
    np.choose(unwrap(a), unwrap(choices))  # raises where a number has no choice
    chosen = choices[-1]
    for number, choice in reversed(list(enumerate(choices))):
        is_this = _ufunc_call(recorder, np.equal, (a, number), {})
        chosen = call(recorder, np.where, (is_this, choice, chosen), {})
    return chosen if out is None else deliver(recorder, chosen, out)


def _bincount(recorder: Recorder, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    numbers = np.asarray(recorder.concrete(x))
    counts = np.bincount(numbers, minlength=recorder.concrete(minlength))
    if weights is None:
        return recorder.adopt(counts)
    sums = recorder.adopt(np.zeros(len(counts)))
    indexing.at(recorder, np.add, sums, numbers, packed(recorder, weights))
    return sums


def _raveled(recorder: Recorder, a: Any, axis: Any) -> tuple[Any, Any]:
    """Return what a function works on and along which axis: no axis stands for all entries in a row."""
    return (call(recorder, np.ravel, (a,), {}), 0) if axis is None else (a, axis)


def _argpartition(
    recorder: Recorder,
    a: Any,
    kth: Any,
    axis: Any = -1,
    kind: Literal["introselect"] = "introselect",
) -> Any:
    """Order the values as NumPy's selection did, which looks at nothing but their order."""
    a, axis = _raveled(recorder, a, axis)
    order = call(recorder, np.argsort, (a,), {"axis": axis, "kind": "stable"})
    ordered = call(recorder, np.take_along_axis, (a, order, axis), {})
    ordered = call(recorder, np.moveaxis, (ordered, axis, -1), {})
    for decision in (order, ordered[..., 1:] == ordered[..., :-1]):
        if isinstance(decision, Traced):
            recorder.guard(decision)
    return recorder.adopt(np.argpartition(unwrap(a), recorder.concrete(kth), axis, kind))


def _partition(
    recorder: Recorder,
    a: Any,
    kth: Any,
    axis: Any = -1,
    kind: Literal["introselect"] = "introselect",
) -> Any:
    a, axis = _raveled(recorder, a, axis)
    places = _argpartition(recorder, a, kth, axis, kind)
    return call(recorder, np.take_along_axis, (a, places, axis), {})


SPECIAL: dict[Any, Any] = {
    np.argpartition: _argpartition,
    np.bincount: _bincount,
    np.block: _block,
    np.choose: _choose,
    np.compress: _compress,
    np.copyto: _copyto,
    np.putmask: _putmask,
    np.partition: _partition,
    np.place: _place,
    np.put: _put,
    # What np.empty leaves in memory is arbitrary; zeros make the trace reproducible.
    np.empty_like: _zeros_like,
    np.zeros_like: _zeros_like,
    np.ones_like: _ones_like,
    np.full_like: _full_like,
}
"""Functions that write into an argument, return fresh constants, or are made of others."""
