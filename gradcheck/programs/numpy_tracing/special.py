"""NumPy's functions that write into an argument, make room, or are made of others."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gradcheck.programs.numpy_tracing import indexing
from gradcheck.programs.numpy_tracing.recording import Recording
from gradcheck.programs.numpy_tracing.traced import Traced, flattened, unwrap
from gradcheck.programs.numpy_tracing.ufuncs import call_ufunc, deliver

__all__ = ["SPECIAL"]


def _copyto(
    recorder: Recording, dst: Any, src: Any, casting: str = "same_kind", where: Any = True
) -> None:
    if casting not in ("same_kind", "unsafe"):
        recorder.stop(f"np.copyto with casting={casting!r} is not covered")
    source = recorder.packed(src)
    source = source if isinstance(source, Traced) else np.asarray(source)
    if casting == "unsafe":
        source = source.astype(dst.dtype, copy=False)
    deliver(recorder, source, dst, where)


def _putmask(recorder: Recording, a: Any, mask: Any, values: Any) -> None:
    if np.shape(values) not in ((), np.shape(a)):
        recorder.stop("np.putmask with values that repeat is not covered")
    deliver(recorder, values if isinstance(values, Traced) else np.asarray(values), a, mask)


def _place(recorder: Recording, arr: Any, mask: Any, vals: Any) -> None:
    chosen = np.flatnonzero(recorder.concrete(mask))
    values = recorder.call(np.ravel, (recorder.packed(vals),), {})
    arr.flat[chosen] = values[np.arange(len(chosen)) % len(values)]


def _put(recorder: Recording, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if mode != "raise":
        recorder.stop(f"np.put with mode={mode!r} is not covered")
    chosen = np.ravel(recorder.concrete(ind))
    values = recorder.call(np.ravel, (recorder.packed(v),), {})
    a.flat[chosen] = values[np.arange(len(chosen)) % len(values)]


def _zeros_like(recorder: Recording, a: Any, *arguments: Any, **keywords: Any) -> Any:
    return recorder.adopt(
        np.zeros_like(unwrap(a), *recorder.concrete(arguments), **recorder.concrete(keywords))
    )


def _ones_like(recorder: Recording, a: Any, *arguments: Any, **keywords: Any) -> Any:
    return recorder.adopt(
        np.ones_like(unwrap(a), *recorder.concrete(arguments), **recorder.concrete(keywords))
    )


def _full_like(
    recorder: Recording, a: Any, fill_value: Any, *arguments: Any, **keywords: Any
) -> Any:
    filled = _zeros_like(recorder, a, *arguments, **keywords)
    filled[...] = fill_value
    return filled


def _compress(
    recorder: Recording, condition: Any, a: Any, axis: Any = None, out: Any = None
) -> Any:
    chosen = np.flatnonzero(recorder.concrete(condition))
    taken = recorder.call(np.take, (a, chosen, axis), {})
    return taken if out is None else deliver(recorder, taken, out)


def _block(recorder: Recording, arrays: Any) -> Any:
    depth, first = 0, arrays
    while type(first) is list:
        depth, first = depth + 1, first[0]
    rank = max(depth, *(np.ndim(leaf) for leaf in flattened(arrays)))

    def joined(part: Any, axis: int) -> Any:
        if type(part) is list:
            parts = [joined(inner, axis + 1) for inner in part]
            return recorder.call(np.concatenate, (parts, axis - rank), {})
        shape = (1,) * (rank - np.ndim(part)) + np.shape(part)
        return recorder.call(np.reshape, (part, shape), {})

    return joined(arrays, rank - depth)


def _choose(recorder: Recording, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        recorder.stop(f"np.choose with mode={mode!r} is not covered")
    np.choose(unwrap(a), unwrap(choices))  # raises where a number has no choice
    chosen = choices[-1]
    for number, choice in reversed(list(enumerate(choices))):
        is_this = call_ufunc(recorder, np.equal, (a, number), {})
        chosen = recorder.call(np.where, (is_this, choice, chosen), {})
    return chosen if out is None else deliver(recorder, chosen, out)


def _bincount(recorder: Recording, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    numbers = np.asarray(recorder.concrete(x))
    counts = np.bincount(numbers, minlength=recorder.concrete(minlength))
    if weights is None:
        return recorder.adopt(counts)
    sums = recorder.adopt(np.zeros(len(counts)))
    indexing.at(recorder, np.add, sums, numbers, recorder.packed(weights))
    return sums


def _raveled(recorder: Recording, a: Any, axis: Any) -> tuple[Any, Any]:
    """Return what a function works on and along which axis: no axis stands for all entries in a row."""
    return (recorder.call(np.ravel, (a,), {}), 0) if axis is None else (a, axis)


def _argpartition(
    recorder: Recording,
    a: Any,
    kth: Any,
    axis: Any = -1,
    kind: Literal["introselect"] = "introselect",
) -> Any:
    """Order the values as NumPy's selection did, which looks at nothing but their order."""
    a, axis = _raveled(recorder, a, axis)
    order = recorder.call(np.argsort, (a,), {"axis": axis, "kind": "stable"})
    ordered = recorder.call(np.take_along_axis, (a, order, axis), {})
    ordered = recorder.call(np.moveaxis, (ordered, axis, -1), {})
    for decision in (order, ordered[..., 1:] == ordered[..., :-1]):
        if isinstance(decision, Traced):
            recorder.guard(decision)
    return recorder.adopt(np.argpartition(unwrap(a), recorder.concrete(kth), axis, kind))


def _partition(
    recorder: Recording,
    a: Any,
    kth: Any,
    axis: Any = -1,
    kind: Literal["introselect"] = "introselect",
) -> Any:
    a, axis = _raveled(recorder, a, axis)
    places = _argpartition(recorder, a, kth, axis, kind)
    return recorder.call(np.take_along_axis, (a, places, axis), {})


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
