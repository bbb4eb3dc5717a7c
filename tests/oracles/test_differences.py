"""The derivative by differences: the bound holds, and is no excuse for not knowing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.errors import UsageError
from gradcheck.oracles.differences import Derivative, estimate_derivative, pointwise

SMALL = np.float32
GRID = np.concatenate([np.linspace(-1, -1e-4, 1000), np.linspace(1e-4, 1, 1000)])


def estimate(f, seed=0, **options) -> Derivative:
    with np.errstate(all="ignore"):
        return estimate_derivative(pointwise(f), rng=np.random.default_rng(seed), **options)


SMOOTH = [
    # name, f, true derivative at 0, least relative resolution asked for
    ("sine", np.sin, 1.0, 1e-11),
    ("tanh far from its centre", lambda t: np.tanh(3.0 + t), 1 - math.tanh(3.0) ** 2, 1e-9),
    ("polynomial", lambda t: 7.0 + t * (3.0 + t * (1.0 + t)), 3.0, 1e-11),
    ("line", lambda t: 2.5 * t, 2.5, 1e-11),
    ("slope of 1e-7 of the value", lambda t: 1.0 + 1e-7 * np.sin(t), 1e-7, 1e-5),
    ("huge values", lambda t: 1e150 * np.sin(t), 1e150, 1e-11),
    ("tiny values", lambda t: 1e-150 * np.sin(t), 1e-150, 1e-11),
    ("fast oscillation", lambda t: np.sin(1e4 * t), 1e4, 1e-9),
    ("square root at 1e-9", lambda t: np.sqrt(1e-9 + t), 0.5 / math.sqrt(1e-9), 1e-9),
    ("logarithm at 1e-9", lambda t: np.log(1e-9 + t), 1e9, 1e-9),
    ("pole at 1e-6", lambda t: 1.0 / (1e-6 + t), -1e12, 1e-9),
    ("relu just inside", lambda t: max(t + 3e-7, 0.0), 1.0, 1e-11),
    ("clip within its range", lambda t: min(max(t, -1e-4), 1e-4), 1.0, 1e-11),
    ("square of relu at its knot", lambda t: max(t, 0.0) ** 2 + t, 1.0, 1e-9),
    ("a thousand kinks", lambda t: float(np.maximum(GRID + t, 0).sum()), 1000.0, 1e-9),
]


@pytest.mark.parametrize(
    ("f", "true", "resolution"), [case[1:] for case in SMOOTH], ids=[case[0] for case in SMOOTH]
)
def test_a_smooth_function_is_resolved_and_its_derivative_lies_within_the_bound(
    f, true, resolution
):
    derivative = estimate(f)
    assert derivative.status == "smooth"
    assert abs(derivative.value - true) <= derivative.bound
    assert derivative.bound <= resolution * abs(true)
    assert not derivative.allows(true * (1 + 3 * resolution))


@pytest.mark.parametrize("exponent", [-150, -9, 9, 150])
def test_the_scale_of_t_does_not_matter_once_it_is_told(exponent):
    unit = 10.0**exponent
    derivative = estimate(lambda t: np.sin(t / unit), scale=unit)
    assert abs(derivative.value * unit - 1.0) <= derivative.bound * unit < 1e-11


def test_a_well_scaled_function_takes_twelve_evaluations():
    assert estimate(np.tanh).evaluations == 12


def test_the_function_is_not_called_outside_its_limits():
    visited = []

    def f(t):
        visited.append(t)
        return math.log(1e-3 + t)

    derivative = estimate(f, limits=(-1e-3, 2.0))
    assert min(visited) > -1e-3
    assert derivative.allows(1e3)
    assert derivative.bound < 1e-6


def test_at_an_end_of_the_limits_the_derivative_is_that_from_inside():
    derivative = estimate(np.exp, limits=(0.0, math.inf))
    assert derivative.status == "domain"
    assert derivative.left is None
    assert abs(derivative.right.value - 1.0) <= derivative.right.bound < 1e-9


def test_the_window_keeps_to_the_cell_that_the_guard_names():
    """Beyond its cell the function is another one; no value from there may be used."""

    def f(t):
        return math.sin(t) if abs(t) < 1e-3 else math.nan

    derivative = estimate(f, same_cell=lambda t: abs(t) < 1e-3)
    assert derivative.evaluations <= 24
    assert abs(derivative.value - 1.0) <= derivative.bound < 1e-9


def test_no_evaluation_is_spent_on_a_smaller_bound_than_the_target():
    def noisy(t):
        return float(np.sin(SMALL(1.0 + t)))

    content, eager = estimate(noisy, target=1e-2), estimate(noisy, target=1e-9)
    assert content.evaluations == 12
    assert eager.evaluations > 12
    assert eager.bound < content.bound <= 1e-2
    assert content.allows(math.cos(1.0))
    assert eager.allows(math.cos(1.0))


def test_no_window_is_narrower_than_the_finest_step_that_means_something():
    """x + t is rounded to a multiple of 1e-8 here; below that t and the change of x differ."""
    visited = []

    def f(t):
        visited.append(t)
        return float(np.sqrt(1e-3 + round(t, 8)))

    derivative = estimate(f, finest=1e-6)
    assert derivative.allows(0.5 / math.sqrt(1e-3))
    assert max(abs(t) for t in visited[-12:]) > 0.9e-6
    assert min(max(abs(t) for t in visited[i : i + 12]) for i in range(0, len(visited), 12)) > 9e-7


@pytest.mark.parametrize(
    ("dtype", "resolution"), [(np.float32, 1e-4), (np.float16, 0.2)], ids=["float32", "float16"]
)
def test_a_forward_of_low_precision_gets_a_wider_bound_and_is_called_noisy(dtype, resolution):
    derivative = estimate(lambda t: float(np.sin(dtype(1.0 + t))))
    assert derivative.status == "noise"
    assert "noise" in derivative.reason
    assert abs(derivative.value - math.cos(1.0)) <= derivative.bound <= resolution


def test_a_slope_that_float32_swallows_whole_is_not_taken_for_zero():
    slope = 1e-9
    derivative = estimate(lambda t: float(SMALL(1.3) + SMALL(slope) * SMALL(t)))
    assert derivative.allows(slope)


def test_a_constant_function_has_slope_zero_and_a_bound_for_what_rounding_may_hide():
    derivative = estimate(lambda t: 0.3)
    assert derivative.value == 0.0
    assert 0 < derivative.bound <= 1e-5
    assert estimate(lambda t: 0.3, rounding=1e-17).bound <= 1e-14


@pytest.mark.parametrize(
    ("f", "left", "right"),
    [
        (lambda t: max(t, 0.0), 0.0, 1.0),
        (abs, -1.0, 1.0),
        (lambda t: abs(t) + math.sin(t) + 5.0, 0.0, 2.0),
        (lambda t: math.sqrt(t * t), -1.0, 1.0),
        (lambda t: min(max(1.0 + t, -1.0), 1.0), 1.0, 0.0),
        (lambda t: max(3.0 + t, 3.0 - 2 * t, 3.0 + 4 * t), -2.0, 4.0),
    ],
    ids=["relu", "abs", "abs on a slope", "norm", "clip at its end", "three-way max at a tie"],
)
def test_an_exact_kink_is_the_interval_between_its_two_slopes(f, left, right):
    derivative = estimate(f, rounding=1e-15)
    assert derivative.status == "kink"
    assert abs(derivative.left.value - left) <= derivative.left.bound < 1e-6
    assert abs(derivative.right.value - right) <= derivative.right.bound < 1e-6
    assert derivative.allows((left + right) / 2)
    assert not derivative.allows(max(left, right) + 1e-5)
    assert not derivative.allows(min(left, right) - 1e-5)


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-5, 3e-7, -3e-7, 1e-9, -1e-9, 1e-12, -1e-14])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_near_a_kink_the_true_slope_is_never_excluded(distance, offset):
    true = 1.0 if distance > 0 else 0.0
    derivative = estimate(lambda t: max(t + distance, 0.0) + offset)
    assert derivative.allows(true)


def test_a_jump_has_no_derivative():
    derivative = estimate(lambda t: 1.0 if t > 0 else 0.0)
    assert derivative.status == "kink"
    assert math.isinf(derivative.bound)
    assert "jumps" in derivative.reason


def test_a_vertical_tangent_has_no_finite_derivative():
    for f in (np.sqrt, np.cbrt):
        derivative = estimate(f)
        assert derivative.status == "not finite"
        assert math.isinf(derivative.bound)


def test_a_function_that_is_finite_on_one_side_has_the_derivative_from_there():
    derivative = estimate(lambda t: t if t >= 0 else math.nan)
    assert derivative.status == "domain"
    assert "right of the point only" in derivative.reason
    assert derivative.right.value == pytest.approx(1.0, abs=derivative.right.bound)


def test_a_function_that_is_finite_nowhere_says_so():
    derivative = estimate(lambda t: math.nan)
    assert derivative.status == "not finite"
    assert "finite nowhere" in derivative.reason


def test_the_estimate_is_reproducible_and_another_generator_uses_other_points():
    assert estimate(np.exp, seed=1) == estimate(np.exp, seed=1)
    assert estimate(np.exp, seed=1).step != estimate(np.exp, seed=2).step


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale is 0.0, expected a positive finite number"),
        ({"scale": math.inf}, "scale is inf"),
        ({"limits": (1.0, 2.0)}, r"limits are \(1.0, 2.0\), expected an interval that contains"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        estimate(np.sin, **options)
