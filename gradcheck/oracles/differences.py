"""The derivative of a function of one variable by differences, with a bound that holds.

Nothing here knows of rules: f is a function of a number, mostly the restriction of
<cotangent, forward(x + t d)> to a line, and its derivative at t = 0 is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradcheck.errors import UsageError
from gradcheck.oracles.kinks import level_jumps, merged, near_kink, one_sided
from gradcheck.oracles.window_search import NOISE_SPREAD, WindowSearch
from gradcheck.oracles.windows import ROUNDING_UNIT, Window, pointwise

__all__ = ["Derivative", "OneSided", "Status", "estimate_derivative", "pointwise"]

Array = NDArray[np.float64]
Status = Literal["smooth", "kink", "noise", "domain", "not finite"]

JITTER = (0.7, 1.0)
"""The range of the random factor of the first window: two estimates never use the same points."""

FINEST = 64 * 2.0**-52
"""The default least half window, relative to `scale`: x is of the size of its scale, and 64 of its
roundings move it by what t says to within 1 %."""

ORDINARY_ROUNDING = 64.0
"""Noise up to so many rounding units of max |f| is the rounding of a float64 computation."""


@dataclass(frozen=True)
class OneSided:
    """The derivative from one side, `value`, and the most it is off by, `bound` (absolute)."""

    value: float
    bound: float


@dataclass(frozen=True)
class Derivative:
    """The derivative of f at 0.

    Attributes:
        value: the derivative, in units of f per unit of t; at a kink the mean of both sides, at the
            edge of the domain the derivative from inside.
        bound: |value - true derivative| is at most this (absolute; calibrated, see
            docs/calibration.md); infinite where nothing can be said.
        evaluations: how often f was called.
        step: half the width of the window that the value comes from, in units of t; at a kink of the
            narrower one.
        status: "smooth"; "noise", where f carries more noise than float64 rounding and the bound
            accounts for it; "kink", where the slopes on both sides differ; "domain", where f is
            finite on one side only; "not finite", where f is finite on neither side or steeper than
            any window resolves.
        left, right: the one-sided derivatives, where they were asked for (status "kink", "domain").
        reason: what was found, as a clause; empty for a plain smooth f.
        noise: what is left of f in that window's last coefficients, in units of f.
    """

    value: float
    bound: float
    evaluations: int
    step: float
    status: Status
    left: OneSided | None = None
    right: OneSided | None = None
    reason: str = ""
    noise: float = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the greatest derivative that the evidence allows, bounds included.

        At a kink the subdifferential, widened by the bounds of both sides.
        """
        if math.isinf(self.bound):
            return -math.inf, math.inf
        if self.status == "kink" and self.left is not None and self.right is not None:
            sides = (self.left, self.right)
            return (
                min(side.value - side.bound for side in sides),
                max(side.value + side.bound for side in sides),
            )
        return self.value - self.bound, self.value + self.bound

    def allows(self, claimed: float) -> bool:
        """Whether `claimed` lies in the interval."""
        low, high = self.interval
        return low <= claimed <= high


def estimate_derivative(
    f: Callable[[Array], Array],
    *,
    scale: float = 1.0,
    limits: tuple[float, float] = (-math.inf, math.inf),
    rounding: float | Callable[[], float] | None = None,
    same_cell: Callable[[float], bool] | None = None,
    finest: float | None = None,
    target: float | None = None,
    value: float | None = None,
    rng: np.random.Generator,
) -> Derivative:
    """Estimate the derivative of `f` at 0, and bound the error of the estimate.

    f is interpolated at twelve Chebyshev points of a window around 0, and the last coefficients
    of the interpolant bound its error (see `gradcheck.oracles.windows`). f is not called at 0.

    Args:
        f: the function, elementwise from an array of t (k,) to its values (k,); NaN and infinities mean
            "outside the domain". `pointwise` makes one of a function of floats.
        scale: the size of t at which f may change by its own order; the first window is 0.03 of it.
        limits: the open interval of t inside the declared domain; f is called nowhere else. An end
            at 0 asks for the derivative from the other side.
        rounding: the absolute rounding error of one value of f, or a function that gives it once
            the values of a window are known; None where it is not known: then that of float64,
            relative to |f|. Give it where f is a difference that cancels, or f may be constant for
            its low precision; other noise is recognised in any case.
        same_cell: whether f takes the same branches at t as at 0 (f itself is not called for it).
        finest: the least half window, in units of t; None for 64 roundings of `scale`. Where x + t d
            is rounded, t says less and less of the change of x: 64 roundings of x, over d, is right.
        target: the absolute bound that is small enough, so that no evaluation is spent on a smaller
            one; None for 1e-9 of the steepness of f.
        value: f at 0, where it is known: it tells of a feature at 0 that is narrower than any window.
        rng: places the points.

    Raises:
        UsageError: `scale` is not positive and finite, or 0 is outside of `limits`.

    >>> import numpy as np
    >>> derivative = estimate_derivative(np.tanh, rng=np.random.default_rng(0))
    >>> abs(derivative.value - 1.0) <= derivative.bound < 1e-11
    True
    >>> kink = estimate_derivative(lambda t: np.maximum(t, 0.0), rng=np.random.default_rng(0))
    >>> kink.status, kink.allows(0.5), kink.allows(2.0)
    ('kink', True, False)
    """
    if not (scale > 0 and math.isfinite(scale)):
        raise UsageError(f"scale is {scale!r}, expected a positive finite number: a size of t")
    if not (limits[0] <= 0 <= limits[1] and limits[0] < limits[1]):
        raise UsageError(f"limits are {limits!r}, expected an interval that contains t = 0")
    calls = 0

    def counted(t: Array) -> Array:
        nonlocal calls
        calls += len(t)
        return f(t)

    finest = FINEST * scale if finest is None else finest
    search = WindowSearch(counted, scale, limits, rounding, same_cell, finest, target, value)
    derivative = _examine(search, float(rng.uniform(*JITTER)))
    return replace(derivative, evaluations=calls)


