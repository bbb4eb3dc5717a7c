"""The power of the main job: 200 random architectures, each with and without a planted fault.

A fault is a relative error of 1e-6 in one random non-zero entry of one random gradient. Prints how many
of the faults were caught, and how many of the same architectures raised an alarm without one.

    python benchmarks/power.py [ARCHITECTURES]
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
from rich.progress import track

import gradcheck
from gradcheck import trees
from gradcheck.rules import Point, Rule
from reference import verification
from reference.network import loss, loss_gradients

ARCHITECTURES = 200
FAULT = 1e-6
SEED = 1


def draw_points(count: int) -> list[Point]:
    """Draw `count` different networks by the strategy of the main job."""
    from hypothesis import HealthCheck, Phase, given, seed, settings

    drawn: list[Point] = []

    @seed(SEED)
    @settings(
        max_examples=2 * count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(verification.networks())
    def collect(inputs: tuple[Any, ...]) -> None:
        drawn.append(Point(inputs))

    collect()
    return drawn[-count:]


def planted(rule: Rule, rng: np.random.Generator) -> tuple[Rule, list[str]]:
    """Return the rule with one entry wrong, and a list that will hold the path of the entry."""
    choice: list[Any] = []
    where: list[str] = []

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        output, pullback = rule.linearise(inputs)

        def wrong(cotangent: Any) -> Any:
            gradients = pullback(cotangent)
            parts = [
                (path, part)
                for path, part in trees.leaves(tuple(gradients))
                if part is not None and np.any(part)
            ]
            if not choice:
                index = int(rng.integers(len(parts)))
                entries = np.argwhere(parts[index][1])
                choice[:] = [index, tuple(entries[rng.integers(len(entries))])]
                where[:] = [f"{parts[index][0]}{list(map(int, choice[1]))}"]
            parts[choice[0]][1][choice[1]] *= 1 + FAULT
            return gradients

        return output, wrong

    return dataclasses.replace(rule, linearise=linearise), where


def measure(count: int) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """Count the verdicts on `count` architectures without a fault, and with one; list the missed."""
    network = gradcheck.gradient(
        loss, loss_gradients, points=verification.networks(), name="network"
    )
    rng = np.random.default_rng(SEED)
    clean, faulty = Counter[str](), Counter[str]()
    missed = []
    for point in track(draw_points(count), "architectures"):
        clean[gradcheck.verify_at(network, point, checks=["gradient"]).verdict] += 1
        wrong, where = planted(network, rng)
        verdict = gradcheck.verify_at(wrong, point, checks=["gradient"]).verdict
        faulty[verdict] += 1
        if verdict != "fail":
            missed.append(f"{verdict} at {where}, activations {point.inputs[4]}")
    return dict(clean), dict(faulty), missed


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ARCHITECTURES
    clean, faulty, missed = measure(count)
    print(f"{count} architectures without a fault: {clean}")
    print(f"{count} architectures with one entry off by {FAULT:g}: {faulty}")
    for case in missed:
        print("not caught:", case)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
