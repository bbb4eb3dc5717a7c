"""Claims that wide differences exclude are called wrong only if narrow ones exclude them too."""

import numpy as np
import pytest

import gradcheck

RNG = np.random.default_rng(6)

both = pytest.mark.parametrize("trace", [True, False], ids=["traced", "untraced"])


def report_at(forward, backward, x, trace=False):
    rule = gradcheck.vjp(forward, backward, inputs=lambda rng: (x,), name="rule")
    return gradcheck.verify_at(rule, (x,), trace=trace, checks=["gradient"])


def soft_shrink(x):
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def softmax_backward(g, z):
    s = softmax(z)
    return s * (g - np.sum(g * s))


RIGHT = {
    "floor of large numbers": (np.floor, lambda g, x: 0 * g, np.array([491105.4, 1.1e7 + 0.3])),
    "a soft threshold among large entries": (
        soft_shrink,
        lambda g, x: g * (np.abs(x) > 0.5),
        np.array([7.8e4, -7.4e4, 0.0, 9.9e5, -0.5, 6.8e5]),
    ),
    "a hard threshold among large entries": (
        lambda x: x * (np.abs(x) > 0.5),
        lambda g, x: g * (np.abs(x) > 0.5),
        np.array([-0.5, 0.5, 2.6e7, 6.1e7]),
    ),
    "floor of a large integer": (np.floor, lambda g, x: 0 * g, np.array([5.1006675e8])),
    "floor beside zero, among large numbers": (
        np.floor,
        lambda g, x: 0 * g,
        np.array([-1.36807626e-13, 1.84018771e8]),
    ),
    "a peak of width 1 among entries of 1e8": (
        lambda x: np.exp(-(x**2)),
        lambda g, x: -2 * g * x * np.exp(-(x**2)),
        np.append(RNG.choice([-1.0, 1.0], 16) * RNG.uniform(1e8, 4e8, 16), [-1.8e-14, 3e-15]),
    ),
    "a product with floor at a large integer": (
        lambda x: x * np.floor(x),
        lambda g, x: g * np.floor(x),
        np.array([184018771.0]),
    ),
    "sine of large numbers": (np.sin, lambda g, x: g * np.cos(x), np.array([-1.4e8, -2.1e8, 4e8])),
}


@pytest.mark.parametrize("name", RIGHT)
def test_features_narrower_than_the_step_raise_no_alarm(name):
    forward, backward, x = RIGHT[name]
    report = report_at(lambda x: forward(x), backward, x)
    assert report.verdict != "fail", str(report)


@pytest.mark.parametrize("name", RIGHT)
def test_a_claim_that_neither_wide_nor_narrow_differences_allow_fails_there(name):
    forward, _, x = RIGHT[name]
    report = report_at(lambda x: forward(x), lambda g, x: 7.0 * g, x)
    assert report.verdict == "fail", str(report)


def test_equal_logits_of_size_1e8_raise_no_alarm():
    z = np.array([3e8, 2.6e8, 3e8, 1e7, 3e8])
    assert report_at(softmax, softmax_backward, z).verdict != "fail"
    assert report_at(softmax, lambda g, z: softmax_backward(g, z) + 1, z).verdict == "fail"


def test_the_reason_names_the_features_too_narrow_for_the_step():
    report = report_at(lambda x: np.floor(x), lambda g, x: 0 * g, np.array([491105.4]))
    assert report.verdict == "inconclusive"
    assert "steps or features too narrow" in report.checks[0].reason


@both
def test_what_underflows_in_float32_is_no_inaccuracy(trace):
    x = np.array([95.0, 1.0], np.float32)

    def forward(x):
        return -np.log1p(np.exp(-x))

    right = report_at(forward, lambda g, x: g / (1 + np.exp(x)), x, trace)
    assert right.verdict != "fail", str(right)
    wrong = report_at(forward, lambda g, x: g / (2 + np.exp(x)), x, trace)
    assert wrong.verdict == "fail"


@both
def test_a_point_without_entries_compares_nothing_and_is_inconclusive(trace):
    report = report_at(lambda x: 2 * x, lambda g, x: 7 * g, np.zeros((0, 3)), trace)
    assert report.verdict == "inconclusive"
    assert report.checks[0].reason == "no gradient has an entry to compare"


@both
def test_integers_claim_numbers_too(trace):
    x = np.full(4, 0.7)
    assert report_at(lambda x: 2.0 * x, lambda g, x: np.full(4, 2), x, trace).verdict == "pass"
    assert report_at(lambda x: 2.5 * x, lambda g, x: np.full(4, 2), x, trace).verdict == "fail"


