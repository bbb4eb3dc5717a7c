"""Claims at kinks: subgradients one by one and together, and what separate conventions explain."""

import numpy as np
import pytest

import gradcheck

both = pytest.mark.parametrize("trace", [True, False], ids=["traced", "untraced"])


def report_at(forward, gradient, x, trace, cotangent=None, seed=0):
    x = np.array(x, float)
    rule = gradcheck.vjp(
        forward, lambda g, x: g * np.array(gradient), inputs=lambda rng: (x,), name="rule"
    )
    point = gradcheck.Point((x,), None if cotangent is None else np.array(cotangent))
    return gradcheck.verify_at(rule, point, trace=trace, checks=["gradient"], seed=seed)


def maximum(x):
    return np.max(x)


def length(x):
    return np.sqrt(np.sum(x**2))


def difference_of_two_kinks(x):
    return np.abs(x[0]) - np.abs(x[1])


def distance(x):
    return np.abs(x[0] - x[1])


TIE, ORIGIN = (1.0, 1.0, 0.0), (0.0, 0.0, 0.0)

RIGHT = {
    "the first of a tie": (maximum, TIE, (1, 0, 0)),
    "a tie shared evenly": (maximum, TIE, (0.5, 0.5, 0)),
    "a tie shared unevenly": (maximum, TIE, (0.7, 0.3, 0)),
    "a length at 0, inside the ball": (length, ORIGIN, (0.57, 0.57, 0.57)),
    "an absolute difference": (distance, (1.0, 1.0), (1, -1)),
    "two kinks, each with its own side": (difference_of_two_kinks, (0.0, 0.0), (1, 0)),
    "two kinks of one convention": (difference_of_two_kinks, (0.0, 0.0), (0, 0)),
}

WRONG = {
    "both of a tie": (maximum, TIE, (1, 1, 0)),
    "a tie that loses a tenth": (maximum, TIE, (0.6, 0.3, 0)),
    "a length at 0, outside the ball": (length, ORIGIN, (0.9, 0.9, 0.9)),
    "a length at 0, just outside": (length, ORIGIN, (0.6, 0.6, 0.6)),
    "an absolute difference of one sign": (distance, (1.0, 1.0), (1, 1)),
    "a kink beyond both of its sides": (difference_of_two_kinks, (0.0, 0.0), (0, 1.5)),
}


@both
@pytest.mark.parametrize("name", RIGHT)
def test_a_subgradient_passes(name, trace):
    forward, x, gradient = RIGHT[name]
    report = report_at(forward, gradient, x, trace)
    assert report.verdict == "pass", str(report)


@both
@pytest.mark.parametrize("name", WRONG)
def test_entries_that_are_no_subgradient_together_fail(name, trace):
    forward, x, gradient = WRONG[name]
    report = report_at(forward, gradient, x, trace)
    assert report.verdict == "fail", str(report)


def test_the_finding_says_that_each_entry_is_a_subgradient_alone():
    report = report_at(maximum, (1, 1, 0), TIE, False)
    assert "each entry is a subgradient alone, and all together are none" in str(report)
    assert "wrong in 2 of 3 entries" in str(report)


@pytest.mark.parametrize("size", [2, 5, 20])
def test_the_usual_conventions_of_relu_pass_where_every_entry_is_zero(size):
    """Cotangents of both signs: kinks that bend the sum up, and kinks that bend it down."""
    cotangent = np.random.default_rng(size).normal(size=size)
    for slope in (0.0, 0.5, 1.0):
        at_zero = np.full(size, slope)
        report = report_at(
            lambda x: np.maximum(x, 0), at_zero, np.zeros(size), False, cotangent, seed=size
        )
        assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("seed", range(6))
def test_conventions_of_separate_kinks_in_any_direction_raise_no_alarm(seed):
    """Each |v_k x| of a sum with weights of both signs has its own slope between -1 and 1 at 0."""
    rng = np.random.default_rng(seed)
    kinks, weights = rng.normal(size=(4, 3)), rng.normal(size=4)
    sides = rng.choice([-1.0, 0.0, 1.0], size=4)

    def forward(x):
        return np.sum(weights * np.abs(kinks @ x))

    right = report_at(forward, (weights * sides) @ kinks, ORIGIN, False, seed=seed)
    assert right.verdict != "fail", str(right)
    # Beyond all sides at once, and beyond what any of them explains.
    far = 10 * np.abs(weights) @ np.abs(kinks)
    assert report_at(forward, far, ORIGIN, False, seed=seed).verdict == "fail"
