"""Correct rules through the whole battery of behaviour checks: does any of them raise a false alarm?

Every rule of the repository whose code is right is verified again and again, each time by another seed,
by all checks but `gradient`, which `benchmarks.differences_calibration` calibrates. A verdict other than
pass is printed with its seed and its report. One slice is another set of seeds; a whole campaign
is a few slices, run one after the other:

    python -m benchmarks.battery_alarms --slice K [--points N] [--checks linearity,purity]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradcheck
from benchmarks.declared_rules import declared_rules
from gradcheck import verify
from gradcheck.checks import CHECKS
from gradcheck.discovery import find_rules
from gradcheck.rules import Rule
from gradcheck.verification import NO_CERTIFICATE
from tests.adapters import torch_functions
from tests.faults.test_wrong_derivatives import ROWS
from tests.layers import Stateful, all_layers
from tests.test_layers import rule_of

POINTS = 10_000
"""Points of a slice, over all rules and checks."""

EXAMPLES = 40
"""Points drawn for a rule at each seed, of which a behaviour check examines a quarter."""


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
    names = [check.name for check in CHECKS if check.name != "gradient"]
    names = options.checks.split(",") if options.checks else names
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
            seed = options.slice * 1_000_000 + round_
            began = time.process_time()
            report = verify(rule, examples=EXAMPLES, seed=seed, checks=names)
            seconds[rule.name] += time.process_time() - began
            notes.update(f"{rule.name}: {note}" for note in report.notes if note != NO_CERTIFICATE)
            for check in report.checks:
                applied = check.tally.points - check.tally.inapplicable.total()
                points[check.name] += applied
                if check.verdict != "pass":
                    alarms += 1
                    print(f"ALARM {rule.name} {check.name} seed={seed}\n{report}\n", flush=True)
        round_ += 1
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
