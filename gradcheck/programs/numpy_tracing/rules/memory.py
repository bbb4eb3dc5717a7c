# ruff: noqa: ARG001 - a rule has the parameters of NumPy's function, and ignores some
"""Views, assignments and index arrays: what the tracer itself puts on the tape."""

from __future__ import annotations

import operator
from math import prod
from typing import Any

import numpy as np
from jax import lax

from gradcheck.programs.numpy_tracing.memory import (
    Layout,
    Pieces,
    Plan,
    pieces_of,
    positions_of,
    read,
    write,
    write_many,
)
from gradcheck.programs.numpy_tracing.pure import (
    as_array,
    cast,
    pack,
    put_item,
    read_element,
    take_item,
)
from gradcheck.programs.numpy_tracing.registry import LOOPS, lowers
from gradcheck.programs.numpy_tracing.rules.common import (
    converted,
    picked,
    reshaped,
    scattered,
    spread,
    truth,
)

__all__ = ["updated_at"]


@lowers(operator.getitem)
def item_of_tuple(result: Any, values: Any, index: int) -> Any:
    return values[index]


@lowers(cast)
def cast_(result: Any, value: Any, dtype: Any) -> Any:
    return truth(value) if dtype == np.bool else converted(value, dtype)


@lowers(as_array)
def as_array_(result: Any, value: Any, **settings: Any) -> Any:
    return reshaped(converted(value, result.dtype), result.shape)


@lowers(pack)
def pack_(result: Any, leaves: Any, shape: Any, dtype: Any) -> Any:
    flat = [reshaped(converted(leaf, dtype), (np.size(leaf),)) for leaf in leaves]
    return reshaped(lax.concatenate(flat, 0), shape)


@lowers(read, read_element)
def read_(result: Any, base: Any, plan: Plan) -> Any:
    if prod(plan.shape) == 0:
        return lax.full(plan.shape, 0, base.dtype)
    if plan.is_whole:
        return base
    pieces = pieces_of(plan)
    if pieces is None:
        return picked(_flat(base, plan.base), positions_of(plan))
    block = _sliced(_in_memory(base, plan.base, pieces.memory), pieces)
    order = [source for source in pieces.sources if source is not None]
    block = reshaped(block, [part.size for part in pieces.parts if part.size > 1])
    kept = [axis for axis, part in enumerate(pieces.parts) if part.size > 1]
    block = lax.transpose(block, [kept.index(axis) for axis in order])
    places = [axis for axis, source in enumerate(pieces.sources) if source is not None]
    if np.shape(block) == plan.shape:
        return block
    return lax.broadcast_in_dim(block, plan.shape, places)


@lowers(write)
def write_(result: Any, base: Any, value: Any, plan: Plan) -> Any:
    if prod(plan.shape) == 0:
        return base
    value = spread(converted(value, base.dtype), plan.shape)
    if plan.is_whole:
        return value
    pieces = pieces_of(plan)
    if pieces is None or any(part.step != 1 for part in pieces.parts):
        flat = scattered(
            _flat(base, plan.base), positions_of(plan), value, lax.scatter, unique=True
        )
        return _from_memory(flat, plan.base)
    memory = _in_memory(base, plan.base, pieces.memory)
    order = [source for source in pieces.sources if source is not None]
    value = reshaped(value, [size for size in plan.shape if size > 1])
    value = lax.transpose(value, sorted(range(len(order)), key=lambda i: order[i]))
    block = reshaped(value, [part.size for part in pieces.parts])
    if np.shape(block) != pieces.memory:
        starts = [np.int64(part.start) for part in pieces.parts]
        block = lax.dynamic_update_slice(memory, block, starts)
    return _from_memory(block, plan.base)


@lowers(write_many)
def write_many_(result: Any, base: Any, contents: Any, plans: Any) -> Any:
    layout = plans[0].base
    values = [
        reshaped(spread(converted(content, base.dtype), plan.shape), (prod(plan.shape),))
        for content, plan in zip(contents, plans, strict=True)
    ]
    places = np.concatenate([positions_of(plan).reshape(-1) for plan in plans])
    value, places = _last_of_each(lax.concatenate(values, 0), places)
    if len(places) == prod(layout.shape):
        order = np.argsort(places)
        flat = value if np.array_equal(order, np.arange(len(order))) else picked(value, order)
    else:
        flat = scattered(_flat(base, layout), places, value, lax.scatter, unique=True)
    return _from_memory(flat, layout)


def _last_of_each(value: Any, places: Any) -> tuple[Any, Any]:
    """Drop what is written to a place before the last time."""
    _, last = np.unique(places[::-1], return_index=True)
    chosen = np.sort(places.size - 1 - last)
    return (picked(value, chosen) if len(chosen) < places.size else value), places[chosen]


