"""Pure NumPy functions that stand on the tape for what has no name of its own in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from gradcheck.programs.numpy_tracing.memory import Plan, read

__all__ = ["as_array", "cast", "pack", "put_item", "read_element", "take_item", "updater"]


def cast(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return `value` in another dtype."""
    return value.astype(dtype)


def as_array(value: Any, **settings: Any) -> Any:
    """Return `value` as a new array."""
    return np.array(value, **settings)


def pack(leaves: tuple[Any, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return the array of `shape` whose elements, in C order, are those of all the leaves."""
    return np.concatenate([np.ravel(leaf).astype(dtype) for leaf in leaves]).reshape(shape)


def take_item(array: Any, index: Any) -> Any:
    """Return `array[index]` for an index of arrays."""
    return array[index]


def put_item(array: Any, index: Any, value: Any) -> Any:
    """Return a copy of `array` after `array[index] = value`."""
    copy = array.copy()
    copy[index] = value
    return copy


@lru_cache(maxsize=64)
def updater(ufunc: Any) -> Callable[..., Any]:
    """Return the pure form of `ufunc.at`: a copy of the array after the update."""

    def updated(array: Any, index: Any, value: Any) -> Any:
        copy = array.copy()
        ufunc.at(copy, index, value)
        return copy

    updated.__name__ = f"np.{ufunc.__name__}.at"
    updated.updates = ufunc  # type: ignore[attr-defined]
    return updated


def read_element(base: Any, plan: Plan) -> Any:
    """Return the one element that a view shows, as a NumPy scalar."""
    return read(base, plan)[()]
