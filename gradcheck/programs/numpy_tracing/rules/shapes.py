# ruff: noqa: ARG001 - a rule has the parameters of NumPy's function, and ignores some
"""Functions that move values about: reshape, join, repeat, pad, choose."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck.programs.numpy_tracing.registry import lowers, viewing
from gradcheck.programs.numpy_tracing.rules.common import converted, picked, reshaped, spread, truth

__all__: list[str] = []

viewing(
    np.transpose,
    np.permute_dims,
    np.matrix_transpose,
    np.swapaxes,
    np.moveaxis,
    np.rollaxis,
    np.expand_dims,
    np.squeeze,
    np.diagonal,
    np.flip,
    np.fliplr,
    np.flipud,
    np.rot90,
    np.split,
    np.array_split,
    np.hsplit,
    np.vsplit,
    np.dsplit,
    np.lib.stride_tricks.sliding_window_view,
    np.lib.stride_tricks.as_strided,
)


@lowers(np.reshape, may_view=True)
def reshape(
    result: Any,
    a: Any,
    shape: Any = None,
    order: str = "C",
    *,
    copy: Any = None,
    newshape: Any = None,
) -> Any:
    if order == "C":
        return reshaped(a, result.shape)
    backwards = lax.transpose(a, range(np.ndim(a))[::-1])
    return lax.transpose(reshaped(backwards, result.shape[::-1]), range(len(result.shape))[::-1])


@lowers(np.ravel, may_view=True)
def ravel(result: Any, a: Any, order: str = "C") -> Any:
    return reshape(result, a, order=order)


@lowers(np.broadcast_to, may_view=True)
def broadcast_to(result: Any, array: Any, shape: Any = None, subok: Any = False) -> Any:
    return spread(array, result.shape)


@lowers(np.broadcast_arrays, may_view=True)
def broadcast_arrays(result: Any, *args: Any, subok: Any = False) -> Any:
    return [spread(part, kind.shape) for part, kind in zip(args, result, strict=True)]


@lowers(np.atleast_1d, np.atleast_2d, np.atleast_3d, may_view=True)
def atleast(result: Any, *arys: Any) -> Any:
    if len(arys) == 1:
        return reshaped(arys[0], result.shape)
    return [reshaped(part, kind.shape) for part, kind in zip(arys, result, strict=True)]


@lowers(np.copy)
def copy(result: Any, a: Any, order: str = "K", subok: Any = False) -> Any:
    return a


@lowers(np.real, may_view=True)
def real(result: Any, val: Any) -> Any:
    return lax.real(val) if jnp.iscomplexobj(val) else val


@lowers(np.imag)
def imag(result: Any, val: Any) -> Any:
    return lax.imag(val) if jnp.iscomplexobj(val) else lax.full_like(val, 0)


def _joined(parts: Any, result: Any, axis: int) -> Any:
    same = [converted(part, result.dtype) for part in parts]
    return lax.concatenate(same, axis % len(result.shape))


@lowers(np.concatenate, sequences=("arrays",))
def concatenate(
    result: Any,
    arrays: Any,
    axis: Any = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = None,
) -> Any:
    if axis is None:
        return _joined([reshaped(part, (np.size(part),)) for part in arrays], result, 0)
    return _joined(arrays, result, axis)


@lowers(np.stack, sequences=("arrays",))
def stack(
    result: Any,
    arrays: Any,
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = None,
) -> Any:
    shape = list(result.shape)
    shape[axis] = 1
    return _joined([reshaped(part, shape) for part in arrays], result, axis)


@lowers(np.repeat)
def repeat(result: Any, a: Any, repeats: Any, axis: Any = None) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    along = 0 if axis is None else axis % np.ndim(a)
    return picked(flat, np.repeat(np.arange(np.shape(flat)[along]), repeats), along)


@lowers(np.tile)
def tile(result: Any, A: Any, reps: Any) -> Any:
    return jnp.tile(A, reps)


@lowers(np.roll)
def roll(result: Any, a: Any, shift: Any, axis: Any = None) -> Any:
    return jnp.roll(a, shift, axis)


@lowers(np.pad)
def pad(result: Any, array: Any, pad_width: Any, mode: Any = "constant", **settings: Any) -> Any:
    return jnp.pad(array, pad_width, mode, **settings)


@lowers(np.where, arrays=("condition", "x", "y"))
def where(result: Any, condition: Any, x: Any, y: Any) -> Any:
    mask = spread(truth(condition), result.shape)
    x, y = (spread(converted(part, result.dtype), result.shape) for part in (x, y))
    return lax.select(mask, x, y)


@lowers(np.clip, arrays=("a", "a_min", "a_max", "min", "max"))
def clip(
    result: Any, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *,
    min: Any = None, max: Any = None, dtype: Any = None,
) -> Any:  # fmt: skip
    lower = min if _is_bound(min) else a_min
    upper = max if _is_bound(max) else a_max
    value = spread(converted(a, result.dtype), result.shape)
    if _is_bound(lower):
        value = lax.max(value, spread(converted(lower, result.dtype), result.shape))
    if _is_bound(upper):
        value = lax.min(value, spread(converted(upper, result.dtype), result.shape))
    return value


def _is_bound(value: Any) -> bool:
    return value is not None and value is not np._NoValue


@lowers(np.round, np.around)
def round_(result: Any, a: Any, decimals: int = 0, out: Any = None) -> Any:
    return jnp.round(a, decimals)


@lowers(np.take)
def take(
    result: Any, a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise"
) -> Any:
    flat = reshaped(a, (np.size(a),)) if axis is None else a
    along = 0 if axis is None else axis % np.ndim(a)
    size = np.shape(flat)[along]
    chosen = np.clip(indices, 0, size - 1) if mode == "clip" else np.asarray(indices) % size
    return picked(flat, chosen, along)


@lowers(np.trace)
def trace(
    result: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
    out: Any = None,
) -> Any:  # fmt: skip
    return jnp.trace(converted(a, result.dtype), offset, axis1, axis2)


@lowers(np.interp, arrays=("x", "xp", "fp"))
def interp(
    result: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    return jnp.interp(x, xp, fp, left, right, period)


@lowers(np.searchsorted, arrays=("a", "v"))
def searchsorted(result: Any, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return jnp.searchsorted(a, v, side=side, sorter=sorter)