@lowers(take_item)
def take_item_(result: Any, value: Any, index: Any) -> Any:
    along = _single_axis(index)
    if along is not None:
        axis, indices = along
        return picked(value, indices % np.shape(value)[axis], axis)
    positions = _positions(np.shape(value), index)
    return picked(reshaped(value, (np.size(value),)), positions)


@lowers(put_item)
def put_item_(result: Any, array: Any, index: Any, value: Any) -> Any:
    shape = np.shape(array)
    positions = _positions(shape, index)
    value = reshaped(spread(converted(value, array.dtype), positions.shape), (positions.size,))
    value, target = _last_of_each(value, positions.reshape(-1))
    flat = reshaped(array, (np.size(array),))
    return reshaped(scattered(flat, target, value, lax.scatter, unique=True), shape)


def updated_at(ufunc: Any, array: Any, index: Any, value: Any) -> Any:
    """Return the result of `ufunc.at(array, index, value)`; repeated positions accumulate."""
    shape = np.shape(array)
    rows = isinstance(index, np.ndarray) and index.dtype.kind in "iu"
    value_shape = (*np.shape(index), *shape[1:]) if rows else None
    if ufunc in (np.add, np.subtract) and rows:
        update = spread(converted(value, array.dtype), value_shape)  # type: ignore[arg-type]
        update = lax.neg(update) if ufunc is np.subtract else update
        return scattered(array, index % shape[0], update, lax.scatter_add, unique=False)
    positions = _positions(shape, index)
    update = spread(converted(value, array.dtype), positions.shape)
    flat = reshaped(array, (np.size(array),))
    if ufunc in (np.add, np.subtract):
        update = lax.neg(update) if ufunc is np.subtract else update
        flat = scattered(flat, positions, update, lax.scatter_add, unique=False)
        return reshaped(flat, shape)
    update = reshaped(update, (positions.size,))
    for turn in _turns(positions.reshape(-1)):
        target = positions.reshape(-1)[turn]
        new = LOOPS[ufunc](picked(flat, target), picked(update, turn))
        flat = scattered(flat, target, converted(new, array.dtype), lax.scatter, unique=True)
    return reshaped(flat, shape)


def _turns(positions: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Split the updates into rounds, in order, so that none meets one position twice."""
    seen: dict[int, int] = {}
    rounds: list[list[int]] = []
    for update, position in enumerate(positions.tolist()):
        turn = seen.get(position, 0)
        seen[position] = turn + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(update)
    return [np.array(turn) for turn in rounds]


def _positions(shape: tuple[int, ...], index: Any) -> np.ndarray[Any, Any]:
    return np.asarray(np.arange(prod(shape)).reshape(shape)[index])


def _single_axis(index: Any) -> tuple[int, np.ndarray[Any, Any]] | None:
    """Return axis and indices where an index is one integer array between whole axes."""
    parts = index if isinstance(index, tuple) else (index,)
    found = [axis for axis, part in enumerate(parts) if isinstance(part, np.ndarray)]
    if len(found) != 1 or parts[found[0]].dtype.kind not in "iu":
        return None
    rest = [part for axis, part in enumerate(parts) if axis != found[0]]
    if any(type(part) is not slice or part != slice(None) for part in rest):
        return None
    return found[0], parts[found[0]]


def _flat(base: Any, layout: Layout) -> Any:
    return _in_memory(base, layout, (prod(layout.shape),))


def _in_memory(base: Any, layout: Layout, memory: tuple[int, ...]) -> Any:
    """Return the content of a buffer in the order and shape of its memory."""
    if layout.order != tuple(range(len(layout.order))):
        base = lax.transpose(base, layout.order)
    return reshaped(base, memory) if np.shape(base) != memory else base


def _from_memory(content: Any, layout: Layout) -> Any:
    shape = tuple(layout.shape[axis] for axis in layout.order)
    content = reshaped(content, shape) if np.shape(content) != shape else content
    if layout.order == tuple(range(len(layout.order))):
        return content
    back = sorted(range(len(shape)), key=lambda axis: layout.order[axis])
    return lax.transpose(content, back)


def _sliced(memory: Any, pieces: Pieces) -> Any:
    starts, limits, strides, backwards = [], [], [], []
    for axis, (start, count, step) in enumerate(pieces.parts):
        last = start + (count - 1) * step
        starts.append(min(start, last))
        limits.append(max(start, last) + 1)
        strides.append(max(1, abs(step)))
        if step < 0:
            backwards.append(axis)
    if any(
        limit - start != size
        for start, limit, size in zip(starts, limits, pieces.memory, strict=True)
    ) or any(stride != 1 for stride in strides):
        memory = lax.slice(memory, starts, limits, strides)
    return lax.rev(memory, backwards) if backwards else memory
