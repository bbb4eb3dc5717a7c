"""Running a rule as a caller would: what the behaviour checks share.

A behaviour check asks no oracle. It runs the user's own code twice, in two ways that must not matter,
and compares. Both runs are private: every array that the rule sees or returns is copied first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.comparison import Gradients
from gradcheck.resolution import epsilon_of
from gradcheck.rules import Point, Pullback, Rule, by_leaf

__all__ = [
    "RANDOM_RUNS",
    "Case",
    "away_from_zero",
    "claimed_by",
    "copied",
    "forward_is_random",
    "last_place_spread",
    "like",
]

Array = NDArray[Any]

LAST_PLACE_PROBES = 4
"""Runs at inputs changed in their last place, of which the largest change is taken."""

RANDOM_RUNS = 8
"""Forwards that are run before outputs are believed to be the same every time."""


@dataclass(frozen=True)
class Case:
    """A rule at one point, with what it computes there when nothing is out of the ordinary.

    Attributes:
        rule: the rule.
        inputs: the inputs of the point, which nobody changes.
        cotangent: the cotangent of the point, ones where it has none.
        output: the output.
        values: every real array among the inputs that has a claimed gradient, by its path.
        gradients: the claimed gradients, by path.
    """

    rule: Rule
    inputs: tuple[Any, ...]
    cotangent: Any
    output: Any
    values: Mapping[str, Array]
    gradients: Gradients

    @classmethod
    def at(cls, rule: Rule, point: Point) -> Case:
        """Run forward and backward once.

        Raises:
            RuleError, BackwardError: as `Rule.vjp`.
        """
        inputs = copied(point.inputs)
        output, pullback = rule.vjp(copied(inputs))
        output = copied(output)
        cotangent = point.cotangent
        if cotangent is None:
            cotangent = like(output, lambda leaf: np.ones(leaf.shape))
        found = claimed_by(rule, inputs, pullback, copied(cotangent))
        values = {
            path: np.asarray(value)
            for name, tree in zip(rule.input_names, inputs, strict=True)
            for path, value in trees.leaves(tree, name)
            if path in found
        }
        return cls(rule, inputs, copied(cotangent), output, values, found)

    def run(self, inputs: tuple[Any, ...], cotangent: Any) -> tuple[Any, Gradients]:
        """Run forward and backward on these very arrays; return copies of the results."""
        output, pullback = self.rule.vjp(inputs)
        kept = copied(output)
        return kept, claimed_by(self.rule, inputs, pullback, cotangent)

    def fresh(self, cotangent: Any) -> Gradients:
        """Return the gradients for a cotangent by a forward of its own."""
        return self.run(copied(self.inputs), copied(cotangent))[1]

    def size(self, cotangent: Any) -> float:
        """Return the sum of |cotangent * output|, which sets the natural scale of the gradients."""
        pairs = zip(trees.leaves(cotangent), trees.leaves(self.output), strict=True)
        with np.errstate(all="ignore"):
            total = sum(
                float(np.sum(np.abs(np.asarray(one) * np.asarray(other))))
                for (_, one), (_, other) in pairs
            )
        return total if np.isfinite(total) else 0.0


def copied(tree: Any) -> Any:
    """Copy the arrays of a tree, each into memory of its own in C order."""
    return trees.map_leaves(
        lambda leaf: np.array(leaf, copy=True, order="C") if isinstance(leaf, np.ndarray) else leaf,
        tree,
    )


def like(tree: Any, make: Callable[[Array], Array]) -> Any:
    """Return a tree of the same shapes and precisions whose real arrays are what `make` gives."""

    def made(leaf: Any) -> Any:
        if not trees.is_variable(leaf):
            return leaf if not isinstance(leaf, float) else float(make(np.asarray(leaf)))
        array = np.asarray(leaf)
        with np.errstate(all="ignore"):
            return np.asarray(make(array)).astype(array.dtype)

    return trees.map_leaves(made, tree)


def claimed_by(
    rule: Rule, inputs: tuple[Any, ...], pullback: Pullback, cotangent: Any
) -> Gradients:
    """Call the pullback on this very cotangent; copy each gradient that it claims for real numbers.

    Raises:
        RuleError, BackwardError: as the pullback of `Rule.vjp`.
    """
    claims = by_leaf(rule, inputs, pullback(cotangent))
    kinds = {
        path: trees.is_variable(value)
        for name, tree in zip(rule.input_names, inputs, strict=True)
        for path, value in trees.leaves(tree, name)
    }
    return {
        path: _numbers(claim) for path, claim in claims.items() if claim is not None and kinds[path]
    }


def last_place_spread(
    case: Case, cotangent: Any, rng: np.random.Generator, epsilon: float | None = None
) -> Gradients:
    """Return by how much each gradient entry changes when all numbers change by one rounding.

    Infinite where a run at changed numbers raises or gives other shapes, NaN where it is not finite:
    nothing is decided there. The idea is that of stochastic arithmetic (Parker, "Monte Carlo
    Arithmetic", 1997).

    Args:
        case: the rule at a point.
        cotangent: the cotangent.
        rng: where the signs of the changes come from.
        epsilon: the relative change; None for one rounding of each array's own precision.
    """
    base = case.fresh(cotangent)
    spread = {path: np.zeros(value.shape) for path, value in base.items()}
    for _ in range(LAST_PLACE_PROBES):
        changed_inputs, changed_cotangent = _perturbed((case.inputs, cotangent), rng, epsilon)
        try:
            _, other = case.run(changed_inputs, changed_cotangent)
        except Exception:  # the rule cannot be run so near the point: the spread is unknown
            other = {}
        with np.errstate(all="ignore"):
            for path, value in base.items():
                same = path in other and other[path].shape == value.shape
                change = np.abs(other[path] - value) if same else np.full(value.shape, np.inf)
                spread[path] = np.maximum(spread[path], change)
    return spread


def away_from_zero(inputs: Any, rng: np.random.Generator) -> Any:
    """Return inputs moved by 1 to 2, up: the mask of a dropout does not show on zeros."""
    return like(inputs, lambda leaf: leaf + 1 + rng.random(leaf.shape))


def forward_is_random(case: Case, rng: np.random.Generator) -> bool:
    """Say whether the forward gives other outputs each time, as dropout does.

    It is run at the point and, because a mask does not show on zeros, at inputs moved away from zero.
    """
    for inputs in (case.inputs, away_from_zero(case.inputs, rng)):
        first = None
        for _ in range(RANDOM_RUNS):
            try:
                with np.errstate(all="ignore"):
                    output = case.rule.primal(copied(inputs))
            except Exception:  # the moved inputs may lie outside the domain
                break
            bits = [np.asarray(leaf).tobytes() for _, leaf in trees.leaves(output)]
            first = bits if first is None else first
            if bits != first:
                return True
    return False


def _perturbed(tree: Any, rng: np.random.Generator, epsilon: float | None) -> Any:
    """Return the tree with every real number changed by one rounding, up or down."""

    def changed(array: Array) -> Array:
        step = epsilon_of(array.dtype) if epsilon is None else epsilon
        return np.asarray(array + array * rng.choice([-step, step], array.shape))

    return like(copied(tree), changed)


def _numbers(claim: Any) -> Array:
    """Copy a gradient into an array of numbers; whole ones and booleans into float64."""
    array = np.array(claim, copy=True)
    return array.astype(np.float64) if array.dtype.kind in "biu" else array
