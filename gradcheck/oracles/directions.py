"""Directions that weigh every entry of a claimed gradient alike, and the search for the wrong ones.

The derivative along d is <gradient, d>. With d_i of the order of 1 / |g_i| every entry contributes
about 1, so that one direction tests them all: an entry that is off by the relative error e changes
the derivative by about e, however small the entry is beside the others. Along a plain random
direction it would drown in them, as in any comparison by norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.differences import Derivative

__all__ = [
    "WrongEntry",
    "localise",
    "magnitude_blocks",
    "step_scale",
    "weighted_direction",
]

Array = NDArray[np.float64]
Entries = NDArray[np.intp]

BLOCK_RATIO = 100.0
"""The largest ratio of the influences |g_i x_i| of two entries of one direction. The least one limits
the step, hence all others lose this factor of about 1e12 that differences resolve."""

LEAST_INFLUENCE = 1e-6
"""An entry of less influence, relative to the largest, is weighted as if it had this much: none can be
resolved relative to itself when it is 0."""

MOST_WRONG = 8
"""Wrong entries that are located before the search ends: enough to see a pattern by."""


@dataclass(frozen=True)
class WrongEntry:
    """An entry whose claim lies outside the bound: its flat index, its true value, its bound.

    `derivative` is that along the entry alone, by its size in the direction.
    """

    entry: int
    true: float
    bound: float
    derivative: Derivative


def weights(claimed: Array, scale: Array) -> Array:
    """Return the size (n,) that each claimed entry is weighted by: |g_i|, or a floor for small ones."""
    magnitude = np.where(np.isfinite(claimed), np.abs(claimed), 0.0)
    largest = float(np.max(magnitude * scale, initial=0.0))
    return np.maximum(magnitude, (LEAST_INFLUENCE * largest or 1.0) / scale)


def magnitude_blocks(claimed: Array, scale: Array) -> list[Entries]:
    """Split the entries into blocks of like influence |g_i| * scale_i, the most influential first.

    `claimed` and `scale` have shape (n,); the blocks are arrays of flat indices, each within a
    factor of `BLOCK_RATIO`, together all n.

    >>> [list(map(int, block)) for block in magnitude_blocks(np.array([1.0, 1e-3, 2.0]), np.ones(3))]
    [[0, 2], [1]]
    """
    if claimed.size == 0:
        return []
    influence = weights(claimed, scale) * scale
    steps = np.floor(np.log(np.max(influence) / influence) / math.log(BLOCK_RATIO))
    return [np.flatnonzero(steps == step) for step in np.unique(steps)]


def weighted_direction(
    claimed: Array, scale: Array, entries: Entries, rng: np.random.Generator
) -> Array:
    """Return a random direction (n,), d_i = ±r_i / max(|g_i|, floor) in `entries` and 0 elsewhere.

    The r_i are uniform in [1/2, 1]: errors of two entries that cancel along one direction do not
    along the next. `scale` (n,) is the size of the change of each input over which the function
    changes by its own order.
    """
    direction = np.zeros(claimed.shape)
    signs = rng.choice([-1.0, 1.0], entries.size)
    direction[entries] = (
        signs * rng.uniform(0.5, 1.0, entries.size) / weights(claimed, scale)[entries]
    )
    return direction


def step_scale(direction: Array, scale: Array) -> float:
    """Return the t at which x + t d moves the first of its entries by its scale (infinite for d = 0).

    It is the `scale` for `estimate_derivative` along d: all entries move by at most their scale.
    """
    moving = direction != 0
    return float(np.min(scale[moving] / np.abs(direction[moving]), initial=math.inf))


def localise(
    directional: Callable[[Array], Derivative],
    claimed: Array,
    direction: Array,
    *,
    most: int = MOST_WRONG,
) -> list[WrongEntry]:
    """Find the wrong entries of `claimed` (n,) by halving a direction along which it disagrees.

    The derivative is linear in the direction: what one half does not explain lies in the other,
    which takes no evaluation of its own. k wrong entries take about k log2(n) derivatives, and one
    more each to confirm it alone. Every entry returned is confirmed. Some are missing where more
    than `most` are wrong, where errors are too small to be told apart in the halves, or where so
    many derivatives have no bound that the search ends.

    Args:
        directional: the derivative along a direction (n,), with its bound.
        claimed: the claimed gradient, flat.
        direction: the direction to halve; see `weighted_direction`.
        most: how many wrong entries end the search.
    """
    search = _Halving(directional, claimed, direction)
    entries = np.flatnonzero(direction)
    pending = [search.measure(entries)] if entries.size else []
    found: list[WrongEntry] = []
    affordable = most * (math.ceil(math.log2(max(entries.size, 1))) + 2)
    while pending and len(found) < most and search.derivatives < affordable:
        part = pending.pop()
        if not part.disagrees:
            continue
        if part.entries.size == 1:
            found.extend(search.confirm(int(part.entries[0])))
        else:
            pending.extend(sorted(search.halve(part), key=lambda half: half.excess))
    return found


@dataclass(frozen=True)
class _Part:
    """Some entries, and true minus claimed derivative along them with its bound."""

    entries: Entries
    residual: float
    bound: float
    derivative: Derivative | None = None

    @property
    def disagrees(self) -> bool:
        return not abs(self.residual) <= self.bound

    @property
    def excess(self) -> float:
        return abs(self.residual) if math.isfinite(self.residual) else math.inf


@dataclass
class _Halving:
    directional: Callable[[Array], Derivative]
    claimed: Array
    direction: Array
    derivatives: int = 0

    def measure(self, entries: Entries) -> _Part:
        along = np.zeros_like(self.direction)
        along[entries] = self.direction[entries]
        derivative = self.directional(along)
        self.derivatives += 1
        claimed = float(np.sum(self.claimed[entries] * along[entries]))
        return _Part(entries, derivative.value - claimed, derivative.bound, derivative)

    def halve(self, part: _Part) -> tuple[_Part, _Part]:
        middle = part.entries.size // 2
        first = self.measure(part.entries[:middle])
        rest = _Part(
            part.entries[middle:], part.residual - first.residual, part.bound + first.bound
        )
        # Below the sum of two bounds the rest must be looked at by itself.
        if not (first.disagrees or rest.disagrees) or not math.isfinite(rest.bound):
            rest = self.measure(rest.entries)
        return first, rest

    def confirm(self, entry: int) -> list[WrongEntry]:
        part = self.measure(np.array([entry]))
        if part.derivative is None or not part.disagrees or not math.isfinite(part.bound):
            return []
        size = self.direction[entry]
        true = self.claimed[entry] + part.residual / size
        return [WrongEntry(entry, float(true), float(part.bound / abs(size)), part.derivative)]
