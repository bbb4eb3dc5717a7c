"""Where gather and scatter read and write, as flat indices into the operand.

XLA's semantics: https://openxla.org/xla/operation_semantics#gather and #scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.operations import Operation

__all__ = ["gather", "scatter_places"]

Array = np.ndarray[Any, Any]


def gather(operation: Operation) -> Any:
    """Return the function (operand, indices) -> windows of the operand, gathered."""
    names = operation.parameters["dimension_numbers"]
    mode = _mode(operation)
    shape = operation.inputs[0].shape
    sizes = operation.parameters["slice_sizes"]
    out_type = operation.outputs[0]
    dropped = (*names.collapsed_slice_dims, *names.operand_batching_dims)
    window_dims = [d for d in range(len(shape)) if d not in dropped]
    window = _window_offsets(shape, window_dims, [sizes[d] for d in window_dims])
    axes = _interleave(names.offset_dims, len(out_type.shape))
    limits = [size - taken for size, taken in zip(shape, sizes, strict=True)]
    rows = mode == "clip" and _takes_whole_rows(names, shape, sizes, len(out_type.shape))

    def gather_rows(operand: Array, indices: Array) -> Array:
        return operand.take(indices[..., 0], axis=0, mode="clip")

    def gather_windows(operand: Array, indices: Array) -> Array:
        starts = _starts(
            indices,
            names.start_index_map,
            names.operand_batching_dims,
            names.start_indices_batching_dims,
        )
        places, valid = _flat_starts(starts, indices.shape[:-1], shape, limits, clip=mode == "clip")
        flat = operand.reshape(-1)
        if flat.size == 0:
            return np.zeros(out_type.shape, operand.dtype)
        index = places.reshape((*places.shape, *(1,) * window.ndim)) + window
        taken = flat.take(index, mode="clip")
        if valid is not None:
            kept = np.broadcast_to(valid.reshape((*valid.shape, *(1,) * window.ndim)), taken.shape)
            fill = _fill_value(operation.parameters.get("fill_value"), operand.dtype)
            taken = np.where(kept, taken, np.asarray(fill, operand.dtype))
        return taken.transpose(axes)

    return gather_rows if rows else gather_windows


def scatter_places(operation: Operation) -> Any:
    """Return the function indices -> (flat place of each update entry, mask of those inside).

    The places come in the order of the flattened updates; a mask of None means that all are inside.
    """
    names = operation.parameters["dimension_numbers"]
    mode = _mode(operation)
    shape, updates_shape = operation.inputs[0].shape, operation.inputs[2].shape
    dropped = (*names.inserted_window_dims, *names.operand_batching_dims)
    window_dims = [d for d in range(len(shape)) if d not in dropped]
    window_sizes = [updates_shape[d] for d in names.update_window_dims]
    window = _window_offsets(shape, window_dims, window_sizes)
    axes = _interleave(names.update_window_dims, len(updates_shape))
    extent = dict(zip(window_dims, window_sizes, strict=True))
    limits = [size - extent.get(d, 1) for d, size in enumerate(shape)]

    def places(indices: Array) -> tuple[Array, Array | None]:
        starts = _starts(
            indices,
            names.scatter_dims_to_operand_dims,
            names.operand_batching_dims,
            names.scatter_indices_batching_dims,
        )
        first, valid = _flat_starts(starts, indices.shape[:-1], shape, limits, clip=mode == "clip")
        index = first.reshape((*first.shape, *(1,) * window.ndim)) + window
        inside = None
        if valid is not None:
            inside = np.broadcast_to(
                valid.reshape((*valid.shape, *(1,) * window.ndim)), index.shape
            )
            inside = inside.transpose(axes).reshape(-1)
        return index.transpose(axes).reshape(-1), inside

    return places


def _mode(operation: Operation) -> str:
    name = str(operation.parameters["mode"]).lower()
    # An index promised to be in bounds is clipped: it costs nothing and cannot crash.
    return "fill" if "fill" in name or "drop" in name else "clip"


def _takes_whole_rows(names: Any, shape: Sequence[int], sizes: Sequence[int], rank: int) -> bool:
    """Say whether the gather is `operand[indices]` along the first axis, the common case."""
    return (
        tuple(names.start_index_map) == (0,)
        and tuple(names.collapsed_slice_dims) == (0,)
        and not names.operand_batching_dims
        and tuple(sizes[1:]) == tuple(shape[1:])
        and 0 not in shape
        and tuple(names.offset_dims) == tuple(range(rank - len(shape) + 1, rank))
    )


def _strides(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return strides


def _window_offsets(shape: Sequence[int], dims: Sequence[int], sizes: Sequence[int]) -> Array:
    strides = _strides(shape)
    offsets = np.zeros((1,) * len(dims), np.int64)
    for axis, (d, size) in enumerate(zip(dims, sizes, strict=True)):
        along = [1] * len(dims)
        along[axis] = size
        offsets = offsets + (np.arange(size) * strides[d]).reshape(along)
    return offsets


def _interleave(window_positions: Sequence[int], rank: int) -> list[int]:
    """Say for each result axis which axis of (batch..., window...) it is."""
    batch = iter(range(rank - len(window_positions)))
    window = iter(range(rank - len(window_positions), rank))
    return [next(window) if axis in window_positions else next(batch) for axis in range(rank)]


def _starts(
    indices: Array,
    index_map: Sequence[int],
    operand_batching: Sequence[int],
    indices_batching: Sequence[int],
) -> dict[int, Array]:
    batch = indices.shape[:-1]
    starts = {d: indices[..., k].astype(np.int64) for k, d in enumerate(index_map)}
    for d, axis in zip(operand_batching, indices_batching, strict=True):
        along = [1] * len(batch)
        along[axis] = batch[axis]
        starts[d] = np.broadcast_to(np.arange(batch[axis]).reshape(along), batch)
    return starts


def _flat_starts(
    starts: dict[int, Array],
    batch: tuple[int, ...],
    shape: Sequence[int],
    limits: Sequence[int],
    *,
    clip: bool,
) -> tuple[Array, Array | None]:
    strides = _strides(shape)
    flat = np.zeros(batch, np.int64)
    valid: Any = None
    for d, start in starts.items():
        if clip:
            start = np.clip(start, 0, max(limits[d], 0))
        else:
            inside = (start >= 0) & (start <= limits[d])
            valid = inside if valid is None else valid & inside
            start = np.where(inside, start, 0)
        flat = flat + start * strides[d]
    return flat, valid


def _fill_value(fill: Any, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "V":
        return _opaque_fill(fill, dtype)
    if fill is not None:
        return fill
    if dtype.kind == "b":
        return True
    if dtype.kind == "i":
        return np.iinfo(dtype).min
    if dtype.kind == "u":
        return np.iinfo(dtype).max
    return np.nan


def _opaque_fill(fill: Any, dtype: np.dtype[Any]) -> Any:
    """Return what stands for 0, or for a number that has no residue: -1 in each of them."""
    if fill is not None and np.isfinite(fill) and fill != 0:
        raise Abstention(f"a gather that fills in {fill} has no finite-field arithmetic")
    byte = 0 if fill is not None and fill == 0 else 0xFF
    return np.full(dtype.itemsize, byte, np.uint8).view(dtype)[0]
