"""The way from a point to a branch of the code that it does not take.

The traced programs say at each moved point how far a comparison is from its other side (the "branch
distance" of search-based testing: Korel 1990, "Automated software test data generation"). Moves that
need no derivative come first: entries put beside the number compared with, arrays rescaled or negated.
Where none of them crosses, the distance is climbed along its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.oracles.programs import Traced
from gradcheck.programs.arithmetics.cells import CELLS
from gradcheck.programs.branches import (
    EQUALITIES,
    SIGN,
    Branch,
    Branches,
    Site,
    margin,
    nearest_operands,
    sides_of,
    taken_together,
)
from gradcheck.programs.evaluation import Decision, evaluate
from gradcheck.rules import Claim

__all__ = ["Approach"]

Array = NDArray[Any]

MOST_EVALUATIONS = 120
"""Evaluations of the programs that are spent on one branch: as much time as a few points take."""

BESIDE = 0.125
"""How far from the number compared with an entry is put, relative to it (absolute below 1)."""

FAR = 4.0
"""How far from it another is put, likewise: there nothing cancels."""

FACTORS = (8.0, -1.0, 64.0, 1 / 8, 1024.0, 0.0)
"""What an array is multiplied by as a whole."""

OVERSHOOTS = (1.25, 2.5, 5.0)
"""Where a climb looks, in units of the step at which the distance would vanish if it were linear."""

CLIMBS = 4
"""Steps of a climb, each Newton's for one equation: a few suffice, or none do."""

DIRECTIONS = 24
"""Directions along which a climb differences the distance: single entries, or random ones of more."""

STEP = 1e-6
"""Step of these differences relative to the entry (absolute below 1): exact enough to climb by."""


