"""A small part of the calibration of differences: every family, a few dozen cases each."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.differences_calibration import measure, outcome
from benchmarks.differences_corpus import FAMILIES, Case

CASES = 60
KINKED = {"at and near kinks", "among kinks and jumps"}
NOISE_OF_ITS_OWN = {
    "float32 networks",
    "float32, float16 values",
    "deterministic noise",
    "nondeterministic",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_holds_throughout_the_family_and_is_tight(family):
    holds, ratios, relative, _, statuses = zip(*measure(family, CASES, seed=1), strict=True)
    assert all(holds)
    if family != "among kinks and jumps":  # where one window in a hundred sees no slope at all
        assert "not finite" not in statuses
    smooth = [ratio for ratio, status in zip(ratios, statuses, strict=True) if status != "kink"]
    assert np.nanmedian(smooth) <= 100
    if family not in KINKED | NOISE_OF_ITS_OWN:
        assert np.median(relative) <= 1e-9


def test_a_well_scaled_function_takes_twelve_evaluations_in_the_median():
    evaluations = [
        outcome[3]
        for family in FAMILIES.keys() - NOISE_OF_ITS_OWN - KINKED
        for outcome in measure(family, CASES // 3, seed=2)
    ]
    assert np.median(evaluations) <= 12


@pytest.mark.parametrize("family", ["elementary", "smooth networks", "layer norm"])
def test_a_derivative_off_by_a_millionth_is_outside_the_bound(family):
    """The planted fault: the calibration would notice a corpus whose derivatives are wrong."""
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(CASES):
        case = FAMILIES[family](rng)
        wrong = Case(case.f, case.low * (1 + 1e-6), case.high * (1 + 1e-6), case.scale)
        outside += not outcome(wrong, rng)[0]
    assert outside >= 0.9 * CASES
