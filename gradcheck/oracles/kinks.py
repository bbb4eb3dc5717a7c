"""Kinks found without a trace: the slopes on both sides of a point, and whether they are one.

A central difference at an exact kink reports the mean of the two slopes with error zero. Here each
side is differenced by itself; the truth at a kink is the interval between the two slopes.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gradcheck.oracles.window_search import NARROWEST, WindowSearch
from gradcheck.oracles.windows import ROUNDING_UNIT, TELLING, Window

__all__ = ["level_jumps", "merged", "near_kink", "one_sided"]

TELLING_MARGIN = 4.0
"""How much smaller than the difference of slopes the bound of a window is that tells one."""

RESOLVED = 1.0 / 3.0
"""A window whose bound is below this part of the difference of slopes holds only one of them."""


def one_sided(search: WindowSearch, jitter: float) -> tuple[Window | None, Window | None]:
    """Return the best windows that end at 0: left of it, and right; None where f is not finite."""
    low, high = search.limits
    return _side(search, (low, 0.0), jitter), _side(search, (0.0, high), jitter)


def _side(search: WindowSearch, limits: tuple[float, float], jitter: float) -> Window | None:
    if limits[0] == limits[1]:
        return None
    side = replace(search, limits=limits, same_cell=None, windows=[])
    window = side.run(jitter)
    if window is None or window.flat or window.relative_bound <= 1 or side.only_noise:
        return window
    # A root or a logarithm at its branch point: the slope grows for as long as one narrows.
    return replace(window, bound=math.inf)


def level_jumps(left: Window, right: Window) -> bool:
    """Whether the limits of f from both sides differ, so that f has no slope at 0 at all."""
    return abs(left.level - right.level) > left.level_bound + right.level_bound


def merged(left: Window, right: Window) -> Window:
    """Return the window of both sides together, with a bound that holds for the slopes of both."""
    half_gap = abs(left.slope - right.slope) / 2
    return replace(
        right,
        low=left.low,
        slope=left.slope / 2 + right.slope / 2,
        bound=half_gap + max(left.bound, right.bound),
        tail=max(left.tail, right.tail),
        magnitude=max(left.magnitude, right.magnitude),
    )


def near_kink(search: WindowSearch, left: Window, right: Window) -> Window | None:
    """Return a window around 0 that the kink lies outside of, or None: then the kink is at 0.

    Closer than noise allows a window to be, a kink cannot be told from one at 0.
    """
    difference = abs(left.slope - right.slope)
    if search.best.bound <= RESOLVED * difference:
        return search.best
    magnitude = min(left.magnitude, right.magnitude, search.best.magnitude)
    noise = max(min(search.noise, left.tail, right.tail), ROUNDING_UNIT * magnitude)
    half = max(TELLING_MARGIN * TELLING * noise / difference, NARROWEST * search.scale)
    inner = search.visit(half)
    if inner is None or inner.bound > RESOLVED * difference:
        return None
    search.climb(inner)
    return search.best
