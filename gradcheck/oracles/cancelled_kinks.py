"""Kinks of single outputs that cancel in their sum.

max(x, a) - max(x, b) does not change with x near a = b = x. Yet each maximum has two slopes there, and a
backward that takes the left one of the first and the right one of the second, as a pooling of
overlapping windows does, takes a subgradient of each output: none is wrong by itself, and their sum differs
from the slope of the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WIDER", "cancelled_gap"]

WIDER = 4.0
"""The ratio of the two steps by which kinks, whose bend does not shrink with the step, are told from
curvature, whose bend does."""


def cancelled_gap(changes: NDArray[Any], t: float) -> float:
    """Return by how much the sum of all outputs' slopes may leave the slopes of their sum.

    Args:
        changes: those of the outputs at t, -t, 4t and -4t, weighted by the cotangent, of shape (4, m).
        t: the step.

    Returns:
        The half width of the sum of the intervals between left and right slopes, one for each output,
        less that of the interval of the sum; in units of an output per unit of t, exact up to the
        square of t. NaN where a change is.

    >>> t = np.array([1e-3, -1e-3, 4e-3, -4e-3])
    >>> pooled = np.stack([np.maximum(t, 0.0), -np.maximum(t, 0.0), t**2, -(t**2)], axis=1)
    >>> round(cancelled_gap(pooled, 1e-3), 9)
    1.0
    """
    near, far = _gap(changes[:2], t), _gap(changes[2:], WIDER * t)
    return (WIDER * near - far) / (WIDER - 1)


def _gap(changes: NDArray[Any], t: float) -> float:
    with np.errstate(all="ignore"):
        bends = np.sum(changes, axis=0)
        return float((np.sum(np.abs(bends)) - abs(np.sum(bends))) / (2 * t))
