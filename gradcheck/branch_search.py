"""Points that enter a branch of the code which no drawn point took, found by moving one that came near.

The traced programs say at each moved point how far a comparison is from its other side (the "branch
distance" of search-based testing: Korel 1990, "Automated software test data generation"). Moves that
need no derivative come first: entries put beside the number compared with, arrays rescaled or negated.
Where none of them crosses, the distance is climbed along its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention, GradcheckError
from gradcheck.oracles.programs import Programs, Traced
from gradcheck.programs.arithmetics.cells import CELLS
from gradcheck.programs.branches import (
    EQUALITIES,
    SIGN,
    Branch,
    Branches,
    margin,
    nearest_operands,
    sides_of,
)
from gradcheck.programs.evaluation import Decision, evaluate
from gradcheck.rules import Claim, Point, Rule, claim_at
from gradcheck.strategies.variation import Variation

__all__ = ["ATTEMPTS", "entering"]

Array = NDArray[Any]

ATTEMPTS = 3
"""Points proposed for one branch: a wrong one seldom hides from the first."""

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


def entering(
    rule: Rule,
    programs: Programs,
    branches: Branches,
    branch: Branch,
    variation: Variation,
    rng: np.random.Generator,
) -> Iterator[Point]:
    """Yield points of `rule` at which its programs take `branch`, at most `ATTEMPTS`.

    Each is of the rule's contract, or keeps what the user's own draws keep, and its forward is finite.

    Args:
        rule: the rule.
        programs: what traced it.
        branches: what the drawn points have entered; those that came to the branch are moved.
        branch: the branch that none of them entered.
        variation: what is known of the rule's own draws.
        rng: where all randomness comes from.
    """

    def found() -> Iterator[Point]:
        for base in branches.points_at(branch.site):
            with suppress(Abstention, GradcheckError):  # then there is no way from here
                claim = claim_at(rule, base)
                traced = programs.at(rule, claim, rng)
                movable = _movable_arrays(rule, variation, claim.point)
                approach = _Approach(traced, claim, branches, branch, movable, rng)
                for arrays in approach.crossings():
                    point = _point(rule, variation, claim.point, arrays, f"to enter {branch}")
                    if point is not None:
                        yield point

    return islice(found(), ATTEMPTS)


class _Approach:
    """The way from one point to a branch, by the programs traced there.

    Points are lists of the floating arrays of the inputs, then of the cotangent; `movable` has the
    numbers of those that may change.
    """

    def __init__(
        self,
        traced: Traced,
        claim: Claim,
        branches: Branches,
        branch: Branch,
        movable: list[int],
        rng: np.random.Generator,
    ) -> None:
        self.branches, self.branch, self.movable, self.rng = branches, branch, movable, rng
        self.sides = [side for side in traced.sides(claim) if side.program is not None]
        _, self.start = traced.arguments(claim)
        self.left = MOST_EVALUATIONS

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

    def moves(self) -> Iterator[Callable[[Array], Array]]:
        """Yield ways to change one array, those that change least first."""
        constants = self.compared_with()
        for distance in (0.0,) if self.branch.site.kind in EQUALITIES else (BESIDE, FAR):
            for constant in constants:
                for sign in (1, -1):
                    target = constant + sign * distance * max(1.0, abs(constant))
                    yield partial(self._with_entry, target)
                    yield partial(self._around, target)
        yield from (partial(np.multiply, factor) for factor in FACTORS)

    def _with_entry(self, target: float, array: Array) -> Array:
        moved = array.copy()
        if moved.size:
            moved.flat[int(self.rng.integers(moved.size))] = target
        return moved

    def _around(self, target: float, array: Array) -> Array:
        spread = BESIDE / 2 * max(1.0, abs(target))
        return target + spread * self.rng.uniform(-1, 1, array.shape)

    def compared_with(self) -> list[float]:
        """List the numbers that entries are compared with, at the entry nearest to the branch."""
        site = self.branch.site
        if site.constant is not None or site.kind == SIGN:
            return [site.constant or 0.0]
        decisions = self.decisions(self.start)
        if not decisions:
            return []
        nearest = max(decisions, key=lambda decision: margin(decision, self.branch.side))
        return nearest_operands(nearest, self.branch.side)

    def decisions(self, arrays: list[Array]) -> list[Decision]:
        """Return the decisions of the branch's site at a point."""
        self.left -= 1
        found: list[Decision] = []
        for side in self.sides:
            inputs = [arrays[number] for number in side.arguments]
            evaluate(side.program, inputs, CELLS, decisions=found)
        site_of, site = self.branches.site_of, self.branch.site
        return [decision for decision in found if site_of(decision.operation) == site]

    def takes(self, arrays: list[Array]) -> bool:
        """Say whether the branch is taken at a point."""
        if self.left <= 0:
            return False
        return any(self.branch.side in sides_of(item) for item in self.decisions(arrays))

    def margin(self, arrays: list[Array]) -> float:
        """Return by how much the branch is taken; negative where it is not."""
        own = self.decisions(arrays)
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


def _movable_arrays(rule: Rule, variation: Variation, point: Point) -> list[int]:
    """Number the floating arrays of a point that may change: a scalar has but one cotangent."""
    movable = variation.movable_paths(point.inputs)
    leaves = [
        (path, leaf)
        for name, tree in zip(rule.input_names, point.inputs, strict=True)
        for path, leaf in trees.leaves(tree, name)
    ]
    free = [path in movable for path, leaf in leaves if trees.is_variable(leaf)]
    cotangents = sum(trees.is_variable(leaf) for _, leaf in trees.leaves(point.cotangent))
    free += [not rule.scalar] * cotangents
    return [number for number, is_free in enumerate(free) if is_free]


def _point(
    rule: Rule, variation: Variation, base: Point, arrays: list[Array], label: str
) -> Point | None:
    """Return the point of these arrays, or None where the rule does not go there."""
    tree = (base.inputs, base.cotangent)
    left = iter(arrays)
    inputs, cotangent = trees.map_leaves(
        lambda leaf: _as_kind_of(leaf, next(left)) if trees.is_variable(leaf) else leaf, tree
    )
    try:
        inputs = variation.permitted(base.inputs, inputs)
        if inputs is None:
            return None
        point = Point(inputs, cotangent, f"{base.label}, {label}")
        with np.errstate(all="ignore"):
            output = rule.primal(point.copy().inputs)
    except Exception:  # the search reports a forward that raises at points of its own choice
        return None
    leaves = [np.asarray(value) for _, value in trees.leaves(output)]
    finite = all(np.all(np.isfinite(leaf)) for leaf in leaves if trees.is_variable(leaf))
    shapes = [np.shape(value) for _, value in trees.leaves(cotangent)]
    return point if finite and shapes == [leaf.shape for leaf in leaves] else None


def _as_kind_of(leaf: Any, array: Array) -> Any:
    """Return the numbers in the array library of `leaf`."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return array if isinstance(leaf, np.ndarray) else array[()]
    return leaf.__array_namespace__().asarray(array, dtype=leaf.dtype)
