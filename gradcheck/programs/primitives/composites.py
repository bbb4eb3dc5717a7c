"""Primitives written in the elementary operations that every arithmetic has.

A maker takes the `Operation` and the arithmetic and returns a function of values. Whatever only
moves entries is lifted from plain arrays (`arithmetic.lift`); what computes goes through
`arithmetic.elementwise`, `sum`, `cumsum`, `matmul` and `scatter_add`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.indexing import scatter_places
from gradcheck.programs.primitives.substitution import SUBSTITUTIONS
from gradcheck.programs.primitives.windows import Windows, windows_of
from gradcheck.programs.unknown_functions import UNKNOWN, sample

__all__ = ["COMPOSITES"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def _reduce_sum(operation: Operation, arithmetic: Any) -> Function:
    axes = tuple(operation.parameters["axes"])
    return partial(arithmetic.sum, axes=axes)


def _cumsum(operation: Operation, arithmetic: Any) -> Function:
    axis = operation.parameters["axis"]
    if not operation.parameters["reverse"]:
        return partial(arithmetic.cumsum, axis=axis)
    flip = arithmetic.lift(lambda x: np.flip(x, axis))
    return lambda x: flip(arithmetic.cumsum(flip(x), axis=axis))


def _scanned(name: str) -> Callable[[Operation, Any], Function]:
    """Return the maker of a cumulative operation that combines neighbours by `name`."""

    def maker(operation: Operation, arithmetic: Any) -> Function:
        axis, reverse = operation.parameters["axis"], operation.parameters["reverse"]
        size = operation.inputs[0].shape[axis]
        order = range(size)[::-1] if reverse else range(size)
        combine = arithmetic.elementwise[name]
        pick = arithmetic.lift(lambda x, k: x.take(k, axis))
        stack = arithmetic.lift(lambda *parts: np.stack(parts, axis))

        def scan(x: Any) -> Any:
            if size == 0:
                return x
            parts = {order[0]: pick(x, order[0])}
            for before, here in pairwise(order):
                parts[here] = combine(parts[before], pick(x, here))
            return stack(*(parts[k] for k in range(size)))

        return scan

    return maker


def _reduce_prod(operation: Operation, arithmetic: Any) -> Function:
    shape, axes = operation.inputs[0].shape, tuple(operation.parameters["axes"])
    kept = [d for d in range(len(shape)) if d not in axes]
    size = int(np.prod([shape[d] for d in axes], dtype=np.int64))
    group = arithmetic.lift(
        lambda x: x.transpose(*axes, *kept).reshape(size, *(shape[d] for d in kept))
    )
    part = arithmetic.lift(lambda x, start, stop: x[start:stop])
    first = arithmetic.lift(lambda x: x[0])
    multiply = arithmetic.elementwise["mul"]
    one = arithmetic.constant(np.ones(operation.outputs[0].shape))

    def product(x: Any) -> Any:
        x, left = group(x), size
        if left == 0:
            return one
        odd = []
        while left > 1:
            half = left // 2
            if left % 2:
                odd.append(first(part(x, left - 1, left)))
            x, left = multiply(part(x, 0, half), part(x, half, 2 * half)), half
        result = first(x)
        for factor in odd:
            result = multiply(result, factor)
        return result

    return product


def _dot_general(operation: Operation, arithmetic: Any) -> Function:
    (left_sum, right_sum), (left_batch, right_batch) = operation.parameters["dimension_numbers"]
    left_shape, right_shape = (t.shape for t in operation.inputs[:2])
    shape = operation.outputs[0].shape
    if len(left_shape) == len(right_shape) == 2 and len(left_sum) == 1 and not left_batch:
        return _matrix_product(left_sum[0], right_sum[0], arithmetic)
    left = [d for d in range(len(left_shape)) if d not in (*left_sum, *left_batch)]
    right = [d for d in range(len(right_shape)) if d not in (*right_sum, *right_batch)]
    batch = tuple(left_shape[d] for d in left_batch)
    rows = int(np.prod([left_shape[d] for d in left], dtype=np.int64))
    inner = int(np.prod([left_shape[d] for d in left_sum], dtype=np.int64))
    columns = int(np.prod([right_shape[d] for d in right], dtype=np.int64))
    left_order, right_order = (*left_batch, *left, *left_sum), (*right_batch, *right_sum, *right)
    as_rows = arithmetic.lift(lambda a: a.transpose(left_order).reshape(*batch, rows, inner))
    as_columns = arithmetic.lift(lambda b: b.transpose(right_order).reshape(*batch, inner, columns))
    restore = arithmetic.lift(lambda c: c.reshape(shape))
    matmul = arithmetic.matmul
    return lambda a, b: restore(matmul(as_rows(a), as_columns(b)))


def _matrix_product(left_sum: int, right_sum: int, arithmetic: Any) -> Function:
    turned = arithmetic.lift(lambda x: x.T)
    matmul = arithmetic.matmul
    if left_sum == 1 and right_sum == 0:
        return lambda a, b: matmul(a, b)
    if left_sum == 1:
        return lambda a, b: matmul(a, turned(b))
    if right_sum == 0:
        return lambda a, b: matmul(turned(a), b)
    return lambda a, b: matmul(turned(a), turned(b))


def _conv_general_dilated(operation: Operation, arithmetic: Any) -> Function:
    """Multiply patches of the input by the kernel: one matrix product for each group."""
    p = operation.parameters
    names = p["dimension_numbers"]
    kernel_shape = tuple(operation.inputs[1].shape[d] for d in names.rhs_spec)
    windows = Windows(
        kernel_shape[2:], p["window_strides"], p["padding"], p["lhs_dilation"], p["rhs_dilation"]
    )
    feature_groups, batch_groups = p["feature_group_count"], p["batch_group_count"]
    groups = feature_groups * batch_groups
    spatial = len(windows.sizes)
    outputs = kernel_shape[0] // groups
    inner = int(np.prod(kernel_shape[1:], dtype=np.int64))
    inverse = tuple(int(d) for d in np.argsort(names.out_spec))
    out_shape = tuple(operation.outputs[0].shape[d] for d in names.out_spec)
    images = out_shape[0]
    # Axes of the patches: group, image, channel, positions..., window entries...
    positions = tuple(range(3, 3 + spatial))
    entries = tuple(range(3 + spatial, 3 + 2 * spatial))

    def patches(x: Array) -> Array:
        x = x.transpose(names.lhs_spec)
        if batch_groups > 1:
            x = x.reshape(batch_groups, images, *x.shape[1:])
        else:
            x = x.reshape(images, feature_groups, -1, *x.shape[2:]).swapaxes(0, 1)
        seen = windows.view(np.ascontiguousarray(x), np.zeros((), x.dtype))
        return seen.transpose(0, 1, *positions, 2, *entries).reshape(groups, -1, inner)

    def kernel(k: Array) -> Array:
        return k.transpose(names.rhs_spec).reshape(groups, outputs, inner).swapaxes(1, 2)

    def restore(c: Array) -> Array:
        c = c.reshape(groups, images, *out_shape[2:], outputs)
        c = np.moveaxis(c, (0, -1), (1, 2)).reshape(out_shape)
        return c.transpose(inverse)

    lift, matmul = arithmetic.lift, arithmetic.matmul
    patches, kernel, restore = lift(patches), lift(kernel), lift(restore)
    return lambda x, k: restore(matmul(patches(x), kernel(k)))


def _reduce_window_sum(operation: Operation, arithmetic: Any) -> Function:
    windows = windows_of(operation)
    axes = tuple(range(len(windows.sizes), 2 * len(windows.sizes)))
    view = arithmetic.lift(lambda x: windows.view(np.ascontiguousarray(x), np.zeros((), x.dtype)))
    return lambda x: arithmetic.sum(view(x), axes=axes)


def _scatter_add(operation: Operation, arithmetic: Any) -> Function:
    places = scatter_places(operation)

    def scatter_add(operand: Any, indices: Array, updates: Any) -> Any:
        return arithmetic.scatter_add(operand, *places(indices), updates)

    return scatter_add


def _scatter_mul(operation: Operation, arithmetic: Any) -> Function:
    places = scatter_places(operation)
    multiply = arithmetic.elementwise["mul"]
    pick = arithmetic.lift(lambda x, where: x.reshape(-1)[where])

    def put(x: Array, where: Array, entries: Array) -> Array:
        out = np.array(x, order="C")
        out.reshape(-1)[where] = entries
        return out

    put_lifted = arithmetic.lift(put)

    def scatter_mul(operand: Any, indices: Array, updates: Any) -> Any:
        where, inside = places(indices)
        order = np.arange(where.size) if inside is None else np.flatnonzero(inside)
        while order.size:
            # One update for each place at a time: a product has no add.at in other arithmetics.
            _, first = np.unique(where[order], return_index=True)
            now, order = order[first], np.delete(order, first)
            product = multiply(pick(operand, where[now]), pick(updates, now))
            operand = put_lifted(operand, where[now], product)
        return operand

    return scatter_mul


def _integer_pow(operation: Operation, arithmetic: Any) -> Function:
    exponent = operation.parameters["y"]
    multiply, divide = arithmetic.elementwise["mul"], arithmetic.elementwise["div"]
    one = arithmetic.constant(np.ones(()))

    def power(x: Any) -> Any:
        result, square, left = None, x, abs(exponent)
        while left:
            if left % 2:
                result = square if result is None else multiply(result, square)
            left //= 2
            if left:
                square = multiply(square, square)
        if result is None:
            return arithmetic.constant(np.ones(operation.outputs[0].shape))
        return divide(one, result) if exponent < 0 else result

    return power


def _square(_: Operation, arithmetic: Any) -> Function:
    multiply = arithmetic.elementwise["mul"]
    return lambda x: multiply(x, x)


def _add(_: Operation, arithmetic: Any) -> Function:
    add = arithmetic.elementwise["add"]
    return lambda x, y: add(x, y)


COMPOSITES: dict[str, Callable[[Operation, Any], Function]] = {
    "add_any": _add,
    "conv_general_dilated": _conv_general_dilated,
    "cumlogsumexp": _scanned("logaddexp"),
    "cumprod": _scanned("mul"),
    "cumsum": _cumsum,
    "dot_general": _dot_general,
    "integer_pow": _integer_pow,
    "reduce_prod": _reduce_prod,
    "reduce_sum": _reduce_sum,
    "reduce_window_sum": _reduce_window_sum,
    "scatter-add": _scatter_add,
    "scatter-mul": _scatter_mul,
    "scatter_add": _scatter_add,
    "scatter_mul": _scatter_mul,
    "square": _square,
    UNKNOWN: sample,
} | SUBSTITUTIONS
