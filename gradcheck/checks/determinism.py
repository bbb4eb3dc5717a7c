"""The check `determinism`: the same call gives the same gradients, up to rounding.

Law: a deterministic forward has one gradient, so two runs at one point agree; and a forward that draws
random numbers, such as dropout, has one gradient for the numbers it drew, so two backwards of one
forward agree. A backward that redraws its mask violates both.

Another last bit, as parallel sums give, is rounding.
"""

from __future__ import annotations

import math

import numpy as np

from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination
from gradcheck.checks.comparison import Difference, Gradients, difference_finding, differences
from gradcheck.checks.running import RANDOM_RUNS, Case, claimed_by, copied, forward_is_random
from gradcheck.rules import Rule

__all__ = ["DeterminismCheck"]

RUNS = 3
"""Runs that are compared: two masks drawn for a few entries are equal now and then, three rarely."""


class DeterminismCheck(BehaviourCheck):
    """The same call gives the same gradients, up to rounding."""

    name = "determinism"

    def applies(self, rule: Rule) -> str:
        """Say so for JAX, whose programs are functions of their inputs."""
        return "programs of JAX are deterministic" if rule.kind == "jax_rule" else ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare several runs at the same point."""
        runs = [case.fresh(case.cotangent) for _ in range(RUNS)]
        differing = self._first(case, runs, case.gradients)
        if differing is None:
            return self.outcome(case.rule, [], _spread(runs, case.gradients))
        says, cause = "differs from call to call", _cause(differing)
        if forward_is_random(case, bench.rng):
            if case.rule.holds("layer"):  # a second backward takes a forward of its own
                return does_not_apply("the forward draws random numbers")
            _, pullback = case.rule.vjp(copied(case.inputs))
            runs = [
                claimed_by(case.rule, case.inputs, pullback, copied(case.cotangent))
                for _ in range(RANDOM_RUNS)
            ]
            differing = self._first(case, runs[1:], runs[0])
            if differing is not None and self._first(case, _shares(runs), runs[0]) is None:
                differing = None  # they add up, as on a tape that the caller clears
            if differing is None:
                return does_not_apply("the forward draws random numbers, and its backward repeats")
            says, cause = "differs between two backwards of the same forward", REDRAWS
        labels = ("second", "first")
        finding = difference_finding(self.name, case.rule, says, differing, labels, cause)
        return self.outcome(case.rule, [finding])

    def _first(self, case: Case, runs: list[Gradients], expected: Gradients) -> Difference | None:
        size = case.size(case.cotangent)
        return next(
            (item for run in runs for item in differences(case.values, run, expected, size)), None
        )


def _spread(runs: list[Gradients], expected: Gradients) -> list[str]:
    """Say how far gradients differ from run to run though it is rounding, relative to the largest entry."""
    largest = 0.0
    for path, value in expected.items():
        size = np.max(np.abs(value), initial=0.0)
        for run in runs:
            with np.errstate(all="ignore"):
                apart = np.max(np.abs(run[path] - value), initial=0.0) / size
            largest = max(largest, float(apart) if np.isfinite(apart) else 0.0)
    if largest == 0:
        return []
    return [f"gradients differ from call to call by about 1e{math.floor(math.log10(largest))}"]


def _shares(runs: list[Gradients]) -> list[Gradients]:
    """Divide the gradients of each run by how many runs they would be the sum of."""
    return [
        {path: value / count for path, value in run.items()} for count, run in enumerate(runs, 1)
    ]


REDRAWS = "the backward draws the forward's random numbers again; keep them in the cache"
DROPS = "the backward drops entries at random, and the forward does not"
VARIES = "the backward adds random numbers of its own, or what earlier calls left"


def _cause(differing: Difference) -> str:
    """Return the likely cause where the forward is the same each time."""
    dropped = (differing.found == 0) != (differing.expected == 0)
    return DROPS if dropped and differing.index is not None else VARIES
