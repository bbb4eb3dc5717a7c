"""Primitives that move entries and compute none: reshape, slice, gather, select and their like.

Each maker takes an `Operation` and returns a function of plain arrays. An arithmetic whose values
have several components applies the function to each of them; operands that are plain arrays
(indices, predicates) go to every component as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.indexing import gather, scatter_places

__all__ = ["STRUCTURE", "clamped_start", "padded"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]

LARGEST_COPIED_BROADCAST = 4096
"""Entries up to which a broadcast is written out: below, a copy is faster than making a view."""


def _same(_: Operation) -> Function:
    return lambda x: x


def _same_all(_: Operation) -> Function:
    return lambda *xs: list(xs)


def _reshape(operation: Operation) -> Function:
    shape = operation.outputs[0].shape
    order = operation.parameters.get("dimensions")
    if order is not None:
        return lambda x: x.transpose(order).reshape(shape)
    return lambda x: x.reshape(shape)


def _squeeze(operation: Operation) -> Function:
    shape = operation.outputs[0].shape
    return lambda x: x.reshape(shape)


def _transpose(operation: Operation) -> Function:
    permutation = tuple(operation.parameters["permutation"])
    return lambda x: x.transpose(permutation)


def _broadcast_in_dim(operation: Operation) -> Function:
    shape = operation.outputs[0].shape
    positions = operation.parameters["broadcast_dimensions"]
    sizes = dict(zip(positions, operation.inputs[0].shape, strict=True))
    aligned = tuple(sizes.get(d, 1) for d in range(len(shape)))
    if aligned == shape:
        return lambda x: x.reshape(shape)
    if np.prod(shape, dtype=np.int64) > LARGEST_COPIED_BROADCAST:
        return lambda x: np.broadcast_to(x.reshape(aligned), shape)

    def broadcast(x: Array) -> Array:
        out = np.empty(shape, x.dtype)
        out[...] = x.reshape(aligned)
        return out

    return broadcast


def _rev(operation: Operation) -> Function:
    axes = tuple(operation.parameters["dimensions"])
    return lambda x: np.flip(x, axes)


def _concatenate(operation: Operation) -> Function:
    axis = operation.parameters["dimension"]
    return lambda *xs: np.concatenate(xs, axis)


def _split(operation: Operation) -> Function:
    axis = operation.parameters["axis"]
    cuts = np.cumsum(operation.parameters["sizes"])[:-1]
    return lambda x: np.split(x, cuts, axis)


def _slice(operation: Operation) -> Function:
    starts, limits = operation.parameters["start_indices"], operation.parameters["limit_indices"]
    strides = operation.parameters["strides"] or (1,) * len(starts)
    index = tuple(map(slice, starts, limits, strides))
    return lambda x: x[index]


def clamped_start(start: Any, size: int, taken: int) -> int:
    """Return where a dynamic slice of `taken` entries out of `size` starts, clamped as XLA does."""
    return min(max(int(start), 0), size - taken)


def _dynamic_slice(operation: Operation) -> Function:
    shape, sizes = operation.inputs[0].shape, operation.parameters["slice_sizes"]

    def dynamic_slice(x: Array, *starts: Any) -> Array:
        first = list(map(clamped_start, starts, shape, sizes))
        return x[tuple(slice(s, s + n) for s, n in zip(first, sizes, strict=True))]

    return dynamic_slice


def _dynamic_update_slice(operation: Operation) -> Function:
    shape, sizes = operation.inputs[0].shape, operation.inputs[1].shape

    def dynamic_update_slice(x: Array, update: Array, *starts: Any) -> Array:
        first = list(map(clamped_start, starts, shape, sizes))
        out = np.array(x)
        out[tuple(slice(s, s + n) for s, n in zip(first, sizes, strict=True))] = update
        return out

    return dynamic_update_slice


def padded(x: Array, fill: Any, config: Any) -> Array:
    """Pad each axis by (low, high, interior) entries of `fill`; negative ones crop."""
    shape = [
        max(0, size + low + high + interior * max(size - 1, 0))
        for size, (low, high, interior) in zip(x.shape, config, strict=True)
    ]
    out = np.empty(shape, x.dtype)
    out[...] = fill
    to, source = [], []
    for size, room, (low, _, interior) in zip(x.shape, shape, config, strict=True):
        step = interior + 1
        first = -(low // step) if low < 0 else 0
        last = min(size, (room - 1 - low) // step + 1) if room else first
        last = max(first, last)
        to.append(slice(low + first * step, max(low + (last - 1) * step + 1, 0), step))
        source.append(slice(first, last))
    if all(part.stop > part.start for part in source):
        out[tuple(to)] = x[tuple(source)]
    return out


def _pad(operation: Operation) -> Function:
    config = operation.parameters["padding_config"]
    return lambda x, fill: padded(x, fill, config)


def _select_n(operation: Operation) -> Function:
    if len(operation.inputs) == 2:
        return lambda _, case: case
    if operation.inputs[0].dtype.kind == "b":
        return lambda which, off, on: np.where(which, on, off)
    return lambda which, *cases: np.choose(np.clip(which, 0, len(cases) - 1), cases)


def _scatter(operation: Operation) -> Function:
    places = scatter_places(operation)

    def scatter(operand: Array, indices: Array, updates: Array) -> Array:
        where, inside = places(indices)
        out = np.array(operand).reshape(-1)
        flat = updates.reshape(-1)
        if inside is None:
            out[where] = flat
        else:
            out[where[inside]] = flat[inside]
        return out.reshape(operand.shape)

    return scatter


def _tile(operation: Operation) -> Function:
    repeats = operation.parameters["reps"]
    return lambda x: np.tile(x, repeats)


def _stack(operation: Operation) -> Function:
    axis = operation.parameters["axis"]
    return lambda *xs: np.stack(xs, axis)


def _unstack(operation: Operation) -> Function:
    axis = operation.parameters["axis"]
    return lambda x: list(np.moveaxis(x, axis, 0))


STRUCTURE: dict[str, Callable[[Operation], Function]] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "copy": _same,
    "copy_p": _same,
    "device_put": _same_all,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "expand_dims": _squeeze,
    "gather": gather,
    "name": _same,
    "optimization_barrier": _same_all,
    "pad": _pad,
    "pvary": _same_all,
    "reshape": _reshape,
    "rev": _rev,
    "scatter": _scatter,
    "select_n": _select_n,
    "sharding_constraint": _same,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "stop_gradient": _same,
    "tile": _tile,
    "transpose": _transpose,
    "unstack": _unstack,
}
"""The table; `reduce_precision` and `convert_element_type` compute, and are not here."""
