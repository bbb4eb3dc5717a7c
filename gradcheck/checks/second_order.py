"""The check `second_order`: every Hessian-vector product is the derivative of the claimed gradient.

Law: the Hessian times v is the gradient of <v, grad f(x)>, since the Hessian is symmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.checks.behaviour import DOES_NOT_APPLY, does_not_apply, undecided
from gradcheck.checks.check import Bench, Examination
from gradcheck.checks.gradient import GradientCheck
from gradcheck.checks.running import like
from gradcheck.checks.tally import Tally
from gradcheck.errors import BackwardError
from gradcheck.rules import Point, Rule, claim_at
from gradcheck.verdicts import Profile, Verdict

__all__ = ["SecondOrderCheck"]

ONE_HOT_SHARE = 0.5
"""Draws of a direction of which all entries but one are zero: a column of the Hessian by itself."""


class SecondOrderCheck(GradientCheck):
    """Every Hessian-vector product is the derivative of the claimed gradient, by every oracle."""

    name = "second_order"
    share = 0.25

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Compare the products with all oracles at one point, in a direction drawn at random."""
        second = rule.second_order
        if second is None:
            return does_not_apply("no Hessian-vector product is declared (hvp=)")
        try:
            claim = claim_at(rule, point)
        except BackwardError:
            return undecided("the gradient raises here, which the check gradient reports")
        claimed = [variable for variable in claim.variables if variable.claimed is not None]
        if not all(variable.comparable for variable in claimed):
            return undecided("a gradient has not the shape of its input")
        gradients = second.primal(point.copy().inputs)
        direction = like(gradients, lambda leaf: _direction(leaf, bench.rng))
        return super().examine(second, Point(point.inputs, direction, point.label), bench)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass as the check `gradient` does, or where no product is declared."""
        if not tally.applies:
            return Verdict.PASS, DOES_NOT_APPLY + tally.inapplicable.most_common(1)[0][0]
        return super().conclude(tally, profile)


def _direction(leaf: Any, rng: np.random.Generator) -> Any:
    values = rng.standard_normal(leaf.shape)
    if leaf.size and rng.random() < ONE_HOT_SHARE:
        values.flat[np.arange(leaf.size) != rng.integers(leaf.size)] = 0
    return values