def test_a_float32_maximum_whose_backward_takes_argmax_is_judged_and_not_an_error():
    def backward(g, x):
        dx = np.zeros_like(x)
        dx[np.argmax(x)] = g
        return dx

    x = np.array([0.3, 2.0, -1.0], np.float32)
    assert report_at(lambda x: x.max(), backward, x, True).verdict == "pass"
    assert report_at(lambda x: x.max(), lambda g, x: 2 * backward(g, x), x, True).verdict == "fail"


def test_an_oscillation_too_fast_for_the_numbers_refutes_no_steep_claim_and_a_slow_one_does():
    """At x = 1e8 sin(x^3) goes through 6e7 periods from one number to the next."""

    def rule(factor):
        return gradcheck.vjp(
            lambda x: np.sin(x**3), lambda g, x: factor * g * 3 * x**2 * np.cos(x**3), x="N"
        )

    for x, verdicts in [(-1e8, ("inconclusive",) * 2), (1.5, ("pass", "fail"))]:
        for factor, expected in zip((1.0, 1.1), verdicts, strict=True):
            report = gradcheck.verify_at(
                rule(factor), (np.array([x]),), trace=False, checks=["gradient"]
            )
            assert report.verdict == expected, str(report)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x**3)))


def gelu_slope(x):
    inner = 0.8 * (x + 0.045 * x**3)
    return 0.5 * (1 + np.tanh(inner) + 0.8 * x * (1 + 0.135 * x**2) / np.cosh(inner) ** 2)


STAIRS = {
    "1 + tanh": (
        lambda x: x * (1 + np.tanh(x)),
        lambda x: 1 + np.tanh(x) + x / np.cosh(x) ** 2,
        (-14, -4),
    ),
    "gelu": (gelu, gelu_slope, (-8, -3.5)),
    "1 - sigmoid": (
        lambda x: x**2 * (1 - 1 / (1 + np.exp(x))),
        lambda x: 2 * x / (1 + np.exp(-x)) + x**2 * np.exp(x) / (1 + np.exp(x)) ** 2,
        (-30, -10),
    ),
    "a large number added": (
        lambda x: np.exp(x) * ((x + 1e4) - 1e4),
        lambda x: np.exp(x) * (1 + x),
        (1e-6, 1e-3),
    ),
}
"""Products of a smooth factor with one that cancels and moves in steps, each smooth and sloped."""


@pytest.mark.parametrize("name", STAIRS)
def test_one_step_of_numbers_that_cancel_inside_refutes_no_claim(name):
    forward, slope, (low, high) = STAIRS[name]
    found = {1: [], 70: []}
    for x in np.random.default_rng(3).uniform(low, high, 15):
        for factor, verdicts in found.items():
            report = report_at(forward, lambda g, x, by=factor: by * g * slope(x), np.array([x]))
            verdicts.append(report.verdict)
    assert "fail" not in found[1]
    assert "pass" not in found[70]
    assert found[70].count("fail") >= 6


def wiggle(width):
    """sin(x), and around 1 a wave of this width, which is 0 at 1 and everywhere else, but for its slope."""

    def forward(x):
        u = (x - 1) / width
        return np.sin(x) + u * np.exp(-(u**2))

    return forward


@pytest.mark.parametrize("size", [1, 12])
@pytest.mark.parametrize("width", [1e-3, 1e-5, 1e-7])
def test_a_claim_that_a_wide_window_alone_bears_out_does_not_pass(width, size):
    x = np.append(1.0, np.linspace(2, 3, size - 1))
    assert report_at(lambda x: np.sin(x), lambda g, x: g * np.cos(x), x).verdict == "pass"
    report = report_at(wiggle(width), lambda g, x: g * np.cos(x), x)
    assert report.verdict == "inconclusive", str(report)
    if width < 1e-4:  # a wider one makes directions disagree with each other
        assert "features too narrow" in report.checks[0].reason


@pytest.mark.parametrize("size", [1e8, 1e10, 1e11])
def test_stairs_are_not_taken_for_their_slope_nor_a_line_for_stairs(size):
    x = size * np.array([1.0, 1.3]) + 0.3
    assert report_at(lambda x: np.floor(x), lambda g, x: g, x).verdict != "pass"
    assert report_at(lambda x: x + 0.5, lambda g, x: g, x).verdict == "pass"


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "no alarm"), (-3.0, "fail")])
def test_at_the_finest_steps_a_slope_known_to_a_few_per_cent_refutes_no_claim(factor, expected):
    verdicts = []
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=12) * 5e8
        report = report_at(lambda x: np.sin(x), lambda g, x: factor * g * np.cos(x), x)
        verdicts.append(report.verdict)
    assert ("fail" in verdicts) == (expected == "fail")
