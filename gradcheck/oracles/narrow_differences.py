"""Whether wide differences may refute a claim or bear it out: only if the narrowest that could tell agree.

A wide window is blind to what is narrower than the distance of its points: floor(x) is a line with
some noise at x = 1e6, softmax of logits of 1e8 a constant with some noise, and a soft threshold of 0.5
among entries of 1e7 is not there at all. The slope of such a window is not the derivative, and looks
as if it were. In a window so narrow that its noise is just below what is in question no such feature
has room, unless it is smaller than the noise itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.differences import Derivative
from gradcheck.oracles.windows import (
    CALIBRATION,
    ROUNDING_SHARE,
    TELLING,
    Window,
    fit_window,
)

__all__ = ["NarrowDifferences"]

Array = NDArray[np.float64]

MARGIN = 4.0
"""How much smaller than the error in question the bound of a window is that tells it."""

CERTAIN = 2.0
"""How many bounds of that window the claim must be off by: at the finest steps t itself is known to 1 %,
which a bound may miss; it is off by three where the window agrees with the wide one."""

NARROWEST = 1e-15
"""The first half width at least, relative to the one already seen."""

ZOOM = tuple(4.0**k for k in range(-1, 4))
"""Widths that are looked at where the first window holds a feature, in units of its own: at 16 of them a
window to one side of the feature tells as much (its weights have a norm of 200, not of 17)."""

WIDER = 8.0
"""The factor between the widths at which one looks for steps of numbers inside, on one of which a narrow
window lies: 1 + tanh(x) has steps of one rounding of 1, and is as small as that itself."""

UNEXPLAINED = 32.0
"""The noise, in roundings of f, beyond `ROUNDING_ALLOWANCE` of them: something larger was rounded inside."""

CLEAR = 100.0
"""The step of the five-point formula, in units of noise / error: its slope is off by the noise over the step,
a hundredth of the error."""

AT: Array = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
SLOPE: Array = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
"""Where that formula takes f, in units of the step, and its weights: exact for polynomials of degree four."""

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
class NarrowDifferences:
    """What narrow differences say to a derivative of f at 0 that wide ones have found.

    Attributes:
        f: the function of an array of t.
        noise: the rounding error of one value of f, in units of f.
        hidden: the same of what may be larger inside; it limits what a constant f tells.
        finest: the least half width at which t means something.
        limits: the open interval in which f may be called.
        widest: the size of t at which f may change by its own order.

    >>> from gradcheck.oracles.differences import estimate_derivative
    >>> steps = NarrowDifferences(lambda t: np.floor(1e6 + 0.5 + t), 1e-10, 1e-10, 1e-8, (-9e9, 9e9), 1e6)
    >>> wide = estimate_derivative(steps.f, scale=1e6, rng=np.random.default_rng(0))
    >>> wide.allows(0.0), steps.refute(wide, 0.0)
    (False, False)
    """

    f: Callable[[Array], Array]
    noise: float
    hidden: float
    finest: float
    limits: tuple[float, float]
    widest: float

    def refute(self, wide: Derivative, claimed: float) -> bool:
        """Whether narrow differences do not take back that `wide` excludes `claimed`.

        Where `wide` itself is so narrow that it may lie on one step of numbers inside, those around it
        may take it back as well.
        """
        error = _distance(wide, claimed)
        if not (0 < error < math.inf):
            return True
        if self._aliased(wide, claimed):
            return False
        if self._on_one_step(wide, claimed, error):
            return False
        first = MARGIN * TELLING * self.noise / error
        half = max(self.finest, NARROWEST * wide.step, first)
        if half >= wide.step:
            return True
        around = self._window(-half, half)
        if around is not None and MARGIN * around.bound <= error:
            return abs(around.slope - claimed) > CERTAIN * around.bound
        if around is not None and wide.value == 0 and around.variation > MARGIN * self.noise:
            return False  # f is flat in a wide window that missed what is inside
        # There is a feature in it, or noise that nobody knows of: noise alone contradicts no slope.
        return not any(
            _allows(view, claimed) and _contradicts(view, wide)
            for view in self._narrow(half, error, wide.step)
        )

    def confirm(self, wide: Derivative, visible: float) -> bool:
        """Whether steps as narrow as noise allows see the slope of `wide` too, to an error of `visible`.

        Values as near tell of every feature wider than they are, for which a wide window does not look
        between its points. Where f carries more noise than rounding explains, it may be stairs, which are
        flat on each of their steps and have no such slope.
        """
        if not visible > 0:
            return True  # nothing is decided by it
        step = max(self.finest, CLEAR * max(wide.noise, self.noise) / visible)
        if 2 * step < min(wide.step, -self.limits[0], self.limits[1]):
            with np.errstate(all="ignore"):
                slope = float(SLOPE @ self.f(step * AT)) / step
            if not abs(slope - wide.value) <= wide.bound + visible:
                return False
        if wide.noise <= UNEXPLAINED * self.hidden:
            return True
        half = max(self.finest, MARGIN * TELLING * self.noise / max(abs(wide.value), visible))
        view = self._window(-half, half) if half < wide.step else None
        return view is None or not _contradicts(view, wide)

    def _on_one_step(self, wide: Derivative, claimed: float, error: float) -> bool:
        """Whether `wide` may lie on one step of numbers rounded inside, along whose stairs f is as claimed.

        Where there are many steps their slope contradicts that of the one; where there are few, the noise
        must be of the size that rounding inside may have.
        """
        may_be_hidden = wide.step < CALIBRATION * ROUNDING_SHARE * self.hidden / error
        return any(
            _allows(view, claimed)
            and (_contradicts(view, wide) or (may_be_hidden and view.tail <= self.hidden))
            for view in self._noisy(wide.step)
        )

    def _narrow(self, half: float, error: float, widest: float) -> Iterator[Window]:
        """Yield windows around 0 and to either side that are narrower than the features beside it."""
        unseen = max(half, CALIBRATION * ROUNDING_SHARE * self.hidden / error)
        for width in sorted({zoom * base for zoom in ZOOM for base in (half, unseen)}):
            if self.finest <= width < widest:
                for low, high in ((-width, width), (-width, 0.0), (0.0, width)):
                    window = self._window(low, high)
                    if window is not None:
                        yield window

    def _noisy(self, step: float) -> Iterator[Window]:
        """Yield wider windows in which f carries more noise than its rounding explains."""
        while (step := WIDER * step) <= self.widest:
            window = self._window(-step, step)
            if window is not None and window.tail > UNEXPLAINED * self.noise:
                yield window

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
        within = steps[(low < steps) & (steps < high)]
        return float(np.ptp(self.f(within))) if within.size else 0.0

    def _window(self, low: float, high: float) -> Window | None:
        """Fit a window within the limits; None where f is not finite or there is no room."""
        low, high = max(low, self.limits[0] / 2), min(high, self.limits[1] / 2)
        window = fit_window(self.f, low, high, self.noise) if low < high else None
        if window is None or not window.flat:
            return window
        unseen = CALIBRATION * ROUNDING_SHARE * self.hidden / window.half
        return replace(window, bound=max(window.bound, unseen))


def _distance(derivative: Derivative, claimed: float) -> float:
    """Return how far `claimed` is from the derivative, at a kink from the nearer side."""
    sides = [side.value for side in (derivative.left, derivative.right) if side is not None]
    return min(abs(claimed - value) for value in (sides or [derivative.value]))


def _allows(window: Window, claimed: float) -> bool:
    return abs(window.slope - claimed) <= window.bound


def _contradicts(window: Window, wide: Derivative) -> bool:
    low, high = wide.interval
    return window.slope + window.bound < low or high < window.slope - window.bound
