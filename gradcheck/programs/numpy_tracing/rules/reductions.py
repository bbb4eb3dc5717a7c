# ruff: noqa: ARG001 - a rule has the parameters of NumPy's function, and ignores some
"""Reductions, running totals, and what orders values: sort, argmax, median."""

from __future__ import annotations

import math
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck.programs.numpy_tracing.registry import LOOPS, lowers
from gradcheck.programs.numpy_tracing.rules.common import (
    axes_of,
    converted,
    kept,
    moved_last,
    reduced,
    reshaped,
    spread,
    truth,
)

_NOT_GIVEN = np._NoValue


def _masked(a: Any, where: Any, neutral: Any) -> Any:
    if where is True or where is _NOT_GIVEN:
        return a
    mask = spread(where, np.shape(a))
    return lax.select(mask, a, lax.full(np.shape(a), neutral, a.dtype))


def _reduce(
    result: Any, a: Any, axis: Any, where: Any, initial: Any, loop: Any, neutral: Any
) -> Any:
    a = _masked(converted(a, result.dtype), where, neutral)
    total = reduced(a, axis, loop, neutral)
    if initial is not _NOT_GIVEN and initial is not None:
        total = loop(total, np.asarray(initial, result.dtype))
    return kept(total, result)


@lowers(np.sum, arrays=("a", "where"))
def sum_(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = _NOT_GIVEN, where: Any = True,
) -> Any:  # fmt: skip
    return _reduce(result, a, axis, where, initial, lax.add, 0)


@lowers(math.fsum)
def fsum(result: Any, seq: Any) -> Any:
    return _reduce(result, seq, None, True, _NOT_GIVEN, lax.add, 0)


@lowers(np.prod, arrays=("a", "where"))
def prod_(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = _NOT_GIVEN, where: Any = True,
) -> Any:  # fmt: skip
    return _reduce(result, a, axis, where, initial, lax.mul, 1)


def _lowest(dtype: Any) -> Any:
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


def _highest(dtype: Any) -> Any:
    return np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max


@lowers(np.max, np.amax, arrays=("a", "where", "initial"))
def max_(
    result: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = _NOT_GIVEN, where: Any = True,
) -> Any:  # fmt: skip
    return _reduce(result, a, axis, where, initial, lax.max, _lowest(result.dtype))


@lowers(np.min, np.amin, arrays=("a", "where", "initial"))
def min_(
    result: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = _NOT_GIVEN, where: Any = True,
) -> Any:  # fmt: skip
    return _reduce(result, a, axis, where, initial, lax.min, _highest(result.dtype))