def _examine(search: WindowSearch, jitter: float) -> Derivative:
    window = search.run(jitter)
    if window is not None and 0.0 in search.limits:
        return _at_an_edge(window, search.limits, "0 is an end of the declared domain")
    if window is not None and window.low < 0 < window.high and search.convinced_by(window):
        return _smooth(window, search.windows)
    return _examine_sides(search, window, jitter)


def _examine_sides(search: WindowSearch, around: Window | None, jitter: float) -> Derivative:
    left, right = one_sided(search, jitter)
    if left is None:
        return _at_an_edge(right, (0.0, math.inf), "f is finite to the right of the point only")
    if right is None:
        return _at_an_edge(left, (-math.inf, 0.0), "f is finite to the left of the point only")
    if level_jumps(left, right) or search.misses_the_value(left) or search.misses_the_value(right):
        return _kink(left, right, "f jumps at the point", bound=math.inf)
    if math.isinf(left.bound) or math.isinf(right.bound):
        return _not_finite("the slope grows without bound")
    if not left.contradicts(right):
        both = merged(left, right)
        if around is None or both.bound < around.bound:
            return _smooth(both, search.windows)
        return _smooth(around, search.windows)
    clear = near_kink(search, left, right) if search.windows else None
    if clear is not None:
        return _smooth(clear, search.windows, f"a kink lies near, beyond |t| = {clear.half:.2g}")
    return _kink(left, right, "the slopes on both sides differ")


def _smooth(window: Window, windows: list[Window], reason: str = "") -> Derivative:
    if math.isinf(window.bound):
        return _not_finite("the slope grows without bound")
    noisy = window.tail > ORDINARY_ROUNDING * ROUNDING_UNIT * window.magnitude and any(
        NOISE_SPREAD * other.tail >= window.tail for other in windows if other.half < window.half
    )
    status: Status = "noise" if noisy and not window.flat else "smooth"
    if status == "noise" and not reason:
        reason = f"f carries noise of about {window.tail:.1e}"
    return Derivative(
        window.slope, window.bound, 0, window.half, status, reason=reason, noise=window.tail
    )


def _at_an_edge(window: Window | None, limits: tuple[float, float], reason: str) -> Derivative:
    if window is None:
        return _not_finite("f is finite nowhere near the point")
    if math.isinf(window.bound):
        return _not_finite("the slope grows without bound")
    side = OneSided(window.slope, window.bound)
    left, right = (side, None) if limits[1] == 0 else (None, side)
    return Derivative(window.slope, window.bound, 0, window.half, "domain", left, right, reason)


def _kink(left: Window, right: Window, reason: str, bound: float = 0.0) -> Derivative:
    sides = [OneSided(side.slope, max(side.bound, bound)) for side in (left, right)]
    return Derivative(
        value=left.slope / 2 + right.slope / 2,
        bound=abs(left.slope - right.slope) / 2 + max(side.bound for side in sides),
        evaluations=0,
        step=min(left.half, right.half),
        status="kink",
        left=sides[0],
        right=sides[1],
        reason=reason,
    )


def _not_finite(reason: str) -> Derivative:
    return Derivative(math.nan, math.inf, 0, 0.0, "not finite", reason=reason)
