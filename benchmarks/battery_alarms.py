"""Correct rules through the whole battery of behaviour checks: does any of them raise a false alarm?

Every rule of the repository whose code is right is examined again and again, each time by another seed,
by all checks but `gradient`, which `benchmarks.differences_calibration` calibrates, and by each of
them at every point that is drawn. A verdict other than pass is printed with its seed. One slice is
another set of seeds; a whole campaign is a few slices, run one after the other:

    OMP_NUM_THREADS=1 python -m benchmarks.battery_alarms --slice K [--points N] [--checks linearity,purity]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import gradcheck
from benchmarks.declared_rules import declared_rules
from gradcheck.checks import select
from gradcheck.checks.check import Bench, Check, Examination
from gradcheck.checks.tally import Tally
from gradcheck.discovery import find_rules
from gradcheck.reports.reproduction import reproduce
from gradcheck.rules import Point, Rule
from gradcheck.search import search
from gradcheck.verdicts import Profile, Verdict, profile_named
from gradcheck.verification import oracles_for
from tests.adapters import torch_functions
from tests.faults.test_wrong_derivatives import ROWS
from tests.layers import Stateful, all_layers
from tests.test_layers import rule_of

POINTS = 10_000
"""Points of a slice, over all rules and checks."""

EXAMPLES = 20
"""Points drawn for a rule at each seed; drawing one costs as much as two or three checks of it."""

SELDOM = ("jax_rule", "torch_function")
SELDOM_IN = 8
"""Rules of these kinds take one round in this many: what is traced or differentiated twice takes its time."""


@dataclass(frozen=True)
class AtEveryPoint:
    """A check that examines every point that is drawn, where in a run it takes a quarter."""

    check: Check
    share: float = 1.0

    @property
    def name(self) -> str:
        return self.check.name

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        return self.check.examine(rule, point, bench)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        return self.check.conclude(tally, profile)


def correct_rules() -> Iterator[Rule]:
    """Yield every rule of the repository whose backward is right."""
    for layer in all_layers():
        yield replace(rule_of(layer), name=layer.name)
        if isinstance(layer, Stateful):
            places = {"params": "params", "grads": "grads"} if layer.make().params else {}
            yield gradcheck.layer(
                layer.make, **places, inputs=layer.draw, name=f"{layer.name} (object)"
            )
    for row in ROWS:
        named = row.forward if hasattr(row.forward, "__code__") else _named(row.forward)
        yield gradcheck.vjp(named, row.right, name=row.name, **row.inputs)
    for found in find_rules("reference/verification.py"):
        yield found.rule
    for right, _, options in torch_functions.CASES:
        yield gradcheck.torch_function(right, name=f"{right.__name__} (torch)", **options)
    yield from declared_rules()


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of x alone: a ufunc has more parameters than inputs."""
    return lambda x: function(x)


def examined(rule: Rule, check: Check, seed: int) -> tuple[Tally, str]:
    """Search for a point at which the check fails; return what was seen, and the alarm if there is one."""
    profile = replace(profile_named("quick"), examples=EXAMPLES, needed=1)
    bench = Bench(oracles_for(rule, True, profile.power), profile, np.random.default_rng(seed))
    outcome = search(rule, AtEveryPoint(check), bench, seed=seed)
    if outcome.failure is not None:
        point, examination = outcome.failure
        return outcome.tally, "\n".join(
            [*(finding.message for finding in examination.findings), reproduce(rule, point, "")]
        )
    verdict, reason = check.conclude(outcome.tally, profile)
    return outcome.tally, "" if verdict is Verdict.PASS else f"{verdict}: {reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slice", type=int, default=0)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument(
        "--rounds", type=int, default=0, help="rounds over all rules, else by points"
    )
    parser.add_argument("--checks", default="")
    parser.add_argument("--rules", default="")
    options = parser.parse_args()
    asked = options.checks.split(",") if options.checks else None
    checks = [check for check in select(asked) if asked or check.name != "gradient"]
    rules = [
        rule
        for rule in correct_rules()
        if not options.rules or rule.name in options.rules.split(",")
    ]
    points: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    alarms, round_ = 0, 0
    started = time.monotonic()
    while round_ < options.rounds or (not options.rounds and points.total() < options.points):
        for rule in rules:
            if rule.kind in SELDOM and round_ % SELDOM_IN:
                continue
            seed = options.slice * 1_000_000 + round_
            began = time.process_time()
            for check in checks:
                tally, alarm = examined(rule, check, seed)
                points[check.name] += tally.points - tally.inapplicable.total()
                notes.update(f"{rule.name}: {note}" for note in tally.notes)
                if alarm:
                    alarms += 1
                    print(f"ALARM {rule.name} {check.name} seed={seed}\n{alarm}\n", flush=True)
            seconds[rule.name] += time.process_time() - began
        round_ += 1
        print(f"round {round_}: {points.total()} points, {alarms} alarms", flush=True)
    spent = time.monotonic() - started
    print(f"slice {options.slice}: {points.total()} points, {alarms} alarms, {spent:.0f} s")
    print("    points:", ", ".join(f"{name} {count}" for name, count in points.items()))
    print(
        "    slowest:", ", ".join(f"{name} {sum_:.1f} s" for name, sum_ in seconds.most_common(8))
    )
    for note, count in notes.most_common(30):
        print(f"    note ({count}): {note}")


if __name__ == "__main__":
    main()
