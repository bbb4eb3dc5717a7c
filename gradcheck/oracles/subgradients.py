"""Whether a claim at a kink is a subgradient as a whole, and not merely entry by entry.

Where max(x) has a tie each entry's slope is any in [0, 1], and yet (1, 1) is no subgradient: along (1, 1)
the maximum is as straight as elsewhere, with slope 1. A subgradient lies in the convex hull of
the gradients around the point (Clarke). The direction d in which the claim g lies farthest outside of the
gradients that were met is found first; then <g, d> is compared with the slopes of f along d and -d.

They bound <g, d> where all kinks bend f the same way. |x| - |y| is straight along (1, 1), and (1, 0) is a
subgradient nevertheless: each kink took its own side. On a line beside the point the kinks are met one
by one, so that the sum of all bends, up and down, is seen there; where it explains <g, d>, so may the
conventions of separate kinks.

Sources: F. H. Clarke, Optimization and Nonsmooth Analysis (1983), theorem 2.5.1; J. Bolte and E. Pauwels,
Conservative set valued fields, Math. Programming 188 (2021), for gradients by the chain rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.differences import Derivative

__all__ = ["Kinks", "nearest_in_hull"]

Array = NDArray[np.float64]

DISPLACED = 0.125
"""How far from the point gradients are taken, in units of `reach`: near enough for kinks at the point
alone to be near, far enough for their differences, which are narrower still."""

NARROW = 2.0**-7
"""Half the width of those differences, in units of `DISPLACED`: one in a few dozen meets a kink, and is then
the mean of two gradients, which the hull holds as well."""

JITTER = 0.1
"""The random part of a displacement: straight along d one might walk on a kink, or where two cancel."""

ROUNDS = 8
"""Directions tried to separate the claim; each takes the gradients that lie farthest along it."""

INSIDE = 1e-6
"""The distance from the hull, relative to the size of the gradients, that is none: the differences of the
gradients in it are no more exact."""

HULL_STEPS = 1000
"""Steps to the nearest point of a hull; a dozen entries take a few hundred."""

BESIDE = 6
"""Lines beside the point along which bends are summed: on one, two kinks may be met at once."""

POINTS_PER_KINK, POINTS = 4, (32, 64)
"""Values of f on such a line for each entry at a kink, and how many at least and at most."""

NEAR = 1 / 32
"""Their length and their distance from the point, in units of `reach`: so near the curvature of f, which
bends it too, is small, and other kinks are few."""

REFINED, FINER, REFINEMENTS = 4, 7, 2
"""The bends between which the line is looked at more closely, the further values in each step beside them,
and how often: kinks are told apart at a 64th of the first step."""

CLEARLY = 0.25
"""The part of a disagreement that unseen bends and the noise of seen ones must stay below."""


@dataclass(frozen=True)
class Kinks:
    """A function around a point where it has kinks in each of k entries.

    Attributes:
        f: its change from the point, by a displacement (k,) in units of `reach`.
        reach: how far each entry (k,) may be displaced, in its own units: one-sided slopes were seen to
            hold so far.
        slopes: the derivative at the point along a direction (k,) in units of `reach`.
        excuses: whether kinks of single outputs that cancel in f leave room for a claim along a direction.
        noise: the rounding of one value of f, in units of f.
    """

    f: Callable[[Array], float]
    reach: Array
    slopes: Callable[[Array], Derivative]
    excuses: Callable[[Derivative, float, Array], bool]
    noise: float

    def refutes(self, claim: Array, bound: Array, rng: np.random.Generator) -> Array | None:
        """Return the nearest subgradient (k,) to `claim` (k,) if it is none itself, else None.

        Args:
            claim: the claimed entries, each a subgradient by itself.
            bound: how much each may be off for all that is known (absolute).
            rng: for displacements.

        Returns:
            NaN in all entries where it cannot be told.
        """
        scaled, room = claim * self.reach, bound * self.reach
        nearest = self._nearest(scaled, rng)
        away = scaled - nearest
        if not np.any(np.abs(away) > room + INSIDE * np.max(np.abs(scaled), initial=0.0)):
            return None
        direction = away / np.max(np.abs(away))
        along = self.slopes(direction)
        if not np.isfinite(along.bound):
            # Where kinks cancel nothing of f may be left but its rounding, which has no slope.
            direction = direction * (1 + JITTER * rng.uniform(-1, 1, direction.shape))
            along = self.slopes(direction)
        if not np.isfinite(along.bound):
            return np.full(claim.shape, np.nan)
        claimed, slack = float(scaled @ direction), float(room @ np.abs(direction))
        low, high = along.interval
        if low - slack <= claimed <= high + slack or self.excuses(along, claimed, direction):
            return None
        excess = max(low - slack - claimed, claimed - high - slack)
        match self.explain(direction, high - low, excess, rng):
            case True:
                return None
            case False:
                return nearest / self.reach
        return np.full(claim.shape, np.nan)

    def explain(
        self, direction: Array, bend: float, excess: float, rng: np.random.Generator
    ) -> bool | None:
        """Say whether conventions of separate kinks explain a claim beyond the slopes along a direction.

        Args:
            direction: the direction (k,) in units of `reach`.
            bend: by how much the slope along it changes at the point.
            excess: how far beyond both slopes the claim lies, in the same units.
            rng: for lines beside the point.

        Returns:
            None where it cannot be told.
        """
        hidden, blur = self._hidden(direction, bend, rng)
        if hidden - blur >= (1 - CLEARLY) * excess:
            return True
        return False if max(hidden, 0.0) + blur <= CLEARLY * excess else None

    def _nearest(self, claim: Array, rng: np.random.Generator) -> Array:
        """Return the point nearest to `claim` of the hull of gradients around, all by `reach`."""
        direction = rng.normal(size=claim.shape)
        gradients: list[Array] = []
        nearest = claim
        for _ in range(ROUNDS):
            gradients += [self._gradient(side, rng) for side in (direction, -direction)]
            nearest = nearest_in_hull(np.array(gradients), claim)
            direction = claim - nearest
            if np.max(np.abs(direction)) <= INSIDE * np.max(np.abs(gradients)):
                break
        return nearest

    def _gradient(self, towards: Array, rng: np.random.Generator) -> Array:
        unit = towards / np.max(np.abs(towards)) + JITTER * rng.uniform(-1, 1, towards.shape)
        place, steps = DISPLACED * unit, DISPLACED * NARROW * np.eye(len(towards))
        with np.errstate(all="ignore"):
            changes = [self.f(place + step) - self.f(place - step) for step in steps]
        return np.nan_to_num(np.array(changes) / (2 * DISPLACED * NARROW))

    def _hidden(
        self, direction: Array, bend: float, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Return how far beyond both slopes the sides of separate kinks may reach, and the noise of that.

        On every other line beside the point the entries pass their values at the point one after the other,
        so that kinks in single entries do not meet; the rest lie anywhere, ever nearer, for kinks that are
        almost parallel, to each other or to the line. Values on a grid never show more bends than there are.
        """
        count = len(direction)
        points = int(np.clip(POINTS_PER_KINK * (count + 2), *POINTS))
        seen = blur = 0.0
        for line in range(BESIDE):
            if line % 2:
                beside = rng.uniform(-1, 1, count) * 4.0 ** -(line // 2 + 1)
            else:
                crossings = (rng.permutation(count) + rng.uniform(0.25, 0.75, count)) / count - 0.5
                beside = -crossings / 2 * np.where(direction == 0, 1.0, direction)
            bends, roundings = _bends(self.f, NEAR * beside, NEAR * direction, points)
            seen, blur = max(seen, bends / NEAR), max(blur, roundings * self.noise / NEAR)
        return (seen - bend) / 2, blur


def _bends(
    f: Callable[[Array], float], origin: Array, direction: Array, points: int
) -> tuple[float, float]:
    """Return how much the slope of f changes in all along a line, and the error of that by roundings of f.

    Where the slope changes most the grid is refined: two kinks that nearly meet may undo each other.
    """
    times = np.linspace(-0.5, 0.5, points)
    values = np.array([f(origin + t * direction) for t in times])
    for _ in range(REFINEMENTS):
        changes = np.abs(np.diff(np.diff(values) / np.diff(times)))
        cells = np.unique([np.argsort(changes)[-REFINED:] + side for side in (0, 1)])
        inner = np.linspace(times[cells], times[cells + 1], FINER + 1, endpoint=False)[1:].ravel()
        times = np.append(times, inner)
        values = np.append(values, [f(origin + t * direction) for t in inner])
        order = np.argsort(times)
        times, values = times[order], values[order]
    steps = np.diff(times)
    changes = np.abs(np.diff(np.diff(values) / steps))
    return float(np.sum(changes)), float(np.sum(4 / steps))


def nearest_in_hull(points: Array, target: Array) -> Array:
    """Return the point (k,) nearest to `target` (k,) of the convex hull of `points` (m, k).

    Weight moves from the worst point that has some to the best one, by the step that gains most (pairwise
    Frank-Wolfe: S. Lacoste-Julien and M. Jaggi, NIPS 2015, algorithm 2).

    >>> nearest_in_hull(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 1.0])).round(6).tolist()
    [0.5, 0.5]
    """
    weights = np.zeros(len(points))
    weights[0] = 1.0
    for _ in range(HULL_STEPS):
        scores = points @ (target - weights @ points)
        best = int(np.argmax(scores))
        worst = int(np.argmin(np.where(weights > 0, scores, np.inf)))
        gain, step = scores[best] - scores[worst], points[best] - points[worst]
        if not gain > np.finfo(float).eps * np.max(np.abs(scores)):
            break
        move = min(weights[worst], gain / float(step @ step))
        weights[worst] -= move
        weights[best] += move
    nearest: Array = weights @ points
    return nearest
