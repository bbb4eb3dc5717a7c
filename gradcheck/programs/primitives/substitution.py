"""Triangular systems and factorisations, row by row, in any arithmetic.

Python loops over rows: for the small matrices of checks in arithmetics that LAPACK does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation

__all__ = ["SUBSTITUTIONS"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def _triangular_solve(operation: Operation, arithmetic: Any) -> Function:
    p = operation.parameters
    subtract, divide = (arithmetic.elementwise[name] for name in ("sub", "div"))
    lift, matmul = arithmetic.lift, arithmetic.matmul
    swap = lift(lambda x: np.swapaxes(x, -1, -2))
    reverse_both = lift(lambda x: x[..., ::-1, ::-1])
    reverse_rows = lift(lambda x: x[..., ::-1, :])
    row = lift(lambda x, i: x[..., i : i + 1, :])
    before = lift(lambda a, i: a[..., i : i + 1, :i])
    diagonal = lift(lambda a, i: a[..., i : i + 1, i : i + 1])
    join = lift(lambda *rows: np.concatenate(rows, -2))
    size = operation.inputs[0].shape[-1]
    # X A = B is Aᵀ Xᵀ = Bᵀ.
    transposed = p["transpose_a"] == p["left_side"]
    lower = p["lower"] != transposed

    def solve_lower(a: Any, b: Any) -> Any:
        rows: list[Any] = []
        for i in range(size):
            x = row(b, i)
            if rows:
                x = subtract(x, matmul(before(a, i), join(*rows)))
            rows.append(x if p["unit_diagonal"] else divide(x, diagonal(a, i)))
        return join(*rows)

    def triangular_solve(a: Any, b: Any) -> Any:
        if 0 in operation.inputs[1].shape:
            return b
        a = swap(a) if transposed else a
        b = b if p["left_side"] else swap(b)
        x = (
            solve_lower(a, b)
            if lower
            else reverse_rows(solve_lower(reverse_both(a), reverse_rows(b)))
        )
        return x if p["left_side"] else swap(x)

    return triangular_solve


def _cholesky(operation: Operation, arithmetic: Any) -> Function:
    subtract, divide, root = (arithmetic.elementwise[name] for name in ("sub", "div", "sqrt"))
    lift, matmul = arithmetic.lift, arithmetic.matmul
    size = operation.inputs[0].shape[-1]
    column = lift(lambda a, j: a[..., j:, j : j + 1])
    left_of = lift(lambda done, j: done[..., j:, :j])
    left_row = lift(lambda done, j: np.swapaxes(done[..., j : j + 1, :j], -1, -2))
    first = lift(lambda c: c[..., :1, :])
    pad_above = lift(lambda c, j: _zeros_above(c, j))
    join = lift(lambda *columns: np.concatenate(columns, -1))

    def cholesky(a: Any) -> Any:
        columns: list[Any] = []
        for j in range(size):
            c = column(a, j)
            if columns:
                done = join(*columns)
                c = subtract(c, matmul(left_of(done, j), left_row(done, j)))
            columns.append(pad_above(divide(c, root(first(c))), j))
        return join(*columns)

    return cholesky


def _zeros_above(column: Array, count: int) -> Array:
    shape = (*column.shape[:-2], count, 1)
    return np.concatenate([np.zeros(shape, column.dtype), column], -2)


def _lu(operation: Operation, arithmetic: Any) -> Function:
    """Factor each matrix by Gaussian elimination with the pivots of largest companion."""
    subtract, multiply, divide = (arithmetic.elementwise[name] for name in ("sub", "mul", "div"))
    lift = arithmetic.lift
    shape = operation.inputs[0].shape
    rows, columns = shape[-2:]
    batch = shape[:-2]
    count = int(np.prod(batch, dtype=np.int64))
    matrix = lift(lambda a, k: a.reshape(count, rows, columns)[k])
    reorder = lift(lambda a, order: a[order])
    part = lift(lambda a, i, j: a[i, j])
    pivot_row = lift(lambda a, k: a[k : k + 1, k + 1 :])
    join = lift(lambda a, below, rest, k: _eliminated(a, below, rest, k))
    restore = lift(lambda *parts: np.stack(parts).reshape(shape))

    def factor(a: Any) -> tuple[Any, Array, Array]:
        pivots, permutation = [], np.arange(rows)
        for k in range(min(rows, columns)):
            size = np.abs(arithmetic.companion(part(a, slice(k, None), k)))
            chosen = k + int(np.argmax(size))
            order = np.arange(rows)
            order[[k, chosen]] = order[[chosen, k]]
            a, permutation = reorder(a, order), permutation[order]
            pivots.append(chosen)
            below = divide(part(a, slice(k + 1, None), slice(k, k + 1)), part(a, k, k))
            rest = part(a, slice(k + 1, None), slice(k + 1, None))
            a = join(a, below, subtract(rest, multiply(below, pivot_row(a, k))), k)
        return a, np.array(pivots, np.int32), permutation.astype(np.int32)

    def lu(a: Any) -> list[Any]:
        factors, pivots, permutations = zip(
            *(factor(matrix(a, k)) for k in range(count)), strict=True
        )
        return [
            restore(*factors),
            np.stack(pivots).reshape((*batch, -1)),
            np.stack(permutations).reshape((*batch, -1)),
        ]

    return lu


def _eliminated(a: Array, below: Array, rest: Array, k: int) -> Array:
    out = np.array(a)
    out[k + 1 :, k : k + 1] = below
    out[k + 1 :, k + 1 :] = rest
    return out


SUBSTITUTIONS: dict[str, Callable[[Operation, Any], Function]] = {
    "cholesky": _cholesky,
    "lu": _lu,
    "triangular_solve": _triangular_solve,
}
