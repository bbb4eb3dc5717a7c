"""Whether differences may refute a claim: only if the narrowest window that could tell excludes it too.

A wide window is blind to what is narrower than the distance of its points: floor(x) is a line with
some noise at x = 1e6, softmax of logits of 1e8 a constant with some noise, and a soft threshold of 0.5
among entries of 1e7 is not there at all. The slope of such a window is not the derivative, and looks
as if it were. In a window so narrow that its noise is just below what is in question no such feature
has room, unless it is smaller than the noise itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.differences import Derivative, estimate_derivative
from gradcheck.oracles.window_search import STEP
from gradcheck.oracles.windows import (
    CALIBRATION,
    ROUNDING_SHARE,
    TELLING,
    Window,
    fit_window,
)

__all__ = ["Refutation"]

MARGIN = 4.0
"""How much smaller than the error in question the bound of a window is that tells it."""

NARROWEST = 1e-15
"""The first half width at least, relative to the one already seen."""

WIDENINGS = 4
"""Windows tried, each as wide as the noise asks that the last one showed."""

NEIGHBOURS = 6
"""Values of f on either side, at the finest steps, whose range is compared with that of wide ones."""

ALIASED_SHARE = 0.1
"""The part of its range that an oscillation too fast for the numbers shows between neighbours: that of
a few random phases is about as large as that of all, that of a resolved function smaller by far."""

BEYOND_ROUNDING = 100.0
"""How many roundings of f its neighbours must differ by before that is called an oscillation."""

FAR = 1e4
"""The finest steps at least that wide values of f are apart."""


@dataclass(frozen=True)
class Refutation:
    """The question whether the derivative of f at 0 is not what is claimed.

    Attributes:
        f: the function of t.
        noise: the rounding error of one value of f, in units of f.
        hidden: the same of what may be larger inside; it limits what a constant f tells.
        finest: the least half width at which t means something.
        limits: the open interval in which f may be called.

    >>> import math
    >>> steps = Refutation(lambda t: math.floor(1e6 + 0.5 + t), 1e-10, 1e-10, 1e-8, (-9e9, 9e9))
    >>> wide = estimate_derivative(steps.f, scale=1e6, rng=np.random.default_rng(0))
    >>> wide.allows(0.0), steps.holds(wide, 0.0, np.random.default_rng(1))
    (False, False)
    """

    f: Callable[[float], float]
    noise: float
    hidden: float
    finest: float
    limits: tuple[float, float]

    def holds(self, wide: Derivative, claimed: float, rng: np.random.Generator) -> bool:
        """Whether narrow differences do not take back that `wide` excludes `claimed`."""
        error = _distance(wide, claimed)
        if not (0 < error < math.inf):
            return True
        if self._aliased(wide, claimed):
            return False
        half = max(self.finest, NARROWEST * wide.step, MARGIN * TELLING * self.noise / error)
        view = self._telling_window(half, error, wide.step)
        if view is not None:
            return not abs(view.slope - claimed) <= view.bound
        if wide.status not in ("kink", "noise") or half >= wide.step:
            return True
        narrow = estimate_derivative(
            self.f,
            scale=half / STEP,
            limits=self.limits,
            rounding=self.noise,
            finest=self.finest,
            rng=rng,
        )
        if math.isinf(narrow.bound):
            return False  # f jumps there
        return not (_tells(narrow, error) and narrow.allows(claimed))

    def _aliased(self, wide: Derivative, claimed: float) -> bool:
        """Whether f oscillates from one number to the next, as sin(x^3) does at x = 1e8.

        With the claimed slope it would then move by more than its range within the finest step, and
        its values say nothing of it.
        """
        near = self.finest * np.arange(1, NEIGHBOURS + 1)
        far = max(wide.step, FAR * self.finest) * np.linspace(0.1, 1, NEIGHBOURS)
        beside = max(self._range(near), self._range(-near))
        if not (BEYOND_ROUNDING * self.noise < beside < abs(claimed) * self.finest):
            return False
        return beside > ALIASED_SHARE * max(self._range(far), self._range(-far))

    def _range(self, steps: NDArray[Any]) -> float:
        """Return how far apart the values of f at these steps are, as far as it may be called there."""
        low, high = self.limits
        values = [self.f(float(t)) for t in steps if low < t < high]
        return float(np.ptp(values)) if values else 0.0

    def _telling_window(self, half: float, error: float, seen: float) -> Window | None:
        """Return the narrowest window whose bound is well below `error`; None if there is none."""
        for _ in range(WIDENINGS):
            low, high = max(-half, self.limits[0] / 2), min(half, self.limits[1] / 2)
            if not (half < seen and low < high):
                return None
            window = fit_window(self.f, low, high, self.noise)
            if window is None:
                return None
            bound = window.bound
            if window.flat:
                bound = max(bound, CALIBRATION * ROUNDING_SHARE * self.hidden / window.half)
            if MARGIN * bound <= error:
                return window
            half *= max(MARGIN * bound / error, 2.0)
        return None


def _distance(derivative: Derivative, claimed: float) -> float:
    """Return how far `claimed` is from the derivative, at a kink from the nearer side."""
    sides = [side.value for side in (derivative.left, derivative.right) if side is not None]
    return min(abs(claimed - value) for value in (sides or [derivative.value]))


def _tells(narrow: Derivative, error: float) -> bool:
    sides = [side.bound for side in (narrow.left, narrow.right) if side is not None]
    return MARGIN * max(sides or [narrow.bound]) <= error
