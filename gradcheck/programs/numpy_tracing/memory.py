"""Views of memory: how an array lies in its buffer, and reading or writing it as a pure function.

NumPy decides by memory, not by the function's name, whether a result is a view. So does the tracer:
a view is a `Plan`, the offset, shape and strides of an array inside the array that owns the memory.
`read(base, plan)` and `write(base, value, plan)` are what a view and a write through it do to
values; lowering turns a plan into slices, transposes and reshapes, or a gather where none fit.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Axis",
    "Layout",
    "Pieces",
    "Plan",
    "compact",
    "layout_of",
    "pieces_of",
    "plan_of",
    "positions_of",
    "read",
    "root_of",
    "shows_an_element_twice",
    "write",
    "write_many",
]


class Layout(NamedTuple):
    """How a compact array lies in memory: its shape, and its axes from outermost to innermost."""

    shape: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """The step along each axis, in elements."""
        strides = [0] * len(self.shape)
        step = 1
        for axis in reversed(self.order):
            strides[axis] = step
            step *= self.shape[axis]
        return tuple(strides)


class Plan(NamedTuple):
    """A view of a compact array: the first element, shape and strides, all counted in elements."""

    base: Layout
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the view is the base itself, axis by axis."""
        return (
            self.offset == 0
            and self.shape == self.base.shape
            and all(
                size == 1 or mine == theirs
                for size, mine, theirs in zip(
                    self.shape, self.strides, self.base.strides, strict=True
                )
            )
        )


class Axis(NamedTuple):
    """The part of one axis that a view reads: `size` elements from `start` on, `step` apart."""

    start: int
    size: int
    step: int


class Pieces(NamedTuple):
    """A plan as a rectangular part of the memory, seen as an array of shape `memory`.

    Attributes:
        memory: the shape given to the memory, outermost axis first.
        parts: what is read along each axis of `memory`.
        sources: for each axis of the view the axis of `memory` that it runs along; None for an axis
            of size 1 or one that repeats the same element.
    """

    memory: tuple[int, ...]
    parts: tuple[Axis, ...]
    sources: tuple[int | None, ...]


def root_of(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array that owns the memory of `array`, also through `as_strided`'s holder."""
    while array.base is not None:
        base = array.base
        if not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)
        if not isinstance(base, np.ndarray):
            break
        array = base
    return array


def layout_of(array: NDArray[Any]) -> Layout | None:
    """Return the layout of an array without gaps, or None if it has gaps or repeats elements."""
    if array.flags.c_contiguous:
        return Layout(array.shape, tuple(range(array.ndim)))
    order = tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    layout = Layout(array.shape, order)
    expected = layout.strides
    for size, step, stride in zip(array.shape, expected, array.strides, strict=True):
        if size > 1 and stride != step * array.itemsize:
            return None if array.size else layout
    return layout


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """Return an exact copy of an array without gaps, its axes in the same order in memory."""
    copy: NDArray[Any] = np.array(array, order="K", copy=True, subok=False)
    return copy


def plan_of(view: NDArray[Any], base: NDArray[Any], layout: Layout) -> Plan:
    """Describe `view` inside the memory of the compact array `base`."""
    size = view.itemsize
    if view.size == 0:
        return Plan(layout, 0, view.shape, (0,) * view.ndim)
    distance = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Plan(layout, distance // size, view.shape, tuple(step // size for step in view.strides))


def read(base: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """Return the view of `base` that `plan` describes; shares memory with `base`."""
    if layout_of(base) != plan.base:
        base = _laid_out(base, plan.base)
    flat = base.transpose(plan.base.order).reshape(-1)
    strides = tuple(step * base.itemsize for step in plan.strides)
    return np.lib.stride_tricks.as_strided(flat[plan.offset :], plan.shape, strides)


def write(base: NDArray[Any], value: Any, plan: Plan) -> NDArray[Any]:
    """Return a copy of `base` in which the view that `plan` describes holds `value`."""
    copy = _laid_out(base, plan.base)
    read(copy, plan)[...] = value
    return copy


def write_many(
    base: NDArray[Any], contents: tuple[Any, ...], plans: tuple[Plan, ...]
) -> NDArray[Any]:
    """Return a copy of `base` after several writes, of which a later one covers an earlier one."""
    for content, plan in zip(contents, plans, strict=True):
        base = write(base, content, plan)
    return base


def positions_of(plan: Plan) -> NDArray[np.intp]:
    """Return the position in memory of each element of the view, in its shape."""
    positions: NDArray[np.intp] = np.full(plan.shape, plan.offset, dtype=np.intp)
    for axis, (size, step) in enumerate(zip(plan.shape, plan.strides, strict=True)):
        along = [1] * len(plan.shape)
        along[axis] = size
        positions += (step * np.arange(size, dtype=np.intp)).reshape(along)
    return positions


@lru_cache(maxsize=4096)
def pieces_of(plan: Plan) -> Pieces | None:
    """Return the view as a rectangular part of the memory, or None if it is no such part.

    The memory is seen first in the shape of the base, then in the shape that the view's own strides
    suggest, which is how a reshape splits and merges axes.
    """
    own = tuple(plan.base.shape[axis] for axis in plan.base.order)
    for memory in (own, _memory_by_strides(plan)):
        if memory is not None and (found := _match(memory, plan)):
            return found
    return None


def shows_an_element_twice(plan: Plan) -> bool:
    """Say whether some element of the memory is at two places of the view."""
    pieces = pieces_of(plan)
    if pieces is None:
        return len(np.unique(positions_of(plan))) != prod(plan.shape)
    return any(
        source is None and size > 1 for source, size in zip(pieces.sources, plan.shape, strict=True)
    )


def _memory_by_strides(plan: Plan) -> tuple[int, ...] | None:
    steps = {abs(s) for size, s in zip(plan.shape, plan.strides, strict=True) if size > 1 and s}
    outer, memory = prod(plan.base.shape), []
    for step in sorted(steps | {1}, reverse=True):
        if outer % step:
            return None
        memory.append(outer // step)
        outer = step
    return tuple(memory)


def _match(memory: tuple[int, ...], plan: Plan) -> Pieces | None:
    strides = Layout(memory, tuple(range(len(memory)))).strides
    starts, rest = [], plan.offset
    for stride in strides:
        start, rest = divmod(rest, stride)
        starts.append(start)
    parts = [Axis(start, 1, 1) for start in starts]
    sources: list[int | None] = []
    free = {axis for axis, size in enumerate(memory) if size > 1}
    for size, stride in zip(plan.shape, plan.strides, strict=True):
        if size == 1 or stride == 0:
            sources.append(None)
            continue
        fitting = [axis for axis in free if stride % strides[axis] == 0]
        if not fitting:
            return None
        axis = max(fitting, key=lambda axis: strides[axis])
        step = stride // strides[axis]
        if not 0 <= starts[axis] + (size - 1) * step < memory[axis]:
            return None
        free.remove(axis)
        parts[axis] = Axis(starts[axis], size, step)
        sources.append(axis)
    return Pieces(memory, tuple(parts), tuple(sources))


def _laid_out(base: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Return a copy of `base` whose axes lie in memory in the order of `layout`."""
    in_memory = base.transpose(layout.order).copy(order="C")
    back = sorted(range(base.ndim), key=lambda axis: layout.order[axis])
    return in_memory.reshape([base.shape[axis] for axis in layout.order]).transpose(back)
