"""Factorisations and triangular systems, by LAPACK, for NumPy's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation

__all__ = ["FACTORISATIONS", "each_matrix"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def each_matrix(function: Function, *stacks: Array) -> list[Array]:
    """Apply `function` to corresponding matrices of equally shaped stacks; stack each result."""
    batch = stacks[0].shape[:-2]
    flat = [stack.reshape(-1, *stack.shape[-2:]) for stack in stacks]
    columns = zip(*(function(*matrices) for matrices in zip(*flat, strict=True)), strict=True)
    return [np.stack(results).reshape((*batch, *np.shape(results[0]))) for results in columns]


def _cholesky(_: Operation) -> Function:
    def cholesky(a: Array) -> Array:
        try:
            return np.asarray(np.linalg.cholesky(a))
        except np.linalg.LinAlgError:
            # XLA answers NaN for a matrix that has no factor.
            return each_matrix(_factor_or_nan, a)[0]

    return cholesky


def _factor_or_nan(a: Array) -> tuple[Array]:
    try:
        return (np.linalg.cholesky(a),)
    except np.linalg.LinAlgError:
        return (np.full_like(a, np.nan),)


def _lu(_: Operation) -> Function:
    def factors(a: Array) -> tuple[Array, Array, Array]:
        from scipy.linalg import lapack

        (getrf,) = lapack.get_lapack_funcs(("getrf",), (a,))
        lu, pivots, _ = getrf(a)
        permutation = np.arange(a.shape[0])
        for row, other in enumerate(pivots):
            permutation[[row, other]] = permutation[[other, row]]
        return lu, pivots.astype(np.int32), permutation.astype(np.int32)

    return lambda a: each_matrix(factors, a)


def _triangular_solve(operation: Operation) -> Function:
    p = operation.parameters

    def solve(a: Array, b: Array) -> Array:
        from scipy.linalg import lapack

        (trtrs,) = lapack.get_lapack_funcs(("trtrs",), (a, b))
        if p["conjugate_a"]:
            a = a.conj()
        # X A = B is Aᵀ Xᵀ = Bᵀ.
        transposed = p["transpose_a"] == p["left_side"]
        right = b if p["left_side"] else b.T
        x, _ = trtrs(a, right, lower=p["lower"], trans=int(transposed), unitdiag=p["unit_diagonal"])
        return np.asarray(x if p["left_side"] else x.T)

    def triangular_solve(a: Array, b: Array) -> Array:
        if 0 in b.shape:
            return b
        return each_matrix(lambda a, b: (solve(a, b),), a, b)[0]

    return triangular_solve


FACTORISATIONS: dict[str, Callable[[Operation], Function]] = {
    "cholesky": _cholesky,
    "lu": _lu,
    "triangular_solve": _triangular_solve,
}
