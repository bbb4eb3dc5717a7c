"""Correct derivatives that other checkers reject, and correct code that looks wrong."""

import numpy as np
import pytest

import gradcheck
from tests.faults.test_wrong_derivatives import both, sigmoid, windows_backward, windows_of_three

RNG = np.random.default_rng(2)


def report_at(forward, backward, inputs, trace, cotangent=None, **options):
    rule = gradcheck.vjp(
        forward, backward, inputs=lambda rng: tuple(inputs), name="rule", **options
    )
    point = gradcheck.Point(tuple(inputs), cotangent)
    return gradcheck.verify_at(rule, point, trace=trace, checks=["gradient"])


def wide_network(x, w):
    return np.sum(np.tanh(w @ x) ** 2)


def wide_network_backward(g, x, w):
    y = np.tanh(w @ x)
    dz = g * 2 * y * (1 - y * y)
    return w.T @ dz, np.outer(dz, x)


def safe_log(x):
    return np.log(x)


POINTS = {
    "a wide network": (
        wide_network, wide_network_backward, (RNG.normal(size=32), RNG.normal(size=(1024, 32)) / 6)),
    "a square in float32 at 1000": (
        lambda x: x**2, lambda g, x: 2 * g * x, (np.float32([1e3, -987.5, 1003.25]),)),
    "a long sum of sines in float32": (
        lambda x: np.sum(np.sin(x)), lambda g, x: g * np.cos(x),
        (RNG.normal(size=20_000).astype(np.float32),)),
    "a square in float16": (lambda x: x**2, lambda g, x: 2 * g * x, (np.float16([0.3, -2.7]),)),
    "relu near its kink": (
        lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), (np.array([3e-7, -3e-7, 1e-9]),)),
    "abs near its kink": (
        lambda x: np.abs(x), lambda g, x: g * np.sign(x), (np.array([1e-8, -1e-7, 2.0]),)),
    "a maximum near a tie": (
        lambda x: np.max(x, axis=-1), lambda g, x: g[..., None] * (x == x.max(-1, keepdims=True)),
        (np.array([[1.0, 1.0 + 1e-7, 0.5], [2.0, -1.0, 0.0]]),)),
    "clip near its ends": (
        lambda x: np.clip(x, -1, 1), lambda g, x: g * (np.abs(x) <= 1),
        (np.array([1 - 1e-7, 1 + 1e-7, -1 + 1e-6]),)),
    "a gradient of scale 1e6": (lambda x: 1e6 * np.sin(x), lambda g, x: 1e6 * g * np.cos(x),
        (RNG.normal(size=4),)),
    "a gradient of scale 1e-9": (lambda x: 1e-9 * np.sin(x), lambda g, x: 1e-9 * g * np.cos(x),
        (RNG.normal(size=4),)),
    "a logarithm near its edge": (lambda x: np.log(x), lambda g, x: g / x, (np.array([1e-9, 1e-3, 2.0]),)),
    "a root near its edge": (
        lambda x: np.sqrt(x), lambda g, x: g / (2 * np.sqrt(x)), (np.array([1e-8, 1e-2, 3.0]),)),
    "an arc cosine near its edge": (
        lambda x: np.arccos(x), lambda g, x: -g / np.sqrt((1 - x) * (1 + x)),
        (np.array([1 - 2.0**-20, 0.3]),)),
    "max-pooling near ties": (
        windows_of_three, windows_backward, (np.array([1.0, 1.0 + 1e-7, 0.5, 2.0, 2.0 + 3e-7]),)),
    "soft targets that do not sum to 1": (
        lambda z, t: -np.sum(t * (z - np.log(np.sum(np.exp(z))))),
        lambda g, z, t: (g * (np.sum(t) * np.exp(z) / np.sum(np.exp(z)) - t), None),
        (RNG.normal(size=4), np.array([0.3, 0.3, 0.1, 0.5]))),
    "a true gradient of zero": (
        lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-5), lambda g, x: 0 * x,
        (RNG.normal(size=5),)),
}  # fmt: skip


TOO_NEAR = (
    "relu near its kink", "a maximum near a tie", "clip near its ends", "max-pooling near ties"
)  # fmt: skip
"""Untraced, a kink within 1e-7 leaves no room for a step that tells six digits (docs/verdicts.md)."""


@both
@pytest.mark.parametrize("name", POINTS)
def test_a_right_derivative_raises_no_alarm_and_is_decided(name, trace):
    report = report_at(*POINTS[name], trace)
    expected = "inconclusive" if name in TOO_NEAR and not trace else "pass"
    assert report.verdict == expected, str(report)


@both
@pytest.mark.parametrize("name", POINTS)
def test_the_same_with_an_error_of_a_tenth_fails(name, trace):
    forward, backward, inputs = POINTS[name]

    def wrong(g, *values):
        first, *others = found if isinstance(found := backward(g, *values), tuple) else (found,)
        return (np.where(first == 0, first + 0.1 * np.max(np.abs(values[0])), first * 1.1), *others)

    report = report_at(forward, wrong, inputs, trace)
    assert report.verdict == "fail", str(report)


