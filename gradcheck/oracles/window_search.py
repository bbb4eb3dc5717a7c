"""The search for the width at which a window tells most of a slope: narrower, wider, or as it is.

Too wide a window holds kinks and singularities, too narrow a one drowns in rounding. The first
window follows the caller's scale; where its bound is not small it is narrowed for as long as that
helps, or widened where noise is all that is left of the last coefficients.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.windows import ROUNDING_UNIT, STEP_SHARE, TELLING, Window, fit_window

__all__ = ["WindowSearch"]

Array = NDArray[np.float64]

STEP = 0.03
"""Half the first window, relative to `scale`: twelve coefficients of an f whose nearest singularity
is one to three scales away then reach rounding, with none to spare."""

EDGE_SHARE = 0.03
"""Half the first window at most, relative to the distance to the edge of the domain, where log,
sqrt and acos have a singularity."""

INSIDE = 0.9
"""How near to a declared edge a window may come, relative to the distance to it."""

SATISFACTORY = 1e-9
"""The relative bound that ends the search unless the caller has a target: a hundredth of the finest
error that a profile asks for."""

FACTOR, LARGEST_FACTOR = 8.0, 512.0
"""Each window is so much narrower than the last; eight times more after each that did not help."""

GAIN = 2.0
"""A window helped if its bound is so much smaller: random placement alone changes it by less."""

LOSS = 3.0
"""Noise widens the bound by the factor of narrowing, 8; kinks leave it; 3 lies between."""

CREDIBLE_NOISE = 1e-3
"""A tail below this part of the variation may be taken for noise by one narrower window. A larger
one may be a feature narrower than the window, such as a clipped range, and exhausts PATIENCE."""

WIDEST = 8.0
"""The widest half window, relative to `scale`."""

NARROWEST = 1e-25
"""The narrowest half window, relative to `scale`; float64 cannot tell x + t from x long before."""

PEEK = 4096.0
"""Where f is flat, one look is taken at so much narrower a window: over one that is far too wide a
narrow peak of f lies between the points."""

GUARD_FACTOR = 4.0
"""A guard of a branch draws an end of the window nearer by this factor until it holds."""

NOISE_SPREAD = 16.0
"""Two tails of the same noise differ by less than this factor (F distribution, 4 and 4 degrees of
freedom: the root of the ratio exceeds 16 once in 20 000); kinks shrink with the window, by 512 in
two steps of narrowing."""

SUSPICIOUS = 1e-6
"""The relative bound above which one looks for kinks that pass for noise."""

PATIENCE = 3
"""Windows in a row that do not help before narrowing ends: a factor of 8 * 64 * 512 in all."""

CLIMBS = 4
"""Halvings, on the scale of logarithms, of the gap between a window without kinks and one with."""


@dataclass
class WindowSearch:
    """Windows of `f` around 0 that keep inside `limits` and inside the cell of 0.

    `limits` is the open interval of t where f may be evaluated; an end at 0 makes the search one of
    a one-sided derivative. `same_cell(t)` says whether f takes the same branches at t as at 0. No
    window is narrower than `finest` to either side. A bound of `target` ends the search; without one,
    a bound that is `SATISFACTORY`. A window whose limit at 0 is not `value`, f at 0 where that is
    known, holds a feature narrower than the distance of its points.
    """

    f: Callable[[Array], Array]
    scale: float
    limits: tuple[float, float]
    rounding: float | Callable[[], float] | None
    same_cell: Callable[[float], bool] | None = None
    finest: float = 0.0
    target: float | None = None
    value: float | None = None
    windows: list[Window] = field(default_factory=list)
    _best: Window | None = field(default=None, init=False)

    def run(self, jitter: float) -> Window | None:
        """Return the best window, or None if f is finite in none; `jitter` scales the first one."""
        distance = min((abs(edge) for edge in self.limits if edge), default=math.inf)
        first = self._first_finite(min(STEP * self.scale, EDGE_SHARE * distance) * jitter)
        if first is None:
            return None
        if first.flat:
            self.visit(self.scale * jitter)
            peek = self.visit(first.half / PEEK)
            if peek is not None and not peek.flat and not self.satisfied_by(peek):
                self._narrow(peek)
        elif not self.satisfied_by(first):
            self._narrow(first)
            if self.best.flat or self.best.half >= first.half:
                self._widen(first)
            if self.best.relative_bound > SUSPICIOUS and not self.satisfied_by(self.best):
                self._probe(self.best)
        return self.best

    def satisfied_by(self, window: Window) -> bool:
        """Whether nobody asked for a smaller bound than that of `window`."""
        if self.misses_the_value(window):
            return False
        if self.target is None:
            return window.relative_bound <= SATISFACTORY
        return window.bound <= self.target

    def convinced_by(self, window: Window) -> bool:
        """Whether nothing about `window`, or about those within it, speaks of a kink."""
        return not self.misses_the_value(window) and (
            window.flat
            or window.relative_bound <= SUSPICIOUS
            or self.satisfied_by(window)
            or self.credible_noise
        )

    @property
    def best(self) -> Window:
        """The window with the smallest bound among those that no narrower window contradicts."""
        if self._best is None:
            windows = [self._in_the_light_of_others(window) for window in self.windows]
            trusted = [
                one
                for one in windows
                if not any(one.contradicts(other) for other in windows if other.half < one.half)
            ]
            truest = [window for window in trusted if not self.misses_the_value(window)]
            self._best = min(truest or trusted, key=lambda window: window.bound)
        return self._best

    def misses_the_value(self, window: Window) -> bool:
        """Whether f at 0 lies beside `window`, or beside a narrower one whose bound is finer."""
        return self.value is not None and any(
            not abs(other.level - self.value) <= other.level_bound
            for other in (window, *self.windows)
            if other.half <= window.half
        )

    @property
    def noise(self) -> float:
        """The smallest tail seen, in units of f: the noise of f, as far as it shows."""
        return min((window.tail for window in self._varying), default=0.0)

    @property
    def only_noise(self) -> bool:
        """Whether the tails of narrower windows are mostly as large as that of the first.

        So they are at a jump of f at 0, which is no noise: `credible_noise` asks for more. Narrower
        windows where f is flat lie on one step of a staircase, which is noise.
        """
        first = self.windows[0]
        narrower = [window.tail for window in self._varying if window.half < first.half]
        return not narrower or NOISE_SPREAD * statistics.median(narrower) >= first.tail

    @property
    def credible_noise(self) -> bool:
        """Whether noise explains the tails, and is small beside the variation of f."""
        return self.only_noise and self.best.tail <= CREDIBLE_NOISE * self.best.variation

    def visit(self, half: float) -> Window | None:
        """Fit one more window, `half` to either side as far as the limits and the cell allow."""
        if half < NARROWEST * self.scale:
            return None
        low = self._within_cell(max(-half, INSIDE * self.limits[0]))
        high = self._within_cell(min(half, INSIDE * self.limits[1]))
        if not low < high or high - low < 2 * self.finest:
            return None
        window = fit_window(self.f, low, high, self.rounding)
        if window is not None:
            self.windows.append(window)
            self._best = None
        return window

    def climb(self, inner: Window) -> None:
        """Widen a window that holds no kink as far as the kinks around it leave it room."""
        outer = min((w.half for w in self.windows if w.half > inner.half), default=inner.half)
        for _ in range(CLIMBS):
            if self.satisfied_by(inner):
                return
            window = self.visit(math.sqrt(inner.half * outer))
            if window is not None and window.bound < inner.bound:
                inner = window
            else:
                outer = math.sqrt(inner.half * outer)

    def _in_the_light_of_others(self, window: Window) -> Window:
        """Widen the bound by what the narrower and wider windows know better of the noise of f.

        Noise does not fall as a window grows, so a tail below those of narrower windows is chance;
        and a flat window may lie on one step of a staircase that wider windows have seen. Where the
        caller knows the rounding, and f was flat from the start, it is no such step.
        """
        if not window.flat:
            noise = max(other.tail for other in self._varying if other.half <= window.half)
        elif self.rounding is not None and window is self.windows[0]:
            noise = window.tail
        else:
            noise = STEP_SHARE * max(other.quantum for other in self.windows)
        return window.with_tail(max(window.tail, noise))

    @property
    def _varying(self) -> list[Window]:
        return [window for window in self.windows if not window.flat]

    def _within_cell(self, end: float) -> float:
        while self.same_cell is not None and end and not self.same_cell(end):
            end = end / GUARD_FACTOR if abs(end) > NARROWEST * self.scale else 0.0
        return end

    def _first_finite(self, half: float) -> Window | None:
        while half > NARROWEST * self.scale:
            window = self.visit(half)
            if window is not None:
                return window
            half /= FACTOR
        return None

    def _narrow(self, window: Window) -> None:
        factor, idle = FACTOR, 0
        while not self.satisfied_by(self.best) and idle < PATIENCE:
            best = self.best
            narrower = self.visit(window.half / factor)
            if narrower is None:
                return
            if narrower.flat:
                # A staircase shows its step in between, a function that ends in a plateau does not.
                self.visit(math.sqrt(window.half * narrower.half))
            if narrower.bound > LOSS * best.bound and best.tail < CREDIBLE_NOISE * best.variation:
                break
            rises = narrower.tail > NOISE_SPREAD * window.tail  # as f does on the way to a pole
            if self.best.bound < best.bound / GAIN or narrower.contradicts(best) or rises:
                idle = 0
            else:
                idle += 1
                factor = min(factor * FACTOR, LARGEST_FACTOR)
            window = narrower
        self._between(self.best)

    def _between(self, best: Window) -> None:
        """Try a width halfway to the next narrower window where the narrowing made a long step."""
        narrower = max((w.half for w in self.windows if w.half < best.half), default=best.half)
        if best.half / narrower > 2 * FACTOR and not self.satisfied_by(best):
            self.visit(math.sqrt(best.half * narrower))

    def _widen(self, best: Window) -> None:
        half = best.half
        while not self.satisfied_by(best) and half < WIDEST * self.scale / FACTOR:
            half *= FACTOR
            wider = self.visit(half)
            if wider is None or wider.bound > best.bound / GAIN:
                return
            best = wider

    def _probe(self, best: Window) -> None:
        """Try the narrowest window that could still help if f had but its rounding for noise.

        The many small kinks of a wide layer look like noise from afar; inside they are gone.
        """
        known = self.rounding() if callable(self.rounding) else self.rounding
        rounding = max(ROUNDING_UNIT * best.magnitude, known or 0.0)
        half = FACTOR * TELLING * rounding / best.bound if best.bound > 0 else best.half
        if half < best.half / FACTOR:
            window = self.visit(half)
            if window is not None and window.flat:
                # Narrower than one step of f's own rounding it tells nothing of the slope.
                self.windows.remove(window)
                self._best = None
            elif window is not None and window.bound < best.bound:
                self.climb(window)
