"""One window of twelve values of a function: its slope at 0, and how far the slope may be off.

The function is sampled at the Chebyshev points of an interval around (or beside) 0 and expanded in
Chebyshev polynomials. The slope is that of the interpolant, which is a central difference formula
of order twelve. The last coefficients tell its error: those of a smooth function fall
geometrically until only noise is left, at a kink or over too wide a window they stay large. Unlike
the rows of Richardson's or Ridders' tableau, which see the odd part of f only, they look at the
even part too, where a kink at 0 shows.

Sources: L. N. Trefethen, Approximation Theory and Approximation Practice (2013), ch. 3, 7, 8;
J. Aurentz and L. N. Trefethen, Chopping a Chebyshev series, ACM TOMS 43 (2017), for the plateau.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["POINTS", "TELLING", "Window", "fit_window", "pointwise"]

Array = NDArray[np.float64]

POINTS = 12
"""Values of f in one window. At a window of 0.03 times the distance to the nearest singularity the
coefficients of an analytic f fall by about 60 each, so that the last four of twelve are noise."""

TAIL = 4
"""Coefficients whose root mean square is taken for the noise: even and odd ones, two of each."""

CALIBRATION = 24.0
"""The bound in units of what the tail explains. Student's t with four degrees of freedom exceeds
24 once in 57 000; the table in docs/calibration.md holds the measured counts."""

TELLING = 450.0
"""The bound of a window whose tail is noise, in units of noise / half: 24 times the norm 18 of the
weights."""

ROUNDING_UNIT = 2.0**-53
"""The rounding error of one float64 operation, relative to its result."""

ROUNDING_SHARE = 0.24
"""The tail that rounding each value of f once leaves, in rounding units of max |f|: the error is
spread evenly over one unit to either side, which makes sqrt(1/3), of which each coefficient gets
sqrt(2/12). A tail may be smaller by chance, and is not believed."""

STEP_SHARE = ROUNDING_SHARE / 2
"""The same in units of the step of a staircase, which is two rounding units."""

LOW_PRECISIONS = (8, 11, 24)
"""The significant bits of bfloat16, float16 and float32. Where f is constant and tells nothing of
its rounding, that of the coarsest of them is assumed which holds its value, else that of float32."""

DISPLACEMENT = 0.25
"""The points are Chebyshev's, each displaced by up to 0.125 of its distance in angle. Chebyshev points
obey linear relations, as cos(5π/24) + cos(11π/24) = cos(3π/24), by which rounding errors, which are
periodic in t, may cancel from the tail: once in 400, where it made the bound ten times too small."""

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of it, modulo 1, fill the unit interval evenly and obey no such relation."""

KEPT_WEIGHTS = 64
"""Places of 0 in a window whose weights are kept: most windows lie symmetrically around it or end in it."""

_INDEX = np.arange(POINTS)
_ANGLES = np.pi / POINTS * (_INDEX + 0.5 + DISPLACEMENT * ((_INDEX + 1) * GOLDEN % 1.0 - 0.5))
_NODES = np.cos(_ANGLES)
_TO_COEFFICIENTS = np.linalg.inv(np.cos(np.outer(_ANGLES, _INDEX)))


@dataclass(frozen=True)
class Window:
    """What the values of f on `low <= t <= high` say of f and its slope at t = 0.

    Attributes:
        low, high: the window, in units of t; 0 lies inside or at an end.
        slope, bound: the derivative at 0 and the most it is off by, both in units of f per t.
        level, level_bound: the limit of f at 0 seen from this window and the most it is off by.
        tail: what is left of f in the last coefficients, in units of f: noise, or what the window
            could not resolve.
        variation: the largest coefficient but the constant one, in units of f.
        magnitude: max |f| over the window.
        quantum: the smallest step between two values that f took more than once, in units of f; 0
            where fewer than two values repeat. Positive where f is a staircase.
    """

    low: float
    high: float
    slope: float
    bound: float
    level: float
    level_bound: float
    tail: float
    variation: float
    magnitude: float
    quantum: float = 0.0

    @cached_property
    def half(self) -> float:
        """Half the width, in units of t."""
        return self.high / 2 - self.low / 2

    @property
    def flat(self) -> bool:
        """Whether f had one and the same value everywhere."""
        return self.variation == 0.0

    @property
    def relative_bound(self) -> float:
        """The bound relative to the steepness of f over the window (infinite where f is flat)."""
        steepness = self.variation / self.half
        return self.bound / steepness if steepness > 0 else math.inf

    def with_tail(self, tail: float) -> Window:
        """The same window, its bounds widened for a larger tail.

        A window whose own tail is lost to underflow says nothing beside a larger one.
        """
        if tail == self.tail:
            return self
        factor = tail / self.tail if self.tail > 0 else math.inf
        if not math.isfinite(factor) or self.bound == 0:
            return replace(self, tail=tail, bound=math.inf, level_bound=math.inf)
        return replace(
            self, tail=tail, bound=self.bound * factor, level_bound=self.level_bound * factor
        )

    def contradicts(self, other: Window) -> bool:
        """Whether no slope lies within both bounds."""
        return abs(self.slope - other.slope) > self.bound + other.bound


