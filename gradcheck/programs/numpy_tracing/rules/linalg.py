# ruff: noqa: ARG001 - a rule has the parameters of NumPy's function, and ignores some
"""Products of matrices, and linear algebra."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck.programs.numpy_tracing.registry import lowers
from gradcheck.programs.numpy_tracing.rules.common import converted, reshaped, spread

__all__: list[str] = []


def _contracted(x: Any, y: Any, over: Any, batch: Any = ((), ())) -> Any:
    return lax.dot_general(x, y, (over, batch))


@lowers(np.dot, arrays=("a", "b"))
def dot(result: Any, a: Any, b: Any, out: Any = None) -> Any:
    a, b = converted(a, result.dtype), converted(b, result.dtype)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return lax.mul(spread(a, result.shape), spread(b, result.shape))
    return _contracted(a, b, ((np.ndim(a) - 1,), (max(np.ndim(b) - 2, 0),)))


@lowers(np.inner, arrays=("a", "b"))
def inner(result: Any, a: Any, b: Any) -> Any:
    a, b = converted(a, result.dtype), converted(b, result.dtype)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return lax.mul(spread(a, result.shape), spread(b, result.shape))
    return _contracted(a, b, ((np.ndim(a) - 1,), (np.ndim(b) - 1,)))


@lowers(np.vdot, arrays=("a", "b"))
def vdot(result: Any, a: Any, b: Any) -> Any:
    a, b = (reshaped(converted(part, result.dtype), (np.size(part),)) for part in (a, b))
    if np.issubdtype(result.dtype, np.complexfloating):
        a = lax.conj(a)
    return _contracted(a, b, ((0,), (0,)))


@lowers(np.outer, arrays=("a", "b"))
def outer(result: Any, a: Any, b: Any, out: Any = None) -> Any:
    a = reshaped(converted(a, result.dtype), (np.size(a), 1))
    return lax.mul(
        spread(a, result.shape),
        spread(reshaped(converted(b, result.dtype), (1, np.size(b))), result.shape),
    )


@lowers(np.matmul, arrays=("x1", "x2"))
def matmul(result: Any, x1: Any, x2: Any, out: Any = None, *, dtype: Any = None) -> Any:
    x, y = converted(x1, result.dtype), converted(x2, result.dtype)
    if np.ndim(y) <= 2:
        return _contracted(x, y, ((np.ndim(x) - 1,), (max(np.ndim(y) - 2, 0),)))
    if np.ndim(x) == 1:
        return reshaped(_batched(reshaped(x, (1, np.size(x))), y), result.shape)
    return _batched(x, y)


def _batched(x: Any, y: Any) -> Any:
    batch = np.broadcast_shapes(np.shape(x)[:-2], np.shape(y)[:-2])
    x, y = (spread(part, (*batch, *np.shape(part)[-2:])) for part in (x, y))
    axes = tuple(range(len(batch)))
    return _contracted(x, y, ((len(batch) + 1,), (len(batch),)), (axes, axes))


@lowers(np.vecdot, arrays=("x1", "x2"))
def vecdot(result: Any, x1: Any, x2: Any, out: Any = None, *, dtype: Any = None) -> Any:
    return jnp.vecdot(x1, x2)


def matvec(result: Any, x1: Any, x2: Any, out: Any = None, *, dtype: Any = None) -> Any:
    return jnp.matvec(x1, x2)


def vecmat(result: Any, x1: Any, x2: Any, out: Any = None, *, dtype: Any = None) -> Any:
    return jnp.vecmat(x1, x2)


if hasattr(np, "matvec"):  # NumPy 2.2
    lowers(np.matvec, arrays=("x1", "x2"))(matvec)
    lowers(np.vecmat, arrays=("x1", "x2"))(vecmat)


@lowers(np.einsum)
def einsum(result: Any, *operands: Any, optimize: Any = False, dtype: Any = None) -> Any:
    if isinstance(operands[0], str) and len(operands) == 3:
        product = _einsum_of_two(operands[0].replace(" ", ""), *operands[1:])
        if product is not None:
            return product
    return jnp.einsum(*operands)


def _einsum_of_two(subscripts: str, x: Any, y: Any) -> Any:
    """Return a plain product of two operands by one `dot_general`, or None if it is not plain."""
    inputs, arrow, output = subscripts.partition("->")
    left, right = inputs.split(",")
    plain = "." not in subscripts and all(len(set(s)) == len(s) for s in (left, right, output))
    alone = (set(left) ^ set(right)) - set(output)
    if not arrow or not plain or alone:
        return None
    shared = [s for s in left if s in right]
    if any(np.shape(x)[left.index(s)] != np.shape(y)[right.index(s)] for s in shared):
        return None
    batch = [s for s in shared if s in output]
    over = [s for s in shared if s not in output]
    dtype = np.result_type(x.dtype, y.dtype)
    product = _contracted(
        converted(x, dtype),
        converted(y, dtype),
        (tuple(left.index(s) for s in over), tuple(right.index(s) for s in over)),
        (tuple(left.index(s) for s in batch), tuple(right.index(s) for s in batch)),
    )
    order = batch + [s for s in left if s not in shared] + [s for s in right if s not in shared]
    return lax.transpose(product, [order.index(s) for s in output])


@lowers(np.convolve, arrays=("a", "v"))
def convolve(result: Any, a: Any, v: Any, mode: str = "full") -> Any:
    return jnp.convolve(a, v, mode)


@lowers(np.correlate, arrays=("a", "v"))
def correlate(result: Any, a: Any, v: Any, mode: str = "valid") -> Any:
    return jnp.correlate(a, v, mode)


@lowers(np.linalg.inv)
def inv(result: Any, a: Any) -> Any:
    return jnp.linalg.inv(a)


@lowers(np.linalg.solve, arrays=("a", "b"))
def solve(result: Any, a: Any, b: Any) -> Any:
    return jnp.linalg.solve(converted(a, result.dtype), converted(b, result.dtype))


@lowers(np.linalg.det)
def det(result: Any, a: Any) -> Any:
    return jnp.linalg.det(a)


@lowers(np.linalg.slogdet)
def slogdet(result: Any, a: Any) -> Any:
    return tuple(jnp.linalg.slogdet(a))


def _symmetric(a: Any, upper: bool) -> Any:
    """Return the symmetric matrix of one triangle, the only one that NumPy looks at."""
    triangle, rest = (jnp.triu(a), jnp.triu(a, 1)) if upper else (jnp.tril(a), jnp.tril(a, -1))
    return lax.add(triangle, jnp.conj(jnp.swapaxes(rest, -1, -2)))


@lowers(np.linalg.cholesky)
def cholesky(result: Any, a: Any, /, *, upper: bool = False) -> Any:
    factor = lax.linalg.cholesky(_symmetric(a, upper), symmetrize_input=False)
    return jnp.conj(jnp.swapaxes(factor, -1, -2)) if upper else factor


@lowers(np.linalg.eigh)
def eigh(result: Any, a: Any, UPLO: str = "L") -> Any:
    return tuple(jnp.linalg.eigh(_symmetric(a, UPLO.upper() == "U"), symmetrize_input=False))


@lowers(np.linalg.eigvalsh)
def eigvalsh(result: Any, a: Any, UPLO: str = "L") -> Any:
    return eigh(result, a, UPLO)[0]


@lowers(np.linalg.svd)
def svd(
    result: Any,
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
) -> Any:
    parts = jnp.linalg.svd(a, full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(parts) if compute_uv else parts


@lowers(np.linalg.qr)
def qr(result: Any, a: Any, mode: str = "reduced") -> Any:
    parts = jnp.linalg.qr(a, mode=mode)
    return parts if mode == "r" else tuple(parts)


@lowers(np.linalg.pinv)
def pinv(
    result: Any, a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> Any:
    return jnp.linalg.pinv(a, rtol=rtol if rtol is not None else rcond)
