"""The noise of a function is found at its size, and told from a function that changes its mind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.oracles.noise import estimate_noise, estimate_spread


@pytest.mark.parametrize("level", [1e-12, 1e-8, 1e-4])
def test_added_noise_is_estimated_within_a_factor_of_four(level):
    rng = np.random.default_rng(0)
    estimates = [
        estimate_noise(lambda t: math.exp(t) + level * rng.normal()).level for _ in range(50)
    ]
    assert np.mean([level / 4 <= estimate <= 4 * level for estimate in estimates]) >= 0.95
    assert level / 2 <= np.median(estimates) <= 2 * level


@pytest.mark.parametrize(
    ("dtype", "unit"), [(np.float64, 2.0**-53), (np.float32, 2.0**-24), (np.float16, 2.0**-11)]
)
def test_the_noise_of_a_float_format_is_its_rounding(dtype, unit):
    """A value of 1.7 is rounded by up to a unit of 2 ** -p * 2; its spread is 0.58 of that or less."""
    noise = estimate_noise(lambda t: float(np.sin(dtype(1.0 + t)) + dtype(0.9)))
    assert unit / 8 <= noise.relative <= 4 * unit


def test_the_unit_of_t_does_not_matter_once_it_is_told():
    rng = np.random.default_rng(1)
    noise = estimate_noise(lambda t: math.sin(1e9 * t + 1) + 1e-7 * rng.normal(), scale=1e-9)
    assert 2e-8 < noise.level < 5e-7


def test_a_constant_function_has_no_noise():
    assert estimate_noise(lambda t: 0.3).level == 0.0


def test_a_function_without_a_value_has_no_noise_to_report():
    assert math.isnan(estimate_noise(lambda t: math.nan).level)


def test_a_deterministic_function_has_no_spread_however_noisy_it_is():
    assert estimate_spread(lambda: float(np.float16(0.1))).level == 0.0


def test_the_spread_of_a_nondeterministic_function_is_its_largest_difference():
    values = iter([1.0, 1.25, 1.0, 0.75, 1.0])
    spread = estimate_spread(lambda: next(values))
    assert spread.level == 0.5
    assert spread.relative == 0.4
    assert spread.evaluations == 5