def pointwise(f: Callable[[float], float]) -> Callable[[Array], Array]:
    """Return the function of arrays that applies `f` to each number.

    >>> pointwise(math.sqrt)(np.array([1.0, 4.0])).tolist()
    [1.0, 2.0]
    """
    return lambda t: np.array([f(float(each)) for each in t], dtype=np.float64)


def fit_window(
    f: Callable[[Array], Array],
    low: float,
    high: float,
    rounding: float | Callable[[], float] | None = None,
) -> Window | None:
    """Fit the slope at 0 from twelve values of `f` on `[low, high]`; None if one is not finite.

    `f` takes an array of t. `rounding` is the absolute rounding error of one value of f, where it is known,
    or a function that gives it once the values are.

    >>> window = fit_window(np.sin, -0.03, 0.03)
    >>> abs(window.slope - 1.0) <= window.bound < 1e-11
    True
    """
    half, middle = high / 2 - low / 2, high / 2 + low / 2
    values = f(middle + half * _NODES)
    if not np.logical_and.reduce(np.isfinite(values)):
        return None
    if callable(rounding):
        rounding = rounding()
    magnitude = float(np.maximum.reduce(np.abs(values)))
    if magnitude == 0.0:
        return _zero_window(low, high, rounding)
    unit = ROUNDING_UNIT
    if rounding is not None:
        unit = max(unit, rounding / magnitude)
    elif np.all(values == values[0]):
        unit = _coarsest_unit(values[0])
    scaled = values / magnitude
    # Without its middle value f loses most of its size, and the sums below most of their rounding.
    coefficients = _TO_COEFFICIENTS @ (scaled - scaled[POINTS // 2])
    slopes, slopes_norm, levels, levels_norm = _weights_at(-middle / half)
    last = coefficients[-TAIL:]
    tail = max(math.sqrt(float(last @ last) / TAIL), ROUNDING_SHARE * unit)
    return Window(
        low=low,
        high=high,
        slope=float(coefficients @ slopes) * (magnitude / half),
        bound=CALIBRATION * tail * slopes_norm * (magnitude / half),
        level=float(coefficients @ levels + scaled[POINTS // 2]) * magnitude,
        level_bound=CALIBRATION * tail * levels_norm * magnitude,
        tail=tail * magnitude,
        variation=float(np.maximum.reduce(np.abs(coefficients[1:]))) * magnitude,
        magnitude=magnitude,
        quantum=_quantum(values),
    )


def _quantum(values: Array) -> float:
    taken = sorted(values.tolist())
    repeated = sorted({one for one, other in pairwise(taken) if one == other})
    return min((other - one for one, other in pairwise(repeated)), default=0.0)


def _zero_window(low: float, high: float, rounding: float | None) -> Window:
    """No format rounds a number to 0 but the tiniest: f is 0, unless its caller knows better."""
    unseen = rounding or math.ulp(0.0)
    bound = CALIBRATION * ROUNDING_SHARE * unseen / (high / 2 - low / 2)
    return Window(low, high, 0.0, bound, 0.0, unseen, unseen, 0.0, 0.0)


def _coarsest_unit(value: float) -> float:
    fraction = math.frexp(value)[0]
    bits = (bits for bits in LOW_PRECISIONS if math.ldexp(fraction, bits).is_integer())
    return 2.0 ** -next(bits, LOW_PRECISIONS[-1])


@lru_cache(maxsize=KEPT_WEIGHTS)
def _weights_at(x: float) -> tuple[Array, float, Array, float]:
    """The slopes T_k'(x) and the values T_k(x) of the Chebyshev polynomials, each with its norm."""
    slopes, values = _slopes_at(x), _values_at(x)
    return slopes, float(np.linalg.norm(slopes)), values, float(np.linalg.norm(values))


def _values_at(x: float) -> Array:
    """The Chebyshev polynomials T_k at x in [-1, 1]."""
    values: Array = np.cos(_INDEX * math.acos(min(max(x, -1.0), 1.0)))
    return values


def _slopes_at(x: float) -> Array:
    """Their derivatives T_k'(x) = k U_(k-1)(x)."""
    if abs(x) >= 1.0:
        slopes: Array = _INDEX**2 * math.copysign(1.0, x) ** (_INDEX + 1)
    else:
        angle = math.acos(x)
        slopes = _INDEX * np.sin(_INDEX * angle) / math.sin(angle)
    return slopes