@both
@pytest.mark.parametrize(("factor", "expected"), [(1.0, "pass"), (1.0001, "fail")])
def test_a_last_bit_that_is_not_deterministic_hides_nothing_larger(factor, expected, trace):
    rng = np.random.default_rng(0)

    def forward(x):
        return np.sin(x) * (1 + rng.choice([0.0, 2.0**-52], x.shape))

    report = report_at(forward, lambda g, x: factor * g * np.cos(x), (RNG.normal(size=4),), trace)
    assert report.verdict == expected, str(report)


def random_dropout(redraw):
    rng = np.random.default_rng(0)

    def mask(x):
        return (rng.random(x.shape) < 0.5) * 2.0

    def forward(x):
        kept = mask(x)
        return x * kept, kept

    return gradcheck.pair(
        forward,
        lambda g, kept: g * (mask(g) if redraw else kept),
        inputs=lambda rng: (rng.normal(size=30),),
    )


@pytest.mark.parametrize(("redraw", "expected"), [(False, "pass"), (True, "fail")])
def test_traced_dropout_redrawn_at_each_forward_is_judged_draw_by_draw(redraw, expected):
    report = gradcheck.verify(random_dropout(redraw), examples=5, seed=1, checks=["gradient"])
    assert report.verdict == expected, str(report)


@pytest.mark.parametrize("redraw", [False, True])
def test_untraced_it_is_inconclusive_with_the_spread_as_reason(redraw):
    rule = random_dropout(redraw)
    report = gradcheck.verify(rule, examples=5, seed=1, trace=False, checks=["gradient"])
    assert report.verdict == "inconclusive"
    assert "nondeterministic: two runs of the forward differ by" in report.checks[0].reason


@both
def test_float32_buffers_inside_a_float64_layer_are_no_failure(trace):
    table = RNG.normal(size=(3, 3)).astype(np.float32)

    def forward(x):
        return (x @ table) + np.float32(1e-3)

    report = report_at(forward, lambda g, x: g @ table.T, (RNG.normal(size=(2, 3)),), trace)
    assert report.verdict == "pass", str(report)


def test_a_forward_that_rounds_to_float32_inside_is_never_failed_untraced():
    def forward(x):
        return np.sin(x.astype(np.float32)).astype(np.float64)

    report = report_at(forward, lambda g, x: g * np.cos(x), (RNG.normal(size=3),), False)
    assert report.verdict == "inconclusive"
    wrong = report_at(forward, lambda g, x: 2 * g * np.cos(x), (RNG.normal(size=3),), False)
    assert wrong.verdict == "fail"


@both
@pytest.mark.parametrize(("power", "expected"), [(1, "pass"), (2, "fail")])
def test_a_derivative_in_terms_of_the_output_is_that_of_the_input(power, expected, trace):
    """By convention of the cache: the forward returns its output twice."""
    rule = gradcheck.pair(
        lambda x: (sigmoid(x), sigmoid(x)),
        lambda g, y: g * y * (1 - y**power),
        inputs=lambda rng: (rng.normal(size=3),),
    )
    report = gradcheck.verify_at(
        rule, (np.array([0.2, -0.5, 0.9]),), trace=trace, checks=["gradient"]
    )
    assert report.verdict == expected, str(report)


@both
@pytest.mark.parametrize(("factor", "expected"), [(2, "pass"), (1, "fail")])
def test_integer_inputs_have_no_gradient_and_hinder_none(factor, expected, trace):
    """An index that is taken twice adds up; the fault is the missing factor 2."""

    def backward(g, x, index):
        return np.bincount(index, g * factor * x[index], len(x)), None

    x = (np.array([1.0, 2.0, -3.0, 4.0]), np.array([0, 2, 2]))
    report = report_at(lambda x, index: x[index] ** 2, backward, x, trace)
    assert report.verdict == expected, str(report)


@both
@pytest.mark.parametrize(("slope", "expected"), [(0.0, "pass"), (1.0, "fail")])
def test_an_output_that_is_an_index_has_slope_zero(slope, expected, trace):
    report = report_at(
        lambda x: np.argmax(x), lambda g, x: slope + 0 * x, (np.array([1.0, 3.0, 2.0]),), trace
    )
    assert report.verdict == expected, str(report)


@both
def test_the_derivative_without_a_smoothing_term_fails_and_passes_once_declared(trace):
    x = (np.array([0.2, 0.5, 0.9]),)
    smoothed, gradient = (lambda x: np.log(x + 1e-7)), (lambda g, x: g / x)
    report = report_at(smoothed, gradient, x, trace)
    assert report.verdict == "fail"
    assert "claimed = true × (1 + 1e-07 / x): an eps of 1e-07" in report.findings[0].diagnosis
    assert report_at(smoothed, gradient, x, trace, derivative_of=safe_log).verdict == "pass"