@lowers(np.any, arrays=("a", "where"))
def any_(
    result: Any,
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    return _reduce(result, truth(a), axis, where, None, lax.bitwise_or, False)


@lowers(np.all, arrays=("a", "where"))
def all_(
    result: Any,
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    return _reduce(result, truth(a), axis, where, None, lax.bitwise_and, True)


@lowers(np.count_nonzero)
def count_nonzero(result: Any, a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return kept(reduced(converted(truth(a), result.dtype), axis, lax.add, 0), result)


def _average(a: Any, axis: Any, where: Any, correction: Any = 0) -> Any:
    """Return the mean with reduced axes kept at size 1, and the number it was divided by."""
    axes = axes_of(axis, np.ndim(a))
    shape = [1 if i in axes else size for i, size in enumerate(np.shape(a))]
    total = reshaped(reduced(_masked(a, where, 0), axes, lax.add, 0), shape)
    count: Any = np.asarray(prod(np.shape(a)[axis] for axis in axes) - correction, a.dtype)
    if where is not True and where is not _NOT_GIVEN:
        mask = converted(spread(where, np.shape(a)), a.dtype)
        count = reshaped(reduced(mask, axes, lax.add, 0), shape)
        count = lax.sub(count, np.asarray(correction, a.dtype))
    return lax.div(total, count)


@lowers(np.mean, arrays=("a", "where"))
def mean(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    *, where: Any = True,
) -> Any:  # fmt: skip
    return kept(_average(converted(a, result.dtype), axis, where), result)


@lowers(np.var, arrays=("a", "where", "mean"))
def var(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    complex_input = jnp.iscomplexobj(a)
    a = a if complex_input else converted(a, result.dtype)
    centre = _average(a, axis, where) if mean is None or mean is _NOT_GIVEN else mean
    deviation = lax.sub(a, spread(centre, np.shape(a)))
    squares = (
        lax.add(lax.square(lax.real(deviation)), lax.square(lax.imag(deviation)))
        if complex_input
        else lax.square(deviation)
    )
    freedom = correction if correction not in (None, _NOT_GIVEN) else ddof
    return kept(_average(squares, axis, where, freedom), result)


@lowers(np.nanmean, arrays=("a", "where"))
def nanmean(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    *, where: Any = _NOT_GIVEN,
) -> Any:  # fmt: skip
    return kept(jnp.nanmean(_numbers_among(a, where), axis=axis), result)


@lowers(np.nanvar, arrays=("a", "where"))
def nanvar(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = _NOT_GIVEN,
) -> Any:  # fmt: skip
    return kept(jnp.nanvar(_numbers_among(a, where), axis=axis, ddof=ddof), result)


@lowers(np.nanstd, arrays=("a", "where"))
def nanstd(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = _NOT_GIVEN,
) -> Any:  # fmt: skip
    return lax.sqrt(nanvar(result, a, axis, ddof=ddof, where=where))


def _numbers_among(a: Any, where: Any) -> Any:
    """Return an array with NaN, which these functions pass over, outside the mask `where`."""
    return _masked(a, where, np.nan)


@lowers(np.std, arrays=("a", "where", "mean"))
def std(
    result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    return lax.sqrt(
        var(
            result,
            a,
            axis,
            dtype,
            out,
            ddof,
            keepdims,
            where=where,
            mean=mean,
            correction=correction,
        )
    )


def _running(result: Any, a: Any, axis: Any, along: Any) -> Any:
    a = converted(a, result.dtype)
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    return along(flat, axis=0 if axis is None else int(axis) % np.ndim(a))


@lowers(np.cumsum)
def cumsum(result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _running(result, a, axis, lax.cumsum)


@lowers(np.cumprod)
def cumprod(result: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _running(result, a, axis, lax.cumprod)


@lowers(np.maximum.accumulate)
def cummax(result: Any, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    return _running(result, array, axis, lax.cummax)


@lowers(np.minimum.accumulate)
def cummin(result: Any, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    return _running(result, array, axis, lax.cummin)


def _folding(ufunc: np.ufunc) -> None:
    @lowers(ufunc.reduce)
    def fold(
        result: Any, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
        keepdims: Any = False,
    ) -> Any:  # fmt: skip
        axes = axes_of(axis, np.ndim(array))
        rest = [i for i in range(np.ndim(array)) if i not in axes]
        rows = reshaped(
            lax.transpose(array, (*axes, *rest)),
            (prod(np.shape(array)[i] for i in axes), *(np.shape(array)[i] for i in rest)),
        )
        total = lax.index_in_dim(rows, 0, keepdims=False)
        for row in range(1, rows.shape[0]):
            total = LOOPS[ufunc](total, lax.index_in_dim(rows, row, keepdims=False))
        return kept(total, result)


for _ufunc in (
    np.logaddexp,
    np.logaddexp2,
    np.hypot,
    np.subtract,
    np.true_divide,
    np.fmax,
    np.fmin,
):
    _folding(_ufunc)


@lowers(np.argmax)
def argmax(result: Any, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    return kept(lax.argmax(flat, 0 if axis is None else axis % np.ndim(a), np.int64), result)


@lowers(np.argmin)
def argmin(result: Any, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    return kept(lax.argmin(flat, 0 if axis is None else axis % np.ndim(a), np.int64), result)


@lowers(np.sort)
def sort(
    result: Any, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    return lax.sort(flat, dimension=-1 if axis is None else axis)


@lowers(np.argsort)
def argsort(
    result: Any, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    along = (-1 if axis is None else axis) % flat.ndim
    places = lax.broadcasted_iota(np.int64, flat.shape, along)
    return lax.sort((flat, places), dimension=along, num_keys=1)[1]


@lowers(np.median)
def median(
    result: Any, a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False,
    keepdims: Any = False,
) -> Any:  # fmt: skip
    rows = lax.sort(moved_last(converted(a, result.dtype), axis), dimension=-1)
    count = rows.shape[-1]
    lower = lax.index_in_dim(rows, (count - 1) // 2, axis=-1, keepdims=False)
    upper = lax.index_in_dim(rows, count // 2, axis=-1, keepdims=False)
    return kept(lax.mul(lax.add(lower, upper), np.asarray(0.5, result.dtype)), result)


@lowers(np.quantile)
def quantile(
    result: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False,
    method: str = "linear", keepdims: Any = False,
) -> Any:  # fmt: skip
    return kept(
        jnp.quantile(a, np.asarray(q), axis=axis, method=method, keepdims=bool(keepdims)), result
    )


@lowers(np.percentile)
def percentile(
    result: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False,
    method: str = "linear", keepdims: Any = False,
) -> Any:  # fmt: skip
    share = np.asarray(q) / 100
    return quantile(result, a, share, axis, out, overwrite_input, method, keepdims)
