"""What the rules share: dtypes, axes, broadcasting, and picking elements by constant indices."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from jax import lax

__all__ = [
    "axes_of",
    "converted",
    "kept",
    "moved_last",
    "picked",
    "reduced",
    "reshaped",
    "scattered",
    "spread",
    "truth",
]


def converted(value: Any, dtype: Any) -> Any:
    """Return `value` in another dtype; a constant stays a NumPy constant."""
    if isinstance(value, (bool, int, float, complex, np.ndarray, np.generic)):
        return np.asarray(value, dtype)
    if value.dtype == dtype:
        return value
    if np.issubdtype(value.dtype, np.complexfloating) and not np.issubdtype(
        dtype, np.complexfloating
    ):
        value = lax.real(value)
    return lax.convert_element_type(value, dtype)


def spread(value: Any, shape: tuple[int, ...]) -> Any:
    """Return `value` broadcast to `shape` as NumPy does it."""
    own = np.shape(value)
    if own == tuple(shape):
        return value
    while own and len(own) > len(shape) and own[0] == 1:
        own = own[1:]
    offset = len(shape) - len(own)
    stretched = [axis for axis, size in enumerate(own) if size == shape[axis + offset]]
    squeezed = reshaped(value, [own[axis] for axis in stretched])
    return lax.broadcast_in_dim(squeezed, shape, [axis + offset for axis in stretched])


def reshaped(value: Any, shape: Any) -> Any:
    """Return `value` in another shape, without an equation where it has it already."""
    return value if np.shape(value) == tuple(shape) else lax.reshape(value, shape)


def truth(value: Any) -> Any:
    """Return whether each element differs from zero, which booleans say themselves."""
    return value if value.dtype == np.bool else lax.ne(value, np.zeros((), value.dtype))


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return NumPy's `axis` argument as a tuple of non-negative axes."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(int(i) % ndim for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def reduced(value: Any, axis: Any, loop: Any, neutral: Any) -> Any:
    """Fold `loop` over axes."""
    start = np.asarray(neutral, value.dtype)[()]
    return lax.reduce(value, start, loop, axes_of(axis, np.ndim(value)))


def kept(value: Any, result: Any) -> Any:
    """Return a reduction in the shape that NumPy gave it, which knows about `keepdims`."""
    return reshaped(value, result.shape)


def moved_last(value: Any, axis: Any) -> Any:
    """Return `value` with the given axes flattened into the last one."""
    axes = axes_of(axis, np.ndim(value))
    rest = [i for i in range(np.ndim(value)) if i not in axes]
    shape = np.shape(value)
    count = prod(shape[i] for i in axes)
    return lax.reshape(lax.transpose(value, (*rest, *axes)), (*(shape[i] for i in rest), count))


def picked(value: Any, indices: Any, axis: int = 0) -> Any:
    """Return the slices of `value` at constant non-negative `indices` along one axis."""
    indices = np.asarray(indices)
    shape = np.shape(value)
    result_axes = range(len(shape) - 1 + indices.ndim)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(i for i in result_axes if not axis <= i < axis + indices.ndim),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
    )
    sizes = tuple(1 if i == axis else size for i, size in enumerate(shape))
    return lax.gather(
        value, indices[..., None], numbers, sizes, mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS
    )


def scattered(value: Any, indices: Any, updates: Any, scatter: Any, *, unique: bool) -> Any:
    """Scatter `updates` into rows of `value` (its first axis) at constant `indices`."""
    indices = np.asarray(indices)
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(indices.ndim, indices.ndim + len(np.shape(value)) - 1)),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
    )
    return scatter(
        value,
        indices[..., None],
        updates,
        numbers,
        unique_indices=unique,
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
