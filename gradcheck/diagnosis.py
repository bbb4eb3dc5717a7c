"""Where and why a gradient is wrong: the relation of the claim to the truth, in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["explain", "explain_shape"]

Array = NDArray[Any]

RELATION_TOLERANCE = 1e-7
"""The relative deviation within which a relation, such as claimed = 2 * true, is called exact.

It is coarser than the oracles' errors at a failing point and finer than any two of the factors that
are tried; a relation is a hint beside the verdict and never decides."""

SMOOTHING_TOLERANCE = 0.01
"""The same for the eps of a smoothed input: a deviation of 1e-7 is known to no more than a few digits."""

SMALL_EPS = 0.01
"""The largest eps, relative to the smallest input: a larger one is a shift that does more than smooth."""

COMMON_FACTORS = (2.0, 0.5, 3.0, 1 / 3, 4.0, 0.25)
"""Factors that come from a lost or doubled 1/2, 1/3 or square."""


def explain(
    claimed: Array, true: Array, sizes: Mapping[str, int], value: Array | None = None
) -> str:
    """Say in one sentence how a claimed gradient relates to the true one; empty if nothing fits.

    Args:
        claimed: the claimed gradient.
        true: the true gradient, of the same shape.
        sizes: the named dimensions at this point, tried as factors.
        value: the input, of the same shape, where a relation to it is sought as well.

    >>> explain(np.array([2.0, 4.0]), np.array([1.0, 2.0]), {})
    'claimed = true × 2: a factor is wrong'
    >>> explain(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([[0.0, 2.0], [1.0, 0.0]]), {})
    'claimed equals the transpose of the true gradient'
    """
    if claimed.shape != true.shape or not claimed.size:
        return ""
    if not np.all(np.isfinite(claimed)):
        return "claimed is not finite where the true gradient is"
    if not np.all(np.isfinite(true)):
        return ""
    if not np.any(claimed):
        return "claimed is zero: the gradient was never computed or was overwritten"
    if _close(claimed, -true):
        return "claimed = −true: the sign is wrong"
    if claimed.ndim == 2 and claimed.shape[0] == claimed.shape[1] and _close(claimed, true.T):
        return "claimed equals the transpose of the true gradient"
    return (
        _factor(claimed, true, sizes)
        or _part(claimed, true)
        or _order(claimed, true)
        or _smoothing(claimed, true, value)
    )


def explain_shape(
    actual: tuple[int, ...], expected: tuple[int, ...], sizes: Mapping[str, int]
) -> str:
    """Say in one clause how a gradient of shape `actual` comes to be no gradient of `expected`.

    >>> explain_shape((4, 3), (3,), {"N": 4, "M": 3})
    'the sum over axis 0 (N = 4) is missing'
    """
    if len(actual) > 1 and actual[::-1] == expected:
        return "it is transposed"
    if len(actual) > len(expected):
        for kept in itertools.combinations(range(len(actual)), len(expected)):
            if tuple(actual[axis] for axis in kept) == expected:
                lost = [axis for axis in range(len(actual)) if axis not in kept]
                axes = ", ".join(f"{axis}{_named(actual[axis], sizes)}" for axis in lost)
                return f"the sum over {'axis' if len(lost) == 1 else 'axes'} {axes} is missing"
    if len(actual) == len(expected):
        wide = [axis for axis in range(len(actual)) if expected[axis] == 1 != actual[axis]]
        if wide and all(a == e for a, e in zip(actual, expected, strict=True) if e != 1):
            axes = ", ".join(f"{axis}{_named(actual[axis], sizes)}" for axis in wide)
            return f"the sum over the broadcast {'axis' if len(wide) == 1 else 'axes'} {axes} is missing"
    if len(actual) < len(expected):
        return "it was summed over an axis too many"
    return ""


def _named(size: int, sizes: Mapping[str, int]) -> str:
    names = [name for name, value in sizes.items() if value == size]
    return f" ({names[0]} = {size})" if names else ""


def _close(one: Array, other: Array) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.all(np.abs(one - other) <= RELATION_TOLERANCE * np.abs(other)))


def _factor(claimed: Array, true: Array, sizes: Mapping[str, int]) -> str:
    support = true != 0
    if not np.any(support):
        return ""
    ratio = float(np.real(claimed[support].flat[0] / true[support].flat[0]))
    if not np.isfinite(ratio) or ratio == 0 or not _close(claimed, ratio * true):
        return ""
    for name, size in sizes.items():
        if size > 1 and np.isclose(ratio, size, rtol=RELATION_TOLERANCE, atol=0):
            return f"claimed = true × {size}, and {size} is {name}: a sum for a mean, or 1/{name} is missing"
        if size > 1 and np.isclose(ratio, 1 / size, rtol=RELATION_TOLERANCE, atol=0):
            return f"claimed = true / {size}, and {size} is {name}: a mean for a sum"
    for factor in COMMON_FACTORS:
        if np.isclose(ratio, factor, rtol=RELATION_TOLERANCE, atol=0):
            return f"claimed = true × {factor:.6g}: a factor is wrong"
    everywhere = " in every entry" if np.count_nonzero(support) > 1 else ""
    shown = f"{ratio:.10g}" if f"{ratio:.10g}" != "1" else f"(1 {ratio - 1:+.1e})"
    return f"claimed = true × {shown}{everywhere}: a factor is wrong"


def _part(claimed: Array, true: Array) -> str:
    """Recognise a gradient that is right in some rows and missing in the others."""
    if claimed.ndim == 0 or claimed.shape[0] < 2:
        return ""
    right = [_close(one, other) for one, other in zip(claimed, true, strict=True)]
    lost = [row for row in range(len(claimed)) if not right[row]]
    if any(right) and not np.any(claimed[lost]):
        return (
            f"only row {', '.join(str(row) for row in range(len(claimed)) if right[row])} is there"
        )
    return ""


def _order(claimed: Array, true: Array) -> str:
    if np.unique(np.abs(true)).size > 1 and _close(
        np.sort(claimed, axis=None), np.sort(true, axis=None)
    ):
        return "claimed holds the entries of the true gradient in another order"
    return ""


def _smoothing(claimed: Array, true: Array, value: Array | None) -> str:
    """Recognise log'(x) = 1 / x for log(x + eps): claimed / true = 1 + eps / x."""
    if value is None or value.shape != claimed.shape or np.unique(value).size < 2:
        return ""
    with np.errstate(all="ignore"):
        eps = (claimed / true - 1) * value
        mean = float(np.real(np.mean(eps)))
        same = np.abs(eps - mean) <= SMOOTHING_TOLERANCE * abs(mean)
    if not (np.all(same) and 0 < abs(mean) < SMALL_EPS * np.min(np.abs(value))):
        return ""
    shown = f"{mean:.2g}"
    return (
        f"claimed = true × (1 + {shown} / x): an eps of {shown} that the forward adds to its input is "
        "missing in the backward"
    )
