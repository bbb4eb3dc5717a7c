"""The noise of a function: how far its values scatter around the smooth function they belong to.

`estimate_derivative` accounts for noise by itself; here it is measured to be reported, and told from
the scatter of a function that gives two values for one argument.

Sources: J. Moré and S. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), for
the table of differences and its tests. Their step (Estimating derivatives of noisy simulations, ACM
TOMS 38, 2012) balances noise against curvature in a two-point formula; the windows of
`gradcheck.oracles.window_search` strike the same balance with twelve points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Noise", "estimate_noise", "estimate_spread"]

POINTS = 9
"""Values of f in one line: eight orders of differences; six to eight suffice (Moré and Wild, 3.1)."""

AGREEMENT = 4.0
"""Three estimates of consecutive orders agree within this factor (Moré and Wild, algorithm ECnoise)."""

TOO_WIDE = 0.1
"""The variation of f over the line, relative to its size, beyond which the line is narrowed."""

SPACING_FACTOR = 100.0
"""By how much the spacing is changed where it does not fit (Moré and Wild, 5)."""

TRIES = 4
"""Lines tried: together spacings over a factor of 1e6 around the first."""

FIRST_SPACING = 1e-6
"""The first spacing, relative to `scale`: f is then almost a line, and float64 noise still shows."""

REPEATS = 5
"""Calls at one argument: a last bit that flips in half of the calls stays hidden once in 16."""


@dataclass(frozen=True)
class Noise:
    """The noise of f around one argument.

    Attributes:
        level: its standard deviation, in units of f; 0 if f was constant, NaN if it did not show.
        relative: the same relative to max |f|.
        evaluations: how often f was called.
    """

    level: float
    relative: float
    evaluations: int


def estimate_noise(f: Callable[[float], float], *, scale: float = 1.0) -> Noise:
    """Estimate the noise of `f` near 0 from differences of its values on a line of points.

    Differences of rising order remove the smooth part of f; what they leave has the variance of the
    noise times (2k)! / (k!)^2 for order k (Moré and Wild, equation 3.4). `scale` is the size of
    t at which f may change by its own order; f is called within 1e-2 of it on both sides.

    >>> import numpy as np
    >>> noise = estimate_noise(lambda t: float(np.float32(1.0) + np.float32(t)) * 0.3)
    >>> 1e-9 < noise.level < 1e-7
    True
    """
    spacing, evaluations = FIRST_SPACING * scale, 0
    tried: set[float] = set()
    values = np.zeros(POINTS)
    while spacing not in tried and len(tried) < TRIES:
        tried.add(spacing)
        offsets = (np.arange(POINTS) - POINTS // 2) * spacing
        values = np.array([f(float(t)) for t in offsets], dtype=np.float64)
        evaluations += POINTS
        level = _level(values)
        if level is not None:
            return Noise(level, level / float(np.max(np.abs(values))), evaluations)
        spacing *= 1 / SPACING_FACTOR if _too_wide(values) else SPACING_FACTOR
    level = 0.0 if np.all(values == values[0]) else math.nan
    return Noise(level, level, evaluations)


def estimate_spread(f: Callable[[], float], *, repeats: int = REPEATS) -> Noise:
    """Measure how far the values of `f` differ from call to call: 0 for a deterministic function.

    The level is the largest difference, in units of f.

    >>> estimate_spread(lambda: 0.1).level
    0.0
    """
    values = np.array([f() for _ in range(repeats)], dtype=np.float64)
    level = float(np.max(values) - np.min(values))
    magnitude = float(np.max(np.abs(values)))
    return Noise(level, level / magnitude if magnitude else 0.0, repeats)


def _too_wide(values: NDArray[np.float64]) -> bool:
    variation = float(np.max(values) - np.min(values))
    repeated = np.count_nonzero(np.diff(values) == 0) >= POINTS // 2
    return not repeated and variation > TOO_WIDE * float(np.max(np.abs(values)))


def _level(values: NDArray[np.float64]) -> float | None:
    """The standard deviation of the noise, or None if no orders of differences agree on one."""
    if not np.all(np.isfinite(values)) or _too_wide(values):
        return None
    if np.count_nonzero(np.diff(values) == 0) >= POINTS // 2:
        return None
    levels, changes_sign = [], []
    differences = values
    for order in range(1, POINTS - 1):
        differences = np.diff(differences)
        gain = math.sqrt(math.comb(2 * order, order))
        levels.append(float(np.sqrt(np.mean(differences**2))) / gain)
        changes_sign.append(bool(np.any(differences > 0) and np.any(differences < 0)))
    for order in range(len(levels) - 2):
        three = levels[order : order + 3]
        if max(three) <= AGREEMENT * min(three) and changes_sign[order]:
            return three[0]
    return None