class Approach:
    """The way from one point to a branch, by the programs traced there.

    Points are lists of the floating arrays of the inputs, then of the cotangent; `movable` has the
    numbers of those that may change. `beside` is a branch that must be taken as well.
    """

    def __init__(
        self,
        traced: Traced,
        claim: Claim,
        branches: Branches,
        branch: Branch,
        movable: list[int],
        rng: np.random.Generator,
        beside: Branch | None = None,
    ) -> None:
        self.branches, self.branch, self.movable, self.rng = branches, branch, movable, rng
        self.beside = beside
        self.sides = [side for side in traced.sides(claim) if side.program is not None]
        _, self.start = traced.arguments(claim)
        self.left = MOST_EVALUATIONS if beside is None else MOST_EVALUATIONS // 3

    def crossings(self) -> Iterator[list[Array]]:
        """Yield points at which the branch is taken: at most one of each kind of move."""
        if not self.movable:
            return
        for move in self.moves():
            for number in self.rng.permutation(self.movable):
                moved = list(self.start)
                moved[number] = _like(self.start[number], move(self.start[number]))
                if self.takes(moved):
                    yield moved
                    break
        yield from self.climb()

    def not_beside(self, others: list[Branch]) -> list[Branch]:
        """Return which of other branches the start does not take together with the branch."""
        found = self.decisions(self.start)
        return [other for other in others if not self.taken(found, other, self.branch)]

    def moves(self) -> Iterator[Callable[[Array], Array]]:
        """Yield ways to change one array, those that change least first."""
        yield from self._between()
        constants = self.compared_with()
        for distance in (0.0,) if self.branch.site.kind in EQUALITIES else (BESIDE, FAR):
            for constant in constants:
                for sign in (1, -1):
                    target = constant + sign * distance * max(1.0, abs(constant))
                    yield partial(self._with_entry, target)
                    yield partial(self._around, target)
        yield from (partial(np.multiply, factor) for factor in FACTORS)

    def _between(self) -> Iterator[Callable[[Array], Array]]:
        """Yield ways to put entries between the numbers that both sites compare with."""
        bounds = self.branch.site.constant, self.beside.site.constant if self.beside else None
        if bounds[0] is None or bounds[1] is None:
            return
        middle, width = (bounds[0] + bounds[1]) / 2, abs(bounds[0] - bounds[1])
        for target in (middle, -middle):
            yield partial(self._with_entry, target)
            yield partial(self._around, target, spread=width / 4)

    def _with_entry(self, target: float, array: Array) -> Array:
        moved = array.copy()
        if moved.size:
            moved.flat[int(self.rng.integers(moved.size))] = target
        return moved

    def _around(self, target: float, array: Array, spread: float | None = None) -> Array:
        if spread is None:
            spread = BESIDE / 2 * max(1.0, abs(target))
        return target + spread * self.rng.uniform(-1, 1, array.shape)

    def compared_with(self) -> list[float]:
        """List the numbers that entries are compared with, at the entry nearest to the branch."""
        site = self.branch.site
        if site.constant is not None or site.kind == SIGN:
            return [site.constant or 0.0]
        decisions = self.of_site(self.decisions(self.start), site)
        if not decisions:
            return []
        nearest = max(decisions, key=lambda decision: margin(decision, self.branch.side))
        return nearest_operands(nearest, self.branch.side)

    def decisions(self, arrays: list[Array]) -> list[Decision]:
        """Return the decisions of all sites at a point."""
        self.left -= 1
        found: list[Decision] = []
        for side in self.sides:
            inputs = [arrays[number] for number in side.arguments]
            evaluate(side.program, inputs, CELLS, decisions=found)
        return found

    def of_site(self, found: list[Decision], site: Site) -> list[Decision]:
        """Return the decisions of one site."""
        return [item for item in found if self.branches.site_of(item.operation) == site]

    def taken(self, found: list[Decision], branch: Branch, beside: Branch | None) -> bool:
        """Say whether decisions take a branch, and another one beside it where one is asked for."""
        own = self.of_site(found, branch.site)
        if beside is None:
            return any(branch.side in sides_of(item) for item in own)
        return any(
            taken_together(item, branch.side, other, beside.side)
            for item in own
            for other in self.of_site(found, beside.site)
        )

    def takes(self, arrays: list[Array]) -> bool:
        """Say whether the branch is taken at a point, together with the one beside it."""
        if self.left <= 0:
            return False
        return self.taken(self.decisions(arrays), self.branch, self.beside)

    def margin(self, arrays: list[Array]) -> float:
        """Return by how much the branch is taken; negative where it is not."""
        own = self.of_site(self.decisions(arrays), self.branch.site)
        return max((margin(decision, self.branch.side) for decision in own), default=-np.inf)

    def climb(self) -> Iterator[list[Array]]:
        """Follow the gradient of the margin by Newton's steps."""
        here = self.start
        for _ in range(CLIMBS):
            missing = -self.margin(here)
            if self.left <= 0 or not 0 < missing < np.inf:
                return
            ascent = self.ascent(here, missing)
            if ascent is None:
                return
            ways = [self.stepped(here, ascent, factor) for factor in OVERSHOOTS]
            crossing = [way for way in ways if self.takes(way)]
            if crossing:
                yield from crossing
                return
            here = max(ways, key=self.margin)

    def ascent(self, here: list[Array], missing: float) -> Array | None:
        """Return the shortest step that makes up for what is missing, to first order."""
        moving = [here[number] for number in self.movable]
        sizes = np.concatenate([np.ravel(np.abs(array)) for array in moving])
        few = sizes.size <= DIRECTIONS
        directions = (
            np.eye(sizes.size) if few else self.rng.standard_normal((DIRECTIONS, sizes.size))
        )
        directions = directions * STEP * np.maximum(sizes, 1)
        slopes = np.array([self.margin(self.stepped(here, d, 1.0)) + missing for d in directions])
        steepness = float(slopes @ slopes)
        if not np.isfinite(steepness) or not steepness:
            return None
        return np.asarray(missing / steepness * (slopes @ directions))

    def stepped(self, here: list[Array], step: Array, factor: float) -> list[Array]:
        """Add a multiple of a step, whose entries are those of the movable arrays in order."""
        moved, start = list(here), 0
        for number in self.movable:
            array = here[number]
            own = step[start : start + array.size].reshape(array.shape)
            moved[number], start = _like(array, array + factor * own), start + array.size
        return moved


def _like(array: Array, moved: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(moved).astype(array.dtype)
