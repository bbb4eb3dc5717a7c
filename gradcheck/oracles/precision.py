"""The precision that a claim was computed in, and the same point in float64.

A layer of low precision is judged at its own quantised inputs, which float64 holds exactly: its
forward is run there in float64 for the truth, and its backward for the claim as it is on paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import Abstention, RuleError
from gradcheck.resolution import EPSILON, TINY, epsilon_of, tiny_of
from gradcheck.rules import Claim, Point, Rule, Variable, claim_at

__all__ = ["coarsest_epsilon", "in_float64", "is_low", "largest_tiny"]


def largest_tiny(*values: Any) -> float:
    """Return the largest `tiny_of` the arrays among the leaves of these trees."""
    dtypes = [value.dtype for value in trees.variables(list(values))]
    return max(map(tiny_of, dtypes), default=TINY)


def coarsest_epsilon(*values: Any) -> float:
    """Return the largest `epsilon_of` the arrays among the leaves of these trees."""
    dtypes = [value.dtype for value in trees.variables(list(values))]
    return max(map(epsilon_of, dtypes), default=EPSILON)


def is_low(value: Any) -> bool:
    """Say whether `value` is an array of less precise numbers than float64."""
    return trees.is_variable(value) and epsilon_of(value.dtype) > EPSILON


def in_float64(rule: Rule, claim: Claim) -> Claim:
    """Return what the rule computes at the same inputs and cotangent, all given in float64.

    Raises:
        Abstention: the rule does not run in float64, rounds its output to low precision even
            then, or computes another function.
    """
    point = claim.point
    inputs, cotangent = trees.map_leaves(_widened, (point.inputs, point.cotangent))
    try:
        wide = claim_at(rule, Point(inputs, cotangent, point.label))
    except RuleError as error:
        raise Abstention(f"the rule does not run in float64 ({error})") from error
    epsilon = coarsest_epsilon(claim.output, point.inputs)
    if any(is_low(value) for _, value in trees.leaves(wide.output)):
        raise Abstention("the forward rounds its output to low precision")
    pairs = zip(trees.leaves(claim.output), trees.leaves(wide.output), strict=True)
    if not all(_same(low, high, epsilon) for (_, low), (_, high) in pairs):
        raise Abstention("the forward computes another function in float64")
    variables = [
        Variable(own.path, own.value, None if _rounded(other) else other.claimed)
        for own, other in zip(claim.variables, wide.variables, strict=True)
    ]
    return Claim(wide.point, wide.output, tuple(variables))


def _rounded(variable: Variable) -> bool:
    return variable.claimed is None or is_low(variable.claimed)


def _widened(value: Any) -> Any:
    if not is_low(value):
        return value
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def _same(low: Any, high: Any, epsilon: float) -> bool:
    """Say whether two outputs agree to half of the digits of the lower precision."""
    low, high = (np.asarray(value).astype(np.complex128) for value in (low, high))
    if low.shape != high.shape or not np.all(np.isfinite(high)):
        return False
    size = np.max(np.abs(high), initial=0.0)
    return bool(np.all(np.abs(low - high) <= np.sqrt(epsilon) * size))
