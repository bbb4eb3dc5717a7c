"""Points that enter a branch of the code which no drawn point took, found by moving one that came near.

From a point in such a branch the other sides of the other comparisons are sought in their turn: what is
wrong where 600 < x < 601 alone is wrong in neither branch as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.branch_approach import Approach
from gradcheck.errors import Abstention, GradcheckError
from gradcheck.oracles.programs import Programs
from gradcheck.programs.branches import SIGN, Branch, Branches
from gradcheck.randomness import fixed_random_state
from gradcheck.rules import Point, Rule, claim_at
from gradcheck.strategies.compared_sizes import points_of_compared_sizes
from gradcheck.strategies.variation import Variation

__all__ = ["ATTEMPTS", "seek"]

Array = NDArray[Any]

ATTEMPTS = 3
"""Points proposed for one branch: a wrong one seldom hides from the first."""

MOST_COMBINATIONS = 6
"""Branches that are sought beside one that no draw entered, with a third of the evaluations each."""


def seek(rule: Rule, programs: Programs, branches: Branches, seed: int) -> Iterator[list[Point]]:
    """Yield points of `rule` in branches of its code that no drawn point entered, one at a time.

    One point in each branch comes first, then points at which it is combined with others, then a second
    in each, at most `ATTEMPTS`. Each is of the rule's contract, or keeps what the user's own draws
    keep, and its forward is finite. Points of sizes that the code compares with take their turns among
    them. An empty list comes where nothing was found for a while.

    Args:
        rule: the rule.
        programs: what traced it.
        branches: what the points have entered, those too that are yielded; those that came to a branch
            are moved.
        seed: decides all randomness.
    """
    search = _BranchSearch(rule, programs, branches, Variation(rule))
    sought: set[Branch] = set()
    combined: set[Branch] = set()
    ways = deque[tuple[Branch | None, Iterator[Point]]](
        [(None, points_of_compared_sizes(rule, seed))]
    )
    ways_again = deque[tuple[Branch | None, Iterator[Point]]]()
    while True:
        for unentered in branches.never_entered():
            if unentered not in sought:
                sought.add(unentered)
                rng = np.random.default_rng([seed, len(sought)])
                ways.appendleft((unentered, search.entering(unentered, rng)))
        if not ways:
            ways, ways_again = ways_again, deque()
        if not ways:
            return
        branch, way = ways.popleft()
        with fixed_random_state():
            point = next(way, None)
        yield [] if point is None else [point]
        if point is not None:
            if branch is not None and branch not in combined:
                combined.add(branch)
                rng = np.random.default_rng([seed, len(sought), len(combined)])
                ways.append((branch, search.combining(branch, point, sought, rng)))
            ways_again.append((branch, way))


@dataclass(frozen=True)
class _BranchSearch:
    """A rule, what traced it, what its points have entered, and what is known of its own draws."""

    rule: Rule
    programs: Programs
    branches: Branches
    variation: Variation

    def entering(self, branch: Branch, rng: np.random.Generator) -> Iterator[Point]:
        """Yield points that take `branch`, at most `ATTEMPTS`, by moving those that came to it."""

        def found() -> Iterator[Point]:
            for base in self.branches.points_at(branch.site):
                with suppress(Abstention, GradcheckError):  # then there is no way from here
                    approach = self._approach(base, branch, rng)
                    yield from self._points(base, approach.crossings(), f"to enter {branch}")

        return islice(found(), ATTEMPTS)

    def combining(
        self, branch: Branch, base: Point, rare: Set[Branch], rng: np.random.Generator
    ) -> Iterator[Point]:
        """Yield points that take `branch` as `base` does, each with another branch beside it.

        Those that are `rare` themselves come first, signs last.
        """
        with suppress(Abstention, GradcheckError):
            missing = self._approach(base, branch, rng).not_beside(self.branches.others(branch))
            missing.sort(key=lambda other: (other not in rare, other.site.kind == SIGN))
            for other in missing[:MOST_COMBINATIONS]:
                approach = self._approach(base, other, rng, beside=branch)
                label = f"to enter {other}, together with {branch.phrase}"
                yield from self._points(base, islice(approach.crossings(), 1), label)

    def _approach(
        self, base: Point, branch: Branch, rng: np.random.Generator, beside: Branch | None = None
    ) -> Approach:
        claim = claim_at(self.rule, base)
        traced = self.programs.at(self.rule, claim, rng)
        movable = self._movable_arrays(base)
        return Approach(traced, claim, self.branches, branch, movable, rng, beside)

    def _movable_arrays(self, point: Point) -> list[int]:
        """Number the floating arrays of a point that may change: a scalar has but one cotangent."""
        movable = self.variation.movable_paths(point.inputs)
        leaves = [
            (path, leaf)
            for name, tree in zip(self.rule.input_names, point.inputs, strict=True)
            for path, leaf in trees.leaves(tree, name)
        ]
        free = [path in movable for path, leaf in leaves if trees.is_variable(leaf)]
        cotangents = sum(trees.is_variable(leaf) for _, leaf in trees.leaves(point.cotangent))
        free += [not self.rule.scalar] * cotangents
        return [number for number, is_free in enumerate(free) if is_free]

    def _points(self, base: Point, ways: Iterator[list[Array]], label: str) -> Iterator[Point]:
        """Yield the points of these arrays, but for those to which the rule does not go."""
        for arrays in ways:
            point = self._point(base, arrays, label)
            if point is not None:
                yield point

    def _point(self, base: Point, arrays: list[Array], label: str) -> Point | None:
        tree = (base.inputs, base.cotangent)
        left = iter(arrays)
        inputs, cotangent = trees.map_leaves(
            lambda leaf: _as_kind_of(leaf, next(left)) if trees.is_variable(leaf) else leaf, tree
        )
        try:
            inputs = self.variation.permitted(base.inputs, inputs)
            if inputs is None:
                return None
            point = Point(inputs, cotangent, f"{base.label}, {label}")
            with np.errstate(all="ignore"):
                output = self.rule.primal(point.copy().inputs)
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
