"""Reductions in NumPy's numbers, with XLA's answers for empty axes and for NaN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation

__all__ = ["REDUCTIONS", "running"]

Function = Callable[..., Any]


def _reduce(ufunc: np.ufunc, empty: Callable[[np.dtype[Any]], Any] | None = None) -> Any:
    def maker(operation: Operation, dtype: np.dtype[Any]) -> Function:
        axes = tuple(operation.parameters["axes"])
        if empty is not None and 0 in operation.inputs[0].shape:
            return partial(ufunc.reduce, axis=axes, initial=empty(dtype))
        if ufunc in (np.add, np.multiply):
            return partial(ufunc.reduce, axis=axes, dtype=dtype)
        return partial(ufunc.reduce, axis=axes)

    return maker


def _least(dtype: np.dtype[Any]) -> Any:
    return False if dtype.kind == "b" else np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _greatest(dtype: np.dtype[Any]) -> Any:
    return True if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind in "iu" else np.inf


def _arg(arg: Any) -> Any:
    def maker(operation: Operation, _: np.dtype[Any]) -> Function:
        (axis,) = operation.parameters["axes"]
        dtype = operation.outputs[0].dtype
        return lambda x: arg(x, axis).astype(dtype)

    return maker


def running(ufunc: np.ufunc, x: Any, axis: int, reverse: bool, dtype: np.dtype[Any]) -> Any:
    """Return the running reduction of `x` along `axis`, from the end where `reverse`."""
    if reverse:
        return np.flip(ufunc.accumulate(np.flip(x, axis), axis, dtype), axis)
    return ufunc.accumulate(x, axis, dtype)


def _cumulative(ufunc: np.ufunc) -> Any:
    def maker(operation: Operation, dtype: np.dtype[Any]) -> Function:
        axis, reverse = operation.parameters["axis"], operation.parameters["reverse"]
        return lambda x: running(ufunc, x, axis, reverse, dtype)

    return maker


REDUCTIONS: dict[str, Callable[[Operation, np.dtype[Any]], Function]] = {
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "cumlogsumexp": _cumulative(np.logaddexp),
    "cummax": _cumulative(np.maximum),
    "cummin": _cumulative(np.minimum),
    "cumprod": _cumulative(np.multiply),
    "cumsum": _cumulative(np.add),
    "reduce_and": _reduce(np.bitwise_and),
    "reduce_max": _reduce(np.maximum, _least),
    "reduce_min": _reduce(np.minimum, _greatest),
    "reduce_or": _reduce(np.bitwise_or),
    "reduce_prod": _reduce(np.multiply),
    "reduce_sum": _reduce(np.add),
    "reduce_xor": _reduce(np.bitwise_xor),
}
"""Makers of (operation, dtype of the result) -> function."""
