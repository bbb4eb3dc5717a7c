"""Claimed power: faults of twice the smallest error that an entry was said to show, planted untraced.

    python -m benchmarks.claimed_power --slice 0 --plants 10000

A right rule is examined at a point by finite differences alone. Where the point passes, one entry of its
gradient is made wrong by twice the error that the report says would have shown there, and the point is
examined again with the same draws of directions and steps. Found is a verdict of fail; undecided, of
inconclusive; missed, a pass. Prints the counts by family of rules and precision, and each miss.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.false_alarms import declared, is_finite
from benchmarks.right_rules import RULES, draw_point
from gradcheck.checks.check import Bench, Examination
from gradcheck.checks.gradient import GradientCheck
from gradcheck.oracles.finite_differences import FiniteDifferences
from gradcheck.rules import Point, Rule
from gradcheck.verdicts import Verdict, profile_named

__all__ = ["Plants"]

FACTOR = 2.0
"""The size of a fault, in units of the error that would show."""

NAMES = {Verdict.FAIL: "found", Verdict.INCONCLUSIVE: "undecided", Verdict.PASS: "missed"}


@dataclass
class Plants:
    """Faults planted into right rules at the points of a slice.

    Attributes:
        slice: the seed of the slice.
        counts: plants by (family, precision, "found", "undecided" or "missed").
        misses: the numbers of the points at which a fault passed, with what it was.
    """

    slice: int
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    misses: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules = {right.name: declared(right) for right in RULES}

    def plant(self, number: int) -> bool:
        """Plant a fault at point `number` of the slice; return whether the point passed without one."""
        rng = np.random.default_rng([self.slice, number])
        right = RULES[rng.integers(len(RULES))]
        point = draw_point(right, rng)
        if not is_finite(right, point):
            return False
        rule = self._rules[right.name]
        draws = int(rng.integers(2**32))
        found = _examined(rule, point, draws)
        if found.verdict is not Verdict.PASS:
            return False
        paths = sorted(path for path, item in found.judgements.items() if item.decisions.size)
        path = paths[rng.integers(len(paths))]
        judgement = found.judgements[path]
        entry = tuple(int(rng.integers(size)) for size in judgement.decisions.shape)
        if judgement.subgradient[entry]:
            return False  # between two slopes other values are right as well
        shown = 2 * float(judgement.tolerance[entry])  # as `Tally.visible` counts it
        fault = FACTOR * shown * float(rng.choice([-1, 1]))
        if fault == 0:
            return False
        wrong = _examined(_with_fault(rule, path, entry, fault), point, draws)
        outcome = NAMES[wrong.verdict]
        self.counts[right.family, point.inputs[0].dtype.name, outcome] += 1
        if wrong.verdict is Verdict.PASS:
            seen = wrong.judgements[path]
            text = (
                f"{right.name}: {path}{list(entry)} off by {fault:.1e}, said to show above "
                f"{shown:.1e}, then above {2 * seen.tolerance[entry]:.1e}"
            )
            self.misses.append((number, text))
        return True

    def table(self) -> str:
        """Return the counts as a table in Markdown."""
        rows = []
        for family, precision in sorted({key[:2] for key in self.counts}):
            numbers = [self.counts[family, precision, name] for name in NAMES.values()]
            rows.append(f"| {family} | {precision} | " + " | ".join(map(str, numbers)) + " |")
        return "\n".join(
            [
                "| family | precision | found | undecided | missed |",
                "|---|---|---:|---:|---:|",
                *rows,
            ]
        )


def _examined(rule: Rule, point: Point, draws: int) -> Examination:
    profile, rng = profile_named("standard"), np.random.default_rng(draws)
    return GradientCheck().examine(
        rule, point, Bench((FiniteDifferences(profile.power),), profile, rng)
    )


def _with_fault(rule: Rule, path: str, entry: tuple[int, ...], fault: float) -> Rule:
    """Return the rule with `fault` added to one entry of the gradient of the input `path`."""
    index = rule.input_names.index(path)

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        output, pullback = rule.linearise(inputs)

        def wrong(cotangent: Any) -> Any:
            gradients = list(pullback(cotangent))
            gradients[index] = np.array(
                gradients[index], np.result_type(gradients[index], np.float32)
            )
            gradients[index][entry] += fault
            return tuple(gradients)

        return output, wrong

    return dataclasses.replace(rule, linearise=linearise)


def main() -> None:
    parser = argparse.ArgumentParser(description="Plant faults of twice the claimed power.")
    parser.add_argument("--slice", type=int, default=0, help="the seed of the slice")
    parser.add_argument("--plants", type=int, default=10_000, help="faults to plant")
    parser.add_argument("--only", type=int, help="plant at this point alone")
    options = parser.parse_args()
    plants = Plants(options.slice)
    if options.only is not None:
        plants.plant(options.only)
    else:
        number = planted = 0
        while planted < options.plants:
            planted += plants.plant(number)
            number += 1
            if planted % 1000 == 0 and planted:
                print(f"{planted} planted, {len(plants.misses)} missed", flush=True)
    print(plants.table())
    for number, text in plants.misses:
        print(f"missed: --slice {options.slice} --only {number}: {text}")


if __name__ == "__main__":
    main()
