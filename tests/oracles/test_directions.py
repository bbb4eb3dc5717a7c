"""One direction tests every entry alike, and halving it finds the wrong ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.oracles.differences import Derivative, estimate_derivative
from gradcheck.oracles.directions import (
    BLOCK_RATIO,
    localise,
    magnitude_blocks,
    step_scale,
    weighted_direction,
)

BOUND = 1e-10


class Counted:
    """The exact derivative along a direction, off by up to half its bound, and how often it ran."""

    def __init__(self, true, rng, bound=BOUND):
        self.true, self.rng, self.bound, self.calls = true, rng, bound, 0

    def __call__(self, direction):
        self.calls += 1
        value = float(self.true @ direction) + self.bound * self.rng.uniform(-0.5, 0.5)
        return Derivative(value, self.bound, 12, 0.03, "smooth")


def gradient(rng, n, decades=1.0):
    return rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-decades, 0, n)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_every_entry_of_a_direction_contributes_between_a_half_and_one(rng):
    claimed = gradient(rng, 1000, decades=4)
    direction = weighted_direction(claimed, np.ones(1000), np.arange(1000), rng)
    share = np.abs(claimed * direction)
    assert np.all((share >= 0.5 - 1e-12) & (share <= 1.0 + 1e-12))
    assert 400 < np.count_nonzero(direction > 0) < 600


def test_a_direction_is_zero_outside_its_entries_and_finite_where_the_claim_is_zero(rng):
    claimed = np.array([0.0, 1.0, math.nan, 5.0])
    direction = weighted_direction(claimed, np.ones(4), np.array([0, 1, 2]), rng)
    assert direction[3] == 0.0
    assert np.all(np.isfinite(direction))
    assert np.all(direction[:3] != 0)


def test_a_claim_of_zeros_is_weighted_by_the_scale_of_its_inputs(rng):
    direction = weighted_direction(np.zeros(2), np.array([1.0, 100.0]), np.arange(2), rng)
    assert np.all(np.abs(direction) / [1.0, 100.0] >= 0.5)


def test_blocks_hold_every_entry_once_and_none_with_influences_too_far_apart(rng):
    claimed, scale = gradient(rng, 500, decades=5), 10.0 ** rng.uniform(-2, 2, 500)
    blocks = magnitude_blocks(claimed, scale)
    assert sorted(np.concatenate(blocks)) == list(range(500))
    influence = np.maximum(np.abs(claimed * scale), 1e-6 * np.max(np.abs(claimed * scale)))
    for block in blocks:
        assert np.max(influence[block]) <= BLOCK_RATIO * np.min(influence[block]) * (1 + 1e-9)


def test_no_entry_moves_by_more_than_its_scale():
    direction, scale = np.array([0.5, -8.0, 0.0]), np.array([1.0, 2.0, 1e-9])
    t = step_scale(direction, scale)
    assert t == 0.25
    assert np.all(np.abs(t * direction) <= scale)


@pytest.mark.parametrize("n", [1, 2, 1000, 100_000])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_exactly_the_planted_wrong_entries_are_found_in_k_log_n_derivatives(rng, n, k):
    k = min(k, n)
    true = gradient(rng, n, decades=2)
    planted = rng.choice(n, k, replace=False)
    claimed = true.copy()
    claimed[planted] *= 1 + rng.choice([-2.0, 1e-3, 1e-5, 0.5], k)
    directional = Counted(true, rng)
    direction = weighted_direction(claimed, np.ones(n), np.arange(n), rng)
    found = localise(directional, claimed, direction)
    assert sorted(wrong.entry for wrong in found) == sorted(planted)
    for wrong in found:
        assert abs(wrong.true - true[wrong.entry]) <= wrong.bound < 1e-4 * abs(true[wrong.entry])
    assert directional.calls <= 1 + k * (math.ceil(math.log2(n)) + 2)


def test_a_right_claim_takes_one_derivative_and_finds_nothing(rng):
    true = gradient(rng, 1000)
    directional = Counted(true, rng)
    direction = weighted_direction(true, np.ones(1000), np.arange(1000), rng)
    assert localise(directional, true, direction) == []
    assert directional.calls == 1


def test_when_every_entry_is_wrong_the_search_ends_after_as_many_as_were_asked_for(rng):
    true = gradient(rng, 4096)
    directional = Counted(true, rng)
    direction = weighted_direction(true, np.ones(4096), np.arange(4096), rng)
    assert len(localise(directional, true / 2, direction, most=3)) == 3
    assert directional.calls < 100


def test_a_derivative_that_says_nothing_locates_nothing_and_is_not_asked_for_ever():
    calls = 0

    def silent(direction):
        nonlocal calls
        calls += 1
        return Derivative(math.nan, math.inf, 12, 0.0, "not finite")

    assert localise(silent, np.ones(10_000), np.ones(10_000)) == []
    assert calls < 200


class Forward:
    """<cotangent, f(x)> for f(x) = w x^2, element by element: its Jacobian is diagonal."""

    def __init__(self, weight, x, rng):
        self.weight, self.x, self.rng = weight, x, rng
        self.true = 2 * weight * x
        self.evaluations = 0

    def __call__(self, direction):
        derivative = estimate_derivative(
            lambda t: (self.x + np.outer(t, direction)) ** 2 @ self.weight,
            scale=step_scale(direction, np.abs(self.x)),
            rng=self.rng,
        )
        self.evaluations += derivative.evaluations
        return derivative


def test_one_flipped_sign_in_a_diagonal_jacobian_of_a_thousand_entries_is_found(rng):
    forward = Forward(rng.normal(size=1000), rng.uniform(0.5, 2, 1000), rng)
    claimed = forward.true.copy()
    claimed[417] *= -1
    [block] = [block for block in magnitude_blocks(claimed, np.abs(forward.x)) if 417 in block]
    direction = weighted_direction(claimed, np.abs(forward.x), block, rng)
    [wrong] = localise(forward, claimed, direction)
    assert wrong.entry == 417
    assert abs(wrong.true - forward.true[417]) <= wrong.bound < 1e-8
    assert forward.evaluations < 1000


def test_a_small_wrong_entry_in_an_array_of_large_norm_is_found(rng):
    """Off by one part in a million of an entry that is a millionth of the norm."""
    weight = np.full(100, 1e3)
    weight[42] = 1e-2
    forward = Forward(weight, rng.uniform(0.5, 2, 100), rng)
    claimed = forward.true.copy()
    claimed[42] *= 1 + 1e-4
    assert abs(claimed[42] - forward.true[42]) < 1e-9 * np.linalg.norm(forward.true)
    found = []
    for block in magnitude_blocks(claimed, np.abs(forward.x)):
        direction = weighted_direction(claimed, np.abs(forward.x), block, rng)
        found += localise(forward, claimed, direction)
    assert [wrong.entry for wrong in found] == [42]
