"""How finely an entry of a gradient can be asked for: its natural scale, and what rounding takes.

A float64 claim is held to the profile's power. One of lower precision has fewer digits, of which
half are asked for: the rest belongs to the rounding that no backward avoids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EPSILON",
    "NEGLIGIBLE",
    "ROUNDING_ALLOWANCE",
    "TINY",
    "Resolution",
    "epsilon_of",
    "natural_scale",
    "tiny_of",
]

Array = NDArray[Any]

EPSILON = float(np.finfo(np.float64).eps)
"""The spacing of float64 at 1: twice the largest relative rounding error."""

TINY = float(np.finfo(np.float64).tiny)
"""The smallest float64 that has all its digits."""

ROUNDING_ALLOWANCE = 32
"""How many roundings of the output's own size a derivative may lose.

A backward cannot be asked for more than the forward has: a rounding of the output by one
epsilon is a change of the derivative by epsilon * |output| / |input| (a change of the input by its own
size apart). Hand-written layers make a few dozen roundings where cancellation exposes them
(`1 - y` for a saturated y, a mean subtracted from values of its size); 32 covers those, and is
7e-15 of the natural scale in float64.
"""

NEGLIGIBLE = 1e-6
"""The part of its natural scale below which an entry is held to an absolute resolution.

No finite resolution shows that a true zero is zero *relative to itself*. An entry smaller than this
part of |output| / |input| must be resolved as finely as one of just this size.
"""


def epsilon_of(dtype: Any) -> float:
    """Return the spacing of a floating dtype at 1; that of float64 for numbers of any other kind.

    >>> epsilon_of(np.float32) == 2.0**-23, epsilon_of(np.int64) == EPSILON
    (True, True)
    """
    limits = _limits(np.dtype(dtype))
    return EPSILON if limits is None else max(float(limits.eps), EPSILON)


def tiny_of(dtype: Any) -> float:
    """Return the smallest number that a floating dtype holds with all its digits; as `epsilon_of`.

    >>> tiny_of(np.float16) == 2.0**-14
    True
    """
    limits = _limits(np.dtype(dtype))
    return TINY if limits is None else max(float(limits.tiny), TINY)


def _limits(dtype: np.dtype[Any]) -> Any:
    """Return what NumPy or ml_dtypes says of a floating dtype; None for numbers of any other kind."""
    if dtype.kind in "fc":
        return np.finfo(dtype)
    if "float" in str(dtype):
        import ml_dtypes

        return ml_dtypes.finfo(dtype)
    return None


def natural_scale(value: Array, contraction: float) -> Array:
    """Return the size that a gradient entry has when its input matters: |output| / |input|.

    Args:
        value: the input, of any shape.
        contraction: the sum of |cotangent * output| over the output's entries.
    """
    size = np.abs(value).astype(np.float64)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
    if not np.isfinite(typical) or typical == 0:
        typical = 1.0
    return contraction / np.maximum(size, typical)


@dataclass(frozen=True)
class Resolution:
    """What may be asked of a claim in numbers of this precision.

    Attributes:
        epsilon: the spacing of the numbers at 1.
        power: the relative error of an entry that must show.
        negligible: the part of its natural scale below which an entry is held to `power` of that.
    """

    epsilon: float
    power: float
    negligible: float

    @staticmethod
    def of(epsilon: float, power: float) -> Resolution:
        """Return the resolution of numbers of this `epsilon` where `power` is asked for.

        Half of the digits are the most that is asked for, and twice the rounding allowance
        must be visible.

        >>> single = Resolution.of(2.0**-23, 1e-6)
        >>> f"{single.power:.0e} {single.negligible:.0e}"
        '3e-04 2e-02'
        """
        finest = max(power, float(np.sqrt(epsilon)))
        negligible = max(NEGLIGIBLE, 2 * ROUNDING_ALLOWANCE * epsilon / finest)
        return Resolution(epsilon, finest, negligible)

    def scale(self, true: Array, natural: Array) -> Array:
        """Return what the error of an entry is measured against (absolute)."""
        magnitude = np.where(np.isfinite(true), np.abs(true), 0.0)
        return np.maximum(magnitude, self.negligible * natural)

    def loss(self, natural: Array) -> Array:
        """Return what rounding may cost an entry (absolute): `ROUNDING_ALLOWANCE`."""
        return ROUNDING_ALLOWANCE * self.epsilon * natural
