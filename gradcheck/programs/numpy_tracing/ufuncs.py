"""What happens when user code calls a ufunc of NumPy, or one of its methods, on traced values.

The ufunc runs on the real arrays first: its result and its errors are NumPy's own. Then the call is
recorded as a pure function of its operands.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing import indexing
from gradcheck.programs.numpy_tracing.arrays import TracedArray
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.registry import ENTRIES, LOOPS
from gradcheck.programs.numpy_tracing.tape import has_refs
from gradcheck.programs.numpy_tracing.traced import Traced, contains_traced, unwrap

__all__ = ["call_ufunc", "deliver", "depends", "name_of", "power_in_place", "ufunc_method"]

REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
ACCUMULATIONS: dict[Any, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}


def ufunc_method(
    recorder: Recording, ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Do what `ufunc.method(*inputs, **keywords)` does; the entry point of `__array_ufunc__`."""
    keywords = {key: part for key, part in keywords.items() if part is not None or key == "axis"}
    if method == "__call__":
        return call_ufunc(recorder, ufunc, inputs, keywords)
    if method == "at":
        return indexing.at(recorder, ufunc, *inputs)
    if method == "outer":
        left, right = (np.asarray(part) if type(part) is list else part for part in inputs)
        shape = np.shape(left) + (1,) * np.ndim(right)
        reshaped = recorder.call(np.reshape, (left, shape), {})
        return call_ufunc(recorder, ufunc, (reshaped, right), keywords)
    if "out" in keywords:
        keywords["out"] = keywords["out"][0]
    if method == "reduceat":
        return _reduce_at(recorder, ufunc, *inputs, **keywords)
    twin = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}[method].get(ufunc)
    keywords.setdefault("axis", 0)
    return recorder.call(twin or getattr(ufunc, method), inputs, keywords)


def call_ufunc(
    recorder: Recording, ufunc: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Do what `ufunc(*inputs, **keywords)` does."""
    out = keywords.pop("out", None)
    where = keywords.pop("where", True)
    if where is np._NoValue:
        where = True
    if any(type(part) in (list, tuple) for part in inputs):
        inputs = tuple(recorder.packed(part) for part in inputs)
    if contains_traced(keywords):
        keywords = recorder.concrete(keywords)
    is_covered = ufunc in LOOPS or ufunc in ENTRIES
    if not is_covered and any(depends(recorder, part) for part in inputs):
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


def depends(recorder: Recording, value: Any) -> bool:
    """Say whether a value depends on the inputs."""
    return isinstance(value, Traced) and not recorder.is_constant(value)


def deliver(recorder: Recording, new: Any, out: Any, where: Any = True) -> Any:
    """Write a result into `out=`, where the mask `where` is true, and return it."""
    if isinstance(out, tuple):
        for target, part in zip(out, new, strict=True):
            if target is not None:
                deliver(recorder, part, target, where)
        return tuple(
            part if target is None else target for target, part in zip(out, new, strict=True)
        )
    if not isinstance(out, TracedArray):
        if depends(recorder, new) or depends(recorder, where):
            recorder.stop("the result is written into an array that the trace does not know")
        np.copyto(out, unwrap(new), where=unwrap(where))
        return out
    refuse_cast(unwrap(new), out)
    if where is not True:
        new = recorder.call(np.where, (where, new, out), {})
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
    recorder: Recording, ufunc: Any, array: Any, indices: Any, axis: int = 0, out: Any = None
) -> Any:
    starts = [int(start) for start in np.asarray(recorder.concrete(indices))]
    rows = recorder.call(np.moveaxis, (array, axis, 0), {})
    parts = [
        ufunc.reduce(rows[start:end], axis=0) if start < end else rows[start]
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)
    ]
    stacked = recorder.call(np.stack, (parts, axis), {})
    return stacked if out is None else deliver(recorder, stacked, out)


def name_of(function: Any) -> str:
    """Return the name of a function as the user wrote it, near enough: `np.add.reduce`."""
    name = getattr(function, "__name__", type(function).__name__)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{name}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{name}".replace("numpy.", "np.")


def power_in_place(recorder: Recording, array: TracedArray, exponent: Any) -> None:
    """Do what `array **= exponent` does."""
    operands = recorder.operand(array), recorder.operand(exponent)
    result = operator.pow(array.concrete.copy(), unwrap(exponent))
    refuse_cast(result, array)
    indexing.set_item(recorder, array, ..., recorder.emit(operator.pow, operands, {}, result))
