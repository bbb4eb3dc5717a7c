"""How often the bound of `estimate_derivative` is exceeded, how tight it is, and what it costs.

Run `python benchmarks/differences_calibration.py [cases per family] [seed]`; the table of
docs/calibration.md is its output for 10 000 cases and seed 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.differences_corpus import FAMILIES, Case
from gradcheck.oracles.differences import estimate_derivative, pointwise

__all__ = ["HARD", "measure", "outcome"]

HARD = {
    "oscillating",
    "scale misjudged by 1e±4",
    "at and near kinks",
    "among kinks and jumps",
    "float32 networks",
    "float32, float16 values",
    "deterministic noise",
    "nondeterministic",
}
"""The families with kinks, with noise, or whose scale the caller does not know."""


def outcome(case: Case, rng: np.random.Generator) -> tuple[bool, float, float, int, str]:
    """Return whether the bound holds, bound / error, bound / |derivative|, evaluations, status."""
    with np.errstate(all="ignore"):
        found = estimate_derivative(
            pointwise(case.f), scale=case.scale, limits=case.limits, rng=rng
        )
    low, high = found.interval
    # The corpus knows its derivatives to half a unit in the last place.
    half_ulp = max(np.spacing(max(abs(case.low), abs(case.high))) / 2, np.finfo(float).tiny)
    slack = half_ulp + case.ambiguity
    holds = low <= case.low + slack and case.high - slack <= high
    error = max(abs(found.value - case.low), half_ulp)
    size = max(abs(case.low), abs(case.high), np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        ratio, relative = np.divide(found.bound, [error, size])
    return holds, ratio, relative, found.evaluations, found.status


def measure(family: str, cases: int, seed: int) -> list[tuple[bool, float, float, int, str]]:
    """Return the outcomes of `cases` random cases of one family."""
    rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
    return [outcome(FAMILIES[family](rng), rng) for _ in range(cases)]


def row(name: str, outcomes: list[tuple[bool, float, float, int, str]]) -> str:
    holds, ratios, relative, evaluations, statuses = zip(*outcomes, strict=True)
    abstained = statuses.count("not finite")
    # A kink's error has no size: any slope in the interval is as true as another.
    ratio = np.nanmedian(
        [r for r, status in zip(ratios, statuses, strict=True) if status != "kink"]
    )
    return (
        f"| {name} | {len(holds)} | {len(holds) - sum(holds)} | {abstained} | {ratio:.0f} "
        f"| {np.median(relative):.0e} | {np.median(evaluations):.0f} | {np.mean(evaluations):.0f} |"
    )


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(
        "| family | cases | bound exceeded | no bound given | median bound / error "
        "| median bound / derivative | median evaluations | mean |"
    )
    print("|---|---|---|---|---|---|---|---|")
    everything, well_scaled = [], []
    for family in FAMILIES:
        outcomes = measure(family, cases, seed)
        everything += outcomes
        print(row(family, outcomes), flush=True)
        if family not in HARD:
            well_scaled += outcomes
    print(row("smooth and well scaled", well_scaled))
    print(row("all", everything))


if __name__ == "__main__":
    main()
