"""False alarms: points of right rules, each examined once, traced or by finite differences alone.

    python -m benchmarks.false_alarms --slice 0 --points 10000

A slice is a seed: slices are independent, and point k of a slice can be examined again by itself with
`--only k`. Prints how many points passed, stayed undecided, or raised an alarm, by family of rules,
precision and whether the forward was traced; and every alarm with the command that repeats it.
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

import gradcheck
from benchmarks.right_rules import RULES, RightRule, draw_point
from gradcheck.checks.check import Bench, Examination
from gradcheck.checks.gradient import GradientCheck
from gradcheck.rules import Point, Rule
from gradcheck.verdicts import profile_named
from gradcheck.verification import oracles_for

__all__ = ["Campaign", "declared", "is_finite"]

TRACED = 0.25
"""The part of the points that all oracles examine; differences alone, which are cheaper, do the rest."""

PROGRESS = 5000
"""Points between two lines of progress."""


@dataclass
class Campaign:
    """Right rules examined at random points: what a slice has counted so far.

    Attributes:
        slice: the seed of the slice.
        counts: points by (family, precision, "traced" or "untraced", verdict).
        alarms: the numbers of the points that raised one, with what was said.
    """

    slice: int
    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    alarms: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        profile = profile_named("standard")
        self._rules = {right.name: declared(right) for right in RULES}
        self._oracles = {
            (right.name, trace): oracles_for(self._rules[right.name], trace, profile.power)
            for right in RULES
            for trace in (False, True)
        }

    def examine(self, number: int) -> None:
        """Examine point `number` of the slice and count its verdict."""
        rng = np.random.default_rng([self.slice, number])
        right = RULES[rng.integers(len(RULES))]
        traced = bool(rng.random() < TRACED)
        point = draw_point(right, rng)
        place = (right.family, point.inputs[0].dtype.name, "traced" if traced else "untraced")
        if not is_finite(right, point):
            self.counts[*place, "discarded"] += 1
            return
        found = self._verdict(right, traced, point, number)
        self.counts[*place, str(found.verdict)] += 1
        for finding in found.findings:
            self.alarms.append((number, f"{place}: {finding.message}"))

    def _verdict(self, right: RightRule, traced: bool, point: Point, number: int) -> Examination:
        oracles = self._oracles[right.name, traced]
        seed = [zlib.crc32(right.name.encode()), self.slice, number]
        bench = Bench(oracles, profile_named("standard"), np.random.default_rng(seed))
        return GradientCheck().examine(self._rules[right.name], point, bench)

    def table(self) -> str:
        """Return the counts as a table in Markdown."""
        verdicts = ["pass", "inconclusive", "fail", "discarded"]
        places = sorted({key[:3] for key in self.counts})
        rows = [
            (*place, *(self.counts[*place, verdict] for verdict in verdicts)) for place in places
        ]
        totals = [sum(row[3 + k] for row in rows) for k in range(len(verdicts))]
        lines = [
            "| family | precision | forward | pass | undecided | alarm | forward not finite |",
            "|---|---|---|---:|---:|---:|---:|",
            *("| " + " | ".join(map(str, row)) + " |" for row in rows),
            "| all | | | " + " | ".join(map(str, totals)) + " |",
        ]
        return "\n".join(lines)


def declared(right: RightRule) -> Rule:
    """Return the rule that verifies `right` at the points of `draw_point`."""
    return gradcheck.vjp(
        right.forward,
        right.backward,
        inputs=lambda rng: draw_point(right, rng).inputs,
        name=right.name,
    )


def is_finite(right: RightRule, point: Point) -> bool:
    """Say whether the forward is finite: elsewhere nothing is claimed of it."""
    with np.errstate(all="ignore"):
        return bool(np.all(np.isfinite(right.forward(*point.inputs))))


def main() -> None:
    parser = argparse.ArgumentParser(description="Count false alarms over right rules.")
    parser.add_argument("--slice", type=int, default=0, help="the seed of the slice")
    parser.add_argument("--points", type=int, default=10_000, help="points of the slice")
    parser.add_argument("--only", type=int, help="examine this point alone")
    options = parser.parse_args()
    campaign = Campaign(options.slice)
    numbers = range(options.points) if options.only is None else [options.only]
    for done, number in enumerate(numbers, 1):
        told = len(campaign.alarms)
        campaign.examine(number)
        for number_of, message in campaign.alarms[told:]:
            print(f"alarm: --slice {options.slice} --only {number_of}\n{message}", flush=True)
        if done % PROGRESS == 0:
            print(
                f"slice {options.slice}: {done} points, {len(campaign.alarms)} alarms", flush=True
            )
    print(campaign.table())
    print(f"slice {options.slice}: {len(numbers)} points, {len(campaign.alarms)} alarms")


if __name__ == "__main__":
    main()
