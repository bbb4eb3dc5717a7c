"""Views and writes through them: random programs against NumPy, and plans against memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing.memory import (
    layout_of,
    pieces_of,
    plan_of,
    positions_of,
    read,
    write,
)
from gradcheck.programs.numpy_tracing.rules.memory import read_, write_
from gradcheck.programs.tracing import trace

SHAPES = [(4, 3), (2, 3, 2), (6,), (1, 4), (3, 2, 1, 2)]

Step = tuple[str, int, int, int]


def view_of(array: Any, what: str, a: int, b: int) -> Any:
    """Return another view of an array (or a copy, where NumPy cannot do it by a view)."""
    axis, other = (a % array.ndim, b % array.ndim) if array.ndim else (0, 0)
    match what:
        case "slice" if array.ndim:
            size = max(1, array.shape[axis])
            start, step = a % size, (1, 2, -1, -2)[b % 4]
            return array[(slice(None),) * axis + (slice(start, None, step),)]
        case "element" if array.ndim > 1 and array.shape[axis]:
            return array[(slice(None),) * axis + (b % array.shape[axis],)]
        case "transpose":
            return array.T
        case "swapaxes" if array.ndim:
            return array.swapaxes(axis, other)
        case "ravel":
            return array.ravel("CFAK"[a % 4])
        case "reshape":
            halves = (2, -1) if array.size % 2 == 0 and array.size else (1, -1)
            return array.reshape(halves if array.size else (0,), order="CF"[b % 2])
        case "newaxis":
            return array[..., None] if a % 2 else np.expand_dims(array, 0)
        case "flip":
            return np.flip(array, axis) if array.ndim else array
        case "diagonal" if array.ndim > 1:
            return array.diagonal()
        case "squeeze":
            return np.squeeze(array)
        case "flat view" if array.flags.c_contiguous:
            return array.reshape(-1)
    return array


def change(array: Any, what: str, other: Any, a: int) -> Any:
    """Write to an array in place, or compute a new one; return what to keep."""
    match what:
        case "fill":
            array[...] = other.ravel()[a % other.size] if other.size else 2.0
        case "scale":
            array *= 1.5
        case "add itself":
            array += array
        case "add other" if other.shape == array.shape:
            array += other
        case "assign part" if array.ndim and len(array) > 1:
            array[1:] = array[:-1]
        case "assign last" if array.ndim and len(array):
            array[-1] = 7.0
        case "assign fancy" if array.ndim and len(array) > 1:
            array[[0, len(array) - 1, 0]] = array[[1, 0, 0]] * 2
        case "mask" if array.ndim:
            array[np.arange(len(array)) % 2 == 0] = 3.0
        case "add at" if array.ndim and len(array):
            np.add.at(array, [0, a % len(array), 0], 1.0)
        case "out":
            np.multiply(array, 0.5, out=array)
        case "new":
            return array * 2 + 1
        case "copy":
            return array.copy()
        case "keep order":
            return np.exp(-array * array)
    return array


VIEWS = [
    "slice", "element", "transpose", "swapaxes", "ravel", "reshape", "newaxis", "flip", "diagonal",
    "squeeze", "flat view",
]  # fmt: skip
CHANGES = [
    "fill", "scale", "add itself", "add other", "assign part", "assign last", "assign fancy",
    "mask", "add at", "out", "new", "copy", "keep order",
]  # fmt: skip

steps = st.tuples(
    st.sampled_from(VIEWS + CHANGES), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)
)


def run(program: list[Step], x: Any) -> list[Any]:
    """Interpret a program; every array it ever made is an output."""
    arrays = [x, np.zeros(x.shape)]
    for what, which, a, b in program:
        array = arrays[which % len(arrays)]
        if what in VIEWS:
            arrays.append(view_of(array, what, a, b))
        elif array.flags.writeable:
            kept = change(array, what, arrays[a % len(arrays)], b)
            if kept is not array:
                arrays.append(kept)
    return arrays


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SHAPES), st.lists(steps, max_size=12), st.integers(0, 2**32 - 1))
def test_a_random_program_of_views_and_writes_gives_what_numpy_gives(
    shape: tuple[int, ...], program: list[Step], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, fresh = rng.normal(size=shape), rng.normal(size=shape)
    traced = trace(lambda x: run(program, x), (x,))
    assert traced.guards == ()
    for point in (x, fresh):
        expected = run(program, point.copy())
        for ours in (evaluate(traced.jaxpr, [point]), traced.replay((point,))):
            for mine, theirs in zip(ours, expected, strict=True):
                assert np.shape(mine) == np.shape(theirs)
                np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-13)


def a_view(base: Any, moves: list[tuple[str, int, int]]) -> Any:
    view = base
    for what, a, b in moves:
        moved = view_of(view, what, a, b)
        view = moved if np.shares_memory(moved, base) else view
    return view


moves = st.lists(
    st.tuples(st.sampled_from(VIEWS), st.integers(0, 9), st.integers(0, 9)), max_size=5
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SHAPES), st.permutations([0, 1, 2, 3]), moves)
def test_reading_and_writing_by_a_plan_is_reading_and_writing_the_view(
    shape: tuple[int, ...], order: list[int], moves: list[tuple[str, int, int]]
) -> None:
    axes = [axis for axis in order if axis < len(shape)]
    memory = np.arange(float(np.prod(shape))).reshape([shape[axis] for axis in axes])
    base = memory.transpose(np.argsort(axes)).copy(order="K")
    layout = layout_of(base)
    assert layout is not None
    view = a_view(base, moves)
    plan = plan_of(view, base, layout)
    flat = base.transpose(layout.order).reshape(-1)
    assert np.array_equal(flat[positions_of(plan)], view)
    assert np.array_equal(read(base, plan), view)
    with enable_x64():
        import jax

        seen = jax.make_jaxpr(lambda base: read_(None, base, plan))(base)
        assert np.array_equal(evaluate(seen, [base])[0], view)
        written = jax.make_jaxpr(lambda base, v: write_(None, base, v, plan))(base, -view)
        (after,) = evaluate(written, [base, -view])
    assert np.array_equal(write(base, -view, plan), after)
    view.flags.writeable = True  # a diagonal is not, by default
    view[...] = -view
    assert np.array_equal(base, after)


def test_a_plan_of_slices_and_transposes_needs_no_gather() -> None:
    base = np.zeros((4, 6, 2))
    layout = layout_of(base)
    assert layout is not None
    for view in (
        base.T[:, ::-2],
        base[1:3, None, 4],
        base.reshape(2, 2, 3, 4)[:, 1].swapaxes(0, 2),
    ):
        assert pieces_of(plan_of(view, base, layout)) is not None
    assert pieces_of(plan_of(base[..., 0].diagonal(), base, layout)) is None


def test_an_update_of_a_transposed_operand_reaches_the_result() -> None:
    """A copy that keeps the memory order would take the update into a temporary."""

    def counts(x: Any) -> Any:
        view = x.T
        np.add.at(view, [0, 0, 0], 1.0)
        return x

    program = trace(counts, (np.zeros((2, 3)),))
    expected = np.array([[3.0, 0, 0], [3, 0, 0]])
    np.testing.assert_array_equal(evaluate(program.jaxpr, [np.zeros((2, 3))])[0], expected)
